"""The `/v1` part of our OpenAPI document: the routes that are mounted, with the types of `openapi_types`."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from headworks.gateway.openapi import types

Json = dict[str, Any]
Route = tuple[str, str]
"""Method and path."""

_REF = "#/components/schemas/{name}"
_SECURITY: Json = {
    "bearer": {"type": "http", "scheme": "bearer", "description": "An API key, as OpenAI's clients send it."},
    "x-api-key": {
        "type": "apiKey",
        "in": "header",
        "name": "x-api-key",
        "description": "An API key, as Anthropic's clients send it.",
    },
}
_ANY: Json = {"type": "object"}
_BYTES: Json = {}
_NAMED = re.compile(r"\{(\w+)\}")
_TRACE: Json = {
    "x-headworks-trace": {"description": "The request's trace: GET /api/traces/{id}.", "schema": {"type": "string"}}
}


class Operation(msgspec.Struct, frozen=True, kw_only=True):
    """One route. `takes` None: no body; `gives` may be several types, each for its own clients.

    `form` and `data` say that the body, or the answer, is not JSON: a form with files, or bytes of any kind.
    """

    route: Route
    says: str
    takes: Any = None
    gives: tuple[Any, ...] = ()
    form: bool = False
    data: bool = False
    streams: bool = False
    query: tuple[str, ...] = ()
    fails: Any = types.OpenAIError


OPERATIONS: tuple[Operation, ...] = (
    Operation(
        route=("POST", "/v1/chat/completions"),
        says="Chat Completions",
        takes=types.ChatRequest,
        gives=(types.ChatCompletion,),
        streams=True,
    ),
    Operation(
        route=("POST", "/v1/completions"),
        says="Completions",
        takes=types.CompletionRequest,
        gives=(types.Completion,),
        streams=True,
    ),
    Operation(
        route=("POST", "/v1/responses"),
        says="Responses",
        takes=types.ResponseRequest,
        gives=(types.Response,),
        streams=True,
    ),
    Operation(
        route=("GET", "/v1/responses/{response_id}"),
        says="A stored response; one that runs in the background may be streamed",
        gives=(types.Response,),
        streams=True,
        query=("stream", "starting_after"),
    ),
    Operation(route=("DELETE", "/v1/responses/{response_id}"), says="Forget a stored response", gives=(types.Deleted,)),
    Operation(
        route=("GET", "/v1/responses/{response_id}/input_items"),
        says="What a stored response was made from",
        gives=(types.InputItems,),
        query=("after", "limit", "order"),
    ),
    Operation(
        route=("POST", "/v1/responses/{response_id}/cancel"),
        says="End a response in the background",
        gives=(types.Response,),
    ),
    Operation(
        route=("POST", "/v1/messages"),
        says="Messages",
        takes=types.MessageRequest,
        gives=(types.Message,),
        streams=True,
        fails=types.AnthropicError,
    ),
    Operation(
        route=("POST", "/v1/messages/count_tokens"),
        says="How many tokens a request in Messages has",
        takes=types.CountRequest,
        gives=(types.TokenCount,),
        fails=types.AnthropicError,
    ),
    Operation(
        route=("POST", "/v1/embeddings"),
        says="Embeddings",
        takes=types.EmbeddingRequest,
        gives=(types.EmbeddingList,),
    ),
    Operation(route=("POST", "/v1/rerank"), says="Rerank", takes=types.RerankRequest, gives=(types.Results,)),
    Operation(
        route=("POST", "/v2/rerank"),
        says="Rerank, as Cohere's clients ask",
        takes=types.RerankRequest,
        gives=(types.Results,),
    ),
    Operation(
        route=("POST", "/v1/moderations"),
        says="Moderations",
        takes=types.ModerationRequest,
        gives=(types.Results,),
    ),
    Operation(
        route=("GET", "/v1/models"),
        says="What this key may name as `model`",
        gives=(types.ModelList, types.AnthropicModelPage),
        query=("limit", "after_id", "before_id"),
    ),
    Operation(
        route=("GET", "/v1/models/{model}"),
        says="One of them; a name may hold slashes",
        gives=(types.ListedModel, types.AnthropicModel),
    ),
    Operation(
        route=("POST", "/v1/images/generations"),
        says="Make images",
        takes=types.PromptRequest,
        gives=(_ANY,),
        streams=True,
    ),
    Operation(route=("POST", "/v1/images/edits"), says="Change images", form=True, gives=(_ANY,), streams=True),
    Operation(route=("POST", "/v1/images/variations"), says="Vary an image", form=True, gives=(_ANY,)),
    Operation(route=("POST", "/v1/audio/speech"), says="Speak", takes=types.SpeechRequest, data=True),
    Operation(route=("POST", "/v1/audio/transcriptions"), says="Write down speech", form=True, data=True),
    Operation(route=("POST", "/v1/audio/translations"), says="Write down speech in English", form=True, data=True),
    Operation(route=("GET", "/v1/files"), says="The files of an account", gives=(_ANY,)),
    Operation(route=("POST", "/v1/files"), says="Hand in a file", form=True, gives=(_ANY,)),
    Operation(route=("GET", "/v1/files/{file_id}"), says="About a file", gives=(_ANY,)),
    Operation(route=("DELETE", "/v1/files/{file_id}"), says="Delete a file", gives=(types.Deleted,)),
    Operation(route=("GET", "/v1/files/{file_id}/content"), says="A file's bytes", data=True),
    Operation(route=("GET", "/v1/batches"), says="The batches of an account", gives=(_ANY,)),
    Operation(route=("POST", "/v1/batches"), says="Begin a batch", takes=types.BatchRequest, gives=(_ANY,)),
    Operation(route=("GET", "/v1/batches/{batch_id}"), says="About a batch", gives=(_ANY,)),
    Operation(route=("POST", "/v1/batches/{batch_id}/cancel"), says="End a batch", gives=(_ANY,)),
    *(
        Operation(
            route=("POST", f"/{version}/models/{{model}}:{method}"),
            says="As Google's own clients ask; only targets that speak Gemini",
            takes=_ANY,
            gives=(_ANY,),
            streams=method == "streamGenerateContent",
            query=("alt",),
            fails=types.GoogleError,
        )
        for version in ("v1beta", "v1")
        for method in ("generateContent", "streamGenerateContent", "countTokens", "embedContent")
    ),
    *(
        Operation(
            route=("POST", f"/model/{{model}}/{method}"),
            says="As Amazon's own clients ask; only targets that speak Converse",
            takes=_ANY,
            gives=() if method == "converse-stream" else (_ANY,),
            data=method == "converse-stream",
            fails=types.AmazonError,
        )
        for method in ("converse", "converse-stream")
    ),
)
"""All that we can serve; what is not mounted is not shown."""


def description(routes: Iterable[Route], prefixes: Iterable[Route]) -> Json:
    """`paths` and `components` of the mounted routes; `prefixes` are beginnings of paths that end in `/`."""
    exact, below = set(routes), set(prefixes)
    shown = [each for each in OPERATIONS if is_mounted(each.route, exact, below)]
    wanted = [kind for each in shown for kind in (each.takes, *each.gives, each.fails) if _is_type(kind)]
    _, schemas = msgspec.json.schema_components(dict.fromkeys(wanted), ref_template=_REF)
    paths: Json = {}
    for each in shown:
        method, path = each.route
        paths.setdefault(path, {})[method.lower()] = _described(each)
    return {"paths": paths, "components": {"schemas": schemas, "securitySchemes": _SECURITY}}


def is_mounted(route: Route, exact: set[Route], below: set[Route]) -> bool:
    """Whether a request of this form reaches a handler."""
    method, path = route
    return route in exact or any(method == known and path.startswith(f"{start}{{") for known, start in below)


def joined(document: Mapping[str, Any], described: Mapping[str, Any]) -> Json:
    """One document of both. Raises ValueError where they describe two things under one name."""
    whole = dict(document)
    whole["paths"] = _united(document.get("paths", {}), described["paths"])
    parts = dict(document.get("components", {}))
    for kind, named in described["components"].items():
        parts[kind] = _united(parts.get(kind, {}), named)
    whole["components"] = parts
    return whole


def _united(one: Mapping[str, Any], other: Mapping[str, Any]) -> Json:
    if both := sorted(one.keys() & other.keys()):
        raise ValueError(f"described twice: {', '.join(both)}")
    return {**one, **other}


def _described(operation: Operation) -> Json:
    method, path = operation.route
    said: Json = {
        "operationId": re.sub(r"\W+", "_", f"{method.lower()}{path}").strip("_"),
        "summary": operation.says,
        "tags": [path.split("/")[2].strip("{}")],
        "security": [{name: []} for name in _SECURITY],
        "responses": _responses(operation),
    }
    if parameters := [*map(_in_path, _NAMED.findall(path)), *map(_in_query, operation.query)]:
        said["parameters"] = parameters
    if operation.form:
        said["requestBody"] = {"required": True, "content": {"multipart/form-data": {"schema": _ANY}}}
    elif operation.takes is not None:
        said["requestBody"] = {"required": True, "content": {"application/json": {"schema": _schema(operation.takes)}}}
    return said


def _responses(operation: Operation) -> Json:
    schemas = [_schema(each) for each in operation.gives]
    content: Json = {}
    if operation.data:
        content["*/*"] = {"schema": _BYTES}
    elif schemas:
        content["application/json"] = {"schema": schemas[0] if len(schemas) == 1 else {"anyOf": schemas}}
    if operation.streams:
        content["text/event-stream"] = {"schema": {"type": "string"}}
    failed = {
        "description": "Refused, with the reason and the next step.",
        "headers": _TRACE,
        "content": {"application/json": {"schema": _schema(operation.fails)}},
    }
    good = {"description": "Answered.", "headers": _TRACE, "content": content}
    return {"200": good, "4XX": failed, "5XX": failed}


def _in_path(name: str) -> Json:
    return {"name": name, "in": "path", "required": True, "schema": {"type": "string", "minLength": 1}}


def _in_query(name: str) -> Json:
    kind: Json = {"type": "integer", "minimum": 1, "maximum": 1000} if name == "limit" else {"type": "string"}
    return {"name": name, "in": "query", "required": False, "schema": kind}


def _schema(kind: Any) -> Json:  # noqa: ANN401 -- a Struct, or a schema as it stands
    return {"$ref": _REF.format(name=kind.__name__)} if _is_type(kind) else kind


def _is_type(kind: Any) -> bool:  # noqa: ANN401 -- as _schema
    return isinstance(kind, type) and issubclass(kind, msgspec.Struct)

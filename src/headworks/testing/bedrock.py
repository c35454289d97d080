"""Amazon Bedrock on a loopback port: it answers what it is told, and remembers what it was asked.

    with SimulatedBedrock() as bedrock:
        bedrock.will(failure(429), stream(text("Hello.")))
        client = boto3.client("bedrock-runtime", endpoint_url=bedrock.origin, region_name=REGION,
                              aws_access_key_id=ACCESS_KEY, aws_secret_access_key=SECRET_KEY)

Every request must be signed with its key, or carry its bearer token: also one that is told what to answer. What is not
told to it, it answers by its script, else with the question; see `headworks.providers.simulated`. A tool that must be
called is called. It refuses what Bedrock refuses: members that it does not know, roles that do not alternate, blank
texts, tools that were called and are not declared.
"""

from __future__ import annotations

import asyncio
import hmac
import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import unquote

import msgspec

from headworks.providers.aws_signing import Credentials, Signer
from headworks.providers.simulated import Rule, rule_for, text_of
from headworks.testing.bedrock_replies import Json, answer, begun, call, ended, failure, frames, text, told, usage
from headworks.testing.provider import Seen, SimulatedProvider
from headworks.testing.replies import Reply

REGION = "us-east-1"
ACCESS_KEY = "AKIDEXAMPLE"
SECRET_KEY = "secret"  # noqa: S105 -- an invented one, for tests
BEARER_TOKEN = "bedrock-api-key-simulated"  # noqa: S105 -- as SECRET_KEY

_SIGNED = re.compile(
    r"AWS4-HMAC-SHA256 Credential=(?P<key>[^/]+)/\d{8}/(?P<region>[^/]+)/bedrock/aws4_request, ?"
    r"SignedHeaders=(?P<names>[^,]+), ?Signature=[0-9a-f]{64}"
)
_OF_THE_SIGNATURE = frozenset(("host", "x-amz-date", "x-amz-security-token"))
_SKEW = timedelta(minutes=5)
_ASKED = frozenset(
    (
        "additionalModelRequestFields",
        "additionalModelResponseFieldPaths",
        "guardrailConfig",
        "inferenceConfig",
        "messages",
        "outputConfig",
        "performanceConfig",
        "promptVariables",
        "requestMetadata",
        "serviceTier",
        "system",
        "toolConfig",
    )
)
_COUNTED = frozenset(("additionalModelRequestFields", "messages", "system", "toolConfig"))
_STOPS = {"stop": "end_turn", "length": "max_tokens", "content_filter": "content_filtered", "tool_calls": "tool_use"}


class SimulatedBedrock(SimulatedProvider):
    """See the module."""

    @property
    def origin(self) -> str:
        """The endpoint for boto3, and for an account."""
        return f"http://127.0.0.1:{self._port}"

    async def _perform(self, seen: Seen, writer: asyncio.StreamWriter) -> bool:
        complaint = _about_proof(seen)
        if complaint is not None:
            self._told.appendleft(failure(403, complaint[0], complaint[1]))
        return await super()._perform(seen, writer)

    async def _scripted(self, seen: Seen) -> Reply:
        _, _, model, operation = [*seen.path.split("/", 3), "", "", ""][:4]
        if operation not in {"converse", "converse-stream", "count-tokens"} or not model:
            return failure(404, "UnknownOperationException", "")
        try:
            return self._answered(seen.json, operation)
        except (ValueError, KeyError, TypeError, AttributeError):
            return failure(400, "SerializationException", f"{unquote(model)}: the request can't be read.")

    def _answered(self, request: Json, operation: str) -> Reply:
        if operation == "count-tokens":
            request = request["input"]["converse"]
        complaint = next(_complaints(request, _COUNTED if operation == "count-tokens" else _ASKED), None)
        if complaint is not None:
            return failure(400, "ValidationException", complaint)
        if operation == "count-tokens":
            return Reply.json({"inputTokens": _words(request)})
        rule = rule_for(msgspec.convert(self._script, list[Rule]), _question(request))
        return _said(request, rule, streams=operation == "converse-stream")


def _said(request: Json, rule: Rule, *, streams: bool) -> Reply:
    if rule.status >= 400:
        waits = {} if rule.retry_after_s is None else {"retry_after": str(rule.retry_after_s)}
        return failure(rule.status, None, rule.answer or "A simulated failure.", **waits).after(rule.delay_s)
    pieces = rule.pieces_for(_question(request))
    block = _forced(request) or text("".join(pieces))
    reason = "tool_use" if "toolUse" in block else _STOPS.get(rule.finish_reason, rule.finish_reason)
    counted = usage(_words(request), max(len(pieces), 1))
    if not streams and rule.cut_after is not None:
        return Reply.hang_up()
    if not streams:
        whole = answer(block, stop_reason=reason, counts=counted)
        return whole.after(rule.delay_s + rule.token_delay_s * len(pieces))
    said = [begun(), *told(0, block), *ended(reason, counted)]
    if rule.cut_after is not None:
        return frames(*said[: 1 + rule.cut_after], gap_s=rule.token_delay_s, end="cut").after(rule.delay_s)
    return frames(*said, gap_s=rule.token_delay_s).after(rule.delay_s)


def _about_proof(seen: Seen) -> tuple[str, str] | None:
    """Why this caller is not let in: the error's kind, and words."""
    given = seen.headers.get("authorization", "")
    if given.startswith("Bearer "):
        return None if given == f"Bearer {BEARER_TOKEN}" else ("AccessDeniedException", "Invalid API Key format")
    found = _SIGNED.fullmatch(given)
    if found is None:
        return "MissingAuthenticationTokenException", "Missing Authentication Token"
    if found["key"] != ACCESS_KEY or found["region"] != REGION:
        return "UnrecognizedClientException", "The security token included in the request is invalid."
    wrong = _about_signature(seen, found["names"].split(";"), given.rpartition("=")[2])
    return None if wrong is None else ("InvalidSignatureException", wrong)


def _about_signature(seen: Seen, names: list[str], signature: str) -> str | None:
    if not {"host", "x-amz-date"} <= set(names):
        return "'Host' or 'X-Amz-Date' must be a 'SignedHeader' in the AWS Authorization."
    at = datetime.strptime(seen.headers["x-amz-date"], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
    if abs(datetime.now(UTC) - at) > _SKEW:
        return "Signature expired"
    if not hmac.compare_digest(signature, _signature(seen, names, at)):
        return "The request signature we calculated does not match the signature you provided."
    return None


def _signature(seen: Seen, names: list[str], at: datetime) -> str:
    """What the signature should be."""
    headers = [(each.encode(), seen.headers.get(each, "").encode()) for each in names if each not in _OF_THE_SIGNATURE]
    token = seen.headers.get("x-amz-security-token") if "x-amz-security-token" in names else None
    signer = Signer(Credentials(ACCESS_KEY, SECRET_KEY, token), REGION, "bedrock")
    host, path = seen.headers["host"].encode(), seen.path.encode()
    made = dict(signer.sign(seen.method.encode(), host, path, headers, seen.body, at=at))
    return made[b"authorization"].decode().rpartition("=")[2]


def _complaints(request: Json, known: frozenset[str]) -> Iterator[str]:
    """What Bedrock would refuse the request for."""
    for name in request.keys() - known:
        yield f"#: extraneous key [{name}] is not permitted"
    limits = request.get("inferenceConfig", {})
    if limits.get("maxTokens", 1) < 1:
        yield "1 validation error detected: 'inferenceConfig.maxTokens' must be greater than or equal to 1"
    for name in ("temperature", "topP"):
        if not 0 <= limits.get(name, 0) <= 1:
            yield f"1 validation error detected: 'inferenceConfig.{name}' must be between 0 and 1"
    yield from _about_messages(request["messages"])
    blocks = [block for message in request["messages"] for block in message["content"]]
    tools = request.get("toolConfig", {}).get("tools", ())
    if any("toolUse" in block or "toolResult" in block for block in blocks) and not tools:
        yield "The toolConfig field must be defined when using toolUse and toolResult content blocks."
    if "toolConfig" in request and not tools:
        yield "1 validation error detected: 'toolConfig.tools' must have length greater than or equal to 1"


def _about_messages(messages: list[Json]) -> Iterator[str]:
    if not messages or messages[0]["role"] != "user":
        yield "A conversation must start with a user message. Try again with a conversation that starts with one."
    waiting: set[str] = set()
    for number, message in enumerate(messages):
        at = f"messages.{number}.content"
        if number and message["role"] == messages[number - 1]["role"]:
            yield "A conversation must alternate between user and assistant roles."
        given = {block["toolResult"]["toolUseId"] for block in message["content"] if "toolResult" in block}
        if given != waiting:
            yield f"The toolResult blocks at {at} do not match the toolUse blocks of the turn before."
        waiting = {block["toolUse"]["toolUseId"] for block in message["content"] if "toolUse" in block}
        names = [block["document"]["name"] for block in message["content"] if "document" in block]
        if len(names) != len(set(names)):
            yield f"{at}: documents with the same name"
        if not message["content"] or any(not block.get("text", "x").strip() for block in message["content"]):
            yield f"The text field in the ContentBlock object at {at} is blank."


def _forced(request: Json) -> Json | None:
    """A call of the tool that has to be called, with the least that its schema asks for."""
    config = request.get("toolConfig", {})
    choice = config.get("toolChoice", {})
    if not {"any", "tool"} & choice.keys():
        return None
    specs = [tool["toolSpec"] for tool in config["tools"] if "toolSpec" in tool]
    wanted = choice.get("tool", {}).get("name", specs[0]["name"])
    schema = next(spec["inputSchema"]["json"] for spec in specs if spec["name"] == wanted)
    return call(wanted, {name: _least(schema, name) for name in schema.get("required", ())})


def _least(schema: Json, name: str) -> Any:  # noqa: ANN401 -- any JSON value
    kind = schema.get("properties", {}).get(name, {}).get("type")
    return {"integer": 1, "number": 1.5, "boolean": True, "array": [], "object": {}}.get(kind, "x")


def _question(request: Json) -> str:
    """The text of the last message of the user's that has any."""
    asked = (text_of(each["content"]) for each in reversed(request["messages"]) if each["role"] == "user")
    return next((said for said in asked if said), "")


def _words(request: Json) -> int:
    said = [text_of(each["content"]) for each in request["messages"]]
    shown = json.dumps(request.get("toolConfig", {})) if "toolConfig" in request else ""
    return max(sum(len(each.split()) for each in [*said, text_of(request.get("system")), shown]), 1)

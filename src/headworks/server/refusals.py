"""How the control plane says no: every error in OpenAI's shape, none with its insides."""

from __future__ import annotations

import json
import logging
from collections.abc import AsyncIterator, Iterator, Sequence
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException
from starlette.routing import Match

from headworks.errors import BodyTooLarge, HeadworksError, InvalidRequest, NotFound, UnstorableText
from headworks.types.storable import UNSTORABLE

MAX_BODY_MB = 32
"""The largest body of a control-plane request; the route that takes files in has its own limit, which may be larger."""

METHOD_NOT_ALLOWED = 405
_METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")
_OWN_FAULT = 500
_MOST_NAMED = 5
_WORDS = {
    "extra_forbidden": ("There is no field of that name.", "/api/openapi.json says what this address takes."),
    "model_attributes_type": ("It must be a JSON object.", ""),
    "dict_type": ("It must be a JSON object.", ""),
    "uuid_parsing": ("It is no id.", "Ids look like 019a6c1e-0000-7000-8000-000000000000, and are given whole."),
}
"""What is said of a wrong field, and the next step, instead of the validator's own words; by its type of error."""
_log = logging.getLogger(__name__)


class Refusal(JSONResponse):
    """An error that may quote what came in: half a character of it is a question mark, and no fault of ours."""

    def render(self, content: Any) -> bytes:  # noqa: ANN401 -- any JSON value
        """See JSONResponse."""
        return json.dumps(content, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode(errors="replace")


def install_refusals(app: FastAPI) -> None:
    """Have the application answer its errors so."""
    app.add_exception_handler(HeadworksError, _own_error)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _http_error)
    app.add_exception_handler(Exception, _any_error)


def answer(error: HeadworksError) -> JSONResponse:
    """The answer to one of our own errors."""
    return Refusal(error.as_openai(), error.status, dict(error.headers))


def unexpected() -> JSONResponse:
    """The answer to a bug of ours."""
    return answer(HeadworksError("Something went wrong in the server.", next_step="Its log says what."))


def too_large() -> JSONResponse:
    """The answer to a body above `MAX_BODY_MB`."""
    return answer(BodyTooLarge(f"The body is larger than {MAX_BODY_MB} MiB.", next_step="Send less at once."))


def wrong_method(method: str, path: str, allowed: Sequence[str]) -> JSONResponse:
    """The answer where only other methods are answered."""
    error = InvalidRequest(
        f"{path} does not answer {method}.", next_step=f"Ask with {' or '.join(allowed)}.", code="method_not_allowed"
    )
    return Refusal(error.as_openai(), METHOD_NOT_ALLOWED, {"allow": ", ".join(allowed)})


async def _own_error(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HeadworksError)  # noqa: S101 -- registered for this class
    if isinstance(error, UnstorableText):
        return answer(UnstorableText.found([name async for name in _unstorable_fields(request)][:_MOST_NAMED]))
    if error.status == _OWN_FAULT:
        _log.error("%s: %s", type(error).__name__, error)
    return answer(error)


async def _unstorable_fields(request: Request) -> AsyncIterator[str]:
    """Where the texts of a request are that can't be stored, as far as it can still be read."""
    for name, value in (*request.path_params.items(), *request.query_params.multi_items()):
        if UNSTORABLE.search(str(value)):
            yield name
    if _says_json(request):
        try:
            body = await request.json()
        except (RuntimeError, ValueError):  # its handler has read it in pieces
            return
        for name in _unstorable_within(body, ""):
            yield name


def _unstorable_within(value: Any, where: str) -> Iterator[str]:  # noqa: ANN401 -- any JSON value
    if isinstance(value, str):
        if UNSTORABLE.search(value):
            yield where or "body"
        return
    each: Any
    for key, each in value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ():
        if isinstance(key, str) and UNSTORABLE.search(key):
            yield where or "body"
        else:
            yield from _unstorable_within(each, f"{where}.{key}" if where else str(key))


async def _any_error(_: Request, error: Exception) -> JSONResponse:
    """The caller learns nothing of it; the fence around the application logs it."""
    del error
    return unexpected()


async def _invalid(request: Request, error: Exception) -> JSONResponse:
    """The first wrong field, in words; the caller's value is never repeated."""
    assert isinstance(error, RequestValidationError)  # noqa: S101 -- registered for this class
    first = error.errors()[0]
    if first["type"] == "json_invalid":
        return answer(_no_json(f"{first['ctx']['error']} (character {first['loc'][-1]})"))
    # Without `body`, `query` or `path`, where the field stands, and without the names of types that were tried.
    where = ".".join(str(part) for part in first["loc"][1:] if "[" not in str(part))
    if not where and first["type"] != "missing" and not _says_json(request):
        return answer(_no_json("its `content-type` does not say so", "Send `content-type: application/json`."))
    what, next_step = _WORDS.get(first["type"], (f"{first['msg']}.", ""))
    return answer(InvalidRequest(f"`{where or 'body'}`: {what}", next_step=next_step, param=where or None))


def _says_json(request: Request) -> bool:
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    return kind == "application/json" or kind.endswith("+json")


def _no_json(why: str, next_step: str = "Send one JSON object in UTF-8.") -> InvalidRequest:
    return InvalidRequest(f"The body is not valid JSON: {why}.", next_step=next_step, code="invalid_json")


async def _http_error(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)  # noqa: S101 -- registered for this class
    method, path = request.method, request.url.path
    if error.status_code == NotFound.status:
        where = "The addresses are listed in /api/openapi.json."
        return answer(NotFound(f"There is nothing at {method} {path}.", next_step=where))
    if error.status_code == METHOD_NOT_ALLOWED:
        return wrong_method(method, path, [each for each in _METHODS if _is_answered(request, each)])
    if error.status_code == BodyTooLarge.status:
        return too_large()
    if isinstance(error.__cause__, RecursionError):
        return answer(_no_json("it is nested too deeply"))
    if isinstance(error.__cause__, UnicodeDecodeError):
        return answer(_no_json(f"byte {error.__cause__.start} is not UTF-8"))
    own = InvalidRequest(f"{error.detail}: {method} {path}.")
    return Refusal(own.as_openai(), error.status_code, dict(error.headers or {}))


def _is_answered(request: Request, method: str) -> bool:
    scope = {**request.scope, "method": method}
    return any(route.matches(scope)[0] is Match.FULL for route in request.app.router.routes)

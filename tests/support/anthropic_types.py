"""Anthropic's own types, made strict: what its SDK would not let somebody write, or does not know, is an error."""

from __future__ import annotations

import importlib
import json
import pkgutil
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

import anthropic.types
from anthropic.types import (
    Message,
    MessageCountTokensParams,
    MessageCreateParams,
    MessageTokensCount,
    RawMessageStreamEvent,
)
from anthropic.types.shared.error_response import ErrorResponse
from pydantic import BaseModel, TypeAdapter
from typing_extensions import is_typeddict

_OPEN = frozenset(("InputSchemaTyped",))
_OUTSIDE_OF_THE_SDK = frozenset(("temperature", "top_p", "top_k"))
"""Members of the API that version 2 of the SDK has no words for any more; its users pass them in `extra_body`."""


@cache
def _strict(kind: Any) -> TypeAdapter[Any]:
    for found in pkgutil.iter_modules(anthropic.types.__path__):
        if found.ispkg:
            continue
        for name, value in vars(importlib.import_module(f"anthropic.types.{found.name}")).items():
            if is_typeddict(value) and name not in _OPEN:
                value.__pydantic_config__ = {"extra": "forbid", "arbitrary_types_allowed": True}
    return TypeAdapter(kind)


def require_request(body: bytes, *, counts: bool = False) -> dict[str, Any]:
    """The request, if the SDK would let it be written; else an error."""
    said = json.loads(body)
    known = {name: value for name, value in said.items() if name not in _OUTSIDE_OF_THE_SDK}
    adapter = _strict(MessageCountTokensParams if counts else MessageCreateParams)
    _exhaust(adapter.validate_python(known))
    return dict(said)


def require_message(body: bytes) -> Message:
    """The answer, if the SDK knows every member of it."""
    return _known(_strict(Message).validate_python(json.loads(body)))


def require_count(body: bytes) -> MessageTokensCount:
    return _known(_strict(MessageTokensCount).validate_python(json.loads(body)))


def require_error(body: bytes) -> ErrorResponse:
    found: ErrorResponse = _strict(ErrorResponse).validate_python(json.loads(body))
    return found


def require_event(event: Mapping[str, Any]) -> Any:
    """The event of a stream, if the SDK knows every member of it."""
    return _known(_strict(RawMessageStreamEvent).validate_python(event))


def _exhaust(value: Any) -> None:
    """Look at what pydantic only looks at when it is asked for; what is written is a parameter, not an answer."""
    assert not isinstance(value, BaseModel), f"no parameter has the members of {value!r}"
    if isinstance(value, Mapping):
        for each in value.values():
            _exhaust(each)
    elif not isinstance(value, str | bytes | int | float | bool | None):
        for each in value:
            _exhaust(each)


def _known(value: Any) -> Any:
    if isinstance(value, BaseModel):
        # A `message_delta` has all counts that a message has, though the SDK names only some of them.
        extra = set(value.model_extra or ()) - ({"cache_creation"} if "Usage" in type(value).__name__ else set())
        assert not extra, f"{type(value).__name__} has no {extra}"
        for each in dict(value).values():
            _known(each)
    elif isinstance(value, Sequence) and not isinstance(value, str | bytes):
        for each in value:
            _known(each)
    return value

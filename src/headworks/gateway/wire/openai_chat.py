"""Chat Completions: a feature's answer as OpenAI's clients expect it, whole or in chunks."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any
from uuid import UUID

import msgspec

from headworks.errors import InvalidRequest
from headworks.gateway.wire.bodies import Body, wrong_type
from headworks.gateway.wire.parts import Cited, Event, Finished, Text
from headworks.types.models import Usage
from headworks.types.retrieval import Citation

DONE = b"data: [DONE]\n\n"

_encode = msgspec.json.encode
_ARRAY = ord("[")
_SHORTEST = 32
"""No message is written in fewer bytes."""


def check_request(body: Body) -> None:
    """The fields that we act on ourselves; the others are the provider's to judge. Raises InvalidRequest."""
    start, end = body.members.get("messages", (0, 0))
    if not end:
        raise InvalidRequest("`messages` is required.", param="messages", code="missing_field")
    if body.raw[start] != _ARRAY:
        raise wrong_type("messages", "an array")
    if end - start < _SHORTEST and not body.raw[start + 1 : end].strip(b"] \t\r\n"):
        raise InvalidRequest("`messages` is empty.", param="messages", code="missing_field")


def wants_usage(body: Body) -> bool:
    """Whether the caller asked for usage in the stream."""
    options = body.section("stream_options") if "stream_options" in body.members else None
    return options is not None and options.flag("include_usage")


class ChatWriter:
    """One feature's answer. Citations go into the last content chunk, so one piece of text is held back."""

    def __init__(self, trace: UUID, model: str, base_url: str, *, with_usage: bool) -> None:
        """`model` is the name that the caller used; `with_usage`: the stream ends with a count."""
        self._model = model
        self._base_url = base_url
        self._with_usage = with_usage
        self._texts: list[str] = []
        self._annotations: list[dict[str, Any]] = []
        self._held: str | None = None
        self._id = f"chatcmpl-{trace.hex}"
        self._created = int(time.time())
        self._finished: Finished | None = None

    def take(self, event: Event) -> None:
        """For the whole form: collect."""
        if isinstance(event, Text):
            self._texts.append(event.text)
        elif isinstance(event, Cited):
            self._annotations.append(self._annotation(event.citation))
        elif isinstance(event, Finished):
            self._finished = event

    def whole(self) -> bytes:
        """The JSON form of what was taken."""
        end = self._finished
        message = {
            "role": "assistant",
            "content": "".join(self._texts),
            "refusal": None,
            "annotations": self._annotations,
        }
        choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": end.reason if end else None}
        usage = end.usage if end else Usage()
        return _encode({**self._head("chat.completion"), "choices": [choice], "usage": _usage(usage)})

    def opening(self) -> bytes:
        """The first chunk."""
        return self._chunk({"role": "assistant", "content": "", "refusal": None}, None)

    def chunks(self, event: Event) -> Iterator[bytes]:
        """The chunks that are ready with this event."""
        if isinstance(event, Text):
            if self._held is not None:
                yield self._chunk({"content": self._held}, None)
            self._held = event.text
        elif isinstance(event, Cited):
            self._annotations.append(self._annotation(event.citation))
        elif isinstance(event, Finished):
            yield from self._ending(event)

    @property
    def has_ended(self) -> bool:
        """Whether the finish chunk is out."""
        return self._finished is not None

    def _ending(self, end: Finished) -> Iterator[bytes]:
        self._finished = end
        if self._held is not None or self._annotations:
            delta: dict[str, Any] = {"content": self._held or ""}
            if self._annotations:
                delta["annotations"] = self._annotations
            yield self._chunk(delta, None)
        yield self._chunk({}, end.reason)
        if self._with_usage:
            yield _event({**self._head("chat.completion.chunk"), "choices": [], "usage": _usage(end.usage)})

    def _chunk(self, delta: dict[str, Any], reason: str | None) -> bytes:
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": reason}
        extra = {"usage": None} if self._with_usage else {}
        return _event({**self._head("chat.completion.chunk"), "choices": [choice], **extra})

    def _head(self, kind: str) -> dict[str, Any]:
        return {"id": self._id, "object": kind, "created": self._created, "model": self._model}

    def _annotation(self, citation: Citation) -> dict[str, Any]:
        """OpenAI's `url_citation` of the marker, and beside it what it takes to check the quote."""
        place = f"{citation.start},{citation.end}"
        return {
            "type": "url_citation",
            "url_citation": {
                "start_index": citation.marker_start,
                "end_index": citation.marker_end,
                "title": citation.title,
                "url": f"{self._base_url}/documents/{citation.document}#char={place}",
            },
            "headworks": {
                "document": str(citation.document),
                "version": citation.version,
                "section": list(citation.section),
                "start": citation.start,
                "end": citation.end,
                "quote": citation.quote,
                "sha256": citation.sha256,
            },
        }


def _usage(usage: Usage) -> dict[str, Any] | None:
    if usage.input_tokens is None:
        return None
    output = usage.output_tokens or 0
    found: dict[str, Any] = {
        "prompt_tokens": usage.input_tokens,
        "completion_tokens": output,
        "total_tokens": usage.input_tokens + output,
    }
    if usage.cached_input_tokens is not None:
        found["prompt_tokens_details"] = {"cached_tokens": usage.cached_input_tokens}
    return found


def _event(value: dict[str, Any]) -> bytes:
    return b"data: " + _encode(value) + b"\n\n"

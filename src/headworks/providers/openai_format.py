"""Answers in OpenAI's format, as the built-in models write them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import msgspec

from headworks.errors import UpstreamError
from headworks.providers.responses import Headers

JSON_HEADERS: Headers = [(b"content-type", b"application/json")]
EVENT_HEADERS: Headers = [(b"content-type", b"text/event-stream; charset=utf-8")]
DONE = b"data: [DONE]\n\n"

_encode = msgspec.json.encode


@dataclass(frozen=True, slots=True)
class Counts:
    """Tokens of one call, as a `usage` object says them."""

    prompt: int
    completion: int

    def as_usage(self) -> dict[str, int]:
        """OpenAI's object."""
        total = self.prompt + self.completion
        return {"prompt_tokens": self.prompt, "completion_tokens": self.completion, "total_tokens": total}


@dataclass(frozen=True, slots=True)
class Reply:
    """A whole answer of a built-in model, before it is written down. `pieces` joined are its text."""

    id: str
    model: str
    pieces: Sequence[str]
    finish_reason: str
    counts: Counts

    def as_completion(self) -> bytes:
        """The JSON form."""
        message = {"role": "assistant", "content": "".join(self.pieces), "refusal": None}
        choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": self.finish_reason}
        return _encode({**self._head("chat.completion"), "choices": [choice], "usage": self.counts.as_usage()})

    def as_events(self, *, with_usage: bool) -> Iterable[bytes]:
        """The events of the streamed form, one by one."""
        yield self._event({"role": "assistant", "content": ""}, None, with_usage)
        for piece in self.pieces:
            yield self._event({"content": piece}, None, with_usage)
        yield self._event({}, self.finish_reason, with_usage)
        if with_usage:
            yield event({**self._head("chat.completion.chunk"), "choices": [], "usage": self.counts.as_usage()})
        yield DONE

    def _head(self, kind: str) -> dict[str, Any]:
        return {"id": self.id, "object": kind, "created": 0, "model": self.model}

    def _event(self, delta: Mapping[str, str], finish_reason: str | None, with_usage: bool) -> bytes:  # noqa: FBT001 -- private
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish_reason}
        extra = {"usage": None} if with_usage else {}
        return event({**self._head("chat.completion.chunk"), "choices": [choice], **extra})


def event(value: Mapping[str, Any]) -> bytes:
    """One server-sent event."""
    return b"data: " + _encode(value) + b"\n\n"


def error_body(
    message: str, kind: str = "invalid_request_error", code: str | None = None, param: str | None = None
) -> bytes:
    """An error with all four keys."""
    return _encode({"error": {"message": message, "type": kind, "param": param, "code": code}})


class LocalAnswer:
    """A streamed answer made in this process; see contract.Answer."""

    def __init__(self, status: int, headers: Headers, pieces: AsyncIterator[bytes]) -> None:
        self.status = status
        self.headers = headers
        self.complete = False
        self._pieces = pieces

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> bytes:
        try:
            return await anext(self._pieces)
        except StopAsyncIteration:
            self.complete = True
            raise

    async def read(self, limit: int) -> bytes:
        """The whole body."""
        body = b"".join([piece async for piece in self])
        if len(body) > limit:
            raise UpstreamError(f"A built-in model answered with more than {limit} bytes.")
        return body

    def abort(self) -> None:
        """Nothing goes on by itself: a generator that is not asked does no work."""


async def paced(events: Iterable[bytes], first_s: float = 0.0, between_s: float = 0.0) -> AsyncIterator[bytes]:
    """Events with delays before the first and between them, in seconds."""
    pause_s = first_s
    for each in events:
        if pause_s > 0:
            await asyncio.sleep(pause_s)
        pause_s = between_s
        yield each

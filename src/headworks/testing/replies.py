"""What a simulated provider answers, down to the bytes and to how the connection ends."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal, Self

End = Literal["clean", "cut", "hang"]
"""How an answer ends: as HTTP wants it, by closing the connection in the middle, or not at all."""

_JSON = {"content-type": "application/json"}
_EVENTS = {"content-type": "text/event-stream; charset=utf-8"}


@dataclass(frozen=True, slots=True)
class Reply:
    """One answer. `pieces` are written one by one, `gap_s` apart, the first after `delay_s`.

    `is_chunked`: by chunked transfer coding, else with a content-length. `status` 0: nothing is written at all.
    """

    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    pieces: tuple[bytes, ...] = ()
    is_chunked: bool = False
    delay_s: float = 0.0
    gap_s: float = 0.0
    end: End = "clean"

    @classmethod
    def json(cls, value: Any, status: int = 200, **headers: str) -> Self:  # noqa: ANN401 -- any JSON value
        """A JSON body; underscores in the names of headers stand for hyphens."""
        return cls(status, {**_JSON, **_named(headers)}, (json.dumps(value).encode(),))

    @classmethod
    def raw(cls, body: bytes, status: int = 200, content_type: str = "application/json", **headers: str) -> Self:
        """These very bytes."""
        return cls(status, {"content-type": content_type, **_named(headers)}, (body,))

    @classmethod
    def html(cls, status: int = 200) -> Self:
        """A web page where JSON was expected."""
        return cls.raw(b"<html><body>Bad gateway</body></html>", status, "text/html")

    @classmethod
    def error(cls, status: int, message: str = "A simulated failure.", code: str = "simulated", **headers: str) -> Self:
        """An OpenAI-shaped error."""
        body = {"error": {"message": message, "type": "server_error", "param": None, "code": code}}
        return cls.json(body, status, **headers)

    @classmethod
    def events(
        cls, events: Sequence[bytes | str | dict[str, Any]], *, gap_s: float = 0.0, end: End = "clean", **headers: str
    ) -> Self:
        """A stream: bytes as they are, dictionaries and texts as the data of an event."""
        return cls(
            200, {**_EVENTS, **_named(headers)}, tuple(map(_event, events)), is_chunked=True, gap_s=gap_s, end=end
        )

    @classmethod
    def silence(cls) -> Self:
        """The request is read, and nothing is ever answered."""
        return cls(status=0, end="hang")

    @classmethod
    def hang_up(cls) -> Self:
        """The connection is closed without an answer."""
        return cls(status=0, end="cut")

    def after(self, delay_s: float) -> Reply:
        """The same, later."""
        return replace(self, delay_s=delay_s)


def chunk(content: str | None = None, finish_reason: str | None = None, **more: Any) -> dict[str, Any]:  # noqa: ANN401 -- any JSON value
    """One chunk of a streamed chat completion; `more` are other members of the delta."""
    delta = {**({} if content is None else {"content": content}), **more}
    choice = {"index": 0, "delta": delta, "finish_reason": finish_reason}
    return {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": [choice]}


def completion(content: str, finish_reason: str | None = "stop", **more: Any) -> dict[str, Any]:  # noqa: ANN401 -- any JSON value
    """A whole chat completion; `more` are other members of the answer."""
    message = {"role": "assistant", "content": content, "refusal": None}
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 1,
        "model": "m",
        "choices": [{"index": 0, "message": message, "logprobs": None, "finish_reason": finish_reason}],
        "usage": {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15},
        **more,
    }


def streamed(*contents: str, finish_reason: str | None = "stop", usage: dict[str, Any] | None = None) -> list[Any]:
    """The events of a whole stream: a role, the contents, the end, perhaps usage, `[DONE]`."""
    events: list[Any] = [chunk("", role="assistant"), *map(chunk, contents), chunk(finish_reason=finish_reason)]
    if usage is not None:
        events.append({**chunk(), "choices": [], "usage": usage})
    return [*events, "[DONE]"]


def _event(value: bytes | str | dict[str, Any]) -> bytes:
    if isinstance(value, bytes):
        return value
    text = value if isinstance(value, str) else json.dumps(value)
    return f"data: {text}\n\n".encode()


def _named(headers: Mapping[str, str]) -> dict[str, str]:
    return {name.replace("_", "-"): value for name, value in headers.items()}

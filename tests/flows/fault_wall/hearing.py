"""What a caller hears: an answer in its format, read by a parser of our own that shares nothing with the product."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from wire_scripts import REASONS

END_OF_EVENT = re.compile(rb"\r\n\r\n|\n\n|\r\r")
_END_OF_LINE = re.compile(r"\r\n|\n|\r")
_MESSAGES_REASONS = {theirs: ours for ours, theirs in REASONS["messages"].items()} | {
    "model_context_window_exceeded": "length"
}
_INCOMPLETE = {"max_output_tokens": "length", "content_filter": "content_filter"}


@dataclass
class Heard:
    """An answer as its caller understands it."""

    text: str = ""
    reason: str | None = None
    """Why it ended, in our words, if it says so."""
    is_done: bool = False
    """Whether the last event of the format was there."""
    error: dict[str, Any] | None = None
    """The error object, wherever the format has it."""
    error_data: str = ""
    """The data of the event that held it, or the body."""
    counts: tuple[int, int] | None = None
    unread: list[str] = field(default_factory=list)
    """Events that are no JSON."""
    wrong: list[str] = field(default_factory=list)
    """What no client should be sent, e.g. text after the last event."""

    def add(self, text: str) -> None:
        if self.is_done or self.error is not None:
            self.wrong.append(f"text after the end: {text[:40]!r}")
        elif self.reason is not None:
            self.wrong.append(f"text after the finish reason: {text[:40]!r}")
        else:
            self.text += text

    def count(self, value: Any, *names: str) -> None:
        usage = value.get("usage") or {}
        read, written = (usage.get(name) for name in names)
        if isinstance(read, int) and isinstance(written, int):
            self.counts = read, written

    def fail(self, error: Any, data: str) -> None:
        if self.error is not None:
            self.wrong.append("a second error")
        self.error, self.error_data = error if isinstance(error, dict) else {"message": error}, data

    def stop(self, reason: str | None) -> None:
        if reason is None:
            return
        if self.error is not None:
            self.wrong.append("a finish reason after the error")
        self.reason = reason


Hear = Callable[[Heard, str, Any, str], None]
"""Takes in one event: its name, its JSON, its data."""


def events_of(body: bytes) -> tuple[list[tuple[str, str]], bytes]:
    """Name and data of each whole event that has data, and what is left without an end."""
    found, at = [], 0
    for end in END_OF_EVENT.finditer(body):
        name, data = "", []
        for line in _END_OF_LINE.split(body[at : end.start()].decode("utf-8", "replace")):
            key, _, value = line.partition(":")
            if key == "event":
                name = value.removeprefix(" ")
            elif key == "data":
                data.append(value.removeprefix(" "))
        at = end.end()
        if data:
            found.append((name, "\n".join(data)))
    return found, body[at:]


def hear_stream(body: bytes, hear: Hear) -> Heard:
    """A stream."""
    heard = Heard()
    events, rest = events_of(body)
    for name, data in events:
        if data == "[DONE]":
            heard.is_done = True
            continue
        if heard.is_done:
            break  # a client has stopped listening
        try:
            value = json.loads(data)
        except ValueError:
            heard.unread.append(data)
            continue
        hear(heard, name, value, data)
    if rest.strip():
        heard.unread.append(rest.decode("utf-8", "replace"))
    return heard


def hear_chat(heard: Heard, name: str, value: Any, data: str) -> None:
    """One event of Chat Completions."""
    del name
    if value.get("error"):
        heard.fail(value["error"], data)
        return
    for choice in value.get("choices", ()):
        delta = choice.get("delta") or {}
        if delta.get("content"):
            heard.add(delta["content"])
        for call in delta.get("tool_calls") or ():
            heard.add(call["function"]["arguments"])
        heard.stop(choice["finish_reason"])
    heard.count(value, "prompt_tokens", "completion_tokens")


def hear_completions(heard: Heard, name: str, value: Any, data: str) -> None:
    """One event of Completions."""
    del name
    if value.get("error"):
        heard.fail(value["error"], data)
        return
    for choice in value.get("choices", ()):
        if choice["text"]:
            heard.add(choice["text"])
        heard.stop(choice["finish_reason"])
    heard.count(value, "prompt_tokens", "completion_tokens")


def hear_messages(heard: Heard, name: str, value: Any, data: str) -> None:
    """One event of Messages."""
    kind = value.get("type")
    if name != kind:
        heard.wrong.append(f"event {name!r} says that it is {kind!r}")
    if kind == "error":
        heard.fail(value["error"], data)
    elif kind == "content_block_delta":
        heard.add(value["delta"].get("text") or value["delta"].get("partial_json") or "")
    elif kind == "message_delta":
        reason = value["delta"].get("stop_reason")
        heard.stop(_MESSAGES_REASONS.get(reason, reason))
        heard.count(value, "input_tokens", "output_tokens")
    elif kind == "message_stop":
        heard.is_done = True


def hear_responses(heard: Heard, name: str, value: Any, data: str) -> None:
    """One event of Responses."""
    kind = value.get("type")
    if name != kind:
        heard.wrong.append(f"event {name!r} says that it is {kind!r}")
    if kind == "error":
        heard.fail(value, data)
    elif kind in {"response.output_text.delta", "response.function_call_arguments.delta"}:
        heard.add(value["delta"])
    elif kind in {"response.completed", "response.incomplete", "response.failed"}:
        heard.is_done = True
        _end_of_response(heard, value["response"], data)


def _end_of_response(heard: Heard, response: Any, data: str) -> None:
    if response["status"] == "failed":
        heard.fail(response.get("error"), data)
    elif response["status"] == "incomplete":
        heard.stop(_INCOMPLETE[response["incomplete_details"]["reason"]])
    else:
        is_call = any(item["type"] == "function_call" for item in response["output"])
        heard.stop("tool_calls" if is_call else "stop")
    heard.count(response, "input_tokens", "output_tokens")


def hear_whole(surface: str, body: bytes) -> Heard:
    """A whole answer, or a whole error."""
    heard = Heard()
    try:
        value = json.loads(body)
    except ValueError:
        heard.unread.append(body[:200].decode("utf-8", "replace"))
        return heard
    if not isinstance(value, dict) or value.get("error"):
        heard.fail(value["error"] if isinstance(value, dict) else value, body.decode())
        return heard
    _WHOLE[surface](heard, value)
    return heard


def _whole_chat(heard: Heard, value: Any) -> None:
    for choice in value["choices"]:
        heard.add(choice["message"]["content"] or "")
        heard.stop(choice["finish_reason"])
    heard.count(value, "prompt_tokens", "completion_tokens")


def _whole_completions(heard: Heard, value: Any) -> None:
    for choice in value["choices"]:
        heard.add(choice["text"])
        heard.stop(choice["finish_reason"])
    heard.count(value, "prompt_tokens", "completion_tokens")


def _whole_embeddings(heard: Heard, value: Any) -> None:
    heard.stop("stop" if value["data"] else None)


def _whole_messages(heard: Heard, value: Any) -> None:
    for block in value["content"]:
        heard.add(block.get("text", ""))
    heard.stop(_MESSAGES_REASONS.get(value["stop_reason"]))
    heard.count(value, "input_tokens", "output_tokens")


def _whole_responses(heard: Heard, value: Any) -> None:
    for item in value["output"]:
        for part in item.get("content", ()):
            heard.add(part["text"])
    _end_of_response(heard, value, "")


_WHOLE: dict[str, Callable[[Heard, Any], None]] = {
    "chat": _whole_chat,
    "completions": _whole_completions,
    "embeddings": _whole_embeddings,
    "messages": _whole_messages,
    "responses": _whole_responses,
}
STREAMED: dict[str, Hear] = {
    "chat": hear_chat,
    "completions": hear_completions,
    "messages": hear_messages,
    "responses": hear_responses,
}

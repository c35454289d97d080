"""What a provider of each format says, byte for byte, as the vendors document it. Standard library only.

A script belongs to one request, since some formats number their events or repeat the text at the end. `token` events
carry text; everything else is told apart by name, so that a fault can stop, twist or repeat any part of an answer.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, Protocol

from converse_script import Converse

REASONS = {
    "chat": {"stop": "stop", "length": "length", "content_filter": "content_filter", "tool_calls": "tool_calls"},
    "gemini": {"stop": "STOP", "length": "MAX_TOKENS", "content_filter": "SAFETY"},
    "messages": {"stop": "end_turn", "length": "max_tokens", "content_filter": "refusal", "tool_calls": "tool_use"},
}
"""Why an answer ended, in our words and in the format's; Responses says it by other means."""

ERRORS: dict[int, tuple[str, str]] = {
    400: ("invalid_request_error", "invalid_value"),
    401: ("authentication_error", "invalid_api_key"),
    403: ("permission_error", "permission_denied"),
    404: ("invalid_request_error", "model_not_found"),
    408: ("timeout_error", "request_timeout"),
    409: ("conflict_error", "conflict"),
    413: ("invalid_request_error", "request_too_large"),
    422: ("invalid_request_error", "unprocessable"),
    429: ("rate_limit_error", "rate_limit_exceeded"),
    500: ("server_error", "internal_error"),
    502: ("server_error", "bad_gateway"),
    503: ("server_error", "service_unavailable"),
    504: ("server_error", "gateway_timeout"),
    529: ("overloaded_error", "overloaded"),
}
"""Type and code of a provider's error by its status."""

Counts = tuple[int, int]
"""Tokens of input and output."""


class Script(Protocol):
    """One request's words."""

    def whole(self, tokens: Sequence[str], counts: Counts | None, reason: str = "stop") -> bytes:
        """The answer at once; without counts, nothing is said about usage."""
        ...

    def nothing(self) -> bytes:
        """The answer of the right shape that answers nothing."""
        ...

    def opening(self) -> bytes:
        """Events that say nothing yet."""
        ...

    def token(self, text: str, *, as_call: bool = False) -> bytes:
        """An event with a piece of text, or of a tool call's arguments."""
        ...

    def finish(self, reason: str = "stop", counts: Counts | None = None) -> bytes:
        """The events that say why the answer ended."""
        ...

    def usage(self, counts: Counts | None) -> bytes:
        """The event that has the counts, where that is one of its own; None: it says null."""
        ...

    def terminal(self) -> bytes:
        """The event after which nothing comes."""
        ...

    def error_event(self, kind: str, code: str) -> bytes:
        """An error in the middle of a stream."""
        ...

    def error_body(self, status: int, code: str | None = None) -> bytes:
        """The body of an error status."""
        ...


def _json(value: Any) -> bytes:
    """With blanks, so that who writes it anew is found out."""
    return json.dumps(value, ensure_ascii=False).encode()


class Chat:
    """Chat Completions. `asked_usage`: the request wants the count, so every chunk has a `usage`."""

    _object, _chunk_object = "chat.completion", "chat.completion.chunk"

    def __init__(self, number: int, *, asked_usage: bool) -> None:
        self._head = {"id": f"chatcmpl-{number}", "created": 1790000000, "model": "m-2026-11-01"}
        self._asked_usage = asked_usage

    def whole(self, tokens: Sequence[str], counts: Counts | None, reason: str = "stop") -> bytes:
        message = {"role": "assistant", "content": "".join(tokens), "refusal": None, "x_odd": 12345678901234567890}
        choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": reason}
        usage = {} if counts is None else {"usage": _openai_usage(counts)}
        return _json({**self._head, "object": self._object, "choices": [choice], **usage, "x_new": [1.0, 2e3]})

    def nothing(self) -> bytes:
        return _json({**self._head, "object": self._object, "choices": []})

    def opening(self) -> bytes:
        return self._chunk([self._choice({"role": "assistant", "content": "", "refusal": None}, None)])

    def token(self, text: str, *, as_call: bool = False) -> bytes:
        if not as_call:
            return self._chunk([self._choice({"content": text}, None)])
        call = {"index": 0, "id": "call_1", "type": "function", "function": {"name": "look_up", "arguments": text}}
        return self._chunk([self._choice({"tool_calls": [call]}, None)])

    def finish(self, reason: str = "stop", counts: Counts | None = None) -> bytes:
        return self._chunk([self._choice({}, reason)], counts)

    def usage(self, counts: Counts | None) -> bytes:
        return self._chunk([], counts, has_usage=True)

    def terminal(self) -> bytes:
        return b"data: [DONE]\n\n"

    def error_event(self, kind: str, code: str) -> bytes:
        error = {"message": "The engine gave up.", "type": kind, "param": None, "code": code, "x_node": "n7"}
        return b"data: " + _json({"error": error}) + b"\n\n"

    def error_body(self, status: int, code: str | None = None) -> bytes:
        return _openai_error(status, code)

    @staticmethod
    def _choice(delta: dict[str, Any], reason: str | None) -> dict[str, Any]:
        return {"index": 0, "delta": delta, "logprobs": None, "finish_reason": reason}

    def _chunk(self, choices: list[Any], counts: Counts | None = None, *, has_usage: bool = False) -> bytes:
        usage: dict[str, Any] = {}
        if counts is not None:
            usage = {"usage": _openai_usage(counts)}
        elif has_usage or self._asked_usage:
            usage = {"usage": None}
        value = {**self._head, "object": self._chunk_object, "choices": choices, "x_new": 1.50, **usage}
        return b"data: " + _json(value) + b"\n\n"


class Completions(Chat):
    """Completions: the same chunks, with a text in the place of a message."""

    _object = _chunk_object = "text_completion"

    def whole(self, tokens: Sequence[str], counts: Counts | None, reason: str = "stop") -> bytes:
        usage = {} if counts is None else {"usage": _openai_usage(counts)}
        choice = {**self._choice({"content": "".join(tokens)}, reason), "x_odd": 12345678901234567890}
        return _json({**self._head, "object": self._object, "choices": [choice], **usage, "x_new": [1.0, 2e3]})

    @staticmethod
    def _choice(delta: dict[str, Any], reason: str | None) -> dict[str, Any]:
        return {"text": delta.get("content", ""), "index": 0, "logprobs": None, "finish_reason": reason}


class Embeddings:
    """Embeddings: never streamed, so it has only whole answers."""

    def __init__(self, number: int) -> None:
        self._number = number

    def whole(self, tokens: Sequence[str], counts: Counts | None, reason: str = "stop") -> bytes:
        del reason
        rows = [{"object": "embedding", "index": i, "embedding": [0.5, -0.25, i + 0.0]} for i in range(len(tokens))]
        usage = {} if counts is None else {"usage": {"prompt_tokens": counts[0], "total_tokens": counts[0]}}
        return _json({"object": "list", "data": rows, "model": "e-2026", **usage, "x_request": self._number})

    def nothing(self) -> bytes:
        return _json({"object": "list", "data": [], "model": "e-2026"})

    def error_body(self, status: int, code: str | None = None) -> bytes:
        return _openai_error(status, code)

    def opening(self) -> bytes:
        raise NotImplementedError

    def token(self, text: str, *, as_call: bool = False) -> bytes:
        raise NotImplementedError

    def finish(self, reason: str = "stop", counts: Counts | None = None) -> bytes:
        raise NotImplementedError

    def usage(self, counts: Counts | None) -> bytes:
        raise NotImplementedError

    def terminal(self) -> bytes:
        raise NotImplementedError

    def error_event(self, kind: str, code: str) -> bytes:
        raise NotImplementedError


class Messages:
    """Anthropic's Messages. Its usage stands in the first event and in the one with the stop reason."""

    def __init__(self, number: int, read: int) -> None:
        self._id = f"msg_{number}"
        self._read = read
        self._has_block = False

    def whole(self, tokens: Sequence[str], counts: Counts | None, reason: str = "stop") -> bytes:
        usage = {} if counts is None else {"usage": {"input_tokens": counts[0], "output_tokens": counts[1]}}
        content = [{"type": "text", "text": "".join(tokens), "citations": None}]
        stop = {"stop_reason": REASONS["messages"][reason], "stop_sequence": None}
        return _json({**self._head(), "content": content, **stop, **usage, "x_new": 12345678901234567890})

    def nothing(self) -> bytes:
        return _json({**self._head(), "content": [], "stop_reason": None, "stop_sequence": None})

    def opening(self) -> bytes:
        usage = {"input_tokens": self._read, "cache_read_input_tokens": 0, "output_tokens": 1}
        message = {**self._head(), "content": [], "stop_reason": None, "stop_sequence": None, "usage": usage}
        return _named("message_start", {"message": message}) + _named("ping", {})

    def token(self, text: str, *, as_call: bool = False) -> bytes:
        opened = b"" if self._has_block else self._open_block(as_call=as_call)
        delta = {"type": "input_json_delta", "partial_json": text} if as_call else {"type": "text_delta", "text": text}
        return opened + _named("content_block_delta", {"index": 0, "delta": delta})

    def finish(self, reason: str = "stop", counts: Counts | None = None) -> bytes:
        closed = _named("content_block_stop", {"index": 0}) if self._has_block else b""
        delta = {"stop_reason": REASONS["messages"][reason], "stop_sequence": None}
        usage = {} if counts is None else {"usage": {"input_tokens": counts[0], "output_tokens": counts[1]}}
        return closed + _named("message_delta", {"delta": delta, **usage})

    def usage(self, counts: Counts | None) -> bytes:
        usage = None if counts is None else {"input_tokens": counts[0], "output_tokens": counts[1]}
        return _named("message_delta", {"delta": {}, "usage": usage})

    def terminal(self) -> bytes:
        return _named("message_stop", {})

    def error_event(self, kind: str, code: str) -> bytes:
        return _named("error", {"error": {"type": kind, "message": f"The engine gave up: {code}."}})

    def error_body(self, status: int, code: str | None = None) -> bytes:
        kind, usual = ERRORS[status]
        kind = "not_found_error" if status == 404 else kind
        error = {"type": kind, "message": f"No: {code or usual}."}
        return _json({"type": "error", "error": error, "request_id": "req_1"})

    def _head(self) -> dict[str, Any]:
        return {"id": self._id, "type": "message", "role": "assistant", "model": "m-2026-11-01"}

    def _open_block(self, *, as_call: bool) -> bytes:
        self._has_block = True
        block: dict[str, Any] = {"type": "text", "text": ""}
        if as_call:
            block = {"type": "tool_use", "id": "toolu_1", "name": "look_up", "input": {}}
        return _named("content_block_start", {"index": 0, "content_block": block})


class Responses:
    """OpenAI's Responses. Only `response.completed` and its kin end an answer, and repeat all of it."""

    def __init__(self, number: int) -> None:
        self._id = f"resp_{number}"
        self._sequence = -1
        self._texts: list[str] = []
        self._is_call = False
        self._reason = "stop"
        self._counts: Counts | None = None

    def whole(self, tokens: Sequence[str], counts: Counts | None, reason: str = "stop") -> bytes:
        self._texts, self._counts, self._reason = list(tokens), counts, reason
        return _json(self._response(self._status()))

    def nothing(self) -> bytes:
        return _json({**self._response("completed"), "output": []})

    def opening(self) -> bytes:
        started = self._response("in_progress")
        return self._event("response.created", response=started) + self._event("response.in_progress", response=started)

    def token(self, text: str, *, as_call: bool = False) -> bytes:
        self._is_call = as_call
        opened = b"" if self._texts else self._open_item()
        self._texts.append(text)
        kind = "response.function_call_arguments.delta" if as_call else "response.output_text.delta"
        place = {"item_id": "it_1", "output_index": 0} | ({} if as_call else {"content_index": 0, "logprobs": []})
        return opened + self._event(kind, **place, delta=text)

    def finish(self, reason: str = "stop", counts: Counts | None = None) -> bytes:
        """The item is done; whether the response is, only `terminal` says."""
        self._reason = reason
        self._counts = counts or self._counts
        return self._event("response.output_item.done", output_index=0, item=self._item("completed"))

    def usage(self, counts: Counts | None) -> bytes:
        self._counts = counts
        return b""

    def terminal(self) -> bytes:
        status = self._status()
        return self._event(f"response.{status}", response=self._response(status))

    def error_event(self, kind: str, code: str) -> bytes:
        return self._event("error", code=code, message=f"The engine gave up: {kind}.", param=None)

    def error_body(self, status: int, code: str | None = None) -> bytes:
        return _openai_error(status, code)

    def _status(self) -> str:
        return "completed" if self._reason in {"stop", "tool_calls"} else "incomplete"

    def _open_item(self) -> bytes:
        return self._event("response.output_item.added", output_index=0, item=self._item("in_progress"))

    def _item(self, status: str) -> dict[str, Any]:
        text = "".join(self._texts)
        if self._is_call:
            call = {"call_id": "call_1", "name": "look_up", "arguments": text}
            return {"id": "it_1", "type": "function_call", "status": status, **call}
        content = [{"type": "output_text", "text": text, "annotations": [], "logprobs": []}] if text else []
        return {"id": "it_1", "type": "message", "role": "assistant", "status": status, "content": content}

    def _response(self, status: str) -> dict[str, Any]:
        value: dict[str, Any] = {"id": self._id, "object": "response", "created_at": 1790000000, "status": status}
        words = {"length": "max_output_tokens", "content_filter": "content_filter"}
        value["incomplete_details"] = {"reason": words[self._reason]} if status == "incomplete" else None
        value |= {"model": "m-2026-11-01", "error": None, "x_new": 12345678901234567890}
        value |= {"parallel_tool_calls": True, "tool_choice": "auto", "tools": []}
        value["output"] = [] if status == "in_progress" else [self._item("completed")]
        if self._counts is not None and status != "in_progress":
            read, written = self._counts
            details = {
                "input_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 0},
                "output_tokens_details": {"reasoning_tokens": 0},
            }
            totals = {"input_tokens": read, "output_tokens": written, "total_tokens": read + written}
            value["usage"] = totals | details
        return value

    def _event(self, kind: str, **value: Any) -> bytes:
        self._sequence += 1
        return _named(kind, {"sequence_number": self._sequence, **value})


class Gemini:
    """Google's generateContent: no names, no last event; the reason and the counts stand in the last chunk."""

    def __init__(self, number: int) -> None:
        self._head = {"responseId": f"g{number}", "modelVersion": "g-2026-11-01", "x_new": 1.5}

    def whole(self, tokens: Sequence[str], counts: Counts | None, reason: str = "stop") -> bytes:
        return _json(self._chunk(["".join(tokens)], reason, counts))

    def nothing(self) -> bytes:
        return _json({**self._head, "candidates": []})

    def opening(self) -> bytes:
        return b"data: " + _json(self._chunk([])) + b"\n\n"

    def token(self, text: str, *, as_call: bool = False) -> bytes:
        if as_call:
            raise NotImplementedError
        return b"data: " + _json(self._chunk([text])) + b"\n\n"

    def finish(self, reason: str = "stop", counts: Counts | None = None) -> bytes:
        return b"data: " + _json(self._chunk([], reason, counts)) + b"\n\n"

    def usage(self, counts: Counts | None) -> bytes:
        del counts
        return b""

    def terminal(self) -> bytes:
        return b""

    def error_event(self, kind: str, code: str) -> bytes:
        status = 429 if kind == "rate_limit_error" else 500
        return b"data: " + self.error_body(status, code) + b"\n\n"

    def error_body(self, status: int, code: str | None = None) -> bytes:
        _, usual = ERRORS[status]
        error = {"code": status, "message": f"No: {code or usual}.", "status": _GOOGLE.get(status, "UNKNOWN")}
        return _json({"error": error})

    def _chunk(self, texts: list[str], reason: str | None = None, counts: Counts | None = None) -> dict[str, Any]:
        candidate: dict[str, Any] = {"index": 0, "content": {"role": "model", "parts": [{"text": t} for t in texts]}}
        if reason is not None:
            candidate["finishReason"] = REASONS["gemini"][reason]
        value: dict[str, Any] = {"candidates": [candidate], **self._head}
        if counts is not None:
            read, written = counts
            total = {"promptTokenCount": read, "candidatesTokenCount": written, "totalTokenCount": read + written}
            value["usageMetadata"] = total
        return value


_GOOGLE = {
    400: "INVALID_ARGUMENT",
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    409: "ABORTED",
    429: "RESOURCE_EXHAUSTED",
    500: "INTERNAL",
    503: "UNAVAILABLE",
    504: "DEADLINE_EXCEEDED",
}
"""google.rpc's words for statuses."""


def _named(kind: str, value: dict[str, Any]) -> bytes:
    return b"event: " + kind.encode() + b"\ndata: " + _json({"type": kind, **value}) + b"\n\n"


def _openai_usage(counts: Counts) -> dict[str, Any]:
    read, written = counts
    return {
        "prompt_tokens": read,
        "completion_tokens": written,
        "total_tokens": read + written,
        "prompt_tokens_details": {"cached_tokens": 0},
    }


def _openai_error(status: int, code: str | None) -> bytes:
    kind, usual = ERRORS[status]
    error = {"message": "No, for this reason: …", "type": kind, "param": None, "code": code or usual, "x_odd": 1e2}
    return _json({"error": error})


_ENDINGS = {
    "/chat/completions": "chat",
    "/completions": "completions",
    "/embeddings": "embeddings",
    "/messages": "messages",
    "/responses": "responses",
    ":generateContent": "gemini",
    ":streamGenerateContent": "gemini",
    "/converse": "converse",
    "/converse-stream": "converse",
}


def script_for(path: str, number: int, read: int, *, asks_usage: bool) -> tuple[str, Script]:
    """The surface that a path belongs to, and the words for one request that has so many tokens of input."""
    surface = next(name for end, name in _ENDINGS.items() if path.partition("?")[0].endswith(end))
    made: dict[str, Script] = {
        "chat": Chat(number, asked_usage=asks_usage),
        "completions": Completions(number, asked_usage=asks_usage),
        "converse": Converse(),
        "embeddings": Embeddings(number),
        "gemini": Gemini(number),
        "messages": Messages(number, read),
        "responses": Responses(number),
    }
    return surface, made[surface]

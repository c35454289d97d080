"""What Amazon Bedrock says through Converse: JSON at once, or frames of its binary event stream. Standard library only.

The frames are made here and not by the product's own encoder, which would carry its mistakes into the proof.
"""

from __future__ import annotations

import json
import struct
import zlib
from collections.abc import Mapping, Sequence
from typing import Any

Counts = tuple[int, int]

STREAM_TYPE = "application/vnd.amazon.eventstream"
REASONS = {"stop": "end_turn", "length": "max_tokens", "content_filter": "content_filtered", "tool_calls": "tool_use"}
_STRING = 7
_STATUS_KINDS: Mapping[int, str] = {
    401: "UnrecognizedClientException",
    403: "AccessDeniedException",
    404: "ResourceNotFoundException",
    408: "ModelTimeoutException",
    409: "ConflictException",
    429: "ThrottlingException",
    503: "ServiceUnavailableException",
    529: "ServiceUnavailableException",
}
_EVENT_KINDS = {"rate_limit_error": "throttlingException", "overloaded_error": "serviceUnavailableException"}
_MESSAGES = {"context_length_exceeded": "Input is too long for requested model."}


def frame(headers: Mapping[str, str], payload: bytes) -> bytes:
    """One message: lengths and their CRC, headers, payload, and the CRC of it all."""
    block = b"".join(
        bytes((len(name),)) + name.encode() + struct.pack(">BH", _STRING, len(value)) + value.encode()
        for name, value in headers.items()
    )
    lengths = struct.pack(">II", len(block) + len(payload) + 16, len(block))
    return sealed(lengths + struct.pack(">I", zlib.crc32(lengths)) + block + payload)


def sealed(data: bytes) -> bytes:
    """A message with the CRC that fits it."""
    return data + struct.pack(">I", zlib.crc32(data))


def event(kind: str, value: Any) -> bytes:
    """An event, with the padding that hides how long its text is."""
    return event_of(kind, json.dumps({**value, "p": "abcdefghijklm"}, ensure_ascii=False).encode())


def event_of(kind: str, payload: bytes) -> bytes:
    """An event of any bytes."""
    return frame({":event-type": kind, ":content-type": "application/json", ":message-type": "event"}, payload)


def exception(kind: str, payload: bytes) -> bytes:
    """An error that the service's model knows, in the place of an event."""
    headers = {":exception-type": kind, ":content-type": "application/json", ":message-type": "exception"}
    return frame(headers, payload)


def error(code: str, message: str) -> bytes:
    """An error that the service's model does not know."""
    return frame({":message-type": "error", ":error-code": code, ":error-message": message}, b"")


def kind_of(status: int) -> str:
    """How Amazon names an error with that status."""
    return _STATUS_KINDS.get(status, "InternalServerException" if status >= 500 else "ValidationException")


def payload_of(data: bytes) -> bytes:
    """What a frame carries."""
    return data[12 + int.from_bytes(data[4:8], "big") : -4]


class Converse:
    """One request's words. The counts come in the last event, after the reason."""

    def __init__(self) -> None:
        self._has_block = False

    def whole(self, tokens: Sequence[str], counts: Counts | None, reason: str = "stop") -> bytes:
        message = {"role": "assistant", "content": [{"text": "".join(tokens)}]}
        usage = {} if counts is None else {"usage": _usage(counts)}
        value = {"output": {"message": message}, "stopReason": REASONS[reason], "metrics": {"latencyMs": 20}, **usage}
        return json.dumps(value, ensure_ascii=False).encode()

    def nothing(self) -> bytes:
        return b'{"output": {}, "metrics": {"latencyMs": 20}}'

    def opening(self) -> bytes:
        return event("messageStart", {"role": "assistant"})

    def token(self, text: str, *, as_call: bool = False) -> bytes:
        """A piece of text has no start of its own, a call has."""
        opened = b""
        if as_call and not self._has_block:
            called = {"toolUse": {"toolUseId": "tooluse_1", "name": "look_up"}}
            opened = event("contentBlockStart", {"contentBlockIndex": 0, "start": called})
        self._has_block = True
        delta = {"toolUse": {"input": text}} if as_call else {"text": text}
        return opened + event("contentBlockDelta", {"contentBlockIndex": 0, "delta": delta})

    def finish(self, reason: str = "stop", counts: Counts | None = None) -> bytes:
        del counts
        return self.stop(REASONS[reason])

    def stop(self, word: str) -> bytes:
        """The end of the block and of the message, for a reason in the format's own word."""
        closed = event("contentBlockStop", {"contentBlockIndex": 0}) if self._has_block else b""
        return closed + event("messageStop", {"stopReason": word})

    def usage(self, counts: Counts | None) -> bytes:
        usage = {} if counts is None else {"usage": _usage(counts)}
        return event("metadata", {**usage, "metrics": {"latencyMs": 20}})

    def terminal(self) -> bytes:
        return b""

    def error_event(self, kind: str, code: str) -> bytes:
        said = {"message": f"The engine gave up: {code}."}
        return exception(_EVENT_KINDS.get(kind, "internalServerException"), json.dumps(said).encode())

    def error_body(self, status: int, code: str | None = None) -> bytes:
        return json.dumps({"message": _MESSAGES.get(code or "", f"No: {code or kind_of(status)}.")}).encode()


def _usage(counts: Counts) -> dict[str, Any]:
    read, written = counts
    return {"inputTokens": read, "outputTokens": written, "totalTokens": read + written, "serverToolUsage": {}}

"""What Google's Gemini API answers, as JSON: parts, whole answers, streams, blocks and errors.

provider.will(Reply.json(answer(thought("Hm."), text("Hello."))))
provider.will(stream(text("Hel"), text("lo."), gap_s=0.1))
provider.will(failure(429, retry_delay_s=7))
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from headworks.testing.replies import End, Reply

Json = dict[str, Any]

MODEL = "gemini-simulated"
_EVENTS = {"content-type": "text/event-stream"}
_STATUSES: Mapping[int, str] = {
    400: "INVALID_ARGUMENT",
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    429: "RESOURCE_EXHAUSTED",
    499: "CANCELLED",
    500: "INTERNAL",
    503: "UNAVAILABLE",
    504: "DEADLINE_EXCEEDED",
}


def text(said: str, *, signature: str | None = None) -> Json:
    """A part of the answer's text."""
    return {"text": said, **_signed(signature)}


def thought(said: str, *, signature: str | None = None) -> Json:
    """A part of a thought's summary."""
    return {"text": said, "thought": True, **_signed(signature)}


def call(name: str, args: Json, *, id: str | None = None, signature: str | None = None) -> Json:  # noqa: A002 -- the format's own word
    """A call of a function; only newer models give it an id."""
    given = {} if id is None else {"id": id}
    return {"functionCall": {**given, "name": name, "args": args}, **_signed(signature)}


def picture(data: str, media_type: str = "image/png") -> Json:
    """A picture, in base64."""
    return {"inlineData": {"mimeType": media_type, "data": data}}


def usage(prompt: int = 10, answer: int = 5, *, thoughts: int = 0, cached: int = 0) -> Json:
    """Counts as Google writes them: thoughts beside the answer, zeros not at all."""
    counted = {
        "promptTokenCount": prompt,
        "candidatesTokenCount": answer,
        "totalTokenCount": prompt + answer + thoughts,
        "thoughtsTokenCount": thoughts,
        "cachedContentTokenCount": cached,
        "promptTokensDetails": [{"modality": "TEXT", "tokenCount": prompt}],
    }
    return {name: value for name, value in counted.items() if value}


def answer(*parts: Json, finish_reason: str | None = "STOP", counts: Json | None = None, **more: Any) -> Json:  # noqa: ANN401 -- any JSON value
    """A whole answer; `more` are other members of the candidate."""
    candidate: Json = {"index": 0, **more}
    if parts:
        candidate["content"] = {"role": "model", "parts": list(parts)}
    if finish_reason is not None:
        candidate["finishReason"] = finish_reason
    return {"candidates": [candidate], "usageMetadata": counts or usage(), **_head()}


def blocked(reason: str = "SAFETY", message: str | None = None) -> Json:
    """What is answered, with status 200, to a prompt that was not let through."""
    said = {} if message is None else {"blockReasonMessage": message}
    return {"promptFeedback": {"blockReason": reason, **said}, "usageMetadata": usage(10, 0), **_head()}


def chunks(*parts: Json, finish_reason: str | None = "STOP", counts: Json | None = None) -> list[Json]:
    """The events of a stream: a part each, with what was counted so far, and the end in the last one."""
    count = max(len(parts), 1)
    told = [answer(part, finish_reason=None, counts=usage(10, at)) for at, part in enumerate(parts, 1)]
    if not told:
        told = [answer(finish_reason=None)]
    if finish_reason is not None:
        told[-1]["candidates"][0]["finishReason"] = finish_reason
    told[-1]["usageMetadata"] = counts or usage(10, count)
    return told


def event(chunk: Json) -> bytes:
    """One event as Google writes it, with CR LF."""
    return b"data: " + json.dumps(chunk).encode() + b"\r\n\r\n"


def events(told: Sequence[Json | bytes], *, gap_s: float = 0.0, end: End = "clean") -> Reply:
    """A stream of these chunks, bytes as they are."""
    pieces = tuple(each if isinstance(each, bytes) else event(each) for each in told)
    return Reply(200, _EVENTS, pieces, is_chunked=True, gap_s=gap_s, end=end)


def stream(*parts: Json, finish_reason: str | None = "STOP", gap_s: float = 0.0, end: End = "clean") -> Reply:
    """A stream of these parts, an event each."""
    return events(chunks(*parts, finish_reason=finish_reason), gap_s=gap_s, end=end)


def error(
    status: int, message: str = "A simulated failure.", *, retry_delay_s: float | None = None, reason: str | None = None
) -> Json:
    """The body of an error; `reason` is one of Google's, as `API_KEY_INVALID`."""
    details: list[Json] = []
    if reason is not None:
        domain = "googleapis.com"
        details.append({"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": reason, "domain": domain})
    if retry_delay_s is not None:
        details.append({"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": f"{retry_delay_s:g}s"})
    said: Json = {"code": status, "message": message, "status": _STATUSES.get(status, "UNKNOWN")}
    return {"error": {**said, "details": details} if details else said}


def failure(
    status: int, message: str = "A simulated failure.", *, retry_delay_s: float | None = None, reason: str | None = None
) -> Reply:
    """An error as an answer."""
    return Reply.json(error(status, message, retry_delay_s=retry_delay_s, reason=reason), status)


def _head() -> Json:
    return {"modelVersion": MODEL, "responseId": "simulated-1"}


def _signed(signature: str | None) -> Json:
    return {} if signature is None else {"thoughtSignature": signature}

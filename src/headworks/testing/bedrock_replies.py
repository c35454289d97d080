"""What Bedrock answers: content blocks, whole answers, streams of frames, and errors.

provider.will(answer(thought("Hm."), text("Hello.")))
provider.will(stream(text("Hello."), gap_s=0.1))
provider.will(frames(begun(), *told(0, text("Hello.")), exception("throttlingException", "Slow down.")))
provider.will(failure(429, "ThrottlingException"))
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from headworks.formats.event_stream import encode
from headworks.testing.replies import End, Reply

Json = dict[str, Any]

SIGNATURE = "EqQBCgIYAhIMc2ltdWxhdGVk"
REQUEST_ID = "9a1d0f6e-0000-4000-8000-000000000001"
_EVENTS = {"content-type": "application/vnd.amazon.eventstream", "x-amzn-requestid": REQUEST_ID}
_WORD = re.compile(r"\s*\S+|\s+$")
_KINDS: Mapping[int, str] = {
    400: "ValidationException",
    403: "AccessDeniedException",
    404: "ResourceNotFoundException",
    408: "ModelTimeoutException",
    424: "ModelErrorException",
    429: "ThrottlingException",
    503: "ServiceUnavailableException",
}


def text(said: str) -> Json:
    """A block of text."""
    return {"text": said}


def thought(said: str, signature: str | None = SIGNATURE) -> Json:
    """A block of reasoning; only Claude's is signed."""
    signed = {} if signature is None else {"signature": signature}
    return {"reasoningContent": {"reasoningText": {"text": said, **signed}}}


def hidden(data: bytes = b"simulated") -> Json:
    """Reasoning that only its model can read."""
    return {"reasoningContent": {"redactedContent": base64.b64encode(data).decode()}}


def call(name: str, given: Json, *, id: str = "tooluse_sim1") -> Json:  # noqa: A002 -- the format's own word
    """A call of one of the caller's tools."""
    return {"toolUse": {"toolUseId": id, "name": name, "input": given}}


def cited(said: str, quote: str, title: str = "Plan", document: int = 0, start: int = 0) -> Json:
    """A claim with the place in a document that supports it."""
    place = {"documentChar": {"documentIndex": document, "start": start, "end": start + len(quote)}}
    proof = {"title": title, "sourceContent": [{"text": quote}], "location": place}
    return {"citationsContent": {"content": [{"text": said}], "citations": [proof]}}


def picture(data: str, kind: str = "png") -> Json:
    """A picture, in base64."""
    return {"image": {"format": kind, "source": {"bytes": data}}}


def usage(given: int = 10, said: int = 5, *, cached: int = 0, written: int = 0, written_1h: int = 0) -> Json:
    """Counts as Bedrock writes them: `given` has in it neither what came from the cache nor what went into it."""
    counted: Json = {"inputTokens": given, "outputTokens": said, "serverToolUsage": {}}
    if cached or written or written_1h:
        counted |= {"cacheReadInputTokens": cached, "cacheWriteInputTokens": written + written_1h}
        details = (("1h", written_1h), ("5m", written))
        counted["cacheDetails"] = [{"ttl": ttl, "inputTokens": count} for ttl, count in details if count]
    return {**counted, "totalTokens": given + said + cached + written + written_1h}


def answer(*blocks: Json, stop_reason: str | None = None, counts: Json | None = None, **more: Any) -> Reply:  # noqa: ANN401 -- any JSON value
    """A whole answer; without a reason it stops for its calls, else because it is done."""
    body = {
        "metrics": {"latencyMs": 20},
        "output": {"message": {"content": list(blocks), "role": "assistant"}},
        "stopReason": stop_reason or _usual(blocks),
        "usage": counts or usage(),
        **more,
    }
    return Reply.json(body, x_amzn_requestid=REQUEST_ID)


def begun() -> bytes:
    """The frame that starts a stream."""
    return event("messageStart", {"role": "assistant"})


def told(index: int, block: Json) -> Iterator[bytes]:
    """The frames of one block: a start if it is a call or a picture, its deltas, its end."""
    start, deltas = _taken_apart(block)
    at = {"contentBlockIndex": index}
    if start is not None:
        yield event("contentBlockStart", {**at, "start": start})
    for each in deltas:
        yield event("contentBlockDelta", {**at, "delta": each})
    yield event("contentBlockStop", at)


def ended(stop_reason: str = "end_turn", counts: Json | None = None, **more: Any) -> Iterator[bytes]:  # noqa: ANN401 -- any JSON value
    """The last two frames; the counts come behind the stop."""
    yield event("messageStop", {"stopReason": stop_reason, **more})
    yield event("metadata", {"metrics": {"latencyMs": 20}, "usage": counts or usage()})


def spoken(*blocks: Json, stop_reason: str | None = None, counts: Json | None = None) -> list[bytes]:
    """All frames of a stream, texts cut at their words."""
    inner = [each for index, block in enumerate(blocks) for each in told(index, block)]
    return [begun(), *inner, *ended(stop_reason or _usual(blocks), counts)]


def event(kind: str, payload: Json) -> bytes:
    """One frame as Bedrock writes it: padded, so that its length does not tell what it says."""
    padded = json.dumps({**payload, "p": "abcdefghijkl"}, separators=(",", ":")).encode()
    return encode({":event-type": kind, ":content-type": "application/json", ":message-type": "event"}, padded)


def exception(kind: str, message: str = "A simulated failure.", **more: Any) -> bytes:  # noqa: ANN401 -- any JSON value
    """An error in the place of a frame; `kind` begins in lower case here."""
    headers = {":exception-type": kind, ":content-type": "application/json", ":message-type": "exception"}
    return encode(headers, json.dumps({"message": message, **more}).encode())


def frames(*pieces: bytes, gap_s: float = 0.0, end: End = "clean") -> Reply:
    """A stream of these frames."""
    return Reply(200, _EVENTS, pieces, is_chunked=True, gap_s=gap_s, end=end)


def stream(*blocks: Json, stop_reason: str | None = None, gap_s: float = 0.0, end: End = "clean") -> Reply:
    """A stream of these blocks."""
    return frames(*spoken(*blocks, stop_reason=stop_reason), gap_s=gap_s, end=end)


def failure(status: int, kind: str | None = None, message: str = "A simulated failure.", **headers: str) -> Reply:
    """An error as an answer: its kind stands in a header."""
    named = kind or _KINDS.get(status, "InternalServerException")
    head = {"x_amzn_errortype": f"{named}:http://internal.amazon.com/coral/", "x_amzn_requestid": REQUEST_ID}
    return Reply.json({"message": message}, status, **head, **headers)


def _usual(blocks: tuple[Json, ...]) -> str:
    return "tool_use" if any("toolUse" in block for block in blocks) else "end_turn"


def _taken_apart(block: Json) -> tuple[Json | None, list[Json]]:
    """How a block starts, and its deltas."""
    kind, inside = next(iter(block.items()))
    match kind:
        case "text":
            return None, [{"text": each} for each in _WORD.findall(inside)]
        case "toolUse":
            given = json.dumps(inside["input"])
            start = {name: value for name, value in inside.items() if name != "input"}
            return {"toolUse": start}, [{"toolUse": {"input": each}} for each in (given[:4], given[4:])]
        case "reasoningContent" if "reasoningText" in inside:
            said = inside["reasoningText"]
            words = [{"reasoningContent": {"text": each}} for each in _WORD.findall(said["text"])]
            signed = [{"reasoningContent": {"signature": said["signature"]}}] if "signature" in said else []
            return None, [*words, *signed]
        case "citationsContent":
            words = [{"text": each["text"]} for each in inside["content"]]
            return None, [*words, *({"citation": each} for each in inside["citations"])]
        case "image":
            return {"image": {"format": inside["format"]}}, [{"image": {"source": inside["source"]}}]
    return None, [block]

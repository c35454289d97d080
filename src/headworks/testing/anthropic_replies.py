"""What Anthropic's API answers, as JSON: blocks, whole messages, streams and errors.

provider.will(Reply.json(message(thought("Hm."), text("Hello."))))
provider.will(stream(text("Hello."), gap_s=0.1))
provider.will(events(begun(), ping(), error("overloaded_error", "Overloaded")))
provider.will(failure(529))
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from headworks.testing.replies import End, Reply

Json = dict[str, Any]

MODEL = "claude-simulated"
SIGNATURE = "EqQBCgIYAhIMc2ltdWxhdGVk"
"""The signature of every simulated thought; the simulated server takes back no other."""

_WORD = re.compile(r"\s*\S+|\s+$")
_KINDS: Mapping[int, str] = {
    400: "invalid_request_error",
    401: "authentication_error",
    402: "billing_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    504: "timeout_error",
    529: "overloaded_error",
}


def text(said: str, *citations: Json) -> Json:
    """A block of text."""
    return {"type": "text", "text": said, "citations": list(citations) or None}


def citation(quote: str, document: int = 0, start: int = 0, title: str | None = None) -> Json:
    """A citation by the characters of a document."""
    return {
        "type": "char_location",
        "cited_text": quote,
        "document_index": document,
        "document_title": title,
        "start_char_index": start,
        "end_char_index": start + len(quote),
        "file_id": None,
    }


def thought(said: str, signature: str = SIGNATURE) -> Json:
    """A block of thinking."""
    return {"type": "thinking", "thinking": said, "signature": signature}


def hidden(data: str = SIGNATURE) -> Json:
    """A thought that only Anthropic can read."""
    return {"type": "redacted_thinking", "data": data}


def call(name: str, given: Json, *, id: str = "toolu_sim1") -> Json:  # noqa: A002 -- the format's own word
    """A call of one of the caller's tools."""
    return {"type": "tool_use", "id": id, "name": name, "input": given, "caller": {"type": "direct"}}


def search(query: str, *, id: str = "srvtoolu_sim1") -> tuple[Json, Json]:  # noqa: A002 -- as `call`
    """A search that Anthropic runs itself, and what it found."""
    direct = {"type": "direct"}
    found = {
        "type": "web_search_result",
        "url": "https://example.org/",
        "title": "Found",
        "encrypted_content": SIGNATURE,
        "page_age": None,
    }
    asked = {"type": "server_tool_use", "id": id, "name": "web_search", "input": {"query": query}, "caller": direct}
    return asked, {"type": "web_search_tool_result", "tool_use_id": id, "content": [found], "caller": direct}


def usage(given: int = 10, said: int = 5, *, cached: int = 0, written: int = 0, written_1h: int = 0) -> Json:
    """Counts as Anthropic writes them: `given` has in it neither what came from the cache nor what went into it."""
    return {
        "input_tokens": given,
        "cache_creation_input_tokens": written + written_1h,
        "cache_read_input_tokens": cached,
        "cache_creation": {"ephemeral_5m_input_tokens": written, "ephemeral_1h_input_tokens": written_1h},
        "output_tokens": said,
        "service_tier": "standard",
    }


def message(*blocks: Json, stop_reason: str | None = None, counts: Json | None = None, **more: Any) -> Json:  # noqa: ANN401 -- any JSON value
    """A whole message; without a reason it stops for its calls, else because it is done."""
    return {
        "id": "msg_sim1",
        "type": "message",
        "role": "assistant",
        "model": MODEL,
        "content": list(blocks),
        "stop_reason": stop_reason or _usual(blocks),
        "stop_sequence": None,
        "usage": counts or usage(),
        **more,
    }


def begun(counts: Json | None = None) -> Json:
    """The event that starts a stream."""
    start = {**message(counts={**(counts or usage()), "output_tokens": 1}), "stop_reason": None}
    return {"type": "message_start", "message": start}


def ping() -> Json:
    """An event that says nothing."""
    return {"type": "ping"}


def told(index: int, block: Json) -> Iterator[Json]:
    """The events of one block: its opening, its deltas, its end."""
    empty, deltas = _taken_apart(block)
    yield {"type": "content_block_start", "index": index, "content_block": empty}
    for each in deltas:
        yield {"type": "content_block_delta", "index": index, "delta": each}
    yield {"type": "content_block_stop", "index": index}


def ended(stop_reason: str, counts: Json | None = None, stop_sequence: str | None = None) -> Iterator[Json]:
    """The last two events, with what was counted in all."""
    counted = {name: value for name, value in (counts or usage()).items() if name in _OF_THE_END}
    delta = {"stop_reason": stop_reason, "stop_sequence": stop_sequence}
    yield {"type": "message_delta", "delta": delta, "usage": counted}
    yield {"type": "message_stop"}


_OF_THE_END = frozenset(("cache_creation_input_tokens", "cache_read_input_tokens", "input_tokens", "output_tokens"))


def spoken(*blocks: Json, stop_reason: str | None = None, counts: Json | None = None) -> list[Json]:
    """All events of a stream, texts cut at their words."""
    inner = [event for index, block in enumerate(blocks) for event in told(index, block)]
    return [begun(counts), ping(), *inner, *ended(stop_reason or _usual(blocks), counts)]


def event(value: Json) -> bytes:
    """One event as Anthropic writes it: under its name."""
    return f"event: {value['type']}\ndata: {json.dumps(value)}\n\n".encode()


def events(*values: Json | bytes, gap_s: float = 0.0, end: End = "clean") -> Reply:
    """A stream of these events, bytes as they are."""
    pieces: Sequence[bytes] = [each if isinstance(each, bytes) else event(each) for each in values]
    return Reply.events(pieces, gap_s=gap_s, end=end, request_id="req_sim1")


def stream(*blocks: Json, stop_reason: str | None = None, gap_s: float = 0.0, end: End = "clean") -> Reply:
    """A whole stream of these blocks."""
    return events(*spoken(*blocks, stop_reason=stop_reason), gap_s=gap_s, end=end)


def error(kind: str, said: str = "A simulated failure.") -> Json:
    """An error, as a body or as an event of a stream."""
    return {"type": "error", "error": {"type": kind, "message": said}, "request_id": "req_sim1"}


def failure(status: int, said: str = "A simulated failure.", kind: str | None = None, **headers: str) -> Reply:
    """An error as an answer; underscores in the names of headers stand for hyphens."""
    named = kind or _KINDS.get(status, "api_error")
    return Reply.json(error(named, said), status, request_id="req_sim1", **headers)


def _usual(blocks: Sequence[Json]) -> str:
    return "tool_use" if any(block["type"] == "tool_use" for block in blocks) else "end_turn"


def _taken_apart(block: Json) -> tuple[Json, list[Json]]:
    match block["type"]:
        case "text":
            pieces = [{"type": "text_delta", "text": found.group()} for found in _WORD.finditer(block["text"])]
            proofs = [{"type": "citations_delta", "citation": each} for each in block["citations"] or ()]
            return {**block, "text": "", "citations": [] if proofs else None}, [*pieces, *proofs]
        case "thinking":
            thoughts = [
                {"type": "thinking_delta", "thinking": found.group()} for found in _WORD.finditer(block["thinking"])
            ]
            signed = {"type": "signature_delta", "signature": block["signature"]}
            return {**block, "thinking": "", "signature": ""}, [*thoughts, signed]
        case "tool_use" | "server_tool_use":
            given = json.dumps(block["input"])
            halves = ["", given[: len(given) // 2], given[len(given) // 2 :]]
            return {**block, "input": {}}, [{"type": "input_json_delta", "partial_json": each} for each in halves]
        case _:
            return block, []

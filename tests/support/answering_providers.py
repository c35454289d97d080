"""Providers of every format that answer by the question, so that clients in other processes can be served.

`weather` with tools calls the caller's tool, for each city that is named; after its results comes a text. `as JSON`
is answered with JSON, `slowly` word by word, `overloaded` always with 429, `busy <name>` with 429 at first. Streamed,
`breaks off` is an answer whose connection is cut after some words, `gives up` one that goes on with the vendor's error.
Anything else is said back. What the simulated vendors refuse is refused here, too.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from headworks.testing import anthropic_replies, bedrock_replies, gemini_replies
from headworks.testing.anthropic import SimulatedAnthropic
from headworks.testing.bedrock import SimulatedBedrock
from headworks.testing.gemini import SimulatedGemini
from headworks.testing.provider import Seen, SimulatedProvider
from headworks.testing.replies import End, Reply, chunk, completion, streamed

Json = dict[str, Any]

AS_JSON = '{"city":"Basel","degrees":12.5}'
DEGREES = "It is 12 degrees."
BEGUN, GAVE_UP = "It is 12 degrees and", "The model gave up."
SLOW_WORDS, GAP_S = 100, 0.05
WAIT_S, LONG_WAIT_S = 1, 37
_CITIES = ("Basel", "Bern")
_ERROR = {"message": GAVE_UP, "type": "server_error", "param": None, "code": "server_error"}


@dataclass(frozen=True)
class Said:
    """What is answered, in no format yet. `status` is an error's; `breaks` says how a stream ends before its end."""

    text: str = ""
    cities: tuple[str, ...] = ()
    gap_s: float = 0.0
    status: int = 200
    retry_after_s: int = 0
    breaks: Literal["", "cut", "error"] = ""

    @property
    def end(self) -> End:
        """What becomes of the connection."""
        return "cut" if self.breaks == "cut" else "clean"


class Wit:
    """Decides what to say; `busy` is remembered by its name."""

    def __init__(self) -> None:
        self._busy: set[str] = set()

    def say(self, question: str, *, has_tools: bool, has_result: bool) -> Said:
        """The answer to the last question."""
        if has_result:
            return Said(DEGREES)
        if has_tools and "weather" in question:
            return Said(cities=tuple(each for each in _CITIES if each in question))
        if (wait_s := self._wait_s(question)) is not None:
            return Said(status=429, retry_after_s=wait_s)
        if "slowly" in question:
            return Said("word " * SLOW_WORDS, gap_s=GAP_S)
        if "breaks off" in question or "gives up" in question:
            return Said(BEGUN, breaks="cut" if "breaks off" in question else "error")
        return Said(AS_JSON if "as JSON" in question else f"You said: {question}")

    def _wait_s(self, question: str) -> int | None:
        """For how long to come back no more; None: it can be answered now."""
        if "overloaded" in question:
            return LONG_WAIT_S
        busy = re.search(r"busy (\S+)", question)
        if busy is None or busy[1] in self._busy:
            return None
        self._busy.add(busy[1])
        return WAIT_S


class AnsweringOpenAI(SimulatedProvider):
    """Chat Completions and Responses."""

    def __init__(self) -> None:
        super().__init__()
        self._wit = Wit()

    async def _scripted(self, seen: Seen) -> Reply:
        try:
            if seen.path.endswith("/responses"):
                return self._respond(seen.json)
            usual = await super()._scripted(seen)
            if usual.status != 200 or not seen.path.endswith("/chat/completions"):
                return usual
            return self._chatted(seen.json)
        except (AttributeError, IndexError, KeyError, TypeError, ValueError) as error:
            return Reply.error(400, f"{type(error).__name__}: {error}", "invalid_request")

    def _chatted(self, request: Json) -> Reply:
        turns = request["messages"]
        question = next((_text(each["content"]) for each in reversed(turns) if each["role"] == "user"), "")
        said = self._wit.say(question, has_tools="tools" in request, has_result=turns[-1]["role"] == "tool")
        if said.status != 200:
            return Reply.error(said.status, "Too many at once.", retry_after=str(said.retry_after_s))
        return _chat_stream(request, said) if request.get("stream") else Reply.json(_chat_whole(said))

    def _respond(self, request: Json) -> Reply:
        given = request.get("input") or ""
        items = [{"role": "user", "content": given}] if isinstance(given, str) else given
        question = next((_text(each["content"]) for each in reversed(items) if each.get("role") == "user"), "")
        has_result = items[-1].get("type") == "function_call_output"
        said = self._wit.say(question, has_tools="tools" in request, has_result=has_result)
        if said.status != 200:
            return Reply.error(said.status, "Too many at once.", retry_after=str(said.retry_after_s))
        if request.get("stream"):
            told = [_named(each) for each in _response_events(request, said)]
            return Reply.events(told, gap_s=said.gap_s, end=said.end)
        return Reply.json(_response(request, _items(said), "completed"))


class AnsweringAnthropic(SimulatedAnthropic):
    """Messages."""

    def __init__(self) -> None:
        super().__init__()
        self._wit = Wit()

    def _said(self, request: Json) -> Reply:
        asked = [each for each in request["messages"] if each["role"] == "user"]
        question = next((said for each in reversed(asked) if (said := _text(each["content"]))), "")
        last = asked[-1]["content"] if asked else ()
        has_result = any(isinstance(each, dict) and each["type"] == "tool_result" for each in last)
        said = self._wit.say(question, has_tools="tools" in request, has_result=has_result)
        if said.status != 200:
            return anthropic_replies.failure(said.status, "Too many at once.", retry_after=str(said.retry_after_s))
        blocks = [
            anthropic_replies.call("weather", {"city": city}, id=f"toolu_{number}")
            for number, city in enumerate(said.cities, 1)
        ]
        if said.text:
            blocks.append(anthropic_replies.text(said.text))
        if request.get("stream") and said.breaks:
            error = [anthropic_replies.error("api_error", GAVE_UP)] if said.breaks == "error" else []
            told = (anthropic_replies.begun(), *anthropic_replies.told(0, *blocks), *error)
            return anthropic_replies.events(*told, end=said.end)
        if request.get("stream"):
            return anthropic_replies.stream(*blocks, gap_s=said.gap_s)
        return Reply.json(anthropic_replies.message(*blocks), request_id="req_sim1")


class AnsweringGemini(SimulatedGemini):
    """generateContent."""

    def __init__(self) -> None:
        super().__init__()
        self._wit = Wit()

    def _said(self, request: Json, *, is_stream: bool, is_sse: bool) -> Reply:  # noqa: ARG002 -- as above it
        parts = [part for turn in request["contents"] if turn.get("role") == "user" for part in turn["parts"]]
        question = next((part["text"] for part in reversed(parts) if part.get("text")), "")
        has_result = bool(parts) and "functionResponse" in parts[-1]
        said = self._wit.say(question, has_tools="tools" in request, has_result=has_result)
        if said.status != 200:
            return gemini_replies.failure(said.status, "Too many at once.", retry_delay_s=said.retry_after_s)
        shown = [gemini_replies.call("weather", {"city": city}, signature="c2ln") for city in said.cities]
        shown += [gemini_replies.text(word) for word in _words(said.text)]
        if is_stream and said.breaks:
            error = [gemini_replies.error(500, GAVE_UP)] if said.breaks == "error" else []
            told = [*gemini_replies.chunks(*shown, finish_reason=None), *error]
            return gemini_replies.events(told, end=said.end)
        if is_stream:
            return gemini_replies.stream(*shown, gap_s=said.gap_s)
        return Reply.json(gemini_replies.answer(*shown))


class AnsweringBedrock(SimulatedBedrock):
    """Converse."""

    def __init__(self) -> None:
        super().__init__()
        self._wit = Wit()

    def _answered(self, request: Json, operation: str) -> Reply:
        usual = super()._answered(request, operation)
        if usual.status != 200 or operation == "count-tokens":
            return usual
        asked = [block for each in request["messages"] if each["role"] == "user" for block in each["content"]]
        question = next((block["text"] for block in reversed(asked) if block.get("text")), "")
        said = self._wit.say(question, has_tools="toolConfig" in request, has_result="toolResult" in asked[-1])
        if said.status != 200:
            return bedrock_replies.failure(said.status, None, "Too many at once.")
        blocks = [
            bedrock_replies.call("weather", {"city": city}, id=f"tooluse_{number}")
            for number, city in enumerate(said.cities, 1)
        ]
        if said.text:
            blocks.append(bedrock_replies.text(said.text))
        if operation == "converse-stream" and said.breaks:
            error = [bedrock_replies.exception("modelStreamErrorException", GAVE_UP)] if said.breaks == "error" else []
            return bedrock_replies.frames(
                bedrock_replies.begun(), *bedrock_replies.told(0, *blocks), *error, end=said.end
            )
        streams = operation == "converse-stream"
        return bedrock_replies.stream(*blocks, gap_s=said.gap_s) if streams else bedrock_replies.answer(*blocks)


def _text(content: Any) -> str:
    if isinstance(content, str):
        return content
    return "".join(part.get("text", "") for part in content or () if isinstance(part, dict))


def _words(text: str) -> list[str]:
    return re.findall(r"\S+\s*", text)


def _chat_calls(said: Said) -> list[Json]:
    return [
        {
            "id": f"call_{number}",
            "type": "function",
            "function": {"name": "weather", "arguments": json.dumps({"city": city})},
        }
        for number, city in enumerate(said.cities, 1)
    ]


def _chat_whole(said: Said) -> Json:
    whole = completion(said.text, "tool_calls" if said.cities else "stop")
    if said.cities:
        whole["choices"][0]["message"] |= {"content": None, "tool_calls": _chat_calls(said)}
    return whole


def _chat_stream(request: Json, said: Said) -> Reply:
    usage = {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15}
    wanted = usage if (request.get("stream_options") or {}).get("include_usage") else None
    if said.breaks:
        error = [{"error": _ERROR}] if said.breaks == "error" else []
        return Reply.events([chunk("", role="assistant"), *map(chunk, _words(said.text)), *error], end=said.end)
    if not said.cities:
        return Reply.events(streamed(*_words(said.text), usage=wanted), gap_s=said.gap_s)
    told: list[Any] = [chunk(None, role="assistant")]
    for index, call in enumerate(_chat_calls(said)):
        arguments = call["function"]["arguments"]
        begun = {**call, "index": index, "function": {**call["function"], "arguments": ""}}
        told.append(chunk(None, tool_calls=[begun]))
        told += [chunk(None, tool_calls=[{"index": index, "function": {"arguments": each}}]) for each in arguments]
    told.append(chunk(finish_reason="tool_calls"))
    if wanted:
        told.append({**chunk(), "choices": [], "usage": wanted})
    return Reply.events([*told, "[DONE]"])


def _items(said: Said) -> list[Json]:
    calls = [
        {
            "type": "function_call",
            "id": f"fc_{number}",
            "call_id": f"call_{number}",
            "name": "weather",
            "arguments": json.dumps({"city": city}),
            "status": "completed",
        }
        for number, city in enumerate(said.cities, 1)
    ]
    if not said.text:
        return calls
    part = {"type": "output_text", "text": said.text, "annotations": [], "logprobs": []}
    return [*calls, {"type": "message", "id": "msg_1", "role": "assistant", "status": "completed", "content": [part]}]


def _response(request: Json, output: Sequence[Json], status: str) -> Json:
    counted = {
        "input_tokens": 10,
        "input_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 0},
        "output_tokens": 5,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": 15,
    }
    return {
        "id": "resp_1",
        "object": "response",
        "created_at": 1,
        "status": status,
        "background": False,
        "error": None,
        "incomplete_details": None,
        "instructions": request.get("instructions"),
        "metadata": {},
        "model": "m1",
        "output": list(output),
        "parallel_tool_calls": True,
        "temperature": 1.0,
        "tool_choice": "auto",
        "tools": request.get("tools", []),
        "top_p": 1.0,
        "usage": counted if status == "completed" else None,
    }


def _response_events(request: Json, said: Said) -> list[Json]:
    items = _items(said)
    told: list[Json] = [{"type": "response.created", "response": _response(request, [], "in_progress")}]
    for at, item in enumerate(items):
        is_call = item["type"] == "function_call"
        empty = {**item, "status": "in_progress", **({"arguments": ""} if is_call else {"content": []})}
        told.append({"type": "response.output_item.added", "output_index": at, "item": empty})
        if said.breaks:
            told += [each for each in _text_events(item, at) if not each["type"].endswith(".done")]
            break
        told += _call_events(item, at) if is_call else _text_events(item, at)
        told.append({"type": "response.output_item.done", "output_index": at, "item": item})
    if said.breaks == "error":
        told.append({"type": "error", **{name: _ERROR[name] for name in ("code", "message", "param")}})
    elif not said.breaks:
        told.append({"type": "response.completed", "response": _response(request, items, "completed")})
    return [{**event, "sequence_number": number} for number, event in enumerate(told)]


def _call_events(item: Json, at: int) -> list[Json]:
    where = {"item_id": item["id"], "output_index": at}
    kind = "response.function_call_arguments"
    deltas = [{"type": f"{kind}.delta", **where, "delta": each} for each in re.findall(".{1,5}", item["arguments"])]
    done = {"type": f"{kind}.done", **where, "name": item["name"], "arguments": item["arguments"]}
    return [*deltas, done]


def _text_events(item: Json, at: int) -> list[Json]:
    where = {"item_id": item["id"], "output_index": at, "content_index": 0}
    part = item["content"][0]
    return [
        {"type": "response.content_part.added", **where, "part": {**part, "text": ""}},
        *[
            {"type": "response.output_text.delta", **where, "delta": word, "logprobs": []}
            for word in _words(part["text"])
        ],
        {"type": "response.output_text.done", **where, "text": part["text"], "logprobs": []},
        {"type": "response.content_part.done", **where, "part": part},
    ]


def _named(event: Json) -> bytes:
    return f"event: {event['type']}\ndata: {json.dumps(event)}\n\n".encode()

"""What providers answer and what callers write and read, each in its own format, from the same few words.

Answers of callers' formats are read through the vendors' own types.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from anthropic_types import require_event, require_message
from openai.types import Completion
from openai.types.chat import ChatCompletion, ChatCompletionChunk
from responses_samples import OPEN_RESPONSES_REQUIRES, checked_events, checked_response, events_of, stream_of

from headworks.testing import anthropic_replies, bedrock_replies, gemini_replies
from headworks.testing.replies import Reply, chunk

Json = dict[str, Any]
Call = tuple[str, Json]

PICTURE = "iVBORw0KGgo="
SCHEMA: Json = {
    "type": "object",
    "properties": {"city_of_schema": {"type": "string"}},
    "required": ["city_of_schema"],
    "additionalProperties": False,
}
PARAMETERS: Json = {
    "type": "object",
    "properties": {"city": {"type": "string"}},
    "required": ["city"],
    "additionalProperties": False,
}
SIGNATURE = anthropic_replies.SIGNATURE
ENCRYPTED = "gAAAAABsimulated"


# ── What a provider says ────────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True)
class Said:
    """An answer in no format: 10 tokens in, 5 out. `stop`: stop, length, content_filter or tool_calls."""

    text: str = ""
    thought: str = ""
    calls: tuple[Call, ...] = ()
    stop: str = "stop"
    streams: bool = False
    cut: bool = False


def by_anthropic(said: Said) -> Reply:
    blocks = [anthropic_replies.thought(said.thought)] if said.thought else []
    blocks += [anthropic_replies.text(said.text)] if said.text else []
    blocks += [anthropic_replies.call(name, args, id=f"toolu_{at}") for at, (name, args) in enumerate(said.calls)]
    reason = {"stop": "end_turn", "length": "max_tokens", "content_filter": "refusal", "tool_calls": "tool_use"}
    if not said.streams:
        return Reply.json(anthropic_replies.message(*blocks, stop_reason=reason[said.stop]), request_id="req_sim1")
    events = anthropic_replies.spoken(*blocks, stop_reason=reason[said.stop])
    return anthropic_replies.events(*(events[:-2] if said.cut else events), end="cut" if said.cut else "clean")


def by_gemini(said: Said) -> Reply:
    parts = [gemini_replies.thought(said.thought)] if said.thought else []
    parts += [gemini_replies.text(said.text, signature=SIGNATURE if said.thought else None)] if said.text else []
    parts += [gemini_replies.call(name, args) for name, args in said.calls]
    finish = {"length": "MAX_TOKENS", "content_filter": "SAFETY"}.get(said.stop, "STOP")
    if not said.streams:
        return Reply.json(gemini_replies.answer(*parts, finish_reason=finish))
    told = gemini_replies.chunks(*parts, finish_reason=None if said.cut else finish, counts=gemini_replies.usage())
    return gemini_replies.events(told, end="cut" if said.cut else "clean")


def by_bedrock(said: Said) -> Reply:
    blocks = [bedrock_replies.thought(said.thought)] if said.thought else []
    blocks += [bedrock_replies.text(said.text)] if said.text else []
    blocks += [bedrock_replies.call(name, args, id=f"tooluse_{at}") for at, (name, args) in enumerate(said.calls)]
    reason = {
        "stop": "end_turn",
        "length": "max_tokens",
        "content_filter": "content_filtered",
        "tool_calls": "tool_use",
    }
    if not said.streams:
        return bedrock_replies.answer(*blocks, stop_reason=reason[said.stop])
    frames = bedrock_replies.spoken(*blocks, stop_reason=reason[said.stop])
    return bedrock_replies.frames(*(frames[:-2] if said.cut else frames), end="cut" if said.cut else "clean")


def by_chat(said: Said) -> Reply:
    usage = {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15}
    calls = [
        {"id": f"call_{at}", "type": "function", "function": {"name": name, "arguments": json.dumps(args)}}
        for at, (name, args) in enumerate(said.calls)
    ]
    if not said.streams:
        message: Json = {"role": "assistant", "content": said.text or None, "refusal": None}
        message |= {"reasoning_content": said.thought} if said.thought else {}
        message |= {"tool_calls": calls} if calls else {}
        choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": said.stop}
        head = {"id": "chatcmpl-1", "object": "chat.completion", "created": 1, "model": "m"}
        return Reply.json({**head, "choices": [choice], "usage": usage})
    events: list[Any] = [chunk("", role="assistant")]
    events += [chunk(reasoning_content=said.thought)] if said.thought else []
    events += [chunk(each) for each in (said.text[:3], said.text[3:]) if each]
    for at, call in enumerate(calls):
        begun = {**call, "index": at, "function": {**call["function"], "arguments": ""}}  # type: ignore[dict-item]
        rest = call["function"]["arguments"]  # type: ignore[index]
        events.append(chunk(tool_calls=[begun]))
        events += [chunk(tool_calls=[{"index": at, "function": {"arguments": each}}]) for each in (rest[:4], rest[4:])]
    if said.cut:
        return Reply.events(events, end="cut")
    events += [chunk(finish_reason=said.stop), {**chunk(), "choices": [], "usage": usage}, "[DONE]"]
    return Reply.events(events)


def by_responses(said: Said) -> Reply:
    answer = _response(said)
    if not said.streams:
        return Reply.json(answer)
    events = responses_stream(answer)
    return Reply.events(events[:-1] if said.cut else events, end="cut" if said.cut else "clean")


def response_of(text: str) -> Json:
    """A whole response with that text."""
    return _response(Said(text))


def responses_stream(answer: Json) -> list[bytes]:
    """The events in which this response is told."""
    return [each + b"\n\n" for each in stream_of(events_of(answer)).split(b"\n\n") if each]


def _response(said: Said) -> Json:
    status = "incomplete" if said.stop in {"length", "content_filter"} else "completed"
    why = {"length": "max_output_tokens", "content_filter": "content_filter"}.get(said.stop)
    output: list[Json] = []
    if said.thought:
        summary = [{"type": "summary_text", "text": said.thought}]
        output.append({"type": "reasoning", "id": "rs_1", "summary": summary, "encrypted_content": ENCRYPTED})
    if said.text:
        part = {"type": "output_text", "text": said.text, "annotations": [], "logprobs": []}
        output.append({"type": "message", "id": "msg_1", "role": "assistant", "status": status, "content": [part]})
    output += [
        {
            "type": "function_call",
            "id": f"fc_{at}",
            "call_id": f"call_{at}",
            "name": name,
            "arguments": json.dumps(args),
            "status": "completed",
        }
        for at, (name, args) in enumerate(said.calls)
    ]
    details: Json = {"input_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 0}}
    details |= {"output_tokens_details": {"reasoning_tokens": 0}}
    return dict.fromkeys(OPEN_RESPONSES_REQUIRES) | {
        "id": "resp_sim1",
        "object": "response",
        "created_at": 1,
        "status": status,
        "error": None,
        "incomplete_details": None if why is None else {"reason": why},
        "instructions": None,
        "metadata": {},
        "model": "m",
        "output": output,
        "parallel_tool_calls": True,
        "temperature": 1.0,
        "tool_choice": "auto",
        "tools": [],
        "top_p": 1.0,
        "usage": {"input_tokens": 10, "output_tokens": 5, "total_tokens": 15, **details},
    }


REPLIES: Mapping[str, Callable[[Said], Reply]] = {
    "anthropic": by_anthropic,
    "gemini": by_gemini,
    "bedrock": by_bedrock,
    "chat": by_chat,
    "responses": by_responses,
}


def failure_of(target: str, status: int, message: str) -> Reply:
    """An error in the target's format."""
    match target:
        case "anthropic":
            return anthropic_replies.failure(status, message, retry_after="7")
        case "gemini":
            return gemini_replies.failure(status, message, retry_delay_s=7)
        case "bedrock":
            return bedrock_replies.failure(status, "ThrottlingException", message, retry_after="7")
        case _:
            return Reply.error(status, message, "rate_limit_exceeded", retry_after="7")


# ── What a caller writes ────────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True)
class Ask:
    """A request in no format. `before`: turns that were said before, in the caller's own format."""

    text: str = "What is it?"
    system: str = ""
    has_tools: bool = False
    results: tuple[tuple[str, Json, str], ...] = ()
    """Name, arguments and result of calls that were made in the turn before, in parallel."""
    schema: Json | None = None
    picture: str = ""
    before: tuple[Json, ...] = ()
    streams: bool = False
    more: Json = field(default_factory=dict)


def written(surface: str, model: str, ask: Ask) -> Json:
    """The request as its caller sends it."""
    body: Json = {"model": model, **_WRITERS[surface](ask), **ask.more}
    return body | {"stream": True} if ask.streams else body


def _chat(ask: Ask) -> Json:
    content: Any = ask.text
    if ask.picture:
        url = {"url": f"data:image/png;base64,{ask.picture}"}
        content = [{"type": "text", "text": ask.text}, {"type": "image_url", "image_url": url}]
    calls = [
        {"id": f"c{at}", "type": "function", "function": {"name": name, "arguments": json.dumps(args)}}
        for at, (name, args, _) in enumerate(ask.results)
    ]
    body: Json = {
        "max_tokens": 2000,
        "messages": [
            *([{"role": "system", "content": ask.system}] if ask.system else []),
            *ask.before,
            {"role": "user", "content": content},
            *([{"role": "assistant", "content": None, "tool_calls": calls}] if calls else []),
            *({"role": "tool", "tool_call_id": f"c{at}", "content": each[2]} for at, each in enumerate(ask.results)),
        ],
    }
    if ask.has_tools:
        body["tools"] = [
            {"type": "function", "function": {"name": "weather", "description": "Now.", "parameters": PARAMETERS}}
        ]
    if ask.schema:
        body["response_format"] = {"type": "json_schema", "json_schema": {"name": "answer", "schema": ask.schema}}
    return body


def _responses(ask: Ask) -> Json:
    content: Any = ask.text
    if ask.picture:
        image = {"type": "input_image", "detail": "auto", "image_url": f"data:image/png;base64,{ask.picture}"}
        content = [{"type": "input_text", "text": ask.text}, image]
    body: Json = {
        "max_output_tokens": 2000,
        "input": [
            *ask.before,
            {"type": "message", "role": "user", "content": content},
            *(
                {"type": "function_call", "call_id": f"c{at}", "name": name, "arguments": json.dumps(args)}
                for at, (name, args, _) in enumerate(ask.results)
            ),
            *(
                {"type": "function_call_output", "call_id": f"c{at}", "output": each[2]}
                for at, each in enumerate(ask.results)
            ),
        ],
    }
    if ask.system:
        body["instructions"] = ask.system
    if ask.has_tools:
        tool = {"type": "function", "name": "weather", "description": "Now.", "parameters": PARAMETERS}
        body["tools"] = [{**tool, "strict": False}]
    if ask.schema:
        body["text"] = {"format": {"type": "json_schema", "name": "answer", "schema": ask.schema}}
    return body


def _messages(ask: Ask) -> Json:
    content: Any = ask.text
    if ask.picture:
        source = {"type": "base64", "media_type": "image/png", "data": ask.picture}
        content = [{"type": "text", "text": ask.text}, {"type": "image", "source": source}]
    calls = [
        {"type": "tool_use", "id": f"c{at}", "name": name, "input": args}
        for at, (name, args, _) in enumerate(ask.results)
    ]
    results = [
        {"type": "tool_result", "tool_use_id": f"c{at}", "content": each[2]} for at, each in enumerate(ask.results)
    ]
    body: Json = {
        "max_tokens": 2000,
        "messages": [
            *ask.before,
            {"role": "user", "content": content},
            *([{"role": "assistant", "content": calls}, {"role": "user", "content": results}] if calls else []),
        ],
    }
    if ask.system:
        body["system"] = ask.system
    if ask.has_tools:
        body["tools"] = [{"name": "weather", "description": "Now.", "input_schema": PARAMETERS}]
    if ask.schema:
        body["output_config"] = {"format": {"type": "json_schema", "schema": ask.schema}}
    return body


def _completions(ask: Ask) -> Json:
    return {"prompt": ask.text, "max_tokens": 2000}


_WRITERS: Mapping[str, Callable[[Ask], Json]] = {
    "chat": _chat,
    "responses": _responses,
    "messages": _messages,
    "completions": _completions,
}


# ── What a caller reads ─────────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True)
class Got:
    """An answer as a caller understands it. `turn` is what it gives back as the assistant's."""

    text: str = ""
    thought: str = ""
    calls: tuple[Call, ...] = ()
    stop: str | None = None
    counted: tuple[int, int] | None = None
    turn: tuple[Json, ...] = ()


STOPS: Mapping[str, Mapping[str, str]] = {
    "chat": {"stop": "stop", "length": "length", "content_filter": "content_filter", "tool_calls": "tool_calls"},
    "completions": {"stop": "stop", "length": "length", "content_filter": "content_filter"},
    "responses": {
        "stop": "completed",
        "length": "max_output_tokens",
        "content_filter": "content_filter",
        "tool_calls": "completed",
    },
    "messages": {"stop": "end_turn", "length": "max_tokens", "content_filter": "refusal", "tool_calls": "tool_use"},
}


def understood(surface: str, body: bytes, *, streams: bool) -> Got:
    """The answer, once the vendor's types have taken all of it."""
    return _READERS[surface](body, streams)


def data_of(stream: bytes) -> list[Json]:
    """The JSON of each event."""
    lines = (line[5:].strip() for line in stream.splitlines() if line.startswith(b"data:"))
    return [json.loads(line) for line in lines if line != b"[DONE]"]


def _read_chat(body: bytes, streams: bool) -> Got:  # noqa: FBT001 -- one of a table's
    if not streams:
        answer = json.loads(body)
        ChatCompletion.model_validate(answer)
        choice = answer["choices"][0]
        return _of_message(choice["message"], choice["finish_reason"], answer["usage"])
    assert body.rstrip().endswith(b"data: [DONE]")
    message: Json = {
        "role": "assistant",
        "content": "",
        "reasoning_content": "",
        "tool_calls": [],
        "thinking_blocks": [],
    }
    stop = usage = None
    for each in data_of(body):
        ChatCompletionChunk.model_validate(each)
        usage = each.get("usage") or usage
        for choice in each["choices"]:
            _grow(message, choice["delta"])
            stop = choice["finish_reason"] or stop
    return _of_message({name: value for name, value in message.items() if value}, stop, usage)


def _grow(message: Json, delta: Json) -> None:
    message["content"] += delta.get("content") or ""
    message["reasoning_content"] += delta.get("reasoning_content") or ""
    message["thinking_blocks"] += delta.get("thinking_blocks") or []
    for call in delta.get("tool_calls") or ():
        if call["index"] == len(message["tool_calls"]):
            message["tool_calls"].append(
                {"id": call["id"], "type": "function", "function": {"name": "", "arguments": ""}}
            )
        inside = message["tool_calls"][call["index"]]["function"]
        inside["name"] += call["function"].get("name") or ""
        inside["arguments"] += call["function"].get("arguments") or ""


def _of_message(message: Json, stop: str | None, usage: Json | None) -> Got:
    calls = tuple(
        (each["function"]["name"], json.loads(each["function"]["arguments"]))
        for each in message.get("tool_calls") or ()
    )
    counted = (usage["prompt_tokens"], usage["completion_tokens"]) if usage else None
    thought = message.get("reasoning_content") or ""
    return Got(message.get("content") or "", thought, calls, stop, counted, (message,))


def _read_completions(body: bytes, streams: bool) -> Got:  # noqa: FBT001 -- as above
    pieces = data_of(body) if streams else [json.loads(body)]
    got = Got()
    for each in pieces:
        usual = {"finish_reason": "stop"} if streams else {}  # OpenAI's type has no null there, its stream has
        Completion.model_validate({**each, "choices": [{**choice, **usual} for choice in each["choices"]]})
        for choice in each["choices"]:
            got = replace(got, text=got.text + choice["text"], stop=choice["finish_reason"] or got.stop)
        if usage := each.get("usage"):
            got = replace(got, counted=(usage["prompt_tokens"], usage["completion_tokens"]))
    return got


def _read_responses(body: bytes, streams: bool) -> Got:  # noqa: FBT001 -- as above
    answer = checked_events(body)[-1]["response"] if streams else checked_response(body)
    text = thought = ""
    calls: list[Call] = []
    for item in answer["output"]:
        match item["type"]:
            case "message":
                text += "".join(part["text"] for part in item["content"] if part["type"] == "output_text")
            case "reasoning":
                thought += "".join(part["text"] for part in item["summary"])
                thought += "".join(part["text"] for part in item.get("content") or ())
            case "function_call":
                calls.append((item["name"], json.loads(item["arguments"])))
    stop = (answer["incomplete_details"] or {}).get("reason") or answer["status"]
    counted = (answer["usage"]["input_tokens"], answer["usage"]["output_tokens"])
    return Got(text, thought, tuple(calls), stop, counted, tuple(answer["output"]))


def _read_messages(body: bytes, streams: bool) -> Got:  # noqa: FBT001 -- as above
    answer = _collected(body) if streams else json.loads(body)
    require_message(json.dumps(answer).encode())
    usage = answer["usage"]
    given = sum(count or 0 for name, count in usage.items() if name.endswith("input_tokens"))
    content = answer["content"]
    return Got(
        "".join(each["text"] for each in content if each["type"] == "text"),
        "".join(each["thinking"] for each in content if each["type"] == "thinking"),
        tuple((each["name"], each["input"]) for each in content if each["type"] == "tool_use"),
        answer["stop_reason"],
        (given, usage["output_tokens"]),
        ({"role": "assistant", "content": content},),
    )


def _collected(stream: bytes) -> Json:
    """A message from its events."""
    message: Json = {}
    partial: dict[int, str] = {}
    for event in data_of(stream):
        if event["type"] == "ping":
            continue  # the SDK passes over it before it looks at types
        require_event(event)
        match event["type"]:
            case "message_start":
                message = event["message"]
            case "content_block_start":
                message["content"].append(event["content_block"])
            case "content_block_delta":
                block, delta = message["content"][event["index"]], event["delta"]
                for name in ("text", "thinking", "signature"):
                    if name in delta:
                        block[name] = (block.get(name) or "") + delta[name]
                partial[event["index"]] = partial.get(event["index"], "") + delta.get("partial_json", "")
            case "content_block_stop":
                if message["content"][event["index"]]["type"] == "tool_use":
                    message["content"][event["index"]]["input"] = json.loads(partial[event["index"]] or "{}")
            case "message_delta":
                message |= {name: value for name, value in event["delta"].items() if value is not None}
                message["usage"] |= {name: value for name, value in event["usage"].items() if value is not None}
    return message


_READERS: Mapping[str, Callable[[bytes, bool], Got]] = {
    "chat": _read_chat,
    "responses": _read_responses,
    "messages": _read_messages,
    "completions": _read_completions,
}

"""Anthropic's API on a loopback port: it answers what it is told, and remembers what it was asked.

    with SimulatedAnthropic() as anthropic:
        anthropic.will(failure(529), stream(text("Hello.")))
        client = Anthropic(api_key="any", base_url=anthropic.origin)

What is not told to it, it answers by its script, else with the question; see `headworks.providers.simulated`. A tool
that must be called is called. It refuses what Anthropic refuses: no key or version, members that it does not know,
empty texts, results of tools without their calls, and thoughts that it has not signed.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec

from headworks.providers.simulated import Rule, rule_for, text_of
from headworks.testing.anthropic_replies import (
    MODEL,
    SIGNATURE,
    Json,
    call,
    events,
    failure,
    message,
    spoken,
    text,
    usage,
)
from headworks.testing.provider import Seen, SimulatedProvider
from headworks.testing.replies import Reply

_COUNTED = {
    "cache_control",
    "context_management",
    "mcp_servers",
    "messages",
    "model",
    "output_config",
    "output_format",
    "speed",
    "system",
    "thinking",
    "tool_choice",
    "tools",
}
_ASKED = _COUNTED | {
    "container",
    "diagnostics",
    "inference_geo",
    "max_tokens",
    "metadata",
    "service_tier",
    "stop_sequences",
    "stream",
    "temperature",
    "top_k",
    "top_p",
}
_STOPS = {"stop": "end_turn", "length": "max_tokens", "content_filter": "refusal", "tool_calls": "tool_use"}
_LEAST_BUDGET = 1024


class SimulatedAnthropic(SimulatedProvider):
    """See the module."""

    @property
    def origin(self) -> str:
        """The base URL for Anthropic's own clients, which add the version, and for an account."""
        return f"http://127.0.0.1:{self._port}"

    @property
    def url(self) -> str:
        """The same with the version."""
        return f"{self.origin}/v1"

    async def _scripted(self, seen: Seen) -> Reply:
        if not seen.headers.get("x-api-key") and not seen.headers.get("authorization"):
            return failure(401, "x-api-key header is required")
        if not seen.headers.get("anthropic-version"):
            return failure(400, "anthropic-version: header is required")
        path = seen.path.partition("?")[0]
        if path == "/v1/models":
            return Reply.json({"data": [_model()], "first_id": MODEL, "has_more": False, "last_id": MODEL})
        if path not in {"/v1/messages", "/v1/messages/count_tokens"}:
            return failure(404, "Not found")
        try:
            return self._answered(seen.json, counts=path.endswith("count_tokens"))
        except (ValueError, KeyError, TypeError, AttributeError):
            return failure(400, "The request body is not valid JSON.")

    def _answered(self, request: Json, *, counts: bool) -> Reply:
        complaint = next(_complaints(request, counts=counts), None)
        if complaint is not None:
            return failure(400, complaint)
        if counts:
            return Reply.json({"input_tokens": _words(request)}, request_id="req_sim1")
        return self._said(request)

    def _said(self, request: Json) -> Reply:
        question = _question(request)
        rule = rule_for(msgspec.convert(self._script, list[Rule]), question)
        if rule.status >= 400:
            waits = {} if rule.retry_after_s is None else {"retry_after": str(rule.retry_after_s)}
            return failure(rule.status, rule.answer or "A simulated failure.", **waits)
        pieces = rule.pieces_for(question)
        reason = _STOPS.get(rule.finish_reason, rule.finish_reason)
        block = _forced(request)
        blocks = [text("".join(pieces))] if block is None else [block]
        counted = usage(_words(request), max(len(pieces), 1))
        if block is not None:
            reason = "tool_use"
        if request.get("stream"):
            told = spoken(*blocks, stop_reason=reason, counts=counted)
            if rule.cut_after is not None:
                told = told[: 3 + rule.cut_after]
            end = events(*told, gap_s=rule.token_delay_s, end="clean" if rule.cut_after is None else "cut")
            return end.after(rule.delay_s)
        if rule.cut_after is not None:
            return Reply.hang_up()
        whole = message(*blocks, stop_reason=reason, counts=counted)
        return Reply.json(whole, request_id="req_sim1").after(rule.delay_s + rule.token_delay_s * len(pieces))


def _complaints(request: Json, *, counts: bool) -> Iterator[str]:
    """What Anthropic would refuse the request for."""
    for name in request.keys() - (_COUNTED if counts else _ASKED):
        yield f"{name}: Extra inputs are not permitted"
    for name in ("model", "messages") if counts else ("model", "messages", "max_tokens"):
        if request.get(name) is None:
            yield f"{name}: Field required"
    if not counts and request["max_tokens"] < 1:
        yield "max_tokens: Input should be greater than or equal to 1"
    if not 0 <= request.get("temperature", 1) <= 1:
        yield "temperature: range: 0..1"
    if request.get("tool_choice") and not request.get("tools"):
        yield "tool_choice: tool_choice may only be specified while providing tools"
    yield from _about_thinking(request)
    yield from _about_messages(request["messages"])


def _about_thinking(request: Json) -> Iterator[str]:
    thinking = request.get("thinking") or {"type": "disabled"}
    if thinking["type"] == "disabled":
        return
    if thinking["type"] == "enabled":
        if thinking["budget_tokens"] < _LEAST_BUDGET:
            yield "thinking.enabled.budget_tokens: Input should be greater than or equal to 1024"
        if thinking["budget_tokens"] >= request.get("max_tokens", 1 << 62):
            yield "`max_tokens` must be greater than `thinking.budget_tokens`"
    if request.get("temperature", 1) != 1:
        yield "`temperature` may only be set to 1 when thinking is enabled"
    if (request.get("tool_choice") or {}).get("type") in {"any", "tool"}:
        yield "Thinking may not be enabled when tool_choice forces tool use."


def _about_messages(messages: list[Json]) -> Iterator[str]:
    if not messages:
        yield "messages: at least one message is required"
    waiting: set[str] = set()
    for number, each in enumerate(messages):
        if each["role"] not in {"user", "assistant", "system"}:
            yield f"messages.{number}.role: Input should be 'user', 'assistant' or 'system'"
        if not each["content"] and number + 1 < len(messages):
            yield f"messages.{number}: all messages must have non-empty content"
        blocks = each["content"] if isinstance(each["content"], list) else []
        given = {block["tool_use_id"] for block in blocks if block["type"] == "tool_result"}
        if given - waiting:
            yield f"messages.{number}: unexpected `tool_use_id` found in `tool_result` blocks"
        if waiting - given:
            yield f"messages.{number}: `tool_use` ids were found without `tool_result` blocks immediately after"
        waiting = {block["id"] for block in blocks if block["type"] == "tool_use"}
        yield from _about_blocks(blocks, number)


def _about_blocks(blocks: list[Json], number: int) -> Iterator[str]:
    for index, block in enumerate(blocks):
        at = f"messages.{number}.content.{index}"
        match block["type"]:
            case "text" if not block["text"]:
                yield f"{at}: text content blocks must be non-empty"
            case "thinking" if block["signature"] != SIGNATURE:
                yield f"{at}: Invalid `signature` in `thinking` block"
            case "redacted_thinking" if block["data"] != SIGNATURE:
                yield f"{at}: Invalid `data` in `redacted_thinking` block"


def _forced(request: Json) -> Json | None:
    """A call of the tool that has to be called, with the least that its schema asks for."""
    choice = request.get("tool_choice") or {"type": "auto"}
    if choice["type"] not in {"any", "tool"}:
        return None
    tools = [tool for tool in request["tools"] if choice.get("name") in {None, tool.get("name")}]
    schema = tools[0].get("input_schema", {})
    return call(tools[0]["name"], {name: _least(schema, name) for name in schema.get("required", ())})


def _least(schema: Json, name: str) -> Any:  # noqa: ANN401 -- any JSON value
    kind = schema.get("properties", {}).get(name, {}).get("type")
    return {"integer": 1, "number": 1.5, "boolean": True, "array": [], "object": {}}.get(kind, "x")


def _question(request: Json) -> str:
    """The text of the last message of the user's that has any."""
    asked = (text_of(each["content"]) for each in reversed(request["messages"]) if each["role"] == "user")
    return next((said for said in asked if said), "")


def _words(request: Json) -> int:
    said = [text_of(each["content"]) for each in request["messages"]]
    return max(sum(len(each.split()) for each in [*said, text_of(request.get("system"))]), 1)


def _model() -> Json:
    return {
        "id": MODEL,
        "type": "model",
        "display_name": "Simulated",
        "created_at": "2026-01-01T00:00:00Z",
        "lifecycle": "active",
        "max_input_tokens": 1_000_000,
        "max_tokens": 64_000,
        "deprecated_at": None,
        "retires_at": None,
        "capabilities": None,
        "line": None,
    }

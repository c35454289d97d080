"""A text whose stream is cut off, and the target that goes on with it."""

from __future__ import annotations

import json
from typing import Any

import anthropic
import pytest
from running_gateway import World

from headworks.gateway.answers.going_on import WORDS
from headworks.providers.prices import PriceTable
from headworks.testing.provider import SimulatedProvider
from headworks.testing.replies import Reply, chunk, streamed
from headworks.types.models import Usage

ASK: list[Any] = [{"role": "user", "content": "Say the alphabet."}]
COUNT = {"prompt_tokens": 30, "completion_tokens": 4, "total_tokens": 34}
BUSY = {"error": {"message": "Overloaded.", "type": "server_error", "param": None, "code": "busy"}}
REST = Reply.events(streamed("c ", "d", usage=COUNT))
TEXT = "a b "
BEGUN = [chunk("", role="assistant"), chunk("a "), chunk("b ")]
LABEL = ": x-headworks-continued: other/gpt-4o\n\n"


def named(*events: dict[str, Any]) -> list[bytes]:
    return [f"event: {each['type']}\ndata: {json.dumps(each)}\n\n".encode() for each in events]


def message(*texts: str, more: int = 0) -> list[bytes]:
    """A message up to the text that it is cut off after."""
    start = {"type": "message", "role": "assistant", "model": "c", "id": "msg_1", "content": []}
    deltas = [{"type": "content_block_delta", "index": more, "delta": {"type": "text_delta", "text": t}} for t in texts]
    return named(
        {"type": "message_start", "message": {**start, "usage": {"input_tokens": 20, "output_tokens": 1}}},
        {"type": "content_block_start", "index": more, "content_block": {"type": "text", "text": ""}},
        *deltas,
    )


def ended(*texts: str, output: int = 7) -> list[bytes]:
    """A whole message."""
    return [
        *message(*texts),
        *named(
            {"type": "content_block_stop", "index": 0},
            {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": output}},
            {"type": "message_stop"},
        ),
    ]


def chunks_of(text: str) -> list[dict[str, Any]]:
    return [json.loads(line[6:]) for line in text.splitlines() if line.startswith("data: {")]


def text_of(text: str) -> str:
    return "".join(c["delta"].get("content") or "" for each in chunks_of(text) for c in each.get("choices", ()))


def ask(world: World, model: str = "going-on", path: str = "/v1/chat/completions", **more: Any) -> str:
    return world.post({"model": model, "messages": ASK, "stream": True, **more}, path).text


CUTS: dict[str, Reply] = {
    "a cut": Reply.events(BEGUN, end="cut"),
    "an end without a finish": Reply.events(BEGUN),
    "silence": Reply.events(BEGUN, end="hang"),
    "an error": Reply.events([*BEGUN, BUSY]),
    "an error in one piece with text": Reply.events(
        [BEGUN[0], b"".join(Reply.events([*BEGUN[1:], BUSY, "[DONE]"]).pieces)]
    ),
    "a cut in an event": Reply.events([*BEGUN, b'data: {"choices":[{"index":0,"delta":{"content":"lost'], end="cut"),
    "an end in an event": Reply.events([*BEGUN, b'data: {"choices":[{"index":0,"delta":{"content":"lost']),
    "a cut in a character": Reply.events(
        [*BEGUN, 'data: {"choices":[{"index":0,"delta":{"content":"lost €'.encode()[:-1]], end="cut"
    ),
}


@pytest.mark.parametrize("cut", CUTS.values(), ids=CUTS)
@pytest.mark.usefixtures("impatient")
def test_the_next_target_goes_on_where_the_first_was_cut_off(
    world: World, provider: SimulatedProvider, other: SimulatedProvider, cut: Reply
) -> None:
    provider.will(cut)
    other.will(REST)
    got = ask(world, x_mine=12345678901234567890)
    begun = b"".join(Reply.events(BEGUN).pieces).decode()
    assert got.startswith(begun)
    assert got[len(begun) :].startswith(LABEL)
    assert got.count(LABEL) == 1
    assert got.endswith("data: [DONE]\n\n")
    assert text_of(got) == "a b c d"
    told = chunks_of(got)
    assert {(each["id"], each["model"], each["created"]) for each in told} == {("chatcmpl-1", "m", 1)}
    assert [each for each in told if each["choices"][0]["delta"].get("role")] == told[:1]
    assert [r for each in told if (r := each["choices"][0]["finish_reason"])] == ["stop"]
    asked = other.last.json
    assert asked["messages"] == [*ASK, {"role": "assistant", "content": TEXT}, {"role": "user", "content": WORDS}]
    assert (asked["model"], asked["stream"], asked["x_mine"]) == ("gpt-4o", True, 12345678901234567890)
    row = world.records.row()
    assert (row.status, row.error_code, row.attempts, row.continuations) == (200, None, 2, 1)
    assert (row.provider, row.model, row.is_estimated) == ("other", "gpt-4o", True)


def test_both_are_paid_for_and_the_caller_is_told_both(
    world: World, provider: SimulatedProvider, other: SimulatedProvider
) -> None:
    counted = {"prompt_tokens": 20, "completion_tokens": 3, "total_tokens": 23}
    provider.will(Reply.events([{**each, "usage": counted} for each in BEGUN], end="cut"))
    other.will(REST)
    got = ask(world, stream_options={"include_usage": True})
    (usage,) = [each["usage"] for each in chunks_of(got) if not each["choices"]]
    assert (usage["prompt_tokens"], usage["completion_tokens"], usage["total_tokens"]) == (50, 7, 57)
    row = world.records.row()
    assert (row.input_tokens, row.output_tokens) == (50, 7)
    table = PriceTable.load()
    rates = [table.find("openai", model) for model in ("gpt-4o-mini", "gpt-4o")]
    costs = [
        each.cost_micro_usd(usage)
        for each, usage in zip(rates, (Usage(20, 3), Usage(30, 4)), strict=True)
        if each is not None
    ]
    assert row.cost_micro_usd == sum(cost for cost in costs if cost)


def test_what_went_on_may_be_cut_off_too(world: World, provider: SimulatedProvider, other: SimulatedProvider) -> None:
    provider.will(Reply.events(BEGUN, end="cut"), Reply.events(ended("d ", "e")))
    other.will(Reply.events([chunk("", role="assistant"), chunk("c "), b'data: {"cho'], end="cut"))
    got = ask(world, "going-far")
    assert text_of(got) == "a b c d e"
    assert got.count(": x-headworks-continued: ") == 2
    assert [r for each in chunks_of(got) if (r := each["choices"][0]["finish_reason"])] == ["stop"]
    assert provider.last.json["messages"][1] == {"role": "assistant", "content": "a b c "}
    row = world.records.row()
    assert (row.attempts, row.continuations, row.provider) == (3, 2, "claude")


def test_a_target_that_fails_before_it_goes_on_is_passed_over(
    world: World, provider: SimulatedProvider, other: SimulatedProvider
) -> None:
    provider.will(Reply.events(BEGUN, end="cut"), Reply.events(ended("c ", "d")))
    other.will(Reply.error(503))
    got = ask(world, "going-far")
    assert text_of(got) == "a b c d"
    assert ": x-headworks-continued: claude/claude-sonnet-4-5\n\n" in got
    assert (world.records.row().attempts, world.records.row().continuations) == (3, 1)


@pytest.mark.parametrize("is_error", [True, False])
def test_where_nobody_can_go_on_the_caller_gets_what_cut_it_off(
    world: World, provider: SimulatedProvider, other: SimulatedProvider, *, is_error: bool
) -> None:
    sent = Reply.events([*BEGUN, BUSY]) if is_error else Reply.events(BEGUN, end="cut")
    provider.will(sent)
    other.will(Reply.error(503))
    got = ask(world)
    begun = b"".join(sent.pieces).decode()
    assert got.startswith(begun)
    assert text_of(got) == "a b "
    assert "x-headworks-continued" not in got
    if is_error:
        assert got == begun
    else:
        assert "stream_truncated" in got[len(begun) :]
    row = world.records.row()
    assert (row.attempts, row.continuations) == (2, 0)
    assert row.error_code == ("upstream_error" if is_error else "stream_truncated")
    assert row.output_tokens
    assert row.cost_micro_usd


# ── Messages, and other formats ──


def test_a_message_goes_on_in_the_block_that_is_open(
    world: World, provider: SimulatedProvider, other: SimulatedProvider
) -> None:
    provider.will(Reply.events(message("a ", "b "), end="cut"))
    other.will(REST)
    with (
        anthropic.Anthropic(base_url=world.url, api_key=world.admin_key, max_retries=0) as client,
        client.messages.stream(model="going-claude", messages=ASK, max_tokens=50) as stream,
    ):
        said = stream.get_final_message()
    (block,) = said.content
    assert isinstance(block, anthropic.types.TextBlock)
    assert (said.id, said.model, block.text, said.stop_reason) == ("msg_1", "c", "a b c d", "end_turn")
    assert (said.usage.input_tokens, said.usage.output_tokens) == (50, 6)
    assert other.last.json["messages"][1] == {"role": "assistant", "content": TEXT}
    assert other.last.json["max_completion_tokens"] == 48
    row = world.records.row()
    assert (row.input_tokens, row.output_tokens, row.is_estimated, row.continuations) == (50, 6, True, 1)


def test_a_block_that_is_complete_is_followed_by_another(
    world: World, provider: SimulatedProvider, other: SimulatedProvider
) -> None:
    provider.will(Reply.events([*message("a ", "b "), *named({"type": "content_block_stop", "index": 0})], end="cut"))
    other.will(REST)
    with (
        anthropic.Anthropic(base_url=world.url, api_key=world.admin_key, max_retries=0) as client,
        client.messages.stream(model="going-claude", messages=ASK, max_tokens=50) as stream,
    ):
        said = stream.get_final_message()
    assert [getattr(each, "text", None) for each in said.content] == ["a b ", "c d"]


def test_what_is_told_in_another_format_goes_on_too(
    world: World, provider: SimulatedProvider, other: SimulatedProvider
) -> None:
    """Chat in, Anthropic first, OpenAI second."""
    provider.will(Reply.events(message("a ", "b "), end="cut"))
    other.will(REST)
    got = ask(world, "going-claude")
    assert text_of(got) == "a b c d"
    assert LABEL in got
    told = chunks_of(got)
    assert len({(each["id"], each["model"], each["created"]) for each in told}) == 1
    assert [each for each in told if each["choices"][0]["delta"].get("role")] == told[:1]
    assert got.endswith("data: [DONE]\n\n")


def test_thoughts_of_the_target_that_goes_on_are_not_told(
    world: World, provider: SimulatedProvider, other: SimulatedProvider
) -> None:
    provider.will(Reply.events(message("a ", "b "), end="cut"))
    thought = chunk(reasoning_content="Where was I?")
    other.will(Reply.events([thought, *streamed("c ", "d")]))
    got = ask(world, "going-claude", "/v1/messages", max_tokens=50)
    assert "Where was I" not in got
    assert got.count("event: content_block_start") == got.count("event: content_block_stop") == 1


# ── What is left as it is ──

CALL = {"index": 0, "id": "c", "type": "function", "function": {"name": "f", "arguments": "{"}}
TOOL = {"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}
SCHEMA = {"type": "json_schema", "json_schema": {"name": "s", "schema": {"type": "object"}}}
PREFILL = [*ASK, {"role": "assistant", "content": "a"}]
NOT_PLAIN: dict[str, tuple[list[Any], dict[str, Any]]] = {
    "a tool call": ([*BEGUN, chunk(tool_calls=[CALL])], {}),
    "tools": (BEGUN, {"tools": [TOOL]}),
    "a schema": (BEGUN, {"response_format": SCHEMA}),
    "several answers": (BEGUN, {"n": 2}),
    "thoughts": ([chunk(reasoning_content="Hm."), *BEGUN], {}),
    "a refusal": ([*BEGUN, chunk(refusal="No.")], {}),
    "citations": ([*BEGUN, chunk(annotations=[{"type": "url_citation", "url_citation": {"url": "x"}}])], {}),
    "log probabilities": (BEGUN, {"logprobs": True}),
    "an answer that is kept": (BEGUN, {"store": True}),
    "an answer begun by the caller": (BEGUN, {"messages": PREFILL}),
    "a search": (BEGUN, {"web_search_options": {}}),
    "a cap that is reached": (BEGUN, {"max_tokens": 2}),
    "nothing but blanks": ([chunk("  ")], {}),
}


@pytest.mark.parametrize(("events", "more"), NOT_PLAIN.values(), ids=NOT_PLAIN)
def test_what_is_more_than_plain_text_is_not_gone_on_with(
    world: World, provider: SimulatedProvider, other: SimulatedProvider, events: list[Any], more: dict[str, Any]
) -> None:
    sent = Reply.events(events, end="cut")
    provider.will(sent)
    got = ask(world, **more)
    assert got.startswith(b"".join(sent.pieces).decode())
    assert "stream_truncated" in got
    assert not other.seen
    assert world.records.row().continuations == 0


def test_an_error_inside_such_a_stream_is_relayed_as_it_came(
    world: World, provider: SimulatedProvider, other: SimulatedProvider
) -> None:
    sent = Reply.events([*BEGUN, chunk(tool_calls=[CALL]), BUSY, "[DONE]"])
    provider.will(sent)
    assert ask(world).encode() == b"".join(sent.pieces)
    assert not other.seen


@pytest.mark.parametrize("model", ["pair", "going-nowhere", "going-feature", "going-json"])
def test_nobody_goes_on_where_the_route_does_not_say_so(
    world: World, provider: SimulatedProvider, other: SimulatedProvider, model: str
) -> None:
    provider.will(Reply.events(BEGUN, end="cut"))
    assert "stream_truncated" in ask(world, model)
    assert not other.seen


def test_responses_and_completions_are_not_gone_on_with(
    world: World, provider: SimulatedProvider, other: SimulatedProvider
) -> None:
    text = {"id": "c", "object": "text_completion", "created": 1, "model": "m"}
    begun = {**text, "choices": [{"index": 0, "text": "a", "finish_reason": None}]}
    provider.will(Reply.events([begun], end="cut"))
    asked = {"model": "going-on", "prompt": "Say", "stream": True}
    assert "stream_truncated" in world.post(asked, "/v1/completions").text
    delta = {"type": "response.output_text.delta", "delta": "a", "item_id": "i", "output_index": 0, "content_index": 0}
    provider.will(Reply.events(named(delta), end="cut"))
    asked = {"model": "going-on", "input": "Say", "stream": True, "store": False}
    assert "stream_truncated" in world.post(asked, "/v1/responses").text
    assert not other.seen


def test_a_stream_that_is_not_cut_off_arrives_byte_for_byte(world: World, provider: SimulatedProvider) -> None:
    sent = Reply.events([b": odd\r\n\r\n", *streamed("a ", "b", usage=COUNT)])
    provider.will(sent)
    got = ask(world, stream_options={"include_usage": True})
    assert got.encode() == b"".join(sent.pieces)
    assert (world.records.row().continuations, world.records.row().is_estimated) == (0, False)

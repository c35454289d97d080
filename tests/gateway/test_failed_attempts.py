"""What attempts have cost that came to nothing: in the row of their request, on top of the last one's."""

from __future__ import annotations

import json
from typing import Any

import pytest
from running_gateway import World

from headworks.providers.prices import PriceTable
from headworks.testing.provider import SimulatedProvider
from headworks.testing.replies import Reply, chunk, completion, streamed
from headworks.types.models import Usage

ASK: list[Any] = [{"role": "user", "content": "Hello?"}]
COUNTED = {"prompt_tokens": 1000, "completion_tokens": 200, "total_tokens": 1200}
LAST = {"prompt_tokens": 1100, "completion_tokens": 300, "total_tokens": 1400}
ERROR = {"message": "Blocked.", "type": "server_error", "param": None, "code": "busy"}
ROLE = {**chunk("", role="assistant"), "usage": {**COUNTED, "completion_tokens": 0}}
CALL = {"id": "c1", "type": "function", "function": {"name": "look_up", "arguments": '{"a": '}}

WHOLE: dict[str, Any] = {
    "an answer without a choice": {**completion(""), "choices": [], "usage": COUNTED},
    "an error with a count": {"error": ERROR, "usage": COUNTED},
}


def cost(account: str, model: str, usage: Usage) -> int:
    rates = PriceTable.load().find(account, model)
    assert rates is not None
    found = rates.cost_micro_usd(usage)
    assert found
    return found


@pytest.mark.parametrize("body", WHOLE.values(), ids=WHOLE)
def test_an_answer_that_is_none_is_paid_for_beside_the_one_that_is(
    world: World, provider: SimulatedProvider, other: SimulatedProvider, body: Any
) -> None:
    provider.will(Reply.json(body))
    other.will(Reply.json(completion("Here.", usage=LAST)))
    assert world.post({"model": "priced-pair", "messages": ASK}).status_code == 200
    row = world.records.row()
    assert (row.status, row.attempts, row.provider) == (200, 2, "other")
    assert (row.input_tokens, row.output_tokens, row.is_estimated) == (2100, 500, False)
    both = cost("openai", "gpt-4o-mini", Usage(1000, 200)) + cost("openai", "gpt-4o", Usage(1100, 300))
    assert row.cost_micro_usd == both


@pytest.mark.parametrize("body", WHOLE.values(), ids=WHOLE)
def test_it_is_paid_for_where_nobody_answers_in_its_place(
    world: World, provider: SimulatedProvider, other: SimulatedProvider, body: Any
) -> None:
    provider.will(Reply.json(body))
    other.will(Reply.error(503))
    assert world.post({"model": "priced-pair", "messages": ASK}).status_code == 503
    row = world.records.row()
    assert (row.status, row.attempts, row.provider) == (503, 2, "other")
    assert (row.input_tokens, row.output_tokens, row.is_estimated) == (1000, 200, False)
    assert row.cost_micro_usd == cost("openai", "gpt-4o-mini", Usage(1000, 200))


def test_an_attempt_that_counted_nothing_costs_nothing(
    world: World, provider: SimulatedProvider, other: SimulatedProvider
) -> None:
    provider.will(Reply.html())
    other.will(Reply.json(completion("Here.", usage=LAST)))
    world.post({"model": "priced-pair", "messages": ASK})
    row = world.records.row()
    assert (row.input_tokens, row.output_tokens, row.is_estimated) == (1100, 300, False)
    assert row.cost_micro_usd == cost("openai", "gpt-4o", Usage(1100, 300))


def test_a_stream_that_failed_before_it_began_is_paid_for_as_far_as_it_had_counted(
    world: World, provider: SimulatedProvider, other: SimulatedProvider
) -> None:
    provider.will(Reply.events([ROLE, {"error": ERROR}]))
    other.will(Reply.events(streamed("Here.", usage=LAST)))
    world.post({"model": "priced-pair", "messages": ASK, "stream": True})
    row = world.records.row()
    assert (row.status, row.attempts, row.provider) == (200, 2, "other")
    assert (row.input_tokens, row.output_tokens, row.is_estimated) == (2100, 300, True)


@pytest.mark.parametrize("path", ["/v1/messages", "/v1/chat/completions"])
def test_so_is_one_in_messages_whose_first_event_counts(
    world: World, provider: SimulatedProvider, other: SimulatedProvider, path: str
) -> None:
    start = {"type": "message", "role": "assistant", "model": "c", "id": "m", "content": []}
    begun = {"type": "message_start", "message": {**start, "usage": {"input_tokens": 900, "output_tokens": 1}}}
    failed = {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded."}}
    events = [f"event: {each['type']}\ndata: {json.dumps(each)}\n\n".encode() for each in (begun, failed)]
    provider.will(Reply.events(events))
    other.will(Reply.events(streamed("Here.", usage=LAST)))
    world.post({"model": "claude-pair", "messages": ASK, "stream": True, "max_tokens": 50}, path)
    row = world.records.row()
    assert (row.status, row.attempts, row.provider) == (200, 2, "other")
    assert (row.input_tokens, row.output_tokens, row.is_estimated) == (2000, 301, True)


@pytest.mark.parametrize("is_counted", [True, False])
def test_a_call_that_is_not_whole_was_generated_all_the_same(
    world: World, provider: SimulatedProvider, other: SimulatedProvider, *, is_counted: bool
) -> None:
    message = {"role": "assistant", "content": None, "tool_calls": [CALL]}
    broken = completion("", usage=COUNTED if is_counted else None)
    broken["choices"] = [{"index": 0, "message": message, "finish_reason": "tool_calls"}]
    provider.will(Reply.json(broken))
    other.will(Reply.json(completion("Here.", usage=LAST)))
    asked = {"model": "priced-pair", "messages": ASK, "max_tokens": 50}
    assert world.post(asked, "/v1/messages").status_code == 200
    row = world.records.row()
    assert (row.attempts, row.is_estimated) == (2, not is_counted)
    if is_counted:
        assert (row.input_tokens, row.output_tokens) == (2100, 500)
    else:
        assert 1100 < (row.input_tokens or 0) < 1200
        assert 300 < (row.output_tokens or 0) < 320


def test_three_attempts_add_up(world: World, provider: SimulatedProvider, other: SimulatedProvider) -> None:
    """Two tries of one target and a last one."""
    provider.will(*[Reply.json({"error": ERROR, "usage": COUNTED})] * 3)
    other.will(Reply.json(completion("Here.", usage=LAST)))
    world.post({"model": "trying", "messages": ASK})
    row = world.records.row()
    assert row.attempts == len(provider.seen) + 1
    assert (row.input_tokens, row.output_tokens) == (1100 + 1000 * len(provider.seen), 300 + 200 * len(provider.seen))


def test_a_whole_answer_in_the_place_of_a_stream_was_worked_on(
    world: World, provider: SimulatedProvider, other: SimulatedProvider
) -> None:
    provider.will(Reply.json(completion("Whole.", usage=COUNTED)))
    other.will(Reply.events(streamed("Here.", usage=LAST)))
    world.post({"model": "priced-pair", "messages": ASK, "stream": True})
    row = world.records.row()
    assert (row.attempts, row.input_tokens, row.output_tokens, row.is_estimated) == (2, 2100, 500, False)

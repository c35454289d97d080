"""One row per request, whatever becomes of it: tokens, cost, who and how long."""

from __future__ import annotations

from typing import Any

import pytest
from running_gateway import World

from headworks.providers.prices import PriceTable
from headworks.testing.provider import SimulatedProvider
from headworks.testing.replies import Reply, completion, streamed
from headworks.types.models import Usage

ASK: list[Any] = [{"role": "user", "content": "Hello?"}]


def test_a_plain_request_leaves_one_row_and_no_span(world: World, provider: SimulatedProvider) -> None:
    provider.will(Reply.json(completion("ok")))
    answer = world.post({"model": "outside", "messages": ASK, "user": "u1"})
    row = world.records.row()
    assert len(world.records.rows) == 1
    assert not world.records.spans
    assert str(row.trace_id) == answer.headers["x-headworks-trace"]
    assert row.release == answer.headers["x-headworks-release"]
    assert (row.principal_id, row.key_id, row.tenant_id) == (world.admin.id, world.admin.key, world.admin.tenant)
    assert (row.surface, row.purpose, row.asked_model, row.provider, row.model) == (
        "chat",
        "answer",
        "outside",
        "outside",
        "m1",
    )
    assert (row.status, row.error_code, row.attempts, row.streamed, row.end_user) == (200, None, 1, False, "u1")
    assert (row.input_tokens, row.output_tokens, row.is_estimated) == (10, 5, False)
    assert row.feature is None


@pytest.mark.parametrize("is_stream", [True, False])
def test_a_model_with_a_price_costs_what_the_table_says(
    world: World, provider: SimulatedProvider, *, is_stream: bool
) -> None:
    details = {"prompt_tokens_details": {"cached_tokens": 400}}
    usage = {"prompt_tokens": 1000, "completion_tokens": 200, "total_tokens": 1200, **details}
    provider.will(Reply.events(streamed("ok", usage=usage)) if is_stream else Reply.json(completion("ok", usage=usage)))
    world.post({"model": "priced", "messages": ASK, "stream": is_stream})
    table = PriceTable.load()
    rates = table.find("openai", "gpt-4o-mini")
    assert rates is not None
    row = world.records.row()
    assert row.cost_micro_usd == rates.cost_micro_usd(Usage(1000, 200, 400))
    assert row.cost_micro_usd
    assert row.price_version == table.version


def test_a_model_without_a_price_has_no_cost_rather_than_none(world: World, provider: SimulatedProvider) -> None:
    provider.will(Reply.json(completion("ok")))
    world.post({"model": "unpriced", "messages": ASK})
    row = world.records.row()
    assert (row.cost_micro_usd, row.price_version) == (None, None)
    world.post({"model": "builtin/simulated", "messages": ASK})
    assert world.records.row(2).cost_micro_usd == 0


def test_what_the_provider_does_not_count_is_estimated(world: World, provider: SimulatedProvider) -> None:
    answer = completion("ok")
    del answer["usage"]
    provider.will(Reply.json(answer))
    world.post({"model": "outside", "messages": [{"role": "user", "content": "x" * 4000}]})
    row = world.records.row()
    assert row.is_estimated
    assert 1000 <= (row.input_tokens or 0) <= 1100


@pytest.mark.parametrize("is_stream", [True, False])
@pytest.mark.parametrize("counted", [(-5, 5), (10, -1), (2**31, 5), (10, 10**30)])
def test_what_nobody_can_have_counted_is_estimated(
    world: World, provider: SimulatedProvider, counted: tuple[int, int], *, is_stream: bool
) -> None:
    usage = {"prompt_tokens": counted[0], "completion_tokens": counted[1], "total_tokens": sum(counted)}
    provider.will(Reply.events(streamed("ok", usage=usage)) if is_stream else Reply.json(completion("ok", usage=usage)))
    world.post({"model": "priced", "messages": ASK, "stream": is_stream})
    row = world.records.row()
    assert row.is_estimated
    assert 0 < (row.input_tokens or 0) < 1000
    assert 0 <= (row.output_tokens or 0) < 1000
    assert 0 < (row.cost_micro_usd or 0) < 10_000


@pytest.mark.parametrize("usage", [None, {}, {"prompt_tokens": "many"}, [], "none", 7])
def test_an_odd_usage_object_breaks_nothing(world: World, provider: SimulatedProvider, usage: Any) -> None:
    body = completion("ok", usage=usage)
    provider.will(Reply.json(body), Reply.events([*streamed("ok")[:-1], {"choices": [], "usage": usage}, "[DONE]"]))
    assert world.post({"model": "outside", "messages": ASK}).json() == body
    streamed_answer = world.post({"model": "outside", "messages": ASK, "stream": True})
    assert streamed_answer.text.endswith("data: [DONE]\n\n")
    assert [row.is_estimated for row in world.records.rows] == [True, True]


def test_a_refused_attempt_costs_nothing(world: World, provider: SimulatedProvider) -> None:
    provider.will(Reply.error(429))
    world.post({"model": "priced", "messages": ASK})
    row = world.records.row()
    assert (row.status, row.input_tokens, row.output_tokens, row.cost_micro_usd) == (429, None, None, None)


def test_the_row_is_written_before_the_last_byte(world: World, provider: SimulatedProvider) -> None:
    for model, reply in [("outside", Reply.events(streamed("ok"))), ("bare", Reply.events(streamed("ok")))]:
        provider.will(reply)
        world.records.rows.clear()
        with world.client().chat.completions.create(model=model, messages=ASK, stream=True) as chunks:
            for _ in chunks:
                pass  # ends at [DONE]
            assert len(world.records.rows) == 1

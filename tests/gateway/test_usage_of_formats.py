"""What a call used and cost is the same row, whoever asked and in whichever format the provider counts."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from provider_hall import KINDS, Hall, opened_hall
from running_gateway import World
from spoken_formats import Ask, response_of, responses_stream

from headworks.config import PriceSettings
from headworks.providers.prices import PriceFiles
from headworks.testing import anthropic_replies, bedrock_replies, gemini_replies
from headworks.testing.replies import Reply, completion, streamed

RATES = """
[[price]]
model = "{model}/m"
input = 100
cached_input = 10
cache_write = 200
cache_write_1h = 300
output = 1000
reasoning = 2000
services.flex = {{ output = 500, reasoning = 500 }}
"""
"""Dollars per million tokens, so micro-dollars per token."""

PAIRS = list(itertools.product(("chat", "responses", "messages"), KINDS))
Row = dict[str, Any]
CLAUDES: Row = {"cached_input_tokens": 4, "cache_write_tokens": 2, "cache_write_1h_tokens": 1, "reasoning_tokens": None}
OPENAIS: Row = {"cached_input_tokens": 4, "cache_write_1h_tokens": None, "reasoning_tokens": 2, "service_tier": "flex"}
EXPECTED: dict[str, Row] = {
    "anthropic": {**CLAUDES, "service_tier": "standard", "cost_micro_usd": 3 * 100 + 4 * 10 + 2 * 200 + 300 + 5 * 1000},
    "bedrock": {**CLAUDES, "service_tier": "priority", "cost_micro_usd": 3 * 100 + 4 * 10 + 2 * 200 + 300 + 5 * 1000},
    "gemini": {
        "cached_input_tokens": 4,
        "cache_write_tokens": None,
        "reasoning_tokens": 2,
        "cost_micro_usd": 6 * 100 + 4 * 10 + 3 * 1000 + 2 * 2000,
    },
    "chat": {**OPENAIS, "cache_write_tokens": None, "cost_micro_usd": 6 * 100 + 4 * 10 + 5 * 500},
    "responses": {**OPENAIS, "cache_write_tokens": 2, "cost_micro_usd": 4 * 100 + 4 * 10 + 2 * 200 + 5 * 500},
}


def by_anthropic(*, streams: bool) -> Reply:
    block, counts = anthropic_replies.text("Yes."), anthropic_replies.usage(3, 5, cached=4, written=2, written_1h=1)
    if streams:
        return anthropic_replies.events(*anthropic_replies.spoken(block, counts=counts))
    return Reply.json(anthropic_replies.message(block, counts=counts))


def by_bedrock(*, streams: bool) -> Reply:
    block, counts = bedrock_replies.text("Yes."), bedrock_replies.usage(3, 5, cached=4, written=2, written_1h=1)
    if streams:
        counted = {"metrics": {"latencyMs": 20}, "usage": counts, "serviceTier": {"type": "priority"}}
        said = bedrock_replies.spoken(block)[:-1]
        return bedrock_replies.frames(*said, bedrock_replies.event("metadata", counted))
    return bedrock_replies.answer(block, counts=counts, serviceTier={"type": "priority"})


def by_gemini(*, streams: bool) -> Reply:
    part, counts = gemini_replies.text("Yes."), gemini_replies.usage(10, 3, thoughts=2, cached=4)
    if streams:
        return gemini_replies.events(gemini_replies.chunks(part, counts=counts))
    return Reply.json(gemini_replies.answer(part, counts=counts))


def by_chat(*, streams: bool) -> Reply:
    usage: Row = {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15}
    usage |= {"prompt_tokens_details": {"cached_tokens": 4}, "completion_tokens_details": {"reasoning_tokens": 2}}
    if not streams:
        return Reply.json(completion("Yes.", usage=usage, service_tier="flex"))
    events = streamed("Yes.", usage=usage)
    return Reply.events([each | {"service_tier": "flex"} if isinstance(each, dict) else each for each in events])


def by_responses(*, streams: bool) -> Reply:
    usage: Row = {"input_tokens": 10, "output_tokens": 5, "total_tokens": 15}
    usage |= {"input_tokens_details": {"cached_tokens": 4, "cache_write_tokens": 2}}
    usage |= {"output_tokens_details": {"reasoning_tokens": 2}}
    answer = response_of("Yes.") | {"usage": usage, "service_tier": "flex"}
    return Reply.events(responses_stream(answer)) if streams else Reply.json(answer)


REPLIES: dict[str, Callable[..., Reply]] = {
    "anthropic": by_anthropic,
    "bedrock": by_bedrock,
    "gemini": by_gemini,
    "chat": by_chat,
    "responses": by_responses,
}


@pytest.fixture(scope="module")
def priced_hall(world_of_session: World, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hall]:
    folder: Path = tmp_path_factory.mktemp("prices")
    (folder / "own.toml").write_text("".join(RATES.format(model=kind) for kind in KINDS.values()))
    snapshots = world_of_session.gateway.snapshots
    usual = snapshots._prices
    snapshots._prices = PriceFiles(PriceSettings(overrides=folder / "own.toml"), folder).current
    with opened_hall(world_of_session) as hall:
        yield hall
        snapshots._prices = usual


@pytest.mark.parametrize("streams", [False, True])
@pytest.mark.parametrize(("surface", "target"), PAIRS)
def test_the_usage_row_and_its_cost(
    priced_hall: Hall, world: World, surface: str, target: str, *, streams: bool
) -> None:
    answer = priced_hall.post(surface, target, Ask(streams=streams), REPLIES[target](streams=streams))
    assert answer.status_code == 200, answer.text
    row = world.records.row()
    expected = {"input_tokens": 10, "output_tokens": 5, "is_estimated": False, **EXPECTED[target]}
    assert {name: getattr(row, name) for name in expected} == expected
    assert row.price_version == world.gateway.snapshots.current().prices.version
    assert str(row.price_version).startswith("overrides-")

"""`GET /v1/models`: OpenAI's shape, with what is known of each model and nothing that is not."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import openai
import pytest
from hypothesis import given
from hypothesis import strategies as st
from running_gateway import World

from headworks.gateway.wire.models_list import Listed, listing, single
from headworks.providers.pricing.facts import ModelFacts
from headworks.providers.pricing.rates import Conditions, LongPrompt, Rates


def shown(world: World, name: str) -> dict[str, Any]:
    return world.client().models.retrieve(name).model_dump(exclude_unset=True)


def row(**more: Any) -> dict[str, Any]:
    return dict(json.loads(single(Listed("acme/m", **more))))


def test_a_route_with_one_target_says_what_the_tables_know_of_it(world: World) -> None:
    found = shown(world, "priced")
    assert (found["object"], found["owned_by"]) == ("model", "headworks")
    assert found["targets"] == ["outside/gpt-4o-mini"]
    assert found["context_length"] == 128_000
    pricing = found["pricing"]
    assert (pricing["currency"], pricing["per_tokens"]) == ("USD", 1_000_000)
    assert (pricing["input"], pricing["output"], pricing["cached_input"]) == ("0.15", "0.6", "0.075")
    assert pricing["service_tiers"]["batch"]["input"] == "0.075"
    assert (found["kind"], found["max_output_tokens"]) == ("chat", 16_384)
    assert {"tools", "json_schema", "images"} <= {name for name, has in found["capabilities"].items() if has}


def test_a_dated_model_says_when_it_retires(world: World) -> None:
    found = shown(world, "claude/claude-sonnet-4-5-20250929")
    assert (found["context_length"], found["max_output_tokens"]) == (200_000, 64_000)
    assert (found["pricing"]["input"], found["pricing"]["output"]) == ("3", "15")
    assert found["capabilities"]["computer_use"]
    assert found["retires_on"] == "2026-11-30"


def test_a_route_with_several_targets_says_what_holds_for_each(world: World) -> None:
    found, chat, claude = (shown(world, name) for name in ("claude-pair", "other/gpt-4o", "claude/claude-sonnet-4-5"))
    assert found["targets"] == ["claude/claude-sonnet-4-5", "other/gpt-4o"]
    assert found["context_length"] == chat["context_length"] < claude["context_length"]
    assert found["max_output_tokens"] == chat["max_output_tokens"] < claude["max_output_tokens"]
    assert found["capabilities"]["tools"]
    assert "computer_use" not in found["capabilities"], "nobody knows it of GPT-4o"
    assert found["retires_on"] == claude["retires_on"]
    assert "retires_on" not in chat
    assert "pricing" not in found, "they cost different prices"


def test_targets_that_cost_the_same_have_a_price(world: World) -> None:
    found = shown(world, "same-pair")
    assert found["pricing"] == shown(world, "outside/gpt-4o-mini")["pricing"]
    assert found["max_output_tokens"] == 100, "the smaller of their caps"


def test_a_model_may_be_asked_for_by_its_provider_s_name(world: World) -> None:
    found = shown(world, "outside/gpt-4o-mini")
    assert (found["id"], found["owned_by"], found["pricing"]["input"]) == ("outside/gpt-4o-mini", "outside", "0.15")
    assert "targets" not in found
    with pytest.raises(openai.NotFoundError):
        world.client().models.retrieve("outside/gpt-of-somewhere-else")
    narrowed = world.client(world.key(models=("priced",)))
    world.settle()
    with pytest.raises(openai.NotFoundError):
        narrowed.models.retrieve("outside/gpt-4o-mini")


@pytest.mark.parametrize("name", ["unpriced", "pair", "outside/m1"])
def test_what_is_not_known_is_not_there(world: World, name: str) -> None:
    found = shown(world, name)
    assert found.keys() <= {"id", "object", "created", "owned_by", "targets"}


def test_a_feature_is_described_as_one_and_not_by_its_model(world: World) -> None:
    found = shown(world, "accepting")
    feature = found["feature"]
    assert found.keys() == {"id", "object", "created", "owned_by", "feature"}
    assert (feature["owner"], feature["risk"], feature["channel"]) == ("tests", "low", "prod")
    assert feature["release"].startswith("sha256:")
    assert feature["accepts"] == ["response_format", "system"]
    assert not feature["cites"]
    assert shown(world, "claims")["feature"]["cites"]
    assert shown(world, "typed")["feature"]["inputs"] == ["plan", "year"]


def test_the_limits_of_a_feature_are_those_of_its_route(world: World) -> None:
    found, route = shown(world, "going-feature"), shown(world, "going-on")
    limits = {name: route[name] for name in ("context_length", "max_output_tokens")}
    assert found.keys() == {"id", "object", "created", "owned_by", "feature", *limits}
    assert {name: found[name] for name in limits} == limits


def test_a_route_s_cap_is_the_most_output(world: World) -> None:
    assert shown(world, "capped")["max_output_tokens"] == 50


def test_what_runs_here_costs_nothing(world: World) -> None:
    pricing = shown(world, "builtin/simulated")["pricing"]
    assert (pricing["input"], pricing["output"]) == ("0", "0")


def test_the_list_has_the_same_rows(world: World) -> None:
    listed = {each.id: each.model_dump(exclude_unset=True) for each in world.client().models.list()}
    for name in ("priced", "claims", "builtin/simulated", "pair"):
        assert listed[name] == shown(world, name)


def test_facts_are_told_in_their_own_words() -> None:
    facts = ModelFacts(
        context_tokens=200_000,
        max_output_tokens=64_000,
        kind="chat",
        is_deprecated=False,
        retires_on="2027-03-01",
        supports={"tools": True, "images": False},
    )
    found = row(facts=facts)
    assert found["capabilities"] == {"images": False, "tools": True}
    assert (found["kind"], found["deprecated"], found["retires_on"]) == ("chat", False, "2027-03-01")
    assert (found["context_length"], found["max_output_tokens"]) == (200_000, 64_000)


def test_prices_of_long_prompts_and_of_calls_are_there() -> None:
    long = LongPrompt(200_000, Rates(6_000_000, 22_500_000))
    rates = Rates(3_000_000, 15_000_000, request=2_000, conditions=Conditions(tiers=(long,)))
    pricing = row(rates=rates)["pricing"]
    assert (pricing["input"], pricing["output"], pricing["call"]) == ("3", "15", "0.002")
    assert pricing["long_prompts"] == [{"above_input_tokens": 200_000, "input": "6", "output": "22.5"}]


@given(amount=st.integers(0, 10**15))
def test_amounts_are_exact_and_plain(amount: int) -> None:
    said = row(rates=Rates(amount))["pricing"]["input"]
    assert Decimal(said) * 1_000_000 == amount
    assert set(said) <= set("0123456789.")


def test_an_empty_list_is_a_list() -> None:
    assert json.loads(listing([])) == {"object": "list", "data": []}

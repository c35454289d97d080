"""LiteLLM's price file, by hand-made rows in its form."""

from __future__ import annotations

import json
from datetime import date
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headworks.errors import InvalidRequest
from headworks.providers.prices import ModelFacts
from headworks.providers.pricing.importing import Imported
from headworks.providers.pricing.litellm import import_litellm
from headworks.providers.pricing.tables import PriceRow, dump, parse, rates_of
from headworks.types.models import Usage

TODAY = date(2026, 11, 22)
CHAT = {"input_cost_per_token": 2e-06, "output_cost_per_token": 8e-06, "litellm_provider": "openai", "mode": "chat"}
ANY_JSON = st.recursive(
    st.none() | st.booleans() | st.floats(allow_nan=False, allow_infinity=False) | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
FIELDS = st.sampled_from([
    "input_cost_per_token", "output_cost_per_token", "litellm_provider", "tiered_pricing", "deprecation_date",
    "input_cost_per_token_above_200k_tokens", "cache_creation_input_token_cost_above_1hr_above_200k_tokens",
    "output_cost_per_token_priority", "input_cost_per_query", "provider_specific_entry", "max_input_tokens", "mode",
])  # fmt: skip


def read(models: dict[str, Any]) -> Imported:
    return import_litellm(json.dumps(models).encode(), "prices.json", TODAY)


def row(provider: str = "openai", **fields: Any) -> PriceRow:
    found = read({"m": {**CHAT, **fields}})
    return found.table.by_name()[provider, "m"]


def test_dollars_a_token_become_micro_dollars_a_million() -> None:
    found = row(
        cache_read_input_token_cost=5e-07,
        cache_creation_input_token_cost=2.5e-06,
        cache_creation_input_token_cost_above_1hr=4e-06,
        input_cost_per_audio_token=4e-05,
        output_cost_per_audio_token=8e-05,
        output_cost_per_reasoning_token=9e-06,
    )
    assert found.rates() == {
        "input": 2_000_000, "output": 8_000_000, "cached_input": 500_000, "cache_write": 2_500_000,
        "cache_write_1h": 4_000_000, "audio_input": 40_000_000, "audio_output": 80_000_000, "reasoning": 9_000_000,
    }  # fmt: skip
    assert rates_of(found).cost_micro_usd(Usage(1_000, 100)) == 2_800


@pytest.mark.parametrize("written", ["7.5e-08", "0.000000075", "7.50E-8"])
def test_a_number_is_read_exactly_however_it_is_written(written: str) -> None:
    content = f'{{"m": {{"input_cost_per_token": {written}, "litellm_provider": "openai"}}}}'
    assert import_litellm(content.encode(), "f", TODAY).table.by_name()["openai", "m"].input == 75_000


def test_rates_of_long_prompts_inherit_what_they_do_not_state() -> None:
    found = row(
        cache_creation_input_token_cost_above_1hr=3e-06,
        input_cost_per_token_above_200k_tokens=4e-06,
        cache_creation_input_token_cost_above_1hr_above_200k_tokens=7e-06,
        input_cost_per_token_above_500k_tokens=5e-06,
    )
    assert [(tier.above_input_tokens, tier.input, tier.output, tier.cache_write_1h) for tier in found.tiers] == [
        (200_000, 4_000_000, 8_000_000, 7_000_000),
        (500_000, 5_000_000, 8_000_000, 3_000_000),
    ]


def test_xais_long_prompts_begin_at_the_threshold() -> None:
    found = row("x-ai", litellm_provider="xai", input_cost_per_token_above_200k_tokens=4e-06)
    assert found.tiers[0].above_input_tokens == 199_999


def test_ranges_of_tokens_are_tiers() -> None:
    ranges = [
        {"range": [0, 32_000.0], "input_cost_per_token": 1e-06, "output_cost_per_token": 2e-06},
        {"range": [32_000.0, 256_000.0], "input_cost_per_token": 3e-06},
    ]
    found = read({"dashscope/q": {"litellm_provider": "dashscope", "tiered_pricing": ranges}})
    priced = found.table.by_name()["dashscope", "q"]
    assert (priced.input, priced.output) == (1_000_000, 2_000_000)
    assert [(t.above_input_tokens, t.input, t.output) for t in priced.tiers] == [(32_000, 3_000_000, 2_000_000)]


def test_service_tiers_have_their_own_rates_and_long_prompts() -> None:
    found = row(
        input_cost_per_token_batches=1e-06,
        output_cost_per_token_batches=4e-06,
        input_cost_per_token_priority=3e-06,
        input_cost_per_token_above_272k_tokens=4e-06,
        input_cost_per_token_above_272k_tokens_priority=6e-06,
    )
    rates = rates_of(found)
    costs = {
        (tokens, tier): rates.cost_micro_usd(Usage(tokens, 0), tier)
        for tokens in (1_000, 300_000)
        for tier in ("default", "batch", "priority")
    }
    assert costs == {
        (1_000, "default"): 2_000, (1_000, "batch"): 1_000, (1_000, "priority"): 3_000,
        (300_000, "default"): 1_200_000, (300_000, "batch"): 1_200_000, (300_000, "priority"): 1_800_000,
    }  # fmt: skip


def test_the_fast_mode_is_a_factor_on_everything() -> None:
    factors = {"us": 1.1, "fast": 1.5}
    found = row(
        "anthropic", litellm_provider="anthropic", cache_read_input_token_cost=2e-07, provider_specific_entry=factors
    )
    fast = found.services["fast"]
    assert (fast.input, fast.output, fast.cached_input) == (3_000_000, 12_000_000, 300_000)


def test_a_rerankers_query_is_a_fee() -> None:
    found = read({"rerank-v9": {"input_cost_per_query": 0.002, "litellm_provider": "cohere", "mode": "rerank"}})
    assert rates_of(found.table.by_name()["cohere", "rerank-v9"]).cost_micro_usd(Usage(50)) == 2_000


def test_limits_retirement_and_what_is_supported_are_facts() -> None:
    found = row(
        max_input_tokens=200_000,
        max_output_tokens="64000",
        deprecation_date="2027-02-01",
        supports_function_calling=True,
        supports_vision=False,
        supports_response_schema=True,
        supports_nova_canvas_image_edit=True,
    )
    supports = {"tools": True, "images": False, "json_schema": True}
    assert found.facts == ModelFacts(200_000, kind="chat", retires_on="2027-02-01", supports=supports)
    assert row(mode=None, deprecation_date="soon").facts is None


@pytest.mark.parametrize(
    ("key", "provider", "priced_as"),
    [
        ("gpt-9", "openai", ("openai", "gpt-9")),
        ("GPT-9", "text-completion-openai", ("openai", "gpt-9")),
        ("gemini/gemini-9-pro", "gemini", ("google", "gemini-9-pro")),
        ("vertex_ai/gemini-9", "vertex_ai-language-models", ("vertex", "gemini-9")),
        ("gemini-9", "vertex_ai-language-models", ("vertex", "gemini-9")),
        ("anthropic.claude-9-v1:0", "bedrock_converse", ("aws", "anthropic.claude-9-v1:0")),
        ("bedrock/us-east-1/claude-9", "bedrock", ("aws", "us-east-1/claude-9")),
        ("azure/eu/gpt-9", "azure", ("azure", "eu/gpt-9")),
        ("together_ai/meta-llama/Llama-9", "together_ai", ("together", "meta-llama/llama-9")),
        ("fireworks_ai/accounts/a/models/b", "fireworks_ai", ("fireworks", "accounts/a/models/b")),
        ("xai/grok-9", "xai", ("x-ai", "grok-9")),
        ("nebius/deepseek-ai/R9", "nebius", ("nebius", "deepseek-ai/r9")),
        ("openrouter/openai/gpt-9", "openrouter", ("openrouter", "openai/gpt-9")),
    ],
)
def test_models_stand_under_the_names_that_we_call_them_by(key: str, provider: str, priced_as: tuple[str, str]) -> None:
    assert list(read({key: {**CHAT, "litellm_provider": provider}}).table.by_name()) == [priced_as]


def test_what_is_not_taken_over_is_counted() -> None:
    found = read(
        {
            "sample_spec": {**CHAT, "max_input_tokens": "max input tokens"},
            "kept": CHAT,
            "KEPT": CHAT,
            "free": {**CHAT, "input_cost_per_token": 0, "output_cost_per_token": 0.0},
            "image": {"litellm_provider": "openai", "output_cost_per_image": 0.04},
            "negative": {**CHAT, "input_cost_per_token": -1e-06},
            "text": {**CHAT, "input_cost_per_token": "2e-06"},
            "endless": {"litellm_provider": "openai", "input_cost_per_token": 1},
        }
    )
    assert list(found.table.by_name()) == [("openai", "kept")]
    assert found.left_out == {
        "stands twice": 1, "costs nothing, or nobody knows": 1, "is not priced by token": 4,
    }  # fmt: skip


@pytest.mark.parametrize("content", [b"", b"[]", b"{", b'{"m": 1}', b'{"a": {"litellm_provider": "openai"}}', b"\xff"])
def test_another_file_is_refused_by_its_name(content: bytes) -> None:
    with pytest.raises(InvalidRequest, match=r"prices\.json"):
        import_litellm(content, "prices.json", TODAY)


def test_the_table_is_a_file_that_reads_back_as_it_was() -> None:
    table = read({"m": {**CHAT, "input_cost_per_token_batches": 1e-06, "max_input_tokens": 9}, "n": CHAT}).table
    assert parse(dump(table).encode()) == table
    assert table.version.startswith("2026-11-22-")
    assert table.source == "LiteLLM's prices.json"


@given(models=st.dictionaries(st.text(max_size=8), st.dictionaries(FIELDS | st.text(max_size=9), ANY_JSON), max_size=4))
def test_any_json_is_a_table_or_a_refusal(models: dict[str, Any]) -> None:
    try:
        found = read(models)
    except InvalidRequest:
        return
    assert parse(dump(found.table).encode()) == found.table


@pytest.mark.parametrize("number", ["1e999999999", "1e-999999999", "-1e400", "9" * 400, "1e11"])
@pytest.mark.parametrize("field", ["input_cost_per_token", "max_input_tokens", "input_cost_per_query"])
def test_numbers_beyond_all_sense_break_nothing(number: str, field: str) -> None:
    content = (
        f'{{"m": {{"litellm_provider": "openai", "output_cost_per_token": 1e-6, "{field}": {number}, '
        f'"tiered_pricing": [{{"range": [{number}], "input_cost_per_token": 1e-6}}]}}, '
        '"n": {"litellm_provider": "openai", "input_cost_per_token": 1e-6}}'
    )
    assert ("openai", "n") in import_litellm(content.encode(), "f", TODAY).table.by_name()

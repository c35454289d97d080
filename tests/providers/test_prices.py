"""What a call costs."""

from __future__ import annotations

import importlib.util
import json
import time
from datetime import date
from pathlib import Path
from types import ModuleType

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headworks.providers.catalog import Catalog
from headworks.providers.prices import PriceTable, Rates
from headworks.types.models import Usage

ROOT = Path(__file__).resolve().parents[2]
SHIPPED = ROOT / "src/headworks/providers/prices.json"
TOKENS = st.integers(min_value=0, max_value=10_000_000)
RATE = st.integers(min_value=0, max_value=600_000_000)


@pytest.fixture(scope="module")
def generator() -> ModuleType:
    spec = importlib.util.spec_from_file_location("update_prices", ROOT / "script/update_prices.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_a_call_costs_its_input_and_its_output() -> None:
    rates = Rates(input=2_500_000, output=10_000_000)

    assert rates.cost_micro_usd(Usage(input_tokens=1_000, output_tokens=100)) == 2_500 + 1_000


def test_cached_tokens_are_part_of_the_input_and_cost_their_own_rate() -> None:
    rates = Rates(input=2_000_000, output=8_000_000, cached_input=500_000)

    assert rates.cost_micro_usd(Usage(input_tokens=1_000, output_tokens=0, cached_input_tokens=600)) == 400 * 2 + 300


def test_cached_tokens_without_a_rate_of_their_own_cost_as_input() -> None:
    rates = Rates(input=2_000_000, output=8_000_000)

    assert rates.cost_micro_usd(Usage(input_tokens=1_000, output_tokens=0, cached_input_tokens=600)) == 2_000


def test_more_cached_tokens_than_input_are_not_charged_below_zero() -> None:
    rates = Rates(input=2_000_000, output=0, cached_input=1_000_000)

    assert rates.cost_micro_usd(Usage(input_tokens=10, output_tokens=0, cached_input_tokens=50)) == 10


def test_a_fraction_of_a_micro_dollar_is_rounded_up_so_that_no_priced_call_is_free() -> None:
    rates = Rates(input=20_000, output=None)

    assert rates.cost_micro_usd(Usage(input_tokens=8)) == 1
    assert rates.cost_micro_usd(Usage(input_tokens=50)) == 1
    assert rates.cost_micro_usd(Usage(input_tokens=51)) == 2
    assert rates.cost_micro_usd(Usage(input_tokens=0)) == 0


def test_a_fee_for_each_request_is_added_once() -> None:
    rates = Rates(input=1_000_000, output=1_000_000, request=12_000)

    assert rates.cost_micro_usd(Usage(input_tokens=10, output_tokens=5)) == 12_015


@pytest.mark.parametrize(
    "usage",
    [Usage(), Usage(output_tokens=5), Usage(input_tokens=5)],
    ids=["nothing known", "input unknown", "output unknown"],
)
def test_unknown_counts_have_no_cost_rather_than_zero(usage: Usage) -> None:
    assert Rates(input=1, output=1).cost_micro_usd(usage) is None


def test_output_of_a_model_without_an_output_rate_has_no_cost_rather_than_zero() -> None:
    embedding = Rates(input=20_000)

    assert embedding.cost_micro_usd(Usage(input_tokens=100, output_tokens=0)) == 2
    assert embedding.cost_micro_usd(Usage(input_tokens=100, output_tokens=1)) is None


@given(rate=RATE, cheaper=RATE, out=RATE, tokens=TOKENS, cached=TOKENS, output=TOKENS)
def test_a_cost_is_the_exact_sum_rounded_up_and_caching_never_makes_it_dearer(
    rate: int, cheaper: int, out: int, tokens: int, cached: int, output: int
) -> None:
    cached = min(cached, tokens)
    rates = Rates(input=max(rate, cheaper), output=out, cached_input=min(rate, cheaper))
    exact = (tokens - cached) * rates.input + cached * min(rate, cheaper) + output * out

    cost = rates.cost_micro_usd(Usage(tokens, output, cached))
    uncached = rates.cost_micro_usd(Usage(tokens, output))

    assert cost is not None
    assert uncached is not None
    assert 0 <= cost * 1_000_000 - exact < 1_000_000
    assert cost <= uncached


def test_a_model_is_found_by_its_exact_name_whatever_its_case() -> None:
    table = PriceTable.load()

    assert table.find("openai", "gpt-4o-mini") is not None
    assert table.find("openai", "GPT-4o-Mini") == table.find("openai", "gpt-4o-mini")


@pytest.mark.parametrize("model", ["gpt-4o-min", "gpt-4o-mini-but-not-quite", "openai/gpt-4o-mini", "", "my-finetune"])
def test_a_name_that_is_not_in_the_table_has_no_price(model: str) -> None:
    assert PriceTable.load().find("openai", model) is None


@pytest.mark.parametrize("provider", ["ollama", "vllm", "nowhere", "nvidia"])
def test_a_provider_without_prices_has_no_price_rather_than_zero(provider: str) -> None:
    assert PriceTable.load().find(provider, "gpt-4o-mini") is None


@pytest.mark.parametrize("model", ["extractive", "simulated", "minilm"])
def test_what_runs_in_this_process_is_priced_at_zero(model: str) -> None:
    rates = PriceTable.load().find("builtin", model)

    assert rates is not None
    assert rates.cost_micro_usd(Usage(input_tokens=10_000, output_tokens=10_000)) == 0


def test_an_unknown_built_in_model_has_no_price() -> None:
    assert PriceTable.load().find("builtin", "imagined") is None


@pytest.mark.parametrize(
    ("provider", "model"),
    [("xai", "grok-4"), ("moonshot", "kimi-k2.5"), ("zhipu", "glm-4-air"), ("perplexity", "sonar")],
)
def test_catalogue_ids_are_translated_to_the_price_tables_ids(provider: str, model: str) -> None:
    assert PriceTable.load().find(provider, model) is not None


def test_every_price_provider_of_the_catalogue_is_in_the_table() -> None:
    shipped = json.loads(SHIPPED.read_text(encoding="utf-8"))["providers"]

    assert {p.price_provider for p in Catalog.load() if p.price_provider} <= set(shipped)


def test_a_search_model_pays_for_each_request_beside_its_tokens() -> None:
    rates = PriceTable.load().find("perplexity", "sonar")

    assert rates is not None
    assert rates.request > 0


def test_the_table_loads_in_a_few_milliseconds() -> None:
    PriceTable.load.cache_clear()
    started = time.process_time()

    PriceTable.load()

    assert time.process_time() - started < 0.1  # measured 2 to 6 ms of CPU; the bar is 20 on a quiet machine


def test_the_version_is_a_date_and_the_digest_of_the_rows(generator: ModuleType) -> None:
    shipped = json.loads(SHIPPED.read_text(encoding="utf-8"))

    day, _, digest = shipped["version"].rpartition("-")
    assert date.fromisoformat(day) <= date.today()  # noqa: DTZ011 -- the file's date has no zone
    assert digest == generator.digest(shipped["providers"])
    assert PriceTable.load().version == shipped["version"]


def test_generating_again_gives_rows_of_the_same_shape(generator: ModuleType) -> None:
    shipped = json.loads(SHIPPED.read_text(encoding="utf-8"))
    fresh = json.loads(generator.dump(generator.build(date(2026, 11, 22))))

    assert set(fresh) == set(shipped)
    assert fresh["unit"] == shipped["unit"]
    assert {p.price_provider for p in Catalog.load() if p.price_provider} <= set(fresh["providers"])
    for table in (fresh, shipped):
        for row in (row for rows in table["providers"].values() for row in rows):
            check_row(row)


def check_row(row: dict[str, object]) -> None:
    names = row["names"]
    assert isinstance(names, list)
    assert names
    assert all(name == name.lower() for name in names)
    rates = {"input", "output", "cached_input", "cache_write", "request"}
    assert set(row) <= {"names", "tiers", "hours", "later", *rates}
    assert "input" in row
    assert all(isinstance(row[key], int) and row[key] >= 0 for key in rates & set(row))  # type: ignore[operator] -- ints by then


def test_no_name_stands_twice_under_one_provider() -> None:
    shipped = json.loads(SHIPPED.read_text(encoding="utf-8"))["providers"]

    for rows in shipped.values():
        names = [name for row in rows for name in row["names"]]
        assert len(names) == len(set(names))


def test_thresholds_stay_in_the_file_and_only_the_base_price_is_used() -> None:
    shipped = json.loads(SHIPPED.read_text(encoding="utf-8"))["providers"]
    tiered = next(row for row in shipped["openai"] if "tiers" in row)

    rates = PriceTable.load().find("openai", tiered["names"][0])

    assert rates is not None
    assert rates.input == tiered["input"] < tiered["tiers"][0]["input"]
    assert tiered["tiers"][0]["above_input_tokens"] > 0


def test_the_generator_prices_by_the_day_it_is_asked_for(generator: ModuleType) -> None:
    before = prices_on(generator, date(2026, 11, 22), "google", "gemini-3.8-flash")
    after = prices_on(generator, date(2027, 1, 2), "google", "gemini-3.8-flash")

    assert before["later"][0]["from"] == "2027-01-01"
    assert after["input"] == before["later"][0]["input"]
    assert "later" not in after


def test_a_price_by_time_of_day_is_the_one_that_holds_for_most_of_it(generator: ModuleType) -> None:
    row = prices_on(generator, date(2026, 11, 22), "deepseek", "deepseek-chat")

    assert len(row["hours"]) == 1
    assert len(row["hours"][0]["utc"]) < 24  # half hours: less than half of the day
    assert row["hours"][0]["input"] != row["input"]


def prices_on(generator: ModuleType, on: date, provider: str, model: str) -> dict[str, list[dict[str, object]]]:
    table = generator.build(on)["providers"][provider]
    found: dict[str, list[dict[str, object]]] = next(row for row in table if model in row["names"])
    return found

"""The shipped table against the library that it is made from: every model, by every kind of token, tier and time."""

from __future__ import annotations

import importlib.util
from datetime import UTC, date, datetime, timedelta
from decimal import ROUND_CEILING, Decimal
from importlib.metadata import version
from pathlib import Path
from types import ModuleType
from typing import Any

import genai_prices.types as oracle
import pytest
from genai_prices.data import providers as oracle_providers
from hypothesis import given, settings
from hypothesis import strategies as st

from headworks.providers.catalog import Catalog
from headworks.providers.prices import PriceTable
from headworks.providers.pricing.layers import shipped
from headworks.providers.pricing.tables import PriceRow, digest, dump, parse, rates_of
from headworks.types.models import Usage

SOURCE = f"genai-prices {version('genai-prices')}"
pytestmark = pytest.mark.skipif(
    shipped().source != SOURCE,
    reason=f"the table is not from {SOURCE}: run script/update_prices.py",
)

ROOT = Path(__file__).resolve().parents[3]
SHIPPED = ROOT / "src/headworks/providers/prices.json"
ON = date.fromisoformat(shipped().version[:10])
AT = datetime(ON.year, ON.month, ON.day, 12, tzinfo=UTC)
BY_ID = {provider.id: provider for provider in oracle_providers}
ROWS = [(provider, row) for provider, rows in parse(SHIPPED.read_bytes()).providers.items() for row in rows]
CONTEXTS: dict[str, list[dict[str, str]]] = {
    "batch": [{"processing": "batch"}],
    "priority": [{"service_tier": "priority"}],
    "flex": [{"service_tier": "flex"}],
    "fast": [{"service_tier": "fast"}, {"speed": "fast"}],
}
USAGES = [
    Usage(1_000, 0),
    Usage(123_456, 7_890),
    Usage(200_000, 1),
    Usage(200_001, 10, 50_000),
    Usage(600_000, 4_096, 1, cache_write_tokens=100_000, cache_write_1h_tokens=200_000),
    Usage(9_999, 333, reasoning_tokens=222),
    Usage(50_000, 2_000, audio_input_tokens=20_000, audio_output_tokens=500),
]


@pytest.fixture(scope="module")
def generator() -> ModuleType:
    spec = importlib.util.spec_from_file_location("update_prices", ROOT / "script/update_prices.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def expected(provider: str, model: str, usage: Usage, at: datetime, context: dict[str, str] | None) -> Decimal:
    """Micro-dollars by the library."""
    seller = BY_ID[provider]
    found = seller.find_model(model)
    assert found is not None
    writes = (usage.cache_write_tokens or 0) + (usage.cache_write_1h_tokens or 0)
    counts = {
        "input_tokens": usage.input_tokens,
        "output_tokens": usage.output_tokens,
        "cache_read_tokens": usage.cached_input_tokens,
        "cache_write_tokens": writes or None,
        "cache_write_1h_tokens": usage.cache_write_1h_tokens,
        "input_audio_tokens": usage.audio_input_tokens,
        "output_audio_tokens": usage.audio_output_tokens,
        "output_reasoning_tokens": usage.reasoning_tokens,
    }
    found_price = found.calc_price(
        oracle.Usage(**{name: count for name, count in counts.items() if count is not None}),
        seller,
        genai_request_timestamp=at,
        price_context=context,
    )
    return found_price.total_price * 1_000_000


def check(provider: str, row: PriceRow, usage: Usage, at: datetime, service: str | None = None) -> None:
    """Our cost is the library's, rounded up; a rate may be rounded by half a micro-dollar per million tokens."""
    if row.output is None and usage.output_tokens:
        return
    cost = rates_of(row).cost_micro_usd(usage, service, at.timestamp())
    contexts = CONTEXTS.get(service or "", [None])
    wanted = [expected(provider, row.names[0], usage, at, context) for context in contexts]
    assert cost is not None
    slack = Decimal((usage.input_tokens or 0) + (usage.output_tokens or 0)) / 1_000_000
    near = [exact for exact in wanted if exact - slack <= cost <= (exact + slack).to_integral_value(ROUND_CEILING)]
    assert near, (provider, row.names[0], usage, service, at, cost, wanted)


@pytest.mark.parametrize("usage", USAGES, ids=lambda usage: f"{usage.input_tokens} in")
def test_each_model_costs_what_the_library_says(usage: Usage) -> None:
    for provider, row in ROWS:
        check(provider, row, usage, AT)


def test_each_service_tier_costs_what_the_library_says() -> None:
    served = [(provider, row) for provider, row in ROWS if row.services]
    assert len(served) > 90
    for provider, row in served:
        for service in CONTEXTS:
            for usage in (USAGES[1], USAGES[3], USAGES[4]):
                check(provider, row, usage, AT, service)


def test_prices_by_the_clock_and_from_a_day_on_hold_when_the_library_says() -> None:
    changing = [(provider, row) for provider, row in ROWS if row.periods]
    assert len(changing) > 10
    for provider, row in changing:
        for hours in range(0, 24 * 60, 31):
            at = datetime(ON.year, ON.month, ON.day, tzinfo=UTC) + timedelta(hours=hours, minutes=hours * 7 % 60)
            for service in (None, "batch"):
                check(provider, row, USAGES[1], at, service)


@settings(max_examples=200)
@given(data=st.data())
def test_any_model_with_any_counts_costs_what_the_library_says(data: st.DataObject) -> None:
    provider, row = data.draw(st.sampled_from(ROWS))
    tokens = data.draw(st.integers(0, 2_000_000))
    cached = data.draw(st.integers(0, tokens))
    written = data.draw(st.integers(0, tokens - cached))
    usage = Usage(
        tokens,
        data.draw(st.integers(0, 100_000)),
        cached,
        cache_write_tokens=written,
        cache_write_1h_tokens=data.draw(st.integers(0, tokens - cached - written)),
    )
    service = data.draw(st.sampled_from([None, *CONTEXTS]))
    check(provider, row, usage, AT + timedelta(minutes=data.draw(st.integers(0, 60 * 24 * 90))), service)


def test_every_name_is_one_by_which_the_library_finds_that_model() -> None:
    for provider, row in ROWS:
        found = {id(BY_ID[provider].find_model(name)) for name in row.names}
        assert len(found) == 1, (provider, row.names)


def test_no_name_stands_twice_under_one_provider_and_all_are_lower_case() -> None:
    for provider, rows in parse(SHIPPED.read_bytes()).providers.items():
        names = [name for row in rows for name in row.names]
        assert len(names) == len(set(names)), provider
        assert all(name == name.lower() for name in names)


def test_the_version_is_a_date_and_the_digest_of_what_decides_prices() -> None:
    table = parse(SHIPPED.read_bytes())
    day, _, found = table.version.rpartition("-")
    assert date.fromisoformat(day) <= datetime.now(UTC).date()
    assert found == digest(table.providers, table.resells)
    assert PriceTable.load().version == table.version


def test_generating_again_gives_the_shipped_file(generator: ModuleType) -> None:
    assert dump(generator.build(ON)) == SHIPPED.read_text(encoding="utf-8")


def test_the_generator_prices_by_the_day_it_is_asked_for(generator: ModuleType) -> None:
    before = row_on(generator, date(2026, 11, 22), "google", "gemini-3.8-flash")
    after = row_on(generator, date(2027, 1, 2), "google", "gemini-3.8-flash")
    assert before.periods[0].from_day == date(2027, 1, 1)
    assert after.input == before.periods[0].input
    assert after.services["batch"].input == before.periods[0].services["batch"].input
    assert not after.periods


def test_a_price_by_time_of_day_is_the_longest_with_the_others_beside_it(generator: ModuleType) -> None:
    row = row_on(generator, date(2026, 11, 22), "deepseek", "deepseek-chat")
    assert [period.utc for period in row.periods] == [("16:30", "00:30")]
    assert row.periods[0].input < row.input


def test_every_price_provider_of_the_catalogue_is_in_the_table() -> None:
    table = parse(SHIPPED.read_bytes())
    assert {p.price_provider for p in Catalog.load() if p.price_provider} <= set(table.providers)


def row_on(generator: ModuleType, on: date, provider: str, model: str) -> Any:
    return next(row for row in generator.build(on).providers[provider] if model in row.names)

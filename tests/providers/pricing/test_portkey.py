"""Portkey's price files, by hand-made rows in their form."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headworks.errors import InvalidRequest
from headworks.providers.pricing.importing import Imported
from headworks.providers.pricing.portkey import import_portkey
from headworks.providers.pricing.tables import dump, parse, rates_of
from headworks.types.models import Usage

TODAY = date(2026, 11, 22)


def model(price: float, output: float, **more: Any) -> dict[str, Any]:
    """A row as the files have it, in cents per token."""
    stated = {"request_token": {"price": price}, "response_token": {"price": output}, **more.pop("units", {})}
    return {"pricing_config": {"pay_as_you_go": stated, "currency": "USD", **more}}


def read(folder: Path, models: dict[str, Any], name: str = "anthropic.json") -> Imported:
    (folder / name).write_text(json.dumps(models))
    return import_portkey(folder / name, TODAY)


def test_cents_a_token_become_micro_dollars_a_million(tmp_path: Path) -> None:
    units = {
        "cache_write_input_token": {"price": 0.000375},
        "cache_read_input_token": {"price": 0.00003},
        "request_audio_token": {"price": 0.004},
        "additional_units": {"cache_write_1h": {"price": 0.0006}, "web_search": {"price": 1}},
    }
    batch = {"request_token": {"price": 0.00015}, "response_token": {"price": 0.00075}}
    found = read(tmp_path, {"default": model(0, 0), "m": model(0.0003, 0.0015, units=units, batch_config=batch)})
    row = found.table.by_name()["anthropic", "m"]
    assert row.rates() == {
        "input": 3_000_000, "output": 15_000_000, "cached_input": 300_000, "cache_write": 3_750_000,
        "cache_write_1h": 6_000_000, "audio_input": 40_000_000,
    }  # fmt: skip
    assert row.services["batch"].rates() == row.rates() | {"input": 1_500_000, "output": 7_500_000}
    assert found.left_out == {}


def test_a_zero_among_the_units_says_that_there_is_none(tmp_path: Path) -> None:
    units = {"cache_write_input_token": {"price": 0}, "cache_read_input_token": {"price": 0}}
    row = read(tmp_path, {"m": model(0.0003, 0, units=units)}).table.by_name()["anthropic", "m"]
    assert row.rates() == {"input": 3_000_000, "output": 0}


def test_thinking_tokens_and_modes_of_execution_have_their_rates(tmp_path: Path) -> None:
    fast = {"pricing_config": {"pay_as_you_go": {"request_token": {"price": 0.001}}}}
    modes = {"regions": {"default": {"execution_modes": {"standard": fast, "fast": fast, "turbo": fast}}}}
    units = {"additional_units": {"thinking_token": {"price": 0.00035}}}
    entry = {**model(0.00003, 0.00025, units=units), "custom_pricing": modes}
    row = read(tmp_path, {"m": entry}, "google.json").table.by_name()["google", "m"]
    assert row.reasoning == 3_500_000
    assert {name: service.input for name, service in row.services.items()} == {"fast": 10_000_000}
    assert row.services["fast"].reasoning == 3_500_000


def test_two_rows_by_the_length_of_the_prompt_are_one_with_a_tier(tmp_path: Path) -> None:
    def both(price: float) -> dict[str, Any]:
        return model(price, price, batch_config={"request_token": {"price": price / 2}})

    models = {"g-9-gt-128k": both(0.0002), "g-9-lte-128k": both(0.0001), "lone-gt-128k": both(0.1)}
    found = read(tmp_path, models, "vertex-ai.json")
    rates = rates_of(found.table.by_name()["vertex", "g-9"])
    assert list(found.table.by_name()) == [("vertex", "g-9")]
    assert rates.cost_micro_usd(Usage(128_000, 0)) == 128_000
    assert rates.cost_micro_usd(Usage(128_001, 0)) == 256_002
    assert rates.cost_micro_usd(Usage(128_001, 0), "batch") == 128_001


def test_a_folder_is_all_its_files_and_the_repository_is_its_prices(tmp_path: Path) -> None:
    pricing = tmp_path / "pricing"
    pricing.mkdir()
    for name in ("openai", "x-ai", "mistral-ai", "together-ai", "zhipu"):
        (pricing / f"{name}.json").write_text(json.dumps({"M": model(0.0001, 0.0001)}))
    (tmp_path / "package.json").write_text("{}")
    wanted = {("mistral", "m"), ("openai", "m"), ("together", "m"), ("x-ai", "m"), ("zhipuai", "m")}
    assert set(import_portkey(pricing, TODAY).table.by_name()) == wanted
    assert set(import_portkey(tmp_path, TODAY).table.by_name()) == wanted


def test_what_is_not_taken_over_is_counted(tmp_path: Path) -> None:
    priced = {"a": model(0.0001, 0.0002), "A": model(0.1, 0.1), "free": model(0, 0)}
    found = read(tmp_path, {**priced, "image": {"pricing_config": {}}, "x": 1})
    assert found.left_out == {"stands twice": 1, "costs nothing, or nobody knows": 1, "is not priced by token": 1}


@pytest.mark.parametrize("content", ["", "[]", "{", '{"m": 1}', '{"m": {"pricing_config": 7}}'])
def test_another_file_is_refused_by_its_name(content: str, tmp_path: Path) -> None:
    (tmp_path / "openai.json").write_text(content)
    with pytest.raises(InvalidRequest, match=r"openai\.json"):
        import_portkey(tmp_path / "openai.json", TODAY)


def test_a_missing_file_and_an_empty_folder_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidRequest, match="No such file"):
        import_portkey(tmp_path / "missing.json", TODAY)
    with pytest.raises(InvalidRequest, match="there is no JSON file in it"):
        import_portkey(tmp_path, TODAY)


WORDS = st.sampled_from([
    "pricing_config", "pay_as_you_go", "request_token", "response_token", "price", "additional_units", "batch_config",
    "custom_pricing", "regions", "default", "execution_modes", "fast", "m-gt-9k", "m-lte-9k",
])  # fmt: skip
ANY_JSON = st.recursive(
    st.none() | st.floats(allow_nan=False, allow_infinity=False) | st.integers() | st.just("x"),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(WORDS, inner, max_size=4),
)


@given(models=st.dictionaries(WORDS, ANY_JSON, max_size=4))
def test_any_json_is_a_table_or_a_refusal(models: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.getbasetemp()
    try:
        found = read(folder, models)
    except InvalidRequest:
        return
    assert parse(dump(found.table).encode()) == found.table

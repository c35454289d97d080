"""The prices that are in force: which table decides, what it knows, and what the operator says himself."""

from __future__ import annotations

import logging
from datetime import date
from pathlib import Path
from typing import Literal

import msgspec
import pytest

from headworks.config import PriceSettings
from headworks.errors import ModelUnpriced, StartupRefused
from headworks.providers.prices import FREE, ModelFacts, PriceFiles, PriceTable, Rates, check_priced
from headworks.providers.pricing.layers import SHIPPED, Layer, place, shipped, write
from headworks.providers.pricing.tables import PriceRow, Table, table_of
from headworks.types.models import Usage

TODAY = date(2026, 11, 22)


def made(*rows: PriceRow, provider: str = "openai", resells: dict[str, list[str]] | None = None) -> Table:
    return table_of("a test", {provider: list(rows)}, TODAY, resells or {})


def row(name: str, price: int, **more: object) -> PriceRow:
    return PriceRow(names=[name], input=price, output=price, **more)  # type: ignore[arg-type] -- by name


def test_a_model_is_found_by_its_exact_name_whatever_its_case() -> None:
    table = PriceTable.load()
    assert table.find("openai", "gpt-4o-mini") is not None
    assert table.find("openai", "GPT-4o-Mini") is table.find("openai", "gpt-4o-mini")


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
    assert rates.cost_micro_usd(Usage(10_000, 10_000)) == 0


def test_an_unknown_built_in_model_has_no_price() -> None:
    assert PriceTable.load().find("builtin", "imagined") is None


@pytest.mark.parametrize(
    ("provider", "model"),
    [("xai", "grok-4"), ("moonshot", "kimi-k2.5"), ("zhipu", "glm-4-air"), ("perplexity", "sonar")],
)
def test_catalogue_ids_are_translated_to_the_price_tables_ids(provider: str, model: str) -> None:
    assert PriceTable.load().find(provider, model) is not None


@pytest.mark.parametrize(
    ("provider", "model"),
    [
        ("anthropic", "claude-sonnet-4-5-20250929"),
        ("aws", "us.anthropic.claude-sonnet-4-5-20250929-v1:0"),
        ("aws", "eu.amazon.nova-pro-v1:0"),
        ("azure", "gpt-4.1"),
        ("google", "gemini-2.5-pro"),
    ],
)
def test_the_names_that_apis_use_are_priced(provider: str, model: str) -> None:
    assert PriceTable.load().find(provider, model) is not None


def test_a_search_model_pays_for_each_request_beside_its_tokens() -> None:
    rates = PriceTable.load().find("perplexity", "sonar")
    assert rates is not None
    assert rates.request > 0


def test_the_shipped_table_is_read_once() -> None:
    assert PriceTable.load() is PriceTable.load()


def test_facts_are_put_together_from_all_tables() -> None:
    known = {"tools": False, "images": True}
    first = row("m", 1, facts=ModelFacts(context_tokens=8_000, supports={"tools": True}))
    other = row("m", 2, facts=ModelFacts(9_000, 500, retires_on="2027-03-01", supports=known))
    table = PriceTable([Layer("a", made(first)), Layer("b", made(other))])
    assert table.find_facts("openai", "M") == ModelFacts(
        8_000, 500, retires_on="2027-03-01", supports={"tools": True, "images": True}
    )
    assert table.find_facts("openai", "unknown") is None
    assert PriceTable([Layer("a", made(row("m", 1)))]).find_facts("openai", "m") is None


def test_the_shipped_facts_fill_what_the_tables_do_not_say() -> None:
    shipped = PriceTable.load().find_facts("openai", "GPT-4o-mini")
    assert shipped is not None
    assert (shipped.context_tokens, shipped.max_output_tokens, shipped.kind) == (128_000, 16_384, "chat")
    stated = row("gpt-4o-mini", 1, facts=ModelFacts(9, retires_on="2027-03-01", supports={"tools": False}))
    found = PriceTable([Layer("a", made(stated))]).find_facts("openai", "gpt-4o-mini")
    assert found == msgspec.structs.replace(
        shipped, context_tokens=9, retires_on="2027-03-01", supports={**shipped.supports, "tools": False}
    )


def test_when_a_model_retires_is_up_to_each_seller() -> None:
    maker = row("m", 1, facts=ModelFacts(9, is_deprecated=True, retires_on="2027-03-01", supports={"tools": True}))
    layers = [Layer("a", made(maker, resells={"azure": ["none", "openai"]}))]
    assert PriceTable(layers).find_facts("azure", "m") == ModelFacts(9, supports={"tools": True})
    own = row("m", 1, facts=ModelFacts(8, retires_on="2027-04-01"))
    table = PriceTable([*layers, Layer("b", made(own, provider="azure"))])
    assert table.find_facts("azure", "m") == own.facts


def test_a_reseller_has_the_makers_price_unless_a_table_has_its_own() -> None:
    maker = Layer("maker", made(row("m", 5), row("n", 6), resells={"azure": ["none", "openai"]}))
    seller = Layer("seller", made(row("m", 7), provider="azure"))
    table = PriceTable([maker, seller])
    assert [input_of(table.find("azure", name)) for name in ("m", "n", "o")] == [7, 6, None]
    assert input_of(table.find("openai", "m")) == 5


def input_of(rates: Rates | None) -> int | None:
    return None if rates is None else rates.input


@pytest.mark.parametrize(
    ("rates", "policy", "is_local"), [(FREE, "refuse", False), (None, "allow", False), (None, "refuse", True)]
)
def test_a_model_may_be_called_that_has_a_price_or_needs_none(
    rates: Rates | None, policy: Literal["allow", "refuse"], *, is_local: bool
) -> None:
    check_priced(rates, "openai/secret", policy, is_local=is_local)


def test_a_model_without_a_price_is_refused_where_the_server_says_so() -> None:
    with pytest.raises(ModelUnpriced, match=r"`openai/secret`.*prices\.overrides") as caught:
        check_priced(None, "openai/secret", "refuse", is_local=False)
    assert (caught.value.status, caught.value.code, caught.value.param) == (400, "model_unpriced", "model")


# The tables of a server.


def test_without_settings_the_shipped_table_is_in_force(tmp_path: Path) -> None:
    table = PriceFiles(PriceSettings(), tmp_path).load()
    assert table.version == PriceTable.load().version
    assert [layer.name for layer in table.layers] == [SHIPPED]


def test_tables_decide_in_the_order_of_the_setting(tmp_path: Path) -> None:
    write(place(tmp_path / "prices", "litellm"), made(row("gpt-4o-mini", 11), row("only-there", 12)))
    write(place(tmp_path / "prices", "portkey"), made(row("only-there", 13)))
    usual = PriceFiles(PriceSettings(), tmp_path).load()
    assert input_of(usual.find("openai", "gpt-4o-mini")) == 150_000
    assert input_of(usual.find("openai", "only-there")) == 12
    other = PriceFiles(PriceSettings(order=("portkey", "litellm")), tmp_path).load()
    assert [input_of(other.find("openai", name)) for name in ("gpt-4o-mini", "only-there", "gpt-4o")] == [11, 13, None]
    assert usual.version.startswith(f"{shipped().version}+litellm-2026-11-22-")
    assert usual.version != other.version


@pytest.mark.parametrize("order", [("shiped",), ("shipped", "shipped"), ("overrides",)])
def test_an_order_of_unknown_tables_is_refused(order: tuple[str, ...], tmp_path: Path) -> None:
    with pytest.raises(StartupRefused, match=r"`prices\.order`.*It holds shipped, litellm, portkey"):
        PriceFiles(PriceSettings(order=order), tmp_path)


def test_a_file_that_is_no_table_is_named(tmp_path: Path) -> None:
    place(tmp_path, "litellm").write_text('{"gpt-4": {"input_cost_per_token": 1}}')
    with pytest.raises(StartupRefused, match=r"litellm\.json: this is no price table"):
        PriceFiles(PriceSettings(tables=tmp_path), tmp_path).load()


def test_a_changed_file_is_taken_up_and_a_broken_one_is_not(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    own = tmp_path / "own.toml"
    own.write_text('[[price]]\nmodel = "openai/gpt-4o-mini"\ninput = 1\n')
    files = PriceFiles(PriceSettings(overrides=own), tmp_path)
    first = files.current()
    assert files.current() is first
    assert input_of(first.find("openai", "gpt-4o-mini")) == 1_000_000
    write(place(tmp_path / "prices", "litellm"), made(row("only-there", 12)))
    second = files.current()
    assert input_of(second.find("openai", "only-there")) == 12
    own.write_text("[[price]]\nmodel = 7\n# longer than before, so that the change is seen\n")
    with caplog.at_level(logging.ERROR):
        assert files.current() is second
        assert files.current() is second
    assert caplog.text.count("prices stay as they were") == 1
    own.write_text('[[price]]\nmodel = "openai/gpt-4o-mini"\ninput = 2.5\n# and longer again, for the same reason\n')
    assert input_of(files.current().find("openai", "gpt-4o-mini")) == 2_500_000


def test_the_first_look_at_broken_files_is_refused(tmp_path: Path) -> None:
    files = PriceFiles(PriceSettings(overrides=tmp_path / "missing.toml"), tmp_path)
    with pytest.raises(StartupRefused, match=r"missing\.toml: No such file.*`prices\.overrides` names it"):
        files.current()

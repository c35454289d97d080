"""The operator's own prices, as he writes them."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from headworks.config import PriceSettings
from headworks.errors import StartupRefused
from headworks.providers.prices import PriceFiles, PriceTable, Rates
from headworks.types.models import Usage


def table(folder: Path, text: str) -> PriceTable:
    file = folder / "prices.toml"
    file.write_text(text)
    return PriceFiles(PriceSettings(overrides=file), folder).load()


def rates(folder: Path, text: str, model: str = "openai/gpt-4.1") -> Rates:
    provider, _, name = model.partition("/")
    found = table(folder, text).find(provider, name)
    assert found is not None
    return found


def test_dollars_per_million_tokens_win_over_every_table(tmp_path: Path) -> None:
    found = rates(tmp_path, '[[price]]\nmodel = "openai/GPT-4.1"\ninput = 1.8\noutput = 7\nrequest = 0.002\n')
    assert found == Rates(1_800_000, 7_000_000, request=2_000)


def test_a_model_of_ones_own_server_gets_a_price(tmp_path: Path) -> None:
    found = rates(tmp_path, '[[price]]\nmodel = "vllm/meta/llama"\ninput = 0.1\noutput = 0.2\n', "vllm/meta/llama")
    assert found.cost_micro_usd(Usage(1_000_000, 1_000_000)) == 300_000


def test_the_catalogues_name_of_a_provider_is_the_one_to_use(tmp_path: Path) -> None:
    text = '[[price]]\nmodel = "xai/grok-4"\ninput = 9\n'
    assert rates(tmp_path, text, "xai/grok-4").input == 9_000_000


CONDITIONS = """
[[price]]
model = "openai/gpt-4.1"
input = 2
output = 8
cached_input = 0.5
tiers = [{ above_input_tokens = 1000, input = 4 }]
services.Batch = { input = 1, output = 4, tiers = [{ above_input_tokens = 1000, input = 3 }] }

[[price.periods]]
from = 2027-01-01
input = 3

[[price.periods]]
from = 2027-01-01
utc = ["22:00", "06:00"]
input = 1.5
services.batch = { input = 0.75 }
"""


@pytest.mark.parametrize(
    ("usage", "service", "at", "cost"),
    [
        (Usage(1_000, 10, 500), None, "2026-12-01T12:00", 1_000 + 250 + 80),
        (Usage(1_001, 10), None, "2026-12-01T12:00", 4_004 + 80),
        (Usage(1_000, 10, 500), "batch", "2026-12-01T12:00", 500 + 250 + 40),
        (Usage(1_001, 10), "batch", "2026-12-01T12:00", 3_003 + 40),
        (Usage(1_000, 10), None, "2027-01-01T12:00", 3_000 + 80),
        (Usage(1_000, 10), "batch", "2027-01-01T12:00", 1_000 + 40),
        (Usage(1_000, 10), None, "2027-01-01T23:00", 1_500 + 80),
        (Usage(1_000, 10), "batch", "2027-01-02T05:59", 750 + 80),
        (Usage(1_000, 10), None, "2026-12-31T23:00", 2_000 + 80),
    ],
)
def test_what_a_condition_does_not_state_is_as_without_it(
    usage: Usage, service: str | None, at: str, cost: int, tmp_path: Path
) -> None:
    moment = datetime.fromisoformat(at).replace(tzinfo=UTC).timestamp()
    assert rates(tmp_path, CONDITIONS).cost_micro_usd(usage, service, moment) == cost


def test_a_deployment_costs_what_its_model_costs_with_a_discount_on_everything(tmp_path: Path) -> None:
    text = '[[price]]\nmodel = "azure/ours"\nsame_as = "anthropic/claude-sonnet-4-5"\npercent_off = 12.5\n'
    priced = table(tmp_path, text)
    ours, listed = priced.find("azure", "ours"), priced.find("anthropic", "claude-sonnet-4-5")
    assert ours is not None
    assert listed is not None
    for usage in (Usage(80_000, 8_000, 40_000), Usage(800_000, 80, service_tier="batch")):
        full = listed.cost_micro_usd(usage)
        assert full is not None
        assert ours.cost_micro_usd(usage) == -(-full * 7 // 8)
    facts = priced.find_facts("anthropic", "claude-sonnet-4-5")
    assert facts is not None
    assert facts.supports["tools"]
    assert priced.find_facts("azure", "ours") == facts.elsewhere() != facts


def test_a_discount_alone_is_on_the_models_own_price(tmp_path: Path) -> None:
    assert rates(tmp_path, '[[price]]\nmodel = "openai/gpt-4.1"\npercent_off = 50\n').input == 1_000_000


def test_the_version_tells_one_file_from_another(tmp_path: Path) -> None:
    versions = {table(tmp_path, f'[[price]]\nmodel = "a/b"\ninput = {price}\n').version for price in (1, 2, 2)}
    assert len(versions) == 2
    assert all(version.startswith("overrides-") for version in versions)


PRICE = '[[price]]\nmodel = "openai/gpt-4.1"\n'


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("price = 1", "Expected `array`"),
        ("[[price]]\ninput = 1", "missing required field `model`"),
        ("[[price]]\nmodel = 'gpt-4.1'\ninput = 1", "named as `provider/model`"),
        ("[[price]]\nmodel = 'a/b'", "`openai/gpt-4.1`|`input` is missing"),
        (f"{PRICE}input = -1", "-1 is no price for `input`"),
        (f"{PRICE}input = nan", "no price for `input`"),
        (f"{PRICE}input = 1e900", "no price for `input`"),
        (f"{PRICE}input = true", "Expected `decimal"),
        (f"{PRICE}input = 1\nouput = 2", "unknown field `ouput`"),
        (f"{PRICE}input = 1\nsame_as = 'openai/gpt-4o'", "there is no `input`"),
        (f"{PRICE}percent_off = 1\nservices.batch = {{input = 1}}", "there is no `services`"),
        (f"{PRICE}percent_off = 101", "from 0 to 100"),
        (f"{PRICE}percent_off = nan", "from 0 to 100"),
        (f"{PRICE}same_as = 'openai/imagined'", "no table has a price of `openai/imagined`"),
        (f"{PRICE}input = 1\ntiers = [{{above_input_tokens = -1, input = 2}}]", "is negative"),
        (f"{PRICE}input = 1\nperiods = [{{input = 2}}]", "a `from`, a `utc`, or both"),
        (f"{PRICE}input = 1\nperiods = [{{input = 2, utc = ['25:00', '01:00']}}]", "matching regex"),
        (f"{PRICE}input = 1\n{PRICE}input = 2", "it has a price above already"),
        ("[[price]", "Expected"),
        ("\ud800", "utf-8"),
    ],
)
def test_what_is_wrong_is_named_with_its_file_and_model(text: str, message: str, tmp_path: Path) -> None:
    file = tmp_path / "prices.toml"
    file.write_bytes(text.encode("utf-8", "surrogatepass"))
    with pytest.raises(StartupRefused, match=message) as caught:
        PriceFiles(PriceSettings(overrides=file), tmp_path).load()
    assert "prices.toml: " in str(caught.value)


def test_the_example_of_the_reference_page_is_a_file_that_works(tmp_path: Path) -> None:
    page = (Path(__file__).parents[3] / "docs/reference/prices.md").read_text()
    blocks = [block.partition("```")[0] for block in page.split("```toml\n")[1:]]
    priced = table(tmp_path, next(block for block in blocks if "[[price]]" in block))
    llama = priced.find("vllm", "meta-llama/llama-4-scout-17b-16e-instruct")
    assert llama is not None
    assert llama.cost_micro_usd(Usage(1_000_000, 0), at=datetime(2026, 12, 1, 23, tzinfo=UTC).timestamp()) == 50_000
    assert llama.cost_micro_usd(Usage(1_000_000, 0), at=datetime(2027, 2, 1, 23, tzinfo=UTC).timestamp()) == 120_000
    assert priced.find("azure", "our-deployment") is not None

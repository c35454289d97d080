"""The shipped facts, and the script that makes them from LiteLLM's package."""

from __future__ import annotations

import importlib.util
import json
import zipfile
from datetime import date
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from headworks.providers.prices import PriceTable
from headworks.providers.pricing.fact_table import dump, parse, shipped_facts
from headworks.providers.pricing.facts import SUPPORTS, ModelFacts
from headworks.providers.pricing.layers import shipped
from headworks.providers.pricing.tables import digest

ROOT = Path(__file__).resolve().parents[3]
SHIPPED = ROOT / "src/headworks/providers/facts.json"
TODAY = date(2026, 11, 24)
CHAT = {"input_cost_per_token": 2e-06, "mode": "chat", "supports_vision": True}


@pytest.fixture(scope="module")
def generator() -> ModuleType:
    spec = importlib.util.spec_from_file_location("update_facts", ROOT / "script/update_facts.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def wheel(folder: Path, models: dict[str, Any]) -> Path:
    """LiteLLM 9.9 with these models."""
    path = folder / "litellm-9.9-py3-none-any.whl"
    prices, about = "litellm/model_prices_and_context_window_backup.json", "litellm-9.9.dist-info"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(prices, json.dumps(models))
        archive.writestr(f"{about}/METADATA", "Metadata-Version: 2.4\nName: litellm\nVersion: 9.9\n")
        archive.writestr(f"{about}/RECORD", f"{prices},,\n{about}/METADATA,,\n{about}/RECORD,,\n")
    return path


def test_the_version_is_a_date_and_the_digest_of_the_facts() -> None:
    table = parse(SHIPPED.read_bytes())
    day, _, found = table.version.rpartition("-")
    assert date.fromisoformat(day).isoformat() == day
    assert found == digest(table.providers)
    assert table.source.startswith("litellm ")
    assert dump(table) == SHIPPED.read_text(encoding="utf-8")


def test_facts_are_of_models_that_have_a_price_by_that_very_name_or_moderate() -> None:
    prices = PriceTable((shipped(),), aliases={})
    facts = shipped_facts()
    assert len(facts) == sum(len(row.names) for rows in parse(SHIPPED.read_bytes()).providers.values() for row in rows)
    unpriced = {name for name in facts if prices.find(*name) is None}
    assert ("openai", "omni-moderation-latest") in unpriced
    assert {facts[name].kind for name in unpriced} == {"moderation"}
    assert all(model == model.lower() for _, model in facts)


def test_the_large_vendors_models_have_facts() -> None:
    facts = shipped_facts()
    for vendor in ("anthropic", "aws", "azure", "google", "mistral", "openai"):
        known = [each for (provider, _), each in facts.items() if provider == vendor]
        assert len(known) > 15
        assert any(each.supports.get("tools") and each.context_tokens for each in known)
    assert any(each.retires_on for each in facts.values())
    assert {word for each in facts.values() for word in each.supports} <= set(SUPPORTS)


def test_the_file_is_made_of_a_package_by_exact_names(generator: ModuleType, tmp_path: Path) -> None:
    known = {**CHAT, "max_input_tokens": 9_000, "deprecation_date": "2027-03-01"}
    models = {
        "GPT-4o-mini": {**CHAT, "litellm_provider": "openai"},
        "gpt-4o": {**CHAT, "litellm_provider": "openai"},
        "gpt-4o-mini-but-not-quite": {**CHAT, "litellm_provider": "openai"},
        "gpt-4.1": {"input_cost_per_token": 2e-06, "litellm_provider": "openai"},
        "codestral/codestral-latest": {"mode": "completion", "litellm_provider": "codestral"},
        "mistral/codestral-latest": {**CHAT, "litellm_provider": "mistral"},
        "mistral/next-moderation": {"mode": "moderation", "litellm_provider": "mistral"},
        "azure/gpt-4o-mini": {**known, "litellm_provider": "azure"},
        "bespoke/gpt-4o-mini": {**known, "litellm_provider": "bespoke"},
    }
    table = generator.build(generator.find(wheel(tmp_path, models)), TODAY)
    chat = ModelFacts(kind="chat", supports={"images": True})
    assert table.by_name() == {
        ("azure", "gpt-4o-mini"): ModelFacts(9_000, kind="chat", retires_on="2027-03-01", supports={"images": True}),
        ("mistral", "codestral-latest"): chat,
        ("mistral", "next-moderation"): ModelFacts(kind="moderation"),
        ("openai", "gpt-4o"): chat,
        ("openai", "gpt-4o-mini"): chat,
    }
    assert [row.names for row in table.providers["openai"]] == [["gpt-4o", "gpt-4o-mini"]], "one line: the same facts"
    assert (table.version[:10], table.source) == ("2026-11-24", "litellm 9.9")
    assert parse(dump(table).encode()) == table


def test_a_check_says_what_would_change_and_writes_nothing(
    generator: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = wheel(tmp_path, {"gpt-4o": {**CHAT, "litellm_provider": "openai"}})
    before = SHIPPED.read_bytes()
    assert generator.main([str(path), "--check"]) == 1
    assert capsys.readouterr().out.startswith("changed: ")
    assert SHIPPED.read_bytes() == before


def test_a_folder_without_the_package_is_said_to_be_one(
    generator: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        generator.main([str(tmp_path)])
    assert f"{tmp_path} has no litellm." in capsys.readouterr().err

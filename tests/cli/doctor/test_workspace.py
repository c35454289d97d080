from __future__ import annotations

from pathlib import Path

import pytest

from headworks.app import surroundings
from headworks.cli.doctor import workspace
from headworks.cli.starting import workspace_files
from headworks.config import PriceSettings, ProviderSettings
from headworks.providers.catalog import Catalog, Found
from headworks.providers.prices import PriceFiles
from headworks.releases.workspace.reading import parse_workspace


def findings(
    tmp_path: Path, routes: str, environ: dict[str, str], *found: Found, providers: str = ""
) -> dict[str, str]:
    files = {**workspace_files(), "routes.yaml": routes.encode()}
    if providers:
        files["providers.yaml"] = providers.encode()
    parsed = parse_workspace(files, surroundings(("MY_KEY",)))
    return {each.what: f"{each.state}: {each.detail}" for each in workspace.models(parsed, found, environ)}


ROUTES = "routes:\n  default: {targets: [openai/gpt-5-mini, builtin/extractive]}\n"


def test_a_model_without_a_credential_is_named_with_the_variable(tmp_path: Path) -> None:
    assert findings(tmp_path, ROUTES, {}) == {"openai/gpt-5-mini": "to do: no credential: OPENAI_API_KEY is not set"}
    assert findings(tmp_path, ROUTES, {"OPENAI_API_KEY": " "})["openai/gpt-5-mini"].startswith("to do")


def test_a_model_with_a_credential_and_a_price_is_fine(tmp_path: Path) -> None:
    assert findings(tmp_path, ROUTES, {"OPENAI_API_KEY": "x"}) == {
        "openai/gpt-5-mini": "ok: has a credential and a price"
    }


def test_a_model_without_a_price_is_named(tmp_path: Path) -> None:
    routes = ROUTES.replace("gpt-5-mini", "gpt-unheard-of")
    assert findings(tmp_path, routes, {"OPENAI_API_KEY": "x"}) == {"openai/gpt-unheard-of": "note: no price is known"}


def test_a_price_of_ones_own_is_a_price(tmp_path: Path) -> None:
    own = tmp_path / "own.toml"
    own.write_text('[[price]]\nmodel = "openai/gpt-unheard-of"\ninput = 1\n')
    table = PriceFiles(PriceSettings(overrides=own), tmp_path).load()
    routes = ROUTES.replace("gpt-5-mini", "gpt-unheard-of")
    parsed = parse_workspace({**workspace_files(), "routes.yaml": routes.encode()}, surroundings(()))
    (found,) = workspace.models(parsed, (), {"OPENAI_API_KEY": "x"}, table)
    assert (found.state, found.detail) == ("ok", "has a credential and a price")


def test_a_local_server_has_to_answer(tmp_path: Path) -> None:
    routes = ROUTES.replace("openai/gpt-5-mini", "ollama/llama3.2")
    ollama = Catalog.load().get("ollama")
    assert ollama is not None
    missing = findings(tmp_path, routes, {})["ollama/llama3.2"]
    assert missing == "to do: Ollama does not answer on port 11434 of this machine"
    there = Found(ollama, "port 11434", "http://127.0.0.1:11434/v1", ("llama3.2",))
    assert findings(tmp_path, routes, {}, there)["ollama/llama3.2"].startswith("note: no price is known")


def test_an_account_needs_the_credential_that_it_names(tmp_path: Path) -> None:
    providers = "providers:\n  mine: {kind: openai, base_url: 'https://llm.example/v1', api_key_env: MY_KEY}\n"
    routes = ROUTES.replace("openai/gpt-5-mini", "mine/gpt-5-mini")
    assert findings(tmp_path, routes, {"OPENAI_API_KEY": "x"}, providers=providers) == {
        "mine/gpt-5-mini": "to do: no credential: MY_KEY is not set"
    }
    assert findings(tmp_path, routes, {"MY_KEY": "x"}, providers=providers)["mine/gpt-5-mini"].startswith("ok")


@pytest.mark.parametrize(
    ("model", "missing", "environ"),
    [
        ("anthropic/claude-haiku-4-5", "ANTHROPIC_API_KEY", {"ANTHROPIC_API_KEY": "x"}),
        (
            "bedrock/anthropic.claude-sonnet-5",
            "AWS_BEARER_TOKEN_BEDROCK or AWS_ACCESS_KEY_ID with AWS_SECRET_ACCESS_KEY",
            {"AWS_BEARER_TOKEN_BEDROCK": "x", "AWS_REGION": "eu-central-1"},
        ),
    ],
)
def test_a_vendor_needs_its_own_variables(tmp_path: Path, model: str, missing: str, environ: dict[str, str]) -> None:
    routes = ROUTES.replace("openai/gpt-5-mini", model)
    assert findings(tmp_path, routes, {}) == {model: f"to do: no credential: {missing} is not set"}
    assert findings(tmp_path, routes, environ) == {model: "ok: has a credential and a price"}
    provider, _, name = model.partition("/")
    providers = f"providers:\n  mine: {{kind: {provider}, base_url: 'https://llm.example', api_key_env: MY_KEY}}\n"
    own = ROUTES.replace("openai/gpt-5-mini", f"mine/{name}")
    assert findings(tmp_path, own, environ, providers=providers) == {
        f"mine/{name}": "to do: no credential: MY_KEY is not set"
    }


def test_a_workspace_with_a_mistake_is_something_to_do_and_named(tmp_path: Path) -> None:
    (tmp_path / "routes.yaml").write_text("routs: {}\n")
    found = list(workspace.look(tmp_path, ProviderSettings(), {}))
    assert found[-1].what == "workspace"
    assert found[-1].state == "to do"
    assert "routes.yaml:1: unknown key" in found[-1].detail


def test_without_a_workspace_it_is_a_note() -> None:
    found = list(workspace.look(None, ProviderSettings(), {}))
    assert (found[-1].what, found[-1].state) == ("workspace", "note")


def test_a_key_in_the_environment_is_a_provider_and_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    found = list(workspace.look(None, ProviderSettings(), {"MISTRAL_API_KEY": "sk-very-secret"}))
    assert found[0].what == "providers"
    assert "mistral (MISTRAL_API_KEY)" in found[0].detail
    assert "sk-very-secret" not in str(found)

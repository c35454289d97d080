from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from headworks.cli.main import run
from headworks.providers.pricing.tables import parse

MINI = {"input_cost_per_token": 1.5e-07, "output_cost_per_token": 6e-07, "litellm_provider": "openai", "mode": "chat"}
OTHER = {**MINI, "input_cost_per_token": 2e-07, "cache_read_input_token_cost": 7.5e-08}


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def written(folder: Path, name: str = "prices.json", **models: Any) -> str:
    (folder / name).write_text(json.dumps({key.replace("__", "-"): value for key, value in models.items()}))
    return name


def answer(capfd: pytest.CaptureFixture[str], *words: str, status: int = 0) -> Any:
    """What a command prints with --json: one value."""
    capfd.readouterr()
    assert run(["prices", *words, "--json"]) == status
    out = capfd.readouterr().out
    assert out.count("\n") == 1
    return json.loads(out)


def test_a_model_is_shown_with_its_conditions_and_its_table(capfd: pytest.CaptureFixture[str]) -> None:
    assert run(["prices", "show", "openai/GPT-4o-mini"]) == 0
    lines = capfd.readouterr().out.splitlines()
    assert lines[0].split() == ["model", "openai/gpt-4o-mini"]
    assert lines[1].split()[:2] == ["table", "shipped,"]
    assert "fact   context tokens: 128000" in lines
    assert any(line.startswith("fact   supports: tools, parallel tools, ") for line in lines)
    assert [line.split() for line in lines if line.startswith(("when", "always", "batch"))] == [
        ["when", "input", "output", "cached_input"],
        ["always", "0.15", "0.60", "0.075"],
        ["batch", "0.075", "0.30", "0.075"],
    ]


def test_a_shown_model_as_json_has_integers(capfd: pytest.CaptureFixture[str]) -> None:
    shown = answer(capfd, "show", "anthropic/claude-sonnet-4-5-20250929")
    assert shown["rates"]["cache_write_1h"] == 6_000_000
    assert shown["rates"]["batch: above 200000: output"] == 11_250_000
    facts = shown["facts"]
    assert (facts["context_tokens"], facts["kind"], facts["supports"]["tools"]) == (200_000, "chat", True)
    assert (shown["table"], shown["unused"]) == ("shipped", [])
    assert answer(capfd, "show", "builtin/minilm")["rates"] == {"input": 0, "output": 0}


@pytest.mark.parametrize(
    ("model", "said"),
    [
        ("openai/gpt-4o-minii", "Near names: openai/gpt-4o-mini"),
        ("gpt-4o", "Names are exact"),
        ("xai/", "Names are exact"),
        ("nobody/nothing-like-it", "its calls are recorded with a cost of null"),
    ],
)
def test_an_unknown_model_is_refused_with_near_names(model: str, said: str, capfd: pytest.CaptureFixture[str]) -> None:
    assert run(["prices", "show", model]) == 1
    assert said in capfd.readouterr().err


def test_an_import_shows_what_changes_and_writes_nothing_unasked(here: Path, capfd: pytest.CaptureFixture[str]) -> None:
    name = written(here, a__model=MINI, free={**MINI, "input_cost_per_token": 0, "output_cost_per_token": 0})
    assert run(["prices", "import", "litellm", name]) == 1
    shown = capfd.readouterr()
    assert "1 models with a price, 1 left out (costs nothing, or nobody knows)" in shown.out
    assert "1 new, 0 gone, 0 rates changed" in shown.out
    assert "new: openai/a-model" in shown.out
    assert "Nothing is written. With --yes it is" in shown.err
    assert not (here / ".headworks").exists()


def test_an_import_is_in_force_and_the_next_one_shows_the_difference(
    here: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    name = written(here, a__model=MINI, gone=MINI)
    first = answer(capfd, "import", "litellm", name, "--yes")
    assert first["added"] == ["openai/a-model", "openai/gone"]
    assert parse((here / first["written"]).read_bytes()).version == first["version"]
    assert answer(capfd, "show", "openai/a-model")["table"] == "litellm"
    written(here, a__model=OTHER, come=MINI)
    assert run(["prices", "import", "litellm", name]) == 1
    shown = capfd.readouterr()
    assert "1 new, 1 gone, 2 rates changed" in shown.out
    assert ["openai/a-model", "input", "0.15", "0.20"] in [line.split() for line in shown.out.splitlines()]
    assert ["openai/a-model", "cached_input", "–", "0.075"] in [line.split() for line in shown.out.splitlines()]
    second = answer(capfd, "import", "litellm", name, "--yes")
    assert (second["added"], second["removed"]) == (["openai/come"], ["openai/gone"])
    assert second["changed"][0] == {
        "model": "openai/a-model",
        "field": "input",
        "values": {"old": 150_000, "new": 200_000},
    }
    assert answer(capfd, "import", "litellm", name)["written"] is None
    assert "cost of null" in refusal(capfd, "show", "openai/gone")


def refusal(capfd: pytest.CaptureFixture[str], *words: str) -> str:
    capfd.readouterr()
    assert run(["prices", *words]) == 1
    return capfd.readouterr().err


def test_a_terminal_is_asked(here: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
    name = written(here, a__model=MINI)
    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    for said, status in ((False, 1), (True, 0)):
        monkeypatch.setattr("typer.confirm", lambda *_, said=said, **__: said)
        assert run(["prices", "import", "litellm", name]) == status
    assert "is written. `headworks prices check`" in capfd.readouterr().err


def test_tables_that_disagree_are_shown_by_model_and_rate(here: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert run(["prices", "check"]) == 0
    assert "There is one table only, `shipped`" in capfd.readouterr().err
    assert run(["prices", "import", "litellm", written(here, gpt__4o__mini=MINI), "--yes"]) == 0
    assert run(["prices", "check"]) == 0
    assert "The tables shipped, litellm agree." in capfd.readouterr().err
    portkey = {"pricing_config": {"pay_as_you_go": {"request_token": {"price": 0.00002}}}}
    assert run(["prices", "import", "portkey", written(here, "openai.json", gpt__4o__mini=portkey), "--yes"]) == 0
    (here / "own.toml").write_text('[[price]]\nmodel = "openai/gpt-4o-mini"\npercent_off = 20\n')
    (here / "headworks.toml").write_text('[prices]\noverrides = "own.toml"\n')
    capfd.readouterr()
    assert run(["prices", "check"]) == 0  # settled by the operator's own price
    lines = [line.split() for line in capfd.readouterr().out.splitlines()]
    assert lines[0] == ["model", "rate", "overrides", "shipped", "litellm", "portkey"]
    assert ["openai/gpt-4o-mini", "input", "0.12", "0.15", "0.15", "0.20"] in lines
    assert ["openai/gpt-4o-mini", "output", "0.48", "0.60", "0.60", "–"] in lines
    assert answer(capfd, "show", "openai/gpt-4o-mini")["unused"] == ["shipped", "litellm", "portkey"]
    (here / "headworks.toml").unlink()
    found = answer(capfd, "check", "--provider", "openai", status=1)
    assert set(found["tables"]) == {"shipped", "litellm", "portkey"}
    assert [(row["field"], row["values"]) for row in found["rows"]] == [
        ("input", {"shipped": 150_000, "litellm": 150_000, "portkey": 200_000})
    ]
    assert answer(capfd, "check", "--provider", "mistral")["rows"] == []
    assert len(answer(capfd, "check", "--missing", status=1)["rows"]) > 3


def test_a_provider_is_named_as_routes_name_it(here: Path, capfd: pytest.CaptureFixture[str]) -> None:
    grok = {**MINI, "litellm_provider": "xai"}
    assert run(["prices", "import", "litellm", written(here, **{"xai/grok__4": grok}), "--yes"]) == 0
    for provider in ("xai", "x-ai"):
        found = answer(capfd, "check", "--provider", provider, status=1)
        assert {row["model"] for row in found["rows"]} == {"xai/grok-4"}


def test_tables_lie_where_the_settings_say_and_an_unused_one_is_named(
    here: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (here / "headworks.toml").write_text('[prices]\ntables = "kept"\norder = ["shipped"]\n')
    assert run(["prices", "import", "litellm", written(here, a__model=MINI), "--yes"]) == 0
    assert (here / "kept/litellm.json").exists()
    assert "does not name litellm" in capfd.readouterr().err
    assert "cost of null" in refusal(capfd, "show", "openai/a-model")


@pytest.mark.parametrize(
    ("content", "said"), [(None, "No such file"), ("[]", "Expected `object`"), ("{}", "no model in it has a price")]
)
@pytest.mark.parametrize("source", ["litellm", "portkey"])
def test_a_file_that_is_none_is_refused(
    source: str, content: str | None, said: str, here: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    if content is not None:
        (here / "x.json").write_text(content)
    assert said in refusal(capfd, "import", source, "x.json")


def test_a_mistake_in_the_settings_stops_the_command(here: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (here / "headworks.toml").write_text('[prices]\norder = ["litelm"]\n')
    assert run(["prices", "show", "openai/gpt-4o"]) == 2
    assert "`prices.order` is litelm" in capfd.readouterr().err

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from headworks.cli.main import run
from headworks.cli.starting import write_templates


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder without a server, a key or a provider."""
    monkeypatch.chdir(tmp_path)
    for name in ("HEADWORKS_URL", "HEADWORKS_API_KEY", "OPENAI_API_KEY"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path


def test_it_works_without_a_server_and_without_a_workspace(here: Path, capfd: pytest.CaptureFixture[str]) -> None:
    status = run(["doctor", "--json", "--data", str(here / "data")])
    found = json.loads(capfd.readouterr().out)
    states = {each["what"]: each["state"] for each in found["findings"]}
    assert states["Python"] == "ok"
    assert states["server"] == "note"
    assert states["workspace"] == "note"
    assert status == (1 if found["to_do"] else 0)
    assert found["to_do"] == sum(1 for state in states.values() if state == "to do")


def test_what_is_to_do_is_said_and_counted(here: Path, capfd: pytest.CaptureFixture[str]) -> None:
    write_templates(here)
    routes = here / "workspace" / "routes.yaml"
    routes.write_text("routes:\n  default: {targets: [openai/gpt-5-mini]}\n")
    assert run(["doctor"]) == 1
    shown = capfd.readouterr().out
    assert "to do   openai/gpt-5-mini" in shown
    assert "no credential: OPENAI_API_KEY is not set." in shown
    assert shown.rstrip().endswith(" to do.")


def test_with_a_server_it_says_who_one_is(cli: Any) -> None:
    shown = cli("doctor", "--workspace", str(cli.server.data.parent / "workspace"), check=False).stdout
    assert f"ready at {cli.server.url}" in shown
    assert "of `admin` in the tenant `default`" in shown
    assert "1 feature\n" in shown

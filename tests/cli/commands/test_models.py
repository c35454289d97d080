from __future__ import annotations

import json
from pathlib import Path

import pytest

from headworks.cli.main import run


def test_what_is_missing_is_listed_with_what_to_do(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert run(["models", "list", "--models", str(tmp_path), "--json"]) == 0
    rows = {row["model"]: row for row in json.loads(capfd.readouterr().out)}
    assert rows["builtin/extractive"]["ready"] is True
    assert rows["builtin/minilm"]["ready"] is False
    assert "`headworks models install`" in rows["builtin/minilm"]["missing"]
    assert run(["models", "list", "--models", str(tmp_path)]) == 0
    shown = capfd.readouterr()
    assert "builtin/simulated" in shown.out
    assert "`headworks models install`" in shown.err


def test_installing_what_is_installed_is_nothing(capfd: pytest.CaptureFixture[str]) -> None:
    assert run(["models", "list", "--json"]) == 0
    rows = {row["model"]: row for row in json.loads(capfd.readouterr().out)}
    if not rows["builtin/minilm"]["ready"]:
        pytest.skip("builtin/minilm is not installed here")
    assert run(["models", "install", "--json"]) == 0
    shown = capfd.readouterr()
    assert all(row["ready"] for row in json.loads(shown.out))
    assert "is installed in" in shown.err

from __future__ import annotations

import json
import stat
from pathlib import Path

import pytest

from headworks.cli.local import USUAL_URL, find_address, program, remove_address, write_address
from headworks.config import Settings


def test_an_address_is_left_for_its_owner_alone_and_found_again(tmp_path: Path) -> None:
    settings = Settings(data=tmp_path)
    write_address(tmp_path, "http://127.0.0.1:1234")
    file = tmp_path / "server.json"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert json.loads(file.read_text()) == {"url": "http://127.0.0.1:1234"}
    assert find_address(settings) == "http://127.0.0.1:1234"
    remove_address(tmp_path)
    remove_address(tmp_path)
    assert find_address(settings) == USUAL_URL
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("content", ["", "{", "[]", "{}", "7"])
def test_a_broken_file_is_as_none(tmp_path: Path, content: str) -> None:
    (tmp_path / "server.json").write_text(content)
    assert find_address(Settings(data=tmp_path)) == USUAL_URL


def test_the_settings_here_say_where_the_data_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "headworks.toml").write_text('data = "here"\n')
    (tmp_path / "here").mkdir()
    write_address(tmp_path / "here", "http://127.0.0.1:99")
    assert find_address() == "http://127.0.0.1:99"
    (tmp_path / "headworks.toml").write_text("broken = 1\n")
    assert find_address() == USUAL_URL


def test_the_program_is_named_so_that_it_can_be_called_from_here(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = tmp_path / "my env" / "bin" / "headworks"
    own.parent.mkdir(parents=True)
    own.write_text("#!/bin/sh\n")
    own.chmod(0o755)
    monkeypatch.setattr("sys.argv", [str(own), "demo"])
    monkeypatch.setenv("PATH", "/nowhere")
    monkeypatch.chdir(tmp_path)
    assert program() == "'my env/bin/headworks'"
    monkeypatch.setenv("PATH", str(own.parent))
    assert program() == "headworks"
    monkeypatch.setattr("sys.argv", ["/usr/lib/pytest/__main__.py"])
    assert program() == "headworks"

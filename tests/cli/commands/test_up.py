"""A server by the command line: what it says, what it leaves, and how it ends."""

from __future__ import annotations

import json
import signal
import socket
import stat
import subprocess
from pathlib import Path

import pytest
from running_server import CLEAN, HEADWORKS, start_server, write_workspace

from headworks.cli.commands.up import find_workspace, with_options
from headworks.cli.local import find_address
from headworks.config import Settings
from headworks.errors import StartupRefused


def up(*words: str, cwd: Path, **environ: str) -> subprocess.CompletedProcess[str]:
    """For a start that is refused."""
    return subprocess.run(
        [HEADWORKS, "up", *words],
        capture_output=True,
        text=True,
        env=CLEAN | environ,
        cwd=cwd,
        timeout=100,
        check=False,
    )


def test_the_first_start_gives_a_key_and_a_link_the_second_neither(tmp_path: Path) -> None:
    folder = tmp_path / "here"
    first = start_server(folder, write_workspace(tmp_path / "workspace"))
    assert first.admin_key.startswith("hw_")
    assert first.claim_url.startswith(f"{first.url}/claim/")
    left = first.data / "server.json"
    assert json.loads(left.read_text()) == {"url": first.url}
    assert stat.S_IMODE(left.stat().st_mode) == 0o600
    assert find_address(Settings(data=first.data)) == first.url
    found = subprocess.run(
        [HEADWORKS, "key", "list", "--json"], capture_output=True, text=True, timeout=60, check=True,
        env=CLEAN | {"HEADWORKS_DATA": str(first.data), "HEADWORKS_API_KEY": first.admin_key},
    )  # fmt: skip
    assert json.loads(found.stdout)[0]["principal"] == "admin"
    assert first.stop() == 0
    assert not left.exists()

    second = start_server(folder)
    assert (second.admin_key, second.claim_url) == ("", "")
    assert second.api("GET", "/api/me", key=first.admin_key)[0] == 200
    assert second.stop() == 0


def test_people_are_told_in_a_few_lines_and_ctrl_c_is_no_failure(tmp_path: Path) -> None:
    process = subprocess.Popen(
        [HEADWORKS, "up", "--port", "0"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=tmp_path,
        env=CLEAN | {"HEADWORKS_PROVIDERS_PROBE_LOCAL": "false"},
    )  # fmt: skip
    assert process.stdout is not None
    lines = [process.stdout.readline() for _ in range(5)]
    assert lines[0].startswith("Headworks is ready at http://127.0.0.1:")
    assert [line.split()[0] for line in lines[1:]] == ["sign", "first", "data:", "stop:"]
    assert str(tmp_path / ".headworks") in lines[3]
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 0
    assert errors.endswith("Stopped.\n")
    assert "Traceback" not in errors


def test_a_port_that_is_taken_is_said(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = up("--port", str(port), "--json", cwd=tmp_path)
    assert done.returncode == 2
    assert done.stdout == ""
    assert f"Can't listen on 127.0.0.1:{port}: Address already in use. Choose another port" in done.stderr
    assert not (tmp_path / ".headworks" / "server.json").exists()


def test_a_data_folder_that_can_not_be_written_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    done = up("--port", "0", "--data", "file/below", cwd=tmp_path)
    assert done.returncode == 2
    assert "can't be written" in done.stderr
    assert "`--data DIR`" in done.stderr


def test_a_workspace_with_a_typo_is_said_with_file_and_line_and_nothing_is_left_running(tmp_path: Path) -> None:
    write_workspace(tmp_path / "workspace", **{"collections/docs.yaml": "readers: [everyone]\nreadrs: []\n"})
    done = up("--port", "0", cwd=tmp_path)
    assert done.returncode == 2
    assert "error: collections/docs.yaml:2: unknown key `readrs`." in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / ".headworks" / "postgres" / "cluster" / "postmaster.pid").exists()


def test_a_database_that_can_not_be_reached_is_said(tmp_path: Path) -> None:
    url = "postgresql://postgres:secret@127.0.0.1:1/headworks"
    done = up("--port", "0", cwd=tmp_path, DATABASE_URL=url)
    assert done.returncode == 2
    assert "PostgreSQL can't be reached" in done.stderr
    assert "secret" not in done.stderr


def test_an_address_that_others_reach_needs_to_be_allowed(tmp_path: Path) -> None:
    done = up("--port", "0", "--host", "0.0.0.0", cwd=tmp_path)  # noqa: S104 -- it is refused
    assert done.returncode == 2
    assert "allow_remote = true" in done.stderr


def test_a_settings_file_that_is_not_there_is_said(tmp_path: Path) -> None:
    done = up("--config", "mine.toml", cwd=tmp_path)
    assert done.returncode == 2
    assert "mine.toml: no such file." in done.stderr


def test_the_command_line_wins_over_the_settings(tmp_path: Path) -> None:
    settings = with_options(Settings(), data=tmp_path, port=7, host="::1", workers=3)
    assert settings.data == tmp_path
    assert (settings.server.port, settings.server.host, settings.server.workers) == (7, "::1", 3)
    untouched = with_options(Settings(), data=None, port=None)
    assert untouched.server == Settings().server
    assert untouched.data.is_absolute()


def test_a_workspace_is_the_one_named_else_the_usual_one_if_it_is_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert find_workspace(None) is None
    (tmp_path / "workspace").mkdir()
    for named in (None, tmp_path):
        with pytest.raises(StartupRefused, match=r"there is no file of a workspace in this folder\. Name the folder"):
            find_workspace(named)
    (tmp_path / "workspace" / "routes.yaml").touch()
    assert find_workspace(None) == Path("workspace")
    assert find_workspace(tmp_path) == tmp_path
    with pytest.raises(StartupRefused, match=r"none: there is no such folder\. `headworks init` writes a workspace"):
        find_workspace(Path("none"))

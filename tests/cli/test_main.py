from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from running_server import CLEAN, HEADWORKS, Server, eventually, has_a_socket

from headworks import __version__
from headworks.cli.main import Commands, run


def headworks(*words: str, cwd: Path | None = None, **environ: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [HEADWORKS, *words], capture_output=True, text=True, env=CLEAN | environ, cwd=cwd, timeout=60, check=False
    )


def test_help_is_cheap_and_names_every_command() -> None:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = headworks("--help")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert done.returncode == 0
    for name in Commands.entries:
        assert f"\n  {name} " in done.stdout
    # The bar is 0.25 s and it takes about 0.1 s; a loaded machine is given room.
    assert after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime < 1.0


def test_help_imports_no_command_and_nothing_heavy() -> None:
    code = (
        "import sys; from headworks.cli.main import run; run(['--help']);"
        "print([m for m in sys.modules if m.startswith(('headworks.cli.commands', 'rich', 'fastapi', 'pydantic',"
        " 'openai', 'psycopg', 'numpy', 'http.client'))], file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=CLEAN, check=True)
    assert done.stderr.strip() == "[]"


def test_without_words_it_is_the_help() -> None:
    assert headworks().stdout == headworks("--help").stdout


def test_the_version_is_said() -> None:
    assert headworks("--version").stdout == f"headworks {__version__}\n"


def test_an_unknown_command_names_a_near_one() -> None:
    done = headworks("serch", "x", "y")
    assert done.returncode == 2
    assert "Did you mean 'search'?" in done.stderr


def test_an_unknown_option_is_wrong_usage() -> None:
    done = headworks("up", "--prot", "1")
    assert done.returncode == 2
    assert "--prot" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("name", list(Commands.entries))
def test_the_help_of_each_command_has_an_example(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    left = [[name]]
    while left:
        words = left.pop()
        assert run([*words, "--help"]) == 0
        text, _, listed = capsys.readouterr().out.partition("\nCommands:\n")
        inner = [line.split()[0] for line in listed.splitlines() if line.startswith("  ") and line[2] != " "]
        left += [[*words, each] for each in inner]
        assert inner or f"Example: headworks {' '.join(words)}" in text


def test_an_error_says_what_to_do_and_has_no_traceback() -> None:
    done = headworks("key", "list", HEADWORKS_URL="http://127.0.0.1:1")
    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr.startswith("error: There is no API key to ask with. Give --key or set HEADWORKS_API_KEY.")


def test_without_a_server_it_is_said_how_to_start_one() -> None:
    done = headworks("key", "list", "--url", "http://127.0.0.1:1", "--key", "hw_x")
    assert done.returncode == 1
    assert "No server answers at http://127.0.0.1:1 (Connection refused)." in done.stderr
    assert "`headworks up`" in done.stderr


@pytest.mark.parametrize("url", ["ftp://x", "http://", "http://x/v1", "http://x?y"])
def test_an_address_that_is_none_is_refused(url: str) -> None:
    done = headworks("key", "list", "--url", url, "--key", "hw_x")
    assert done.returncode == 1
    assert "is not the address of a server. Like http://127.0.0.1:8484." in done.stderr


def test_a_wrong_key_gets_the_servers_own_words(server: Server) -> None:
    done = headworks("key", "list", "--url", server.url, "--key", "hw_nonsense")
    assert done.returncode == 1
    status, answer = server.api("GET", "/api/keys", key="hw_nonsense")
    assert status == 401
    assert done.stderr == f"error: {answer['error']['message']}\n"


def test_a_settings_file_with_a_typo_names_key_and_file(tmp_path: Path) -> None:
    (tmp_path / "headworks.toml").write_text("[server]\nprot = 1\n")
    done = headworks("up", cwd=tmp_path)
    assert done.returncode == 2
    assert "headworks.toml: [server]: unknown key `prot`." in done.stderr


def test_ctrl_c_ends_with_130_and_says_nothing(server: Server) -> None:
    environ = CLEAN | {"HEADWORKS_URL": server.url, "HEADWORKS_API_KEY": server.admin_key}
    process = subprocess.Popen(
        [HEADWORKS, "trace", "list", "--follow", "--json"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environ,
    )  # fmt: skip
    # From then on it asks, or sleeps between two looks.
    eventually(lambda: has_a_socket(process.pid))
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=30)
    assert process.returncode == 130
    assert errors == ""


def test_a_reader_that_goes_away_is_no_error(server: Server) -> None:
    for _ in range(3):
        server.api(
            "POST", "/v1/chat/completions", {"model": "assistant", "messages": [{"role": "user", "content": "?"}]}
        )
    environ = CLEAN | {"HEADWORKS_URL": server.url, "HEADWORKS_API_KEY": server.admin_key}
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run(
        [HEADWORKS, "principal", "list", "--json"], stdout=writing, stderr=subprocess.PIPE, text=True, env=environ,
        timeout=60, check=False,
    )  # fmt: skip
    os.close(writing)
    assert done.stderr == ""
    assert done.returncode == 1


def test_a_file_that_can_not_be_written_is_named(tmp_path: Path) -> None:
    script = (
        "import sys\nfrom headworks.cli import lazy, main\n"
        "main.Commands.entries = {'write': lazy.Entry('__main__', 'Write.')}\n"
        "app = lazy.new_app()\n@app.command()\ndef write() -> None:\n    open('none/x', 'w')\n"
        "sys.exit(main.run(['write']))\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, cwd=tmp_path, check=False)
    assert (done.returncode, done.stderr) == (1, "error: none/x: No such file or directory.\n")

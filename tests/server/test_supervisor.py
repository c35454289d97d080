"""The server as a whole, broken on purpose: every process killed, the port taken, the database gone."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import openai
import psutil
import pytest
from running_server import CLEAN, HEADWORKS, Server, eventually, start_server, write_workspace

SIMULATED = "routes:\n  default: {targets: [builtin/simulated]}\n  plain: {targets: [builtin/simulated]}\n"


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """For the tests after which a server serves as before."""
    folder = tmp_path_factory.mktemp("running")
    for each in (folder, *list(folder.parents)[:2]):
        each.chmod(each.stat().st_mode | 0o011)
    started = start_server(folder, write_workspace(folder / "workspace", **{"routes.yaml": SIMULATED}))
    yield started
    assert started.stop() == 0, started.log.read_text()


def client(server: Server) -> openai.OpenAI:
    return openai.OpenAI(base_url=f"{server.url}/v1", api_key=server.admin_key, max_retries=0, timeout=60)


def say(server: Server, text: str = "hello") -> str:
    with client(server) as caller:
        answer = caller.chat.completions.create(model="plain", messages=[{"role": "user", "content": text}])
    return answer.choices[0].message.content or ""


def can_say(server: Server) -> bool:
    try:
        return bool(say(server))
    except openai.OpenAIError:
        return False


def test_a_killed_worker_is_replaced_and_what_it_acknowledged_is_not_lost(running: Server) -> None:
    with client(running) as caller:
        for _ in range(20):
            caller.chat.completions.create(model="plain", messages=[{"role": "user", "content": "hello"}])
        running.one("headworks.app", "gateway").send_signal(signal.SIGKILL)
    eventually(lambda: can_say(running))
    rows = eventually(
        lambda: (found := running.must("GET", "/api/traces?most=100")["rows"]) and len(found) >= 21 and found
    )
    assert len({row["request_id"] for row in rows}) == len(rows)


def test_nothing_outlives_a_killed_supervisor_and_the_next_start_works(tmp_path: Path) -> None:
    first = start_server(tmp_path, write_workspace(tmp_path / "workspace", **{"routes.yaml": SIMULATED}))
    assert say(first)
    family = first.tree()[1:]
    first.process.kill()
    first.stop()  # it is dead; what was printed is read no more
    psutil.wait_procs(family, timeout=30)
    assert [each for each in family if each.is_running() and each.status() != psutil.STATUS_ZOMBIE] == []
    again = start_server(tmp_path)
    try:
        assert first.admin_key.startswith("hw_")
        assert first.claim_url.startswith(first.url + "/claim/")
        assert (again.admin_key, again.claim_url) == ("", ""), "they are printed once"
        again.admin_key = first.admin_key
        assert say(again)
        assert len(again.must("GET", "/api/traces")["rows"]) >= 1
    finally:
        assert again.stop() == 0


def test_a_killed_database_comes_back_and_plain_routes_go_on_meanwhile(running: Server) -> None:
    assert say(running)
    postgres = min((each for each in running.tree() if each.name() == "postgres"), key=lambda each: each.pid)
    postgres.send_signal(signal.SIGKILL)
    assert say(running), "a plain route needs no database"
    eventually(lambda: running.api("GET", "/api/traces")[0] == 200)
    assert say(running)


def test_a_stream_may_finish_when_the_server_is_told_to_stop(tmp_path: Path) -> None:
    slow = (
        "routes:\n  default: {targets: [builtin/simulated]}\n  slow:\n    targets:\n      - target: builtin/simulated\n"
        "        parameters: {script: [{match: '.*', answer: 'one two three four five six', token_delay_s: 0.3}]}\n"
    )
    server = start_server(tmp_path, write_workspace(tmp_path / "workspace", **{"routes.yaml": slow}))
    with client(server) as caller:
        stream = caller.chat.completions.create(
            model="slow", messages=[{"role": "user", "content": "count"}], stream=True
        )
        pieces = [next(stream)]
        server.process.send_signal(signal.SIGTERM)
        pieces += list(stream)
    assert server.stop() == 0, server.log.read_text()
    text = "".join(piece.choices[0].delta.content or "" for piece in pieces if piece.choices)
    assert text == "one two three four five six"
    assert pieces[-1].choices[0].finish_reason == "stop"


def refusal(*words: str, **environ: str) -> str:
    done = subprocess.run(
        [HEADWORKS, "up", *words], capture_output=True, text=True, env=CLEAN | environ, timeout=120, check=False
    )
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    return done.stderr


def test_a_port_that_is_taken_is_told_with_what_to_do(tmp_path: Path) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        said = refusal("--data", str(tmp_path / "data"), "--port", str(port))
    assert f"Can't listen on 127.0.0.1:{port}: Address already in use." in said
    assert f"--port {port + 1}" in said


def test_an_open_bind_is_refused_unless_it_is_meant(tmp_path: Path) -> None:
    said = refusal("--data", str(tmp_path / "data"), "--port", "0", "--host", "0.0.0.0")  # noqa: S104 -- refused
    assert "which others can reach" in said
    assert "allow_remote = true" in said


def test_a_database_that_is_not_there_is_told_at_once(tmp_path: Path) -> None:
    began = time.monotonic()
    url = "postgresql://nobody:secret-word@127.0.0.1:1/none"
    said = refusal("--data", str(tmp_path / "data"), "--port", "0", DATABASE_URL=url)
    assert "PostgreSQL can't be reached" in said
    assert "secret-word" not in said
    assert time.monotonic() - began < 60


def test_a_second_server_on_the_same_data_is_refused(running: Server) -> None:
    said = refusal("--data", str(running.data), "--port", "0")
    assert str(running.data) in said


def test_an_unknown_setting_names_its_file_and_what_is_known(tmp_path: Path) -> None:
    file = tmp_path / "headworks.toml"
    file.write_text("[server]\nprot = 1\n")
    said = refusal("--config", str(file), "--data", str(tmp_path / "data"))
    assert f"{file}: [server]: unknown key `prot`." in said
    assert "port" in said


def test_a_workspace_with_a_typo_keeps_the_server_from_starting(tmp_path: Path) -> None:
    workspace = write_workspace(tmp_path / "workspace", **{"routes.yaml": "rotes: {}\n"})
    said = refusal("--data", str(tmp_path / "data"), "--port", "0", "--workspace", str(workspace))
    assert "routes.yaml:1: unknown key `rotes`" in said


def test_the_data_folder_is_private(running: Server) -> None:
    assert running.data.stat().st_mode & 0o077 in {0, 0o011}
    assert (running.data / "keys" / "master.key").stat().st_mode & 0o077 == 0


def test_health_needs_no_key(running: Server) -> None:
    from urllib.request import urlopen

    for path in ("/livez", "/readyz"):
        with urlopen(running.url + path, timeout=10) as response:
            assert json.loads(response.read())["status"] in {"alive", "ready"}

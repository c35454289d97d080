"""A key that is revoked is refused by every worker, soon, and from then on for ever."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import openai
import pytest
from running_server import Server, eventually, start_server, write_workspace

WORKERS = 2
CONTRACT_S = 1.0
"""Within which a revocation holds on every worker that reaches PostgreSQL."""
TRIES = 5
"""A machine that is busy with something else may need more than one."""
ACCEPTED, REFUSED = 200, 401
ROUTES = """
routes:
  default: {targets: [builtin/simulated]}
  slow: {targets: [{target: builtin/simulated, parameters: {script: [{token_delay_s: 0.1}]}}]}
"""
ASKED = {"model": "default", "messages": [{"role": "user", "content": "hello"}]}


@pytest.fixture(scope="module")
def two_workers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("revocation")
    for each in (folder, *list(folder.parents)[:2]):
        each.chmod(each.stat().st_mode | 0o011)
    workspace = write_workspace(folder / "workspace", **{"routes.yaml": ROUTES})
    running = start_server(folder, workspace, "--workers", str(WORKERS))
    yield running
    assert running.stop() == 0, running.log.read_text()


class Worker:
    """A connection that stays open, and so with one worker."""

    def __init__(self, server: Server) -> None:
        self.client = httpx.Client(base_url=server.url, timeout=30)
        self.client.get("/healthz")

    def answer(self, key: str) -> tuple[int, str]:
        answer = self.client.post("/v1/chat/completions", json=ASKED, headers={"authorization": f"Bearer {key}"})
        return answer.status_code, answer.json().get("error", {}).get("code", "")


def processes(server: Server) -> list[Any]:
    return [each for each in server.tree() if "gateway" in each.cmdline()]


def busy(server: Server) -> set[int]:
    """The gateway processes that hold a connection of a client."""
    port = int(server.url.rpartition(":")[2])
    found = {each.pid: each.net_connections() for each in processes(server)}
    return {pid for pid, held in found.items() if any(c.laddr.port == port and c.status == "ESTABLISHED" for c in held)}


@pytest.fixture
def workers(two_workers: Server) -> Iterator[list[Worker]]:
    """Connections to every worker: the kernel spreads them, so there are some more than workers."""
    assert len(processes(two_workers)) == WORKERS
    opened = [Worker(two_workers)]
    eventually(lambda: opened.append(Worker(two_workers)) or (len(opened) > 8 and len(busy(two_workers)) == WORKERS))
    yield opened
    for each in opened:
        each.client.close()


def watched(workers: list[Worker], key: str, until: float) -> list[list[tuple[float, tuple[int, str]]]]:
    """When each worker was asked and what it answered, until all have refused a few times in a row."""
    seen: list[list[tuple[float, tuple[int, str]]]] = [[] for _ in workers]
    while time.monotonic() < until and not all(len(each) > 5 and each[-5][1][0] == REFUSED for each in seen):
        for each, worker in zip(seen, workers, strict=True):
            asked_at = time.monotonic()
            each.append((asked_at, worker.answer(key)))
    return seen


def seconds_accepted(server: Server, workers: list[Worker], end: Callable[[], object], key: str) -> float:
    """How long after `end` a request was last accepted; on the way, that none is after the first refusal."""
    for worker in workers:
        eventually(lambda: worker.answer(key)[0] == ACCEPTED)  # noqa: B023 -- called at once
    end()
    ended_at = time.monotonic()
    last = 0.0
    for answers in watched(workers, key, ended_at + 30):
        kinds = [status for _, (status, _) in answers]
        assert REFUSED in kinds, "no worker goes on for ever"
        first = kinds.index(REFUSED)
        assert set(kinds[:first]) <= {ACCEPTED}
        assert set(kinds[first:]) == {REFUSED}, "never accepted again"
        assert {code for _, (status, code) in answers if status == REFUSED} == {"revoked_api_key"}
        last = max([last, *(at - ended_at for at, (status, _) in answers if status == ACCEPTED)])
    assert server.api("GET", "/api/me", key=key)[0] == REFUSED
    return last


def revoked(server: Server, name: str) -> None:
    for row in server.must("GET", f"/api/keys?principal={name}")["rows"]:
        server.must("DELETE", f"/api/keys/{row['id']}")


def disabled(server: Server, name: str) -> None:
    server.must("POST", f"/api/principals/{name}/disable")


@pytest.mark.parametrize("end", [revoked, disabled])
def test_a_key_that_ends_is_refused_by_every_worker_within_a_second_and_never_accepted_again(
    two_workers: Server, workers: list[Worker], end: Callable[[Server, str], None]
) -> None:
    measured: list[float] = []
    for attempt in range(TRIES):
        name = f"{end.__name__}-{attempt}"
        key = two_workers.key_of(name, roles=["engineer"])
        measured.append(seconds_accepted(two_workers, workers, lambda: end(two_workers, name), key))  # noqa: B023 -- as above
        if measured[-1] <= CONTRACT_S:
            return
    pytest.fail(f"accepted for {measured} s")


def test_an_open_stream_ends_with_the_right_to_it(two_workers: Server) -> None:
    key = two_workers.key_of("listener", roles=["engineer"])
    url = f"{two_workers.url}/v1"
    with openai.OpenAI(base_url=url, api_key=key, max_retries=0, timeout=60) as client:
        stream = client.chat.completions.create(
            model="slow", messages=[{"role": "user", "content": "word " * 400}], stream=True
        )
        events = iter(stream)
        assert next(events).choices
        revoked(two_workers, "listener")
        with pytest.raises(openai.APIError, match="The API key was revoked"):
            list(events)


def test_a_right_that_is_taken_away_is_gone_on_every_worker(two_workers: Server, workers: list[Worker]) -> None:
    key = two_workers.key_of("demoted", roles=["engineer"])
    for worker in workers:
        eventually(lambda: worker.answer(key)[0] == ACCEPTED)  # noqa: B023 -- called at once
    two_workers.must("DELETE", "/api/principals/demoted/roles/engineer")
    for worker in workers:
        eventually(lambda: worker.answer(key) == (403, "permission_denied"))  # noqa: B023 -- called at once


def test_a_new_key_works_at_once_on_every_worker(two_workers: Server, workers: list[Worker]) -> None:
    for number in range(3):
        key = two_workers.key_of(f"newcomer-{number}", roles=["engineer"])
        assert [worker.answer(key)[0] for worker in workers] == [ACCEPTED] * len(workers)


def test_an_expiring_key_ends_by_the_clock_on_every_worker(two_workers: Server, workers: list[Worker]) -> None:
    key = two_workers.key_of("guest", roles=["engineer"], expires="2s")
    for worker in workers:
        eventually(lambda: worker.answer(key) == (REFUSED, "expired_api_key"))  # noqa: B023 -- called at once
    assert {worker.answer(key)[1] for worker in workers} == {"expired_api_key"}

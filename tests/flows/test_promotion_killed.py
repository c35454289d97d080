"""A server that dies, is raced or tampered with while a release is promoted: exactly one release is live, always.

And rolling back needs nothing of what judges releases.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

import httpx
import psutil
import psycopg
import pytest
from running_server import Server, eventually, start_server

PROMPT = "---\ninputs:\n  question: {kind: string, from: question}\n---\nsystem:\n%s\nuser:\n{{ question }}\n"
STEPS = ("attestation", "channel_move", "audit_event")
"""Tables that a promotion reads or writes in this order: nothing is written yet, the pointer is, all but the end is."""
EVALUATION = (
    "dataset", "dataset_version", "dataset_example", "dataset_member", "golden_split", "review_sample",
    "judgement_wanted", "judgement", "experiment", "experiment_output", "experiment_score", "gate_look", "judge_card",
)  # fmt: skip
LIMIT_S = 5
"""Within which a rollback is live on all workers: what is promised."""


def files(words: str) -> dict[str, str]:
    return {
        "routes.yaml": "routes:\n  default: {targets: [builtin/simulated]}\n",
        "features/claims/feature.yaml": "owner: me\nrisk: low\nroute: default\nprompt: prompts/answer.prompty\n",
        "features/claims/prompts/answer.prompty": PROMPT % words,
    }


class Stand:
    """A server with two releases of `claims`, of which `second` is live, and a look behind it."""

    def __init__(self, folder: Path, *more: str) -> None:
        self.folder = folder
        self.server = start_server(folder, None, *more)
        self.first = self.apply("Be brief.")
        self.second = self.apply("Be kind.")

    def apply(self, words: str) -> str:
        return str(self.server.apply(files(words))["features"][0]["digest"])

    def promote(self, digest: str, expected: str) -> Any:
        body = {"feature": "claims", "digest": digest, "expected": expected}
        return self.server.api("POST", "/api/releases/promote", body)

    def roll_back(self) -> Any:
        return self.server.api("POST", "/api/releases/rollback", {"feature": "claims", "reason": "it lies"})

    def moves(self) -> list[tuple[str, str]]:
        log = self.server.must("GET", "/api/releases/log?feature=claims")["moves"]
        return [(each["way"], each["to"]) for each in log]

    def live(self) -> str:
        status, _, headers = self.server.ask("claims", "Hello?")
        assert status == 200
        return str(headers["x-headworks-release"])

    @contextmanager
    def behind(self) -> Iterator[psycopg.Connection[Any]]:
        """The database, as its superuser sees it."""
        command = self.server.one("-c", "port=5432").cmdline()
        socket = next(each.partition("=")[2] for each in command if each.startswith("unix_socket_directories="))
        password = (self.server.data / "postgres" / "password").read_text().strip()
        where = urlencode({"host": socket, "port": 5432}, quote_via=quote)
        with psycopg.connect(f"postgresql://headworks:{quote(password)}@/headworks?{where}", autocommit=True) as behind:
            behind.execute("SET search_path = headworks, public")
            yield behind

    def die(self) -> None:
        """Kill -9 of everything, the database too: none of them gets to say a word."""
        processes = self.server.tree()
        for order in (psutil.Process.suspend, psutil.Process.kill):
            for each in processes:
                with suppress(psutil.NoSuchProcess):  # it has ended by itself meanwhile
                    order(each)
        self.server.process.wait(30)
        psutil.wait_procs(processes, 30)
        assert self.server.process.stdout is not None
        self.server.process.stdout.close()

    def come_back(self) -> None:
        again = start_server(self.folder)
        self.server = replace(again, admin_key=self.server.admin_key)


def stand_in(folder: Path, *more: str) -> Iterator[Stand]:
    for each in (folder, *list(folder.parents)[:2]):
        each.chmod(each.stat().st_mode | 0o011)
    made = Stand(folder, *more)
    yield made
    made.server.stop()


@pytest.fixture(scope="module")
def stand(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stand]:
    yield from stand_in(tmp_path_factory.mktemp("promotions"))


@pytest.fixture
def two_workers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stand]:
    yield from stand_in(tmp_path_factory.mktemp("workers"), "--workers", "2")


@contextmanager
def held(stand: Stand, *tables: str) -> Iterator[psycopg.Connection[Any]]:
    """Nobody gets further than these tables, until they are let go."""
    with stand.behind() as behind:
        behind.execute("BEGIN")
        behind.execute(f"LOCK TABLE {', '.join(tables)} IN ACCESS EXCLUSIVE MODE".encode())
        yield behind
        behind.execute("ROLLBACK")


def waiting(stand: Stand, table: str) -> int:
    """How many requests stand before a table, or behind one who does."""
    with stand.behind() as behind:
        row = behind.execute(
            "SELECT count(*) FROM pg_locks JOIN pg_stat_activity USING (pid) WHERE usename = 'headworks_app'"
            " AND NOT granted AND (relation = %s::regclass OR locktype = 'advisory')",
            [f"headworks.{table}"],
        ).fetchone()
    return 0 if row is None else int(row[0])


def test_of_two_promotions_at_once_one_moves_and_the_other_is_told(stand: Stand) -> None:
    third = stand.apply("Be quick.")
    with ThreadPoolExecutor(2) as both:
        with held(stand, "channel_move"):
            asked = [both.submit(stand.promote, digest, third) for digest in (stand.first, stand.second)]
            eventually(lambda: waiting(stand, "channel_move") == 2)
        answers = sorted((each.result() for each in asked), key=lambda each: each[0])
    assert [status for status, _ in answers] == [200, 409]
    won = answers[0][1]["after"]
    assert answers[1][1]["error"]["code"] == "channel_moved"
    assert won.removeprefix("sha256:")[:12] in answers[1][1]["error"]["message"]
    eventually(lambda: stand.live() == won)
    assert stand.promote(stand.second, won)[0] == (409 if won == stand.second else 200)


def test_a_promotion_during_a_rollback_is_refused_by_who_rolled_back(stand: Stand) -> None:
    live = stand.apply("Be slow.")
    with ThreadPoolExecutor(2) as both:
        with held(stand, "channel_move"):
            back: Future[Any] = both.submit(stand.roll_back)
            eventually(lambda: waiting(stand, "channel_move") == 1)
            forth: Future[Any] = both.submit(stand.promote, stand.first, live)
            eventually(lambda: waiting(stand, "channel_move") == 2)
        (status, moved), (refused, said) = back.result(), forth.result()
    assert (status, refused) == (200, 409)
    assert "was rolled back by" in said["error"]["message"]
    eventually(lambda: stand.live() == moved["after"])


def test_an_attestation_that_was_forged_in_the_database_is_told_and_stops_the_promotion(stand: Stand) -> None:
    live = stand.apply("Be loud.")
    joe = stand.server.key_of("joe", roles=["expert"])
    place = f"/api/releases/{stand.first}"
    stand.server.must("POST", f"{place}/approve", {"decision": "object"}, key=joe)
    with stand.behind() as behind:
        forged = "set_byte(envelope, 40, (get_byte(envelope, 40) + 1) %% 256)"
        behind.execute(f"UPDATE attestation SET envelope = {forged} WHERE digest = %s".encode(), [stand.first])
    (row,) = stand.server.must("GET", place)["attestations"]
    assert "changed" in row["problem"]
    status, said = stand.promote(stand.first, live)
    assert status == 409
    assert "does not verify" in said["error"]["message"]
    with stand.behind() as behind:
        behind.execute("DELETE FROM attestation WHERE digest = %s", [stand.first])


@pytest.mark.parametrize("table", STEPS)
def test_killed_in_the_middle_what_was_live_is_live(stand: Stand, table: str) -> None:
    live = stand.apply(f"Be {table}.")
    before = stand.moves()
    with ThreadPoolExecutor(1) as asking:
        with pytest.raises(psycopg.OperationalError), held(stand, table):  # noqa: PT012 -- it dies with the server
            lost = asking.submit(stand.promote, stand.first, live)
            eventually(lambda: waiting(stand, table) == 1)
            stand.die()
        with pytest.raises(OSError, match=r"."):
            lost.result()
    stand.come_back()
    assert stand.live() == live
    assert stand.moves() == before


def test_killed_once_it_is_stored_the_new_one_is_live(stand: Stand) -> None:
    live = stand.apply("Be stored.")
    with stand.behind() as behind, ThreadPoolExecutor(1) as asking:
        asked = asking.submit(stand.promote, stand.first, live)

        def is_stored() -> bool:
            row = behind.execute("SELECT digest FROM channel WHERE name = 'prod'").fetchone()
            return row == (stand.first,)

        eventually(is_stored)
        stand.die()
        assert asked.exception() is not None or asked.result()[0] == 200
    stand.come_back()
    assert stand.live() == stand.first
    assert stand.moves()[-1] == ("promote", stand.first)


class Caller:
    """A connection that stays open, and so with one worker."""

    def __init__(self, server: Server) -> None:
        self.client = httpx.Client(base_url=server.url, headers={"authorization": f"Bearer {server.admin_key}"})

    def live(self) -> str:
        asked = {"model": "claims", "messages": [{"role": "user", "content": "Hello?"}]}
        return str(
            self.client.post("/v1/chat/completions", json=asked).raise_for_status().headers["x-headworks-release"]
        )


def connected(server: Server) -> set[int]:
    """The workers that hold a connection of a client."""
    port, found = int(server.url.rpartition(":")[2]), set()
    for each in server.tree():
        held_here = each.net_connections() if "gateway" in each.cmdline() else []
        if any(link.laddr.port == port and link.status == "ESTABLISHED" for link in held_here):
            found.add(each.pid)
    return found


def test_a_rollback_is_live_on_all_workers_in_time_while_evaluation_is_down(two_workers: Stand) -> None:
    callers: list[Caller] = []

    def is_with_both() -> bool:
        callers.append(Caller(two_workers.server))
        return callers[-1].live() != "" and len(connected(two_workers.server)) == 2

    eventually(is_with_both)
    eventually(lambda: all(each.live() == two_workers.second for each in callers))
    with held(two_workers, *EVALUATION), ThreadPoolExecutor(1) as asking:
        down = asking.submit(two_workers.server.api, "GET", "/api/experiments")
        eventually(lambda: waiting(two_workers, "experiment") == 1)
        status, moved = two_workers.roll_back()
        assert (status, moved["after"]) == (200, two_workers.first)
        eventually(lambda: all(each.live() == two_workers.first for each in callers), LIMIT_S)
        assert down.result()[0] == 503, "evaluation was down all the while"
    for each in callers:
        each.client.close()

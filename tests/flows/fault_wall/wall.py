"""The wall put up: the provider's process, a server in front of it, and cases played against both."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from certificates import authority
from expectations import Complaint, Evidence, judge, judge_leaving
from fault_cases import Case, all_cases, all_leaving, workspace
from fault_kinds import KINDS
from raw_client import Received, request_of, send
from running_server import Server, eventually
from upstream_log import Seen, UpstreamLog

FIRST_BYTE_S, IDLE_S, TOTAL_S = 3.0, 2.5, 8.0
"""Deadlines of the server under test: short for a test, long for a healthy answer on a busy machine."""
ENVIRONMENT = {
    "HEADWORKS_GATEWAY_DEADLINES_CONNECT_S": "2",
    "HEADWORKS_GATEWAY_DEADLINES_FIRST_BYTE_S": str(FIRST_BYTE_S),
    "HEADWORKS_GATEWAY_DEADLINES_IDLE_S": str(IDLE_S),
    "HEADWORKS_GATEWAY_DEADLINES_TOTAL_S": str(TOTAL_S),
    "HEADWORKS_RECORDS_BATCH_MS": "50",
    "AWS_ACCESS_KEY_ID": "AKIDEXAMPLE",
    "AWS_SECRET_ACCESS_KEY": "secret",
    "AWS_REGION": "us-east-1",
}
AT_ONCE = 24
WAIT_AT_ONCE = 108
"""Of those that do nothing but wait for a deadline."""
LEAVE_AT_ONCE = 8
MOST_IN_ONE_PLAY = 800
"""Fewer than the rows that one look at the records shows."""
LIMIT_S = 60.0
LATE = "late-cancel"


@contextmanager
def faulty_provider(folder: Path) -> Iterator[tuple[dict[str, int], UpstreamLog]]:
    """The provider in a process of its own: its ports, and its log."""
    log = folder / "upstream.jsonl"
    log.touch()
    script = Path(__file__).with_name("faulty_provider.py")
    process = subprocess.Popen([sys.executable, str(script), str(log)], stdin=-1, stdout=-1)
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        yield json.loads(process.stdout.readline()), UpstreamLog(log)
    finally:
        process.stdin.close()
        process.stdout.close()
        assert process.wait(20) == 0


@dataclass
class Wall:
    """Plays each batch once, when the first of its cases is asked for."""

    url: str
    key: str
    log: UpstreamLog
    tail: Callable[[], list[dict[str, Any]]]
    """The newest usage rows, as `/api/traces` has them."""
    patience_s: float = 30.0
    """How long to wait for what has to come: rows, and the provider's notice that nobody waits for it."""
    tries: int = 3
    """Of a caller who leaves: a busy machine may notice late, and does not each time."""
    played: dict[Case, Evidence] = field(default_factory=dict)
    left: dict[tuple[Case, str], Evidence] = field(default_factory=dict)

    def judged(self, case: Case) -> list[Complaint]:
        """What is wrong with one case."""
        if case not in self.played:
            group = KINDS[case.kind].group
            cases = [each for each in all_cases() if KINDS[each.kind].group == group]
            for at in range(0, len(cases), MOST_IN_ONE_PLAY):
                self.play(cases[at : at + MOST_IN_ONE_PLAY])
        return judge(self.played[case])

    def play(self, cases: list[Case]) -> list[Evidence]:
        """All of them, a good number at once; and their records."""
        is_waiting = all(KINDS[case.kind].group == "stall" for case in cases)
        answers = asyncio.run(self._send_all(cases, WAIT_AT_ONCE if is_waiting else AT_ONCE))
        rows = self._rows([answer.one("x-headworks-trace") or "" for answer in answers])
        found = []
        for case, received in zip(cases, answers, strict=True):
            mine = rows.get(received.one("x-headworks-trace") or "", [])
            self.played[case] = Evidence(case, received, self._settled(case), mine[0] if mine else None, len(mine))
            found.append(self.played[case])
        return found

    async def send(self, case: Case, leave: Callable[[], Awaitable[str]] | None = None) -> Received:
        """One request."""
        place = urlsplit(self.url)
        assert place.hostname
        assert place.port
        body = case.surface.ask(case.id, case.route)
        request = request_of(case.surface.path, self.key, body, place.netloc)
        return await send(place.hostname, place.port, request, limit_s=LIMIT_S, leave=leave)

    def judged_leaving(self, case: Case, how: str) -> list[Complaint]:
        """The same for a caller who hangs up."""
        if (case, how) not in self.left:
            self.play_leaving(list(all_leaving()))
        found = judge_leaving(self.left[case, how])
        for again in range(1, self.tries):
            if {each.name for each in found} != {LATE}:
                break
            (evidence,) = self.play_leaving([(replace(case, turn=f"{case.turn} again {again}"), how)])
            found = judge_leaving(evidence)
        return found

    def play_leaving(self, cases: list[tuple[Case, str]]) -> list[Evidence]:
        """Callers who hang up (fin, reset) once the fault has been reached, and what became of them."""
        before = {row["trace_id"] for row in self.tail()}
        answers = asyncio.run(self._leave_all(cases))
        self.log.wait_for(lambda: self._new(before, len(cases)), self.patience_s)
        new = self._new(before)
        found = []
        for (case, how), received in zip(cases, answers, strict=True):
            rows = new.get((case.route, case.surface.inbound, case.surface.streams), [])
            self.left[case, how] = Evidence(case, received, self._settled(case), rows[0] if rows else None, len(rows))
            found.append(self.left[case, how])
        return found

    def _new(self, before: set[str], wanted: int = 0) -> dict[tuple[str, str, bool], list[dict[str, Any]]]:
        """Rows that came since, by what was asked; nothing as long as they are fewer than wanted."""
        found: dict[tuple[str, str, bool], list[dict[str, Any]]] = {}
        rows = [row for row in self.tail() if row["trace_id"] not in before]
        for row in rows if len(rows) >= wanted else ():
            found.setdefault((row["asked_model"], row["surface"], row["streamed"]), []).append(row)
        return found

    async def _leave_all(self, cases: list[tuple[Case, str]]) -> list[Received]:
        turns = asyncio.Semaphore(LEAVE_AT_ONCE)

        async def one(case: Case, how: str) -> Received:
            async def leave() -> str:
                while not self._is_reached(case):
                    await asyncio.sleep(0.01)
                return how

            async with turns:
                return await self.send(case, leave)

        return await asyncio.gather(*(one(case, how) for case, how in cases))

    def _is_reached(self, case: Case) -> bool:
        """Whether the provider has begun to make this caller wait."""
        seen = [each for each in self.log.of(case.id) if each.kind == case.kind]
        if not seen:
            return False
        needs = {"stall-after-tokens": 4, "endless": 4, "stall-in-a-frame": 4}.get(case.kind, 0)
        has_spoken = case.kind == "silence" or bool(seen[-1].payload) or case.kind == "stall-after-head"
        return has_spoken and len(seen[-1].tokens) >= needs

    async def _send_all(self, cases: list[Case], at_once: int) -> list[Received]:
        turns = asyncio.Semaphore(at_once)

        async def one(case: Case) -> Received:
            async with turns:
                return await self.send(case)

        return await asyncio.gather(*map(one, cases))

    def _settled(self, case: Case) -> list[Seen]:
        """What the provider saw, once it knows that nobody waits for it any more."""
        self.log.wait_for(lambda: all(each.is_over for each in self.log.of(case.id)), self.patience_s / 3)
        return self.log.of(case.id)

    def _rows(self, traces: list[str]) -> dict[str, list[dict[str, Any]]]:
        """By trace; those that are not there after a while are missing."""
        wanted = set(traces) - {""}
        found: dict[str, list[dict[str, Any]]] = {}

        def look() -> bool:
            found.clear()
            for row in self.tail():
                found.setdefault(row["trace_id"], []).append(row)
            return wanted <= set(found)

        self.log.wait_for(look, self.patience_s)
        return found


def put_up(server: Server, ports: Mapping[str, int], log: UpstreamLog) -> Wall:
    """The wall on a running server."""
    folder = server.log.parent
    authority("wall", folder, "127.0.0.1")
    server.apply(workspace(ports, folder / "wall-chain.pem"))

    def tail() -> list[dict[str, Any]]:
        rows: list[dict[str, Any]] = server.must("GET", "/api/traces?most=1000&hours=1&internal=true")["rows"]
        return rows

    wall = Wall(server.url, server.admin_key, log, tail)
    first = next(all_cases())
    eventually(lambda: server.ask(first.route, "ready?")[0] != 404)
    return wall

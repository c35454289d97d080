"""No crossing between tenants, no reader no chunk: the machine of `isolation.py`, and what a killed backend leaves."""

from __future__ import annotations

import asyncio
import os
import secrets
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from fresh_databases import FreshDatabases

from headworks.errors import HeadworksError
from headworks.storage.pool import DatabaseUrls
from headworks.storage.sealing import Keyring

from .model import Lists, Rule
from .rounds import PER_EXAMPLE, Ledger, machine, play, play_rounds
from .stage import Stage

ROOT = Path(__file__).parents[2]
OPERATIONS, LONG_OPERATIONS = 10_000, 1_000_000
_MOST_ROUNDS, _FEWEST_EXAMPLES = 12, 3
_MET = {
    "section kept apart", "cut anew", "found", "hidden", "cut off", "refused", "cited", "not cited",
    "payload shown", "payload withheld", "response given", "judged answer shown", "judged answer withheld",
    "old version given", "old version not given", "hung up", "crashed in the middle", "of other weights",
}  # fmt: skip
_CHANGES = {
    "ingest or update", "ingest the same", "sections", "tombstone", "grant, revoke or deny",
    "grant, revoke or deny among readers", "re-embed", "join or leave", "disable or enable", "narrow a key",
    "revoke a key", "record a trace", "keep a response", "run an experiment", "judge an answer", "other weights",
    "lend or take back", "crash",
}  # fmt: skip
_READS = {
    "rows", "all tables", "search by keywords", "search by vectors", "search by hybrid", "citation", "document",
    "version", "list", "trace", "stored response", "log of an experiment", "answer to judge", "trace as an example",
    "judgement", "seen as", "explanation", "grants",
}  # fmt: skip
EVERYTHING = _MET | {f"change: {each}" for each in _CHANGES} | {f"read: {each}" for each in _READS}
"""Must have happened and been met."""


@pytest.fixture
def stage(database_urls: DatabaseUrls, keyring: Keyring) -> Iterator[Stage]:
    stage = Stage(database_urls, keyring)
    yield stage
    stage.close()


@pytest.fixture
def first_seed(request: pytest.FixtureRequest) -> int:
    """What `--hypothesis-seed` says, else a random one."""
    given = request.config.getoption("--hypothesis-seed")
    return int(given) if given and str(given).isdigit() else secrets.randbelow(1 << 30)


@pytest.mark.timeout(600)
def test_nobody_ever_sees_what_the_model_does_not_say(stage: Stage, first_seed: int) -> None:
    """Chance may need a longer round for everything to have happened."""
    for turn in range(_MOST_ROUNDS):
        missing = max(0, OPERATIONS - stage.operations)
        play(stage, max(_FEWEST_EXAMPLES, missing // PER_EXAMPLE + 1), first_seed + turn)
        if stage.operations >= OPERATIONS and all(stage.tally[each] for each in EVERYTHING):
            break
    assert stage.operations >= OPERATIONS, stage.tally
    assert not _missing(stage.tally), "a check that met nothing shows nothing"


@pytest.mark.long
@pytest.mark.timeout(8 * 3600)
def test_nobody_ever_sees_what_the_model_does_not_say_for_long(
    databases: FreshDatabases, first_seed: int, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """On all cores. HEADWORKS_ISOLATION_OPERATIONS asks for fewer. What was interrupted goes on where it was."""
    operations = int(os.environ.get("HEADWORKS_ISOLATION_OPERATIONS", LONG_OPERATIONS))
    ledger = Ledger(Path(os.environ.get("HEADWORKS_ISOLATION_LEDGER", ROOT / ".hypothesis" / "isolation.jsonl")))
    monkeypatch.syspath_prepend(ROOT)  # the other processes import this package by its name

    def tell(text: str) -> None:
        with capfd.disabled():
            print(f"\nisolation: {text}", file=sys.stderr, flush=True)

    play_rounds(databases, operations, first_seed, ledger, tell)
    assert not _missing(ledger.tally), "a check that met nothing shows nothing"
    ledger.close()


def _missing(tally: Counter[str]) -> set[str]:
    return EVERYTHING - {what for what, times in tally.items() if times}


def test_a_backend_that_is_killed_outright_leaves_all_or_nothing(stage: Stage) -> None:
    """Once while lists change, once while documents are written: the server recovers, and so do we."""
    state = machine(stage)()
    state.found_two_tenants(frozenset({"ann"}), Rule("**", frozenset({"clinic"}), frozenset({"bob"})))
    tenant = state.tenants[0]
    cut = Rule("board/**", frozenset({"ann"}), frozenset())
    closed = Lists(frozenset({"board"}), frozenset({"bob"}), frozenset({"ann"}), frozenset({"temps"}), cut)
    stage.run(_killed(stage, state._declare(tenant, closed)))
    if state._stored_lists(tenant) == (closed.readers, closed.denied):
        tenant.declare(closed)
    stage.run(state._declare(tenant, tenant.lists))
    state.everybody_sees_what_the_model_says()
    state.put_a_document(0, "board/d.md", None, frozenset({"ann"}), 9, has_secret=True, is_same=False, is_done=False)
    before = stage.tally["killed outright"]
    stage.run(_killed(stage, stage.world.drain()))
    assert stage.tally["killed outright"] == before + 1
    stage.run(stage.world.retrieval.catch_up())
    state._drain()
    for _ in range(8):
        state.everybody_sees_what_the_model_says()
    state.teardown()


async def _killed(stage: Stage, action: Any) -> None:
    stage.behind.execute("CHECKPOINT")  # tests do not wait for the disk, but what came before is to outlive the kill
    task = asyncio.ensure_future(action)
    timer = asyncio.get_running_loop().call_later(0.004, stage.kill_a_backend)
    try:
        await task
    except (HeadworksError, psycopg.Error):
        stage.tally["crashed in the middle"] += 1
    finally:
        timer.cancel()

"""No crossing between tenants, no reader no chunk: the machine of `isolation.py`, and what a killed backend leaves."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from collections.abc import Set as AbstractSet
from typing import Any

import psycopg
import pytest
from hypothesis import HealthCheck, settings
from hypothesis.stateful import run_state_machine_as_test

from headworks.errors import HeadworksError
from headworks.storage.pool import DatabaseUrls
from headworks.storage.sealing import Keyring

from .isolation import Isolation, Stage
from .model import Lists, Rule

OPERATIONS, LONG_OPERATIONS = 10_000, 1_000_000
_STEPS, _PER_EXAMPLE = 60, 600
"""An example has so many steps, each a change and what is read after it: about so many operations, or more."""
_MOST_ROUNDS = 3
COMMON: dict[str, Any] = {
    "deadline": None,
    "suppress_health_check": list(HealthCheck),
    "database": None,
    "print_blob": False,
}


@pytest.fixture
def stage(database_urls: DatabaseUrls, keyring: Keyring) -> Iterator[Stage]:
    stage = Stage(database_urls, keyring)
    yield stage
    stage.close()


def machine(stage: Stage) -> type[Isolation]:
    return type("IsolationHere", (Isolation,), {"stage": stage})


def _run(stage: Stage, operations: int, wanted: AbstractSet[str] = frozenset()) -> None:
    """At least so many operations, with everything `wanted` among them: chance may need a longer round."""
    for turn in range(1, _MOST_ROUNDS + 1):
        examples = turn * (operations // _PER_EXAMPLE + 1)
        run_state_machine_as_test(
            machine(stage), settings=settings(max_examples=examples, stateful_step_count=_STEPS, **COMMON)
        )
        if stage.operations >= operations and all(stage.tally[each] for each in wanted):
            break
    assert stage.operations >= operations, stage.tally


@pytest.mark.timeout(600)
def test_nobody_ever_sees_what_the_model_does_not_say(stage: Stage) -> None:
    met = {
        "section kept apart", "cut anew", "found", "hidden", "cut off", "refused", "cited", "not cited",
        "payload shown", "payload withheld", "response given", "hung up", "crashed in the middle",
    }  # fmt: skip
    changes = {
        "ingest or update", "ingest the same", "sections", "tombstone", "grant, revoke or deny",
        "grant, revoke or deny among readers", "re-embed", "join or leave", "disable or enable", "narrow a key",
        "revoke a key", "record a trace", "keep a response", "lend or take back", "crash",
    }  # fmt: skip
    reads = {
        "rows", "all tables", "search by keywords", "search by vectors", "search by hybrid", "citation", "document",
        "list", "trace", "stored response", "seen as", "explanation", "grants",
    }  # fmt: skip
    everything = met | {f"change: {each}" for each in changes} | {f"read: {each}" for each in reads}
    _run(stage, OPERATIONS, everything)
    missing = everything - {what for what, times in stage.tally.items() if times}
    assert not missing, "a check that met nothing shows nothing"


@pytest.mark.long
@pytest.mark.timeout(8 * 3600)
def test_nobody_ever_sees_what_the_model_does_not_say_for_long(stage: Stage) -> None:
    _run(stage, LONG_OPERATIONS)


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
    stage.run(_killed(stage, stage.world.drain()))
    stage.run(stage.world.retrieval.catch_up())
    state._drain()
    for _ in range(8):
        state.everybody_sees_what_the_model_says()
    state.teardown()


async def _killed(stage: Stage, action: Any) -> None:
    stage.behind.execute("CHECKPOINT")  # tests do not wait for the disk, but what came before is to outlive the kill
    task = asyncio.ensure_future(action)
    asyncio.get_running_loop().call_later(0.004, stage.kill_a_backend)
    try:
        await task
    except (HeadworksError, psycopg.Error):
        stage.tally["crashed in the middle"] += 1

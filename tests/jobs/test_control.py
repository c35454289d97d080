"""Durable work steered: what is paused stays paused whatever is restarted, and nothing is done twice or lost by it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import psycopg
import pytest

from headworks.errors import Conflict, NotFound
from headworks.jobs.control import JobControl
from headworks.jobs.demand import has_work
from headworks.jobs.engine import Jobs
from headworks.storage.pool import Database
from headworks.types.identity import Principal

from .conftest import StartReplica, is_waited_for, until

MakePrincipal = Callable[..., Principal]
LANE = "collection:1"
_HELD_UP = """
CREATE FUNCTION public.hold_up() RETURNS trigger LANGUAGE plpgsql AS
    'BEGIN PERFORM pg_advisory_xact_lock(1); RETURN NEW; END';
CREATE TRIGGER hold_up BEFORE INSERT ON public.noted FOR EACH ROW
    WHEN (NEW.run = 'deadly' AND NEW.step = 1) EXECUTE FUNCTION public.hold_up()
"""
"""The second step of this run waits for whoever holds the lock 1."""


async def _ask(database: Database, who: Principal, run: str, *arguments: Any, name: str = "count", **more: Any) -> None:
    async with database.tx(who) as tx:
        await Jobs().enqueue(tx, name, run, *arguments, partition=more.pop("lane", LANE), **more)


def _ended(noted: psycopg.Connection[Any], run: str) -> list[int]:
    rows = noted.execute("SELECT step FROM noted WHERE run = %s AND what = 'ended' ORDER BY step", [run])
    return [int(step) for (step,) in rows.fetchall()]


def _status(noted: psycopg.Connection[Any], run: str) -> str:
    row = noted.execute("SELECT status FROM dbos.workflow_status WHERE workflow_uuid = %s", [run]).fetchone()
    return str(row and row[0])


async def _states(control: JobControl, who: Principal) -> dict[str, str]:
    every = ("queued", "later", "running", "paused", "done", "cancelled", "failed", "dead")
    return {each.run: each.state for each in await control.listed(who, every)}


async def _member(database: Database, make_principal: MakePrincipal) -> Principal:
    """A principal whose tenant is there, so that it can be audited."""
    who = make_principal()
    async with database.tx(who) as tx:
        await tx.run(
            "INSERT INTO tenant (tenant_id, name) VALUES (%(tenant)s, %(name)s) ON CONFLICT DO NOTHING",
            tenant=who.tenant, name=who.tenant.hex,
        )  # fmt: skip
    return who


async def test_a_paused_run_goes_on_where_it_was_also_after_kill_9(
    database: Database, noted: psycopg.Connection[Any], make_principal: MakePrincipal, start_replica: StartReplica
) -> None:
    who, control = await _member(database, make_principal), JobControl(database)
    await _ask(database, who, "long", 40, 0.1)
    process = start_replica()
    until(lambda: len(_ended(noted, "long")) >= 3)
    assert (await control.pause(who, LANE)).runs == 1
    await _ask(database, who, "asked while paused", 1, 0)
    await _ask(database, who, "of another lane", 1, 0, lane="collection:2")
    until(lambda: _status(noted, "of another lane") == "SUCCESS")
    process.kill()
    process.wait()
    assert await _states(control, who) == {
        "long": "paused", "asked while paused": "paused", "of another lane": "done",
    }  # fmt: skip
    assert await control.paused_lanes(who) == {LANE}
    assert not has_work(noted), "nobody is started for what is paused"
    process = start_replica(idle_s=1)
    assert process.wait(40) == 0
    done = _ended(noted, "long")
    assert 3 <= len(done) < 40
    assert (await control.resume(who, LANE)).runs == 2
    assert has_work(noted)
    process = start_replica(idle_s=1)
    assert process.wait(40) == 0
    assert sorted(set(_ended(noted, "long"))) == list(range(40))
    assert len(_ended(noted, "long")) <= 41, "at most the step that was under way is done again"
    assert _ended(noted, "asked while paused") == [0]
    assert set((await _states(control, who)).values()) == {"done"}
    actions = noted.execute("SELECT action, subject FROM headworks.audit_event ORDER BY at").fetchall()
    assert actions == [("job.pause", LANE), ("job.resume", LANE)]


async def test_a_cancelled_run_ends_after_its_step_and_can_be_tried_again(
    database: Database, noted: psycopg.Connection[Any], make_principal: MakePrincipal, start_replica: StartReplica
) -> None:
    who, control = await _member(database, make_principal), JobControl(database)
    await _ask(database, who, "long", 30, 0.1)
    process = start_replica(idle_s=1)
    until(lambda: len(_ended(noted, "long")) >= 2)
    assert (await control.cancel(who, "long")).state == "cancelled"
    assert process.wait(40) == 0
    done = len(_ended(noted, "long"))
    assert done < 30
    with pytest.raises(Conflict, match="cancelled already"):
        await control.cancel(who, "long")
    assert (await control.retry(who, "long")).state == "queued"
    process = start_replica(idle_s=1)
    assert process.wait(40) == 0
    assert sorted(set(_ended(noted, "long"))) == list(range(30))
    detail = await control.show(who, "long")
    assert (detail.run.state, detail.run.steps, detail.steps[0].name) == ("done", 30, "note")
    with pytest.raises(Conflict, match="The run is done"):
        await control.retry(who, "long")


async def test_what_failed_is_listed_and_tried_again(
    database: Database, noted: psycopg.Connection[Any], make_principal: MakePrincipal, start_replica: StartReplica
) -> None:
    who, control = await _member(database, make_principal), JobControl(database)
    await _ask(database, who, "bad", name="fail")
    process = start_replica(idle_s=1)
    assert process.wait(40) == 0
    (found,) = await control.listed(who)
    assert (found.run, found.state, found.kind, found.lane) == ("bad", "failed", "fail", LANE)
    assert (await control.show(who, "bad")).steps[0].has_failed
    await control.pause(who, LANE)
    assert (await control.retry(who, "bad")).state == "paused", "its lane is"
    await control.resume(who, LANE)
    process = start_replica(idle_s=1)
    assert process.wait(40) == 0
    assert (await _states(control, who))["bad"] == "failed"


async def test_what_ends_its_process_again_and_again_is_a_dead_letter_until_it_is_tried_again(
    database: Database, noted: psycopg.Connection[Any], make_principal: MakePrincipal, start_replica: StartReplica
) -> None:
    who, control = await _member(database, make_principal), JobControl(database)
    await _ask(database, who, "deadly", 3, 0)
    await _ask(database, who, "behind it", 1, 0)
    noted.execute(_HELD_UP)
    for _ in range(3):
        with noted.transaction():  # what is held stops the run in its second step
            noted.execute("SELECT pg_advisory_xact_lock(1)")
            process = start_replica(most_takeovers=2)
            until(lambda: is_waited_for(noted))
            assert (await _states(control, who))["deadly"] == "running"
            process.kill()
            process.wait()
    process = start_replica(idle_s=1, most_takeovers=2)
    assert process.wait(40) == 0
    assert await _states(control, who) == {"deadly": "dead", "behind it": "done"}, "nothing waits for what is dead"
    assert _ended(noted, "deadly") == [0], "it was begun three times, and its first step done once"
    detail = await control.show(who, "deadly")
    assert (detail.run.lane, detail.run.steps, detail.run.taken_up) == (LANE, 1, 4)
    assert [each.run for each in await control.listed(who)] == ["deadly"], "it needs somebody"
    assert not has_work(noted), "nobody is started for what is dead"
    assert start_replica(idle_s=1, most_takeovers=2).wait(40) == 0
    assert (await _states(control, who))["deadly"] == "dead"
    assert (await control.retry(who, "deadly")).state == "queued"
    assert start_replica(idle_s=1, most_takeovers=2).wait(40) == 0
    assert await _states(control, who) == {"deadly": "done", "behind it": "done"}
    assert _ended(noted, "deadly") == [0, 1, 2]


async def test_nobody_sees_or_moves_the_runs_of_another_tenant(
    database: Database, noted: psycopg.Connection[Any], make_principal: MakePrincipal
) -> None:
    control = JobControl(database)
    who, other = await _member(database, make_principal), await _member(database, make_principal)
    assert who.tenant != other.tenant
    await _ask(database, who, "mine", 1, 0)
    assert await control.listed(other) == []
    for move in (control.show, control.cancel, control.retry):
        with pytest.raises(NotFound, match="no such run"):
            await move(other, "mine")
    assert (await control.pause(other, LANE)).runs == 0
    assert await _states(control, who) == {"mine": "queued"}
    await _ask(database, who, "also mine", 1, 0)
    assert await _states(control, who) == {"mine": "queued", "also mine": "queued"}
    with pytest.raises(Conflict, match="not paused"):
        await control.resume(who, LANE)


async def test_what_is_paused_is_never_forgotten(
    database: Database, noted: psycopg.Connection[Any], make_principal: MakePrincipal, start_replica: StartReplica
) -> None:
    who, control = await _member(database, make_principal), JobControl(database)
    await _ask(database, who, "old", 1, 0)
    await control.pause(who, LANE)
    noted.execute("UPDATE dbos.workflow_status SET updated_at = 0")
    assert start_replica(idle_s=1).wait(40) == 0
    assert await _states(control, who) == {"old": "paused"}

"""Channels that people move: the rule, its evidence, rollbacks, broken glass, and two who move at once."""

from __future__ import annotations

import asyncio
import re
from datetime import timedelta
from functools import partial
from typing import Any, Literal

import psycopg
import pytest
from release_world import FEATURE, PROMPT, World, workspace

from headworks.errors import Conflict, Forbidden, InvalidRequest, NotFound
from headworks.releases.channels import Moved, Order
from headworks.releases.evidence import store as evidence_store
from headworks.releases.evidence.attestations import VERDICT
from headworks.releases.proposals.resolving import Wanted
from headworks.storage.pool import Database
from headworks.types.identity import Principal
from headworks.types.ids import Digest

Superuser = psycopg.Connection[tuple[object, ...]]
GATE = {"features/claims/evals/gate.yaml": b"alpha: 0.05\n", "features/claims/golden/cases.jsonl": b'{"id": 1}\n'}
Tier = Literal["low", "medium", "high"]


def kinder(number: int = 1) -> str:
    return PROMPT.replace("brief", f"kind {number}")


class Acting:
    """Who does what to the feature `claims`."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.promotions = world.releases.promotions
        self.evidence = world.releases.evidence

    async def staged(self, risk: Tier, *, by: Principal | None = None, prompt: str | None = None) -> Digest:
        """A release on `staging` of a feature with a gate."""
        files = workspace(feature=FEATURE + f"risk: {risk}\n", prompt=prompt or kinder()) | GATE
        applied = await self.world.apply(files, by)
        assert applied.channel == "staging"
        return Digest(applied.digest)

    async def gate(self) -> Any:
        async with self.world.db.tx(self.world.admin) as tx:
            return await tx.fetch_one(
                "SELECT digest, dataset FROM feature_gate WHERE tenant_id = %(tenant)s", tenant=self.world.admin.tenant
            )

    async def judged(self, digest: Digest, verdict: str = "PASS", **changed: Any) -> None:
        """As evaluation will write it."""
        gate = await self.gate()
        words = {"verdict": verdict, "gate": gate.digest, "dataset": gate.dataset} | changed
        await self.evidence.attest(self.world.admin, digest, VERDICT, words)

    async def promote(self, digest: Digest, by: Principal | None = None, **more: Any) -> Moved:
        live = await self.world.digest()
        order = Order("claims", digest, more.pop("expected", live), **more)
        return await self.promotions.promote(by or self.world.admin, "default", order)

    async def back(self, reason: str = "it lies", **more: Any) -> Moved:
        return await self.promotions.roll_back(self.world.admin, "default", "claims", reason, **more)


@pytest.fixture
def acting(guest: World) -> Acting:
    """In a tenant of its own."""
    return Acting(guest)


@pytest.fixture
def alone(world: World) -> Acting:
    """In a database of its own."""
    return Acting(world)


async def released(acting: Acting, number: int) -> Digest:
    """A release of low risk without a gate, live at once."""
    return Digest((await acting.world.apply(prompt=kinder(number))).digest)


# ── The rule ──


async def test_a_release_of_medium_risk_needs_a_pass_and_an_approval_of_somebody_else(acting: Acting) -> None:
    world = acting.world
    digest = await acting.staged("medium")
    with pytest.raises(Conflict, match=r"gate: The gate has not judged this digest.*approvals: 0 of 1") as refusal:
        await acting.promote(digest)
    assert (refusal.value.code, refusal.value.status) == ("promotion_refused", 409)
    await acting.judged(digest)
    expert = await world.person("jane", "expert")
    await acting.promotions.approve(expert, digest, comment="reads well")
    moved = await acting.promote(digest)
    assert (moved.before, moved.after, moved.way, moved.is_ungated) == (None, digest, "promote", False)
    assert await world.digest() == digest


async def test_a_release_of_high_risk_needs_two_of_whom_one_is_the_expert(acting: Acting) -> None:
    digest = await acting.staged("high")
    await acting.judged(digest)
    engineer, lead = [await acting.world.person(name, "engineer") for name in ("ed", "lea")]
    chief = await acting.world.person("chief", "principal-expert")
    await acting.promotions.approve(engineer, digest)
    with pytest.raises(Conflict, match=r"1 of 2 for high risk: ed.*principal domain expert has not approved"):
        await acting.promote(digest)
    await acting.promotions.approve(lead, digest)
    with pytest.raises(Conflict, match="principal domain expert has not approved"):
        await acting.promote(digest)
    with pytest.raises(Forbidden, match="release:expert"):
        await acting.promotions.approve(lead, digest, as_expert=True)
    await acting.promotions.approve(chief, digest, as_expert=True)
    assert (await acting.promote(digest)).after == digest


async def test_whoever_made_it_does_not_approve_it(acting: Acting) -> None:
    maker = await acting.world.person("ed", "engineer")
    digest = await acting.staged("medium", by=maker)
    with pytest.raises(Forbidden, match="would not count") as refusal:
        await acting.promotions.approve(maker, digest)
    assert refusal.value.code == "own_proposal"


async def test_what_a_service_account_made_is_somebodys_only_once_it_is_proposed(acting: Acting) -> None:
    machine = await acting.world.person("ci", "engineer", kind="service")
    digest = await acting.staged("medium", by=machine)
    await acting.judged(digest)
    driver, other = [await acting.world.person(name, "engineer") for name in ("ed", "lea")]
    await acting.promotions.approve(driver, digest)
    with pytest.raises(Conflict, match=r"author: A service account made it.*propose --feature claims"):
        await acting.promote(digest)
    proposals = acting.world.releases.proposals
    number = await proposals.make(driver, "default", Wanted("Kinder", features=["claims"]))
    with pytest.raises(Conflict, match="approvals: 0 of 1"):
        await proposals.accept(other, number)
    await proposals.approve(other, number)
    assert [each.after for each in await proposals.accept(other, number)] == [digest]


async def test_a_service_account_objects_but_does_not_approve(acting: Acting) -> None:
    machine = await acting.world.person("ci", "engineer", kind="service")
    digest = await acting.staged("medium")
    with pytest.raises(Forbidden, match="people do") as refusal:
        await acting.promotions.approve(machine, digest)
    assert refusal.value.code == "not_a_person"
    await acting.promotions.approve(machine, digest, "object")


async def test_an_approval_is_of_one_digest(acting: Acting) -> None:
    expert = await acting.world.person("jane", "expert")
    first = await acting.staged("medium")
    await acting.promotions.approve(expert, first)
    second = await acting.staged("medium", prompt=kinder(2))
    await acting.judged(second)
    with pytest.raises(Conflict, match="approvals: 0 of 1"):
        await acting.promote(second)


async def test_an_objection_stands_until_it_is_withdrawn(acting: Acting) -> None:
    digest = await acting.staged("medium")
    await acting.judged(digest)
    one, other = [await acting.world.person(name, "expert") for name in ("jane", "joe")]
    await acting.promotions.approve(one, digest)
    await acting.promotions.approve(other, digest, "object", comment="dosage is wrong")
    with pytest.raises(Conflict, match="objections: joe objects"):
        await acting.promote(digest)
    await acting.promotions.approve(other, digest, "withdraw")
    assert (await acting.promote(digest)).after == digest


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        ({"verdict": "FAIL", "summary": "3 points worse."}, r"said FAIL at .* 3 points worse\."),
        ({"verdict": "INCONCLUSIVE", "needed": 90}, "said INCONCLUSIVE at .* asks for 90 more judgements"),
        ({"gate": "sha256:" + "0" * 64}, "by another gate than the one attached"),
        ({"dataset": "sha256:" + "0" * 64}, "the golden set has changed since"),
        ({"base": "sha256:" + "0" * 64}, "compares with a release that is no longer live"),
    ],
)
async def test_only_a_current_pass_of_the_attached_gate_counts(
    acting: Acting, words: dict[str, Any], reason: str
) -> None:
    digest = await acting.staged("low")
    await acting.promotions.approve(await acting.world.person("jane", "expert"), digest)
    await acting.judged(digest)
    await acting.judged(digest, **words) if "gate" not in words else None
    if "gate" in words:
        digest = await acting.staged("low", prompt=kinder(3))
        await acting.judged(digest, **words)
    with pytest.raises(Conflict, match=f"gate: .*{reason}"):
        await acting.promote(digest)


async def test_old_evidence_is_stale(acting: Acting, monkeypatch: pytest.MonkeyPatch) -> None:
    digest = await acting.staged("medium")
    await acting.judged(digest)
    await acting.promotions.approve(await acting.world.person("jane", "expert"), digest)
    monkeypatch.setattr("headworks.releases.promotion.rules.EVIDENCE_LASTS", timedelta(seconds=-1))
    with pytest.raises(Conflict, match=r"is stale: it is older than.*approvals: 0 of 1"):
        await acting.promote(digest)


async def test_a_gate_that_is_loosened_by_what_it_judges_does_not_count(acting: Acting) -> None:
    digest = await acting.staged("low")
    before = await acting.gate()
    loose = workspace(feature=FEATURE + "risk: low\n", prompt=kinder()) | GATE
    loose["features/claims/evals/gate.yaml"] = b"alpha: 0.99\n"
    report = await acting.world.releases.apply(acting.world.admin, "default", loose)
    assert (await acting.gate()) == before
    assert any("are not those that judge it" in notice for notice in report.notices)
    gone = {path: text for path, text in loose.items() if "/evals/" not in path}
    report = await acting.world.releases.apply(acting.world.admin, "default", gone)
    assert (report.features[0].channel, report.features[0].digest) == ("staging", digest)


async def test_a_gated_feature_does_not_lose_its_gate_by_moving_to_another_project(acting: Acting) -> None:
    world = acting.world
    await acting.staged("low")
    routes = {path: text for path, text in workspace().items() if not path.startswith("features/")}
    await world.releases.apply(world.admin, "default", routes)
    await world.identity.create_project(world.admin, "second")
    moved = {path: text.replace(b"default", b"another") for path, text in workspace().items()}
    with pytest.raises(Conflict, match="has a gated feature named `claims`"):
        await world.releases.apply(world.admin, "second", moved)


async def test_a_release_can_not_talk_its_own_risk_down(acting: Acting) -> None:
    world = acting.world
    high = await acting.staged("high")
    await acting.promote(high, glass=True, reason="the first one")
    lowered = Digest((await world.apply(workspace(feature=FEATURE + "risk: low\n") | GATE)).digest)
    standing, _ = await acting.promotions.standing_of(world.admin, lowered)
    assert standing.tier == "high"
    # Nor by leaving the workspace and coming back.
    routes = {path: text for path, text in workspace().items() if not path.startswith("features/")}
    await world.releases.apply(world.admin, "default", routes)
    assert (await world.apply(workspace())).channel == "staging"


async def test_a_higher_risk_keeps_a_feature_without_a_gate_off_prod_for_good(acting: Acting) -> None:
    world = acting.world
    first = await released(acting, 1)
    risky = await world.apply(feature=FEATURE + "risk: high\n")
    assert risky.channel == "staging"
    await acting.promote(Digest(risky.digest), glass=True, reason="trial")
    back = await world.apply(prompt=kinder(9))
    assert (back.channel, back.reason) == ("staging", "its risk is high")
    assert first != risky.digest


async def test_an_objection_counts_where_nothing_else_does(acting: Acting) -> None:
    first = await released(acting, 1)
    await released(acting, 2)
    await acting.promotions.approve(await acting.world.person("jane", "expert"), first, "object")
    with pytest.raises(Conflict, match="objections: jane objects"):
        await acting.promote(first)
    again = await acting.world.apply(prompt=kinder(1))
    assert (again.digest, again.channel, again.reason) == (first, "staging", "jane objects.")


async def test_a_low_one_without_a_gate_goes_by_itself_and_is_said_to_be_ungated(acting: Acting) -> None:
    first = await released(acting, 1)
    await released(acting, 2)
    moved = await acting.promote(first)
    assert moved.is_ungated
    log, _ = await acting.promotions.log(acting.world.admin, "default", "claims")
    assert [(each.way, each.ungated) for each in log] == [("apply", True), ("apply", True), ("promote", True)]


# ── Incidents ──


async def test_an_incident_stops_promotions_and_applies_until_it_is_over(acting: Acting) -> None:
    world = acting.world
    first = await released(acting, 1)
    block = await acting.promotions.block(world.admin, "default", "claims", "wrong dosage")
    applied = await world.apply(prompt=kinder(2))
    assert (applied.channel, applied.reason) == ("staging", "an incident blocks it")
    for channel in ("prod", "canary"):
        with pytest.raises(Conflict, match="wrong dosage"):
            await acting.promote(applied.digest, channel=channel, expected=first if channel == "prod" else None)
    assert await acting.promotions.unblock(world.admin, block) == "claims"
    with pytest.raises(NotFound, match="or it was lifted"):
        await acting.promotions.unblock(world.admin, block)
    assert (await acting.promote(applied.digest)).before == first


async def test_a_block_needs_a_reason_and_a_feature(acting: Acting) -> None:
    await released(acting, 1)
    with pytest.raises(InvalidRequest, match="reason"):
        await acting.promotions.block(acting.world.admin, "default", "claims", "  ")
    with pytest.raises(NotFound, match=r"no feature `claim` .*There is: claims"):
        await acting.promotions.block(acting.world.admin, "default", "claim", "why not")


# ── Rollback ──


async def test_a_rollback_goes_to_what_was_good_before_and_further_the_next_time(acting: Acting) -> None:
    first, second, third = [await released(acting, number) for number in (1, 2, 3)]
    assert (await acting.back()).after == second
    assert await acting.world.digest() == second
    assert (await acting.back()).after == first
    with pytest.raises(NotFound, match="no earlier release that was good"):
        await acting.back()
    assert (await acting.back(to=third)).after == third


async def test_a_rollback_steps_over_what_is_blocked(acting: Acting) -> None:
    first, second, _ = [await released(acting, number) for number in (1, 2, 3)]
    await acting.promotions.block(acting.world.admin, "default", "claims", "bad too", second)
    assert (await acting.back()).after == first
    with pytest.raises(Conflict, match="blocked by an incident"):
        await acting.back(to=second)


async def test_a_rollback_needs_no_gate_and_no_approval(acting: Acting) -> None:
    first = await acting.staged("high")
    await acting.promote(first, glass=True, reason="start")
    second = await acting.staged("high", prompt=kinder(2))
    await acting.promote(second, glass=True, reason="again")
    assert (await acting.back()).after == first


async def test_what_was_rolled_back_from_comes_back_neither_by_apply_nor_on_old_evidence(acting: Acting) -> None:
    world = acting.world
    await released(acting, 1)
    second = await released(acting, 2)
    await acting.back()
    again = await world.apply(prompt=kinder(2))
    assert (again.digest, again.channel) == (second, "staging")
    assert "rolled back" in again.reason
    assert (await acting.promote(second)).after == second
    gated = await acting.staged("medium", prompt=kinder(4))
    jane = await world.person("jane", "expert")
    await acting.judged(gated)
    await acting.promotions.approve(jane, gated)
    await acting.promote(gated)
    await acting.back()
    with pytest.raises(Conflict, match=r"admin rolled back from this release since.*approvals: 0 of 1"):
        await acting.promote(gated)


async def test_nothing_is_rolled_back_where_nothing_is_live(acting: Acting) -> None:
    with pytest.raises(NotFound, match="not live"):
        await acting.back()
    await released(acting, 1)
    with pytest.raises(NotFound, match="never live"):
        await acting.back(to=Digest("sha256:" + "1" * 64))


# ── Broken glass ──


async def test_broken_glass_is_loud(alone: Acting, as_superuser: Superuser, caplog: pytest.LogCaptureFixture) -> None:
    world = alone.world
    digest = await alone.staged("high")
    with pytest.raises(InvalidRequest, match="reason"):
        await alone.promote(digest, glass=True)
    engineer = await world.person("ed", "engineer")
    with pytest.raises(Forbidden, match="release:break_glass"):
        await alone.promote(digest, by=engineer, glass=True, reason="now")
    await alone.promote(digest, glass=True, reason="patients wait")
    assert "the glass was broken" in caplog.text
    row = as_superuser.execute("SELECT detail FROM audit_event WHERE action = 'release.promote'").fetchone()
    assert row is not None
    assert row[0] == {
        "channel": "prod", "from": None, "to": digest, "break_glass": True, "reason": "patients wait",
        "unmet": ["gate", "approvals", "expert"],
    }  # fmt: skip
    log, _ = await alone.promotions.log(world.admin, "default", "claims")
    assert [(each.channel, each.way, each.reason, each.moved_by) for each in log][-1] == (
        "prod", "break_glass", "patients wait", "admin",
    )  # fmt: skip


async def notice(world: World) -> str:
    """What every answer of the live release says."""
    async with world.db.system("test") as tx:
        found = (await world.releases.load(tx)).feature(world.admin.tenant, "claims")
    assert found is not None
    return found.notice


async def test_every_call_says_that_the_glass_is_broken_until_a_regular_promotion(acting: Acting) -> None:
    world = acting.world
    digest = await acting.staged("medium")
    await acting.promote(digest, glass=True, reason="now")
    assert await notice(world) == "break-glass"
    await acting.judged(digest)
    await acting.promotions.approve(await world.person("jane", "expert"), digest)
    await acting.promote(digest)
    assert await notice(world) == ""


async def test_going_back_to_what_only_came_past_the_rule_is_past_the_rule_again(acting: Acting) -> None:
    world = acting.world
    engineer = await world.person("ed", "engineer")
    first = await released(acting, 1)
    second = await acting.staged("high", prompt=kinder(2))
    await acting.promote(second, glass=True, reason="patients wait")
    assert (await acting.back()).after == first
    assert await notice(world) == ""
    back = partial(acting.promotions.roll_back, project="default", feature="claims", to=second)
    with pytest.raises(Forbidden, match="release:break_glass"):
        await back(engineer, reason="sneak")
    with pytest.raises(InvalidRequest, match="A reason is needed"):
        await back(world.admin)
    assert (await back(world.admin, reason="they wait again")).after == second
    assert await notice(world) == "break-glass"
    log, _ = await acting.promotions.log(world.admin, "default", "claims")
    assert [each.way for each in log if each.channel == "prod"] == ["apply", "break_glass", "rollback", "rollback"]
    assert (await acting.promotions.roll_back(engineer, "default", "claims", "worse")).after == first
    assert await notice(world) == ""


async def test_where_nothing_came_by_the_rule_a_rollback_goes_to_the_last_and_says_so(acting: Acting) -> None:
    engineer = await acting.world.person("ed", "engineer")
    first = await acting.staged("high")
    await acting.promote(first, glass=True, reason="start")
    await acting.promote(await acting.staged("high", prompt=kinder(2)), glass=True, reason="again")
    assert (await acting.promotions.roll_back(engineer, "default", "claims", "worse")).after == first
    assert await notice(acting.world) == "break-glass"


# ── Clocks that jump ──


def set_back(monkeypatch: pytest.MonkeyPatch, hours: int) -> None:
    """Have evidence be dated by a clock that is so far behind."""
    behind = {name: text.replace("clock_timestamp()", _behind(hours)) for name, text in evidence_store._SQL.items()}
    monkeypatch.setattr(evidence_store, "_SQL", behind)


def _behind(hours: int) -> str:
    return f"(clock_timestamp() - interval '{hours} hours')"


async def test_the_last_word_is_the_last_word_though_the_clock_was_set_back(
    acting: Acting, monkeypatch: pytest.MonkeyPatch
) -> None:
    digest = await acting.staged("medium")
    await acting.judged(digest)
    jane = await acting.world.person("jane", "expert")
    approved = await acting.promotions.approve(jane, digest)
    with monkeypatch.context() as patching:
        set_back(patching, 1)
        objected = await acting.promotions.approve(jane, digest, "object")
    assert objected.made_at > approved.made_at
    with pytest.raises(Conflict, match="objections: jane objects"):
        await acting.promote(digest)


async def test_a_clock_that_was_ahead_stops_promotions_and_no_rollback(
    acting: Acting, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = [await released(acting, number) for number in (1, 2)]
    with monkeypatch.context() as patching:
        set_back(patching, -1)
        await acting.promotions.approve(await acting.world.person("jane", "expert"), first)
    with pytest.raises(Conflict, match=r"signatures: .*its time lies in the future"):
        await acting.promote(first)
    assert (await acting.back()).before == second


async def test_moves_stand_in_the_order_in_which_they_were_made_whatever_the_clock_said(
    acting: Acting, shared_superuser: Superuser
) -> None:
    first, second, third = [await released(acting, number) for number in (1, 2, 3)]
    shared_superuser.execute(
        "UPDATE channel_move SET moved_at = moved_at + interval '1 day' WHERE to_digest = %s AND tenant_id = %s",
        [first, acting.world.admin.tenant],
    )
    moved = await acting.back()
    assert (moved.before, moved.after) == (third, second)
    assert (await acting.back()).after == first
    log, _ = await acting.promotions.log(acting.world.admin, "default", "claims")
    assert [each.to_digest for each in log if each.channel == "prod"][-2:] == [second, first]


async def test_evidence_of_before_a_rollback_stays_of_before_though_the_clock_was_set_back(
    acting: Acting, monkeypatch: pytest.MonkeyPatch
) -> None:
    await released(acting, 1)
    digest = await acting.staged("medium", prompt=kinder(2))
    await acting.judged(digest)
    with monkeypatch.context() as patching:
        set_back(patching, -1)  # the clock is right again before the rollback
        approved = await acting.promotions.approve(await acting.world.person("jane", "expert"), digest)
    await acting.promote(digest, glass=True, reason="the evidence is from an hour that is yet to come")
    await acting.back()
    standing, _ = await acting.promotions.standing_of(acting.world.admin, digest)
    assert standing.left is not None
    assert standing.left.at >= approved.made_at


# ── Two at once, and death in between ──


async def test_who_comes_second_is_told_who_was_first(acting: Acting) -> None:
    first = await released(acting, 1)
    second, third = [await released(acting, number) for number in (2, 3)]
    outcomes = await asyncio.gather(
        *(acting.promote(each, expected=third) for each in (first, second)), return_exceptions=True
    )
    (won,) = [each for each in outcomes if isinstance(each, Moved)]
    (lost,) = [each for each in outcomes if isinstance(each, Conflict)]
    assert lost.code == "channel_moved"
    assert re.search(rf"was moved by admin at .* UTC from {third[7:19]} to {won.after[7:19]}", lost.message)
    assert await acting.world.digest() == won.after


async def test_a_promotion_during_a_rollback_is_refused_clearly(acting: Acting) -> None:
    first, second = [await released(acting, number) for number in (1, 2)]
    order = Order("claims", first, second)
    await acting.back()
    with pytest.raises(Conflict, match=rf"was rolled back by admin at .* to {first[7:19]}"):
        await acting.promotions.promote(acting.world.admin, "default", order)


async def test_the_same_again_is_said_to_be_there_already(acting: Acting) -> None:
    digest = await released(acting, 1)
    with pytest.raises(Conflict, match="already"):
        await acting.promote(digest)


async def test_a_digest_of_something_else_is_refused(acting: Acting) -> None:
    digest = await released(acting, 1)
    with pytest.raises(NotFound, match="no release"):
        await acting.promote(Digest("sha256:" + "1" * 64))
    with pytest.raises(NotFound, match="no release"):
        await acting.promote(Digest("latest"))
    with pytest.raises(InvalidRequest, match="no release of `other`"):
        await acting.promotions.promote(acting.world.admin, "default", Order("other", digest, None))


STATES = ("attestation", "channel", "channel_move", "audit_event")


@pytest.mark.parametrize("table", STATES)
async def test_a_death_in_the_middle_leaves_exactly_one_digest_live(
    alone: Acting, database: Database, as_superuser: Superuser, table: str
) -> None:
    """The backend is killed while the promotion waits to read or write a table; what it had done is gone with it."""
    del database
    first, second = [await released(alone, number) for number in (1, 2)]
    with psycopg.connect(as_superuser.info.dsn, password=as_superuser.info.password) as locking:
        locking.execute(f"LOCK TABLE headworks.{table} IN ACCESS EXCLUSIVE MODE".encode())
        work = asyncio.create_task(alone.promote(first, expected=second))
        async with asyncio.timeout(30):
            while not (waiting := _waiting_for(as_superuser, table)):
                await asyncio.sleep(0.02)
        as_superuser.execute("SELECT pg_terminate_backend(%s)", [waiting])
        with pytest.raises(Exception, match=r"."):
            await work
        locking.rollback()
    row = as_superuser.execute("SELECT array_agg(digest), max(revision) FROM channel WHERE name = 'prod'").fetchone()
    assert row == ([second], 2)
    assert as_superuser.execute("SELECT count(*) FROM channel_move").fetchone() == (2,)
    assert (await alone.promote(first)).after == first


def _waiting_for(connection: Superuser, table: str) -> int | None:
    row = connection.execute(
        "SELECT pid FROM pg_locks WHERE NOT granted AND relation = %s::regclass", [f"headworks.{table}"]
    ).fetchone()
    return None if row is None else int(str(row[0]))

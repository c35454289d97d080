"""Syncs of a simulated source through the whole of ingestion: what is found, by whom, and what happens on the way."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from wrong_clock import A_DAY_OFF, set_clock

from headworks.errors import InvalidRequest, NotFound
from headworks.retrieval.sources.contract import ANYONE, Access, Groups, Throttled
from headworks.retrieval.sources.mapping import NOBODY, Listed, Ours, listed_of
from headworks.testing.simulated_source import SimulatedPlace, SimulatedSource
from headworks.types.workspace import FreshnessSpec

JANE, JOE, STAFF = "user:jane@x", "user:joe@x", "group:staff"


async def filled(sources: Any, number: int = 5, readers: frozenset[str] = frozenset({JANE})) -> SimulatedPlace:
    """Jane and Joe have accounts on both sides; documents `doc/N.md` are Jane's."""
    place = sources.places.setdefault("wiki", SimulatedPlace())
    for each in range(number):
        await place.put(f"doc/{each}.md", f"# Plan {each}\n\nThe heron number{each} flies.".encode())
        await place.share(f"doc/{each}.md", readers)
    return place


@pytest.fixture
async def people(sources: Any) -> Any:
    jane, joe = await sources.world.person("jane"), await sources.world.person("joe")
    await sources.declare({JANE: "jane", JOE: "joe"}, "wiki")
    return jane, joe


async def found(sources: Any, who: Any) -> list[str]:
    return sorted(await sources.world.found(who, "docs", "heron", 100))


async def test_documents_come_with_the_readers_that_they_have_at_their_source(sources: Any, people: Any) -> None:
    jane, joe = people
    await filled(sources)
    views = await sources.sync()
    assert await found(sources, jane) == [f"doc/{each}.md" for each in range(5)]
    assert await found(sources, joe) == []
    assert await found(sources, sources.world.admin) == []
    view = views["wiki"]
    assert (view.state, view.kind, view.looked_at, view.expected, view.trouble) == ("done", "simulated", 5, 5, "")
    assert view.progress.done == view.progress.total == view.progress.documents == 5
    assert view.synced_at < view.hidden_from


async def test_only_what_changed_is_fetched_and_what_is_gone_vanishes(sources: Any, people: Any) -> None:
    jane, _ = people
    place = await filled(sources, 20)
    await sources.sync()
    before = place.calls
    await place.put("doc/1.md", b"# Other\n\nThe stork sails.")
    await place.delete("doc/2.md")
    await place.move("doc/3.md", "new/3.md")
    await sources.sync()
    assert place.calls - before < 15
    now = await found(sources, jane)
    assert "new/3.md" in now
    assert {"doc/2.md", "doc/3.md"}.isdisjoint(now)
    assert (await sources.world.found(jane, "docs", "stork"))[0] == "doc/1.md"


async def test_a_share_that_is_taken_back_holds_after_the_next_sync_without_a_fetch(sources: Any, people: Any) -> None:
    jane, joe = people
    place = await filled(sources, 2)
    await sources.sync()
    await place.share("doc/0.md", frozenset({JOE}))
    await place.share("doc/1.md", frozenset())
    await sources.sync()
    assert await found(sources, jane) == []
    assert await found(sources, joe) == ["doc/0.md"]


async def test_groups_in_groups_are_taken_apart_and_leaving_one_takes_the_documents(sources: Any, people: Any) -> None:
    jane, joe = people
    place = await filled(sources, 1, frozenset({"group:all"}))
    await place.join("group:all", STAFF)
    await place.join(STAFF, "group:all")
    await place.join(STAFF, JANE)
    await place.join(STAFF, "user:nobody-here")
    await sources.sync()
    assert await found(sources, jane) == ["doc/0.md"]
    assert await found(sources, joe) == []
    await place.leave(STAFF, JANE)
    await sources.sync()
    assert await found(sources, jane) == []


async def test_a_name_that_is_not_mapped_is_nobody(sources: Any, people: Any) -> None:
    jane, joe = people
    place = await filled(sources, 1, frozenset({ANYONE, "user:stranger", "jane", "everyone"}))
    await sources.sync()
    assert await found(sources, jane) == []
    await sources.declare({JANE: "jane", ANYONE: "everyone"}, "wiki")
    await sources.sync()
    assert await found(sources, joe) == ["doc/0.md"]
    await place.share("doc/0.md", frozenset({ANYONE, JANE}), frozenset({JOE}))
    await sources.sync()
    assert await found(sources, joe) == []
    assert await found(sources, jane) == ["doc/0.md"]


async def test_documents_hide_when_their_readers_were_not_told_for_too_long(sources: Any, people: Any) -> None:
    jane, _ = people
    place = await filled(sources, 1)
    await sources.sync()
    await sources.world.add("docs", "own.md", "# Own\n\nA heron of ours.")
    sources.world.behind.execute("UPDATE source SET readable_until = now() - interval '1 second'")
    assert await found(sources, jane) == ["own.md"]
    [document] = sources.world.behind.execute("SELECT document_id FROM document WHERE path = 'doc/0.md'").fetchone()
    with pytest.raises(NotFound):
        await sources.world.retrieval.document(jane, document)
    await place.vanish()
    assert (await sources.sync())["wiki"].state == "failed"
    assert await found(sources, jane) == ["own.md"]
    await place.come_back()
    await sources.sync()
    assert await found(sources, jane) == ["doc/0.md", "own.md"]


@A_DAY_OFF
async def test_what_a_source_tells_holds_by_the_clock_of_the_database(
    sources: Any, people: Any, monkeypatch: pytest.MonkeyPatch, off_s: int
) -> None:
    jane, _ = people
    set_clock(monkeypatch, off_s)
    await filled(sources, 1)
    view = (await sources.sync())["wiki"]
    (now,) = sources.world.behind.execute("SELECT now()").fetchone()
    assert view.synced_at <= now < view.hidden_from, "and so it is told"
    for left, shown in (("1 hour", ["doc/0.md"]), ("-1 second", [])):
        sources.world.behind.execute("UPDATE source SET readable_until = now() + %s::interval", [left])
        assert await found(sources, jane) == shown


async def test_a_source_out_of_reach_takes_nothing_away_and_the_next_sync_goes_on(sources: Any, people: Any) -> None:
    jane, _ = people
    place = await filled(sources, 3)
    await sources.sync()
    await place.vanish()
    view = (await sources.sync())["wiki"]
    assert (view.state, view.trouble) == ("failed", "The simulated place is out of reach.")
    assert len(await found(sources, jane)) == 3
    await place.come_back()
    await place.put("doc/9.md", b"# Nine\n\nOne more heron.")
    await place.share("doc/9.md", frozenset({JANE}))
    assert (await sources.sync())["wiki"].state == "done"
    assert len(await found(sources, jane)) == 4


async def test_throttled_all_the_time_a_sync_still_gets_everything(sources: Any, people: Any) -> None:
    jane, _ = people
    place = await filled(sources, 12)
    place.retry_after_s = 3e8  # a date by a clock that is wrong, say: each refusal ends a step, and an hour is the most
    await sources.world.retrieval.sync_sources(sources.world.admin, "docs")
    for _ in range(60):
        place.only = 4
        await sources.world.drain()
        if (await sources.views())["wiki"].state == "done":
            break
        waits = "SELECT max(delay_until_epoch_ms) / 1000 - extract(epoch FROM now()) FROM dbos.workflow_status"
        assert sources.world.behind.execute(f"{waits} WHERE status = 'DELAYED'").fetchone()[0] <= 3600
        sources.end_pauses()
    assert (await sources.views())["wiki"].state == "done"
    assert len(await found(sources, jane)) == 12


async def test_a_source_that_asks_to_slow_down_each_time_is_given_up_until_the_next_sync(
    sources: Any, people: Any
) -> None:
    jane, _ = people
    place = await filled(sources, 2)
    place.retry_after_s = 3.0
    await place.throttle(1_000)
    view = (await sources.sync())["wiki"]
    assert (view.state, view.looked_at) == ("failed", 0)
    assert view.trouble == "The source asked to slow down, 17 times in a row in 6 hours."
    assert place.calls < 30, "each pause is twice as long as the one before"
    await place.throttle(0)
    assert (await sources.sync())["wiki"].state == "done"
    assert len(await found(sources, jane)) == 2


async def test_a_cursor_that_the_source_forgot_begins_anew(sources: Any, people: Any) -> None:
    jane, _ = people
    place = await filled(sources, 4)
    await sources.sync()
    await place.forget_cursors()
    await place.delete("doc/0.md")
    await place.put("doc/4.md", b"# Four\n\nA heron.")
    await place.share("doc/4.md", frozenset({JANE}))
    assert (await sources.sync())["wiki"].state == "done"
    assert await found(sources, jane) == [f"doc/{each}.md" for each in range(1, 5)]


async def test_what_can_not_be_had_is_listed_and_tried_again(sources: Any, people: Any) -> None:
    jane, _ = people
    place = await filled(sources, 3)
    await place.put("doc/big.md", b"x" * (2 << 20))
    await place.put("../up.md", b"up")
    place.broken.add("doc/1.md")
    view = (await sources.sync())["wiki"]
    failed = {each.path: each.code for each in view.progress.failed}
    assert failed == {"doc/1.md": "forbidden", "doc/big.md": "too_large", "../up.md": "path"}
    assert view.state == "done"
    assert await found(sources, jane) == ["doc/0.md", "doc/2.md"]
    place.broken.clear()
    view = (await sources.sync())["wiki"]
    assert "doc/1.md" not in {each.path for each in view.progress.failed}
    assert await found(sources, jane) == ["doc/0.md", "doc/1.md", "doc/2.md"]


# ── Another file of the collection ──


async def test_a_sweep_that_was_cut_off_begins_anew_when_the_file_names_others(
    sources: Any, people: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    jane, joe = people
    await filled(sources, 5, frozenset({JANE, JOE}))
    whole = SimulatedSource.present

    async def throttled(self: SimulatedSource, cursor: str, place: str) -> Any:
        if place:
            raise Throttled(3600)
        return await whole(self, cursor, place)

    monkeypatch.setattr(SimulatedSource, "present", throttled)
    await sources.world.retrieval.sync_sources(sources.world.admin, "docs")
    await sources.world.drain()
    assert len(await found(sources, jane)) == 5
    monkeypatch.setattr(SimulatedSource, "present", whole)
    await sources.declare({JOE: "joe"}, "wiki")
    await sources.world.drain()
    assert (await found(sources, jane), len(await found(sources, joe))) == ([], 5)


async def test_a_source_that_the_file_no_longer_has_takes_its_documents_along_with_the_apply(
    sources: Any, people: Any
) -> None:
    jane, _ = people
    await filled(sources, 20)
    await sources.declare({JANE: "jane"}, "wiki", "other")
    await sources.places["other"].put("kept.md", b"# Kept\n\nThe heron sleeps.")
    await sources.places["other"].share("kept.md", frozenset({JANE}))
    await sources.sync()
    await sources.places["wiki"].put("doc/late.md", b"# Late\n\nThe heron is late.")
    await sources.world.retrieval.sync_sources(sources.world.admin, "docs")
    await sources.declare({JANE: "jane"}, "other")
    assert await found(sources, jane) == ["kept.md"]
    assert set(await sources.views()) == {"other"}
    await sources.world.drain()
    assert await found(sources, jane) == ["kept.md"]
    assert sources.world.count("document", "tombstoned_at IS NULL") == 1
    await sources.declare({JANE: "jane"}, "wiki", "other")
    await sources.sync()
    assert len(await found(sources, jane)) == 21, "it is there again, and so is all that it has"


@pytest.mark.parametrize(
    "readers", [{JOE: "joe"}, {JANE: "joe", JOE: "joe"}, {JANE: "jane", JOE: "joe", STAFF: "everyone"}]
)  # fmt: skip
async def test_other_names_for_its_readers_hide_what_a_source_told_until_the_sync_that_the_apply_asks_for(
    sources: Any, people: Any, readers: dict[str, str]
) -> None:
    jane, joe = people
    await filled(sources, 2, frozenset({JANE, JOE}))
    await sources.sync()
    assert len(await found(sources, jane)) == len(await found(sources, joe)) == 2
    await sources.declare(readers, "wiki")
    assert await found(sources, jane) == await found(sources, joe) == []
    await sources.world.drain()
    assert len(await found(sources, joe)) == 2
    assert len(await found(sources, jane)) == (2 if "jane" in readers.values() else 0)


async def test_a_file_that_says_the_same_of_readers_hides_nothing(sources: Any, people: Any) -> None:
    jane, _ = people
    await filled(sources, 2)
    await sources.sync()
    await sources.declare({JANE: "jane", JOE: "joe"}, "wiki", "other", freshness=FreshnessSpec(stale_after_s=60))
    assert len(await found(sources, jane)) == 2


@pytest.mark.parametrize(("call", "time"), [("groups", 1), ("changes", 1), ("fetch", 1), ("fetch", 3), ("present", 1)])
@pytest.mark.parametrize("is_first", [True, False], ids=["first sync", "later sync"])
@pytest.mark.parametrize("names", [("wiki",), ()], ids=["other readers", "no source"])
async def test_a_file_that_changes_in_the_middle_of_a_sync_is_the_one_that_holds(
    sources: Any,
    people: Any,
    monkeypatch: pytest.MonkeyPatch,
    call: str,
    time: int,
    *,
    is_first: bool,
    names: Sequence[str],
) -> None:
    """The apply comes while the source is asked: what the step has handed in and hands in opens nothing to Jane."""
    jane, joe = people
    both = frozenset({JANE, JOE})
    place = await filled(sources, 5, both)
    if not is_first:
        await sources.sync()
        for each in range(3):
            await place.put(f"doc/{each}.md", f"# Plan {each}\n\nThe heron has landed.".encode())
    whole, calls = getattr(SimulatedSource, call), 0

    async def changed(self: SimulatedSource, *asked: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == time:
            await sources.declare({JOE: "joe"}, *names)
        if calls >= time:
            assert await found(sources, jane) == []
        return await whole(self, *asked)

    monkeypatch.setattr(SimulatedSource, call, changed)
    await sources.world.retrieval.sync_sources(sources.world.admin, "docs")
    while await sources.world.jobs.drain(sources.world.behind, most=1):
        assert calls < time or await found(sources, jane) == []
    assert calls >= time
    assert len(await found(sources, joe)) == (5 if names else 0)
    assert sources.world.count("ingest_item", "state = 'queued'") == 0


async def test_patterns_and_a_source_that_tells_readers_do_not_go_together(sources: Any, people: Any) -> None:
    await filled(sources, 1)
    await sources.declare({JANE: "jane"}, "wiki", documents=(("**", ("everyone",)),))
    view = (await sources.sync())["wiki"]
    assert "pattern `**`" in view.trouble
    assert view.progress.total == 0


async def test_a_folder_of_the_callers_can_not_pass_for_a_configured_source(sources: Any, people: Any) -> None:
    with pytest.raises(InvalidRequest, match="its own syncs"):
        await sources.world.retrieval.begin_sync(sources.world.admin, "docs", "source:wiki")
    with pytest.raises(InvalidRequest, match="its own syncs"):
        await sources.world.hand_in("docs", "a.md", "x", source="source:wiki")


async def test_cut_off_anywhere_a_sync_loses_nothing_and_doubles_nothing(
    sources: Any, people: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each call of the source dies once, at every place where it can."""
    jane, _ = people
    place = await filled(sources, 5)
    died: set[int] = set()
    asked = SimulatedPlace.asked

    class Killed(BaseException):
        pass

    def dying(self: SimulatedPlace) -> None:
        asked(self)
        if self.calls not in died and len(died) < 30:
            died.add(self.calls)
            raise Killed

    monkeypatch.setattr(SimulatedPlace, "asked", dying)
    for _ in range(40):
        try:
            await sources.sync()
            break
        except Killed:
            continue
    assert await found(sources, jane) == [f"doc/{each}.md" for each in range(5)]
    assert sources.world.count("document") == 5
    assert sources.world.count("blob") == 5
    assert place.calls < 1000


async def test_a_source_that_breaks_its_contract_ends_with_a_reason(
    sources: Any, people: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    jane, _ = people
    await filled(sources, 2)
    await sources.sync()

    def broken(self: SimulatedPlace) -> None:
        raise KeyError("something of the source's own")

    with monkeypatch.context() as planted:
        planted.setattr(SimulatedPlace, "asked", broken)
        view = (await sources.sync())["wiki"]
    assert (view.state, view.trouble) == ("failed", "An internal error (KeyError); the server's log has more.")
    assert len(await found(sources, jane)) == 2
    assert (await sources.sync())["wiki"].state == "done"


async def test_a_revocation_reaches_what_is_still_in_the_queue(sources: Any, people: Any) -> None:
    jane, _ = people
    place = await filled(sources, 1)
    world = sources.world
    await world.retrieval.sync_sources(world.admin, "docs")
    await place.share("doc/0.md", frozenset())
    await world.drain()
    assert await found(sources, jane) == []


async def test_another_run_of_the_same_sync_writes_nothing(sources: Any, people: Any) -> None:
    await filled(sources, 1)
    world = sources.world
    await world.retrieval.sync_sources(world.admin, "docs")
    first = world.behind.execute("SELECT chain, sync_id FROM source").fetchone()
    await world.retrieval.sync_sources(world.admin, "docs")
    second = world.behind.execute("SELECT chain, sync_id FROM source").fetchone()
    assert first[0] != second[0]
    assert first[1] == second[1]
    await world.drain()
    assert world.count("document") == world.count("ingest_item") == 1


IDS = [JANE, JOE, "user:ann", "group:a", "group:b", "group:c", ANYONE]
ACCESS = st.builds(Access, st.frozensets(st.sampled_from(IDS)), st.frozensets(st.sampled_from(IDS)))
MEMBERS = st.dictionaries(st.sampled_from(["group:a", "group:b"]), st.frozensets(st.sampled_from(IDS[:6])))


def _may(user: str, access: Access, members: dict[str, frozenset[str]]) -> bool:
    """The rule, told once more: for somebody at the source."""

    def within(ids: frozenset[str]) -> bool:
        reached, waiting = set(), list(ids)
        while waiting:
            if (each := waiting.pop()) not in reached:
                reached.add(each)
                waiting += members.get(each, ())
        return user in reached or ANYONE in reached

    return within(access.readers) and not within(access.denied)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=300)
@given(access=ACCESS, members=MEMBERS)
def test_nobody_is_admitted_here_who_is_not_admitted_there(access: Access, members: dict[str, frozenset[str]]) -> None:
    ours: Any = {JANE: "jane", JOE: "joe"}
    listed = listed_of(access, Groups(members), Ours(ours, {"jane", "joe"}))  # type: ignore[arg-type] # names for ids
    admitted = {*listed.readers}
    assert not admitted & {*listed.denied}
    for theirs, name in ours.items():
        assert name not in listed.denied or not _may(theirs, access, members)
        if name in admitted:
            assert _may(theirs, access, members)
        elif not access.denied and ANYONE not in access.readers:
            assert not _may(theirs, access, members)


def test_with_somebody_denied_no_group_of_ours_is_a_reader() -> None:
    ours: Any = {STAFF: "staff", JANE: "jane"}
    told = Groups({STAFF: frozenset({JANE, JOE})})

    def listed(readers: str, *denied: str, groups: Groups = told, **more: str) -> Listed:
        who = Ours(ours | more, {"jane", "joe"})  # type: ignore[arg-type] # names for ids
        return listed_of(Access(frozenset({readers}), frozenset(denied)), groups, who)

    assert listed(STAFF) == Listed(("staff",))  # type: ignore[arg-type] # names for ids, here and below
    assert listed(STAFF, JOE) == Listed(("jane",))  # type: ignore[arg-type] # names for ids
    assert listed(STAFF, JOE, groups=Groups()) == NOBODY
    assert listed(JANE, "group:unknown") == NOBODY
    assert listed_of(None, told, Ours(ours, set())) == NOBODY
    assert listed(STAFF, STAFF) == Listed((), ("jane", "staff"))  # type: ignore[arg-type] # names for ids
    assert listed("user:all of them", JOE, **{"user:all of them": "clinic"}) == NOBODY
    assert listed("user:all of them", JANE, **{"user:all of them": "clinic"}) == Listed(("clinic",), ("jane",))  # type: ignore[arg-type] # names for ids


async def test_who_is_denied_at_the_source_is_denied_here_whatever_list_admits_until_it_is_taken_back(
    sources: Any,
) -> None:
    jane = await sources.world.person("jane", "clinic")
    joe = await sources.world.person("joe", "clinic")
    await sources.declare({JANE: "jane", JOE: "joe", "user:clinic": "clinic"}, "wiki")
    place = sources.places["wiki"]
    await place.put("a.md", b"# Note\n\nThe heron flies.")
    for denied, janes, joes in (((), 1, 1), ((JOE,), 1, 0), ((JOE, "user:stranger"), 0, 0), ((), 1, 1)):
        await place.share("a.md", frozenset({"user:clinic"}), frozenset(denied))
        assert (await sources.sync())["wiki"].state == "done"
        assert len(await sources.world.found(jane, "docs", "heron")) == janes, denied
        assert len(await sources.world.found(joe, "docs", "heron")) == joes, denied
    await place.share("a.md", frozenset({"user:clinic"}), frozenset({JOE}))
    await place.put("a.md", b"# Note\n\nThe heron sleeps.")
    await sources.sync()
    assert len(await sources.world.found(joe, "docs", "heron")) == 0
    await sources.world.collection("docs", "everyone")  # the file no longer has the source
    await sources.sync()
    assert await sources.world.found(jane, "docs", "heron") == []

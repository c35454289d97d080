"""A server whose clock is wrong: what may be read, and when, is told by PostgreSQL's."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from retrieval_world import World
from wrong_clock import A_DAY_OFF, set_clock

from headworks.errors import NotFound
from headworks.identity.contract import KeyRequest
from headworks.retrieval.contract import Wanted
from headworks.types.identity import ShownKey


@A_DAY_OFF
async def test_validity_is_by_the_clock_of_the_database(
    world: World, monkeypatch: pytest.MonkeyPatch, off_s: int
) -> None:
    set_clock(monkeypatch, off_s)
    (now,) = world.behind.execute("SELECT now()").fetchone() or ()
    soon, before = ((now + timedelta(hours=hours)).isoformat() for hours in (1, -1))
    await world.collection("handbook", "everyone")
    times: dict[str, dict[str, Any]] = {
        "still.md": {"valid_to": soon},
        "already.md": {"valid_from": before},
        "no longer.md": {"valid_to": before},
        "not yet.md": {"valid_from": soon},
    }
    for path, metadata in times.items():
        await world.hand_in("handbook", path, f"# Heron {path}\n\nA heron waits.", metadata=metadata)
    await world.drain()
    assert set(await world.found(world.admin, "handbook", "heron")) == {"still.md", "already.md"}
    rows = world.behind.execute("SELECT path, document_id FROM document").fetchall()
    for path, document in rows:
        if path in {"still.md", "already.md"}:
            assert "heron" in (await world.retrieval.document(world.admin, document)).text
        else:
            with pytest.raises(NotFound):
                await world.retrieval.document(world.admin, document)


@A_DAY_OFF
async def test_a_key_reads_until_it_ends_by_the_clock_of_the_database(
    world: World, monkeypatch: pytest.MonkeyPatch, off_s: int
) -> None:
    await world.collection("handbook", "everyone")
    await world.add("handbook", "a.md", "# Heron\n\nA heron waits.")
    await world.person("bob")
    set_clock(monkeypatch, off_s)
    new = await world.identity.create_key(world.admin, KeyRequest(principal="bob", expires="2h"))
    (left_s,) = world.behind.execute(
        "SELECT extract(epoch FROM expires_at - now()) FROM api_key WHERE key_id = %s", [new.key.id]
    ).fetchone() or (0,)
    assert 0 < left_s <= 2 * 3600, "it lasts as long as it was asked to"
    (now,) = world.behind.execute("SELECT extract(epoch FROM now())::float8").fetchone() or ()
    async with world.db.system("test") as tx:
        bob = (await world.identity.load(tx)).authenticate(ShownKey(new.token), now)
    assert await world.found(bob, "handbook", "heron") == ["a.md"]
    world.behind.execute("UPDATE api_key SET expires_at = now() - interval '1 second' WHERE key_id = %s", [new.key.id])
    with pytest.raises(NotFound):
        await world.found(bob, "handbook", "heron")


@A_DAY_OFF
async def test_what_has_just_come_is_not_aged(world: World, monkeypatch: pytest.MonkeyPatch, off_s: int) -> None:
    set_clock(monkeypatch, off_s)
    (now,) = world.behind.execute("SELECT now()").fetchone() or ()
    await world.collection("handbook", "everyone")
    for path, days in (("new.md", 0), ("old.md", 1)):
        seen = (now - timedelta(days=days)).isoformat()
        await world.hand_in("handbook", path, "# Heron\n\nA heron waits.", metadata={"seen": seen})
    await world.drain()
    wanted = Wanted(changes={"decay": {"field": "seen", "half_life_days": 1}}, explains=True)
    found = await world.retrieval.search(world.admin, "handbook", "heron", 10, wanted=wanted)
    factors = [found.reasons[each.document, each.chunk].decay for each in found.passages]
    assert [each.path for each in found.passages] == ["new.md", "old.md"]
    assert [each and each.factor for each in factors] == pytest.approx([1.0, 0.5], abs=0.01)

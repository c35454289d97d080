"""Random lives of a source: after each sync everybody finds exactly what a model of it says."""

from __future__ import annotations

import random
from typing import Any

import pytest

from headworks.testing.simulated_source import SimulatedPlace

USERS = {"user:jane": "jane", "user:joe": "joe"}
GROUPS = ["group:a", "group:b", "group:c"]
IDS = [*USERS, *GROUPS, "user:stranger"]


def may(user: str, place: SimulatedPlace, path: str) -> bool:
    """What the place itself would say."""
    access = place.documents[path][1]

    def within(ids: frozenset[str]) -> bool:
        reached: set[str] = set()
        waiting = list(ids)
        while waiting:
            if (each := waiting.pop()) not in reached:
                reached.add(each)
                waiting += place.members.get(each, ())
        return user in reached

    return within(access.readers) and not within(access.denied)


async def change(place: SimulatedPlace, dice: random.Random) -> None:
    """Something happens there."""
    paths = sorted(place.documents)
    path = dice.choice(paths) if paths else "d/0.md"
    kind = dice.choice(["put", "put", "new", "new", "move", "delete", "share", "share", "join", "leave", "forget"])
    if kind == "new" or not paths:
        path = f"d/{dice.randrange(12)}.md"
        await place.put(path, f"# Note\n\nThe heron of {dice.randrange(9)} flies.".encode())
        await place.share(path, frozenset(dice.sample(IDS, 2)))
    elif kind == "put":
        await place.put(path, f"# Note\n\nA heron sleeps at {dice.randrange(9)}.".encode())
    elif kind == "move":
        await place.move(path, f"m/{dice.randrange(12)}.md")
    elif kind == "delete":
        await place.delete(path)
    elif kind == "share":
        denied = dice.sample(IDS, 1) if dice.random() < 0.3 else []
        await place.share(path, frozenset(dice.sample(IDS, dice.randrange(4))), frozenset(denied))
    elif kind == "join":
        await place.join(dice.choice(GROUPS), dice.choice(IDS))
    elif kind == "leave":
        await place.leave(dice.choice(GROUPS), dice.choice(IDS))
    else:
        await place.forget_cursors()


@pytest.mark.parametrize("seed", [1, 4])
async def test_after_each_sync_everybody_finds_exactly_what_he_may(sources: Any, seed: int) -> None:
    dice = random.Random(seed)  # noqa: S311 -- for a test
    people = {theirs: await sources.world.person(ours) for theirs, ours in USERS.items()}
    await sources.declare(USERS, "wiki")
    place = sources.places["wiki"]
    for group in GROUPS:
        await place.join(group, "user:nobody")
    found_any = 0
    for _ in range(8):
        for _ in range(dice.randrange(1, 9)):
            await change(place, dice)
        if dice.random() < 0.4:
            await place.throttle(dice.randrange(1, 4))
        assert (await sources.sync())["wiki"].state == "done"
        for theirs, who in people.items():
            wanted = sorted(path for path in place.documents if may(theirs, place, path))
            assert sorted(await sources.world.found(who, "docs", "heron note", 100)) == wanted
            found_any += len(wanted)
    assert found_any > 5
    assert sources.world.count("document", "tombstoned_at IS NULL") == len(place.documents)

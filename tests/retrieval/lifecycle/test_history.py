"""Old versions: who could not read one while it was current, or may not read the document now, does not get it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from uuid import UUID

import pytest
from retrieval_world import World

from headworks.errors import NotFound
from headworks.types.identity import Principal
from headworks.types.workspace import SectionSpec

FIRST = "# Round\n\nThe patient of room 7 was moved to the board's ward.\n"
SECOND = "# Round\n\nRoom 7 is free.\n"
THIRD = "# Round\n\nRoom 7 is taken.\n"
SECRET = "\n## Names\n\nIt is Mr. Heron.\n"
EVERYONE = ["everyone"]
LIKE_COLLECTION = ["*"]


@pytest.fixture
async def people(world: World) -> tuple[Principal, Principal]:
    """One of the board, and a clerk; both read the collection."""
    board, clerk = await world.person("bea", "board"), await world.person("carl", "clerks")
    await world.collection("ward", "everyone")
    return board, clerk


async def _put(world: World, *texts: tuple[str, dict[str, Any]]) -> None:
    for text, lists in texts:
        await world.add("ward", "round.md", text, **lists)


async def _document(world: World, path: str = "round.md") -> UUID:
    (found,) = world.behind.execute(
        "SELECT document_id FROM document WHERE shown_path = %s AND tombstoned_at IS NULL", [path]
    ).fetchall()
    return UUID(str(found[0]))


async def _readable(world: World, who: Principal, path: str = "round.md") -> list[int]:
    """The versions that somebody gets: by the list, by their texts, and by the database alone."""
    document, history = await _document(world, path), world.retrieval.lifecycle.history
    found: list[int] = []
    for (version,) in world.behind.execute(
        "SELECT version FROM document_version WHERE document_id = %s ORDER BY version", [document]
    ).fetchall():
        try:
            assert await history.text(who, document, version)
        except NotFound:
            continue
        found.append(version)
    try:
        listed = [each.version for each in await history.versions(who, document)]
    except NotFound:
        listed = []
    assert sorted(listed) == found
    async with world.db.tx(who) as tx:
        rows = await tx.fetch_all("SELECT version FROM document_version WHERE document_id = %(d)s", d=document)
    assert sorted(row.version for row in rows) == found
    return found


@pytest.mark.parametrize(
    ("first", "second", "clerks"),
    [
        ({"readers": ["board"]}, {"readers": LIKE_COLLECTION}, [2]),
        ({"readers": ["board"]}, {"readers": EVERYONE}, [2]),
        ({"readers": ["board"]}, {}, []),
        ({}, {"readers": ["board"]}, []),
        ({}, {"readers": EVERYONE}, [1, 2]),
        ({"denied": ["clerks"]}, {"denied": []}, [2]),
        ({"denied": ["clerks"]}, {}, []),
    ],
)  # fmt: skip
async def test_a_wider_list_opens_no_version_before(
    world: World, people: tuple[Principal, Principal], first: dict[str, Any], second: dict[str, Any], clerks: list[int]
) -> None:
    board, clerk = people
    await _put(world, (FIRST, first), (SECOND, second))
    assert await _readable(world, board) == [1, 2]
    assert await _readable(world, clerk) == clerks


@pytest.mark.parametrize(
    ("corrected", "clerks"), [(["board"], [2]), (EVERYONE, [1, 2])], ids=["it was too wide", "it was too narrow"]
)
async def test_a_list_that_is_corrected_without_new_text_is_that_of_the_current_version(
    world: World, people: tuple[Principal, Principal], corrected: Sequence[str], clerks: list[int]
) -> None:
    board, clerk = people
    wrong = EVERYONE if corrected == ["board"] else ["board"]
    await _put(world, (FIRST, {"readers": wrong}), (FIRST, {"readers": corrected}), (SECOND, {"readers": EVERYONE}))
    assert await _readable(world, board) == [1, 2]
    assert await _readable(world, clerk) == clerks


async def test_older_versions_keep_theirs_when_the_current_one_is_opened(
    world: World, people: tuple[Principal, Principal]
) -> None:
    board, clerk = people
    closed, opened = {"readers": ["board"]}, {"readers": EVERYONE}
    await _put(world, (FIRST, closed), (SECOND, closed), (SECOND, opened), (THIRD, opened))
    assert await _readable(world, board) == [1, 2, 3]
    assert await _readable(world, clerk) == [2, 3]


async def test_a_right_that_is_lost_now_closes_all_versions(world: World, people: tuple[Principal, Principal]) -> None:
    board, _ = people
    await _put(world, (FIRST, {"readers": ["board"]}), (SECOND, {}))
    await world.identity.remove_member(world.admin, "board", "bea")
    assert await _readable(world, board) == []
    await world.identity.add_member(world.admin, "board", "bea")
    assert await _readable(world, board) == [1, 2]
    await world.collection("ward", "everyone", denied=("board",))
    assert await _readable(world, board) == []


async def test_who_comes_to_the_group_later_reads_what_the_group_could(
    world: World, people: tuple[Principal, Principal]
) -> None:
    _, clerk = people
    await _put(world, (FIRST, {"readers": ["board"]}), (SECOND, {"readers": EVERYONE}))
    await world.identity.add_member(world.admin, "board", "carl")
    assert await _readable(world, clerk) == [1, 2]
    narrowed = await world.key("carl", groups=("everyone",))
    assert await _readable(world, narrowed) == [2], "a key that may not act as the board"


async def test_a_wider_collection_opens_no_version_before(world: World, people: tuple[Principal, Principal]) -> None:
    board, clerk = people
    await world.collection("ward", "board")
    await _put(world, (FIRST, {}), (SECOND, {}))
    await world.collection("ward", "everyone", denied=("clerks",))
    await _put(world, (THIRD, {}))
    await world.collection("ward", "everyone")
    assert await _readable(world, board) == [1, 2, 3]
    assert await _readable(world, clerk) == [3]


async def test_what_vanished_and_came_back_is_as_closed_as_it_was(
    world: World, people: tuple[Principal, Principal]
) -> None:
    board, clerk = people
    await world.collection("ward", "board")
    await _put(world, (FIRST, {}))
    await world.retrieval.lifecycle.failures.delete(world.admin, "ward", None, ["round.md"])
    await world.collection("ward", "everyone")
    await _put(world, (SECOND, {}))
    assert await _readable(world, board) == [1, 2]
    assert await _readable(world, clerk) == [2]


async def test_a_section_keeps_its_files_list_too(world: World, people: tuple[Principal, Principal]) -> None:
    board, clerk = people
    await world.collection("ward", "everyone", sections=[SectionSpec("**", "Names", ("everyone",))])
    closed, opened = {"readers": ["board"]}, {"readers": EVERYONE}
    await _put(world, (FIRST + SECRET, closed), (SECOND + SECRET, opened), (THIRD, opened), (FIRST + SECRET, opened))
    section = "round.md#Round › Names"
    assert await _readable(world, board, section) == [1, 2, 3]
    assert await _readable(world, clerk, section) == [2, 3]
    await world.collection("ward", "everyone", sections=[SectionSpec("**", "Names", ("board",))])
    await world.drain()
    assert await _readable(world, board, section) == [1], "cut anew it is another document"
    assert await _readable(world, clerk, section) == []

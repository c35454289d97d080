"""A folder of the server from a collection's file to what is found, and what it can't be made to read."""

from __future__ import annotations

import os
import unicodedata
from pathlib import Path
from typing import Any

import psycopg
import pytest

from headworks.config import RetrievalServerSettings
from headworks.retrieval.sources.catalog import usual_openers
from headworks.retrieval.sources.contract import Change, Gone, SourceError, Unfetchable
from headworks.retrieval.sources.server_folder import ServerFolder
from headworks.retrieval.sources.vanishing import are_too_many
from headworks.storage.pool import Database
from headworks.storage.sealing import Keyring
from headworks.types.workspace import SourceSpec

from ..test_routes import Http  # noqa: TID252 -- folders of tests have no absolute name


@pytest.fixture
def share(tmp_path: Path) -> Path:
    """A folder within one that the operator opens, and a secret beside it."""
    (tmp_path / "secret.md").write_text("# Secret\n\nThe canary sings.")
    folder = tmp_path / "share" / "policies"
    (folder / "pay").mkdir(parents=True)
    (folder / "leave.md").write_text("# Leave\n\nThe heron nests in April.")
    (folder / "pay" / "table.md").write_text("# Pay\n\nThe heron is paid in fish.")
    return folder


@pytest.fixture
async def world(
    share: Path, database: Database, keyring: Keyring, as_superuser: psycopg.Connection[Any], world_maker: Any
) -> Any:
    settings = RetrievalServerSettings(max_file_mb=1, source_folders=(str(share.parent),))
    return await world_maker(database, keyring, as_superuser, openers=usual_openers(settings))


async def sync(world: Any, folder: Path, *, confirms: bool = False, most: float | None = None) -> Any:
    spec = SourceSpec("share", "folder", {"folder": str(folder)}, most_deletions=most)
    await world.collection("docs", "everyone", sources=(spec,))
    http = Http(world)
    async with http.client:
        admin = await http.caller("admin")
        asked = {"allow_deletions": "true"} if confirms else {}
        assert (await admin("POST", "/api/collections/docs/sources/sync", params=asked)).status_code == 202
    await world.drain()
    [view] = await world.retrieval.list_sources(world.admin, "docs")
    return view


async def test_a_folder_is_found_kept_fresh_and_never_emptied_by_accident(world: Any, share: Path) -> None:
    view = await sync(world, share)
    assert (view.kind, view.state, view.trouble, view.looked_at, view.expected) == ("folder", "done", "", 2, 2)
    assert sorted(await world.found(world.admin, "docs", "heron")) == ["leave.md", "pay/table.md"]
    (share / "leave.md").write_text("# Leave\n\nThe stork nests in May.")
    os.utime(share / "leave.md", (4e9, 4e9))  # by a clock that is decades ahead
    (share / "pay" / "table.md").rename(share / "pay.md")
    (share / "empty.md").write_text("")
    view = await sync(world, share)
    assert {each.path: each.code for each in view.progress.failed} == {"empty.md": "empty"}
    assert await world.found(world.admin, "docs", "stork", 1) == ["leave.md"]
    assert sorted(await world.found(world.admin, "docs", "nests paid")) == ["leave.md", "pay.md"]
    share.rename(share.with_name("elsewhere"))
    view = await sync(world, share)
    assert "there is no such folder" in view.trouble
    assert sorted(await world.found(world.admin, "docs", "nests paid")) == ["leave.md", "pay.md"]


async def test_a_share_that_is_not_mounted_empties_nothing_until_somebody_says_so(world: Any, share: Path) -> None:
    await sync(world, share)
    away = share.with_name("away")
    share.rename(away)
    share.mkdir()  # what is left of a mount
    view = await sync(world, share)
    assert (view.state, view.held_back) == ("failed", 2)
    assert "2 of 2 documents from here are gone" in view.trouble
    assert "headworks ingest docs --allow-deletions" in view.trouble
    assert sorted(await world.found(world.admin, "docs", "heron")) == ["leave.md", "pay/table.md"]
    share.rmdir()
    away.rename(share)
    view = await sync(world, share)
    assert (view.state, view.held_back, view.trouble) == ("done", None, "")
    assert sorted(await world.found(world.admin, "docs", "heron")) == ["leave.md", "pay/table.md"]
    for each in (share / "leave.md", share / "pay" / "table.md"):
        each.unlink()
    assert (await sync(world, share, confirms=True)).state == "failed", "nobody had been told of it yet"
    assert (await sync(world, share)).state == "failed"
    view = await sync(world, share, confirms=True)
    assert (view.state, view.held_back, view.trouble) == ("done", None, "")
    assert await world.found(world.admin, "docs", "heron") == []


def remove(share: Path, *numbers: int) -> None:
    for each in numbers:
        (share / f"{each}.md").unlink()


async def test_who_confirms_lets_no_more_vanish_than_was_told(world: Any, share: Path) -> None:
    for number in range(11):
        (share / f"{number}.md").write_text(f"# {number}\n\nThe stork nests.")
    await sync(world, share)
    remove(share, *range(11))
    (share / "leave.md").unlink()
    assert (await sync(world, share)).held_back == 12
    (share / "pay" / "table.md").unlink()
    view = await sync(world, share, confirms=True)
    assert (view.state, view.held_back) == ("failed", 13)
    assert "13 of 13 documents from here are gone" in view.trouble
    assert len(await world.found(world.admin, "docs", "heron stork", 20)) == 13
    (share / "late.md").write_text("# Late\n\nThe crane is new.")
    view = await sync(world, share, confirms=True)
    assert (view.state, view.held_back) == ("done", None), "what was told is confirmed, whatever came since"
    assert await world.found(world.admin, "docs", "heron stork crane", 20) == ["late.md"]


async def test_the_share_that_may_vanish_is_the_one_of_the_collections_file(world: Any, share: Path) -> None:
    for number in range(23):
        (share / f"{number}.md").write_text(f"# {number}\n\nThe stork nests.")
    await sync(world, share)
    remove(share, *range(11))
    view = await sync(world, share, most=0.0)
    assert (view.state, view.held_back) == ("failed", 11)
    assert "more than `most_deletions` (0%)" in view.trouble
    assert (await sync(world, share)).state == "done", "it is less than half"
    remove(share, *range(11, 22))
    assert (await sync(world, share)).held_back == 11
    assert (await sync(world, share, most=0.9)).state == "done"
    assert sorted(await world.found(world.admin, "docs", "heron stork", 20)) == ["22.md", "leave.md", "pay/table.md"]


@pytest.mark.parametrize(
    ("gone", "here", "most", "are"),
    [
        (1, 0, 0.5, False), (2, 0, 0.5, True), (2, 1, 0.5, False), (10, 1, 0.5, False), (11, 10, 0.5, True),
        (11, 11, 0.5, False), (500, 500, 0.5, False), (11, 1_000, 0.0, True), (10, 1_000, 0.0, False),
        (9_000, 0, 1.0, False), (0, 0, 0.0, False),
    ],
)  # fmt: skip
def test_most_of_a_source_or_all_of_it_is_too_much(gone: int, here: int, most: float, are: bool) -> None:  # noqa: FBT001 -- a parameter of the test
    """A folder that was renamed is as many new documents as are gone, and no accident."""
    assert are_too_many(gone, here, most) is are


async def test_what_the_operator_did_not_open_is_not_even_looked_for(world: Any, share: Path) -> None:
    (share / "up").symlink_to(share.parents[1])
    for folder in (share.parents[1], share / "up", share.parents[1] / "nothing-here", Path("/proc/self"), Path("/")):
        view = await sync(world, folder)
        assert (view.state, view.progress.total) == ("failed", 0)
        assert "`source_folders`" in view.trouble
    assert world.count("document") == 0


async def test_a_link_out_of_the_folder_is_listed_and_one_within_it_is_a_file(world: Any, share: Path) -> None:
    (share / "out.md").symlink_to(share.parents[1] / "secret.md")
    (share / "in.md").symlink_to(share / "pay" / "table.md")
    view = await sync(world, share)
    assert {each.path: each.code for each in view.progress.failed} == {"out.md": "outside_folder"}
    assert sorted(await world.found(world.admin, "docs", "heron canary")) == ["in.md", "leave.md", "pay/table.md"]


def source_of(share: Path) -> ServerFolder:
    return ServerFolder(share, [share.parent], max_bytes=1000)


async def test_a_link_that_is_laid_after_the_look_leads_nowhere(share: Path) -> None:
    source = source_of(share)
    await source.changes("")
    (share / "leave.md").unlink()
    (share / "leave.md").symlink_to(share.parents[1] / "secret.md")
    (share / "pay").rename(share / "paid")
    (share / "pay").symlink_to(share.parents[1])
    os.mkfifo(share / "pipe.md")
    for path in ("leave.md", "pay/secret.md", "pipe.md", "paid", "../../secret.md"):
        with pytest.raises((Gone, Unfetchable)):
            await source.fetch(Change(path))


async def test_names_that_the_disk_writes_in_another_way_are_read(share: Path) -> None:
    parted, broken = unicodedata.normalize("NFD", "café.md"), os.fsdecode(b"caf\xe9.md")
    for name in (parted, broken):
        (share / name).write_bytes(name.encode("utf-8", "surrogateescape"))
    (share / os.fsdecode(b"caf\xe8.md")).write_bytes(b"reads the same as another one, and comes first")
    source = source_of(share)
    page = await source.changes("")
    assert [each.path for each in page.changes] == ["café.md", "caf\ufffd.md", "leave.md", "pay/table.md"]
    assert [(each.path, each.code) for each in page.failed] == [("caf\ufffd.md", "same_name")]
    assert (await source.fetch(Change("café.md"))).data == parted.encode()
    assert (await source_of(share).fetch(Change("caf\ufffd.md"))).data.endswith(b"comes first")


async def test_a_large_folder_comes_in_pages_of_one_look(share: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("headworks.retrieval.sources.server_folder._CHANGES_AT_ONCE", 2)
    for number in range(5):
        (share / f"{number}.md").write_text("x")
    source, cursor, seen = source_of(share), "", []
    while True:
        page = await source.changes(cursor)
        seen += [each.path for each in page.changes]
        cursor = page.cursor
        (share / "late.md").write_text("comes with the next sync")
        if page.is_last:
            break
    assert seen == ["0.md", "1.md", "2.md", "3.md", "4.md", "leave.md", "pay/table.md"]
    assert [each.path for each in (await source.changes(cursor)).changes] == ["late.md"]


async def test_a_folder_that_is_no_folder_says_so(share: Path) -> None:
    for folder in (share / "leave.md", share / "nothing"):
        with pytest.raises(SourceError, match="folder"):
            await source_of(folder).present("", "")

"""The suite for sources passes good ones, and finds what is wrong with bad ones."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from headworks.retrieval.sources.contract import Access, Change, Changes, Fetched, Groups, Present, Source
from headworks.retrieval.sources.server_folder import ServerFolder
from headworks.testing.simulated_source import SimulatedPlace, SimulatedSource
from headworks.testing.sources import RULES, NotConforming, check_source


class FolderStage:
    """A folder on disk as a stage."""

    can = frozenset({"vanish"})

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True)

    async def source(self) -> ServerFolder:
        return ServerFolder(self.folder, [self.folder.parent], max_bytes=1000)

    async def put(self, path: str, data: bytes) -> None:
        (self.folder / path).parent.mkdir(parents=True, exist_ok=True)
        (self.folder / path).write_bytes(data)

    async def delete(self, path: str) -> None:
        (self.folder / path).unlink()

    async def move(self, path: str, to: str) -> None:
        (self.folder / to).parent.mkdir(parents=True, exist_ok=True)
        (self.folder / path).rename(self.folder / to)

    async def vanish(self) -> None:
        self.folder.rename(self.folder.with_name("elsewhere"))

    async def share(self, path: str, readers: frozenset[str], denied: frozenset[str]) -> None:
        raise NotImplementedError

    async def join(self, group: str, member: str) -> None:
        raise NotImplementedError

    async def throttle(self, calls: int) -> None:
        raise NotImplementedError


@pytest.mark.parametrize("rule", RULES)
async def test_the_simulated_source_keeps_the_rule(rule: str) -> None:
    await RULES[rule](SimulatedPlace())


@pytest.mark.parametrize("rule", RULES)
async def test_a_folder_keeps_the_rule(rule: str, tmp_path: Path) -> None:
    await RULES[rule](FolderStage(tmp_path / "documents"))


@pytest.mark.parametrize("page", [1, 2, 7, 100])
async def test_pages_of_any_size_are_the_same_source(page: int) -> None:
    await check_source(lambda: SimulatedPlace(page=page))


class Wrapped(SimulatedSource):
    """A source with one thing wrong."""


class LosesAPage(Wrapped):
    async def changes(self, cursor: str) -> Changes:
        page = await super().changes(cursor)
        return Changes(page.changes[1:], page.cursor, page.is_last) if cursor else page


class KnowsNoCursor(Wrapped):
    async def changes(self, cursor: str) -> Changes:
        page = await super().changes(cursor)
        return page if page.changes or not cursor else await super().changes("")


class NeverEnds(Wrapped):
    async def changes(self, cursor: str) -> Changes:
        page = await super().changes(cursor)
        return Changes(page.changes, page.cursor, is_last=False)


class ForgetsDeletions(Wrapped):
    seen: frozenset[Any] = frozenset()

    async def present(self, cursor: str, place: str) -> Present:
        page = await super().present(cursor, place)
        ForgetsDeletions.seen |= frozenset(page.documents)
        return Present(tuple(ForgetsDeletions.seen), page.place)


class StopsAfterAPage(Wrapped):
    async def present(self, cursor: str, place: str) -> Present:
        return Present((await super().present(cursor, place)).documents)


class IsEmptyWhenAway(Wrapped):
    async def present(self, cursor: str, place: str) -> Present:
        try:
            return await super().present(cursor, place)
        except Exception:  # noqa: BLE001 -- what is planted here
            return Present(())


class OpensWhatIsShut(Wrapped):
    async def present(self, cursor: str, place: str) -> Present:
        page = await super().present(cursor, place)
        opened = tuple(
            type(each)(each.path, Access(each.access.readers or frozenset({"anyone"})))
            for each in page.documents
            if each.access
        )
        return Present(opened, page.place)


class FlattensGroups(Wrapped):
    async def groups(self) -> Groups:
        found = await super().groups()
        return Groups(
            {group: frozenset(m for m in each if m.startswith("user:")) for group, each in found.members.items()}
        )


class GivesOtherBytes(Wrapped):
    async def fetch(self, change: Change) -> Fetched:
        return Fetched((await super().fetch(change)).data[:-1])


class GivesEmptyForGone(Wrapped):
    async def fetch(self, change: Change) -> Fetched:
        try:
            return await super().fetch(change)
        except Exception:  # noqa: BLE001 -- what is planted here
            return Fetched(b"")


class SlashesFirst(Wrapped):
    async def present(self, cursor: str, place: str) -> Present:
        page = await super().present(cursor, place)
        return Present(tuple(type(each)(f"/{each.path}", each.access) for each in page.documents), page.place)


@pytest.mark.parametrize(
    "wrong",
    [
        LosesAPage, KnowsNoCursor, NeverEnds, ForgetsDeletions, StopsAfterAPage, IsEmptyWhenAway, OpensWhatIsShut,
        FlattensGroups, GivesOtherBytes, GivesEmptyForGone, SlashesFirst,
    ],
)  # fmt: skip
async def test_what_is_planted_is_found(wrong: Callable[[SimulatedPlace], Source], monkeypatch: Any) -> None:
    monkeypatch.setattr("headworks.testing.sources._MOST_PAGES", 50)

    class Stage(SimulatedPlace):
        async def source(self) -> Any:
            return wrong(self)

    with pytest.raises(NotConforming):
        await check_source(Stage)

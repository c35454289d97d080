"""The suite that every source has to pass, for those who write one.

No test framework is needed:

    from headworks.testing.sources import check_source

    await check_source(lambda: MyStage())

A *stage* is a place with documents that the suite can change, and sources that look at it; see `Stage`. What does not
hold is raised as NotConforming, with the rule. `RULES` has them one by one, for one test each.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Protocol, TypeVar

from headworks.errors import InvalidRequest
from headworks.retrieval.contract import check_path
from headworks.retrieval.sources.contract import (
    ANYONE,
    GROUP,
    Access,
    Change,
    Changes,
    CursorExpired,
    Gone,
    Source,
    SourceError,
    Throttled,
)

_Answer = TypeVar("_Answer")
_MOST_PAGES = 10_000
_OPEN = Access(frozenset({ANYONE}))


class NotConforming(AssertionError):
    """A source breaks a rule of the contract."""


class Stage(Protocol):
    """A place with documents, empty at first."""

    @property
    def can(self) -> frozenset[str]:
        """Beside documents: `share` (it has permissions), `throttle`, `vanish`."""
        ...

    async def source(self) -> Source:
        """A new source that looks at it, as after a restart: it knows nothing but what a cursor tells."""
        ...

    async def put(self, path: str, data: bytes) -> None:
        """Make a document, or another content of it. `path` as the source is to tell it."""
        ...

    async def delete(self, path: str) -> None:
        """Take a document away."""
        ...

    async def move(self, path: str, to: str) -> None:
        """Give a document another path."""
        ...

    async def share(self, path: str, readers: frozenset[str], denied: frozenset[str]) -> None:
        """Set who may read a document. Only with `share`."""
        ...

    async def join(self, group: str, member: str) -> None:
        """Put a user, or a group, into a group. Only with `share`."""
        ...

    async def throttle(self, calls: int) -> None:
        """Refuse the next calls with Throttled. Only with `throttle`."""
        ...

    async def vanish(self) -> None:
        """Be out of reach altogether. Only with `vanish`."""
        ...


Rule = Callable[[Stage], Awaitable[None]]


async def check_source(make: Callable[[], Stage]) -> None:
    """All rules, each on a new stage. Raises NotConforming with the first that does not hold."""
    for name, rule in RULES.items():
        try:
            await rule(make())
        except NotConforming as error:
            raise NotConforming(f"{name}: {error}") from error


async def _first_sync_gives_everything(stage: Stage) -> None:
    documents = await _filled(stage)
    source = await stage.source()
    found, _ = await read_all(source)
    _must(sorted(found) == sorted(documents), f"the first sync gives {sorted(found)}, not {sorted(documents)}")
    for path, change in found.items():
        fetched = await source.fetch(change)
        _must(fetched.data == documents[path], f"`{path}` has other bytes than were put there")
        _must(change.size in {None, len(fetched.data)}, f"`{path}` has {len(fetched.data)} bytes, not {change.size}")


async def _nothing_comes_twice(stage: Stage) -> None:
    await _filled(stage)
    _, cursor = await read_all(await stage.source())
    found, _ = await read_all(await stage.source(), cursor)
    _must(not found, f"nothing changed, but {sorted(found)} come again")


async def _only_what_changed_comes(stage: Stage) -> None:
    await _filled(stage)
    _, cursor = await read_all(await stage.source())
    await stage.put("a/1.md", b"# Changed\n\nOther words, of another length.")
    await stage.put("new.md", b"# New\n\nNew words.")
    found, cursor = await read_all(await stage.source(), cursor)
    _must(sorted(found) == ["a/1.md", "new.md"], f"`a/1.md` and `new.md` changed, and {sorted(found)} come")
    found, _ = await read_all(await stage.source(), cursor)
    _must(not found, f"nothing changed since, but {sorted(found)} come again")


async def _a_move_is_seen(stage: Stage) -> None:
    documents = await _filled(stage)
    _, cursor = await read_all(await stage.source())
    await stage.move("a/1.md", "b/moved.md")
    source = await stage.source()
    found, cursor = await read_all(source, cursor)
    _must("b/moved.md" in found, "a document that was moved does not come by its new path")
    _must((await source.fetch(found["b/moved.md"])).data == documents["a/1.md"], "what was moved has other bytes")
    here = await everything(source, cursor)
    _must("b/moved.md" in here and "a/1.md" not in here, f"after a move from a/1.md there are {sorted(here)}")


async def _a_deletion_is_seen(stage: Stage) -> None:
    documents = await _filled(stage)
    found, _ = await read_all(await stage.source())
    await stage.delete("a/2.md")
    source = await stage.source()
    _, cursor = await read_all(source)
    here = await everything(source, cursor)
    _must(sorted(here) == sorted({*documents} - {"a/2.md"}), f"a/2.md was deleted, and there are {sorted(here)}")
    try:
        await source.fetch(found["a/2.md"])
    except Gone:
        return
    raise NotConforming("a document that is gone is not refused with Gone")


async def _the_last_document_can_go(stage: Stage) -> None:
    await stage.put("only.md", b"# Only\n\nOne.")
    _, cursor = await read_all(await stage.source())
    await stage.delete("only.md")
    source = await stage.source()
    _, cursor = await read_all(source, cursor)
    _must(not await everything(source, cursor), "the last document was deleted, and is still there")


async def _a_cut_off_sync_goes_on(stage: Stage) -> None:
    documents = await _filled(stage)
    seen: set[str] = set()
    cursor = ""
    for _ in range(_MOST_PAGES):
        lost = await (await stage.source()).changes(cursor)  # whoever asked for it was killed
        page = await (await stage.source()).changes(cursor)
        _must(_paths(lost) <= _paths(page) | seen, "the same cursor gives less the second time")
        seen |= _paths(page)
        cursor = page.cursor
        if page.is_last:
            break
    _must(seen == set(documents), f"with a new source for each page {sorted(seen)} come, not {sorted(documents)}")


async def _what_comes_is_there(stage: Stage) -> None:
    await _filled(stage)
    source = await stage.source()
    found, cursor = await read_all(source)
    here = await everything(source, cursor)
    _must(set(found) == set(here), f"{sorted(found)} come, and {sorted(here)} are there")
    fresh = await everything(await stage.source(), cursor)
    _must(set(fresh) == set(here), "another source sees other documents by the same cursor")


async def _paths_are_good(stage: Stage) -> None:
    await _filled(stage)
    await stage.put("deep/er/cafe\u0301 menu.md", b"# Menu\n\nCoffee.")
    source = await stage.source()
    found, cursor = await read_all(source)
    for path in {*found, *await everything(source, cursor)}:
        try:
            _must(check_path(path) == path, f"{path!r} is not in NFC")
        except InvalidRequest:
            raise NotConforming(f"{path!r} is no path: it must be relative, without `..` and empty parts") from None


async def _a_strange_cursor_is_refused(stage: Stage) -> None:
    documents = await _filled(stage)
    try:
        found, _ = await read_all(await stage.source(), "no cursor of yours")
    except CursorExpired:
        return
    _must(set(found) == set(documents), "with a cursor that it does not know, a source gives some of the documents")


async def _readers_come_with_the_sweep(stage: Stage) -> None:
    await stage.put("a.md", b"# A\n\nSecret.")
    await stage.put("b.md", b"# B\n\nPublic.")
    if "share" not in stage.can:
        found, cursor = await read_all(source := await stage.source())
        accesses = [each.access for each in found.values()] + list((await everything(source, cursor)).values())
        _must(not source.carries_permissions, "the stage can't share, but the source carries permissions")
        _must(accesses == [None] * 4, "a source without permissions tells readers")
        return
    await stage.share("a.md", frozenset({"user:jane"}), frozenset())
    await stage.share("b.md", frozenset({ANYONE}), frozenset({"user:joe"}))
    source = await stage.source()
    _must(source.carries_permissions, "the stage can share, but the source carries no permissions")
    found, cursor = await read_all(source)
    wanted = {"a.md": Access(frozenset({"user:jane"})), "b.md": Access(frozenset({ANYONE}), frozenset({"user:joe"}))}
    _must({path: each.access for path, each in found.items()} == wanted, "changes tell other readers than were set")
    _must(await everything(source, cursor) == wanted, "the sweep tells other readers than were set")
    await stage.share("a.md", frozenset(), frozenset())
    here = await everything(await stage.source(), cursor)
    _must(here["a.md"] == Access(), "the last reader was taken away, and the sweep still tells one")


async def _denials_come_and_go(stage: Stage) -> None:
    """With the next sweep, for users and groups, and nobody is admitted by them."""
    if "share" not in stage.can:
        return
    await stage.put("a.md", b"# A\n\nSecret.")
    _, cursor = await read_all(await stage.source())
    staff = frozenset({"group:staff"})
    await stage.join("group:staff", "user:jane")
    for denied in (frozenset({"user:joe", "group:temps"}), frozenset({"user:stranger"}), staff, frozenset[str]()):
        await stage.share("a.md", staff, denied)
        here = await everything(await stage.source(), cursor)
        wanted = Access(staff, denied)
        _must(here["a.md"] == wanted, f"{sorted(denied)} are denied, and the sweep tells {here['a.md']}")


async def _groups_are_told(stage: Stage) -> None:
    if "share" not in stage.can:
        _must(not (await (await stage.source()).groups()).members, "a source without permissions tells groups")
        return
    await stage.join("group:staff", "user:jane")
    await stage.join("group:all", "group:staff")
    await stage.join("group:staff", "group:all")  # a cycle
    members = (await (await stage.source()).groups()).members
    wanted = {"group:staff": {"user:jane", "group:all"}, "group:all": {"group:staff"}}
    _must({group: set(each) for group, each in members.items()} == wanted, f"the groups are {dict(members)}")
    _must(all(group.startswith(GROUP) for group in members), f"ids of groups begin with `{GROUP}`")


async def _throttling_loses_nothing(stage: Stage) -> None:
    if "throttle" not in stage.can:
        return
    documents = await _filled(stage)
    seen: set[str] = set()
    cursor, is_last = "", False
    while not is_last:
        await stage.throttle(1)
        page = await _again(stage, lambda source: source.changes(cursor))  # noqa: B023 -- called at once
        seen, cursor, is_last = seen | _paths(page), page.cursor, page.is_last
    _must(seen == set(documents), f"throttled, the source gives {sorted(seen)}, not {sorted(documents)}")
    await stage.throttle(1)
    here = set(await _again(stage, lambda source: everything(source, cursor)))
    _must(here == set(documents), f"throttled, there are {sorted(here)}, not {sorted(documents)}")


async def _out_of_reach_is_not_empty(stage: Stage) -> None:
    if "vanish" not in stage.can:
        return
    documents = await _filled(stage)
    _, cursor = await read_all(await stage.source())
    await stage.vanish()
    try:
        await (await stage.source()).changes(cursor)
    except SourceError:
        pass
    else:
        raise NotConforming("out of reach, `changes` is not refused with SourceError")
    try:
        here = await everything(await stage.source(), cursor)
    except SourceError:
        return
    _must(set(here) == set(documents), f"out of reach there are {sorted(here)}: the others would be deleted")


_RULES: Mapping[str, Rule] = {
    "the first sync gives everything": _first_sync_gives_everything,
    "nothing comes twice": _nothing_comes_twice,
    "only what changed comes": _only_what_changed_comes,
    "a move is seen": _a_move_is_seen,
    "a deletion is seen": _a_deletion_is_seen,
    "the last document can go": _the_last_document_can_go,
    "a sync that was cut off goes on": _a_cut_off_sync_goes_on,
    "what comes is there": _what_comes_is_there,
    "paths are good": _paths_are_good,
    "a strange cursor is refused": _a_strange_cursor_is_refused,
    "readers come with the sweep": _readers_come_with_the_sweep,
    "denials come and go": _denials_come_and_go,
    "groups are told": _groups_are_told,
    "throttling loses nothing": _throttling_loses_nothing,
    "out of reach is not empty": _out_of_reach_is_not_empty,
}


class _Closing:
    """A stage whose sources can all be closed."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self.opened: list[Source] = []

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 -- whatever the stage has
        return getattr(self._stage, name)

    async def source(self) -> Source:
        self.opened.append(await self._stage.source())
        return self.opened[-1]


def _closing(rule: Rule) -> Rule:
    async def run(stage: Stage) -> None:
        watched = _Closing(stage)
        try:
            await rule(watched)
        finally:
            for source in watched.opened:
                await source.close()

    return run


RULES: Mapping[str, Rule] = {name: _closing(rule) for name, rule in _RULES.items()}


async def read_all(source: Source, cursor: str = "") -> tuple[dict[str, Change], str]:
    """All pages of changes since a cursor, by path, and the cursor after them. NotConforming when none is last."""
    found: dict[str, Change] = {}
    for _ in range(_MOST_PAGES):
        page = await source.changes(cursor)
        found |= {each.path: each for each in page.changes}
        cursor = page.cursor
        if page.is_last:
            return found, cursor
    raise NotConforming(f"after {_MOST_PAGES:,} pages of changes none is the last")


async def everything(source: Source, cursor: str) -> dict[str, Access | None]:
    """All pages of what is there, by path. Raises NotConforming when none is last."""
    here: dict[str, Access | None] = {}
    place = ""
    for _ in range(_MOST_PAGES):
        page = await source.present(cursor, place)
        here |= {each.path: each.access for each in page.documents}
        place = page.place
        if not place:
            return here
    raise NotConforming(f"after {_MOST_PAGES:,} pages of what is there none is the last")


async def _filled(stage: Stage) -> dict[str, bytes]:
    documents = {f"a/{number}.md": f"# Title {number}\n\nWords of {number}.".encode() for number in range(1, 8)}
    for path, data in documents.items():
        await stage.put(path, data)
        if "share" in stage.can:
            await stage.share(path, _OPEN.readers, _OPEN.denied)
    return documents


async def _again(stage: Stage, call: Callable[[Source], Awaitable[_Answer]]) -> _Answer:
    """The answer after a refusal, which has to say when to come again."""
    try:
        await call(await stage.source())
    except Throttled as error:
        _must(error.retry_after_s > 0, "it is not told when to come again")
        return await call(await stage.source())
    raise NotConforming("a source that asks for fewer requests is not heard: Throttled is expected")


def _paths(page: Changes) -> set[str]:
    return {each.path for each in page.changes}


def _must(holds: bool, otherwise: str) -> None:  # noqa: FBT001 -- a condition, as of assert
    if not holds:
        raise NotConforming(otherwise)

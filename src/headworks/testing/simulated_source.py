"""A place with documents, users, nested groups and moods, for tests of what uses a source.

place = SimulatedPlace()
await place.put("plan.md", b"# Plan")
await place.share("plan.md", frozenset({"group:board"}), frozenset({"user:joe"}))
source = await place.source()
"""

from __future__ import annotations

import unicodedata
from collections import defaultdict
from dataclasses import dataclass, field, replace

from headworks.retrieval.sources.contract import (
    Access,
    Change,
    Changes,
    CursorExpired,
    Fetched,
    Gone,
    Groups,
    Here,
    Present,
    SourceError,
    Throttled,
    Unfetchable,
)

_NOBODY: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class _Document:
    data: bytes
    access: Access
    changed: int
    """The number of the event that gave it its content or its path."""


@dataclass(slots=True)
class SimulatedPlace:
    """A stage (`headworks.testing.sources.Stage`). `page` is how many documents come at once."""

    page: int = 3
    can: frozenset[str] = frozenset({"share", "throttle", "vanish"})
    calls: int = 0
    """How often its sources were asked for anything."""
    retry_after_s: float = 0.05
    """What it asks for when it is asked too much."""
    broken: set[str] = field(default_factory=set)
    """Paths whose bytes can't be had."""
    only: int | None = None
    """After so many more calls it throttles, until this is set anew."""
    _documents: dict[str, _Document] = field(default_factory=dict)
    _groups: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    _events: int = 0
    _forgotten: int = 0
    _refusals: int = 0
    _is_away: bool = False

    async def source(self) -> SimulatedSource:
        """See Stage."""
        return SimulatedSource(self)

    async def put(self, path: str, data: bytes) -> None:
        """See Stage. A new document is nobody's."""
        before = self._documents.get(path)
        access = before.access if before else Access()
        self._documents[_composed(path)] = _Document(data, access, self._next())

    async def delete(self, path: str) -> None:
        """See Stage."""
        del self._documents[path]
        self._next()

    async def move(self, path: str, to: str) -> None:
        """See Stage: readers go with it."""
        self._documents[to] = replace(self._documents.pop(path), changed=self._next())

    async def share(self, path: str, readers: frozenset[str], denied: frozenset[str] = _NOBODY) -> None:
        """See Stage. No change of a content: only a sweep tells it."""
        self._documents[path] = replace(self._documents[path], access=Access(readers, denied))

    async def join(self, group: str, member: str) -> None:
        """See Stage."""
        self._groups[group].add(member)

    async def leave(self, group: str, member: str) -> None:
        """Take a member out of a group."""
        self._groups[group].discard(member)

    async def throttle(self, calls: int) -> None:
        """See Stage."""
        self._refusals = calls

    async def vanish(self) -> None:
        """See Stage."""
        self._is_away = True

    async def come_back(self) -> None:
        """Be in reach again."""
        self._is_away = False

    async def forget_cursors(self) -> None:
        """Know no cursor of before."""
        self._forgotten += 1

    @property
    def documents(self) -> dict[str, tuple[bytes, Access]]:
        """What is there, for models of tests."""
        return {path: (each.data, each.access) for path, each in self._documents.items()}

    @property
    def members(self) -> dict[str, frozenset[str]]:
        """Who is in which group."""
        return {group: frozenset(each) for group, each in self._groups.items()}

    def asked(self) -> None:
        """Count a call; refuse it when in the mood."""
        self.calls += 1
        if self._is_away:
            raise SourceError("The simulated place is out of reach.")
        if self._refusals:
            self._refusals -= 1
            raise Throttled(self.retry_after_s)
        if self.only is not None:
            if self.only == 0:
                raise Throttled(self.retry_after_s)
            self.only -= 1

    def event_of(self, cursor: str) -> int:
        """The number of the last event that was told, by a cursor. Raises CursorExpired."""
        if not cursor:
            return 0
        age, _, event = cursor.partition(".")
        if age != str(self._forgotten) or not event.isdecimal():
            raise CursorExpired
        return int(event)

    def cursor_at(self, event: int) -> str:
        """What `event_of` reads."""
        return f"{self._forgotten}.{event}"

    def since(self, event: int) -> list[tuple[int, str]]:
        """What got its content or path after an event, oldest first."""
        return sorted((each.changed, path) for path, each in self._documents.items() if each.changed > event)

    def read(self, path: str) -> _Document:
        """A document. Raises Gone and Unfetchable."""
        if path in self.broken:
            raise Unfetchable("forbidden", "The simulated place does not give it.")
        try:
            return self._documents[path]
        except KeyError:
            raise Gone(path) from None

    def _next(self) -> int:
        self._events += 1
        return self._events


class SimulatedSource:
    """A source by the contract that looks at a simulated place."""

    carries_permissions = True

    def __init__(self, place: SimulatedPlace) -> None:
        self._place = place

    async def groups(self) -> Groups:
        """See Source."""
        self._place.asked()
        return Groups(self._place.members)

    async def changes(self, cursor: str) -> Changes:
        """See Source. The cursor names the last event that was told."""
        self._place.asked()
        event = self._place.event_of(cursor)
        new = self._place.since(event)
        page = new[: self._place.page]
        changes = tuple(self._change(path) for _, path in page)
        after = page[-1][0] if page else event
        cursor, is_last = self._place.cursor_at(after), len(page) == len(new)
        return Changes(changes, cursor, is_last, expected=len(self._place.documents))

    def _change(self, path: str) -> Change:
        data, access = self._place.documents[path]
        return Change(path, access, len(data))

    async def fetch(self, change: Change) -> Fetched:
        """See Source."""
        self._place.asked()
        return Fetched(self._place.read(change.path).data)

    async def present(self, cursor: str, place: str) -> Present:
        """See Source. `place` is the last path that was told."""
        del cursor
        self._place.asked()
        documents = self._place.documents
        rest = sorted(path for path in documents if path > place)
        page = rest[: self._place.page]
        here = tuple(Here(path, documents[path][1]) for path in page)
        return Present(here, page[-1] if len(page) < len(rest) else "")

    async def close(self) -> None:
        """See Source."""


def _composed(path: str) -> str:
    return unicodedata.normalize("NFC", path)

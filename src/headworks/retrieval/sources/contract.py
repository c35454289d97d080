"""What a source is: where documents come from, how changes are asked for, and who may read them there.

A sync has three parts, each in pages, each resumable:

1. `changes`: what is new or other since a cursor; `fetch` gives each one's bytes.
2. `present`: everything that is there now, with who may read it. What of the collection is not in it vanishes, and
   every document's readers are set anew. That is the deletion sweep, and it is part of *every* sync.
3. `groups`: who is in which group of the source, asked for before either.

`headworks.testing.sources` holds the suite that every source has to pass.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

ANYONE = "anyone"
"""The reader that stands for everybody, also without an account at the source."""
GROUP = "group:"
"""What the id of a group of a source begins with, and that of a user does not."""
_LONGEST_MESSAGE = 1000


class SourceError(Exception):
    """Something about the whole source, not one document: the sync stops here, goes on later, and removes nothing."""

    def __init__(self, message: str, *, code: str = "source_unavailable", is_lasting: bool = False) -> None:
        """`message` is a sentence for the one who configured the source, without secrets.

        `is_lasting`: it will be no other in an hour, so the sync ends instead of trying again.
        """
        super().__init__(message)
        self.code = code
        self.is_lasting = is_lasting


class Throttled(SourceError):
    """The source asks for fewer requests: nothing was lost, the same call is made again after `retry_after_s`."""

    def __init__(self, retry_after_s: float, message: str = "The source asked to slow down.") -> None:
        """At least a moment is waited, whatever the source says."""
        super().__init__(message, code="throttled")
        self.retry_after_s = max(retry_after_s, 0.05)


class CursorExpired(SourceError):
    """The source no longer knows this cursor: the sync begins again without one."""

    def __init__(self) -> None:
        super().__init__("The source no longer knows where the last sync ended.", code="cursor_expired")


class Gone(Exception):
    """A document of `changes` is no longer there: it was deleted or moved meanwhile. No failure."""


class Unfetchable(Exception):
    """One document can't be had, for a reason of its own. It is listed, and tried again by the next sync."""

    def __init__(self, code: str, message: str) -> None:
        """`code` is a word for programs, `message` a sentence for the user that quotes nothing of the document."""
        super().__init__(message)
        self.code = code
        self.message = message[:_LONGEST_MESSAGE]


@dataclass(frozen=True, slots=True)
class Access:
    """Who may read a document at its source, in the source's own words. Nobody is admitted by being left out.

    `readers` are ids of users or groups of the source, or `anyone`; `denied` go before them, also by a group.
    """

    readers: frozenset[str] = frozenset()
    denied: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Change:
    """A document that is new or other. `size` in bytes where the source tells it before it is fetched."""

    path: str
    access: Access | None = None
    """None from a source that carries no permissions."""
    size: int | None = None


@dataclass(frozen=True, slots=True)
class Failed:
    """A document that can't be taken, by name. What is known of it from before stays."""

    path: str
    code: str
    message: str


@dataclass(frozen=True, slots=True)
class Changes:
    """A page of changes. `cursor` is where the next page begins, or where the next sync does if this `is_last`."""

    changes: tuple[Change, ...]
    cursor: str
    is_last: bool
    failed: tuple[Failed, ...] = ()
    expected: int | None = None
    """How many documents this sync looks at, where the source can tell."""


@dataclass(frozen=True, slots=True)
class Fetched:
    """A document's bytes. `media_type` where the source knows it, else empty: the path's ending decides.

    `metadata` is what the source says of the document, for filters: text, numbers, truth values, dates and lists of
    those by key; None: it says nothing. What can't be stored is left out.
    """

    data: bytes
    media_type: str = ""
    metadata: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Here:
    """A document that is there now."""

    path: str
    access: Access | None = None


@dataclass(frozen=True, slots=True)
class Present:
    """A page of what is there; `place` is where the next one begins, empty after the last."""

    documents: tuple[Here, ...]
    place: str = ""


@dataclass(frozen=True, slots=True)
class Groups:
    """Groups of the source: id to the ids of users and groups directly in it. Cycles and unknown ids are allowed.

    A group that is not in `members` is one whose members the source does not tell.
    """

    members: Mapping[str, frozenset[str]] = field(default_factory=dict)


class Source(Protocol):
    """One place that documents come from. Nothing is remembered between calls but what is in the cursors.

    Every method may raise SourceError: the sync stops, nothing is removed, and the next one goes on where this one
    stopped; Throttled: the same call is made again. Paths are relative, with `/` between their parts, in NFC, without
    `.`, `..`, empty parts and control characters, at most 1,000 characters long, and stable: the same path is the same
    document.
    """

    @property
    def carries_permissions(self) -> bool:
        """Whether it tells who may read what; without, its documents have the readers of the collection's file."""
        ...

    async def groups(self) -> Groups:
        """Who is in which group; empty from a source without permissions."""
        ...

    async def changes(self, cursor: str) -> Changes:
        """A page of what changed since `cursor` (empty: everything). The same cursor again gives no less than before.

        Raises CursorExpired.
        """
        ...

    async def fetch(self, change: Change) -> Fetched:
        """A document's bytes. Raises Gone, or Unfetchable for a reason of its own."""
        ...

    async def present(self, cursor: str, place: str) -> Present:
        """A page of all that is there, as of `cursor`, the last that `changes` gave. `place` is empty at first.

        A document whose being there could not be found out is named: only what is known to be gone may be left out.
        """
        ...

    async def close(self) -> None:
        """Give up connections."""
        ...

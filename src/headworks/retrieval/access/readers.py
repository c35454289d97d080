"""Which list of readers a document has of its own: pure functions.

Two lists must admit a reader: the collection's, and the document's own where it has one. The document's own is that of
the first path pattern of the collection that matches, else the one given on upload. Nothing here is asked when
something is read: PostgreSQL decides by the rows that are written from it.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from headworks.errors import InvalidRequest
from headworks.retrieval.access.patterns import compiled
from headworks.types.ids import PrincipalId

AS_COLLECTION = PrincipalId(UUID(int=0))
"""Given alone on upload: take the document's own list away."""


@dataclass(frozen=True, slots=True)
class PatternReaders:
    """Documents whose path matches are read by these principals only; none: by nobody."""

    pattern: str
    readers: tuple[PrincipalId, ...]


@dataclass(frozen=True, slots=True)
class OwnList:
    """A document's own readers, and the pattern that they come from (None: given on upload)."""

    readers: tuple[PrincipalId, ...]
    pattern: str | None


@dataclass(frozen=True, slots=True)
class PatternDenials:
    """Documents whose path matches are closed to these principals, whatever list admits them."""

    pattern: str
    denied: tuple[PrincipalId, ...]


def own_list(path: str, patterns: Sequence[PatternReaders], given: Iterable[PrincipalId] | None) -> OwnList | None:
    """The list of a document at this path; None: it has the collection's."""
    for each in patterns:
        if matches(each.pattern, path):
            return OwnList(each.readers, each.pattern)
    return None if given is None else OwnList(tuple(given), None)


def denied_at(
    path: str, patterns: Sequence[PatternDenials], given: Iterable[PrincipalId] = ()
) -> frozenset[PrincipalId]:
    """Whom a document at this path is closed to: by every pattern that matches, and by its upload."""
    by_patterns = (each for pattern in patterns if matches(pattern.pattern, path) for each in pattern.denied)
    return frozenset((*by_patterns, *given))


def given_list(
    before: Sequence[PrincipalId] | None, now: Sequence[PrincipalId] | None
) -> tuple[PrincipalId, ...] | None:
    """The list given on upload after an upload with `now`: None leaves what was, so that nothing opens by omission."""
    if now is None:
        return None if before is None else tuple(before)
    return None if list(now) == [AS_COLLECTION] else tuple(now)


def matches(pattern: str, path: str) -> bool:
    """Whether a path matches: `*` and `?` stay within a folder, `**` goes through any number of them."""
    return compiled(pattern).matches(path)


def normal_pattern(pattern: str) -> str:
    """A pattern as paths are compared with it: relative, in NFC; a folder (`drafts/`) stands for all that is in it."""
    normal = unicodedata.normalize("NFC", pattern.strip()).removeprefix("./").lstrip("/")
    return f"{normal}**" if normal.endswith("/") else normal


def refuse_given(path: str, patterns: Sequence[PatternReaders]) -> None:
    """InvalidRequest where a pattern already names the readers of this path: theirs is the last word."""
    for each in patterns:
        if matches(each.pattern, path):
            raise InvalidRequest(
                f"The collection's file names the readers of `{each.pattern}`, which this path matches.",
                next_step="Leave `readers` out, or change the collection's file.",
                param="readers",
            )


def read_patterns(settings: Mapping[str, Any]) -> list[PatternReaders]:
    """The patterns of a collection's settings as they are stored."""
    return [
        PatternReaders(each["pattern"], tuple(PrincipalId(UUID(reader)) for reader in each["readers"]))
        for each in settings.get("documents", ())
    ]


def read_denials(settings: Mapping[str, Any]) -> list[PatternDenials]:
    """The deny entries by pattern of a collection's settings as they are stored."""
    return [
        PatternDenials(each["pattern"], tuple(PrincipalId(UUID(denied)) for denied in each["denied"]))
        for each in settings.get("denials", ())
    ]


def write_denials(patterns: Sequence[PatternDenials]) -> list[dict[str, Any]]:
    """What `read_denials` reads."""
    return [{"pattern": each.pattern, "denied": [str(denied) for denied in each.denied]} for each in patterns]


def write_patterns(patterns: Sequence[PatternReaders]) -> list[dict[str, Any]]:
    """What `read_patterns` reads."""
    return [{"pattern": each.pattern, "readers": [str(reader) for reader in each.readers]} for each in patterns]

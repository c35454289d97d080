"""OLE compound files, the file systems within a file that Outlook's messages are: storages and their streams."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice

from headworks.errors import DocumentUnreadable

_HEADER = struct.Struct("<30xHH14xI4xII4xI4x109I")
_ENTRY = struct.Struct("<64sHBxIII36xII4x")
_STORAGE, _STREAM, _ROOT = 1, 2, 5
_NONE = 0xFFFF_FFFA
"""From here on a number is no sector, or no entry, but says why there is none."""
_MOST_ENTRIES = 100_000
_DEEPEST = 200
"""Storages in storages: a message in a message is two. What reads whole messages takes long for many more."""


@dataclass(slots=True)
class Storage:
    """A folder: its streams' bytes and the storages in it, by name."""

    streams: dict[str, bytes] = field(default_factory=dict)
    storages: dict[str, Storage] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _Entry:
    name: str
    kind: int
    near: tuple[int, int]
    """Its neighbours in the tree of its storage's entries."""
    child: int
    start: int
    size: int


def read_compound(data: bytes) -> Storage:
    """The root with all that is below it. Raises DocumentUnreadable `corrupt`."""
    try:
        return _Reader(data).root()
    except (struct.error, IndexError, ValueError):
        raise DocumentUnreadable("The file is damaged: it is no whole compound file.", code="corrupt") from None


class _Reader:
    """What is damaged gives IndexError, ValueError or struct.error; nothing is read twice, so loops end."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        shift, mini_shift, first_entry, cutoff, mini_fat, more, *fat = _HEADER.unpack_from(data)
        self._size, self._mini_size, self._cutoff = _size_of(shift, 16), _size_of(mini_shift, 12), cutoff
        self._left = len(data) * 2
        most = 4 * len(data) // self._size**2 + 1  # as many sectors as the table of all sectors needs
        self._fat = self._table(islice(self._fat_sectors(fat, more), most))
        self._entries = self._read_entries(self._chain(first_entry, self._fat))
        self._mini_fat = self._table(self._chain(mini_fat, self._fat))
        self._mini = b"".join(map(self._sector, self._chain(self._entries[0].start, self._fat)))

    def root(self) -> Storage:
        """See `read_compound`."""
        root = Storage()
        waiting, seen = [(self._entries[0].child, root, 1)], {0}
        while waiting:
            number, around, depth = waiting.pop()
            if number >= _NONE or number in seen:
                continue
            if depth > _DEEPEST:
                raise DocumentUnreadable("The document is nested too deep.", code="corrupt")
            seen.add(number)
            entry = self._entries[number]
            waiting += [(each, around, depth) for each in entry.near]
            if entry.kind == _STREAM:
                around.streams[entry.name] = self._content(entry)
            elif entry.kind == _STORAGE:
                inner = around.storages[entry.name] = Storage()
                waiting.append((entry.child, inner, depth + 1))
        return root

    def _content(self, entry: _Entry) -> bytes:
        # Streams may claim the same sectors: together they may be no larger than twice the file.
        self._left -= entry.size
        if self._left < 0:
            raise ValueError("streams overlap")
        if entry.size >= self._cutoff:
            chain = self._chain(entry.start, self._fat, -(-entry.size // self._size))
            return b"".join(map(self._sector, chain))[: entry.size]
        chain = self._chain(entry.start, self._mini_fat, -(-entry.size // self._mini_size))
        pieces = (self._mini[at * self._mini_size : (at + 1) * self._mini_size] for at in chain)
        return b"".join(pieces)[: entry.size]

    def _sector(self, number: int) -> bytes:
        start = (number + 1) * self._size
        if start >= len(self._data):
            raise IndexError(number)
        return self._data[start : start + self._size]

    def _chain(self, number: int, table: list[int], most: int | None = None) -> Iterator[int]:
        """The sectors from this one on, no more than there are, or than a stream of its size has."""
        for _ in range(len(table) if most is None else most):
            if number >= _NONE:
                return
            yield number
            number = table[number]

    def _fat_sectors(self, first: list[int], more: int) -> Iterator[int]:
        yield from (each for each in first if each < _NONE)
        seen = set()
        while more < _NONE and more not in seen:
            seen.add(more)
            *numbers, more = self._table([more])
            yield from (each for each in numbers if each < _NONE)

    def _table(self, sectors: Iterator[int] | list[int]) -> list[int]:
        content = b"".join(map(self._sector, sectors))
        return list(struct.unpack(f"<{len(content) // 4}I", content[: len(content) // 4 * 4]))

    def _read_entries(self, sectors: Iterator[int]) -> list[_Entry]:
        content = b"".join(map(self._sector, sectors))
        found = []
        for at in range(0, min(len(content), _MOST_ENTRIES * _ENTRY.size) - _ENTRY.size + 1, _ENTRY.size):
            name, length, kind, left, right, child, start, size = _ENTRY.unpack_from(content, at)
            text = name[: max(0, length - 2)].decode("utf-16-le", "replace")
            found.append(_Entry(text, kind, (left, right), child, start, size))
        if not found or found[0].kind != _ROOT:
            raise ValueError("no root")
        return found


def _size_of(shift: int, most: int) -> int:
    if not 2 <= shift <= most:
        raise ValueError("no size of a sector")
    return 1 << shift

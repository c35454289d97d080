"""OLE compound files made from a tree, and Outlook messages made from those."""

from __future__ import annotations

import struct
from collections.abc import Mapping
from typing import Any

SECTOR, MINI, CUTOFF = 512, 64, 4096
FREE, END, FAT = 0xFFFF_FFFF, 0xFFFF_FFFE, 0xFFFF_FFFD
Tree = Mapping[str, Any]
"""Names to the bytes of streams, or to the trees of storages."""


def compound(tree: Tree) -> bytes:
    """A file of version 3: sectors of 512 bytes, streams below 4,096 bytes in the small ones."""
    entries = _entries_of(tree)
    mini, mini_fat = b"", []
    sectors: list[bytes] = []
    fat: list[int] = []

    def put(content: bytes) -> int:
        pieces = [content[at : at + SECTOR].ljust(SECTOR, b"\0") for at in range(0, len(content), SECTOR)]
        first = len(sectors)
        sectors.extend(pieces)
        fat.extend([*range(first + 1, first + len(pieces)), END] if pieces else [])
        return first if pieces else END

    starts = []
    for _, kind, *_, content in entries:
        if kind == 2 and 0 < len(content) < CUTOFF:
            count = -(-len(content) // MINI)
            starts.append(len(mini_fat))
            mini_fat += [*range(len(mini_fat) + 1, len(mini_fat) + count), END]
            mini += content.ljust(count * MINI, b"\0")
        else:
            starts.append(put(content))
    starts[0], sizes = put(mini), [len(mini), *(len(each[5]) for each in entries[1:])]
    rows = b"".join(map(_row, entries, starts, sizes))
    rows += _row(["", 0, FREE, FREE, FREE, b""], 0, 0) * (-len(entries) % 4)
    first_entry = put(rows)
    numbers = struct.pack(f"<{len(mini_fat)}I", *mini_fat)
    first_mini = put(numbers.ljust(-(-len(numbers) // SECTOR) * SECTOR, b"\xff"))
    count = next(each for each in range(1, 100) if each * 128 >= len(fat) + each)
    places = range(len(sectors), len(sectors) + count)
    table = struct.pack(f"<{len(fat) + count}I", *fat, *[FAT] * count).ljust(count * SECTOR, b"\xff")
    head = struct.pack(
        "<8s16xHHHHH6xIIIIIIIII109I",
        b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", 0x3E, 3, 0xFFFE, 9, 6, 0, count, first_entry, 0, CUTOFF,
        first_mini, -(-len(numbers) // SECTOR), END, 0, *places, *[FREE] * (109 - count),
    )  # fmt: skip
    return head + b"".join(sectors) + table


def _entries_of(tree: Tree) -> list[list[Any]]:
    """Rows of a name, a kind, two neighbours, a child and bytes; the root's first."""
    entries: list[list[Any]] = [["Root Entry", 5, FREE, FREE, FREE, b""]]
    waiting: list[tuple[int, Tree]] = [(0, tree)]
    while waiting:
        storage, within = waiting.pop()
        numbers = []
        for name in sorted(within, key=lambda each: (len(each), each.upper())):
            value = within[name]
            numbers.append(len(entries))
            is_stream = isinstance(value, bytes)
            entries.append([name, 2 if is_stream else 1, FREE, FREE, FREE, value if is_stream else b""])
            if not is_stream:
                waiting.append((numbers[-1], value))
        entries[storage][4] = _middle(numbers, entries)
    return entries


def _middle(some: list[int], entries: list[list[Any]]) -> int:
    """The entry in the middle of the tree of these."""
    if not some:
        return FREE
    at = len(some) // 2
    entries[some[at]][2], entries[some[at]][3] = _middle(some[:at], entries), _middle(some[at + 1 :], entries)
    return some[at]


def _row(entry: list[Any], start: int, size: int) -> bytes:
    name, kind, left, right, child, _ = entry
    written = name.encode("utf-16-le")
    length = len(written) + 2 if kind else 0
    return struct.pack("<64sHBBIII36xIII", written, length, kind, 1, left, right, child, start, size, 0)


class Patch:
    """Changes the numbers of a compound file that say where things are."""

    LEFT, RIGHT, CHILD, START, SIZE = 68, 72, 76, 116, 120
    """Where they stand in an entry."""
    FIRST_ENTRY, FIRST_MINI, MORE = 48, 60, 68
    """Where sectors' numbers stand in the header: of the entries, of the small sectors' table, of the table's table."""

    def __init__(self, data: bytes) -> None:
        self.data = bytearray(data)

    def header(self, at: int) -> int:
        """A number of the header."""
        return int(struct.unpack_from("<I", self.data, at)[0])

    def set_header(self, at: int, number: int) -> None:
        struct.pack_into("<I", self.data, at, number)

    def set_next(self, sector: int, following: int) -> None:
        """Which sector follows another one, by the table of them all, which `compound` writes in one piece."""
        struct.pack_into("<I", self.data, (self.header(76) + 1) * SECTOR + 4 * sector, following)

    def entries(self, name: str) -> list[int]:
        """The numbers of the entries with a name."""
        written = f"{name}\0".encode("utf-16-le")
        first, found = self._place(0), []
        for number in range((len(self.data) - first) // 128):
            row = self.data[self._place(number) : self._place(number + 1)]
            if row.startswith(written) and row[64] == len(written):
                found.append(number)
        return found

    def entry(self, number: int, at: int) -> int:
        """A number of an entry."""
        return int(struct.unpack_from("<I", self.data, self._place(number) + at)[0])

    def set_entry(self, number: int, at: int, value: int) -> None:
        struct.pack_into("<I", self.data, self._place(number) + at, value)

    def _place(self, number: int) -> int:
        return (self.header(self.FIRST_ENTRY) + 1) * SECTOR + 128 * number


def message(subject: str, text: str, *attached: tuple[str, bytes | Tree], is_inner: bool = False) -> Tree:
    """A message of Outlook; what is attached is bytes, or the tree of a message."""
    tree: dict[str, Any] = {
        "__properties_version1.0": bytes(24 if is_inner else 32),
        "__substg1.0_0037001F": subject.encode("utf-16-le"),
        "__substg1.0_1000001F": text.encode("utf-16-le"),
        "__substg1.0_0C1A001F": "Jane Doe".encode("utf-16-le"),
        "__substg1.0_001A001F": "IPM.Note".encode("utf-16-le"),
    }
    if not is_inner:
        tree["__nameid_version1.0"] = {"__substg1.0_00020102": b"", "__substg1.0_00030102": b""}
    for number, (name, content) in enumerate(attached):
        key = "__substg1.0_37010102" if isinstance(content, bytes) else "__substg1.0_3701000D"
        tree[f"__attach_version1.0_#{number:08X}"] = {
            "__properties_version1.0": bytes(8),
            "__substg1.0_3707001F": name.encode("utf-16-le"),
            key: content,
        }
    return tree


def nested(depth: int) -> bytes:
    """The file of a message that holds a message, and so on: `Message 1` the outermost, `depth` of them around one."""
    tree = message("Deepest", "never said", is_inner=True)
    for at in range(depth, 0, -1):
        tree = message(f"Message {at}", f"At {at}.", ("", tree), is_inner=at > 1)
    return compound(tree)

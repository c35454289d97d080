"""How a journal lies on the disk: a folder of segments, each a run of framed records.

A segment is named after the position of its first record and starts with eight fixed bytes. A record is its length,
a checksum over length and payload, and the payload. A *position* counts the bytes of framed records since the journal
began; a record's position is that of its end, so that "confirmed up to here" is one number.
"""

from __future__ import annotations

import logging
import os
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

MAGIC = b"HWJRNL1\n"
SUFFIX = ".journal"

_HEAD = struct.Struct("<II")
_log = logging.getLogger("headworks.records.journal")


def framed(payload: bytes) -> bytes:
    """A record as it is written. ValueError if it is empty: zeros on the disk must never read as records."""
    length = len(payload)
    if not length:
        raise ValueError("A journal keeps no empty records.")
    return _HEAD.pack(length, zlib.crc32(payload, length)) + payload


def segment_path(folder: Path, start: int) -> Path:
    """The file of the segment whose first record begins at position `start`."""
    return folder / f"{start:020d}{SUFFIX}"


def segments(folder: Path) -> list[tuple[int, Path]]:
    """Start and file of each segment, in order."""
    found = [path for path in folder.iterdir() if path.suffix == SUFFIX and path.stem.isdigit()]
    return sorted((int(path.stem), path) for path in found)


def read_journal(folder: Path, from_position: int = 0) -> Iterator[tuple[int, bytes]]:
    """Position and payload of each whole record after `from_position`, which is 0 or was yielded before.

    A record that was being written when its process or the machine died ends its segment silently; damage before the
    last segment is logged with the bytes that it hides.
    """
    found = segments(folder)
    for index, (start, path) in enumerate(found):
        following = found[index + 1][0] if index + 1 < len(found) else None
        if following is not None and following <= from_position:
            continue
        position = start
        for position, payload in _records(path, start, max(start, from_position)):
            yield position, payload
        if following is not None and position < following:
            _log.warning("journal %s is damaged: %d bytes can't be read", path, following - position)


def _records(path: Path, start: int, position: int) -> Iterator[tuple[int, bytes]]:
    with path.open("rb") as file:
        if file.read(len(MAGIC)) != MAGIC:
            return
        file.seek(position - start, os.SEEK_CUR)
        left = path.stat().st_size - file.tell()
        while (payload := _next(file, left)) is not None:
            size = _HEAD.size + len(payload)
            left -= size
            position += size
            yield position, payload


def _next(file: BinaryIO, left: int) -> bytes | None:
    """The next payload if it is whole; `left` bounds what a damaged length may ask for."""
    head = file.read(_HEAD.size)
    if len(head) < _HEAD.size:
        return None
    length, checksum = _HEAD.unpack(head)
    if not 0 < length <= left - _HEAD.size:
        return None
    payload = file.read(length)
    return payload if len(payload) == length and zlib.crc32(payload, length) == checksum else None

"""Amazon's binary event stream (`application/vnd.amazon.eventstream`): frames cut from bytes and made of them.

A frame is its length, the length of its headers, a CRC of the two, headers, a payload, and a CRC of everything before.
Integers are big-endian; the CRCs are those of zlib. What does not add up is refused, never skipped.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import NamedTuple

from headworks.errors import UpstreamError

HeaderValue = bool | int | str | bytes
"""Bytes stand for byte arrays and for UUIDs, integers for the four sizes and for timestamps (milliseconds)."""

_PRELUDE = struct.Struct(">III")
_OVERHEAD = _PRELUDE.size + 4
_MAX_HEADERS = 128 * 1024
_MAX_FRAME = 24 * 1024 * 1024 + _MAX_HEADERS + _OVERHEAD
_FAMILIAR = 512

_TRUE, _FALSE, _BYTES, _STRING, _UUID = 0, 1, 6, 7, 9
_LONG = 5
_INTEGERS = {2: struct.Struct(">b"), 3: struct.Struct(">h"), 4: struct.Struct(">i"), 5: struct.Struct(">q")}
_INTEGERS[8] = _INTEGERS[_LONG]


class Frame(NamedTuple):
    """One message. `headers` are shared between frames: read them only."""

    headers: Mapping[str, HeaderValue]
    payload: bytes


class Decoder:
    """Cuts a byte stream into frames; what is not yet whole is kept."""

    __slots__ = ("_kept", "_wanted")

    def __init__(self) -> None:
        self._kept = bytearray()
        self._wanted = _PRELUDE.size

    @property
    def is_between_frames(self) -> bool:
        """Nothing is kept: an end here cuts no frame."""
        return not self._kept

    def feed(self, data: bytes) -> list[Frame]:
        """The frames that are whole with these bytes. Raises UpstreamError for lengths or a CRC that can't be."""
        return list(self.frames(data))

    def frames(self, data: bytes) -> Iterator[Frame]:
        """As `feed`, one after the other: those before bytes that are no frame are given before it raises."""
        kept = self._kept
        kept += data
        while len(kept) >= self._wanted:
            size = _frame_size(kept)
            if len(kept) < size:
                self._wanted = size
                break
            frame = _frame(bytes(kept[:size]))
            del kept[:size]
            self._wanted = _PRELUDE.size
            yield frame


def encode(headers: Mapping[str, HeaderValue], payload: bytes) -> bytes:
    """One frame. Integers become 64 bits wide; ValueError for a name or a value that is too long."""
    block = b"".join(_header(name.encode(), value) for name, value in headers.items())
    if len(block) > _MAX_HEADERS or len(block) + len(payload) + _OVERHEAD > _MAX_FRAME:
        raise ValueError("The frame is larger than the protocol allows.")
    lengths = struct.pack(">II", len(block) + len(payload) + _OVERHEAD, len(block))
    head = lengths + struct.pack(">I", zlib.crc32(lengths))
    frame = head + block + payload
    return frame + struct.pack(">I", zlib.crc32(frame))


def _frame_size(kept: bytearray) -> int:
    size, headers, crc = _PRELUDE.unpack_from(kept)
    if zlib.crc32(kept[:8]) != crc:
        raise _broken("the checksum of a frame's head is wrong")
    if not _OVERHEAD + headers <= size <= _MAX_FRAME or headers > _MAX_HEADERS:
        raise _broken("a frame's lengths can't be")
    return int(size)


def _frame(data: bytes) -> Frame:
    if zlib.crc32(data[:-4]) != int.from_bytes(data[-4:], "big"):
        raise _broken("the checksum of a frame is wrong")
    end = _PRELUDE.size + int.from_bytes(data[4:8], "big")
    block = data[_PRELUDE.size : end]
    # A stream has a handful of different headers, again and again.
    headers = _familiar_headers(block) if len(block) <= _FAMILIAR else _headers(block)
    return Frame(headers, data[end:-4])


def _headers(block: bytes) -> Mapping[str, HeaderValue]:
    found: dict[str, HeaderValue] = {}
    at = 0
    try:
        while at < len(block):
            start = at + 1
            at = start + block[at]
            name = _exactly(block, start, at).decode()
            if name in found:
                raise _broken("a frame has a header twice")
            found[name], at = _value(block, at + 1, block[at])
    except (IndexError, UnicodeDecodeError, struct.error):
        raise _broken("a frame's headers can't be read") from None
    return found


_familiar_headers = lru_cache(maxsize=256)(_headers)


def _value(block: bytes, at: int, kind: int) -> tuple[HeaderValue, int]:
    if kind in {_TRUE, _FALSE}:
        return kind == _TRUE, at
    if (integer := _INTEGERS.get(kind)) is not None:
        return integer.unpack_from(block, at)[0], at + integer.size
    if kind == _UUID:
        return _exactly(block, at, at + 16), at + 16
    if kind not in {_BYTES, _STRING}:
        raise _broken(f"a frame's header is of the unknown kind {kind}")
    start = at + 2
    end = start + int.from_bytes(_exactly(block, at, start), "big")
    value = _exactly(block, start, end)
    return (value.decode() if kind == _STRING else value), end


def _exactly(block: bytes, start: int, end: int) -> bytes:
    if end > len(block):
        raise IndexError
    return block[start:end]


def _header(name: bytes, value: HeaderValue) -> bytes:
    if not 0 < len(name) < 256:
        raise ValueError("A header's name has 1 to 255 bytes.")
    head = bytes((len(name),)) + name
    if isinstance(value, bool):
        return head + bytes((_TRUE if value else _FALSE,))
    if isinstance(value, int):
        return head + bytes((_LONG,)) + _INTEGERS[_LONG].pack(value)
    kind, data = (_STRING, value.encode()) if isinstance(value, str) else (_BYTES, value)
    if len(data) > 0x7FFF:
        raise ValueError("A header's value has at most 32,767 bytes.")
    return head + bytes((kind,)) + struct.pack(">H", len(data)) + data


def _broken(why: str) -> UpstreamError:
    return UpstreamError(
        f"The provider's event stream can't be read: {why}.",
        next_step="Something between here and the provider has changed its bytes; try again, or leave it out.",
    )

"""Documents that are zip archives: checked before any library sees them, and read within limits."""

from __future__ import annotations

import io
import struct
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass

from headworks.errors import DocumentUnreadable

_MB = 1024 * 1024
_OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_LOCAL_HEADER = struct.Struct("<4s22xHH")
_ENCRYPTED_STREAM = "EncryptedPackage".encode("utf-16-le")


@dataclass(frozen=True, slots=True)
class ArchiveLimits:
    """What an honest document stays below."""

    entries: int = 10_000
    total_bytes: int = 512 * _MB
    ratio: int = 200
    """Of unpacked to packed size of an entry, asked only of entries above `ratio_from_bytes`."""
    ratio_from_bytes: int = 8 * _MB
    nesting: int = 2
    """Archives within archives: an embedded workbook in a letter is one."""


LIMITS = ArchiveLimits()


def is_ole(data: bytes) -> bool:
    """Whether the file is of Microsoft's older binary kind (which also wraps every encrypted newer one)."""
    return data.startswith(_OLE)


def refuse_encrypted_office(data: bytes) -> None:
    """Raises `encrypted` for an office document with a password, which is no zip archive but hides one."""
    if is_ole(data) and _ENCRYPTED_STREAM in data:
        raise DocumentUnreadable("The document is encrypted and needs a password.", code="encrypted")


def open_archive(data: bytes, limits: ArchiveLimits = LIMITS) -> zipfile.ZipFile:
    """The archive, after its entries were checked: their number, overlaps, true unpacked sizes, ratios and nesting.

    Sizes are not believed but counted by unpacking, without keeping anything. Raises DocumentUnreadable `bomb`,
    `encrypted` or `corrupt`.
    """
    refuse_encrypted_office(data)
    _check(data, limits, depth=0, budget=[limits.total_bytes])
    return zipfile.ZipFile(io.BytesIO(data))


def read_entry(archive: zipfile.ZipFile, path: str) -> bytes | None:
    """The bytes of an entry of a checked archive, or None when there is none."""
    try:
        return archive.read(path)
    except KeyError:
        return None
    except (zipfile.BadZipFile, zlib.error, NotImplementedError, EOFError) as error:
        raise _damaged(str(error)) from None


def _check(data: bytes, limits: ArchiveLimits, depth: int, budget: list[int]) -> None:
    """`budget` is what may still be unpacked, by all archives within each other together."""
    try:
        entries = zipfile.ZipFile(io.BytesIO(data)).infolist()
    except (zipfile.BadZipFile, ValueError, NotImplementedError, EOFError) as error:
        raise DocumentUnreadable(f"The file is no complete archive: {error}.", code="corrupt") from None
    if len(entries) > limits.entries:
        raise _bomb(f"it has {len(entries):,} entries, more than {limits.entries:,}")
    reached = 0
    for entry in sorted(entries, key=lambda each: each.header_offset):
        if entry.flag_bits & 1:
            raise DocumentUnreadable("The document is encrypted and needs a password.", code="encrypted")
        if entry.header_offset < reached:
            raise _bomb("its entries overlap")
        begin = _content_start(data, entry)
        reached = begin + entry.compress_size
        packed = memoryview(data)[begin:reached]
        head = _counted(entry, packed, limits, budget)
        if head.startswith(b"PK\x03\x04"):
            if depth + 1 > limits.nesting:
                raise _bomb(f"archives lie within each other more than {limits.nesting} deep")
            inner = bytes(packed) if entry.compress_type == zipfile.ZIP_STORED else zlib.decompress(packed, wbits=-15)
            _check(inner, limits, depth + 1, budget)


def _content_start(data: bytes, entry: zipfile.ZipInfo) -> int:
    local = data[entry.header_offset : entry.header_offset + _LOCAL_HEADER.size]
    if len(local) < _LOCAL_HEADER.size or not local.startswith(b"PK\x03\x04"):
        raise _damaged("an entry is not where its index says")
    name_length, extra_length = _LOCAL_HEADER.unpack(local)[-2:]
    begin = entry.header_offset + _LOCAL_HEADER.size + int(name_length) + int(extra_length)
    if begin + entry.compress_size > len(data):
        raise _damaged("an entry is cut short")
    return begin


def _counted(entry: zipfile.ZipInfo, packed: memoryview, limits: ArchiveLimits, budget: list[int]) -> bytes:
    """Unpacks an entry piece by piece against the limits; gives its first bytes."""
    head, size = b"", 0
    for piece in _pieces(entry, packed):
        head = head or piece[:4]
        size += len(piece)
        budget[0] -= len(piece)
        if budget[0] < 0:
            raise _bomb(f"it unpacks to more than {limits.total_bytes // _MB} MB")
        if size > limits.ratio_from_bytes and size > limits.ratio * max(entry.compress_size, 1):
            raise _bomb(f"an entry unpacks to more than {limits.ratio} times its size")
    if size != entry.file_size:
        raise _damaged("an entry has another size than its index says")
    return head


def _pieces(entry: zipfile.ZipInfo, packed: memoryview) -> Iterator[bytes]:
    if entry.compress_type == zipfile.ZIP_STORED:
        yield bytes(packed)
        return
    if entry.compress_type != zipfile.ZIP_DEFLATED:
        raise _damaged("an entry is packed in a way that documents do not use")
    inflater = zlib.decompressobj(wbits=-15)
    left: bytes | memoryview = packed
    try:
        while not inflater.eof:
            piece = inflater.decompress(left, _MB)
            left = inflater.unconsumed_tail
            if not piece and not left:
                break
            yield piece
    except zlib.error:
        raise _damaged("an entry can't be unpacked") from None


def _bomb(why: str) -> DocumentUnreadable:
    return DocumentUnreadable(f"The document is made to explode when it is opened: {why}.", code="bomb")


def _damaged(why: str) -> DocumentUnreadable:
    return DocumentUnreadable(f"The document is damaged: {why}.", code="corrupt")

"""Sitemaps: lists of pages, and lists of such lists, plain or packed."""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from xml.parsers import expat

_MOST_BYTES = 50 * 1024 * 1024
"""Of one sitemap, unpacked: sitemaps.org's own limit."""
_MOST_ADDRESSES = 50_000
_LONGEST = 2_048


class NotASitemap(Exception):
    """Neither a list of pages nor a list of sitemaps."""


@dataclass(frozen=True, slots=True)
class Sitemap:
    """`pages` are (address, when it was last changed, as written); `nested` are addresses of other sitemaps."""

    pages: tuple[tuple[str, str], ...]
    nested: tuple[str, ...] = ()


def parse_sitemap(data: bytes) -> Sitemap:
    """A sitemap in XML or as lines of text, packed by gzip or not. Raises NotASitemap; entities are refused."""
    if data[:2] == b"\x1f\x8b":
        data = _unpacked(data)
    if data.lstrip()[:1] != b"<" and not data.startswith(b"\xef\xbb\xbf<"):
        lines = [line.strip() for line in data.decode("utf-8-sig", "replace").splitlines()]
        pages = tuple((line, "") for line in lines if line.startswith(("http://", "https://")) and len(line) < _LONGEST)
        if not pages:
            raise NotASitemap("it lists no address")
        return Sitemap(pages[:_MOST_ADDRESSES])
    reader = _Reader()
    reader.read(data)
    if not reader.is_known:
        raise NotASitemap("it is no XML of a sitemap")
    return Sitemap(tuple(reader.pages), tuple(reader.nested))


def _unpacked(data: bytes) -> bytes:
    unpacker = zlib.decompressobj(16 + zlib.MAX_WBITS)
    try:
        unpacked = unpacker.decompress(data, _MOST_BYTES + 1)
    except zlib.error:
        raise NotASitemap("it is not packed as it says") from None
    if len(unpacked) > _MOST_BYTES:
        raise NotASitemap(f"unpacked it has more than {_MOST_BYTES >> 20} MB")
    return unpacked


class _Reader:
    """Reads by events, so that nothing is built but the lists."""

    def __init__(self) -> None:
        self.pages: list[tuple[str, str]] = []
        self.nested: list[str] = []
        self.is_known = False
        self._path: list[str] = []
        self._text: dict[str, str] = {}

    def read(self, data: bytes) -> None:
        parser = expat.ParserCreate()
        parser.StartElementHandler = self._start
        parser.EndElementHandler = self._end
        parser.CharacterDataHandler = self._characters
        parser.EntityDeclHandler = self._entity
        try:
            parser.Parse(data, True)
        except expat.ExpatError as error:
            raise NotASitemap(f"line {error.lineno} is no XML") from None

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        del attributes
        name = name.rpartition(":")[2]
        self.is_known = self.is_known or (not self._path and name in {"urlset", "sitemapindex"})
        self._path.append(name)
        if len(self._path) == 2:
            self._text = {}

    def _characters(self, data: str) -> None:
        if len(self._path) == 3 and len(self._text.get(self._path[-1], "")) < _LONGEST:
            self._text[self._path[-1]] = self._text.get(self._path[-1], "") + data

    def _end(self, name: str) -> None:
        del name
        if len(self._path) == 2:
            self._add(self._path[-1])
        self._path.pop()

    def _add(self, kind: str) -> None:
        address = self._text.get("loc", "").strip()
        if not address or len(address) >= _LONGEST or len(self.pages) + len(self.nested) >= _MOST_ADDRESSES:
            return
        if kind == "url":
            self.pages.append((address, self._text.get("lastmod", "").strip()))
        elif kind == "sitemap":
            self.nested.append(address)

    def _entity(self, *declared: object) -> None:
        del declared
        raise NotASitemap("it declares entities")

"""What a web source knows of a site, its cursor: the pages of its last visit, and how far it is with this one."""

from __future__ import annotations

import base64
import mimetypes
import unicodedata
import zlib
from collections.abc import Sequence
from itertools import chain
from pathlib import PurePosixPath
from typing import Any
from urllib.parse import unquote, urlsplit

import msgspec

from headworks.retrieval.sources.contract import CursorExpired

HTML = frozenset({"text/html", "application/xhtml+xml"})
_MOST_BYTES = 256 << 20
_MOST_LINKS = 4_000_000
_MOST_CHARACTERS = 64 << 20
"""Of all addresses that links lead to. A site without end has more, and the whole is written every few pages."""
_LONGEST_PATH = 900
_ENDINGS = {"text/html": ".html", "application/xhtml+xml": ".html", "text/plain": ".txt", "text/markdown": ".md"}


class KnownPage(msgspec.Struct, omit_defaults=True):
    """A page as it was when it was last read. `path` is its document's; empty where the page is no document."""

    path: str = ""
    tag: str = ""
    modified: str = ""
    lastmod: str = ""
    digest: str = ""
    """Of the bytes: servers that know no tags say the same thing again and again."""
    links: list[int] = []
    """As `Visit.numbers` has them."""


class Visit(msgspec.Struct, omit_defaults=True):
    """`pages` are those of before; `here` those that this visit found so far, by address.

    `todo` are (address, depth, when it was last changed as its sitemap says), `seen` what was ever put there.
    """

    pages: dict[str, KnownPage] = {}
    here: dict[str, KnownPage] = {}
    todo: list[tuple[str, int, str]] = []
    seen: set[str] = set()
    stands_for: dict[str, str] = {}
    """A page that gave way to its canonical address, and that address."""
    is_under_way: bool = False
    numbers: dict[str, int] = {}
    """The addresses that links lead to, in the order of their numbers: most pages of a site lead to the same ones."""
    characters: int = 0
    """Of those addresses."""
    linked: int = 0
    """How many links pages have, together."""

    def numbered(self, addresses: Sequence[str]) -> list[int]:
        """Numbers for the links of a page; fewer where there is no room for all."""
        found: list[int] = []
        for address in addresses[: max(_MOST_LINKS - self.linked, 0)]:
            if address not in self.numbers:
                if self.characters + len(address) > _MOST_CHARACTERS:
                    break
                self.characters += len(address)
                self.numbers[address] = len(self.numbers)
            found.append(self.numbers[address])
        self.linked += len(found)
        return found

    def linked_from(self, page: KnownPage) -> list[str]:
        """The addresses that a page leads to."""
        addresses = list(self.numbers) if page.links else []
        return [addresses[number] for number in page.links]

    def add(self, url: str, depth: int, limit: int, lastmod: str = "") -> bool:
        """Put an address on the list, once; False when the list is full."""
        if url in self.seen:
            return True
        if len(self.seen) >= limit:
            return False
        self.seen.add(url)
        self.todo.append((url, depth, lastmod))
        return True

    def end(self) -> None:
        """Every page was looked at: what was found is what there is."""
        self.pages, self.here, self.todo = self.here, {}, []
        self.seen, self.stands_for, self.is_under_way = set(), {}, False
        used = sorted(set(chain.from_iterable(page.links for page in self.pages.values())))
        addresses, now = list(self.numbers), {old: new for new, old in enumerate(used)}
        for page in self.pages.values():
            page.links = [now[each] for each in page.links]
        self.numbers = {addresses[old]: new for old, new in now.items()}
        self.characters = sum(map(len, self.numbers))
        self.linked = sum(len(page.links) for page in self.pages.values())

    def written(self) -> str:
        """As a cursor."""
        return base64.b85encode(zlib.compress(msgspec.json.encode(self), 1)).decode()


def read_visit(cursor: str) -> Visit:
    """What `written` wrote; empty: a site that is not known. Raises CursorExpired."""
    if not cursor:
        return Visit()
    try:
        unpacked = zlib.decompressobj().decompress(base64.b85decode(cursor), _MOST_BYTES)
        return msgspec.json.decode(unpacked, type=Visit)
    except (ValueError, zlib.error, msgspec.MsgspecError):
        raise CursorExpired from None


def path_of(url: str, media_type: str) -> str:
    """The document's path: host, path and query as people read them, with an ending that says what it is."""
    parts = urlsplit(url)
    names = [each for each in unquote(parts.path).split("/") if each not in {"", ".", ".."}]
    if parts.path.endswith("/") or not names:
        names.append("index.html" if media_type in HTML else "index")
    path = "/".join([parts.netloc.replace(":", "_"), *names])
    if parts.query:
        path += "?" + unquote(parts.query).replace("/", "∕")
    path = "".join(each if each.isprintable() else "\ufffd" for each in unicodedata.normalize("NFC", path))
    ending = _ENDINGS.get(media_type) or mimetypes.guess_extension(media_type) or ""
    if len(path) > _LONGEST_PATH:
        path = f"{path[:_LONGEST_PATH]}~{zlib.crc32(url.encode()):08x}"
    is_said = mimetypes.guess_type(PurePosixPath(path).name)[0] == media_type
    return path if not ending or is_said or path.endswith(ending) else path + ending


def with_encoding(data: bytes, content_type: str) -> bytes:
    """A page whose encoding only its header says, as UTF-8 that says so itself."""
    from email.message import Message

    message: Any = Message()
    message["content-type"] = content_type
    name = str(message.get_param("charset") or "")
    try:
        return b"\xef\xbb\xbf" + data.removeprefix(b"\xef\xbb\xbf").decode(name).encode() if name else data
    except (LookupError, UnicodeDecodeError):
        return data

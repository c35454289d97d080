"""What a page tells a crawler: its links, its canonical address, and whether it wants to be listed and followed."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from html.parser import HTMLParser
from urllib.parse import quote, urljoin, urlsplit, urlunsplit

_MOST_LINKS = 2_000
_LONGEST = 2_000
_SAFE = "/%:@!$&'()*+,;=~-._?"


@dataclass(frozen=True, slots=True)
class PageLinks:
    """`links` are whole addresses without fragments, in the page's order, each once."""

    links: tuple[str, ...] = ()
    canonical: str = ""
    is_listed: bool = True
    """It does not say `noindex`."""


def read_page(markup: str, url: str, headers: Mapping[str, str], agent: str) -> PageLinks:
    """The links of a page that came from `url`; none where it says `nofollow`."""
    reader = _Reader(agent)
    reader.feed(markup)
    said = reader.said | _header_says(headers.get("x-robots-tag", ""), agent)
    base = _joined(url, reader.base) or url
    found = dict.fromkeys(address for each in reader.links if (address := _joined(base, each)))
    canonical = _joined(base, reader.canonical) if reader.canonical else ""
    follows = {"nofollow", "none"}.isdisjoint(said)
    return PageLinks(tuple(found)[:_MOST_LINKS] if follows else (), canonical, {"noindex", "none"}.isdisjoint(said))


def normal(url: str) -> str:
    """An http or https address in one way of writing, without a fragment; empty for anything else."""
    try:
        parts = urlsplit(url.strip())
        host, port = (parts.hostname or "").encode("idna").decode("ascii") if parts.hostname else "", parts.port
    except (ValueError, UnicodeError):
        return ""
    if parts.scheme.lower() not in {"http", "https"} or not host or parts.username or len(url) > _LONGEST:
        return ""
    scheme = parts.scheme.lower()
    usual = {"http": 80, "https": 443}[scheme]
    place = f"[{host}]" if ":" in host else host
    netloc = place if port in {None, usual} else f"{place}:{port}"
    path, query = quote(_without_dots(parts.path) or "/", safe=_SAFE), quote(parts.query, safe=_SAFE)
    return urlunsplit((scheme, netloc, path, query, ""))


def _without_dots(path: str) -> str:
    """`/a/../b` is `/b`, also where nobody joined it with anything."""
    if "/." not in path:
        return path
    kept: list[str] = []
    for part in path.split("/")[1:]:
        if part == "..":
            kept = kept[:-1]
        elif part != ".":
            kept.append(part)
    return "/" + "/".join(kept) + ("/" if path.endswith(("/.", "/..")) and kept else "")


def _joined(base: str, link: str) -> str:
    try:
        return normal(urljoin(base, link.strip()))
    except ValueError:
        return ""


def _header_says(value: str, agent: str) -> set[str]:
    """`noindex, nofollow`, or `agent: noindex` of which only ours counts."""
    said: set[str] = set()
    for part in value.lower().split(","):
        name, colon, rest = part.partition(":")
        if not colon:
            said.add(part.strip())
        elif name.strip() == agent:
            said.add(rest.strip())
    return said


class _Reader(HTMLParser):
    """Collects what a page tells; of `meta robots` all, and of our own name."""

    def __init__(self, agent: str) -> None:
        super().__init__(convert_charrefs=True)
        self._agent = agent
        self.links: list[str] = []
        self.base = ""
        self.canonical = ""
        self.said: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = {name: value or "" for name, value in attrs}
        relations = set(found.get("rel", "").lower().split())
        if tag in {"a", "area"} and found.get("href") and "nofollow" not in relations:
            self.links.append(found["href"])
        elif tag == "base" and not self.base:
            self.base = found.get("href", "")
        elif tag == "link" and "canonical" in relations and not self.canonical:
            self.canonical = found.get("href", "")
        elif tag == "meta" and found.get("name", "").lower() in {"robots", self._agent}:
            self.said |= set(re.split(r"[\s,]+", found.get("content", "").lower()))

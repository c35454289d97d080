"""robots.txt as RFC 9309 reads it: the group of our own name, else that of `*`; the longest rule wins."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from urllib.parse import quote, unquote

_MOST_BYTES = 500 * 1024
_LONGEST_DELAY_S = 60.0


@dataclass(frozen=True, slots=True)
class Robots:
    """What a site allows us. `rules` are (path pattern, whether allowed); `delay_s` between two requests."""

    rules: tuple[tuple[str, bool], ...] = ()
    delay_s: float = 0.0
    sitemaps: tuple[str, ...] = ()

    def allows(self, path: str) -> bool:
        """Whether a path, with its query, may be fetched. Of rules of the same length the allowing one wins."""
        path = _normal(path)
        found = [(len(pattern), allowed) for pattern, allowed in self.rules if _matches(pattern, path)]
        return max(found, default=(0, True))[1]


@dataclass(slots=True)
class _Group:
    agents: list[str] = field(default_factory=list)
    rules: list[tuple[str, bool]] = field(default_factory=list)
    delay_s: float = 0.0
    is_open: bool = True
    """Further agents still belong to it."""


def parse_robots(data: bytes, agent: str) -> Robots:
    """What a robots.txt says to `agent`. Lines that make no sense are passed over; nothing raises."""
    groups: list[_Group] = []
    sitemaps: list[str] = []
    for line in data[:_MOST_BYTES].decode("utf-8-sig", "replace").splitlines():
        name, _, value = line.partition("#")[0].partition(":")
        name, value = name.strip().lower(), value.strip()
        if name == "sitemap" and value:
            sitemaps.append(value)
        elif name == "user-agent":
            if not groups or not groups[-1].is_open:
                groups.append(_Group())
            groups[-1].agents.append(value.lower())
        elif groups:
            _add(groups[-1], name, value)
    ours = [each for each in groups if agent.lower() in each.agents] or [each for each in groups if "*" in each.agents]
    rules = tuple(rule for each in ours for rule in each.rules)
    return Robots(rules, max((each.delay_s for each in ours), default=0.0), tuple(sitemaps))


def _add(group: _Group, name: str, value: str) -> None:
    if name in {"allow", "disallow"}:
        group.is_open = False
        if value:
            group.rules.append((_normal(value), name == "allow"))
    elif name == "crawl-delay":
        group.is_open = False
        if re.fullmatch(r"\d{1,6}(\.\d+)?", value):
            group.delay_s = min(float(value), _LONGEST_DELAY_S)


def _normal(path: str) -> str:
    """Escapes written in one way, so that `/a%3cd` and `/a<d` are the same path; `%2F` stays what it is."""
    return quote(unquote(path.replace("%2F", "%252F").replace("%2f", "%252F")), safe="/%?&=*$+,;:@!'()~-._")


def _matches(pattern: str, path: str) -> bool:
    """`*` is anything, `$` the end. Piece by piece, which takes no longer for patterns that mean harm."""
    must_end = pattern.endswith("$")
    first, *others = pattern.removesuffix("$").split("*")
    if not path.startswith(first):
        return False
    at = len(first)
    for number, piece in enumerate(others, 1):
        if must_end and number == len(others):
            return path.endswith(piece) and len(path) - len(piece) >= at
        if (found := path.find(piece, at)) < 0:
            return False
        at = found + len(piece)
    return not must_end or bool(others) or at == len(path)

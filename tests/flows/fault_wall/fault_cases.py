"""The cases of the wall: every kind of fault, on every surface, in front of every chain of fallbacks."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from fault_kinds import KINDS, Expected, Kind
from fault_surfaces import SERVED, Surface
from kind_table import NO_ANSWER, TIMEOUT, TRUNCATED, answer, broken, failed, passed, refused

CHAINS: Mapping[str, tuple[str, ...]] = {
    "alone": ("*",),
    "one": ("*", "good"),
    "two": ("*", "*", "good"),
    "exhausted": ("*", "status-503", "*"),
    "later": ("status-503", "*"),
}
"""Targets in order; the star is the fault."""
WALL_CHAINS = ("alone", "one", "two", "exhausted")
ENDED_BY_TERMINAL: Mapping[str, Expected] = {
    "finish-without-terminal": broken(TRUNCATED),
    "cut-after-finish": broken(TRUNCATED),
    "reset-after-finish": broken(TRUNCATED, is_exact=False),
    "stall-after-finish": broken(TIMEOUT),
    "terminal-only": answer(),
}
"""In Responses, nothing but `response.completed` and its kin says that an answer is whole, and it holds all of it."""
NAMED: Mapping[str, Expected] = {"garbage-first": failed(504, TIMEOUT)}
"""Where events have names, one without is no event: what follows is waited for."""
TRANSLATED: Mapping[str, Expected] = {
    "garbage-after-tokens": broken(NO_ANSWER),
    "terminal-without-finish": broken(TRUNCATED),
}
"""Who reads an answer to tell it in another format needs each event, and the reason why it ends."""
OF_TRANSLATED: Mapping[str, Mapping[str, Expected]] = {
    "chat": {"foreign-400": refused(400)},  # vLLM's way to say it
    "gemini": {"error-in-200": passed(500)},  # its errors have their status in them
    "converse": {
        "html-after-tokens": broken(NO_ANSWER),  # in a stream of frames whatever is no frame is seen at once
        "foreign-400": refused(400),  # an error needs nothing but a message
    },
}
TOLD_STATUS: Mapping[str, int] = {"role-then-error": 429}
"""Of errors whose words we read, because an event of Responses, or one to be translated, is no body of an answer."""


_TURNS = {name: at for at, name in enumerate(KINDS)}
NOT_OF_COMPLETIONS = frozenset(("call-cut", "call-torn"))
"""It has no word for calls."""
NOT_OF_GEMINI = frozenset(("call-cut", "call-torn", "bytes-after-terminal"))
"""Its calls come in one piece, and it has no last event."""
NOT_OF_BEDROCK = frozenset(
    (
        "cr",
        "crlf",
        "comments",
        "comments-for-ever",
        "content-filter-error",
        "data-without-space",
        "filter-frame-then-error",
        "many-comments-then-error",
        "more-fields",
        "two-data-lines",
        "usage-with-finish",
    )
)
"""Its stream has frames, which are written in one way only; it has filters' verdicts as reasons and not as errors."""
NOT_OF_AIOHTTP = frozenset(("extra-bytes",))
"""Its parser takes a packet as a whole: an answer with something behind it is none."""
LEFT_OUT: Mapping[str, frozenset[str]] = {
    "completions": NOT_OF_COMPLETIONS,
    "gemini": NOT_OF_GEMINI,
    "converse": NOT_OF_BEDROCK,
    "aiohttp": NOT_OF_AIOHTTP,
}
"""By what the caller or the provider speaks, and by our client."""


@dataclass(frozen=True)
class Case:
    """One request."""

    kind: str
    chain: str
    surface: Surface
    turn: str = ""
    """Tells cases apart that are played more than once."""

    @property
    def name(self) -> str:
        return f"{self.kind}-{self.surface.name}-{self.chain}"

    @property
    def id(self) -> str:
        """What stands in the request, so that the provider's log can be read by it."""
        return f"case-{hashlib.sha256(f'{self.name}{self.turn}'.encode()).hexdigest()[:12]}"

    @property
    def route(self) -> str:
        return route_name(self.surface, self.kind, self.chain)

    @property
    def targets(self) -> tuple[Kind, ...]:
        """What each target of the route does."""
        return tuple(KINDS[self.kind if each == "*" else each] for each in CHAINS[self.chain])

    def expected_of(self, kind: Kind) -> Expected:
        """What one target's part in the answer has to be."""
        surface = self.surface
        own = None if surface.is_native else OF_TRANSLATED.get(surface.upstream, {}).get(kind.name)
        found = own or (kind.stream if surface.streams else kind.whole)
        assert found is not None, (kind.name, surface.name)
        if own is not None or not surface.streams:
            return found
        is_read = surface.upstream in {"responses", "gemini", "converse"} or (
            surface.upstream == "messages" and not surface.is_native
        )
        if kind.group == "start-up" and found.how == "passed" and is_read:
            return passed(TOLD_STATUS.get(kind.name, 500))
        if not surface.is_native:
            return TRANSLATED.get(kind.name, found)
        if surface.upstream == "responses" and kind.name in ENDED_BY_TERMINAL:
            return ENDED_BY_TERMINAL[kind.name]
        return found if surface.upstream in {"chat", "completions"} else NAMED.get(kind.name, found)

    def walk(self) -> tuple[int, Expected]:
        """How many targets have to be asked, and what has to come of the last of them."""
        for asked, kind in enumerate(self.targets, 1):
            expected = self.expected_of(kind)
            goes_on = expected.how == "passed" or (expected.how == "failed" and expected.switches)
            if not goes_on or asked == len(self.targets):
                return asked, expected
        raise AssertionError(self.name)


def suits(kind: Kind, surface: Surface) -> bool:
    """Whether a kind makes sense on a surface."""
    if surface.inbound == "embeddings":
        return kind.embeds
    left_out = {name for by in (surface.inbound, surface.upstream, surface.client) for name in LEFT_OUT.get(by, ())}
    if kind.only not in {"", surface.upstream} or kind.name in left_out:
        return False
    return (kind.stream if surface.streams else kind.whole) is not None


def chains_of(kind: Kind, surface: Surface) -> list[str]:
    """The chains that a fault is played in."""
    first = _TURNS[kind.name] + surface.turn
    return [chain for at, chain in enumerate(WALL_CHAINS, first) if at % surface.shared_by == 0]


def all_cases() -> Iterator[Case]:
    """The wall."""
    for kind in KINDS.values():
        for surface in SERVED:
            if suits(kind, surface):
                for chain in chains_of(kind, surface):
                    yield Case(kind.name, chain, surface)


def all_leaving() -> Iterator[tuple[Case, str]]:
    """Every way to be kept waiting, in front of the first target and of a fallback; and how the caller leaves."""
    for kind in KINDS.values():
        if kind.group != "stall" or kind.name == "stall-after-finish":
            continue
        for surface in SERVED:
            if suits(kind, surface) and not surface.asks_usage:
                yield Case(kind.name, "alone", surface, " leaving"), "fin"
                yield Case(kind.name, "later", surface, " leaving"), "reset"


def route_name(surface: Surface, kind: str, chain: str) -> str:
    return f"{surface.family}-{kind}-{chain}"


def workspace(ports: Mapping[str, int], certificate: Path) -> dict[str, str]:
    """One account for each kind of fault, and the routes that the cases ask for.

    An account that could show a certificate is asked by the second client, whether anybody wants to see one or not.
    """
    shown = {"": "", "aiohttp": f", client_certificate: '{certificate}'"}
    accounts = "providers:\n" + "".join(
        f"  {through}-{kind.name}: {{kind: {account}, "
        f"base_url: 'http://127.0.0.1:{ports[kind.door]}/{kind.name}/v1'{shown[client]}}}\n"
        for through, account, client, kind in sorted(
            {
                (each.through, each.account, each.client, kind)
                for each in SERVED
                for kind in KINDS.values()
                if kind.only in {"", each.upstream}
            },
            key=lambda row: (row[0], row[3].name),
        )
    )
    routes = {
        route_name(surface, kind.name, chain): ", ".join(
            f"{surface.through}-{kind.name if each == '*' else each}/{surface.model}" for each in CHAINS[chain]
        )
        for surface in SERVED
        for kind in KINDS.values()
        if suits(kind, surface) or kind.group == "twice"
        for chain in CHAINS
        if chain in chains_of(kind, surface) or kind.group in {"stall", "twice"}
    }
    listed = "".join(f"  {name}: {{targets: [{targets}]}}\n" for name, targets in routes.items())
    return {"providers.yaml": accounts, "routes.yaml": "routes:\n" + listed}

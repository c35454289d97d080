"""Candidates for findings, and what stands around them: labels that speak for a rule or against it, boundaries."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import NamedTuple, Protocol

import re2

_BEFORE_BYTES = 56
_WORD = frozenset(b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ_abcdefghijklmnopqrstuvwxyz")
_DIGITS = frozenset(b"0123456789")
_LETTERS = _WORD - _DIGITS - frozenset(b"_")
_MONEY = tuple(sign.encode() for sign in "$€£¥")


class Match(Protocol):
    """What of a match of RE2 is used here; positions are bytes."""

    def group(self) -> bytes:
        """The whole match."""

    def start(self) -> int:
        """Where it begins."""

    def end(self) -> int:
        """Where it ends."""

    def span(self, group: int) -> tuple[int, int]:
        """Both, of a group."""


class Pattern(Protocol):
    """What of a compiled pattern of RE2 is used here."""

    def finditer(self, data: bytes) -> Iterator[Match]:
        """Every match, in order, none overlapping."""

    def search(self, data: bytes) -> Match | None:
        """The first match."""

    def match(self, data: bytes, pos: int) -> Match | None:
        """A match that begins at `pos`."""

    def fullmatch(self, data: bytes) -> Match | None:
        """A match of everything."""


def compiled(pattern: bytes) -> Pattern:
    """A pattern that takes time linear in the text."""
    made: Pattern = re2.compile(pattern)
    return made


class Candidate(NamedTuple):
    """A finding before overlaps are settled; `start` and `end` are bytes of the folded text."""

    start: int
    end: int
    rule: str
    kind: str
    score: float


OTHER_NUMBER = compiled(
    rb"(?i)\b(?:order|orders|invoice|ref|reference|ticket|case|claim|policy|account|acct|serial|part|item|sku|isbn|issn|"
    rb"doi|tracking|version|release|build|batch|lot|model|commit|id|bestellung|bestellnummer|rechnung|rechnungsnummer|"
    rb"commande|facture|pedido|factura|ordine|fattura)"
    rb"(?:[ _-]?(?:no|nr|num|number|nummer|id|code|ref))?[ .:#=\x22'-]*$"
)
"""A label right before a number that says it is something else than a phone or a person's number."""


@cache
def label(words: str) -> Pattern:
    """A compiled pattern for any of the words, standing on its own, in any case; a placeholder's name is no label."""
    return compiled(rf"(?i)(?:^|[^\pL\pN\[])(?:{words})(?:[^\pL\pN]|$)".encode())


def is_labelled(data: bytes, start: int, words: str, within: int = _BEFORE_BYTES) -> bool:
    """One of the words stands at most `within` bytes before."""
    return label(words).search(data[max(0, start - within) : start]) is not None


def is_called_otherwise(data: bytes, start: int) -> bool:
    """The label right before it says that this number is something else."""
    return OTHER_NUMBER.search(data[max(0, start - _BEFORE_BYTES) : start]) is not None


def starts_token(data: bytes, start: int) -> bool:
    """A number may begin here: not inside of a word, an amount, a path, a decimal or a hyphenated name."""
    if start == 0:
        return True
    last = data[start - 1]
    if last in _WORD or last in b"+%#@\\":
        return False
    if last in b".,-/" and start > 1 and data[start - 2] in _WORD:
        return False
    return not data[max(0, start - 3) : start].endswith(_MONEY)


def ends_token(data: bytes, end: int) -> bool:
    """A number may end here: what follows does not continue it."""
    if end >= len(data):
        return True
    following = data[end]
    if following in _WORD or following in b"%@":
        return False
    after = data[end + 1] if end + 1 < len(data) else 0
    if following in b".,":
        return after not in _DIGITS
    return following != 0x2D or after not in _LETTERS

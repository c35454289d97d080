"""Personal data and secrets in text, by rules: patterns in linear time (RE2), checksums, and the words around a number.

Rules know forms, not people: names and postal addresses pass. A text is folded first (digits of other scripts, wide
letters, unusual spaces and hyphens, invisible characters) and searched as UTF-8; offsets are the original's characters.
"""

from __future__ import annotations

import unicodedata
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from functools import cache

from headworks.guardrails import contacts, credentials, numbers
from headworks.guardrails.context import Candidate, compiled
from headworks.guardrails.contract import (
    CARD,
    EMAIL,
    IBAN,
    IP,
    KINDS,
    NATIONAL_ID,
    PHONE,
    SECRET,
    Finding,
)

_ROUNDS = 6
_SPACES = frozenset("\u00a0\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u202f\u205f\u3000")
_HYPHENS = frozenset("\u2010\u2011\u2012\u2013\u2014\u2015\u2212\ufe58\ufe63\uff0d")
_INVISIBLE = frozenset("\u00ad\u200b\u200c\u200d\u2060\u2061\u2062\u2063\u2064\ufeff")

# One look that most texts end with: every rule's text has one of these in it (a test compares).
_TRIGGER = compiled(
    rb"@|\+\d|\(\d{2}|:[0-9A-Fa-f]{0,4}:|\d{1,3}\.\d{1,3}\.\d{1,3}\.\d|\d(?:[ .\-/]?\d){6}|"
    + b"|".join((numbers.IBAN_HEAD, numbers.WRITTEN_ID, credentials.HEADS))
)


class Numbering:
    """Placeholders of one request: the same value has the same number in all of its texts. Never kept, never shown."""

    __slots__ = ("_numbers",)

    def __init__(self) -> None:
        self._numbers: dict[str, dict[str, int]] = {}

    def __repr__(self) -> str:
        return f"Numbering({ {kind: len(numbers) for kind, numbers in self._numbers.items()} })"

    def placeholder(self, kind: str, value: str) -> str:
        """What stands in a value's place, such as `[IBAN_2]`; spaces, hyphens and case make no difference to most."""
        known = self._numbers.setdefault(kind, {})
        number = known.setdefault(_same(kind, value), len(known) + 1)
        return f"[{kind.upper()}_{number}]"


def _same(kind: str, value: str) -> str:
    if kind == SECRET:
        return value
    if kind in {EMAIL, IP}:
        return value.casefold()
    return "".join(character for character in unicodedata.normalize("NFKC", value) if character.isalnum()).casefold()


def find(text: str, kinds: frozenset[str] = KINDS) -> list[Finding]:
    """Findings of the kinds asked for, in order, none overlapping another: the surest, then the longest wins.

    What is found is looked at once more with placeholders in its place, until nothing more shows itself, so that a text
    that was redacted has nothing left to find.
    """
    found = _scan(text, kinds)
    for _ in range(_ROUNDS if found else 0):
        masked, moved = _mask(text, found)
        more = _scan(masked, kinds)
        if not more:
            break
        found = _joined(found, [moved.back(finding) for finding in more])
    return found


def redact(text: str, findings: Sequence[Finding], numbering: Numbering | None = None) -> str:
    """The text with a numbered placeholder for each finding; one numbering serves all texts of a request."""
    return _replace(text, findings, numbering or Numbering())[0]


def _scan(text: str, kinds: frozenset[str]) -> list[Finding]:
    folded, kept = _fold(text)
    data = folded.encode("utf-8", "surrogatepass")
    if _TRIGGER.search(data) is None:
        return []
    chosen = _settle(_candidates(data, kinds))
    if not chosen:
        return []
    position = _Characters(data, is_ascii=len(data) == len(folded))
    findings = []
    for candidate in chosen:
        start, end = position.of(candidate.start), position.of(candidate.end)
        if kept is not None:
            start, end = kept[start], kept[end - 1] + 1
        findings.append(Finding(candidate.rule, candidate.kind, start, end, candidate.score))
    return findings


def _candidates(data: bytes, kinds: frozenset[str]) -> Iterator[Candidate]:
    if EMAIL in kinds:
        yield from contacts.emails(data)
    if PHONE in kinds:
        yield from contacts.phones(data)
    if IBAN in kinds:
        yield from numbers.ibans(data)
    if kinds & {CARD, NATIONAL_ID, PHONE}:
        yield from numbers.numbers(data, kinds)
    if NATIONAL_ID in kinds:
        yield from numbers.written_ids(data)
    if SECRET in kinds:
        yield from credentials.credentials(data)
    if IP in kinds:
        yield from contacts.ips(data)


def _settle(candidates: Iterator[Candidate]) -> list[Candidate]:
    """Those that stay when each overlap is decided for the surer, then the longer, then the earlier."""
    chosen: list[Candidate] = []
    for candidate in sorted(candidates, key=lambda c: (-c.score, c.start - c.end, c.start)):
        place = bisect_right(chosen, candidate.start, key=lambda c: c.start)
        is_free_before = place == 0 or chosen[place - 1].end <= candidate.start
        is_free_after = place == len(chosen) or candidate.end <= chosen[place].start
        if is_free_before and is_free_after:
            chosen.insert(place, candidate)
    return chosen


class _Characters:
    """Turns byte positions into character positions; asked in ascending order, it reads the text once."""

    __slots__ = ("_byte", "_character", "_data", "_is_ascii")

    def __init__(self, data: bytes, *, is_ascii: bool) -> None:
        self._data, self._is_ascii = data, is_ascii
        self._byte = self._character = 0

    def of(self, byte: int) -> int:
        if self._is_ascii:
            return byte
        self._character += len(self._data[self._byte : byte].decode("utf-8", "surrogatepass"))
        self._byte = byte
        return self._character


def _fold(text: str) -> tuple[str, list[int] | None]:
    """The text as it is searched, one character for one; where invisible ones are left out, the places of the rest."""
    if text.isascii():
        return text, None
    foreign = {character: _folded(character) for character in set(text) if not character.isascii()}
    invisible = foreign.keys() & _INVISIBLE
    kept = [place for place, character in enumerate(text) if character not in invisible] if invisible else None
    for character, plain in foreign.items():
        if plain != character:
            text = text.replace(character, plain)
    return text, kept


@cache
def _folded(character: str) -> str:
    if character in _INVISIBLE:
        return ""
    if character in _SPACES:
        return " "
    if character in _HYPHENS:
        return "-"
    if "\uff01" <= character <= "\uff5e":
        return chr(ord(character) - 0xFEE0)
    digit = unicodedata.decimal(character, None)
    return character if digit is None else str(digit)


class _Moved:
    """Where characters of a masked text stood before its placeholders were put in."""

    __slots__ = ("_places",)

    def __init__(self, places: list[tuple[int, int, int, int]]) -> None:
        self._places = places

    def back(self, finding: Finding) -> Finding:
        """The finding in the text as it was; one that touches a placeholder takes all that it stands for."""
        return Finding(finding.rule, finding.kind, self._at(finding.start, 2), self._at(finding.end, 3), finding.score)

    def _at(self, place: int, side: int) -> int:
        shift = 0
        for entry in self._places:
            masked_start, masked_end, _, end = entry
            if masked_end <= place:
                shift = end - masked_end
            elif masked_start < place:
                return entry[side]
        return place + shift


def _mask(text: str, findings: Sequence[Finding]) -> tuple[str, _Moved]:
    masked, places = _replace(text, findings, Numbering())
    return masked, _Moved(places)


def _replace(
    text: str, findings: Sequence[Finding], numbering: Numbering
) -> tuple[str, list[tuple[int, int, int, int]]]:
    """The redacted text, and for each placeholder its place there and the place of what it stands for."""
    pieces: list[str] = []
    places: list[tuple[int, int, int, int]] = []
    position = length = 0
    for finding in sorted(findings, key=lambda f: f.start):
        between = text[position : finding.start]
        placeholder = numbering.placeholder(finding.kind, text[finding.start : finding.end])
        pieces += (between, placeholder)
        start = length + len(between)
        length = start + len(placeholder)
        places.append((start, length, finding.start, finding.end))
        position = finding.end
    pieces.append(text[position:])
    return "".join(pieces), places


def _joined(found: list[Finding], more: list[Finding]) -> list[Finding]:
    """All findings, without those that a later one covers."""
    kept = [old for old in found if all(old.end <= new.start or new.end <= old.start for new in more)]
    return sorted([*kept, *more], key=lambda finding: finding.start)

"""Texts made comparable: what of their writing does not count."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Mapping

from headworks.strict_yaml import Section, nearest

_SPACE = " "


def _without_accents(text: str) -> str:
    apart = unicodedata.normalize("NFD", text)
    return unicodedata.normalize("NFC", "".join(each for each in apart if unicodedata.category(each) != "Mn"))


def _without_punctuation(text: str) -> str:
    return "".join(_SPACE if unicodedata.category(each).startswith("P") else each for each in text)


_STEPS: Mapping[str, Callable[[str], str]] = {
    "composition": lambda text: unicodedata.normalize("NFC", text),
    "width": lambda text: unicodedata.normalize("NFKC", text),
    "accents": _without_accents,
    "case": str.casefold,
    "punctuation": _without_punctuation,
    "whitespace": lambda text: _SPACE.join(text.split()),
    "ends": str.strip,
}
USUAL = ("composition", "ends")
"""What never counts unless the settings say `ignore: []`: how letters are composed, and space around the text."""


def normal(text: str, ignore: tuple[str, ...]) -> str:
    """The text without what is to be ignored."""
    for name, step in _STEPS.items():
        if name in ignore:
            text = step(text)
    return text


def read_ignore(section: Section) -> tuple[str, ...]:
    """`ignore: [case, whitespace]`, beside what is usual; `ignore: []` compares as it is written."""
    if not section.has("ignore"):
        return USUAL
    given = section.names("ignore", like="case")
    for name in given:
        if name not in _STEPS:
            section.complain("ignore", f"`ignore` names `{name}`.", nearest(name, _STEPS))
    return tuple(name for name in _STEPS if name in given or (given and name in USUAL))


def shown(text: str, most: int = 60) -> str:
    """The beginning of a text, in quotes, on one line."""
    line = _SPACE.join(text.split())
    return f"“{line}”" if len(line) <= most else f"“{line[:most].rstrip()}…”"

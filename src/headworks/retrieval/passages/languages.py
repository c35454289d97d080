"""Which language a text in Latin letters is in, told by its small words; and those words, for several languages."""

from __future__ import annotations

import tomllib
from collections.abc import Collection, Iterable, Mapping, Sequence
from functools import cache
from importlib.resources import files

STOP_WORDS: Mapping[str, frozenset[str]] = {
    language: frozenset(words.split())
    for language, words in tomllib.loads(
        files("headworks.retrieval.passages").joinpath("stop_words.toml").read_text(encoding="utf-8")
    ).items()
}
"""Words without a meaning of their own, neither indexed nor counted as support, by ISO 639-1 code."""

USUAL = "en"
"""What a text is taken for that does not tell."""
LATIN = ("ca", "cs", "da", "de", "en", "es", "fi", "fr", "hu", "id", "it", "nl", "no", "pl", "pt", "ro", "sv", "tr")
"""Languages written in Latin letters that can be told from each other. Those of other scripts are told by the script.
"""

_FEWEST = 2.0
_LEAST_SHARE = 0.08
_LEAD = 1.5
"""A language must have so many times the votes of the one that it is to be instead of."""


def votes(tokens: Iterable[str], among: Sequence[str] = LATIN) -> dict[str, float]:
    """How much the small words of a text speak for each of these languages; one that several have is shared out."""
    known = _languages_of(tuple(among))
    found: dict[str, float] = {}
    for token in tokens:
        for language, weight in known.get(token, ()):
            found[language] = found.get(language, 0.0) + weight
    return found


@cache
def _languages_of(among: tuple[str, ...]) -> dict[str, tuple[tuple[str, float], ...]]:
    having: dict[str, list[str]] = {}
    for language in among:
        for word in STOP_WORDS[language]:
            if len(word) == 1 and word.isascii():
                continue  # an initial, a variable, a unit
            having.setdefault(word, []).append(language)
    return {word: tuple((each, 1 / len(several)) for each in several) for word, several in having.items()}


def decided(found: Mapping[str, float], number: int, usual: str) -> str:
    """The language that these votes of a text of so many tokens are for, if they are clearly not for the usual one."""
    if not found:
        return usual
    best = max(found, key=lambda each: (found[each], each))
    is_clear = found[best] >= max(_FEWEST, _LEAST_SHARE * number, _LEAD * found.get(usual, 0.0))
    return best if is_clear else usual


def clear_language(tokens: Sequence[str], among: Sequence[str]) -> str | None:
    """The one of these languages that a short text is clearly in, if it tells."""
    found = votes(tokens, among)
    ranked = sorted(found.values(), reverse=True)
    if not ranked or ranked[0] < _FEWEST or (len(ranked) > 1 and ranked[0] < _LEAD * ranked[1]):
        return None
    return max(found, key=lambda each: found[each])


def languages_of(parts: Sequence[Collection[str]]) -> list[str]:
    """The language of each part of one document, by its tokens: its own if that is clear, else the document's."""
    counted = [votes(each) for each in parts]
    together: dict[str, float] = {}
    for one in counted:
        for language, value in one.items():
            together[language] = together.get(language, 0.0) + value
    usual = decided(together, sum(map(len, parts)), USUAL)
    return [decided(one, len(part), usual) for one, part in zip(counted, parts, strict=True)]

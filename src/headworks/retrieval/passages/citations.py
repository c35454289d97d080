"""From a claim to the quote of a passage that supports it: pure functions, no storage, no rights.

`WordWeights` says how much each word of a claim counts, `Quotable.best` which sentences of a passage cover it best.
Reading the quote again under the caller's rights, and comparing it byte for byte, is the caller's part.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from math import log

from headworks.retrieval.passages.analysis import terms_of, words
from headworks.retrieval.passages.fact_words import NUMBER_WORDS, ONES
from headworks.retrieval.passages.facts import Facts, Missing, claimed_facts, facts_of, missing
from headworks.retrieval.passages.languages import USUAL, languages_of
from headworks.retrieval.passages.sentences import Sentence, sentences

SUPPORT_FLOOR = 0.5
"""A citation below it is dropped as unsupported. Fixed by its meaning, not tuned on any data: at 0.5 the quote holds as
much of what the claim says (by weight of its words) as it lacks, and a number that the quote does not hold halves the
support, so that a wrong number always falls below."""

# ── Words that count, and how much ────────────────────────────────────────────────────────────────────────────────────

# What answers say about themselves, not about the matter.
_TALK = frozenset({"accord", "document", "passag", "provid", "sourc", "state", "therefor", "yes"})
# Not "ein" or "une", which are articles.
_WRITTEN = {word: digits for word, digits in NUMBER_WORDS.items() if word in {"zero", "one"} or word not in ONES}


def content(text: str, language: str = USUAL) -> list[str]:
    """The content words of a text as they are compared: stemmed, number words as digits, in order, with repetitions.

    Where a script has no spaces, each pair of neighbouring characters counts as a word.
    """
    found = [_WRITTEN.get(word, word) for word in words(text)]
    return [word for word in terms_of(found, language) if word not in _TALK]


def language_of(passages: Sequence[str]) -> str:
    """The language that most of these texts are in, as ISO 639-1 has it: in it, answers are compared with them."""
    if not passages:
        return USUAL
    return Counter(languages_of([words(each) for each in passages])).most_common(1)[0][0]


class WordWeights:
    """Inverse document frequencies of content words over the passages at hand: 1 + ln((N + 1) / (df + 1)).

    A word in no passage weighs as much as one in a single passage: it may be the model's own wording.
    """

    def __init__(self, passages: Iterable[str], language: str = USUAL) -> None:
        self.language = language
        frequencies: Counter[str] = Counter()
        number = 0
        for passage in passages:
            number += 1
            frequencies.update(set(content(passage, language)))
        self._weights = {word: 1 + log((number + 1) / (found + 1)) for word, found in frequencies.items()}
        self._unseen = 1 + log((max(number, 1) + 1) / 2)

    def of(self, word: str) -> float:
        """The weight of a word as `content` gives it; at least 1."""
        return self._weights.get(word, self._unseen)

    def sum(self, words: Iterable[str]) -> float:
        """The weight of several words together."""
        return sum(map(self.of, words))


# ── The quote that covers a claim best ────────────────────────────────────────────────────────────────────────────────

_MOST_SENTENCES = 3
_PRICE_OF_A_SENTENCE = 0.05
"""A longer quote must cover this much more of the claim for each sentence that it adds."""
BY_CONTEXT = 0.5
"""What a word of the claim counts that stands only in the passage's title or headings."""
UNKNOWN_NAME = 0.75
"""What is left of the support where a name of the claim is nowhere in the passage."""
MISSING_NUMBER = 0.5
"""The same for a number, unit or date."""


@dataclass(frozen=True, slots=True)
class Quote:
    """One to three adjacent sentences of a passage: characters of the passage's text, and the support for the claim."""

    start: int
    end: int
    support: float
    """0 to 1: the weight of the claim's content words that the quote holds, lowered for missing numbers and names."""


class Quotable:
    """A passage made ready to be quoted for many claims.

    `context` is its title and headings: their words count in part, since the sentences below take them as said.
    """

    def __init__(self, text: str, weights: WordWeights, context: str = "") -> None:
        found = sentences(text)
        self.text = text
        self.headings = " ".join([context, *(text[each.start : each.end] for each in found if each.kind == "heading")])
        self.told = frozenset(content(self.headings, weights.language))
        """Content words of title and headings."""
        self._weights = weights
        body = [each for each in found if each.kind != "heading"] or found
        held = [frozenset(content(text[each.start : each.end], weights.language)) for each in body]
        self._windows = [
            (body[first].start, body[last].end, last - first, held[first].union(*held[first + 1 : last + 1]))
            for first, last in _windows(text, body)
        ]
        self._facts: dict[str, Facts] = {}

    @cached_property
    def words(self) -> frozenset[str]:
        """All content words of the passage."""
        return frozenset(content(self.text, self._weights.language))

    @cached_property
    def facts(self) -> Facts:
        """Those of all of the passage, its title and its headings."""
        return facts_of(f"{self.headings}\n{self.text}")

    def facts_in(self, quote: str) -> Facts:
        """Those of a quote and of the headings that it stands under."""
        found = self._facts.get(quote)
        if found is None:
            found = self._facts[quote] = facts_of(f"{self.headings}\n{quote}")
        return found

    def best(self, claim: str) -> Quote | None:
        """The adjacent sentences that cover a claim best, shorter ones first; None if neither says anything."""
        wanted = frozenset(content(claim, self._weights.language))
        if not wanted or not self._windows:
            return None
        total, told = self._weights.sum(wanted), wanted & self.told
        best: tuple[float, int, int, int] | None = None
        for start, end, more, held in self._windows:
            inside = wanted & held
            covered = self._weights.sum(inside) + BY_CONTEXT * self._weights.sum(told - inside)
            value = covered / total - _PRICE_OF_A_SENTENCE * more
            if best is None or value > best[0] + 1e-9:
                best = (value, start, end, more)
        if best is None:
            return None
        value, start, end, more = best
        lacks = missing(claimed_facts(claim), self.facts_in(self.text[start:end]), of_names=self.facts)
        support = (value + _PRICE_OF_A_SENTENCE * more) * checked(lacks)
        return Quote(start, end, round(min(1.0, support), 4))


def checked(lacks: Missing) -> float:
    """What is left of a support for what its source lacks."""
    return (MISSING_NUMBER if lacks.numbers else 1.0) * (UNKNOWN_NAME if lacks.names else 1.0)


def _windows(passage: str, body: Sequence[Sentence]) -> Iterator[tuple[int, int]]:
    """First and last of each run of up to three sentences with no heading or rule between them."""
    for first in range(len(body)):
        for last in range(first, min(first + _MOST_SENTENCES, len(body))):
            if last > first and passage[body[last - 1].end : body[last].cut].strip():
                break
            yield first, last

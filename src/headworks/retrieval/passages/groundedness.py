"""How well an answer stands on what was read for it: presence and support of its citations, by words and facts.

Each sentence that states something is a claim. Its source is what its citations quote; of a claim without any, all
passages. Support is the share of the claim's content words, by weight, that the source holds, lowered where a number,
unit, date or name of the claim is not in the source. Negation, reasoning and irony are out of reach: a claim that says
the opposite in the same words is supported here. Pure functions, linear in the answer.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from headworks.retrieval.passages.citations import (
    BY_CONTEXT,
    SUPPORT_FLOOR,
    Quotable,
    WordWeights,
    checked,
    content,
)
from headworks.retrieval.passages.facts import Facts, Missing, claimed_facts, facts_of, missing
from headworks.retrieval.passages.markers import bare
from headworks.retrieval.passages.sentences import Sentence, sentences
from headworks.types.retrieval import MOST_DOUBTS, MOST_PLACES, Citation, Doubt, Groundedness

MOST_CHARACTERS = 200_000
"""Of an answer that are measured."""
_FEWEST_WORDS = 2
_MOST_MISSING = 5
_ENDS_OF_NO_CLAIM = (":", "?", "？", "：", "؟", "…")


def measured(text: str, citations: Sequence[Citation], sources: Sources) -> Groundedness:
    """The groundedness of an answer; the places of `citations` are in `text`."""
    looked_at = text[:MOST_CHARACTERS]
    weights = sources.weights
    total = held = 0.0
    supports: list[float] = []
    doubts: list[Doubt] = []
    places: list[tuple[int, int]] = []
    cited = numbers = names = 0
    for claim in _claims(looked_at, sorted(citations, key=lambda each: each.marker_start), weights.language):
        weight = weights.sum(claim.words)
        support, lacks = sources.support(claim, weight)
        total += weight
        held += weight * support
        supports.append(support)
        places.append((claim.start, claim.end))
        cited += bool(claim.citations)
        numbers += len(lacks.numbers)
        names += len(lacks.names)
        if len(doubts) < MOST_DOUBTS and (support < SUPPORT_FLOOR or not claim.citations or lacks):
            told = (*lacks.numbers, *lacks.names)[:_MOST_MISSING]
            doubts.append(Doubt(claim.start, claim.end, bool(claim.citations), round(support, 4), told))
    return Groundedness(
        claims=len(supports),
        cited=cited,
        supported=sum(1 for each in supports if each >= SUPPORT_FLOOR),
        support=round(held / total, 4) if total else None,
        weakest=round(min(supports), 4) if supports else None,
        wrong_numbers=numbers,
        wrong_names=names,
        weight=total,
        unmeasured=len(text) - len(looked_at),
        doubts=tuple(doubts),
        places=tuple(places[:MOST_PLACES]),
    )


# ── Claims ────────────────────────────────────────────────────────────────────────────────────────────────────────────


@dataclass(slots=True)
class _Claim:
    """A sentence that states something, with its distinct content words and its citations."""

    start: int
    end: int
    text: str
    words: frozenset[str]
    citations: list[Citation]


def _claims(text: str, citations: Sequence[Citation], language: str) -> Iterator[_Claim]:
    """The claims in order. A marker that stands by itself after a sentence belongs to that sentence."""
    waiting: _Claim | None = None
    before: Sentence | None = None
    at = 0
    for sentence in sentences(text):
        own: list[Citation] = []
        while at < len(citations) and citations[at].marker_start < sentence.end:
            own.append(citations[at])
            at += 1
        claim = _claim(text, sentence, before, own, language)
        before = sentence
        if claim is not None:
            if waiting is not None:
                yield waiting
            waiting = claim
        elif waiting is not None:
            waiting.citations += own
    if waiting is not None:
        waiting.citations += citations[at:]
        yield waiting


def _claim(
    text: str, sentence: Sentence, before: Sentence | None, citations: list[Citation], language: str
) -> _Claim | None:
    """None for headings, code, the head of a table, questions, and what has next to no content."""
    if sentence.kind in {"heading", "code"}:
        return None
    if sentence.kind == "table" and (before is None or before.kind != "table"):
        return None
    said = bare(text[sentence.start : sentence.end])
    ending = text[sentence.start : sentence.end].rstrip("*_\"'”’»)】」』 \t")
    words = frozenset(content(said, language))
    is_more_than_a_word = len(words) >= _FEWEST_WORDS or any(map(str.isdigit, "".join(words)))
    if not words or not (is_more_than_a_word or citations):
        return None
    if ending.endswith(_ENDS_OF_NO_CLAIM) and not citations:
        return None
    return _Claim(sentence.start, sentence.end, said, words, citations)


# ── Support ───────────────────────────────────────────────────────────────────────────────────────────────────────────


class Sources:
    """What claims are held against, kept for the next claim that cites the same. `passages` by their numbers."""

    def __init__(self, passages: Mapping[int, Quotable], weights: WordWeights) -> None:
        self._passages = passages
        self.weights = weights
        self._known: dict[tuple[tuple[int, int, int], ...], _Source] = {}

    def support(self, claim: _Claim, weight: float) -> tuple[float, Missing]:
        """0 to 1, and what the claim says that its source does not."""
        source = self._of(claim.citations)
        inside = claim.words & source.words
        covered = self.weights.sum(inside) + BY_CONTEXT * self.weights.sum((claim.words & source.told) - inside)
        lacks = missing(claimed_facts(claim.text), source.facts, of_names=source.around)
        return min(1.0, covered / weight) * checked(lacks), lacks

    def _of(self, citations: Sequence[Citation]) -> _Source:
        key = tuple(sorted({(each.number, each.start, each.end) for each in citations}))
        found = self._known.get(key)
        if found is None:
            found = self._known[key] = self._cited(citations) if citations else self._all()
        return found

    def _cited(self, citations: Sequence[Citation]) -> _Source:
        named = {each.number: self._passages[each.number] for each in citations if each.number in self._passages}
        distinct = list(dict.fromkeys(each.quote for each in citations))
        quotes = " \n".join(distinct)
        words = frozenset(content(quotes, self.weights.language))
        if len(named) == len(distinct) == 1:  # the usual case: its facts were asked for when it was quoted
            (passage,) = named.values()
            return _Source(words, passage.told, passage.facts_in(quotes), passage.facts)
        headings = "\n".join(dict.fromkeys(each.headings for each in named.values()))
        around = "\n".join(each.text for each in named.values())
        return _Source(
            words,
            frozenset[str]().union(*(each.told for each in named.values())),
            facts_of(f"{headings}\n{quotes}"),
            facts_of(f"{headings}\n{around}"),
        )

    def _all(self) -> _Source:
        passages = self._passages.values()
        facts = facts_of("\n".join(f"{each.headings}\n{each.text}" for each in passages))
        words = frozenset[str]().union(*(each.words for each in passages))
        return _Source(words, frozenset[str]().union(*(each.told for each in passages)), facts, facts)


@dataclass(frozen=True, slots=True)
class _Source:
    """`told` are the words of its headings; numbers must stand in `facts`, names in `around`."""

    words: frozenset[str]
    told: frozenset[str]
    facts: Facts
    around: Facts

"""The sentences of passages that answer a question best: what the extractive provider quotes. Pure functions.

It can't know whether they *do* answer it, which needs a model; whoever shows them calls them the closest passages.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from headworks.retrieval.passages.citations import WordWeights, content, language_of
from headworks.retrieval.passages.markers import MARKER
from headworks.retrieval.passages.sentences import sentences
from headworks.types.retrieval import Passage

_LONGEST_QUESTION = 8_000
"""Characters of a question that are looked at, as many as the search looks for."""
_BY_CONTEXT = 0.5
"""What a word of the question counts that stands only in the title, the headings or the question before the sentence.
"""
_PRICE_OF_A_RANK = 0.03
_WORTH_SHOWING = 0.5
"""Of the best score: a sentence below is left out."""
_SAME = 0.6
"""Sentences that share this much of their words (Jaccard) say the same."""
_FEWEST_WORDS = 3
_SAME_PASSAGE = 0.85
"""What a sentence counts for each one that was taken of its passage before: others are heard, too."""
_NEW = 0.5
"""The part of a sentence's score that goes with the words of the question which no sentence before it had."""


@dataclass(frozen=True, slots=True)
class Extract:
    """A whole sentence: `start` and `end` are characters into the text of the passage with this number."""

    number: int
    start: int
    end: int
    score: float


@dataclass(frozen=True, slots=True)
class _Candidate:
    """`answers` are the words of the question that it holds."""

    extract: Extract
    words: frozenset[str]
    answers: frozenset[str]


def extract_sentences(question: str, passages: Sequence[Passage], limit: int = 3) -> list[Extract]:
    """Up to `limit` sentences, best first, by how much of the question's content (idf-weighted) they cover.

    Passages come best first; sentences are taken one after another, those that add to what was taken before, from
    several passages. Headings, questions and sentences that repeat one already taken are left out. When no
    sentence shares a word with the question, the first sentence of each of the first passages is given, with score 0.
    """
    texts = [passage.text for passage in passages]
    weights = WordWeights(texts, language_of(texts))
    wanted = frozenset(content(question[:_LONGEST_QUESTION], weights.language))
    candidates = [
        candidate
        for rank, passage in enumerate(passages)
        for candidate in _candidates(passage, wanted, weights, 1 - _PRICE_OF_A_RANK * min(rank, 20))
    ]
    full = [candidate for candidate in candidates if len(candidate.words) >= _FEWEST_WORDS] or candidates
    if any(candidate.extract.score for candidate in full):
        return _chosen(full, limit, weights)
    firsts = {candidate.extract.number: candidate.extract for candidate in reversed(full)}
    return [firsts[passage.number] for passage in passages if passage.number in firsts][:limit]


def _chosen(candidates: Sequence[_Candidate], limit: int, weights: WordWeights) -> list[Extract]:
    """The best ones that are not too far from the very best, and do not say the same."""
    best = max(candidate.extract.score for candidate in candidates)
    left = [candidate for candidate in candidates if candidate.extract.score >= _WORTH_SHOWING * best]
    left.sort(key=lambda each: -each.extract.score)  # stable: by passage, then by place
    taken: list[_Candidate] = []
    while left and len(taken) < limit:
        chosen = max(left, key=lambda each: _gain(each, taken, weights))  # the first of equals
        taken.append(chosen)
        left = [each for each in left if _overlap(each.words, chosen.words) < _SAME]
    return sorted((each.extract for each in taken), key=lambda each: -each.score)


def _gain(candidate: _Candidate, taken: Sequence[_Candidate], weights: WordWeights) -> float:
    """The score of a sentence beside those that were taken."""
    if not taken:
        return candidate.extract.score
    known = frozenset[str]().union(*(each.answers for each in taken))
    new = weights.sum(candidate.answers - known) / (weights.sum(candidate.answers) or 1.0)
    same = sum(1 for each in taken if each.extract.number == candidate.extract.number)
    return candidate.extract.score * (1 - _NEW + _NEW * new) * _SAME_PASSAGE**same


def _candidates(passage: Passage, wanted: frozenset[str], weights: WordWeights, factor: float) -> Iterator[_Candidate]:
    total = weights.sum(wanted) or 1.0
    above = frozenset(content(" ".join((passage.title, *passage.section)), weights.language))
    asked: frozenset[str] = frozenset()
    for sentence in sentences(passage.text):
        text = passage.text[sentence.start : sentence.end]
        words = frozenset(content(text, weights.language))
        if sentence.kind == "heading" or " ".join(text.split()) in passage.section:
            above |= words
            asked = frozenset()
            continue
        if MARKER.search(text):  # in an answer its brackets would be taken for the answer's own
            continue
        if text.rstrip("*_\"'”’)").endswith("?"):
            asked = words
            continue
        inside = wanted & words
        covered = weights.sum(inside) + _BY_CONTEXT * weights.sum((wanted & (above | asked)) - inside)
        # What only its headings say makes no sentence an answer: it must hold a word itself, or follow the question.
        score = factor * covered / total if inside or wanted & asked else 0.0
        yield _Candidate(Extract(passage.number, sentence.start, sentence.end, round(score, 4)), words, inside)


def _overlap(one: frozenset[str], other: frozenset[str]) -> float:
    return len(one & other) / max(1, len(one | other))

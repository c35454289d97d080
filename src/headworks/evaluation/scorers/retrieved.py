"""Passages that were found for an answer: `retrieval_hit`, `_recall`, `_mrr`, `context_precision`, `context_recall`."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from headworks.evaluation.contract import Scale
from headworks.evaluation.scorers.contract import NO_REFERENCE, PlainMeasure, ScorerKind, Surroundings, failed, graded
from headworks.evaluation.scorers.grounds import stands_in
from headworks.evaluation.scorers.places import Nowhere, Place, as_texts, read_place
from headworks.strict_yaml import Section
from headworks.types.evaluation import Example, Output, Score
from headworks.types.retrieval import Passage

What = Literal["retrieval_hit", "retrieval_recall", "retrieval_mrr", "context_precision", "context_recall"]
_WORD = re.compile(r"\w+")
_OVERLAP = 0.5
"""A passage that holds so much of the words of a context text is of it, or the other way round."""


@dataclass(frozen=True)
class Retrieved(PlainMeasure):
    """Found passages against what is wanted: documents (`path`, `path#section`), or the example's `context` texts.

    Documents are `value` or the example's reference (`reference: /documents`). Where neither is said the words of the
    `context` decide: a passage fits a text of which it holds half the words. `k`: only the first so many passages.
    """

    what: What
    place: Place | None
    k: int | None
    least: float | None

    @property
    def scale(self) -> Scale:
        """A grade, or passed and failed."""
        return "binary" if self.least is not None or self.what == "retrieval_hit" else "ordinal"

    @property
    def settings(self) -> Mapping[str, Any]:
        """See Measure."""
        said = {"what": self.what, "k": self.k, "least": self.least}
        return said | ({} if self.place is None else {"documents": self.place.settings})

    def measure(self, example: Example, output: Output) -> Score:
        """See PlainMeasure."""
        try:
            wanted = list(example.context) if self.place is None else as_texts(self.place.wanted(example))
        except Nowhere as error:
            return failed(error.code, error.reason)
        if not wanted:
            return failed(NO_REFERENCE, "the example says nothing of what should be found.")
        passages = output.passages[: self.k]
        fits = _is_like if self.place is None else stands_in
        table = [[fits(each, passage) for passage in passages] for each in wanted]
        missing = [each for each, row in zip(wanted, table, strict=True) if not any(row)]
        reason = f"Not found: {', '.join(each[:60] for each in missing[:3])}." if missing else ""
        least = 1.0 if self.what == "retrieval_hit" and self.least is None else self.least
        return graded(_RULES[self.what](table), least, reason)


def _columns(table: Sequence[Sequence[bool]]) -> list[bool]:
    """Of each passage in its order: whether it is any of what is wanted."""
    return [any(column) for column in zip(*table, strict=True)]


def _recall(table: Sequence[Sequence[bool]]) -> float:
    return sum(any(row) for row in table) / len(table)


def _hit(table: Sequence[Sequence[bool]]) -> float:
    return float(any(map(any, table)))


def _first(table: Sequence[Sequence[bool]]) -> float:
    return next((1 / rank for rank, is_good in enumerate(_columns(table), 1) if is_good), 0.0)


def _precision(table: Sequence[Sequence[bool]]) -> float:
    """The mean of the precision at each good passage: high where the good ones stand first."""
    good = _columns(table)
    at = [sum(good[:rank]) / rank for rank, is_good in enumerate(good, 1) if is_good]
    return sum(at) / len(at) if at else 0.0


_RULES: Mapping[What, Callable[[Sequence[Sequence[bool]]], float]] = {
    "retrieval_hit": _hit,
    "retrieval_recall": _recall,
    "retrieval_mrr": _first,
    "context_precision": _precision,
    "context_recall": _recall,
}


def _is_like(text: str, passage: Passage) -> bool:
    one, other = set(_WORD.findall(text.casefold())), set(_WORD.findall(passage.text.casefold()))
    return bool(one and other) and len(one & other) >= _OVERLAP * min(len(one), len(other))


def _reader(what: What) -> Callable[[Section, Surroundings], Retrieved]:
    def read(section: Section, surroundings: Surroundings) -> Retrieved:
        del surroundings
        place: Place | None = read_place(section)
        if place is not None and place.path is not None:
            section.complain("path", f"`{what}` looks at the passages, not into the answer.", "Remove `path`.")
        if place == Place():
            place = None
        k = section.whole("k", 10, 1, 1000) if section.has("k") else None
        least = section.number("least", 0.0, 0.0, 1.0) if section.has("least") else None
        return Retrieved(what, place, k, least)

    return read


KINDS = (
    ScorerKind("retrieval_hit", _reader("retrieval_hit"), "Any of what is wanted is among the first k passages."),
    ScorerKind("retrieval_recall", _reader("retrieval_recall"), "The share of what is wanted that was found."),
    ScorerKind("retrieval_mrr", _reader("retrieval_mrr"), "1 / the rank of the first passage that is wanted."),
    ScorerKind("context_precision", _reader("context_precision"), "Whether what is wanted stands before the rest."),
    ScorerKind("context_recall", _reader("context_recall"), "The share of the example's context that was found."),
)

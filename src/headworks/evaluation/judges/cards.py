"""What is known of a judge: how it agrees with people, and whether that is enough for a gate to rest on it. Pure.

A judge is calibrated when its card shows all of `Bar`: enough judgements of both kinds, a kappa that is surely above
chance, and few errors. A card is of one judge by its digest, for one metric, and valid for a time.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from headworks.evaluation.contract import Result
from headworks.statistics.agreement import cohen_kappa
from headworks.statistics.estimates import design_effect
from headworks.statistics.observations import cluster_codes
from headworks.statistics.proportions import wilson
from headworks.types.evaluation import Score
from headworks.types.ids import Digest

VALID_DAYS = 90
_SMALLEST_SEGMENT = 10
_MOST_SEGMENTS = 50
_HIGHEST_GAIN = 1000.0
_MIDDLE = (0.25, 0.75)


@dataclass(frozen=True, slots=True)
class Bar:
    """What a card must show. `each` counts judgements of what people passed, and of what they failed."""

    judgements: int = 50
    each: int = 10
    kappa: float = 0.4
    """Of the lower bound: moderate agreement after Landis and Koch 1977."""
    errors: float = 0.05


USUAL_BAR = Bar()


@dataclass(frozen=True, slots=True)
class Pair:
    """One answer, by a person (0 to 1, higher is better) and by the judge."""

    human: float
    score: Score
    cluster: str | None = None
    tags: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Rate:
    """A share or a kappa with its 95 % interval, and how many judgements it is of."""

    value: float
    low: float
    high: float
    n: int


@dataclass(frozen=True, slots=True)
class Segment:
    """The same for the examples of one tag."""

    tag: str
    value: str
    n: int
    agreement: Rate
    kappa: Rate


@dataclass(frozen=True, slots=True)
class JudgeCard:
    """How a judge did beside people.

    `sensitivity` (TPR): how much of what people passed it passes; `specificity` (TNR): how much of what they failed it
    fails. Intervals are wider where examples stand in clusters. `gain`: how many judgements one is worth with it at
    most, 1 / (1 - correlation²). `consistency`: the mean share of votes that agree with their majority, None for a
    judge that votes once. `flips`: of `pairs_swapped` pairs, how many preferences turned with the order.
    """

    judge: Digest
    metric: str
    n: int
    errors: Mapping[str, int]
    sensitivity: Rate
    specificity: Rate
    agreement: Rate
    kappa: Rate
    correlation: float
    gain: float
    consistency: float | None = None
    flips: int = 0
    pairs_swapped: int = 0
    segments: tuple[Segment, ...] = ()
    missing: tuple[str, ...] = ()
    """What it lacks to be calibrated, in sentences."""

    @property
    def is_good(self) -> bool:
        """Whether it may decide, as long as the card is valid."""
        return not self.missing


def pairs_of(results: Sequence[Result], labels: Mapping[Digest, float], metric: str) -> list[Pair]:
    """Judged by both, of the first repeat of each example. A result without a score for the metric is an error.

    Answers of several releases to one example tell less than as many examples: they are one cluster.
    """
    first: dict[Digest, Result] = {}
    for each in results:
        if each.example_digest in labels:
            kept = first.setdefault(each.example_digest, each)
            first[each.example_digest] = each if each.repeat < kept.repeat else kept
    missing = Score(reason="It was not scored.", error_code="not_scored")
    return [
        Pair(labels[digest], each.scores.get(metric, missing), each.example.cluster or digest, each.example.tags)
        for digest, each in first.items()
    ]


def card_of(judge: Digest, metric: str, pairs: Sequence[Pair], bar: Bar = USUAL_BAR) -> JudgeCard:
    """The card. With nothing to go by it is one that lacks everything, never an exception."""
    scored = [each for each in pairs if not each.score.is_error]
    errors = Counter(each.score.error_code or "not_a_number" for each in pairs if each.score.is_error)
    is_graded = any(_MIDDLE[0] < value < _MIDDLE[1] for each in scored for value in (each.human, each.score.value))
    people = [_level(each.human, is_graded=is_graded) for each in scored]
    judged = [_level(each.score.value, is_graded=is_graded) for each in scored]
    swapped = [each.score.details["is_flipped"] for each in scored if "is_flipped" in each.score.details]
    votes = [each.score.details["consistency"] for each in scored if each.score.details.get("cast", 1) > 1]
    correlation = _correlation(scored)
    card = JudgeCard(
        judge=judge,
        metric=metric,
        n=len(scored),
        errors=dict(errors),
        sensitivity=_hits(scored, people, judged, 1),
        specificity=_hits(scored, people, judged, -1),
        agreement=_agreement(scored, people, judged),
        kappa=_kappa(scored, people, judged),
        correlation=correlation,
        gain=min(_HIGHEST_GAIN, 1 / max(1e-9, 1 - correlation**2)),
        consistency=sum(votes) / len(votes) if votes else None,
        flips=sum(swapped),
        pairs_swapped=len(swapped),
        segments=_segments(scored, people, judged),
    )
    return replace(card, missing=_lacks(card, bar))


def _level(value: float, *, is_graded: bool) -> int:
    """Passed, failed, or where there are ties or grades: between."""
    low, high = _MIDDLE if is_graded else (0.5, 0.5)
    return 1 if value >= high else -1 if value <= low else 0


def _effect(agrees: Sequence[float], pairs: Sequence[Pair]) -> float:
    """How many of these judgements tell as much as one independent one."""
    clusters = [each.cluster or f"#{at}" for at, each in enumerate(pairs)]
    return design_effect(np.asarray(agrees, dtype=float), cluster_codes(clusters, len(clusters)))


def _share(agrees: Sequence[float], pairs: Sequence[Pair]) -> Rate:
    n = len(agrees)
    if n == 0:
        return Rate(0.0, 0.0, 1.0, 0)
    effect = _effect(agrees, pairs) if n > 1 else 1.0
    within = wilson(sum(agrees) / effect, n / effect)
    return Rate(sum(agrees) / n, within.low, within.high, n)


def _hits(pairs: Sequence[Pair], people: Sequence[int], judged: Sequence[int], level: int) -> Rate:
    """Of what people put at a level, how much the judge did, too."""
    at = [index for index, each in enumerate(people) if each == level]
    return _share([float(judged[index] == level) for index in at], [pairs[index] for index in at])


def _agreement(pairs: Sequence[Pair], people: Sequence[int], judged: Sequence[int]) -> Rate:
    return _share([float(one == other) for one, other in zip(people, judged, strict=True)], pairs)


def _kappa(pairs: Sequence[Pair], people: Sequence[int], judged: Sequence[int]) -> Rate:
    if not pairs:
        return Rate(0.0, -1.0, 1.0, 0)
    found = cohen_kappa(people, judged)
    agrees = [float(one == other) for one, other in zip(people, judged, strict=True)]
    wider = math.sqrt(_effect(agrees, pairs)) if len(pairs) > 1 else 1.0
    low = found.value - (found.value - found.low) * wider
    high = found.value + (found.high - found.value) * wider
    return Rate(found.value, max(-1.0, low), min(1.0, high), found.n)


def _correlation(pairs: Sequence[Pair]) -> float:
    human, judge = np.asarray([each.human for each in pairs]), np.asarray([each.score.value for each in pairs])
    if len(pairs) < 2 or not human.std() or not judge.std():
        return 0.0
    return float(np.clip(np.corrcoef(human, judge)[0, 1], -1.0, 1.0))


def _segments(pairs: Sequence[Pair], people: Sequence[int], judged: Sequence[int]) -> tuple[Segment, ...]:
    counts = Counter((tag, value) for each in pairs for tag, value in each.tags.items())
    found = []
    for tag, value in sorted(key for key, n in counts.items() if n >= _SMALLEST_SEGMENT)[:_MOST_SEGMENTS]:
        at = [index for index, each in enumerate(pairs) if each.tags.get(tag) == value]
        part = [pairs[index] for index in at], [people[index] for index in at], [judged[index] for index in at]
        found.append(Segment(tag, value, len(at), _agreement(*part), _kappa(*part)))
    return tuple(found)


def _lacks(card: JudgeCard, bar: Bar) -> tuple[str, ...]:
    missing = []
    broken = sum(card.errors.values())
    if broken > bar.errors * (card.n + broken):
        codes = ", ".join(f"{count} {code}" for code, count in card.errors.items())
        missing.append(f"{broken} of {card.n + broken} answers got no verdict ({codes}); {bar.errors:.0%} may.")
    if card.n < bar.judgements:
        missing.append(f"{bar.judgements - card.n} more judgements are needed: {card.n} of {bar.judgements}.")
    for rate, what in ((card.sensitivity, "passed"), (card.specificity, "failed")):
        if rate.n < bar.each:
            missing.append(f"{bar.each - rate.n} more answers that people {what} are needed: {rate.n} of {bar.each}.")
    if card.kappa.low < bar.kappa:
        found = f"kappa is {card.kappa.value:.2f} and may be as low as {card.kappa.low:.2f}"
        missing.append(f"{found}; at least {bar.kappa:g} is needed.")
    return tuple(missing)

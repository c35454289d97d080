"""What a gate meets: pairs of scores from two releases, alone or in clusters, with a judge's opinion of them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import ndtri

Floats = np.ndarray
_ALONE = (0.0, 0.0, 0.6, 0.4)
_TOGETHER = (0.2, 0.1, 0.4, 0.3)
_ALIKE = (0.6, 0.4, 0.0, 0.0)


@dataclass(frozen=True, slots=True)
class Judge:
    """A judge that passes what is good with `finds_good` and what is bad with 1 - `finds_bad[release]`."""

    finds_good: float
    finds_bad: tuple[float, float]
    labelled: int
    """Clusters that humans judge as well."""


@dataclass(frozen=True, slots=True)
class Design:
    """How examples come, what the live release scores, and what the gate allows."""

    name: str
    clusters: int
    size: int
    rate: float
    margin: float
    parts: tuple[float, float, float, float] = _ALONE
    """Variance of the latent quality by cluster, by cluster and release, by example, by example and release."""
    is_uneven: bool = False
    """Whether clusters have 1 to 2 * size - 1 examples."""
    is_graded: bool = False
    """Whether scores lie between 0 and 1, a quarter apart."""
    judge: Judge | None = None
    looks: int = 1
    is_again: bool = False
    """Whether a later look asks the same examples again, instead of more of them."""
    is_weighted: bool = False
    """Whether examples count as 1 to 5."""


def clusters_of(design: Design, random: np.random.Generator) -> Floats:
    """The cluster of each example."""
    each = np.full(design.clusters, design.size)
    if design.is_uneven:
        each = random.permutation(np.resize(np.arange(1, 2 * design.size), design.clusters))
    return np.repeat(np.arange(design.clusters), each)


def draw(design: Design, difference: float, random: np.random.Generator, candidates: int = 1) -> tuple[Floats, Floats]:
    """Cluster of each example (n,), and the scores of the live release and of candidates whose means differ so much.

    Scores have the shape (1 + candidates, looks, n).
    """
    codes = clusters_of(design, random)
    n, looks = codes.size, design.looks if design.is_again else 1
    roots = np.sqrt(design.parts)
    common = roots[0] * random.standard_normal(design.clusters)[codes] + roots[2] * random.standard_normal(n)
    own = roots[1] * random.standard_normal((1 + candidates, design.clusters))[:, codes]
    latent = common + own[:, None, :] + roots[3] * random.standard_normal((1 + candidates, looks, n))
    rates = np.array([design.rate] + [design.rate + difference] * candidates)[:, None, None]
    if not design.is_graded:
        return codes, latent < ndtri(rates)
    steps = np.stack([latent < ndtri(rates + shift) for shift in (-0.08, -0.03, 0.03, 0.08)])
    return codes, steps.mean(axis=0)


def judged(design: Design, scores: Floats, random: np.random.Generator) -> Floats:
    """What the judge says of the scores (releases, n), of which the live one's come first."""
    assert design.judge is not None
    of_live, of_others = design.judge.finds_bad
    bad = 1 - np.array([of_live] + [of_others] * (len(scores) - 1))[:, None]
    return random.random(scores.shape) < np.where(scores, design.judge.finds_good, bad)


_FAIR = Judge(0.95, (0.7, 0.7), 100)
DESIGNS = (
    Design("alone, 100", 100, 1, 0.85, 0.05),
    Design("alone, 400", 400, 1, 0.85, 0.05),
    Design("alone, rare, 50", 50, 1, 0.95, 0.03),
    Design("alone, rare, 100", 100, 1, 0.97, 0.02),
    Design("alone, rare, 400", 400, 1, 0.97, 0.02),
    Design("25 clusters of 4", 25, 4, 0.85, 0.05, _TOGETHER),
    Design("100 clusters of 4", 100, 4, 0.85, 0.05, _TOGETHER),
    Design("25 clusters of 4, rare", 25, 4, 0.95, 0.03, _TOGETHER),
    Design("40 clusters of 4, rare", 40, 4, 0.95, 0.03, _TOGETHER),
    Design("100 clusters of 4, rare", 100, 4, 0.95, 0.03, _TOGETHER),
    Design("60 clusters of 10", 60, 10, 0.90, 0.03, _TOGETHER),
    Design("40 clusters of 1 to 7", 40, 4, 0.90, 0.05, _TOGETHER, is_uneven=True),
    Design("40 clusters of 3, wholly alike", 40, 3, 0.90, 0.05, _ALIKE),
    Design("60 clusters of 4, graded", 60, 4, 0.80, 0.05, _TOGETHER, is_graded=True),
    Design("judge, 100 of 400", 400, 1, 0.85, 0.03, judge=_FAIR),
    Design("lenient judge, 50 of 400", 400, 1, 0.85, 0.03, judge=Judge(0.95, (0.7, 0.5), 50)),
    Design("lenient judge, 100 of 1000", 1000, 1, 0.85, 0.03, judge=Judge(0.95, (0.7, 0.5), 100)),
    Design("lenient judge, rare, 100 of 1000", 1000, 1, 0.95, 0.03, judge=Judge(0.95, (0.7, 0.5), 100)),
    Design("lenient judge, 50 of 200 clusters of 4", 200, 4, 0.85, 0.03, _TOGETHER, judge=Judge(0.95, (0.7, 0.5), 50)),
    Design("lenient judge, rare, 50 of 200 clusters", 200, 4, 0.95, 0.03, _TOGETHER, judge=Judge(0.95, (0.7, 0.5), 50)),
    Design("two looks, 200 and 400", 400, 1, 0.85, 0.05, looks=2),
    Design("two looks, 40 and 80 clusters of 4", 80, 4, 0.90, 0.05, _TOGETHER, looks=2),
    Design("two looks at the same 100", 100, 1, 0.85, 0.05, looks=2, is_again=True),
    Design("100 clusters of 4, counting 1 to 5", 100, 4, 0.85, 0.05, _TOGETHER, is_weighted=True),
)

"""Whether what a gate asks for is enough: the next equal release, tested once with so many examples or judgements.

The number comes from the gate's own functions, from its own data: a candidate that is equal and was not shown to be,
like most on few examples. The live release's answers to what was there stay as they are, those of the next candidate
are its own, and examples are added by whole clusters. Other figures ask from the truth, a pilot of 20,000 clusters.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
from designs import Design, Floats, draw, judged
from rules import corrected

from headworks.evaluation.gates import correction, differences
from headworks.statistics.noninferiority import NonInferiority, non_inferiority, verdict_of
from headworks.statistics.paired import pairs
from headworks.statistics.power import Goal, needed_examples, needed_for_difference, needed_judgements

_LARGE = 20_000


@dataclass(frozen=True, slots=True)
class Stock:
    """Examples with the scores of the live release and of two equal candidates, by people and by the judge."""

    design: Design
    codes: Floats
    truth: Floats
    opinion: Floats | None

    @classmethod
    def of(cls, design: Design, random: np.random.Generator) -> Stock:
        codes, scores = draw(design, 0.0, random, candidates=2)
        opinion = judged(design, scores[:, 0], random).astype(float) if design.judge is not None else None
        return cls(design, codes, scores[:, 0].astype(float), opinion)

    def grown(self, n: int, random: np.random.Generator) -> Stock:
        """At least n examples: these, and others in clusters of their own."""
        clusters = math.ceil(n / self.design.size)
        if clusters <= self.design.clusters:
            return self
        new = Stock.of(replace(self.design, clusters=clusters - self.design.clusters), random)
        both = [None if mine is None else np.concatenate([mine, other], axis=-1)
                for mine, other in ((self.truth, new.truth), (self.opinion, new.opinion))]  # fmt: skip
        codes = np.concatenate([self.codes, new.codes + self.design.clusters])
        return Stock(replace(self.design, clusters=clusters), codes, *both)

    def test(self, candidate: int, labelled: int) -> tuple[NonInferiority, int]:
        """The gate's test of a candidate, so many clusters judged by people, and the n that it asks for; 0: none."""
        sides, clusters = [0, candidate], self.codes if self.design.size > 1 else None
        if self.opinion is not None:
            known = self.codes < labelled
            found = corrected(self.design, self.codes, self.truth[sides], self.opinion[sides], known)
            test = verdict_of(found.estimate, self.design.margin)
            return test, correction.needed_in_all(found, self.codes.size, Goal(self.design.margin))
        test = non_inferiority(*self.truth[sides], self.design.margin, clusters)
        seen = pairs(*self.truth[sides], self.codes, scale=1.0)
        return test, differences.needed_in_all(test, seen, test.alpha, is_binary=not self.design.is_graded) or 0


def from_pilot(design: Design, replications: int, seed: int) -> tuple[int, float]:
    """The median n that gates ask for which have shown nothing, and how often the next equal release passes with it."""
    random, asked, passed = np.random.default_rng(seed), [], 0
    while len(asked) < replications:
        pilot = Stock.of(design, random)
        test, n = pilot.test(1, design.judge.labelled if design.judge else 0)
        if test.is_shown or test.is_refuted or not n:
            continue
        asked.append(n)
        passed += _next_passes(pilot.grown(n, random), n)
    return int(np.median(asked)), passed / replications


def from_truth(design: Design, replications: int, seed: int) -> tuple[int, float]:
    """The n that the truth asks for, and how often an equal release passes with it."""
    random = np.random.default_rng(seed)
    n, passed = _asked_by_truth(design, random), 0
    for _ in range(replications):
        clusters = max(design.clusters if design.judge else 2, math.ceil(n / design.size))
        passed += _next_passes(Stock.of(replace(design, clusters=clusters), random), n)
    return n, passed / replications


def _next_passes(stock: Stock, n: int) -> bool:
    return stock.test(2, math.ceil(n / stock.design.size))[0].is_shown


def _asked_by_truth(design: Design, random: np.random.Generator) -> int:
    large, goal = Stock.of(replace(design, clusters=_LARGE), random), Goal(design.margin)
    if design.judge is not None:
        share = _LARGE * design.judge.labelled // design.clusters
        found = corrected(design, large.codes, large.truth[:2], large.opinion[:2], large.codes < share)
        return needed_judgements(found, design.clusters * design.size, goal)
    seen = pairs(*large.truth[:2], large.codes)
    if design.is_graded:
        return needed_for_difference(seen.variance, goal, seen.design_effect, design.size, 1.0)
    return needed_examples(seen.discordance, goal, seen.design_effect, design.size)

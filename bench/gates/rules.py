"""The gate as the product asks it, and beside it what is usually asked instead."""

from __future__ import annotations

import math

import numpy as np
from designs import Design, Floats, judged

from headworks.statistics.judge_correction import Corrected, corrected_mean
from headworks.statistics.noninferiority import non_inferiority, verdict_of
from headworks.statistics.spending import obrien_fleming

USUAL = ("fixed threshold", "drop within the margin", "no significant drop", "our test of the judge's own scores")
_LOOKS = obrien_fleming(2, 0.05)


def passes(design: Design, codes: Floats, scores: Floats, random: np.random.Generator) -> tuple[bool, list[float]]:
    """Whether our gate lets the candidate through, and whether each of the usual rules does; scores (2, looks, n).

    The last of these is our test without its correction by people: not a number where there is no judge.
    """
    clusters = codes if design.size > 1 else None
    if design.judge is not None:
        opinion = judged(design, scores[:, 0], random).astype(float)
        found = corrected(design, codes, scores[:, 0].astype(float), opinion, codes < design.judge.labelled)
        raw = non_inferiority(*opinion, design.margin, clusters).is_shown
        return verdict_of(found.estimate, design.margin).is_shown, [*_usual(design, opinion), raw]
    values = scores.astype(float)
    usual = [*_usual(design, values.mean(axis=1)), math.nan]
    if design.looks == 1:
        weights = np.arange(codes.size) % 5 + 1.0 if design.is_weighted else None
        return non_inferiority(values[0, 0], values[1, 0], design.margin, clusters, weights=weights).is_shown, usual
    return any(_look(design, codes, values, look) for look in range(design.looks)), usual


def corrected(design: Design, codes: Floats, truth: Floats, opinion: Floats, is_labelled: Floats) -> Corrected:
    """The difference that people would give, of whom some have judged; `truth` and `opinion` (2, n)."""
    labels = [
        each if is_known else None for each, is_known in zip((truth[1] - truth[0]).tolist(), is_labelled, strict=True)
    ]
    return corrected_mean(opinion[1] - opinion[0], labels, codes if design.size > 1 else None)


def _look(design: Design, codes: Floats, values: Floats, look: int) -> bool:
    if design.is_again:
        before, after = values[:, : look + 1].mean(axis=1)
    else:
        part = codes < design.clusters * (look + 1) // design.looks
        codes, (before, after) = codes[part], values[:, 0, part]
    clusters = codes if design.size > 1 else None
    return non_inferiority(before, after, design.margin, clusters, alpha=_LOOKS[look].alpha).is_shown


def _usual(design: Design, scores: Floats) -> list[float]:
    """`scores` (2, n) as whoever asks them sees them."""
    difference = scores[1] - scores[0]
    drop = -difference.mean()
    error = difference.std() / np.sqrt(difference.size)
    return [
        bool(scores[1].mean() >= design.rate - design.margin),
        bool(drop <= design.margin + 1e-12),
        bool(drop <= 1.645 * error),
    ]

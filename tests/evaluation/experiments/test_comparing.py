"""What two experiments come to where examples have weights: as if each stood there so many times."""

from __future__ import annotations

import math
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headworks.evaluation.contract import Result
from headworks.evaluation.datasets.files import example_digest
from headworks.evaluation.experiments.comparing import Metric, average, difference, paired
from headworks.types.evaluation import Example, Output, Score

RIGHT = Metric("right", "binary")
Case = tuple[int, bool, bool]
"""Weight, and whether base and candidate are right."""


def results(cases: Sequence[Case], side: int, *, is_weighted: bool) -> list[Result]:
    """Each case in a cluster of its own: once with its weight, or so many times without."""
    made = []
    for at, case in enumerate(cases):
        for copy in range(1 if is_weighted else case[0]):
            weight = float(case[0]) if is_weighted else 1.0
            example = Example(f"{at}-{copy}", "?", cluster=str(at), weight=weight)
            score = Score(float(case[1 + side]))
            made.append(Result(example, example_digest(example), 0, Output("x"), {"right": score}))
    return made


@given(st.lists(st.tuples(st.integers(1, 4), st.booleans(), st.booleans()), min_size=2, max_size=12))
def test_an_example_of_weight_three_counts_as_three_of_one_cluster(cases: list[Case]) -> None:
    told = []
    for is_weighted in (True, False):
        base, candidate = (results(cases, side, is_weighted=is_weighted) for side in (0, 1))
        found, alone = difference(paired(base, candidate, RIGHT, "block")), average(candidate, RIGHT, "block")
        assert found is not None
        assert alone is not None
        assert -1 <= found.interval.low <= found.difference <= found.interval.high <= 1
        assert 0 <= alone[1].low <= alone[0] <= alone[1].high <= 1
        told.append((found.base, found.candidate, found.difference, alone[0]))
    assert told[0] == pytest.approx(told[1])


def test_equal_weights_change_nothing() -> None:
    cases = [(3, True, at % 3 > 0) for at in range(9)]
    sides = [results(cases, side, is_weighted=True) for side in (0, 1)]
    plain = [results([(1, *case[1:]) for case in cases], side, is_weighted=True) for side in (0, 1)]
    weighted, usual = (difference(paired(*each, RIGHT, "block")) for each in (sides, plain))
    assert weighted is not None
    assert usual is not None
    assert (weighted.difference, weighted.interval) == (usual.difference, usual.interval)
    assert math.isclose(weighted.difference, -1 / 3)

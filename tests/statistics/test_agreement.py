from __future__ import annotations

import json
import math
import os
from collections import Counter
from itertools import combinations
from pathlib import Path
from typing import Any

import krippendorff
import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from statsmodels.stats.inter_rater import cohens_kappa

from headworks.errors import InvalidRequest
from headworks.statistics.agreement import Level, cohen_kappa, krippendorff_alpha

ORACLES = json.loads(Path(__file__).with_name("oracles.json").read_text())["agreement"]
DATA = Path(os.environ.get("HEADWORKS_TEST_DATA", "../shared/data")) / "judged" / "pandalm"
verdicts = st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), min_size=1, max_size=60)
unit = st.lists(st.sampled_from([None, 1, 2, 3, 5]), min_size=3, max_size=3)
LEVELS: tuple[Level, ...] = ("nominal", "ordinal", "interval")


@given(verdicts)
def test_kappa_is_that_of_statsmodels(pairs: list[tuple[int, int]]) -> None:
    first, second = zip(*pairs, strict=True)
    assume(len(set(first) | set(second)) > 1)
    table = np.zeros((4, 4))
    for a, b in pairs:
        table[a, b] += 1
    used = [each for each in range(4) if table[each].sum() + table[:, each].sum()]
    with np.errstate(invalid="ignore", divide="ignore"):
        theirs = cohens_kappa(table[np.ix_(used, used)])
    ours = cohen_kappa(first, second)
    assert ours.value == pytest.approx(float(theirs.kappa))
    if math.isfinite(theirs.kappa_low):
        assert ours.low <= max(-1.0, float(theirs.kappa_low)) + 1e-9
        assert ours.high >= min(1.0, float(theirs.kappa_upp)) - 1e-9


def test_the_interval_of_many_is_that_of_statsmodels() -> None:
    table = np.array([[40, 9, 3], [6, 50, 8], [5, 4, 60]])
    first, second = zip(*[(a, b) for a in range(3) for b in range(3) for _ in range(table[a, b])], strict=True)
    theirs, ours = cohens_kappa(table), cohen_kappa(first, second)
    assert (ours.low, ours.high) == pytest.approx((float(theirs.kappa_low), float(theirs.kappa_upp)), abs=0.01)
    assert ours.observed == pytest.approx(150 / 185)


@given(verdicts)
def test_kappa_has_no_first_rater_and_no_names(pairs: list[tuple[int, int]]) -> None:
    first, second = zip(*pairs, strict=True)
    one, turned = (
        cohen_kappa(first, second),
        cohen_kappa([f"v{each}" for each in second], [f"v{each}" for each in first]),
    )
    assert (one.value, one.low, one.high) == pytest.approx((turned.value, turned.low, turned.high))
    assert -1 <= one.low <= one.value <= one.high <= 1
    assert one.low < one.high


@pytest.mark.parametrize("level", LEVELS)
def test_alpha_is_that_of_evalica(level: Level) -> None:
    assert krippendorff_alpha(ORACLES["units"], level).value == pytest.approx(ORACLES[level], abs=1e-9)


@given(st.lists(unit, min_size=2, max_size=30), st.sampled_from(LEVELS))
@settings(max_examples=60)
def test_alpha_is_that_of_krippendorff(units: list[list[int | None]], level: Level) -> None:
    pairable = [each for row in units if len([v for v in row if v is not None]) > 1 for each in row if each is not None]
    assume(len(set(pairable)) > 1)
    table = np.array([[np.nan if each is None else each for each in row] for row in units], dtype=float).T
    # Theirs lets verdicts that nobody can be compared with stretch the ordinal scale; ours leaves them out.
    table[:, np.sum(~np.isnan(table), axis=0) < 2] = np.nan
    theirs = krippendorff.alpha(reliability_data=table, level_of_measurement=level)
    ours = krippendorff_alpha(units, level, draws=50)
    assert ours.value == pytest.approx(float(theirs), abs=1e-9)
    assert -1 <= ours.low < ours.high + 1e-12 <= 1 + 1e-9
    assert min(ours.value, 1) <= ours.high + 1e-9


def test_alpha_has_no_order_of_units_or_raters() -> None:
    units = ORACLES["units"]
    turned = [row[::-1] for row in reversed(units)]
    assert krippendorff_alpha(turned, "ordinal").value == pytest.approx(krippendorff_alpha(units, "ordinal").value)
    assert krippendorff_alpha(units) == krippendorff_alpha(units)


def two_raters(random: np.random.Generator, n: int) -> tuple[list[int], list[int]]:
    """Each of two raters takes the true verdict with .8, else draws one; kappa and alpha are .64 in the long run."""
    truth = random.integers(0, 2, n)
    return tuple(np.where(random.random(n) < 0.8, truth, random.integers(0, 2, n)).tolist() for _ in range(2))  # type: ignore[return-value]


def test_both_intervals_cover_and_narrow() -> None:
    random, covered, widths = np.random.default_rng(2), Counter[str](), Counter[tuple[str, int]]()
    for n in (40, 160):
        for _ in range(300):
            first, second = two_raters(random, n)
            kappa, alpha = (
                cohen_kappa(first, second),
                krippendorff_alpha(list(zip(first, second, strict=True)), draws=300),
            )
            for name, found in (("kappa", kappa), ("alpha", alpha)):
                covered[name] += found.low <= 0.64 <= found.high
                widths[name, n] += found.high - found.low
    assert covered["kappa"] / 600 >= 0.93
    assert covered["alpha"] / 600 >= 0.92
    assert widths["kappa", 160] < 0.6 * widths["kappa", 40]
    assert widths["alpha", 160] < 0.6 * widths["alpha", 40]


def test_full_agreement_on_twenty_is_no_proof_of_full_agreement() -> None:
    same = [0, 1] * 10
    for found in (cohen_kappa(same, same), krippendorff_alpha(list(zip(same, same, strict=True)))):
        assert found.value == found.high == 1
        assert 0.5 < found.low < 0.85


def test_one_verdict_throughout_says_nothing() -> None:
    for found in (cohen_kappa(["pass"] * 9, ["pass"] * 9), krippendorff_alpha([["pass", "pass"]] * 9)):
        assert (found.value, found.low, found.high) == (0, -1, 1)


@pytest.mark.data
@pytest.mark.skipif(not DATA.exists(), reason=f"{DATA} is not there; HEADWORKS_TEST_DATA names the test data")
def test_the_published_agreement_of_a_public_test_set() -> None:
    """PandaLM (Wang et al. 2024): kappas of .85, .86 and .88, and 105, 422 and 472 verdicts of the majority."""
    rows: list[dict[str, Any]] = json.loads((DATA / "testset-v1.json").read_text())
    raters = [[row[f"annotator{each}"] for row in rows] for each in (1, 2, 3)]
    kappas = sorted(cohen_kappa(first, second).value for first, second in combinations(raters, 2))
    assert [round(each, 2) for each in kappas] == [0.85, 0.86, 0.88]
    majority = Counter(Counter(votes).most_common(1)[0][0] for votes in zip(*raters, strict=True))
    assert sorted(majority.values()) == [105, 422, 472]
    alpha = krippendorff_alpha(list(zip(*raters, strict=True)))
    assert alpha.low < np.mean(kappas) < alpha.high


@pytest.mark.parametrize(
    ("first", "second"), [([], []), ([1], [1, 2]), ([1, None], [1, 1]), ([1.0, math.nan], [1.0, 0.0])]
)
def test_kappa_needs_both_verdicts_of_each_unit(first: list[float], second: list[float]) -> None:
    with pytest.raises(InvalidRequest):
        cohen_kappa(first, second)


@pytest.mark.parametrize(
    ("units", "level"),
    [
        ([], "nominal"),
        ([[1, None], [None, 2]], "nominal"),
        ([[1, math.nan]], "nominal"),
        ([["a", "b"]], "ordinal"),
        ([[each, each + 1] for each in range(150)], "interval"),
    ],
)
def test_alpha_needs_units_with_two_verdicts_of_few_kinds(units: list[list[Any]], level: Level) -> None:
    with pytest.raises(InvalidRequest):
        krippendorff_alpha(units, level)

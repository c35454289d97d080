from __future__ import annotations

import json
import math
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headworks.errors import InvalidRequest
from headworks.statistics.estimates import DIFFERENCES, SHARES, mean
from headworks.statistics.judge_correction import corrected_mean
from headworks.statistics.noninferiority import verdict_of

ORACLES = json.loads(Path(__file__).with_name("oracles.json").read_text())["judge_correction"]
DATA = Path(os.environ.get("HEADWORKS_TEST_DATA", "../shared/data")) / "judged" / "pandalm"


@pytest.mark.parametrize("recorded", ORACLES)
@pytest.mark.parametrize(("name", "weight"), [("fixed", 1.0), ("half", 0.5)])
def test_with_a_given_weight_it_is_that_of_ppi_python(recorded: dict[str, Any], name: str, weight: float) -> None:
    found = corrected_mean(
        recorded["judged"] + recorded["rest"],
        [*recorded["labels"], *[None] * len(recorded["rest"])],
        limits=SHARES,
        weight=weight,
        is_cautious=False,
    )
    value, low, high = recorded[name]
    assert found.estimate.value == pytest.approx(value, abs=1e-12)
    # Theirs divides by n where ours divides by n - 1.
    assert found.estimate.standard_error * 1.6448536 == pytest.approx((high - low) / 2, rel=1 / 60)
    assert found.weight == weight


@pytest.mark.parametrize("recorded", ORACLES)
def test_the_tuned_weight_leads_close_to_that_of_ppi_python(recorded: dict[str, Any]) -> None:
    labels = [*recorded["labels"], *[None] * len(recorded["rest"])]
    found = corrected_mean(recorded["judged"] + recorded["rest"], labels, limits=SHARES, is_cautious=False)
    value, low, high = recorded["tuned"]
    assert found.estimate.value == pytest.approx(value, abs=0.01)
    assert found.estimate.standard_error * 1.6448536 == pytest.approx((high - low) / 2, rel=0.06)


@given(
    rows=st.lists(
        st.tuples(st.integers(-1, 1), st.sampled_from([None, -1, 0, 1]), st.integers(0, 9)), min_size=1, max_size=60
    ),
    random=st.randoms(use_true_random=False),
    in_clusters=st.booleans(),
)
@settings(max_examples=60)
def test_no_order_matters_and_nothing_is_nan(
    rows: list[tuple[int, float | None, int]], random: object, *, in_clusters: bool
) -> None:
    def ask(rows: list[tuple[int, float | None, int]]) -> tuple[float, float, float]:
        judged, labels, clusters = zip(*rows, strict=True)
        found = corrected_mean(judged, labels, clusters if in_clusters else None)
        assert found.estimate.value in found.estimate.interval()
        assert 0 <= found.weight <= 1
        return found.estimate.value, found.estimate.standard_error, found.weight

    if all(label is None for _, label, _ in rows):
        with pytest.raises(InvalidRequest, match="labels"):
            ask(rows)
        return
    one = ask(rows)
    random.shuffle(rows)  # type: ignore[attr-defined]
    assert all(math.isfinite(each) for each in one)
    assert ask(rows) == pytest.approx(one, abs=1e-9)


def test_a_judge_that_is_always_right_is_worth_many_judgements_and_a_blind_one_none() -> None:
    random = np.random.default_rng(3)
    truth = (random.random(2000) < 0.7) * 1.0
    labels = [float(each) if place < 200 else None for place, each in enumerate(truth)]
    right = corrected_mean(truth, labels, limits=SHARES, is_cautious=False)
    blind = corrected_mean(random.random(2000), labels, limits=SHARES)
    assert right.gain > 8
    assert 0.9 < blind.gain < 1.05
    assert right.estimate.value == pytest.approx(truth.mean(), abs=0.01)


def test_a_judge_that_says_one_thing_only_is_left_out() -> None:
    labels = [1.0, 0.0, 1.0, 1.0, None, None, None]
    found = corrected_mean([1.0] * 7, labels, limits=SHARES)
    plain = mean([1.0, 0.0, 1.0, 1.0], is_cautious=True)
    assert (found.weight, found.gain) == (0, 1)
    assert found.estimate == plain


def test_all_judged_by_humans_needs_no_judge() -> None:
    found = corrected_mean([1.0, 0.0, 1.0], [1.0, 1.0, 0.0])
    assert (found.judged, found.weight) == (0, 0)
    assert found.estimate.value == pytest.approx(2 / 3)


def test_one_cluster_of_judgements_says_nothing() -> None:
    found = corrected_mean([1.0, 0.0, 1.0, 0.0], [1.0, 0.0, None, None], ["a", "a", "b", "c"])
    assert found.estimate.interval() == DIFFERENCES


def test_a_lenient_judge_does_not_get_a_worse_release_through() -> None:
    """.85 → .82 at a margin of .03, and a judge that lets more of the candidate's failures pass; 50 judgements."""
    random = np.random.default_rng(4)
    raw = corrected = 0
    for _ in range(1200):
        kind = random.random((2, 600)) < [[0.85], [0.82]]
        judged = random.random((2, 600)) < np.where(kind, 0.95, [[0.3], [0.5]])
        truth, opinion = (np.subtract(*each[::-1].astype(float)) for each in (kind, judged))
        labels = [float(each) if place < 50 else None for place, each in enumerate(truth)]
        corrected += verdict_of(corrected_mean(opinion, labels).estimate, 0.03).is_shown
        raw += verdict_of(mean(opinion, limits=DIFFERENCES), 0.03).is_shown
    assert corrected / 1200 <= 0.06
    assert raw / 1200 > 0.5


@pytest.mark.data
@pytest.mark.skipif(not DATA.exists(), reason=f"{DATA} is not there; HEADWORKS_TEST_DATA names the test data")
def test_a_hundred_judgements_correct_a_public_judge() -> None:
    """Of 999 pairs, GPT-3.5 prefers the first in 46 %, humans in 42 %: how often do 100 judgements find the humans'?"""
    rows = json.loads((DATA / "testset-v1.json").read_text())
    votes = [[row[f"annotator{each}"] for each in (1, 2, 3)] for row in rows]
    truth = np.array([float(each.count(1) >= 2) for each in votes])
    judge = np.array(
        [float(row["gpt_result"] == "1") for row in json.loads((DATA / "gpt-3.5-turbo-testset-v1.json").read_text())]
    )
    assert mean(judge).interval().low > truth.mean()
    random, covered, gains = np.random.default_rng(5), 0, []
    for _ in range(1000):
        chosen = set(random.choice(truth.size, 100, replace=False).tolist())
        labels = [float(each) if place in chosen else None for place, each in enumerate(truth)]
        found = corrected_mean(judge, labels, limits=SHARES)
        covered += truth.mean() in found.estimate.interval()
        gains.append(found.gain)
    assert covered / 1000 >= 0.94
    assert np.mean(gains) > 1.2


def test_bad_input_is_named() -> None:
    with pytest.raises(InvalidRequest, match="labels"):
        corrected_mean([1.0], [None])
    with pytest.raises(InvalidRequest, match="`labels` has 1"):
        corrected_mean([1.0, 0.0], [1.0])
    with pytest.raises(InvalidRequest, match="judged"):
        corrected_mean([math.nan, 0.0], [1.0, None])
    with pytest.raises(InvalidRequest, match="outside"):
        corrected_mean([1.0, 0.0], [5.0, None])

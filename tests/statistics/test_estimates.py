from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest
import statsmodels.api as sm
from hypothesis import assume, given
from hypothesis import strategies as st

from headworks.errors import InvalidRequest
from headworks.statistics.estimates import Estimate, Interval, design_effect, mean
from headworks.statistics.observations import cluster_codes

ORACLES = json.loads(Path(__file__).with_name("oracles.json").read_text())
scores = st.lists(st.floats(0, 1, width=16), min_size=1, max_size=40)


def test_the_clustered_error_is_that_of_statsmodels() -> None:
    random = np.random.default_rng(3)
    codes = random.integers(0, 15, 120)
    values = random.random(120) * 0.5 + (codes % 3) / 6
    theirs = sm.OLS(values, np.ones(120)).fit(
        cov_type="cluster", cov_kwds={"groups": codes, "use_correction": True}, use_t=True
    )
    ours = mean(values, list(codes))
    groups = np.unique(codes).size
    assert ours.value == pytest.approx(float(theirs.params[0]))
    assert ours.standard_error == pytest.approx(float(theirs.bse[0]))
    assert ours.degrees_of_freedom == groups - 1
    low, high = theirs.conf_int(0.05)[0]
    assert (ours.interval().low, ours.interval().high) == pytest.approx((low, high), rel=1e-3)


def test_the_clustered_error_is_that_of_inspect() -> None:
    recorded = ORACLES["clustered_error"]
    ours = mean(recorded["scores"], recorded["clusters"], limits=None)
    assert ours.standard_error == pytest.approx(recorded["standard_error"], rel=1e-9)


def test_without_clusters_it_is_the_usual_error() -> None:
    values = np.random.default_rng(1).random(50)
    assert mean(values).standard_error == pytest.approx(values.std(ddof=1) / math.sqrt(50))


@given(values=scores, random=st.randoms(use_true_random=False), cautious=st.booleans())
def test_no_order_and_no_naming_of_clusters_matters(values: list[float], random: object, *, cautious: bool) -> None:
    clusters = [place % 5 for place in range(len(values))]
    order = list(range(len(values)))
    random.shuffle(order)  # type: ignore[attr-defined]
    one = mean(values, clusters, is_cautious=cautious)
    other = mean([values[each] for each in order], [f"c{clusters[each]}" for each in order], is_cautious=cautious)
    assert one.value == pytest.approx(other.value)
    assert one.standard_error == pytest.approx(other.standard_error, abs=1e-9)


@given(scores, st.integers(1, 6))
def test_every_estimate_is_finite_and_inside_its_interval(values: list[float], groups: int) -> None:
    found = mean(values, [place % groups for place in range(len(values))])
    interval = found.interval()
    assert found.value in interval
    assert 0 <= interval.low < interval.high <= 1
    assert math.isfinite(found.standard_error)
    assert found.lower_bound(0.05) <= found.lower_bound(0.2)
    assert 0 <= found.p_value_above(0.5) <= 1
    if found.degrees_of_freedom:
        assert found.p_value_above(0.5) + found.p_value_below(0.5) == pytest.approx(1)


@given(st.lists(st.integers(0, 1), min_size=5, max_size=40))
def test_caution_widens_what_is_seen_of_rare_failures(values: list[int]) -> None:
    plain, cautious = mean(values), mean(values, is_cautious=True)
    assert cautious.value == plain.value
    assert cautious.standard_error >= plain.standard_error


def test_a_bound_and_its_p_value_say_the_same() -> None:
    found = mean(np.random.default_rng(2).random(30))
    assert found.p_value_above(found.lower_bound(0.07)) == pytest.approx(0.07)
    assert found.p_value_below(found.upper_bound(0.07)) == pytest.approx(0.07)


def test_one_cluster_tells_only_what_the_score_can_be() -> None:
    found = mean([0.2, 0.4, 0.9], ["a", "a", "a"])
    assert found.interval() == Interval(0, 1)
    assert found.p_value_above(0.1) == found.p_value_below(0.9) == 1
    with pytest.raises(InvalidRequest, match="one cluster"):
        mean([120.0, 140.0], ["a", "a"], limits=None)


@pytest.mark.parametrize("n", [2, 5, 20, 300])
def test_all_equal_is_known_no_better_than_by_wilson_or_so(n: int) -> None:
    low = mean([1.0] * n).interval().low
    assert 0 <= low < 1 - 1.5 / (n + 2)


def test_equal_values_in_clusters_count_as_one_per_cluster() -> None:
    alone, together = mean([1.0] * 20), mean([1.0] * 100, [place // 5 for place in range(100)])
    assert together.standard_error == pytest.approx(alone.standard_error)


def test_coverage_holds_with_few_clusters() -> None:
    random = np.random.default_rng(11)
    covered = 0
    for _ in range(1500):
        effects = np.repeat(random.normal(0, 0.1, 12), 5)
        values = 0.5 + effects + random.normal(0, 0.1, 60)
        covered += 0.5 in mean(values, np.repeat(np.arange(12), 5), limits=None).interval()
    assert 0.93 <= covered / 1500 <= 0.97


@pytest.mark.parametrize(
    ("values", "message"),
    [([], "no values"), ([0.5, math.nan], "1 of 2"), ([math.inf], "1 of 1"), ([0.5, 1.5], "outside")],
)
def test_what_is_no_score_is_refused_and_never_left_out(values: list[float], message: str) -> None:
    with pytest.raises(InvalidRequest, match=message):
        mean(values)


@pytest.mark.parametrize("clusters", [["a"], ["a", None], ["a", "b", "c"]])
def test_each_example_has_its_cluster(clusters: list[str]) -> None:
    with pytest.raises(InvalidRequest, match="cluster"):
        mean([0.1, 0.2], clusters)


def test_clusters_are_told_apart_by_any_name() -> None:
    assert cluster_codes(["b", 1, (2, "x"), "b", 1], 5).tolist() == [0, 1, 2, 0, 1]


quarters = st.integers(0, 4).map(lambda each: each / 4)
weighted = st.lists(st.tuples(quarters, st.integers(1, 5), st.integers(0, 6)), min_size=2, max_size=30)


@given(weighted.filter(lambda rows: len({row[2] for row in rows}) > 1))
def test_a_weight_counts_an_example_as_so_many_that_are_wholly_alike(rows: list[tuple[float, int, int]]) -> None:
    values, weights, clusters = (list(each) for each in zip(*rows, strict=True))
    found = mean(values, clusters, weights=weights)
    again = [row for row in rows for _ in range(row[1])]
    totals = {each: sum(row[1] * (row[0] - found.value) for row in rows if row[2] == each) for each in clusters}
    assume(max(map(abs, totals.values())) > 1e-6)  # else the error is made up of what could have been missed
    whole = mean([row[0] for row in again], [row[2] for row in again])
    assert (found.n, found.clusters) == (len(rows), whole.clusters)
    assert (found.value, found.standard_error) == pytest.approx((whole.value, whole.standard_error), rel=1e-6)


def test_equal_weights_change_nothing_and_what_is_no_weight_is_refused() -> None:
    values = [0.0, 1.0, 1.0, 0.5]
    assert mean(values, weights=[3.0] * 4) == mean(values)
    for wrong in ([1.0, 1.0, 1.0, 0.0], [1.0, 1.0, 1.0, -1.0], [1.0, 1.0, 1.0, math.nan], [1.0]):
        with pytest.raises(InvalidRequest, match="weight"):
            mean(values, weights=wrong)


def test_the_design_effect_of_wholly_alike_clusters_is_their_size() -> None:
    values = np.repeat(np.random.default_rng(0).random(400), 5)
    assert design_effect(values, np.repeat(np.arange(400), 5)) == pytest.approx(5, rel=0.01)
    assert design_effect(values, np.arange(2000)) == 1
    assert design_effect(np.zeros(20), np.repeat(np.arange(4), 5)) == 5
    assert design_effect(np.tile([0.0, 1.0], 50), np.repeat(np.arange(50), 2)) == 1


def test_an_estimate_of_unknown_error_never_leaves_its_limits() -> None:
    unknown = Estimate(0.5, 1.0, 0, 1, 1, Interval(-1, 1))
    assert unknown.interval() == Interval(-1, 1)

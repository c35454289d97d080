from __future__ import annotations

import numpy as np
import pytest

from headworks.retrieval.quality.golden import GoldenQuery, Target
from headworks.retrieval.quality.measures import MEASURES
from headworks.retrieval.quality.ranking import Ranked
from headworks.retrieval.quality.report import Measured
from headworks.retrieval.quality.tuning import FEWEST, GRID, tuned


def run(values: list[float], size: int = 1) -> list[Measured]:
    queries = [
        GoldenQuery(f"q{n}", "text", (Target("a"),), (), None, n, f"c{n // size}" if size > 1 else None)
        for n in range(len(values))
    ]
    return [
        Measured(query, Ranked((), {}, ()), dict.fromkeys(MEASURES, value), None)
        for query, value in zip(queries, values, strict=True)
    ]


def grid(best: float, number: int = 60, gain: float = 0.2, noise: float = 0.05) -> dict[float, list[float]]:
    chance = np.random.default_rng(7)
    level = chance.uniform(0.2, 0.5, number)
    return {
        weight: [
            float(x) for x in np.clip(level + gain * (1 - abs(weight - best)) + chance.normal(0, noise, number), 0, 1)
        ]
        for weight in GRID
    }


def test_a_weight_that_is_better_is_found_and_its_gain_is_measured_on_other_queries() -> None:
    values = grid(0.8)
    found = tuned(run(values[0.2]), {weight: run(each) for weight, each in values.items()})
    assert found.weight == pytest.approx(0.8, abs=0.11)
    assert found.is_better
    assert 0 < found.low < found.gain < found.high
    assert found.gain == pytest.approx(0.12, abs=0.03)
    assert found.means[found.weight] == max(found.means.values())


def test_what_is_chosen_by_chance_is_no_gain() -> None:
    better = 0
    for seed in range(40):
        chance = np.random.default_rng(seed)
        values = {weight: [float(x) for x in chance.uniform(0, 1, 40)] for weight in GRID}
        found = tuned(run(values[0.5]), {weight: run(each) for weight, each in values.items()})
        better += found.is_better
        assert found.means[found.weight] >= found.means[0.5], "over all queries the best is always better"
    assert better <= 4, "at most about one in forty would be by chance; the choice itself adds nothing"


def test_queries_of_one_cluster_stay_together_and_count_as_one() -> None:
    values = grid(0.8, number=4 * (FEWEST - 1))
    with pytest.raises(ValueError, match="9 unrelated queries are too few"):
        tuned(run(values[0.5], 4), {weight: run(each, 4) for weight, each in values.items()})


def test_of_equal_weights_the_middle_one_is_kept() -> None:
    values = {weight: [0.5] * 20 for weight in GRID}
    found = tuned(run(values[0.5]), {weight: run(each) for weight, each in values.items()})
    assert (found.weight, found.gain, found.is_better) == (0.5, 0.0, False)

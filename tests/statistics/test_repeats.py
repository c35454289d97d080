from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from headworks.errors import InvalidRequest
from headworks.statistics.repeats import pass_all

runs = st.lists(st.booleans(), min_size=1, max_size=8)


@given(runs, st.integers(1, 8))
def test_it_is_the_share_of_all_choices_of_k_answers(answers: list[bool], k: int) -> None:
    if k > len(answers):
        with pytest.raises(InvalidRequest, match="Repeat"):
            pass_all(sum(answers), len(answers), k)
        return
    chosen = list(combinations(answers, k))
    assert pass_all(sum(answers), len(answers), k) == pytest.approx(np.mean([all(each) for each in chosen]))


def test_it_is_unbiased_where_the_power_of_the_rate_is_too_high() -> None:
    passes = np.random.default_rng(1).binomial(3, 0.7, 20_000)
    assert np.mean([pass_all(int(each), 3, 3) for each in passes]) == pytest.approx(0.7**3, abs=0.01)
    assert np.mean((passes / 3) ** 3) > 0.43


@pytest.mark.parametrize("wrong", [(4, 3, 1), (-1, 3, 1), (1, 3, 0), (0, 0, 1)])
def test_what_is_no_count_is_refused(wrong: tuple[int, int, int]) -> None:
    with pytest.raises(InvalidRequest):
        pass_all(*wrong)

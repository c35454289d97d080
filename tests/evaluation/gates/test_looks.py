"""Trying again until it is green does not work."""

from __future__ import annotations

import math

import numpy as np
import pytest

from headworks.evaluation.gates.looks import PastLook, next_look
from headworks.types.ids import Digest

A, B, C = (Digest(f"sha256:{each}") for each in "abc")
R1, R2, R3 = (Digest(f"sha256:r{each}") for each in "123")


def test_the_first_look_has_the_whole_level_where_one_is_declared() -> None:
    look = next_look([], A, R1, 1, 0.05)
    assert look.alpha is not None
    assert math.isclose(look.alpha, 0.05, rel_tol=1e-3)


def test_the_same_results_are_the_same_look() -> None:
    look = next_look([PastLook(A, R1, 1, 1, 0.05)], A, R1, 1, 0.05)
    assert (look.look, look.alpha, look.is_repeated) == (1, 0.05, True)


def test_other_results_of_the_same_release_are_another_look_which_may_not_be_there() -> None:
    past = [PastLook(A, R1, 1, 1, 0.05)]
    assert next_look(past, A, R2, 1, 0.05).alpha is None
    second = next_look(past, A, R2, 2, 0.05)
    assert second.look == 2
    assert second.alpha is not None
    assert 0.04 < second.alpha < 0.05


def test_each_further_candidate_against_the_same_base_is_tested_more_strictly() -> None:
    past = [PastLook(A, R1, 1, 1, 0.05), PastLook(B, R2, 1, 2, 0.0125)]
    third = next_look(past, C, R3, 1, 0.05)
    assert third.attempt == 3
    assert third.alpha is not None
    assert math.isclose(third.alpha, 0.05 / 9, rel_tol=1e-3)
    assert next_look(past, B, R3, 2, 0.05).attempt == 2


@pytest.mark.parametrize("tries", [1, 5, 20])
def test_however_many_edits_of_a_bad_release_are_tried_few_get_one_through(tries: int) -> None:
    random = np.random.default_rng(5)
    levels, past = [], []
    for at in range(tries):
        name = Digest(f"sha256:{at}")
        look = next_look(past, name, name, 1, 0.05)
        assert look.alpha is not None
        levels.append(look.alpha)
        past.append(PastLook(name, name, 1, look.attempt, look.alpha))
    passed = (random.random((20_000, tries)) <= np.array(levels)).any(axis=1).mean()
    assert passed <= 0.05 * math.pi**2 / 6 + 0.005

"""Trying again until it is green does not work."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from headworks.evaluation.gates.looks import NextLook, PastLook, Sight, next_look
from headworks.statistics.spending import obrien_fleming
from headworks.types.ids import Digest

A, B, C = (Digest(f"sha256:{each}") for each in "abc")
R1, R2, R3 = (Digest(f"sha256:r{each}") for each in "123")
GOLDEN, GROWN = Digest("sha256:golden"), Digest("sha256:grown")


def taken(candidate: Digest, results: Digest, look: int, attempt: int, alpha: float, **more: Any) -> PastLook:
    golden, answers = more.pop("golden", GOLDEN), more.pop("answers", results)
    return PastLook(candidate, golden, answers, results, look, attempt, alpha, **more)


def sight(candidate: Digest, results: Digest, **more: Any) -> Sight:
    return Sight(candidate, more.pop("golden", GOLDEN), more.pop("answers", results), results, **more)


def looked(past: Sequence[PastLook], candidate: Digest, results: Digest, declared: int, **more: Any) -> NextLook:
    return next_look(past, sight(candidate, results, **more), declared, 0.05)


def test_the_first_look_has_the_whole_level_where_one_is_declared() -> None:
    look = looked([], A, R1, 1)
    assert look.alpha is not None
    assert math.isclose(look.alpha, 0.05, rel_tol=1e-3)


def test_the_same_results_are_the_same_look() -> None:
    look = looked([taken(A, R1, 1, 1, 0.05)], A, R1, 1)
    assert (look.look, look.alpha, look.is_repeated) == (1, 0.05, True)


def test_other_results_of_the_same_release_are_another_look_which_may_not_be_there() -> None:
    past = [taken(A, R1, 1, 1, 0.05)]
    assert looked(past, A, R2, 1).alpha is None
    second = looked([taken(A, R1, 1, 1, obrien_fleming(2, 0.05)[0].alpha)], A, R2, 2)
    assert second.look == 2
    assert second.alpha is not None
    assert 0.04 < second.alpha < 0.05


def test_judgements_that_a_verdict_waited_for_are_the_same_look_and_more_of_them_another() -> None:
    waiting = taken(A, R1, 1, 1, 0.05, answers=B, waits=True)
    judged = looked([waiting], A, R2, 1, answers=B)
    assert (judged.look, judged.alpha, judged.is_repeated) == (1, 0.05, False)
    assert looked([waiting], A, R2, 1, answers=C).alpha is None, "other answers: those were looked at"
    whole = taken(A, R2, 1, 1, 0.05, answers=B)
    assert looked([waiting, whole], A, R3, 1, answers=B).alpha is None
    assert looked([whole, waiting], A, R1, 1, answers=B).is_repeated, "going back to fewer judgements shows nothing new"
    assert looked([whole, waiting], A, R3, 2, answers=B).look == 2


def test_examples_that_are_added_because_a_verdict_asked_for_them_are_another_look() -> None:
    past = [taken(A, R1, 1, 1, 0.05)]
    assert looked(past, A, R2, 1, golden=GROWN).alpha is None
    first = looked([], A, R1, 2)
    assert first.alpha is not None
    assert first.next_alpha is not None
    second = looked([taken(A, R1, 1, 1, first.alpha)], A, R2, 2, golden=GROWN)
    assert (second.look, second.alpha, second.next_alpha) == (2, first.next_alpha, None)
    assert looked(past, B, R2, 1, golden=GROWN).attempt == 1, "another release has examples that it was not tried on"


def test_looks_that_are_declared_later_have_what_is_left_of_the_error_rate() -> None:
    assert looked([taken(A, R1, 1, 1, 0.05)], A, R2, 5).alpha is None
    planned = obrien_fleming(2, 0.05)
    past = [taken(A, R1, 1, 1, planned[0].alpha), taken(A, R2, 2, 1, planned[1].alpha)]
    assert looked(past, A, R3, 3).alpha is None
    third = looked(past[:1], A, R3, 4)
    assert third.alpha is not None
    assert math.isclose(third.alpha + planned[0].alpha, obrien_fleming(4, 0.05)[1].spent)


@given(
    declared=st.lists(st.integers(1, 6), min_size=1, max_size=12),
    error_rate=st.lists(st.sampled_from([0.01, 0.05, 0.1]), min_size=12, max_size=12),
)
def test_however_looks_are_declared_anew_one_release_spends_no_more_than_the_highest_plan(
    declared: list[int], error_rate: list[float]
) -> None:
    past: list[PastLook] = []
    for at, (looks, alpha) in enumerate(zip(declared, error_rate, strict=False)):
        name = Digest(f"sha256:{at}")
        look = next_look(past, sight(A, name, golden=name), looks, alpha)
        if look.alpha is not None:
            past.append(taken(A, name, look.look, look.attempt, look.alpha, golden=name))
    whole = max(error_rate[: len(declared)])
    within_a_plan = max(sum(each.alpha for each in obrien_fleming(looks, whole)) for looks in declared)
    assert sum(each.alpha for each in past) <= within_a_plan + 1e-9


def test_each_further_candidate_against_the_same_base_is_tested_more_strictly() -> None:
    past = [taken(A, R1, 1, 1, 0.05), taken(B, R2, 1, 2, 0.0125)]
    third = looked(past, C, R3, 1)
    assert third.attempt == 3
    assert third.alpha is not None
    assert math.isclose(third.alpha, 0.05 / 9, rel_tol=1e-3)
    assert looked(past, B, R3, 2).attempt == 2


def test_the_live_release_judged_by_a_gate_that_is_to_come_takes_nothing_from_candidates() -> None:
    itself = looked([taken(B, R2, 1, 1, 0.05)], A, R1, 1, live=A)
    assert itself.attempt == 1
    past = [taken(A, R1, 1, 1, 0.05)]
    assert looked(past, B, R2, 1, live=A).attempt == 1
    past.append(taken(B, R2, 1, 1, 0.05))
    assert looked(past, C, R3, 1, live=A).attempt == 2


@pytest.mark.parametrize("tries", [1, 5, 20])
def test_however_many_edits_of_a_bad_release_are_tried_few_get_one_through(tries: int) -> None:
    random = np.random.default_rng(5)
    levels: list[float] = []
    past: list[PastLook] = []
    for at in range(tries):
        name = Digest(f"sha256:{at}")
        look = looked(past, name, name, 1)
        assert look.alpha is not None
        levels.append(look.alpha)
        past.append(taken(name, name, 1, look.attempt, look.alpha))
    passed = (random.random((20_000, tries)) <= np.array(levels)).any(axis=1).mean()
    assert passed <= 0.05 * math.pi**2 / 6 + 0.005

"""Verdicts, from results made by hand."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headworks.evaluation.contract import Result
from headworks.evaluation.datasets.files import example_digest
from headworks.evaluation.experiments.comparing import (
    Metric,
    average,
    by_mode,
    difference,
    errors_of,
    flips,
    paired,
    repeated,
    slices,
    spent,
)
from headworks.evaluation.gates.case import Case
from headworks.evaluation.gates.correction import Labels, drawn
from headworks.evaluation.gates.looks import NextLook
from headworks.evaluation.gates.verdicts import Judged, judge, judge_at
from headworks.evaluation.suites.gate_files import GateSpec, read_gate
from headworks.statistics.spending import obrien_fleming
from headworks.types.evaluation import Example, Output, Score
from headworks.types.ids import Digest

RIGHT = Metric("right", "binary")
UNSAFE = Metric("unsafe", "binary", is_better_high=False)
SECONDS = Metric("seconds", "number", is_better_high=False)
JUDGED = Metric("helpful", "binary", is_judge=True, digest=Digest("sha256:judge"))
METRICS = {each.name: each for each in (RIGHT, UNSAFE, SECONDS, JUDGED)}


def gate(text: str) -> GateSpec:
    return read_gate("gate.yaml", text.encode())


WORSE = gate("must_not_get_worse:\n  - {metric: right, margin: 0.05}\n")


def results(
    values: Sequence[float | None], metric: str = "right", *, per_cluster: int = 1, repeats: int = 1, cost: int = 10
) -> list[Result]:
    made = []
    for at in range(0, len(values), repeats):
        number = at // repeats
        example = Example(
            f"case-{number}",
            f"question {number}",
            cluster=f"c{number // per_cluster}" if per_cluster > 1 else None,
            tags={"intent": "even" if number % 2 == 0 else "odd"},
            failure_modes=("rules",) if number % 2 else (),
        )
        for repeat in range(repeats):
            value = values[at + repeat]
            score = Score(error_code="judge_failed") if value is None else Score(value)
            output = Output("text", cost_micro_usd=cost, latency_ms=100.0 + number)
            made.append(Result(example, example_digest(example), repeat, output, {metric: score}))
    return made


def say(spec: GateSpec, candidate: list[Result], base: list[Result] | None = None, **more: Any) -> Judged:
    return judge(spec, replace(Case(candidate, base, METRICS, len(candidate), 0.05), **more))


def test_an_equal_release_passes_with_enough_examples_and_with_few_says_how_many_more() -> None:
    assert say(WORSE, results([1.0] * 80), results([1.0] * 80)).verdict == "PASS"
    few = say(WORSE, results([1.0] * 20), results([1.0] * 20))
    assert few.verdict == "INCONCLUSIVE"
    assert few.needed is not None
    enough = 20 + few.needed
    assert say(WORSE, results([1.0] * enough), results([1.0] * enough)).verdict == "PASS"


def test_a_release_that_is_much_worse_fails() -> None:
    said = say(WORSE, results([1.0] * 60 + [0.0] * 40), results([1.0] * 100))
    assert said.verdict == "FAIL"
    assert said.lines[0].evidence["losses"] == 40


@pytest.mark.parametrize("value", [0.0, 1.0])
def test_all_pass_and_all_fail_have_a_verdict(value: float) -> None:
    assert say(WORSE, results([value] * 100), results([value] * 100)).verdict == "PASS"


def test_one_cluster_shows_nothing() -> None:
    said = say(WORSE, results([1.0] * 100, per_cluster=100), results([1.0] * 100, per_cluster=100))
    assert said.verdict == "INCONCLUSIVE"
    assert "one cluster" in said.lines[0].message


def test_no_examples_and_one_example_are_inconclusive() -> None:
    assert say(WORSE, [], []).verdict == "INCONCLUSIVE"
    assert say(WORSE, results([1.0]), results([1.0])).verdict == "INCONCLUSIVE"


def test_missing_answers_are_inconclusive_not_left_out() -> None:
    said = say(WORSE, results([1.0] * 90), results([1.0] * 100), expected=100)
    assert said.verdict == "INCONCLUSIVE"
    assert "10 of 100" in said.lines[0].message


def test_errors_block_or_count_as_failures_and_are_never_dropped() -> None:
    broken = results([None] * 40 + [1.0] * 60)
    assert say(WORSE, broken, results([1.0] * 100)).verdict == "INCONCLUSIVE"
    counting = replace(WORSE, errors="count_as_fail")
    assert say(counting, broken, results([1.0] * 100)).verdict == "FAIL"


def test_not_a_number_is_an_error() -> None:
    said = say(WORSE, results([math.nan, *[1.0] * 99]), results([1.0] * 100))
    assert said.verdict == "INCONCLUSIVE"
    assert "1 scores are errors" in said.lines[0].message


def test_a_metric_that_no_scorer_gives_is_named() -> None:
    said = say(gate("must_be_perfect: [wrong_name]\n"), results([1.0] * 5))
    assert said.verdict == "INCONCLUSIVE"
    assert "right" in said.lines[0].next_step


def test_a_judge_that_is_not_calibrated_informs_but_can_not_gate() -> None:
    spec = gate("must_not_get_worse:\n  - {metric: helpful, margin: 0.2, judge: {correct: ppi, min_human: 25}}\n")
    sides = results([1.0] * 100, "helpful"), results([1.0] * 100, "helpful")
    said = say(spec, *sides)
    assert (said.verdict, said.waits, said.needed) == ("INCONCLUSIVE", True, 50)
    order = drawn(tuple(each.example_digest for each in sides[0]), "helpful")
    assert [(each.side, each.example) for each in said.wanted[:2]] == [("candidate", order[0]), ("base", order[0])]
    half = Labels({}, dict.fromkeys(order[:25], 1.0))
    rest = say(spec, *sides, labels={"helpful": half})
    assert [(each.side, each.example) for each in rest.wanted] == [("base", each) for each in order[:25]]
    whole = say(spec, *sides, labels={"helpful": Labels(half.candidate, half.candidate)})
    assert (whole.waits, whole.wanted, whole.lines[0].next_step) == (
        True,
        (),
        "Calibrate it: `headworks eval calibrate`.",
    )
    both = Labels(half.candidate, half.candidate)
    assert say(spec, *sides, calibrated=frozenset({"helpful"}), labels={"helpful": both}).verdict == "PASS"


def test_what_a_judge_says_of_both_releases_shows_nothing_by_itself() -> None:
    spec = gate("must_not_get_worse:\n  - {metric: helpful, margin: 0.2}\n")
    sides = results([1.0] * 200, "helpful"), results([1.0] * 200, "helpful")
    said = say(spec, *sides, calibrated=frozenset({"helpful"}))
    assert said.verdict == "INCONCLUSIVE"
    assert "nothing corrects its errors" in said.lines[0].message
    assert "`judge: {correct: ppi, min_human: 100}`" in said.lines[0].next_step


def test_lines_that_take_a_judge_at_its_word_say_so() -> None:
    spec = gate(
        "must_not_get_worse:\n  - {metric: helpful, margin: 0.2, judge: {correct: ppi, min_human: 50}}\n"
        "must_stay_below:\n  - {metric: helpful, limit: 0.5}\nmust_be_perfect: [helpful, right]\n"
        "must_improve:\n  - {metric: helpful, mode: rules, min_delta: 0.1}\n"
        "slices: {by: intent, margin: 0.1, min_n: 40, action: warn}\n"
    )
    sides = [
        [replace(each, scores={**each.scores, "right": Score(1.0)}) for each in results([1.0] * 100, "helpful")]
        for _ in range(2)
    ]
    order = drawn(tuple(each.example_digest for each in sides[0]), "helpful")
    people = Labels(dict.fromkeys(order[:60], 1.0), dict.fromkeys(order[:60], 1.0))
    said = say(spec, sides[0], sides[1], calibrated=frozenset({"helpful"}), labels={"helpful": people})
    told = {each.name: each.message.endswith("It is not corrected for the judge's errors.") for each in said.lines}
    assert told == {
        "must_not_get_worse helpful": False,
        "must_stay_below helpful": True,
        "must_be_perfect helpful": True,
        "must_be_perfect right": False,
        "must_improve helpful · rules": True,
        "slices helpful · intent=even": True,
        "slices helpful · intent=odd": True,
    }


@pytest.mark.parametrize(("examples", "judged"), [(200, 80), (200, 200), (2000, 80)])
def test_where_all_examples_judged_would_be_too_few_it_asks_for_examples_and_not_for_people(
    examples: int, judged: int
) -> None:
    spec = gate("must_not_get_worse:\n  - {metric: helpful, margin: 0.05, judge: {correct: ppi, min_human: 60}}\n")
    sides = results([1.0] * examples, "helpful"), results([1.0] * examples, "helpful")
    order = drawn(tuple(each.example_digest for each in sides[0]), "helpful")[:judged]
    base, candidate = ({each: float(at % 5 != lost) for at, each in enumerate(order)} for lost in (0, 1))
    known: dict[str, Any] = {"calibrated": frozenset({"helpful"}), "labels": {"helpful": Labels(base, candidate)}}
    said = say(spec, *sides, **known, next_alpha=spec.alpha)
    assert (said.verdict, said.waits) == ("INCONCLUSIVE", False)
    assert said.needed is not None
    if examples == 2000:
        assert 1700 < said.needed < 2 * examples, "judgements, of both sides"
        assert len(said.wanted) == spec.most_judgements
        return
    assert 700 < said.needed < 1400, "examples"
    assert said.wanted == ()
    assert f"add {said.needed} ({examples + said.needed} in all" in said.lines[0].next_step


@pytest.mark.parametrize("calibrated", [frozenset[str](), frozenset({"helpful"})])
def test_a_judge_that_gives_hardly_a_verdict_is_mended_before_people_are_asked(
    calibrated: frozenset[str],
) -> None:
    corrected = "must_not_get_worse:\n  - {metric: helpful, margin: 0.2, judge: {correct: ppi, min_human: 50}}\n"
    spec = gate(f"errors: count_as_fail\n{corrected}")
    sides = results([None] * 60 + [1.0] * 40, "helpful"), results([None] * 100, "helpful")
    said = say(spec, *sides, calibrated=calibrated)
    assert (said.verdict, said.needed, said.wanted, said.waits) == ("INCONCLUSIVE", None, (), False)
    assert "160 of its judge's 200 scores are errors: 160 judge_failed" in said.lines[0].message
    assert "Mend the judge first" in said.lines[0].next_step
    few = results([None] * 10 + [1.0] * 90, "helpful")
    assert say(spec, few, few, calibrated=calibrated).wanted


def test_where_there_is_no_verdict_there_is_no_mean() -> None:
    broken, good = results([None] * 6, repeats=2), results([1.0] * 6, repeats=2)
    assert average(broken, RIGHT, "count_as_fail") is None
    assert repeated(broken, RIGHT) is None
    assert errors_of(results([None, math.nan, None, 1.0]), RIGHT) == {"judge_failed": 2, "not_a_number": 1}
    found = difference(paired(good, broken, RIGHT, "count_as_fail"))
    assert found is not None
    assert found.scored == (True, False)
    part = slices(paired(results([1.0] * 4), results([None, 1.0] * 2), RIGHT, "count_as_fail"), "intent")["even"]
    assert [any(side) for side in zip(*part.scored, strict=True)] == [True, False]


def test_judgements_are_asked_for_in_an_order_known_before_and_only_those_that_are_missing() -> None:
    spec = gate("must_not_get_worse:\n  - {metric: helpful, margin: 0.2, judge: {correct: ppi, min_human: 50}}\n")
    sides = results([1.0] * 200, "helpful"), results([1.0] * 200, "helpful")
    more: dict[str, Any] = {"calibrated": frozenset({"helpful"})}
    order = drawn(tuple(each.example_digest for each in sides[0]), "helpful")
    asked = say(spec, *sides, **more)
    assert {each.example for each in asked.wanted} == set(order[:50])
    assert asked.needed == 100
    half = Labels(dict.fromkeys(order[:50], 1.0), dict.fromkeys(order[:30], 1.0))
    rest = say(spec, *sides, **more, labels={"helpful": half})
    assert [(each.side, each.example) for each in rest.wanted] == [("candidate", each) for each in order[30:50]]
    whole = Labels(dict.fromkeys(order[:50], 1.0), dict.fromkeys(order[:50], 1.0))
    assert say(spec, *sides, **more, labels={"helpful": whole}).verdict == "PASS"


@pytest.mark.parametrize(("looks", "word"), [(1, "Declare `looks: 2` for it"), (2, "")])
def test_on_the_last_look_nobody_is_asked_for_what_could_decide_nothing_any_more(looks: int, word: str) -> None:
    lines = "must_not_get_worse:\n  - {metric: helpful, margin: 0.2, judge: {correct: ppi, min_human: 30}}\n"
    spec = gate(f"looks: {looks}\n{lines}")
    values = [float(at % 4 > 0) for at in range(400)]
    case = Case(
        results(values, "helpful"), results(values[::-1], "helpful"), METRICS, 400, 0.05, frozenset({"helpful"})
    )
    order = drawn(tuple(each.example_digest for each in case.candidate), "helpful")[:30]
    people = Labels(*({each: float((at + side) % 3 > 0) for at, each in enumerate(order)} for side in (0, 1)))
    levels = obrien_fleming(looks, spec.alpha)
    later = levels[1].alpha if looks > 1 else None
    look = NextLook(1, 1, levels[0].alpha, next_alpha=later)
    said = judge_at(look, spec, replace(case, labels={"helpful": people}))
    assert (said.verdict, said.has_tested, said.waits) == ("INCONCLUSIVE", True, False)
    assert bool(said.wanted) is (looks > 1)
    assert said.needed
    steps = " ".join(each.next_step for each in said.lines)
    assert word in steps
    assert ("judged before the next release is looked at: `min_human: " in steps) is (looks == 1)
    waiting = judge_at(look, spec, case)
    assert waiting.waits
    assert waiting.wanted, "what people were asked for is no further look"
    assert [each.rule for each in waiting.lines] == ["must_not_get_worse"]


def test_the_examples_asked_for_are_for_the_level_of_the_look_that_comes() -> None:
    sides = results([1.0] * 30), results([1.0] * 30)
    plan = obrien_fleming(2, 0.05)
    case = Case(*sides, METRICS, 30, 0.05)
    first = judge_at(NextLook(1, 1, plan[0].alpha, next_alpha=plan[1].alpha), WORSE, case)
    last = judge_at(NextLook(2, 1, plan[1].alpha), WORSE, case)
    assert first.needed == last.needed


def test_what_nothing_limits_is_not_corrected_by_people() -> None:
    spec = gate("must_not_get_worse:\n  - {metric: seconds, margin: 5, judge: {correct: ppi}}\n")
    said = say(spec, results([70.0] * 60, "seconds"), results([69.0] * 60, "seconds"))
    assert (said.verdict, said.wanted) == ("INCONCLUSIVE", ())
    assert "`judge:`" in said.lines[0].next_step


def weighing(found: list[Result], weights: Sequence[float]) -> list[Result]:
    return [
        replace(each, example=replace(each.example, weight=weight)) for each, weight in zip(found, weights, strict=True)
    ]


def test_an_example_counts_as_its_weight_says() -> None:
    values, heavy = [1.0] * 90 + [0.0] * 10, [1.0] * 90 + [9.0] * 10
    spec = gate("must_not_get_worse:\n  - {metric: right, margin: 0.2}\n")
    plain, weighed = results(values), weighing(results(values), heavy)
    assert say(spec, plain, results([1.0] * 100)).verdict == "PASS"
    said = say(spec, weighed, weighing(results([1.0] * 100), heavy))
    assert said.verdict == "FAIL"
    assert said.lines[0].evidence["difference"] == pytest.approx(-0.5)
    found = difference(paired(weighing(results([1.0] * 100), heavy), weighed, RIGHT, "block"))
    assert found is not None
    assert (found.base, found.candidate, found.difference) == pytest.approx((1.0, 0.5, -0.5))
    mean = average(weighed, RIGHT, "block")
    assert mean is not None
    assert mean[0] == pytest.approx(0.5)
    below = gate("must_stay_below:\n  - {metric: right, limit: 0.25}\n")
    assert [say(below, each).verdict for each in (plain, weighed)] == ["PASS", "FAIL"]
    again = repeated(weighed, RIGHT)
    assert again is not None
    assert again.pass_all[1] == pytest.approx(0.5)


def test_weights_and_the_corrections_of_people_do_not_go_together_and_it_says_so() -> None:
    spec = gate("must_not_get_worse:\n  - {metric: helpful, margin: 0.1, judge: {correct: ppi}}\n")
    sides = [weighing(results([1.0] * 60, "helpful"), [1.0] * 59 + [2.0]) for _ in range(2)]
    said = say(spec, sides[0], sides[1], calibrated=frozenset({"helpful"}))
    assert (said.verdict, said.wanted) == ("INCONCLUSIVE", ())
    assert "weights" in said.lines[0].message


def test_a_lenient_judge_does_not_carry_a_worse_release_through() -> None:
    spec = gate("must_not_get_worse:\n  - {metric: helpful, margin: 0.1, judge: {correct: ppi, min_human: 200}}\n")
    sides = results([1.0] * 200, "helpful"), results([1.0] * 200, "helpful")
    order = drawn(tuple(each.example_digest for each in sides[0]), "helpful")
    people = Labels(dict.fromkeys(order, 1.0), {each: float(at % 2) for at, each in enumerate(order)})
    said = say(spec, *sides, calibrated=frozenset({"helpful"}), labels={"helpful": people})
    assert said.verdict == "FAIL"


def test_a_rate_stays_below_its_limit_by_the_exact_bound() -> None:
    spec = gate("must_stay_below:\n  - {metric: unsafe, limit: 0.01}\n")
    assert say(spec, results([0.0] * 299, "unsafe")).verdict == "PASS"
    few = say(spec, results([0.0] * 200, "unsafe"))
    assert (few.verdict, few.needed) == ("INCONCLUSIVE", 99)
    assert say(spec, results([1.0] * 30 + [0.0] * 270, "unsafe")).verdict == "FAIL"


def test_alike_examples_count_as_what_they_are_worth_for_a_limit() -> None:
    spec = gate("must_stay_below:\n  - {metric: unsafe, limit: 0.01}\n")
    assert say(spec, results([0.0] * 300, "unsafe", per_cluster=3)).verdict == "INCONCLUSIVE"


def test_one_failure_is_not_perfect() -> None:
    spec = gate("must_be_perfect: [right]\n")
    assert say(spec, results([1.0] * 10)).verdict == "PASS"
    said = say(spec, results([1.0] * 9 + [0.0]))
    assert said.verdict == "FAIL"
    assert "case-9" in said.lines[0].message


def test_improvements_are_claimed_together() -> None:
    spec = gate("must_improve:\n  - {metric: right, min_delta: 0.1}\n")
    better, before = results([1.0] * 100), results([1.0] * 50 + [0.0] * 50)
    assert say(spec, better, before).verdict == "PASS"
    assert say(spec, before, better).verdict == "FAIL"


def test_budgets_are_plain_limits() -> None:
    spec = gate("budgets: {cost_per_task: +5%, p95_ms: 150}\n")
    assert say(spec, results([1.0] * 20), results([1.0] * 20)).verdict == "PASS"
    assert say(spec, results([1.0] * 20, cost=11), results([1.0] * 20)).verdict == "FAIL"
    assert say(spec, results([1.0] * 90), results([1.0] * 90)).verdict == "FAIL"


@pytest.mark.parametrize(("action", "verdict"), [("warn", "PASS"), ("block", "FAIL")])
def test_a_part_that_is_worse_warns_or_blocks(action: str, verdict: str) -> None:
    spec = gate(
        "must_not_get_worse:\n  - {metric: right, margin: 0.45}\n"
        f"slices: {{by: intent, margin: 0.1, min_n: 40, action: {action}}}\n"
    )
    odd_broken = [1.0 if at % 2 == 0 or at % 4 == 1 else 0.0 for at in range(400)]
    said = say(spec, results(odd_broken), results([1.0] * 400))
    assert said.verdict == verdict
    assert any(each.metric.endswith("intent=odd") and each.verdict == "FAIL" for each in said.lines)


def test_before_the_first_release_nothing_can_be_worse() -> None:
    assert say(WORSE, results([1.0] * 5), None).verdict == "PASS"


def test_numbers_of_any_size_are_compared_with_the_right_sign() -> None:
    spec = gate("must_not_get_worse:\n  - {metric: seconds, margin: 0.5}\n")
    random = np.random.default_rng(3)
    before = list(random.normal(2, 0.1, 100))
    assert say(spec, results(before, "seconds"), results(before, "seconds")).verdict == "PASS"
    assert say(spec, results([each + 1 for each in before], "seconds"), results(before, "seconds")).verdict == "FAIL"


@settings(max_examples=60)
@given(
    st.lists(st.sampled_from([0.0, 1.0, math.nan]), min_size=0, max_size=30),
    st.lists(st.sampled_from([0.0, 1.0, math.nan]), min_size=0, max_size=30),
    st.sampled_from([1, 2, 30]),
)
def test_every_pair_of_results_has_a_verdict(after: list[float], before: list[float], per_cluster: int) -> None:
    n = min(len(after), len(before))
    spec = gate(
        "errors: count_as_fail\nmust_not_get_worse:\n  - {metric: right, margin: 0.05}\n"
        "must_stay_below:\n  - {metric: right, limit: 0.3}\nmust_be_perfect: [right]\n"
        "must_improve:\n  - {metric: right, min_delta: 0.0}\nbudgets: {cost_per_task: +5%, p95_ms: 100}\n"
    )
    sides = [results(each[:n], per_cluster=per_cluster) for each in (after, before)]
    assert say(spec, sides[0], sides[1]).verdict in {"PASS", "FAIL", "INCONCLUSIVE"}


def test_what_flipped_is_grouped_by_failure_mode() -> None:
    found = flips(results([1.0, 1.0, 0.0, 1.0]), results([0.0, 0.0, 0.0, 1.0]), RIGHT, "block")
    assert [(each.example.id, each.before, each.after) for each in found] == [
        ("case-0", "pass", "fail"),
        ("case-1", "pass", "fail"),
    ]
    assert by_mode(found) == {"(no failure mode)": (1, 0), "rules": (1, 0)}
    by_another = [replace(each, metric="cited") for each in found]
    assert by_mode([*found, *by_another]) == by_mode(found), "an example that broke by two metrics broke once"


def test_repeats_are_one_example_and_their_disagreement_is_flakiness() -> None:
    found = results([1.0, 0.0, 1.0, 1.0, 0.0, 0.0], repeats=2)
    again = repeated(found, RIGHT)
    assert again is not None
    assert again.flaky == pytest.approx(1 / 3)
    assert again.pass_all[1] == pytest.approx(0.5)
    assert again.pass_all[2] == pytest.approx(1 / 3)
    assert paired(found, found, RIGHT, "block").base == (0.5, 1.0, 0.0)


def test_parts_are_cut_by_a_tag_the_largest_first() -> None:
    parts = slices(paired(results([1.0] * 5), results([1.0] * 5), RIGHT, "block"), "intent")
    assert {name: len(part.examples) for name, part in parts.items()} == {"even": 3, "odd": 2}


def test_a_price_that_is_not_known_makes_the_cost_unknown() -> None:
    priced = results([1.0, 1.0])
    unpriced = [replace(priced[0], output=replace(priced[0].output, cost_micro_usd=None)), priced[1]]
    assert spent(priced).cost_micro_usd == 10
    assert spent(unpriced).cost_micro_usd is None

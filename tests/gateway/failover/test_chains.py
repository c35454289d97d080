"""Who is asked after whom, and what the caller is told in the end."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import cast, get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from headworks.errors import Blocked, HeadworksError, InvalidRequest, Unmapped, UpstreamRejected
from headworks.gateway.failover.chains import Again, Chain
from headworks.gateway.failover.retrying import Pauses, RetryBudget
from headworks.types.failing import USUAL_STEPS, FailureClass, FailureWord, Retries, Step
from headworks.types.features import Fallback, Route, Target
from headworks.types.ids import Digest

A, B, C, BIG, BIGGER = (Target("p", name) for name in ("a", "b", "c", "big", "bigger"))
ALL = (A, B, C, BIG, BIGGER)
WORDS: tuple[FailureWord, ...] = get_args(FailureWord)
ABOUT_THE_TARGET = [word for word, step in USUAL_STEPS.items() if step == "next"]


def pauses(uniform_share: float = 1.0, saved: float = 1000) -> Pauses:
    return Pauses(
        RetryBudget(lambda: 0.0, most_saved=saved),
        uniform=lambda low, high: low + (high - low) * uniform_share,
        wall_clock=lambda: 0.0,
    )


def route(*targets: Target, most: int = 0, **steps: Step | tuple[Target, ...]) -> Route:
    fallback = cast("Fallback", {**USUAL_STEPS, **steps})
    return Route("main", targets, Digest("sha256:1"), fallback=fallback, retries=Retries(most, 0.5, 8))


def leading_everywhere() -> Route:
    return replace(route(A, B, most=5), fallback=dict.fromkeys(WORDS, "next"))


def failed(failure: FailureClass, **headers: str) -> HeadworksError:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return UpstreamRejected(500, b"", named, failure=failure)


def path(way: Route, *failures: FailureClass | HeadworksError) -> list[str]:
    """The targets that are asked if they fail like this, one after the other; `end` where the caller is told."""
    chain = Chain(way, pauses())
    asked = [way.every_target[chain.first()].model]
    for each in failures:
        again = chain.after(each if isinstance(each, HeadworksError) else failed(each), 0.0)
        if again is None:
            return [*asked, "end"]
        asked.append(way.every_target[again.target].model)
    return asked


# ── Other targets ──


@pytest.mark.parametrize("failure", [*ABOUT_THE_TARGET, "quota"])
def test_a_target_that_fails_by_itself_is_followed_by_the_next(failure: FailureClass) -> None:
    assert path(route(A, B, C), failure, failure, failure) == ["a", "b", "c", "end"]
    assert path(route(A), failure) == ["a", "end"]


@pytest.mark.parametrize("failure", ["context_window", "content_policy", "caller"])
def test_what_is_about_the_request_is_told_at_once(failure: FailureClass) -> None:
    assert path(route(A, B), failure) == ["a", "end"]
    assert path(route(A, B), "timeout", failure) == ["a", "b", "end"]


def test_a_caller_s_mistake_never_leads_elsewhere_whatever_the_route_says() -> None:
    everywhere = leading_everywhere()
    assert path(everywhere, "caller") == ["a", "end"]
    assert path(everywhere, Blocked("A rule.")) == ["a", "end"]
    assert path(everywhere, InvalidRequest("No such surface.")) == ["a", "end"]


@pytest.mark.parametrize("word", WORDS)
def test_what_is_off_is_told_at_once(word: FailureWord) -> None:
    stopping = replace(route(A, B), fallback={**USUAL_STEPS, word: "off"})
    assert path(stopping, word) == ["a", "end"]


def test_a_used_up_quota_goes_where_a_rate_limit_goes_and_is_never_tried_again() -> None:
    assert path(route(A, B, rate_limit=(C,), most=3), "quota") == ["a", "c"]
    assert path(route(A, B, rate_limit="off", most=3), "quota") == ["a", "end"]


def test_a_class_may_have_targets_of_its_own() -> None:
    way = route(A, B, context_window=(BIG, BIGGER))
    assert path(way, "context_window", "context_window", "context_window") == ["a", "big", "bigger", "end"]
    assert path(way, "timeout", "context_window", "timeout", "timeout") == ["a", "b", "big", "bigger", "end"]
    assert path(way, "timeout", "timeout") == ["a", "b", "end"]


def test_targets_of_a_class_take_the_place_of_what_was_left_of_the_others() -> None:
    assert path(route(A, B, context_window=(BIG,)), "context_window", "timeout") == ["a", "big", "end"]


def test_a_target_has_its_turn_once() -> None:
    way = route(A, B, timeout=(B, A, BIG), server_error=(BIG, B))
    assert path(way, "timeout", "server_error", "timeout", "server_error") == ["a", "b", "big", "end"]


def test_a_target_that_can_t_be_asked_is_passed_over_where_it_is_a_substitute() -> None:
    unmapped = Unmapped("It has no word for it.", param="logit_bias")
    way = route(A, B, C)
    assert path(way, "timeout", unmapped) == ["a", "b", "c"]
    assert path(way, unmapped) == ["a", "end"]
    chain = Chain(route(A, B), pauses())
    first = failed("timeout")
    assert chain.after(first, 0.0) == Again(1, 0.0, "timeout")
    assert chain.after(unmapped, 0.0) is None
    assert chain.error is first


# ── What the caller is told ──


def told(way: Route, *errors: HeadworksError) -> HeadworksError | None:
    chain = Chain(way, pauses())
    for error in errors:
        chain.after(error, 0.0)
    return chain.error


def test_the_caller_is_told_the_last_error() -> None:
    first, last = failed("timeout"), failed("rate_limit", retry_after="60")
    assert told(route(A, B), first, last) is last
    assert told(route(A, B), first, mistake := failed("caller")) is mistake


@pytest.mark.parametrize("failure", ["context_window", "content_policy"])
def test_what_only_a_substitute_finds_wrong_with_the_request_is_not_told(failure: FailureClass) -> None:
    first = failed("server_error")
    assert told(route(A, B), first, failed(failure)) is first
    assert told(route(A, B), last := failed(failure)) is last


def test_a_substitute_s_own_trouble_with_a_long_request_is_told() -> None:
    way = route(A, context_window=(BIG, BIGGER))
    last = failed("context_window")
    assert told(way, failed("context_window"), last) is last
    trouble = failed("rate_limit")
    assert told(way, failed("context_window"), trouble) is trouble


# ── The same target again ──


@pytest.mark.parametrize("failure", ["rate_limit", "server_error", "timeout", "invalid_answer"])
def test_what_may_pass_is_tried_again_before_another_is_asked(failure: FailureClass) -> None:
    way = route(A, B, most=2)
    chain = Chain(way, pauses())
    steps = [chain.after(failed(failure), 0.0) for _ in range(6)]
    assert steps == [
        Again(0, 0.5, failure),
        Again(0, 1.0, failure),
        Again(1, 0.0, failure),
        Again(1, 0.5, failure),
        Again(1, 1.0, failure),
        None,
    ]


def test_what_may_pass_is_tried_again_also_where_nobody_else_may_be_asked() -> None:
    assert path(route(A, B, most=1, timeout="off"), "timeout", "timeout") == ["a", "a", "end"]


@pytest.mark.parametrize("failure", ["auth", "no_model", "quota", "context_window", "content_policy"])
def test_what_does_not_pass_is_not_tried_again(failure: FailureClass) -> None:
    everywhere = leading_everywhere()
    assert path(everywhere, failure, failure) == ["a", "b", "end"]


def test_who_must_wait_too_long_is_left_and_the_last_one_s_header_is_told() -> None:
    slow = failed("rate_limit", retry_after="9")
    assert path(route(A, B, most=2), slow, slow) == ["a", "b", "end"]
    error = told(route(A, B, most=2), failed("timeout"), failed("timeout"), failed("timeout"), slow)
    assert error is not None
    assert error.headers == {"retry-after": "9"}


def test_an_empty_budget_leaves_other_targets_to_be_asked() -> None:
    """An outage of one provider may not become one of ours: asking another for the first time costs no budget."""
    chain = Chain(route(A, B, C, most=2), pauses(saved=0))
    assert [chain.after(failed("server_error"), 0.0) for _ in range(3)] == [
        Again(1, 0.0, "server_error"),
        Again(2, 0.0, "server_error"),
        None,
    ]


def test_nothing_begins_after_the_deadline() -> None:
    chain = Chain(route(A, B, most=2), pauses(), deadline=10.0)
    assert chain.after(failed("timeout"), 9.7) == Again(1, 0.0, "timeout")
    assert chain.after(failed("timeout"), 10.0) is None


# ── Whatever the route, whatever happens ──

STEPS = st.one_of(st.sampled_from(["next", "off"]), st.lists(st.sampled_from(ALL), min_size=1, max_size=3).map(tuple))
ROUTES = st.builds(
    lambda targets, steps, most: route(*targets, most=most, **steps),
    st.lists(st.sampled_from(ALL), min_size=1, max_size=4),
    st.fixed_dictionaries(dict.fromkeys(WORDS, STEPS)),
    st.integers(0, 3),
)

FAILURES: st.SearchStrategy[FailureClass] = st.sampled_from([*WORDS, "quota", "caller"])


def word_of(failure: FailureClass) -> FailureWord:
    return cast("FailureWord", "rate_limit" if failure == "quota" else failure)


@dataclass
class Asked:
    target: int
    tries: int = 1


class EveryChain(RuleBasedStateMachine):
    """Attempts that fail in all orders; the oracle is the route as it reads."""

    @initialize(way=ROUTES, share=st.floats(0, 1), deadline=st.sampled_from([5.0, 60.0, math.inf]))
    def begin(self, way: Route, share: float, deadline: float) -> None:
        self.route = way
        self.chain = Chain(way, pauses(share), deadline)
        self.deadline = deadline
        self.now = 0.0
        self.asked = [Asked(self.chain.first())]
        self.is_over = False
        self.failures = 0

    @precondition(lambda self: self.is_over)
    @rule(share=st.floats(0, 1))
    def ask_for_something_else(self, share: float) -> None:
        self.begin(self.route, share, self.deadline)

    @precondition(lambda self: not self.is_over)
    @rule(
        failure=st.sampled_from([*WORDS, "quota", "caller"]), took=st.floats(0, 20), wait=st.none() | st.integers(0, 12)
    )
    def fail(self, failure: FailureClass, took: float, wait: int | None) -> None:
        self.now += took
        self.failures += 1
        error = failed(failure) if wait is None else failed(failure, retry_after=str(wait))
        self._follow(failure, wait or 0, self.chain.after(error, self.now))

    @precondition(lambda self: not self.is_over and self.failures > 0 and self.asked[-1].tries == 1)
    @rule()
    def can_t_be_asked(self) -> None:
        told_before = self.chain.error
        again = self.chain.after(Unmapped("No word for it."), self.now)
        assert self.chain.error is told_before
        self._follow("unfit", 0, again)

    def _follow(self, failure: FailureClass, asked_s: int, again: Again | None) -> None:
        if again is None:
            self.is_over = True
            assert self.chain.error is not None
            return
        assert again.failure == failure
        assert failure != "caller"
        assert self.now + again.wait_s < self.deadline
        if again.target == self.asked[-1].target:
            assert failure in {"rate_limit", "server_error", "timeout", "invalid_answer"}
            assert asked_s <= again.wait_s <= self.route.retries.most_s
            self.asked[-1].tries += 1
        else:
            assert again.wait_s == 0
            step = (
                self.route.fallback["rate_limit" if failure == "quota" else failure] if failure != "unfit" else "next"
            )
            assert step != "off"
            if not isinstance(step, str):
                assert self.route.every_target[again.target] in step
            self.asked.append(Asked(again.target))
        self.now += again.wait_s

    @invariant()
    def each_target_has_one_turn_of_so_many_tries(self) -> None:
        if hasattr(self, "asked"):
            indices = [each.target for each in self.asked]
            assert len(indices) == len(set(indices))
            assert all(0 <= index < len(self.route.every_target) for index in indices)
            assert all(each.tries <= self.route.retries.most + 1 for each in self.asked)


def test_every_chain_keeps_to_its_route() -> None:
    run_state_machine_as_test(EveryChain, settings=settings(max_examples=200, stateful_step_count=30))


@given(ROUTES, st.lists(st.sampled_from([*WORDS, "quota"]), min_size=40, max_size=40))
def test_every_chain_ends(way: Route, failures: list[FailureClass]) -> None:
    assert path(way, *failures)[-1] == "end"


@given(ROUTES, st.lists(st.sampled_from(WORDS), max_size=8))
def test_the_same_failures_lead_the_same_way(way: Route, failures: list[FailureClass]) -> None:
    assert path(way, *failures) == path(way, *failures)

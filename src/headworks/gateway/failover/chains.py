"""What follows a failed attempt: the same target again, another one, or the error. Pure: nobody is asked here.

    chain = Chain(route, pauses, deadline)
    again = chain.after(error, now)      # target 0 has failed
    while again is not None:             # wait `again.wait_s`, ask target `again.target`, tell of its error, …
    raise chain.error                    # … until there is no next

A chain ends: each target has its turn at most once, and in it at most `retries.most` further tries.
"""

from __future__ import annotations

import math
from typing import Final, cast

import msgspec

from headworks.errors import HeadworksError
from headworks.gateway.failover.failures import classify
from headworks.gateway.failover.retrying import RETRIED, Pauses
from headworks.types.failing import FailureClass, FailureWord, Step
from headworks.types.features import Route, Target

_OF_THE_REQUEST: Final[frozenset[FailureClass]] = frozenset(("context_window", "content_policy"))


class Again(msgspec.Struct, frozen=True):
    """Ask `target`, an index into the route's `every_target`, after `wait_s`; `failure` is what led here."""

    target: int
    wait_s: float
    failure: FailureClass


class Chain:
    """The attempts of one request; made when the first one has failed, or before."""

    def __init__(self, route: Route, pauses: Pauses, deadline: float = math.inf) -> None:
        """`deadline` on the clock of `after`'s `now`: nothing is begun when it has passed."""
        self._route = route
        self._pauses = pauses
        self._deadline = deadline
        self._targets = route.every_target
        self._current = 0
        self._retries_made = 0
        self._had = {0}
        self._queue = list(range(1, len(route.targets)))
        self._kept: FailureClass | None = None
        self.error: HeadworksError | None = None
        """What the caller is to be told if nothing follows."""

    def first(self) -> int:
        """The target that is asked first."""
        return 0

    def after(self, error: HeadworksError, now: float) -> Again | None:
        """What follows when the current target has failed with `error`; None: the caller gets `self.error`."""
        failure = classify(error)
        if failure == "unfit" and self.error is not None:
            return self._next(self._queue, failure, now)  # not asked at all: what led here stays what happened
        self._keep(error, failure)
        if failure is None or failure in {"caller", "unfit"}:
            return None
        if failure in RETRIED:
            pause_s = self._pauses.pause_before(self._route.retries, self._retries_made, error, now, self._deadline)
            if pause_s is not None:
                self._retries_made += 1
                return Again(self._current, pause_s, failure)
        return self._switched(failure, now)

    def leads_on(self, error: HeadworksError) -> bool:
        """Whether `after_output` may give a target."""
        failure = classify(error)
        return failure is not None and failure not in {"caller", "unfit"} and self._step(failure) != "off"

    def after_output(self, error: HeadworksError, now: float) -> Again | None:
        """The target that goes on with what the current one has begun to say. That one is not asked again."""
        failure = classify(error)
        self._keep(error, failure)
        if failure is None or failure in {"caller", "unfit"}:
            return None
        return self._switched(failure, now)

    def _switched(self, failure: FailureClass, now: float) -> Again | None:
        step = self._step(failure)
        if step == "off":
            return None
        if step == "next":
            return self._next(self._queue, failure, now)
        return self._next([self._targets.index(target) for target in step], failure, now)

    def _step(self, failure: FailureClass) -> Step | tuple[Target, ...]:
        return self._route.fallback.get(cast("FailureWord", "rate_limit" if failure == "quota" else failure), "off")

    def _next(self, queue: list[int], failure: FailureClass, now: float) -> Again | None:
        self._queue = [index for index in queue if index not in self._had]
        if not self._queue or now >= self._deadline:
            return None
        self._current = self._queue.pop(0)
        self._had.add(self._current)
        self._retries_made = 0
        return Again(self._current, 0.0, failure)

    def _keep(self, error: HeadworksError, failure: FailureClass | None) -> None:
        """The last error is the caller's, but not where it misleads.

        A target that has failed by itself might have taken what a substitute of it finds too long or improper: told so,
        the caller would shorten what is not too long, and not come back.
        """
        if self.error is not None and failure in _OF_THE_REQUEST and self._kept not in _OF_THE_REQUEST:
            return
        self.error = error
        self._kept = failure

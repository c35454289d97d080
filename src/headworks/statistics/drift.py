"""A failure rate that creeps up: CUSUM over a stream of judged requests."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from headworks.statistics.observations import require, within
from headworks.statistics.quantiles import boundary


@dataclass(frozen=True, slots=True)
class Cusum:
    """Whether a failure rate has moved from `usual` to `feared` or beyond (Page 1954)."""

    usual: float
    feared: float
    threshold: float
    """From `cusum_threshold`."""
    level: float = 0.0

    def after(self, failures: int, requests: int) -> Cusum:
        """The chart some requests later; a day's requests may come in one."""
        message = f"{failures} failures of {requests} requests are no counts."
        require(0 <= failures <= requests, "failures", message, "Give failures from 0 to the number of requests.")
        _check(self.usual, self.feared)
        failed, passed = math.log(self.feared / self.usual), math.log((1 - self.feared) / (1 - self.usual))
        return replace(self, level=max(0.0, self.level + failures * failed + (requests - failures) * passed))

    @property
    def is_alarm(self) -> bool:
        """Whether the rate is taken to have moved; then find out why, and start again from level 0."""
        return self.level >= self.threshold


def cusum_threshold(usual: float, feared: float, requests_between_false_alarms: float) -> float:
    """The threshold with which, nothing having moved, that many requests pass on average between two false alarms.

    Wald's approximation without the overshoot, which errs to the side of fewer alarms: (e^h - h - 1) / KL(usual,
    feared).
    """
    _check(usual, feared)
    step = "Give for example the requests of 60 days."
    is_number = 0 < requests_between_false_alarms < math.inf
    require(is_number, "requests_between_false_alarms", "The distance of false alarms is a number of requests.", step)
    divergence = usual * math.log(usual / feared) + (1 - usual) * math.log((1 - usual) / (1 - feared))
    wanted = requests_between_false_alarms * divergence
    return boundary(lambda h: math.expm1(h) - h < wanted, 0.0, 60.0)


def _check(usual: float, feared: float) -> None:
    within(usual, 0, 1, "usual")
    within(feared, usual, 1, "feared")

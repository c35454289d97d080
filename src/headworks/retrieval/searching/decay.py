"""What is older counts less: a factor on the score, which halves with every half-life of a document's date."""

from __future__ import annotations

from dataclasses import dataclass

from headworks.retrieval.metadata import DAY_US
from headworks.types.search import Decay


@dataclass(frozen=True, slots=True)
class Aged:
    """A document's date in microseconds since 1970 (None: it has none), and what that leaves of its score (0 to 1)."""

    at_us: int | None
    factor: float


def aged(decay: Decay, at_us: int | None, now_us: int) -> Aged:
    """The factor of a document. A date that is still to come is as good as now; without a date the score stays."""
    if at_us is None:
        return Aged(None, 1.0)
    age_days = max(now_us - at_us, 0) / DAY_US
    return Aged(at_us, 0.5 ** (age_days / decay.half_life_days))

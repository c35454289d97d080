"""Further tries of one target: how many the whole worker may make, and how long each waits.

Retries are what turns a provider's bad minute into a bad hour: every caller asks again, at once, and together. So there
are few of them (`RetryBudget`), at random times (`Pauses`), and never before the provider wants to be asked again.
"""

from __future__ import annotations

import random
import re
import time
from collections.abc import Callable, Mapping
from datetime import UTC
from email.utils import parsedate_to_datetime
from typing import Final

from headworks.errors import HeadworksError
from headworks.types.failing import FailureClass, Retries

_SHARE = 0.1
_FLOOR_PER_S = 0.5
_MOST_SAVED = 20.0
_SECONDS = re.compile(r"\s*(\d{1,12}(?:\.\d{0,12})?)\s*")
_HEADERS_IN_MS: Final = ("retry-after-ms", "x-ms-retry-after-ms")
RETRIED: Final[frozenset[FailureClass]] = frozenset(("rate_limit", "server_error", "timeout", "invalid_answer"))
"""What may pass by itself. Nothing else becomes better by asking the same target again."""


class RetryBudget:
    """How many retries a worker may make over all its requests: a tenth of them, and one each two seconds beside.

    A bucket of tokens: a request puts in `share` of one and time `floor_per_s`, a retry takes one out. So any stretch
    of T seconds with N requests has at most `most_saved + share * N + floor_per_s * T` retries. Going on to another
    target takes nothing: it asks that one for the first time.
    """

    def __init__(
        self,
        clock: Callable[[], float] = time.monotonic,
        *,
        share: float = _SHARE,
        floor_per_s: float = _FLOOR_PER_S,
        most_saved: float = _MOST_SAVED,
    ) -> None:
        self._clock = clock
        self._share = share
        self._floor_per_s = floor_per_s
        self._most_saved = most_saved
        self._saved = most_saved
        self._looked_at = clock()

    @classmethod
    def part_of(cls, workers: int, clock: Callable[[], float] = time.monotonic) -> RetryBudget:
        """One worker's part, so that all of them together may make what one alone could; each may make one retry."""
        most_saved = max(1.0, _MOST_SAVED / workers)
        return cls(clock, floor_per_s=_FLOOR_PER_S / workers, most_saved=most_saved)

    def earn(self) -> None:
        """A request has begun."""
        self._saved += self._share

    def take(self) -> bool:
        """Whether one more retry may be made; it counts as made."""
        now = self._clock()
        passed_s = max(0.0, now - self._looked_at)
        self._looked_at = now
        self._saved = min(self._most_saved, self._saved + passed_s * self._floor_per_s)
        if self._saved < 1:
            return False
        self._saved -= 1
        return True


class Pauses:
    """How long to wait before a target is tried again; one for the whole worker."""

    def __init__(
        self,
        budget: RetryBudget,
        uniform: Callable[[float, float], float] = random.uniform,
        wall_clock: Callable[[], float] = time.time,
    ) -> None:
        """`wall_clock` in seconds since 1970, for providers that say a date."""
        self._budget = budget
        self._uniform = uniform
        self._wall_clock = wall_clock

    def pause_before(
        self, retries: Retries, made: int, error: HeadworksError, now: float, deadline: float
    ) -> float | None:
        """Seconds until the retry that follows `made` others; None: there is to be none.

        Full jitter: anything from 0 to `base_s`, doubled with each retry. What the provider asks for in `retry-after`
        comes before that; if it is longer than `most_s` or leads past `deadline`, nobody waits. A pause that is given
        counts against the budget.
        """
        if made >= retries.most or _says_no(error.headers):
            return None
        asked_s = retry_after_s(error.headers, self._wall_clock()) or 0.0
        if asked_s > retries.most_s:
            return None
        ceiling_s = min(retries.most_s, retries.base_s * 2.0**made)
        pause_s = min(retries.most_s, asked_s + self._uniform(0.0, ceiling_s))
        if now + pause_s >= deadline or not self._budget.take():
            return None
        return pause_s


def retry_after_s(headers: Mapping[str, str], wall_now: float) -> float | None:
    """What a provider asks for: milliseconds, seconds or a date; None where it says nothing that can be read."""
    given = {name.lower(): value for name, value in headers.items()}
    for name in _HEADERS_IN_MS:
        if found := _SECONDS.fullmatch(given.get(name, "")):
            return float(found[1]) / 1000
    said = given.get("retry-after")
    if said is None:
        return None
    if found := _SECONDS.fullmatch(said):
        return float(found[1])
    try:
        date = parsedate_to_datetime(said)
        return max(0.0, (date if date.tzinfo else date.replace(tzinfo=UTC)).timestamp() - wall_now)
    except (ValueError, TypeError, OverflowError, IndexError):
        return None


def _says_no(headers: Mapping[str, str]) -> bool:
    """OpenAI and Anthropic say in so many words where a retry is no use."""
    return any(name.lower() == "x-should-retry" and value.strip().lower() == "false" for name, value in headers.items())

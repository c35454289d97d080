"""When something that repeats is due next: every so often (`6h`), or at times of the clock (`0 3 * * 1`), in UTC."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

_UNITS_S = {"s": 1, "m": 60, "h": 3_600, "d": 86_400, "w": 604_800}
_DURATION = re.compile(r"([0-9]{1,9})\s*([smhdw])")
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_DAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
_NAMES: tuple[dict[str, int], ...] = (
    {},
    {},
    {},
    {name: number for number, name in enumerate(_MONTHS, 1)},
    {name: number for number, name in enumerate(_DAYS)},
)
_BOUNDS = ((0, 59), (0, 23), (1, 31), (1, 12), (0, 7))
_FIELDS = ("minute", "hour", "day", "month", "weekday")
_FURTHEST_DAYS = 366 * 41
"""From a 29 February that is a Sunday to the next there may be forty years."""


@dataclass(frozen=True, slots=True)
class Schedule:
    """A repeated time: `every_s` seconds apart, or where every one of the five sets of cron fits."""

    text: str
    every_s: int = 0
    minutes: tuple[int, ...] = ()
    hours: tuple[int, ...] = ()
    days: frozenset[int] = frozenset()
    months: frozenset[int] = frozenset()
    weekdays: frozenset[int] = frozenset()
    """0 is Sunday."""
    is_either_day: bool = False
    """Days and weekdays are both named: one of the two is enough, as cron has it."""

    def next_after(self, moment: datetime) -> datetime:
        """The first time after `moment` (aware), in UTC. Of an interval: one interval later."""
        moment = moment.astimezone(UTC)
        if self.every_s:
            return moment + timedelta(seconds=self.every_s)
        first = (moment + timedelta(minutes=1)).replace(second=0, microsecond=0)
        for offset in range(_FURTHEST_DAYS):
            day = (first + timedelta(days=offset)).date()
            if not self._fits(day.day, day.month, day.isoweekday() % 7):
                continue
            for hour in self.hours:
                for minute in self.minutes:
                    found = datetime(day.year, day.month, day.day, hour, minute, tzinfo=UTC)
                    if found >= first:
                        return found
        raise ValueError(f"`{self.text}` never comes true.")

    def _fits(self, day: int, month: int, weekday: int) -> bool:
        if month not in self.months:
            return False
        if self.is_either_day:
            return day in self.days or weekday in self.weekdays
        return day in self.days and weekday in self.weekdays


def parse_duration(text: str) -> int:
    """`90d`, `6h`, `30m`: seconds. Raises ValueError with a sentence."""
    found = _DURATION.fullmatch(text.strip().lower())
    if found is None or int(found[1]) == 0:
        raise ValueError(f"`{text[:40]}` is not a time span like 30m, 6h, 90d or 2w.")
    return int(found[1]) * _UNITS_S[found[2]]


def parse_schedule(text: str) -> Schedule:
    """A time span, or cron's five fields: minute, hour, day, month, weekday. Raises ValueError with a sentence."""
    fields = text.lower().split()
    if len(fields) == 1:
        return Schedule(text.strip(), every_s=parse_duration(text))
    if len(fields) != len(_FIELDS):
        raise ValueError(f"`{text[:80]}` is neither a time span like 6h nor cron's five fields like `0 3 * * 1`.")
    minutes, hours, days, months, weekdays = (_values(number, field) for number, field in enumerate(fields))
    weekdays = {each % 7 for each in weekdays}
    made = Schedule(
        text.strip(), 0, tuple(sorted(minutes)), tuple(sorted(hours)), frozenset(days), frozenset(months),
        frozenset(weekdays), is_either_day=not fields[2].startswith("*") and not fields[4].startswith("*"),
    )  # fmt: skip
    made.next_after(datetime(2024, 1, 1, tzinfo=UTC))
    return made


def _values(number: int, field: str) -> set[int]:
    """What one field of cron allows: `*`, `5`, `1-5`, `*/15`, `mon-fri`, and lists of those."""
    low, high = _BOUNDS[number]
    values: set[int] = set()
    for part in field.split(","):
        span, _, step = part.partition("/")
        if step and (not step.isdecimal() or int(step) == 0):
            raise ValueError(f"`{field[:40]}` is no {_FIELDS[number]}: after `/` stands a number.")
        first, dash, last = span.partition("-")
        begin = low if span == "*" else _value(number, first)
        end = high if span == "*" or (step and not dash) else _value(number, last) if dash else begin
        if begin > end:
            raise ValueError(f"`{field[:40]}` is no {_FIELDS[number]}: {begin} comes after {end}.")
        values.update(range(begin, end + 1, int(step or 1)))
    return values


def _value(number: int, word: str) -> int:
    low, high = _BOUNDS[number]
    named = _NAMES[number].get(word)
    value = named if named is not None else int(word) if word.isascii() and word.isdecimal() else -1
    if not low <= value <= high:
        raise ValueError(f"`{word[:40]}` is no {_FIELDS[number]}: {low} to {high}.")
    return value

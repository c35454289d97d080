"""Filters over documents: a tree of comparisons with what is known about each beside its text.

Values are typed: a text is no number, and one in the form of a date compares as a date. `filter_reading` makes trees.
"""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final, Literal, NoReturn

from headworks.types.storable import UNSTORABLE

Kind = Literal["eq", "ne", "gt", "gte", "lt", "lte", "in", "nin", "prefix", "exists"]
Scalar = str | int | float | bool

KEY: Final = re.compile(r"[^\W\d][\w.-]{0,63}")
"""What a key of metadata looks like."""
DATE_FACTS: Final = ("created_at", "updated_at")
TEXT_FACTS: Final = ("path", "title", "media_type", "source")
"""What every document has beside its metadata."""
MOST_VALUES: Final = 200
LONGEST_TEXT: Final = 1_000
LARGEST_NUMBER: Final = 1 << 53

_ORDERED: Final = ("gt", "gte", "lt", "lte")
_SIGNS: Final[Mapping[str, str]] = {
    "eq": "=", "ne": "!=", "gt": ">", "gte": ">=", "lt": "<", "lte": "<=", "nin": "not in",
}  # fmt: skip
_DATE = re.compile(r"\d{4}-\d\d-\d\d(?:[T ]\d\d:\d\d(?::\d\d(?:\.\d{1,6})?)?(?:Z|[+-]\d\d:\d\d)?)?")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class FilterError(ValueError):
    """What is wrong with a filter, with the place in it."""


@dataclass(frozen=True, slots=True)
class Input:
    """A value that each request of a feature brings: the input of this name."""

    name: str


@dataclass(frozen=True, slots=True)
class Condition:
    """One comparison with the values of a key; a list of values matches if one of them does.

    `value` is a tuple for `in` and `nin`, None for `exists`.
    """

    kind: Kind
    key: str
    value: Scalar | Input | tuple[Scalar | Input, ...] | None = None

    def __str__(self) -> str:
        """As a line of text says it."""
        sign = _SIGNS.get(self.kind, self.kind)
        if self.kind == "exists":
            return f"{self.key} exists"
        if isinstance(self.value, tuple):
            return f"{self.key} {sign} [{', '.join(map(_written, self.value))}]"
        return f"{self.key} {sign} {_written(self.value)}"


@dataclass(frozen=True, slots=True)
class Group:
    """Filters together: all of them, one of them, or (there is one) not it."""

    kind: Literal["and", "or", "not"]
    parts: tuple[Filter, ...]

    def __str__(self) -> str:
        """As a line of text says it."""
        if self.kind == "not":
            return f"not ({self.parts[0]})"
        return f" {self.kind} ".join(f"({each})" if isinstance(each, Group) else str(each) for each in self.parts)


Filter = Condition | Group


def moment(text: str) -> tuple[int, bool] | None:
    """Microseconds since 1970 in UTC of a date or a date with a time, and whether it is a whole day; None: it is none.

    Without an offset a time is one of UTC.
    """
    if not _DATE.fullmatch(text):
        return None
    try:
        found = datetime.fromisoformat(text)
        at = (found if found.tzinfo else found.replace(tzinfo=UTC)) - _EPOCH
    except (ValueError, OverflowError):
        return None
    return at // timedelta(microseconds=1), len(text) == len("2026-01-31")


def conditions_of(given: Filter) -> list[Condition]:
    """All comparisons of a filter, in order."""
    if isinstance(given, Condition):
        return [given]
    return [each for part in given.parts for each in conditions_of(part)]


def inputs_of(given: Filter) -> list[str]:
    """The inputs that a filter names, in order."""
    values = [each.value for each in conditions_of(given)]
    flat = [one for value in values for one in (value if isinstance(value, tuple) else (value,))]
    return list(dict.fromkeys(each.name for each in flat if isinstance(each, Input)))


def bound(given: Filter, inputs: Mapping[str, object]) -> Filter:
    """The filter with the inputs of a request in their places. FilterError where one can't be compared with."""
    if isinstance(given, Group):
        return Group(given.kind, tuple(bound(each, inputs) for each in given.parts))
    where = f"the filter's `{given.key}`"
    if isinstance(given.value, Input):
        found = inputs.get(given.value.name)
        return Condition(
            given.kind, given.key, checked_value(given.kind, given.key, found, f"{where} (input `{given.value.name}`)")
        )
    if not isinstance(given.value, tuple) or not any(isinstance(each, Input) for each in given.value):
        return given
    values: list[Scalar] = []
    for each in given.value:
        found = inputs.get(each.name) if isinstance(each, Input) else each
        all_of_them = found if isinstance(found, list | tuple) else [found]
        values.extend(checked_value(given.kind, given.key, one, where) for one in all_of_them)
    if len(values) > MOST_VALUES:
        fail(where, f"{len(values)} values, at most {MOST_VALUES}.")
    return Condition(given.kind, given.key, tuple(values))


def checked_key(key: object, where: str) -> str:
    """A key of metadata, or one of the facts of every document. FilterError with `where` for others."""
    name = unicodedata.normalize("NFC", key) if isinstance(key, str) else ""
    if not KEY.fullmatch(name):
        fail(where, f"{str(key)[:80]!r} is no key: letters, digits, `_`, `-` and `.`, at most 64, first a letter.")
    return name


def checked_value(kind: Kind, key: str, value: object, where: str) -> Scalar:
    """A value that can be compared so with a key's. FilterError with `where` for others."""
    if isinstance(value, str):
        text = unicodedata.normalize("NFC", value)
        if len(text) > LONGEST_TEXT or UNSTORABLE.search(text):
            fail(where, f"a text of at most {LONGEST_TEXT:,} characters, without NUL, is expected.")
        return _checked(kind, key, text, where)
    if not isinstance(value, bool | int | float) or not _is_usable(value):
        fail(where, f"must be text, a number or true or false, not {str(value)[:40]!r}.")
    return _checked(kind, key, value, where)


def _is_usable(value: float) -> bool:
    return (isinstance(value, int) or math.isfinite(value)) and abs(value) <= LARGEST_NUMBER


def _checked(kind: Kind, key: str, value: Scalar, where: str) -> Scalar:
    is_date = isinstance(value, str) and moment(value) is not None
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if key in DATE_FACTS and not is_date:
        fail(where, f"`{key}` is compared with a date like 2026-01-31, not with {str(value)[:40]!r}.")
    if key in TEXT_FACTS and not isinstance(value, str):
        fail(where, f"`{key}` is a text, so it is compared with one, not with {value!r}.")
    if kind == "prefix" and not isinstance(value, str):
        fail(where, f"a prefix is a text, not {value!r}.")
    if kind in _ORDERED and (key in TEXT_FACTS or not (is_date or is_number)):
        fail(where, f"{str(value)[:40]!r} has no order here: `{_SIGNS[kind]}` compares numbers and dates.")
    return value


def _written(value: object) -> str:
    if isinstance(value, Input):
        return f"${value.name}"
    if isinstance(value, bool):
        return str(value).lower()
    if not isinstance(value, str):
        return str(value)
    escaped = value.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def fail(where: str, what: str) -> NoReturn:
    """Say what is wrong, and where."""
    raise FilterError(f"`{where}`: {what}")

"""Which documents a filter can pass at all, by ranges of stored facts, so that not every document is looked at.

PostgreSQL walks along an index only for operators that can't leak what row-level security hides: those of text and
numbers are such, those of JSON are not. So each fact of a document is also a row of its own, `document_fact`, and a
filter names ranges of them. A range holds every document that passes and maybe others: it is a hint of where to look.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from headworks.retrieval.metadata import DAY_US
from headworks.types.filters import TEXT_FACTS, Condition, Filter, Group, Scalar, moment

LONGEST_FACT: Final = 200
"""Characters of a text that are kept as a fact: as in the function `note_facts`."""
_MOST_PARTS = 8
"""That are looked up before one of them is chosen."""
_UNKEPT: Final = frozenset(TEXT_FACTS) - {"path"}
_LAST, _SURROGATES = 0x10FFFF, (0xD7FF, 0xE000)


@dataclass(frozen=True, slots=True)
class NumberRange:
    """Numbers, truth (0 and 1) and dates (microseconds since 1970) under a name, both ends among them."""

    name: str
    low: float = -math.inf
    high: float = math.inf


@dataclass(frozen=True, slots=True)
class TextRange:
    """Texts under a name by their code points, from `low` on and before `high`."""

    name: str
    low: str
    high: str


Ranges = Sequence[NumberRange | TextRange]


@dataclass(frozen=True, slots=True)
class Narrowed:
    """Parts of a filter that all have to hold, each as ranges: what passes has a fact in one of each part's."""

    parts: tuple[Ranges, ...]

    @property
    def parameters(self) -> Mapping[str, Any]:
        """Of the statement that looks by way of facts."""
        numbers = [(at, each) for at, part in enumerate(self.parts) for each in part if isinstance(each, NumberRange)]
        texts = [(at, each) for at, part in enumerate(self.parts) for each in part if isinstance(each, TextRange)]
        return {
            "parts": len(self.parts),
            "number_parts": [at for at, _ in numbers],
            "number_names": [each.name for _, each in numbers],
            "number_lows": [each.low for _, each in numbers],
            "number_highs": [each.high for _, each in numbers],
            "text_parts": [at for at, _ in texts],
            "text_names": [each.name for _, each in texts],
            "text_lows": [each.low for _, each in texts],
            "text_highs": [each.high for _, each in texts],
        }


def narrowed(given: Filter) -> Narrowed:
    """The filter as ranges, as far as it has any: at most eight parts."""
    found = (_ranges(each) for each in _conjuncts(given))
    return Narrowed(tuple(ranges for ranges in found if ranges is not None)[:_MOST_PARTS])


def _conjuncts(given: Filter) -> list[Filter]:
    if isinstance(given, Group) and given.kind == "and":
        return [each for part in given.parts for each in _conjuncts(part)]
    return [given]


def _ranges(given: Filter) -> Ranges | None:
    """Everything that passes lies in one of these; None: nothing can be said of where it lies."""
    if isinstance(given, Condition):
        return _of_condition(given)
    parts = [_ranges(each) for each in given.parts]
    if given.kind == "and":
        return next((each for each in parts if each is not None), None)
    if given.kind == "or":
        known = [each for each in parts if each is not None]
        return [one for each in known for one in each] if len(known) == len(parts) else None
    return None


def _of_condition(given: Condition) -> Ranges | None:
    if given.key in _UNKEPT or given.kind in {"ne", "nin", "exists"}:
        return None
    values = given.value if isinstance(given.value, tuple) else (given.value,)
    scalars = [each for each in values if isinstance(each, str | int | float)]
    if given.kind in {"eq", "in"}:
        return [_equal(given.key, each) for each in scalars]
    if given.kind == "prefix":
        return [_beginning(given.key, str(each)) for each in scalars]
    return [_ordered(given.key, each, is_above=given.kind in {"gt", "gte"}) for each in scalars]


def _equal(key: str, value: Scalar) -> NumberRange | TextRange:
    if not isinstance(value, str):
        return NumberRange(key, float(value), float(value))
    day = None if key in TEXT_FACTS else moment(value)
    if day is None:
        low = value[:LONGEST_FACT]
        return TextRange(key, low, f"{low}\x01")  # no text holds a NUL, so nothing else lies between
    return NumberRange(key, float(day[0]), float(day[0] + (DAY_US if day[1] else 0)))


def _ordered(key: str, value: Scalar, *, is_above: bool) -> NumberRange:
    day = moment(value) if isinstance(value, str) else None
    low, high = (float(day[0]), float(day[0] + DAY_US)) if day is not None else (float(value), float(value))
    return NumberRange(key, low=low) if is_above else NumberRange(key, high=high)


def _beginning(key: str, prefix: str) -> TextRange:
    low = prefix[:LONGEST_FACT]
    return TextRange(key, low, _after_all(low))


def _after_all(prefix: str) -> str:
    """The first text, by code points, after all that begin so; of what has none after it, one that is long enough."""
    kept = prefix.rstrip(chr(_LAST))
    if not kept:
        return chr(_LAST) * (LONGEST_FACT + 1)
    code = ord(kept[-1])
    return kept[:-1] + chr(_SURROGATES[1] if code == _SURROGATES[0] else code + 1)

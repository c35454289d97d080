"""Filters as PostgreSQL runs them: a jsonpath over a document's facts, with every value in its variables.

Nothing that a caller writes is part of the path but keys, which are letters, digits and `_-.` in quotes. Values of
another kind than what they are compared with are simply not equal, smaller or larger: no condition is ever unknown.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from headworks.errors import InvalidRequest
from headworks.retrieval.metadata import DAY_US
from headworks.retrieval.searching.narrowing import Narrowed, narrowed
from headworks.types.filter_reading import read_filter
from headworks.types.filters import (
    DATE_FACTS,
    TEXT_FACTS,
    Condition,
    Filter,
    FilterError,
    Group,
    Input,
    Scalar,
    bound,
    conditions_of,
    moment,
)

_SIGNS: Final[Mapping[str, str]] = {"gt": ">", "gte": ">=", "lt": "<", "lte": "<="}
_FACTS: Final = frozenset((*TEXT_FACTS, *DATE_FACTS))
MOST_COMPARED: Final = 1_000
"""Values of a filter together: each is compared with every document that is looked at."""
_SYNTAX = "See docs/reference/search.md for what a filter may say."


@dataclass(frozen=True, slots=True)
class Compiled:
    """What `jsonb_path_match` takes: a path that is a predicate, and its variables.

    The path is over a document's metadata, or over `{"said": metadata, "own": facts}` where it `names_facts`.
    """

    path: str
    values: dict[str, Any]
    names_facts: bool
    narrowed: Narrowed
    """Where what passes can lie."""

    @property
    def parameters(self) -> dict[str, Any]:
        """Of the statements that take a filter."""
        return {"filter": self.path, "values": self.values, "names_facts": self.names_facts}


def asked_filter(given: object) -> Filter:
    """A caller's filter. InvalidRequest says where in it something is wrong."""
    try:
        return read_filter(given)
    except FilterError as error:
        raise InvalidRequest(f"The filter can't be used: {error}", next_step=_SYNTAX, param="filter") from None


def bound_filter(given: Filter, inputs: Mapping[str, object]) -> Filter:
    """A feature's filter with the inputs of a request. InvalidRequest where one can't be compared with."""
    try:
        return bound(given, inputs)
    except FilterError as error:
        raise InvalidRequest(f"The feature's filter can't be used: {error}", param="inputs") from None


def both(one: Filter | None, other: Filter | None) -> Filter | None:
    """What passes both, where there are two."""
    return Group("and", (one, other)) if one is not None and other is not None else one or other


def compiled(given: Filter) -> Compiled:
    """The filter as a path with variables."""
    names_facts = any(each.key in _FACTS for each in conditions_of(given))
    writing = _Writing("$.said" if names_facts else "$")
    path = writing.filter(given)
    if len(writing.values) > MOST_COMPARED:
        raise InvalidRequest(
            f"The filter has more than {MOST_COMPARED:,} values in all.", next_step=_SYNTAX, param="filter"
        )
    return Compiled(path, writing.values, names_facts, narrowed(given))


class _Writing:
    def __init__(self, said: str) -> None:
        self._said = said
        self.values: dict[str, Any] = {}

    def filter(self, given: Filter) -> str:
        if isinstance(given, Condition):
            return self._condition(given)
        parts = [self.filter(each) for each in given.parts]
        if given.kind == "not":
            return f"!({parts[0]})"
        return "(" + (" && " if given.kind == "and" else " || ").join(parts) + ")"

    def _condition(self, given: Condition) -> str:
        place = f'{"$.own" if given.key in _FACTS else self._said}."{given.key}"'
        if given.kind == "exists":
            return f"(exists({place}[*]))"
        values = _scalars(given)
        if given.kind in {"ne", "nin"}:
            return f"!({self._any(given.key, place, values)})"
        if given.kind in {"eq", "in"}:
            return f"({self._any(given.key, place, values)})"
        if given.kind == "prefix":
            name = self._variable(values[0])
            return f"(exists({place}[*] ? (@ starts with {name})) || exists({place}[*].as ? (@ starts with {name})))"
        return f"({self._ordered(given.kind, place, values[0])})"

    def _any(self, key: str, place: str, values: Sequence[Scalar]) -> str:
        return " || ".join(self._equal(key, place, each) for each in values)

    def _equal(self, key: str, place: str, value: Scalar) -> str:
        day = moment(value) if isinstance(value, str) and key not in TEXT_FACTS else None
        if day is None:
            return f"exists({place}[*] ? (@ == {self._variable(value)}))"
        start, is_day = day
        first, last = self._variable(start), self._variable(start + DAY_US if is_day else start + 1)
        return f"exists({place}[*].at ? (@ >= {first} && @ < {last}))"

    def _ordered(self, kind: str, place: str, value: Scalar) -> str:
        day = moment(value) if isinstance(value, str) else None
        if day is None:
            return f"exists({place}[*] ? (@ {_SIGNS[kind]} {self._variable(value)}))"
        start, is_day = day
        # What comes after a day comes after its end; what is not after it lies before its end.
        if is_day and kind in {"gt", "lte"}:
            kind, start = ("gte" if kind == "gt" else "lt"), start + DAY_US
        return f"exists({place}[*].at ? (@ {_SIGNS[kind]} {self._variable(start)}))"

    def _variable(self, value: Scalar) -> str:
        name = f"v{len(self.values)}"
        self.values[name] = value
        return f"${name}"


def _scalars(given: Condition) -> list[Scalar]:
    values = given.value if isinstance(given.value, tuple) else (given.value,)
    found: list[Scalar] = []
    for each in values:
        if each is None or isinstance(each, Input):
            raise InvalidRequest(
                f"The filter `{given}` names an input, and only a feature's may.", next_step=_SYNTAX, param="filter"
            )
        found.append(each)
    return found

"""Filters as callers, features and commands say them: a checked tree out of JSON or of a line of text.

    {"type": "and", "filters": [{"type": "gte", "key": "year", "value": 2024}, {"type": "exists", "key": "team"}]}
    year >= 2024 and team in [claims, "health care"] and not path prefix "drafts/"

Sizes are bounded, and every complaint says where in the filter it is.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final, Literal, NoReturn, cast

from headworks.types.filters import (
    MOST_VALUES,
    Condition,
    Filter,
    Group,
    Input,
    Kind,
    Scalar,
    checked_key,
    checked_value,
    fail,
)

MOST_CONDITIONS: Final = 100
DEEPEST: Final = 8
LONGEST_LINE: Final = 8_000
_KINDS: Final = ("eq", "ne", "gt", "gte", "lt", "lte", "in", "nin", "prefix", "exists")


def read_filter(given: object, *, may_name_inputs: bool = False) -> Filter:
    """A filter as JSON or a line of text says it. Raises FilterError with the place, like `filter.filters[1].value`."""
    if isinstance(given, str):
        return _Line(given, may_name_inputs=may_name_inputs).filter()
    return _Json(may_name_inputs=may_name_inputs).filter(given, "filter", 1)


class _Json:
    """Reads a tree, and counts what is in it."""

    def __init__(self, *, may_name_inputs: bool) -> None:
        self._may_name_inputs = may_name_inputs
        self._conditions = 0

    def filter(self, given: object, where: str, depth: int) -> Filter:
        if not isinstance(given, dict):
            fail(where, "must be an object with `type`, or a line like `year >= 2024`.")
        if depth > DEEPEST:
            fail(where, f"more than {DEEPEST} levels deep.")
        kind = said if isinstance(said := given.get("type"), str) else ""
        if kind in {"and", "or"}:
            return self._group(given, where, depth)
        if kind == "not":
            _only(given, ("type", "filter"), where)
            return Group("not", (self.filter(given.get("filter"), f"{where}.filter", depth + 1),))
        if kind not in _KINDS:
            fail(f"{where}.type", f"is {str(said)[:40]!r}; it may be and, or, not, {', '.join(_KINDS)}.")
        return self._condition(cast("Kind", kind), given, where)

    def _group(self, given: Mapping[str, object], where: str, depth: int) -> Group:
        _only(given, ("type", "filters"), where)
        parts = given.get("filters")
        if not isinstance(parts, list) or not parts:
            fail(f"{where}.filters", "must be a list of at least one filter.")
        found = tuple(self.filter(each, f"{where}.filters[{at}]", depth + 1) for at, each in enumerate(parts))
        return Group("or" if given["type"] == "or" else "and", found)

    def _condition(self, kind: Kind, given: Mapping[str, object], where: str) -> Condition:
        self._conditions += 1
        if self._conditions > MOST_CONDITIONS:
            fail(where, f"more than {MOST_CONDITIONS} conditions.")
        key = checked_key(given.get("key"), f"{where}.key")
        if kind == "exists":
            _only(given, ("type", "key"), where)
            return Condition(kind, key)
        _only(given, ("type", "key", "value"), where)
        if "value" not in given:
            fail(where, "has no `value`.")
        value, at = given["value"], f"{where}.value"
        if kind not in {"in", "nin"}:
            return Condition(kind, key, self._one(kind, key, value, at))
        if not isinstance(value, list) or not 1 <= len(value) <= MOST_VALUES:
            fail(at, f"must be a list of 1 to {MOST_VALUES} values.")
        return Condition(kind, key, tuple(self._one(kind, key, each, f"{at}[{n}]") for n, each in enumerate(value)))

    def _one(self, kind: Kind, key: str, value: object, where: str) -> Scalar | Input:
        if isinstance(value, dict) and self._may_name_inputs and set(value) == {"input"}:
            return Input(str(value["input"]))
        return checked_value(kind, key, value, where)


# ── Out of a line ──

_TOKEN = re.compile(
    r"""\s*(?:(?P<text>"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')|(?P<sign>==|!=|>=|<=|[=<>()\[\],])|(?P<word>[^\s()\[\],"'=<>!]+))"""
)
_SIGN_KINDS: Final[Mapping[str, Kind]] = {
    "=": "eq", "==": "eq", "!=": "ne", ">": "gt", ">=": "gte", "<": "lt", "<=": "lte",
}  # fmt: skip
_WORDS: Final = ("and", "or", "not")
_NUMBER = re.compile(r"[+-]?\d+(?:\.\d+)?(?:[eE][+-]?\d{1,3})?")


@dataclass(frozen=True, slots=True)
class _Token:
    kind: str
    text: str
    at: int

    def says(self, word: str) -> bool:
        return self.kind != "text" and self.text.lower() == word


class _Line:
    """A line of text by recursive descent: `or` binds loosest, then `and`, then `not`."""

    def __init__(self, line: str, *, may_name_inputs: bool) -> None:
        if len(line) > LONGEST_LINE:
            fail("filter", f"{len(line):,} characters, at most {LONGEST_LINE:,}.")
        self._tokens = list(_tokens(line))
        self._at = 0
        self._may_name_inputs = may_name_inputs
        self._conditions = 0

    def filter(self) -> Filter:
        found = self._joined("or", 1)
        if (token := self._peek()).kind != "end":
            self._fail(token, "`and`, `or` or the end")
        return found

    def _joined(self, word: Literal["or", "and"], depth: int) -> Filter:
        inner: Callable[[int], Filter] = self._all if word == "or" else self._one
        parts = [inner(depth)]
        while self._peek().says(word):
            self._next()
            parts.append(inner(depth))
        return parts[0] if len(parts) == 1 else Group(word, tuple(parts))

    def _all(self, depth: int) -> Filter:
        return self._joined("and", depth)

    def _one(self, depth: int) -> Filter:
        token = self._next()
        if depth > DEEPEST:
            fail(_place(token), f"more than {DEEPEST} levels deep.")
        if token.says("not"):
            return Group("not", (self._one(depth + 1),))
        if token.kind == "sign" and token.text == "(":
            found = self._joined("or", depth + 1)
            if not (closing := self._next()).says(")"):
                self._fail(closing, "`)`")
            return found
        return self._condition(token)

    def _condition(self, token: _Token) -> Condition:
        self._conditions += 1
        if self._conditions > MOST_CONDITIONS:
            fail(_place(token), f"more than {MOST_CONDITIONS} conditions.")
        if token.kind == "sign" or token.text in _WORDS or token.kind == "end":
            self._fail(token, "a key")
        key, sign = checked_key(_unquoted(token), _place(token)), self._next()
        if sign.kind == "sign" and sign.text in _SIGN_KINDS:
            kind = _SIGN_KINDS[sign.text]
            return Condition(kind, key, self._value(kind, key))
        if sign.says("exists"):
            return Condition("exists", key)
        if sign.says("prefix"):
            return Condition("prefix", key, self._value("prefix", key))
        if sign.says("not") and self._peek().says("in"):
            self._next()
            return Condition("nin", key, self._values("nin", key))
        if not sign.says("in"):
            self._fail(sign, "=, !=, <, <=, >, >=, in, not in, prefix or exists")
        return Condition("in", key, self._values("in", key))

    def _values(self, kind: Kind, key: str) -> tuple[Scalar | Input, ...]:
        if not (opening := self._next()).says("["):
            self._fail(opening, "a list like [a, b]")
        found = [self._value(kind, key)]
        while (token := self._next()).says(","):
            found.append(self._value(kind, key))
        if not token.says("]"):
            self._fail(token, "`,` or `]`")
        if len(found) > MOST_VALUES:
            fail(_place(opening), f"{len(found)} values, at most {MOST_VALUES}.")
        return tuple(found)

    def _value(self, kind: Kind, key: str) -> Scalar | Input:
        token = self._next()
        if token.kind in {"sign", "end"}:
            self._fail(token, "a value")
        if token.kind == "word" and token.text.startswith("$") and self._may_name_inputs:
            return Input(token.text[1:])
        return checked_value(kind, key, _value_of(token), _place(token))

    def _peek(self) -> _Token:
        return self._tokens[self._at]

    def _next(self) -> _Token:
        token = self._tokens[self._at]
        self._at = min(self._at + 1, len(self._tokens) - 1)
        return token

    def _fail(self, token: _Token, wanted: str) -> NoReturn:
        fail(
            _place(token), f"{wanted} is expected, not {token.text[:40]!r}." if token.text else f"{wanted} is missing."
        )


def _tokens(line: str) -> Iterator[_Token]:
    at = 0
    while at < len(line.rstrip()):
        found = _TOKEN.match(line, at)
        if found is None or found.lastgroup is None:
            fail(f"filter, column {at + 1}", f"{line[at : at + 20].strip()!r} can't be read here.")
        yield _Token(found.lastgroup, found[found.lastgroup], found.start(found.lastgroup))
        at = found.end()
    yield _Token("end", "", at)


def _place(token: _Token) -> str:
    return f"filter, column {token.at + 1}"


def _unquoted(token: _Token) -> str:
    return re.sub(r"\\(.)", r"\1", token.text[1:-1], flags=re.DOTALL) if token.kind == "text" else token.text


def _value_of(token: _Token) -> Scalar:
    if token.kind == "text":
        return _unquoted(token)
    if token.text.lower() in {"true", "false"}:
        return token.text.lower() == "true"
    if _NUMBER.fullmatch(token.text):
        return float(token.text) if set(token.text) & set(".eE") else int(token.text[:20])
    return token.text


def _only(given: Mapping[str, object], known: tuple[str, ...], where: str) -> None:
    for key in given:
        if key not in known:
            fail(where, f"unknown `{str(key)[:40]}`; there may be {', '.join(known)}.")

"""The parts of a JSON schema: where they stand, what they refer to, and how much work a check by them can be.

A validator written in another language holds the whole process while it works, so what it is given is bounded before:
references that double at each step make 2²⁰ checks of twenty lines.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import unquote

from headworks.releases.contract import SchemaWrong

Path = tuple[str | int, ...]
Json = dict[str, Any]

DEEPEST = 64
"""Levels of schemas in each other."""

_HERE = ("not", "if", "then", "else")
_HERE_LISTS = ("allOf", "anyOf", "oneOf")
_HERE_NAMED = ("dependentSchemas", "dependencies")
_MEMBERS_NAMED = ("properties", "patternProperties")
_MEMBERS = (*_MEMBERS_NAMED, "additionalProperties", "unevaluatedProperties", "propertyNames")
_ELEMENTS = ("prefixItems", "items", "additionalItems", "unevaluatedItems", "contains")
_HERE_ALL = (*_HERE, *_HERE_LISTS, *_HERE_NAMED)
_ALL = (*_HERE_ALL, *_MEMBERS, *_ELEMENTS, "$defs", "definitions")
_NAMED = frozenset((*_HERE_NAMED, *_MEMBERS_NAMED, "$defs", "definitions"))
_ELSEWHERE = ("$dynamicRef", "$recursiveRef", "$dynamicAnchor", "$recursiveAnchor")


def walk(root: Json) -> Iterator[tuple[Path, Json]]:
    """Every schema in a schema with its path, the root first. Raises SchemaWrong where they are nested too deep."""
    waiting: list[tuple[Path, Json, int]] = [((), root, 0)]
    while waiting:
        path, schema, depth = waiting.pop()
        if depth > DEEPEST:
            raise SchemaWrong(f"schemas are nested more than {DEEPEST} levels deep", path)
        yield path, schema
        waiting += [((*path, *step), inner, depth + 1) for step, inner in parts(schema, _ALL)]


def parts(schema: Json, keywords: tuple[str, ...] = _ALL) -> Iterator[tuple[Path, Json]]:
    """The schemas directly under some of a schema's keywords; `true` and `false` need no look."""
    for keyword in keywords:
        found = schema.get(keyword)
        if isinstance(found, list):
            yield from (((keyword, index), each) for index, each in enumerate(found) if isinstance(each, dict))
        elif isinstance(found, dict) and keyword in _NAMED:
            yield from (((keyword, name), each) for name, each in found.items() if isinstance(each, dict))
        elif isinstance(found, dict):
            yield (keyword,), found


def check_references(root: Json) -> None:
    """Raise SchemaWrong for what leads out of the schema, or into nothing."""
    for path, schema in walk(root):
        for keyword in _ELSEWHERE:
            if keyword in schema:
                raise SchemaWrong(f"`{keyword}` is not taken; use `$ref`", (*path, keyword))
        if path and "$id" in schema:
            raise SchemaWrong("only the whole schema may have an `$id`", path)
        reference = schema.get("$ref")
        if isinstance(reference, str) and target_of(root, reference) is None:
            shown = "a `$ref` leads to nothing in this schema; nothing is fetched from elsewhere"
            raise SchemaWrong(f"{shown}, so write it like `#/$defs/name`", (*path, "$ref"))


def target_of(root: Json, reference: str) -> Json | bool | None:
    """What `#` or `#/…` leads to inside of a schema; None if there is no schema there."""
    if reference == "#":
        return root
    if not reference.startswith("#/"):
        return None
    place: Any = root
    for step in reference[2:].split("/"):
        name = unquote(step).replace("~1", "/").replace("~0", "~")
        if isinstance(place, list) and name.isdecimal() and int(name) < len(place):
            place = place[int(name)]
        elif isinstance(place, dict) and name in place:
            place = place[name]
        else:
            return None
    return place if isinstance(place, dict | bool) else None


class Work:
    """How many checks of one schema at one value there can be; counted without what a validator remembers."""

    def __init__(self, root: Json, skips: Callable[[Json, Any], bool]) -> None:
        """`skips` tells schemas that a validator leaves at once, at a value."""
        self._root = root
        self._skips = skips
        self.is_recursive = False
        """Whether a schema contains itself; known once `unfolded` is."""

    def unfolded(self) -> int:
        """Schemas in the schema when every `$ref` is replaced by what it means, one that contains itself once."""
        return self._unfold(self._root, {}, set())

    def _unfold(self, schema: Json, known: dict[int, int], open_ones: set[int]) -> int:
        if (count := known.get(id(schema))) is not None:
            return count
        if id(schema) in open_ones:
            self.is_recursive = True
            return 1
        open_ones.add(id(schema))
        inner = [each for _, each in parts(schema, (*_HERE_ALL, *_MEMBERS, *_ELEMENTS))]
        count = 1 + sum(self._unfold(each, known, open_ones) for each in [*inner, *self._referred(schema)])
        open_ones.remove(id(schema))
        known[id(schema)] = count
        return count

    def at(self, value: Any, most_pairs: int) -> int | None:  # noqa: ANN401 -- any JSON value
        """Checks for one value. None where more than `most_pairs` different ones would have to be looked at."""
        known: dict[tuple[int, int], int] = {}
        try:
            return self._count(self._root, value, known, most_pairs)
        except (_TooMany, RecursionError):
            return None

    def _count(self, schema: Json, value: Any, known: dict[tuple[int, int], int], most: int) -> int:  # noqa: ANN401 -- as above
        pair = (id(schema), id(value))
        if (count := known.get(pair)) is not None:
            return count
        if len(known) >= most:
            raise _TooMany
        known[pair] = 1
        if self._skips(schema, value):
            return 1
        known[pair] = 0  # one that leads to itself without a step into the value is not followed
        here = [each for _, each in parts(schema, _HERE_ALL)]
        count = 1 + sum(self._count(each, value, known, most) for each in [*here, *self._referred(schema)])
        for inner, part in _below(schema, value):
            count += self._count(inner, part, known, most)
        known[pair] = count
        return count

    def _referred(self, schema: Json) -> list[Json]:
        reference = schema.get("$ref")
        target = target_of(self._root, reference) if isinstance(reference, str) else None
        return [target] if isinstance(target, dict) else []


class _TooMany(Exception):
    """A way out, never seen outside."""


def _below(schema: Json, value: Any) -> Iterator[tuple[Json, Any]]:  # noqa: ANN401 -- any JSON value
    """Schemas with the parts of a value that they may be held against."""
    if isinstance(value, dict):
        for path, inner in parts(schema, _MEMBERS):
            if path[0] == "properties":
                if path[1] in value:
                    yield inner, value[str(path[1])]
            else:
                yield from ((inner, each) for each in value.values())
    elif isinstance(value, list):
        for path, inner in parts(schema, _ELEMENTS):
            if len(path) == 1:
                yield from ((inner, each) for each in value)
            elif int(path[1]) < len(value):
                yield inner, value[int(path[1])]

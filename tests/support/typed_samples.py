"""JSON values that a vendor's own pydantic types describe: each member is in one of them, and each kind of a union."""

from __future__ import annotations

import types
from collections.abc import Iterator, Mapping
from datetime import date, datetime
from enum import Enum
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import pydantic
from typing_extensions import TypeAliasType

_DEEPEST = 7
_PLAIN: Mapping[Any, Any] = {
    str: "a",
    bytes: "YQ==",
    bool: True,
    int: 0,
    float: 0.5,
    object: {"any": 1},
    Any: {"any": 1},
    datetime: "2026-01-01T00:00:00Z",
    date: "2026-01-01",
}


def samples_of(kind: Any, depth: int = 0) -> list[Any]:
    """One for each kind that a value of this type may be; none where the type leads on for ever, or is null."""
    if isinstance(kind, TypeAliasType):
        kind = kind.__value__
    if kind in _PLAIN:
        return [_PLAIN[kind]]
    if depth > _DEEPEST or kind is type(None):
        return []
    if isinstance(kind, type) and issubclass(kind, pydantic.BaseModel):
        return list(_models(kind, depth + 1))
    if isinstance(kind, type) and issubclass(kind, Enum):
        return [each.value for each in kind][:1]
    return list(_made_of(get_origin(kind) or kind, get_args(kind), depth))


def _made_of(origin: Any, args: tuple[Any, ...], depth: int) -> Iterator[Any]:
    if origin is Literal:
        yield args[0]
    elif origin is Annotated:
        yield from samples_of(args[0], depth)
    elif origin in {Union, types.UnionType}:
        for each in args:
            yield from samples_of(each, depth)
    elif origin is list:
        for sample in samples_of(args[0] if args else str, depth + 1):
            yield [sample]
    elif origin is dict:
        yield {"k": next(iter(samples_of(args[1] if args else str, depth + 1)), None)}
    else:
        raise TypeError(f"no sample of {origin!r}")


def _models(kind: type[pydantic.BaseModel], depth: int) -> Iterator[dict[str, Any]]:
    """One with all members, and one more for each further kind of any of them."""
    found = {
        field.alias or name: samples
        for name, field in kind.model_fields.items()
        if (samples := samples_of(field.annotation, depth))
    }
    usual = {name: samples[0] for name, samples in found.items()}
    yield usual
    for name, samples in found.items():
        for each in samples[1:]:
            yield {**usual, name: each}

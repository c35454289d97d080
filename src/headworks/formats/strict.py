"""Structs for what is read at once: without null and without members that have no field, which are looked at apart."""

from __future__ import annotations

from types import NoneType
from typing import Any, TypeVar, Union, get_args

import msgspec

S = TypeVar("S", bound=msgspec.Struct)


def strict(struct: type[S]) -> type[S]:
    """The same Struct that takes no null where None is a field's default, and no other members."""
    fields = msgspec.structs.fields(struct)
    exact = [(each.name, _without_none(each.type), each.default) for each in fields if each.default is None]
    return msgspec.defstruct(struct.__name__, exact, bases=(struct,), forbid_unknown_fields=True)  # type: ignore[return-value] # a subclass


def _without_none(kind: Any) -> Any:  # noqa: ANN401 -- any annotation
    """`T | None` without its `None`."""
    kinds = tuple(each for each in get_args(kind) if each is not NoneType)
    return Union[kinds]  # noqa: UP007 -- as many as there are

"""A JSON object taken apart: what we understand is taken out, member by member, and the rest stays as it stood."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TypeVar

import msgspec

from headworks.errors import InvalidRequest
from headworks.formats.neutral import Ext

T = TypeVar("T")

NULL = msgspec.Raw(b"null")
MARK = msgspec.Raw(b"true")

MARKS = frozenset(("~list", "~empty", "~inline", "~citation", "~output_format", "~absent"))
"""Names in `ext` that only say how something was written; see `neutral.Ext`."""

USUAL = "~="
"""Before the name of a member that only says what would hold without it: it is put back, and means nothing else."""

_PLACE = re.compile(r" - at `\$([^`]*)`$")
_object = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode

text = msgspec.json.Decoder(str | None).decode
boolean = msgspec.json.Decoder(bool | None).decode
integer = msgspec.json.Decoder(int | None).decode
number = msgspec.json.Decoder(float | None).decode
texts = msgspec.json.Decoder(tuple[str, ...] | None).decode
rows = msgspec.json.Decoder(list[msgspec.Raw] | None).decode
text_or_rows = msgspec.json.Decoder(str | list[msgspec.Raw] | None).decode


class Members:
    """The members of one object at `at`, the place as its author would write it. Raises InvalidRequest."""

    __slots__ = ("at", "rest")

    def __init__(self, raw: msgspec.Raw | bytes, at: str = "") -> None:
        self.at = at
        try:
            self.rest: Ext = _object(raw)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise invalid(at, error) from None

    def place(self, name: str) -> str:
        """Where a member stands."""
        return f"{self.at}.{name}" if self.at else name

    def take(self, name: str, decode: Callable[[msgspec.Raw], T | None]) -> T | None:
        """The value of a member; None where it is missing, or null: a null stays in the rest."""
        raw = self.rest.pop(name, None)
        if raw is None:
            return None
        try:
            value = decode(raw)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise invalid(self.place(name), error) from None
        if value is None:
            self.rest[name] = NULL
        return value

    def need(self, name: str, decode: Callable[[msgspec.Raw], T | None]) -> T:
        """As `take`, for a member that has to be there."""
        value = self.take(name, decode)
        if value is None:
            raise InvalidRequest(f"`{self.place(name)}` is missing.", param=self.place(name))
        return value

    def try_take(self, name: str, decode: Callable[[msgspec.Raw], T]) -> T | None:
        """The value of a member if it is exactly what `decode` knows; else it stays in the rest."""
        raw = self.rest.get(name)
        if raw is None:
            return None
        try:
            value = decode(raw)
        except (msgspec.DecodeError, UnicodeDecodeError):
            return None
        del self.rest[name]
        return value

    def take_object(self, name: str) -> bytes:
        """A member that has to be an object, as its text."""
        raw = self.rest.pop(name, None)
        if raw is None or not is_object(raw):
            what = "is missing" if raw is None else "must be an object"
            raise InvalidRequest(f"`{self.place(name)}` {what}.", param=self.place(name))
        return bytes(raw)


def is_object(raw: msgspec.Raw) -> bool:
    """Whether this is the text of an object, by its first character."""
    return bytes(memoryview(raw)[:1]) == b"{"


def is_null(raw: msgspec.Raw) -> bool:
    """Whether it says nothing."""
    return len(raw) == len(b"null") and bytes(raw) == b"null"


def invalid(at: str, error: Exception) -> InvalidRequest:
    """What is wrong, and where."""
    said = str(error) if isinstance(error, msgspec.DecodeError) else "invalid UTF-8"
    inner = _PLACE.search(said)
    if inner is not None:
        said = said[: inner.start()]
        at = f"{at}{inner[1]}".removeprefix(".")
    what = f"`{at}` can't be read" if at else "The body can't be read"
    return InvalidRequest(f"{what}: {said[:300]}.", param=at or None)


def restore(target: dict[str, object], ext: Ext) -> dict[str, object]:
    """What stood beside the words goes back to where it was read from."""
    for name, raw in ext.items():
        if name not in MARKS:
            target[name.removeprefix(USUAL)] = raw
    return target

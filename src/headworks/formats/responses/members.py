"""JSON objects read into Structs; members that a Struct does not name, or that are null, are kept raw beside it.

No field of such a Struct may be null: a null then goes the slow way, into the rest, and is written back from there.
"""

from __future__ import annotations

import re
from typing import Generic, TypeVar

import msgspec
from msgspec import UNSET, UnsetType

from headworks.errors import InvalidRequest, UpstreamError
from headworks.formats.neutral import Ext

S = TypeVar("S", bound=msgspec.Struct)
T = TypeVar("T")

NULL = msgspec.Raw(b"null")
MARK = msgspec.Raw(b"true")
ITEM_SHAPE = "~item"
"""On a block: it is the first of an item, whose own id, status and type these are."""
MORE_SHAPE = "~more"
"""On a block: it belongs to the item of the block before."""
TEXT_SHAPE = "~text"
"""The content was a string, not a list of parts."""
EMPTY_SHAPE = "~empty"
"""The list of parts was empty."""
UNTYPED_SHAPE = "~untyped"
"""No `type` was given."""

_PLACE = re.compile(r" - at `\$([^`]*)`$")
_MISSING = re.compile(r"^Object missing required field `([^`]*)`")

encode = msgspec.json.encode
decode = msgspec.json.decode
members_of = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
rows_of = msgspec.json.Decoder(list[msgspec.Raw]).decode
text_of = msgspec.json.Decoder(str).decode


class Misread(ValueError):
    """A value that the format does not allow; `path` is where, seen from the object that is being read."""

    def __init__(self, what: str, path: str = "", code: str = "invalid_type") -> None:
        super().__init__(what)
        self.what = what
        self.path = path
        self.code = code

    @staticmethod
    def of(error: Exception) -> Misread:
        """What a decoder says."""
        if not isinstance(error, msgspec.DecodeError):
            return Misread("is not UTF-8, or is nested too deeply")
        said = str(error)
        place = _PLACE.search(said)
        path = place[1] if place else ""
        said = (said[: place.start()] if place else said).rstrip(".")
        if missing := _MISSING.match(said):
            return Misread("is required", f"{path}.{missing[1]}", "missing_field")
        return Misread(f"can't be read: {said[:200]}", path)

    def within(self, place: str) -> Misread:
        """The same, seen from the object that holds it at `place`."""
        return Misread(self.what, place + self.path, self.code)

    def as_request(self) -> InvalidRequest:
        """For the caller, who wrote it."""
        param = self.path.removeprefix(".")
        subject = f"`{param}`" if param else "The body"
        return InvalidRequest(f"{subject} {self.what}.", param=param or None, code=self.code)

    def as_answer(self) -> UpstreamError:
        """For a provider's answer."""
        return UpstreamError(
            f"The provider's answer can't be read: `{self.path.removeprefix('.') or 'body'}` {self.what}.",
            next_step="Try again, or check that the target speaks Responses.",
            code="upstream_not_an_answer",
        )


UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
"""What a decoder raises on bytes from outside."""


class Shape(Generic[S]):
    """How one kind of object looks. The Struct forbids unknown fields."""

    __slots__ = ("_decode", "_names")

    def __init__(self, struct: type[S]) -> None:
        self._decode = msgspec.json.Decoder(struct).decode
        self._names = frozenset(struct.__struct_encode_fields__)

    def read(self, raw: msgspec.Raw | bytes) -> tuple[S, Ext]:
        """The Struct, and the rest. Raises Misread."""
        try:
            return self._decode(raw), {}
        except UNREADABLE:
            pass  # perhaps only a null, or a member that we don't know
        try:
            known = members_of(raw)
            rest = {name: known.pop(name) for name in list(known) if name not in self._names or is_null(known[name])}
            return self._decode(encode(known)), rest
        except UNREADABLE as error:
            raise Misread.of(error) from None


def given(value: T | UnsetType) -> T | None:
    """A field's value, None where it was not there."""
    return None if value is UNSET else value


def is_null(raw: msgspec.Raw) -> bool:
    """Whether it says nothing: null, or not there."""
    size = len(raw)
    return size == 0 or (size == 4 and bytes(raw) == b"null")


def starts(raw: msgspec.Raw, mark: bytes) -> bool:
    """Whether the value begins so: `{` an object, `[` a list, `"` a string."""
    return len(raw) > 0 and memoryview(raw)[0] == mark[0]


def same(raw: msgspec.Raw | bytes, value: object) -> bool:
    """Whether a JSON text says exactly this."""
    try:
        return bool(decode(raw) == decode(encode(value)))
    except UNREADABLE:
        return False


def raw_of(value: object) -> msgspec.Raw:
    """A value as JSON text."""
    return msgspec.Raw(encode(value))


def under(name: str, rest: Ext) -> Ext:
    """The rest of a member that is an object, as part of the rest of the object that holds it."""
    return {f"{name}.{each}": raw for each, raw in rest.items()} if rest else rest


def taken_from(ext: Ext, name: str) -> Ext:
    """The other way: what stands in the bag for the member `name`."""
    start = f"{name}."
    return {each[len(start) :]: raw for each, raw in ext.items() if each.startswith(start)}


def put_back(target: dict[str, object], ext: Ext) -> dict[str, object]:
    """Members that stood beside the words go back; those that only say how something was written do not."""
    if ext:
        target.update({name: raw for name, raw in ext.items() if not name.startswith("~")})
    return target

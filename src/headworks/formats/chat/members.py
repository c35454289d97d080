"""JSON objects, read into Structs; what a Struct does not name, and what is null, is kept raw beside it."""

from __future__ import annotations

import re
from typing import Generic, TypeVar, cast

import msgspec

from headworks.errors import InvalidRequest, UpstreamError
from headworks.formats.neutral import Ext
from headworks.formats.strict import strict

S = TypeVar("S", bound=msgspec.Struct)

NULL = msgspec.Raw(b"null")
NO_RAW = msgspec.Raw()
"""The default of a raw field: it is not there."""
_PLACE = re.compile(r" - at `\$([^`]*)`$")
_MISSING = re.compile(r"^Object missing required field `([^`]*)`")
_WORDS = {
    "str": "a string",
    "int": "a whole number",
    "float": "a number",
    "bool": "true or false",
    "object": "an object",
    "array": "a list",
}
_EXPECTED = re.compile(r"^Expected `([^`]*)`, got `([^`]*)`")
_members = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_text = msgspec.json.Decoder(str).decode


class Misread(ValueError):
    """A value that the format does not allow; `path` is where, seen from the object that is being read."""

    def __init__(self, what: str, path: str = "", code: str = "invalid_type") -> None:
        super().__init__(what)
        self.what = what
        self.path = path
        self.code = code

    @staticmethod
    def of(error: msgspec.DecodeError) -> Misread:
        """What a decoder says, in words of JSON."""
        said = str(error)
        place = _PLACE.search(said)
        path = place[1] if place else ""
        said = said[: place.start()] if place else said
        if missing := _MISSING.match(said):
            return Misread("is required", f"{path}.{missing[1]}", "missing_field")
        if expected := _EXPECTED.match(said):
            wanted, found = (
                " or ".join(_WORDS.get(each, each) for each in some.split(" | ")) for some in expected.groups()
            )
            return Misread(f"must be {wanted}, not {found}", path)
        return Misread(f"can't be read: {said[:200].rstrip('.')}", path)

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
            f"The provider's answer can't be read: `{self.path.removeprefix('.')}` {self.what}.",
            next_step="Try again, or check that the target speaks Chat Completions.",
            code="upstream_not_an_answer",
        )


class Shape(Generic[S]):
    """How one kind of object looks: a Struct whose fields may all be null where they have a default."""

    __slots__ = ("_decode", "_decode_known", "_names", "_raws")

    def __init__(self, struct: type[S]) -> None:
        fields = msgspec.structs.fields(struct)
        lenient = msgspec.defstruct(struct.__name__, [], bases=(struct,), forbid_unknown_fields=False)
        self._decode = msgspec.json.Decoder(strict(struct)).decode
        self._decode_known = msgspec.json.Decoder(lenient).decode
        self._raws = tuple(each.name for each in fields if each.default is NO_RAW)
        tag = struct.__struct_config__.tag_field
        self._names = frozenset((*struct.__struct_encode_fields__, *((tag,) if tag else ())))

    def read(self, raw: msgspec.Raw | bytes) -> tuple[S, Ext]:
        """The Struct and the rest. Raises Misread."""
        try:
            found = self._decode(raw)
        except msgspec.ValidationError:
            return self._read_unusual(raw)
        ext: Ext = {}
        for name in self._raws:
            value = getattr(found, name)
            if value is not NO_RAW and is_null(value):
                ext[name] = NULL
        return found, ext

    def _read_unusual(self, raw: msgspec.Raw | bytes) -> tuple[S, Ext]:
        """Where something is null, or not known, or wrong."""
        try:
            return cast("S", self._decode_known(raw)), rest_of(raw, self._names)
        except msgspec.ValidationError as error:
            raise Misread.of(error) from None


def is_said_null(raw: msgspec.Raw) -> bool:
    """Whether it is there, and null."""
    return raw is not NO_RAW and is_null(raw)


def may_hold_null(raw: msgspec.Raw | bytes) -> bool:
    """Whether a null member may be in it, in the layouts that programs write. An unseen null only reads as absent."""
    text = raw if isinstance(raw, bytes) else bytes(raw)
    return b":null" in text or b": null" in text


def is_null(raw: msgspec.Raw) -> bool:
    """Whether it says nothing: null, or not there."""
    if raw is NO_RAW:
        return True
    size = len(raw)
    return size == 0 or (size == 4 and bytes(raw) == b"null")


def starts(raw: msgspec.Raw, mark: bytes) -> bool:
    """Whether the value begins so: `{` an object, `[` a list, `"` a string."""
    return len(raw) > 0 and memoryview(raw)[0] == mark[0]


def rest_of(raw: msgspec.Raw | bytes, names: frozenset[str]) -> Ext:
    """The members that have another name, or are null. Raises msgspec.ValidationError for what is no object."""
    return {kept(name): value for name, value in _members(raw).items() if name not in names or is_null(value)}


def kept(name: str) -> str:
    """A member's name in a bag, where `~` is for our own marks: nobody may write one."""
    return f"\\{name}" if name.startswith(("~", "\\")) else name


def given_back(name: str) -> str:
    """The member's own name."""
    return name.removeprefix("\\")


def kind_of(raw: msgspec.Raw) -> str:
    """The `type` of an object. Raises Misread."""
    try:
        kind = _members(raw).get("type")
        if kind is None:
            raise Misread("is required", ".type", "missing_field")
        return _text(kind)
    except msgspec.ValidationError as error:
        raise Misread.of(error) from None


def under(name: str, ext: Ext) -> Ext:
    """The rest of a member that is an object, as part of the rest of the object that holds it."""
    return {f"{name}.{each}": raw for each, raw in ext.items()} if ext else ext

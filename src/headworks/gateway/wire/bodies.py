"""The JSON body of a request: its top-level members by where they stand, so that it is forwarded byte for byte.

Nothing is parsed and written again. What must change is spliced: number texts, key order, escapes and fields that we
don't know survive. A member that stands twice is refused, because two readers would take two different ones; deeper
down that is left to the provider, unless somebody here reads it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

import msgspec

from headworks.errors import InvalidRequest

_WHITE = rb"[ \t\r\n]*"
_KEY = _WHITE + rb'"[^"\\]*(?:\\.[^"\\]*)*"' + _WHITE + b":" + _WHITE
_FIRST = re.compile(_WHITE + rb"\{(?:" + _KEY + rb"|" + _WHITE + rb"\})")
_NEXT = re.compile(_WHITE + rb"(?:,(?:" + _KEY + rb")|(\}))")
_members = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_text = msgspec.json.Decoder(str).decode

_QUOTE = ord('"')
_SPACE = ord(" ")
_LARGE = 64 * 1024
_MOST_LAYOUTS = 256
_LONGEST_KEPT = 1024


class _Layouts(dict[tuple[str, ...], list[bytes | msgspec.Raw]]):
    """How a program writes objects with these keys: what stands around the values, whose places are empty.

    Those of the first objects are kept.
    """

    def __init__(self, comma: bytes, colon: bytes) -> None:
        self._comma = comma
        self._colon = colon

    def __missing__(self, keys: tuple[str, ...]) -> list[bytes | msgspec.Raw]:
        layout: list[bytes | msgspec.Raw] = []
        for key in keys:
            layout += ((self._comma if layout else b"{") + msgspec.json.encode(key) + self._colon, b"")
        layout.append(b"}")
        if len(self) < _MOST_LAYOUTS and sum(map(len, layout)) < _LONGEST_KEPT:
            self[keys] = layout
        return layout


_COMPACT = _Layouts(b",", b":")
_SPACED = _Layouts(b", ", b": ")
"""The layouts that programs write."""


class Body:
    """One JSON object as it was received. `members` are the texts of the values by their keys."""

    __slots__ = ("_pieces", "members", "raw", "size")

    def __init__(self, raw: bytes, members: dict[str, msgspec.Raw], pieces: list[bytes | msgspec.Raw]) -> None:
        self.raw = raw
        self.size = len(raw)
        """Bytes, as it came."""
        self.members = members
        self._pieces = pieces
        """What stands before each value, and the value, in their order; then what follows the last."""

    def let_go(self) -> None:
        """Forget all but the size: nothing is read of it any more, and what answers it may take long."""
        self.raw, self.members, self._pieces = b"", {}, []

    @staticmethod
    def read(raw: bytes, inside: str = "") -> Body:
        """The members of a JSON object. Raises InvalidRequest for anything else; `inside` names it in messages."""
        try:
            found = _members(raw)
            if not raw.isascii():
                raw.decode()
        except UnicodeDecodeError as error:
            raise InvalidRequest(f"The body is not UTF-8: byte {error.start} can't be read.") from None
        except msgspec.ValidationError:
            raise InvalidRequest(f"{_named(inside)} must be a JSON object.", param=inside or None) from None
        except msgspec.DecodeError as error:
            raise InvalidRequest(f"The body is not valid JSON: {_short(error)}.", code="invalid_json") from None
        except RecursionError:
            raise InvalidRequest("The body is nested too deeply.", next_step="Nest less deeply.") from None
        return Body(raw, found, _as_written(raw, found) or _found_by_grammar(raw, found, inside))

    def has(self, name: str) -> bool:
        """Whether the member is there and not null."""
        value = self.members.get(name)
        return value is not None and bytes(value) != b"null"

    def value(self, name: str) -> bytes | None:
        """The JSON text of a member, None if it is not there."""
        value = self.members.get(name)
        return None if value is None else bytes(value)

    def text(self, name: str) -> str | None:
        """A string; None if it is absent or null. Raises InvalidRequest for another type."""
        value = self.members.get(name)
        if value is None:
            return None
        raw = bytes(value)
        if raw[0] != _QUOTE:
            if raw == b"null":
                return None
            raise wrong_type(name, "a string")
        return _text(raw)

    def flag(self, name: str) -> bool:
        """A boolean; absent and null are False."""
        raw = self.value(name)
        if raw is None or raw in {b"false", b"null"}:
            return False
        if raw != b"true":
            raise wrong_type(name, "true or false")
        return True

    def count(self, name: str) -> int | None:
        """A whole number from 1; None if it is absent or null."""
        raw = self.value(name)
        if raw is None or raw == b"null":
            return None
        if not raw.isdigit() or len(raw) > 18 or raw == b"0":
            raise wrong_type(name, "a whole number from 1")
        return int(raw)

    def section(self, name: str) -> Body | None:
        """An object's own members; None if it is absent or null."""
        raw = self.value(name)
        return None if raw is None or raw == b"null" else Body.read(raw, name)

    def parsed(self, name: str) -> Any:  # noqa: ANN401 -- any JSON value
        """The value as Python has it, None if it is absent."""
        raw = self.value(name)
        return None if raw is None else msgspec.json.decode(raw)

    def refuse_repeated(self) -> None:
        """For who reads all of it: one of two values would be lost. Raises InvalidRequest for a key that stands twice.

        In any object, at any depth.
        """
        try:
            # Numbers stay texts: what they are worth is no matter here, and a long one would take long.
            json.loads(self.raw.decode(), object_pairs_hook=_each_once, parse_int=str, parse_float=str)
        except RecursionError:
            raise InvalidRequest("The body is nested too deeply.", next_step="Nest less deeply.") from None

    def spliced(self, changes: Mapping[str, bytes]) -> bytes:
        """The bytes with these members' values replaced; new ones are put at the end."""
        pieces = self._pieces.copy()
        added: list[bytes] = []
        for name, value in changes.items():
            if name in self.members:
                pieces[2 * list(self.members).index(name) + 1] = value
            else:
                added.append(b"%b:%b" % (msgspec.json.encode(name), value))
        if added:
            tail = bytes(pieces.pop())
            closing = tail.rindex(b"}")
            pieces += (tail[:closing], b"," if self.members else b"", b",".join(added), tail[closing:])
        return b"".join(pieces)


def wrong_type(name: str, wanted: str) -> InvalidRequest:
    """A field of the wrong type."""
    return InvalidRequest(f"`{name}` must be {wanted}.", param=name, code="invalid_type")


def _as_written(raw: bytes, found: Mapping[str, msgspec.Raw]) -> list[bytes | msgspec.Raw] | None:
    """The pieces, where writing them in one of the usual layouts gives `raw`; a repeated key would not.

    None: another layout.
    """
    if not found:
        return None
    keys = tuple(found)
    layouts = _SPACED if raw[len(keys[0]) + 4] == _SPACE else _COMPACT  # after the first `{"":`
    pieces = layouts[keys].copy()
    pieces[1::2] = found.values()
    if len(raw) > _LARGE and layouts is _COMPACT:
        # No layout is shorter, so what is as long as this one has it. To write it out would take its copy.
        return pieces if sum(map(len, pieces)) == len(raw) else None
    return pieces if b"".join(pieces) == raw else None


def _found_by_grammar(raw: bytes, found: Mapping[str, msgspec.Raw], inside: str) -> list[bytes | msgspec.Raw]:
    """As `_as_written`, in any layout. Raises InvalidRequest for a key that stands twice."""
    pieces: list[bytes | msgspec.Raw] = []
    at = 0
    following = _NEXT.match
    mark = _FIRST.match(raw)
    for value in found.values():
        if mark is None:
            raise _repeated(raw, inside)
        start = mark.end()
        text = bytes(value)
        end = start + len(text)
        if raw[start:end] != text:
            raise _repeated(raw, inside)
        pieces += (raw[at:start], text)
        at = end
        mark = following(raw, end)
    if found and (mark is None or mark[1] is None):
        raise _repeated(raw, inside)
    pieces.append(raw[at:])
    return pieces


def _repeated(raw: bytes, inside: str) -> InvalidRequest:
    """Which key stands twice: found slowly, because it is never needed for a good request."""
    name = ""

    def look(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        nonlocal name
        name = _twice(pairs)
        return dict(pairs)

    json.loads(raw, object_pairs_hook=look)  # the outermost object comes last
    return InvalidRequest(f"{_named(inside)} has `{name}` twice.", param=name, code="duplicate_key")


def _each_once(pairs: list[tuple[str, Any]]) -> None:
    if len(dict(pairs)) != len(pairs):
        name = _twice(pairs)
        raise InvalidRequest(f"An object in the body has `{name}` twice.", param=name, code="duplicate_key")


def _twice(pairs: list[tuple[str, Any]]) -> str:
    """The last key that stands there already."""
    seen: set[str] = set()
    name = ""
    for key, _ in pairs:
        if key in seen:
            name = key
        seen.add(key)
    return name


def _named(inside: str) -> str:
    return f"`{inside}`" if inside else "The body"


def _short(error: Exception) -> str:
    return str(error).removeprefix("JSON is malformed: ").rstrip(".")

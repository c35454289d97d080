"""The JSON body of a request: its top-level members by where they stand, so that it is forwarded byte for byte.

Nothing is parsed and written again. What must change is spliced: number texts, key order, escapes and fields that we
don't know survive. A member that stands twice is refused, because two readers would take two different ones.
"""

from __future__ import annotations

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

_OPEN, _CLOSE, _COMMA, _SPACE = b"{}, "
_TOKENS: dict[str, bytes] = {}
_MOST_TOKENS = 256
_LONGEST_TOKEN = 64


class Body:
    """One JSON object as it was received. `members` are the ends of each value by its key."""

    __slots__ = ("members", "raw")

    def __init__(self, raw: bytes, members: dict[str, tuple[int, int]]) -> None:
        self.raw = raw
        self.members = members

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
        return Body(raw, _located(raw, found) or _found_by_grammar(raw, found, inside))

    def has(self, name: str) -> bool:
        """Whether the member is there and not null."""
        place = self.members.get(name)
        return place is not None and self.raw[place[0] : place[1]] != b"null"

    def value(self, name: str) -> bytes | None:
        """The JSON text of a member, None if it is not there."""
        place = self.members.get(name)
        return None if place is None else self.raw[place[0] : place[1]]

    def text(self, name: str) -> str | None:
        """A string; None if it is absent or null. Raises InvalidRequest for another type."""
        place = self.members.get(name)
        if place is None:
            return None
        raw = self.raw[place[0] : place[1]]
        if raw == b"null":
            return None
        if raw[0] != 34:  # a quotation mark
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

    def spliced(self, changes: Mapping[str, bytes]) -> bytes:
        """The bytes with these members' values replaced; new ones are put at the end."""
        raw = self.raw
        if len(changes) == 1:
            ((name, value),) = changes.items()
            if (place := self.members.get(name)) is not None:
                return b"".join((raw[: place[0]], value, raw[place[1] :]))
        pieces: list[bytes] = []
        at = 0
        places = sorted((self.members[name], name) for name in changes if name in self.members)
        for (start, end), name in places:
            pieces += (raw[at:start], changes[name])
            at = end
        added = [b"%b:%b" % (msgspec.json.encode(name), changes[name]) for name in changes if name not in self.members]
        if added:
            closing = raw.rindex(b"}")
            pieces += (raw[at:closing], b"," if self.members else b"", b",".join(added))
            at = closing
        pieces.append(raw[at:])
        return b"".join(pieces)


def wrong_type(name: str, wanted: str) -> InvalidRequest:
    """A field of the wrong type."""
    return InvalidRequest(f"`{name}` must be {wanted}.", param=name, code="invalid_type")


def _located(raw: bytes, found: Mapping[str, msgspec.Raw]) -> dict[str, tuple[int, int]] | None:
    """Where each value stands, in the layouts that programs write: compact, or one space after `:` and `,`.

    A repeated key makes keys, values and text fall out of step. None: out of step, or another layout.
    """
    members: dict[str, tuple[int, int]] = {}
    at, end, last = 0, 0, _OPEN
    for key, value in found.items():
        if raw[at] != last:
            return None
        at += 2 if raw[at + 1] == _SPACE else 1
        token = _TOKENS.get(key) or _token(key)
        if not raw.startswith(token, at):
            return None
        at += len(token)
        if raw[at] == _SPACE:
            at += 1
        text = bytes(value)
        if not raw.startswith(text, at):
            return None
        end = at + len(text)
        members[key] = (at, end)
        at, last = end, _COMMA
    return members if members and raw[end] == _CLOSE else None


def _token(key: str) -> bytes:
    """How a key without escapes is written; those that come often are kept."""
    token = b'"%b":' % key.encode()
    if len(_TOKENS) < _MOST_TOKENS and len(key) < _LONGEST_TOKEN:
        _TOKENS[key] = token
    return token


def _found_by_grammar(raw: bytes, found: Mapping[str, msgspec.Raw], inside: str) -> dict[str, tuple[int, int]]:
    """As `_located`, in any layout. Raises InvalidRequest for a key that stands twice."""
    members: dict[str, tuple[int, int]] = {}
    following = _NEXT.match
    mark = _FIRST.match(raw)
    for key, value in found.items():
        if mark is None:
            raise _repeated(raw, inside)
        start = mark.end()
        text = bytes(value)
        end = start + len(text)
        if raw[start:end] != text:
            raise _repeated(raw, inside)
        members[key] = (start, end)
        mark = following(raw, end)
    if found and (mark is None or mark[1] is None):
        raise _repeated(raw, inside)
    return members


def _repeated(raw: bytes, inside: str) -> InvalidRequest:
    """Which key stands twice: found slowly, because it is never needed for a good request."""
    import json

    name = ""

    def look(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        nonlocal name
        seen: set[str] = set()
        name = ""
        for key, _ in pairs:
            if key in seen:
                name = key
            seen.add(key)
        return dict(pairs)

    json.loads(raw, object_pairs_hook=look)  # the outermost object comes last
    return InvalidRequest(f"{_named(inside)} has `{name}` twice.", param=name, code="duplicate_key")


def _named(inside: str) -> str:
    return f"`{inside}`" if inside else "The body"


def _short(error: Exception) -> str:
    return str(error).removeprefix("JSON is malformed: ").rstrip(".")

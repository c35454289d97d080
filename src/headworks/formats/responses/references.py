"""Items that a request names instead of giving them, and the ids of an answer's items that can be named."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from headworks.formats.sse import data_of

_NAMED = "item_reference"


class _Given(msgspec.Struct):
    input: msgspec.Raw = msgspec.Raw()


class _Item(msgspec.Struct, gc=False):
    type: str | None = None
    id: str | None = None
    role: msgspec.Raw = msgspec.Raw()


class _Made(msgspec.Struct, gc=False):
    output: list[_Item] = []
    item: _Item | None = None


_given = msgspec.json.Decoder(_Given).decode
_rows = msgspec.json.Decoder(list[msgspec.Raw]).decode
_item = msgspec.json.Decoder(_Item).decode
_made = msgspec.json.Decoder(_Made).decode


def references(body: bytes) -> list[str]:
    """The ids of the items that the request's input only names, in their order."""
    if b'"id"' not in body and b"\\u" not in body:  # no member can be one
        return []
    return [name for row in _input(body) if (name := _reference(row)) is not None]


def resolved(body: bytes, items: Mapping[str, msgspec.Raw]) -> bytes:
    """The request with these items in the place of their references."""
    members = msgspec.json.decode(body, type=dict[str, msgspec.Raw])
    rows = [items.get(_reference(row) or "", row) for row in _input(body)]
    return msgspec.json.encode({**members, "input": rows})


def item_ids(body_or_event: bytes) -> list[str]:
    """The ids of the items of a response, from its JSON, or of the one that an event says is done."""
    is_event = body_or_event.lstrip()[:1] != b"{"
    if is_event and b"output_item.done" not in body_or_event:
        return []
    try:
        said = _made(data_of(body_or_event) if is_event else body_or_event)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return []
    return [each.id for each in (*said.output, said.item) if each is not None and each.id]


def items_of(response: bytes) -> dict[str, msgspec.Raw]:
    """The items of a whole response by their ids."""
    return {name: row for row in _rows(_outputs(response)) if (name := _item(row).id)}


def _outputs(response: bytes) -> bytes:
    return bytes(msgspec.json.decode(response, type=dict[str, msgspec.Raw]).get("output", b"[]"))


def _input(body: bytes) -> list[msgspec.Raw]:
    try:
        given = bytes(_given(body).input)
        return _rows(given) if given.lstrip()[:1] == b"[" else []
    except (msgspec.DecodeError, UnicodeDecodeError):
        return []


def _reference(row: msgspec.Raw) -> str | None:
    try:
        item = _item(row)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None
    is_one = item.type == _NAMED or (item.type is None and not bytes(item.role))
    return item.id if is_one else None

"""`GET /v1/responses/{id}/input_items` of a response that we keep: a page of its items, each with an id."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import msgspec

from headworks.errors import InvalidRequest

_MOST = 100
_PREFIXES = {"message": "msg", "function_call": "fc", "function_call_output": "fco", "reasoning": "rs"}

Order = Literal["asc", "desc"]


class _Item(msgspec.Struct):
    type: str | None = None
    id: str | None = None
    role: str | None = None
    content: str | msgspec.UnsetType | list[msgspec.Raw] | None = msgspec.UNSET


_item = msgspec.json.Decoder(_Item).decode
_members = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode


def page(
    response_id: str, items: Sequence[msgspec.Raw], *, after: str | None = None, limit: int = 20, order: str = "desc"
) -> bytes:
    """OpenAI's list object. Newest first, as OpenAI's, unless `order` is `asc`. Raises InvalidRequest."""
    if not 1 <= limit <= _MOST:
        raise InvalidRequest(f"`limit` must be from 1 to {_MOST}.", param="limit")
    if order not in {"asc", "desc"}:
        raise InvalidRequest("`order` must be `asc` or `desc`.", param="order")
    named = [_named(raw, response_id, number) for number, raw in enumerate(items)]
    if order == "desc":
        named.reverse()
    start = 0
    if after is not None:
        places = [place for place, (each, _) in enumerate(named) if each == after]
        if not places:
            raise InvalidRequest(f"`after` names no item of `{response_id}`.", param="after")
        start = places[0] + 1
    shown = named[start : start + limit]
    return msgspec.json.encode(
        {
            "object": "list",
            "data": [item for _, item in shown],
            "first_id": shown[0][0] if shown else None,
            "last_id": shown[-1][0] if shown else None,
            "has_more": start + limit < len(named),
        }
    )


def _named(raw: msgspec.Raw, response_id: str, number: int) -> tuple[str, object]:
    """An item with its id: the caller's, or one that is the same each time."""
    said = _item(raw)
    kind = said.type or "message"
    made = said.id or f"{_PREFIXES.get(kind, 'item')}_{response_id.removeprefix('resp_')}_{number}"
    members: dict[str, object] = {**_members(raw), "id": made, "type": kind}
    if isinstance(said.content, str):
        is_output = said.role == "assistant"
        part = {"type": "output_text" if is_output else "input_text", "text": said.content}
        members["content"] = [part | ({"annotations": []} if is_output else {})]
    if said.role == "assistant":
        members.setdefault("status", "completed")
    return made, members

"""The list of models as Anthropic's clients read it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from headworks.errors import InvalidRequest

_UNKNOWN_DATE = "1970-01-01T00:00:00Z"
"""What Anthropic, too, gives where it knows no date."""
_MOST = 1000
_USUAL = 20


def listing(names: Sequence[str], query: Mapping[str, str]) -> bytes:
    """The page that `limit`, `after_id` and `before_id` of the query ask for. Raises InvalidRequest."""
    limit, after, before = query.get("limit"), query.get("after_id"), query.get("before_id")
    if limit is not None and not (limit.isascii() and limit.isdigit() and 1 <= int(limit[:9]) <= _MOST):
        raise InvalidRequest(f"`limit` must be from 1 to {_MOST}.", param="limit")
    most = _USUAL if limit is None else int(limit)
    start = 0 if after is None else _place(names, after, "after_id") + 1
    end = len(names) if before is None else _place(names, before, "before_id")
    within = names[start:end]
    shown = within[-most:] if before is not None and after is None else within[:most]
    page = {
        "data": [_row(name) for name in shown],
        "has_more": len(within) > len(shown),
        "first_id": shown[0] if shown else None,
        "last_id": shown[-1] if shown else None,
    }
    return msgspec.json.encode(page)


def single(name: str) -> bytes:
    """One model."""
    return msgspec.json.encode(_row(name))


def _place(names: Sequence[str], name: str, param: str) -> int:
    if name not in names:
        raise InvalidRequest(f"`{param}` names no model of the list.", param=param)
    return names.index(name)


def _row(name: str) -> dict[str, Any]:
    return {"type": "model", "id": name, "display_name": name, "created_at": _UNKNOWN_DATE}

"""A neutral request as a Converse body. The model and whether it streams stand in the path, not in the body."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from headworks.errors import InvalidRequest
from headworks.formats.contract import Written
from headworks.formats.converse import settings
from headworks.formats.converse.contents import write_blocks
from headworks.formats.converse.pen import Pen
from headworks.formats.converse.tools import write_tools
from headworks.formats.neutral import Ext, Request, Turn

_CARRIED = frozenset(
    (
        "additionalModelResponseFieldPaths",
        "guardrailConfig",
        "performanceConfig",
        "promptVariables",
        "requestMetadata",
        "serviceTier",
    )
)
"""Converse's own members, which callers of any format may give by these names."""
_OWN_FIELDS = "additionalModelRequestFields"
_PATHS = "additionalModelResponseFieldPaths"
_SYSTEM = frozenset(("system", "developer"))

_encode = msgspec.json.Encoder().encode
_members = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode


def write_request(request: Request) -> Written:
    """See contract.Spoken."""
    pen = Pen(request)
    body: dict[str, Any] = {}
    _write_turns(pen, request, body)
    body["inferenceConfig"] = settings.inference(pen, request)
    tools, choice = write_tools(pen, request)
    thinking, effort = settings.reasoning(pen, request)
    body["toolConfig"] = tools
    body["outputConfig"] = settings.output(pen, request) | ({} if effort is None else {"effort": effort})
    body["serviceTier"] = settings.service_tier(pen, request)
    if request.stop and pen.family == "anthropic":
        body[_PATHS] = ["/stop_sequence"]  # which one was met is said nowhere else
    carried = {name: raw for name, raw in request.ext.items() if name in _CARRIED}
    own = _own_fields(request.ext, {**settings.top_k(pen, request), **thinking, **choice})
    pen.bag({}, {name: raw for name, raw in request.ext.items() if name not in _CARRIED | {_OWN_FIELDS}}, "")
    said = {**body, **carried, _OWN_FIELDS: own}
    return Written(_encode({name: value for name, value in said.items() if value}), tuple(pen.left_out))


def _write_turns(pen: Pen, request: Request, body: dict[str, Any]) -> None:
    turns, at = request.turns, pen.field("turns")
    count = next((index for index, turn in enumerate(turns) if turn.role not in _SYSTEM), len(turns))
    places = _places(pen, turns, count)
    system = [block for turn, place in zip(turns[:count], places, strict=False) for block in _system(pen, turn, place)]
    messages = _merged(pen, turns[count:], places[count:])
    if not messages:
        pen.refuse(at, "there is no message in it")
    body["messages"] = messages
    body["system"] = system


def _places(pen: Pen, turns: list[Turn], count: int) -> list[str]:
    """Where each turn stands in the caller's request: `system` and `instructions` are no messages of theirs."""
    at, apart = pen.field("turns"), ""
    if pen.origin == "messages" and count and "~inline" not in turns[0].ext:
        apart = "system"
    elif turns and "~instructions" in turns[0].ext:
        apart = "instructions"
    before = 1 if apart else 0
    return [apart if index < before else f"{at}[{index - before}]" for index in range(len(turns))]


def _system(pen: Pen, turn: Turn, at: str) -> list[object]:
    pen.bag({}, turn.ext, at)
    place = f"{at}.content" if at.endswith("]") else at
    blocks = write_blocks(pen, turn.blocks, place)
    for block in blocks:
        if not (isinstance(block, dict) and block.keys() <= {"text", "cachePoint"}):
            pen.refuse(place, "a system prompt is text")
    return blocks


def _merged(pen: Pen, turns: list[Turn], places: list[str]) -> list[dict[str, object]]:
    """The conversation with turns of one role after another made one: Bedrock wants them to alternate."""
    groups: list[tuple[str, list[object]]] = []
    for turn, at in zip(turns, places, strict=True):
        if turn.name is not None:
            pen.leave_out(f"{at}.name")
        pen.bag({}, turn.ext, at)
        role = "system" if turn.role in _SYSTEM else turn.role
        written = write_blocks(pen, turn.blocks, f"{at}.content")
        if not written:
            pen.leave_out(at)  # an empty message
        elif groups and groups[-1][0] == role:
            groups[-1][1].extend(written)
        else:
            groups.append((role, written))
    return [{"role": role, "content": blocks} for role, blocks in groups]


def _own_fields(ext: Ext, ours: Mapping[str, Any]) -> dict[str, Any]:
    """The model's own fields: the caller's, and those that we have words for. InvalidRequest where they disagree."""
    if _OWN_FIELDS not in ext:
        return dict(ours)
    try:
        given = _members(ext[_OWN_FIELDS])
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise InvalidRequest(f"`{_OWN_FIELDS}` must be an object.", param=_OWN_FIELDS) from None
    for name in ours.keys() & given.keys():
        at = f"{_OWN_FIELDS}.{name}"
        raise InvalidRequest(f"`{at}` is said twice: the request has a word of its own for it.", param=at)
    return {**given, **ours}

"""The conversation that a caller gives to a feature: texts of the user and of the assistant, in each format."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from headworks.errors import InvalidRequest
from headworks.formats.neutral import Block, OpaqueBlock, Request, TextBlock, ToolCallBlock, ToolResultBlock, Turn
from headworks.gateway.features.terms import Terms
from headworks.gateway.wire.bodies import Body, wrong_type
from headworks.types.features import Feature
from headworks.types.models import Message

Accepted = Callable[[str, str], None]
"""Passes for what the feature accepts, under a place of the request. Raises FixedByFeature."""

_SYSTEM = frozenset(("system", "developer"))
_TURNS = frozenset(("user", "assistant"))


class _Part(msgspec.Struct):
    type: str
    text: str | None = None


class _Said(msgspec.Struct):
    role: str
    content: str | list[_Part] | None = None
    tool_calls: msgspec.Raw = msgspec.Raw()


_messages = msgspec.json.Decoder(list[_Said]).decode


def read_chat(feature: Feature, body: Body, check: Accepted) -> list[Message]:
    """The messages of a chat. Raises InvalidRequest and FixedByFeature that name the message."""
    raw = body.value("messages")
    if raw is None:
        raise InvalidRequest("`messages` is required.", param="messages", code="missing_field")
    try:
        said = _messages(raw)
    except msgspec.ValidationError as error:
        raise InvalidRequest(
            f"`messages` can't be read: {_where(error)}.", param="messages", code="invalid_type"
        ) from None
    return [_of_chat(feature, f"messages[{index}]", each, check) for index, each in enumerate(said)]


def read_turns(feature: Feature, request: Request, terms: Terms, body: Body, check: Accepted) -> list[Message]:
    """The same of a request in neutral words; what stands outside of the conversation is named as the caller does."""
    has_system = bool(terms.system) and body.has(terms.system)
    messages = []
    for index, turn in enumerate(request.turns):
        if has_system and index == 0 and turn.role == "system":
            place = terms.system
        elif terms.conversation == "messages":
            place = f"messages[{index - has_system}]"
        else:
            place = terms.conversation
        messages.append(_of_turn(feature, place, turn, check))
    return messages


def _of_chat(feature: Feature, place: str, said: _Said, check: Accepted) -> Message:
    if said.role in _SYSTEM:
        check(said.role, place)
        return Message("system", _text(feature, place, said.content))
    if said.role in {"tool", "function"} or bytes(said.tool_calls) not in {b"", b"null", b"[]"}:
        check("tools", place)
    if said.role not in _TURNS:
        raise InvalidRequest(f"`{place}.role` must be user or assistant.", param=f"{place}.role")
    return Message("user" if said.role == "user" else "assistant", _text(feature, place, said.content))


def _text(feature: Feature, place: str, content: str | list[_Part] | None) -> str:
    if isinstance(content, list):
        if other := next((part.type for part in content if part.type != "text"), None):
            raise _no_text(feature, f"{place}.content", other)
        return "".join(part.text or "" for part in content)
    if content is None:
        raise wrong_type(f"{place}.content", "text")
    return content


def _of_turn(feature: Feature, place: str, turn: Turn, check: Accepted) -> Message:
    if turn.role in _SYSTEM:
        check(turn.role, place)
    if any(isinstance(block, (ToolCallBlock, ToolResultBlock)) for block in turn.blocks):
        check("tools", place)
    texts = [_text_of(feature, place, block) for block in turn.blocks]
    role = "system" if turn.role == "developer" else turn.role
    return Message(role, "".join(texts))


def _text_of(feature: Feature, place: str, block: Block) -> str:
    if isinstance(block, TextBlock):
        return block.text
    kind = block.kind if isinstance(block, OpaqueBlock) else type(block).__name__.removesuffix("Block").lower()
    raise _no_text(feature, place, kind)


def _no_text(feature: Feature, place: str, kind: str) -> InvalidRequest:
    return InvalidRequest(
        f"`{place}`: the feature `{feature.name}` takes text, not `{kind[:40]}`.",
        param=place,
    )


def _where(error: Exception) -> str:
    """A message of msgspec with the path as the caller writes it."""
    return str(error).replace("`$[", "`messages[").replace("[...]", "[]")

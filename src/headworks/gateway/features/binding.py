"""The contract of calling a feature: what belongs to the caller, what the feature fixes, and what is ignored aloud."""

from __future__ import annotations

import msgspec

from headworks.errors import FixedByFeature, InvalidRequest
from headworks.gateway.calls import Call, Question
from headworks.gateway.contract import InputCheck
from headworks.gateway.plans import CAPS, Plan
from headworks.gateway.wire.bodies import Body, wrong_type
from headworks.types.features import Feature
from headworks.types.models import Message

_CALLERS = frozenset(("model", "messages", "inputs", "stream", "stream_options", "user", "metadata", *CAPS))
_FIXED = {
    "tools": "tools",
    "tool_choice": "tools",
    "parallel_tool_calls": "tools",
    "functions": "tools",
    "function_call": "tools",
    "response_format": "response_format",
}
"""Fields, and what a feature must `accept` for them."""
_SYSTEM = frozenset(("system", "developer"))
_TURNS = frozenset(("user", "assistant"))
_MOST_IGNORED = 20


class _Part(msgspec.Struct):
    type: str
    text: str | None = None


class _Turn(msgspec.Struct):
    role: str
    content: str | list[_Part] | None = None
    tool_calls: msgspec.Raw = msgspec.Raw()


_turns = msgspec.json.Decoder(list[_Turn]).decode


def bind(plan: Plan, call: Call, check_inputs: InputCheck) -> Question:
    """What the feature is asked. Raises InvalidRequest and FixedByFeature that name the field."""
    feature = plan.feature
    assert feature is not None  # noqa: S101 -- only features are bound
    if call.surface != "chat":
        raise InvalidRequest(
            f"`{feature.name}` is a feature; it is called through chat completions.",
            next_step="For embeddings name a route or `provider/model`.",
            param="model",
        )
    _refuse_fixed(feature, call.body)
    turns = _read_turns(feature, call.body)
    system = tuple(turn for turn in turns if turn.role == "system")
    turns = [turn for turn in turns if turn.role != "system"]
    if not turns or turns[-1].role != "user":
        raise InvalidRequest(
            f"The last message to the feature `{feature.name}` must be the user's.",
            param="messages",
            code="no_question",
        )
    given = call.body.parsed("inputs")
    if given is not None and not isinstance(given, dict):
        raise wrong_type("inputs", "an object")
    history = tuple(turns[:-1])
    if not any(spec.source == "history" for spec in feature.inputs):
        _name_ignored(call, ["messages[:-1]"] if history else [])
        history = ()
    else:
        _name_ignored(call, [])
    return Question(
        turns[-1].content,
        history,
        check_inputs(feature, given or {}),
        _cap(plan, call),
        system,
        {name: msgspec.Raw(raw) for name in ("response_format",) if (raw := call.body.value(name)) is not None},
    )


def _refuse_fixed(feature: Feature, body: Body) -> None:
    for name, needed in _FIXED.items():
        if body.has(name):
            _check_accepted(feature, needed, name)
    if (count := body.count("n")) is not None and count > 1:
        _check_accepted(feature, "n", "n")


def _check_accepted(feature: Feature, needed: str, place: str) -> None:
    """Pass for what the feature accepts. Raises FixedByFeature."""
    if needed not in feature.accepts:
        raise FixedByFeature(
            f"`{place}`: the feature `{feature.name}` fixes `{needed}`; a caller can't set it.",
            next_step="Leave it out, or ask the feature's owner.",
            param=place,
        )


def _name_ignored(call: Call, also: list[str]) -> None:
    known = _CALLERS | _FIXED.keys() | {"n"}
    ignored = [name for name in call.body.members if name not in known] + also
    if ignored:
        shown = [name if name.isascii() and name.isprintable() else "(unprintable)" for name in sorted(ignored)]
        call.tell(b"x-headworks-ignored", ", ".join(shown[:_MOST_IGNORED])[:1000])


def _read_turns(feature: Feature, body: Body) -> list[Message]:
    raw = body.value("messages")
    if raw is None:
        raise InvalidRequest("`messages` is required.", param="messages", code="missing_field")
    try:
        turns = _turns(raw)
    except msgspec.ValidationError as error:
        raise InvalidRequest(
            f"`messages` can't be read: {_where(error)}.", param="messages", code="invalid_type"
        ) from None
    return [_message(feature, index, turn) for index, turn in enumerate(turns)]


def _message(feature: Feature, index: int, turn: _Turn) -> Message:
    place = f"messages[{index}]"
    if turn.role in _SYSTEM:
        _check_accepted(feature, turn.role, place)
        return Message("system", _text(feature, place, turn.content))
    if turn.role in {"tool", "function"} or bytes(turn.tool_calls) not in {b"", b"null", b"[]"}:
        _check_accepted(feature, "tools", place)
    if turn.role not in _TURNS:
        raise InvalidRequest(f"`{place}.role` must be user or assistant.", param=f"{place}.role")
    return Message("user" if turn.role == "user" else "assistant", _text(feature, place, turn.content))


def _text(feature: Feature, place: str, content: str | list[_Part] | None) -> str:
    if isinstance(content, list):
        if other := next((part.type for part in content if part.type != "text"), None):
            raise InvalidRequest(
                f"`{place}.content`: the feature `{feature.name}` takes text, not `{other[:40]}`.",
                param=f"{place}.content",
            )
        return "".join(part.text or "" for part in content)
    if content is None:
        raise wrong_type(f"{place}.content", "text")
    return content


def _cap(plan: Plan, call: Call) -> int:
    """The feature's cap, or the caller's lower one; a higher one is cut, aloud."""
    own = min((aim.cap for aim in plan.aims if aim.cap is not None), default=plan.default_max_output)
    asked = [(name, given) for name in CAPS if (given := call.body.count(name)) is not None]
    if over := [name for name, given in asked if given > own]:
        call.tell(b"x-headworks-clamped", ", ".join(over))
    return min([own, *(given for _, given in asked)])


def _where(error: Exception) -> str:
    """A message of msgspec with the path as the caller writes it."""
    return str(error).replace("`$[", "`messages[").replace("[...]", "[]")

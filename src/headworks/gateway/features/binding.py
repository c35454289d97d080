"""The contract of calling a feature: what belongs to the caller, what the feature fixes, and what is ignored aloud.

It is the same in every format that a conversation can be told in; `terms.py` has the formats' words for it.
"""

from __future__ import annotations

from functools import partial

import msgspec

from headworks.errors import FixedByFeature, InvalidRequest
from headworks.formats.neutral import FormatName, OutputFormat
from headworks.gateway.calls import Call, Question
from headworks.gateway.contract import InputCheck
from headworks.gateway.features.terms import TERMS, Terms
from headworks.gateway.features.turns import Accepted, read_chat, read_turns
from headworks.gateway.plans import Plan
from headworks.gateway.wire.bodies import Body, wrong_type
from headworks.types.features import Feature
from headworks.types.models import Message

_MOST_IGNORED = 20
_NAMELESS = "answer"
"""What a schema is called where its format gives it no name."""


def bind(plan: Plan, call: Call, check_inputs: InputCheck) -> Question:
    """What the feature is asked. Raises InvalidRequest and FixedByFeature that name the field."""
    feature = plan.feature
    assert feature is not None  # noqa: S101 -- only features are bound
    terms, spoken = _terms_of(feature, call)
    check = partial(_check_accepted, feature)
    _refuse_fixed(terms, call.body, check)
    turns = _read(feature, terms, call, check)
    system = tuple(turn for turn in turns if turn.role == "system")
    turns = [turn for turn in turns if turn.role != "system"]
    if not turns or turns[-1].role != "user":
        raise InvalidRequest(
            f"The last message to the feature `{feature.name}` must be the user's.",
            param=terms.conversation,
            code="no_question",
        )
    given = call.body.parsed("inputs")
    if given is not None and not isinstance(given, dict):
        raise wrong_type("inputs", "an object")
    history = tuple(turns[:-1])
    takes_history = any(spec.source == "history" for spec in feature.inputs)
    inputs = check_inputs(feature, given or {})
    question = Question(
        turns[-1].content,
        history if takes_history else (),
        inputs,
        _cap(plan, call),
        system,
        _accepted(terms, call, check, spoken),
        conversation=terms.conversation,
    )
    _name_ignored(terms, call, [f"{terms.conversation}[:-1]"] if history and not takes_history else [])
    return question


def _terms_of(feature: Feature, call: Call) -> tuple[Terms, FormatName]:
    name = call.format
    terms = None if name is None else TERMS.get(name)
    if name is None or terms is None:
        raise InvalidRequest(
            f"`{feature.name}` is a feature; it is called by Chat Completions, Responses, Messages or Completions.",
            next_step="For embeddings name a route or `provider/model`.",
            param="model",
        )
    return terms, name


def _read(feature: Feature, terms: Terms, call: Call, check: Accepted) -> list[Message]:
    """The turns. What the format itself refuses is refused before anything is asked of a model."""
    if call.format == "chat":
        turns = read_chat(feature, call.body, check)
        call.neutral  # noqa: B018 -- read for its errors: the answer is written by it
        return turns
    request = call.neutral
    for name in terms.unanswerable:
        if bytes(request.ext.get(name, b"null")) != b"null":
            raise InvalidRequest(
                f"`{name}`: the feature `{feature.name}` is asked with the whole conversation.",
                next_step=f"Send the turns before in `{terms.conversation}`.",
                param=name,
            )
    return read_turns(feature, request, terms, call.body, check)


def _refuse_fixed(terms: Terms, body: Body, check: Accepted) -> None:
    for name, needed in terms.fixed.items():
        if body.has(name):
            check(needed, name)
    if "n" in terms.own and (count := body.count("n")) is not None and count > 1:
        check("n", "n")


def _check_accepted(feature: Feature, needed: str, place: str) -> None:
    """Pass for what the feature accepts. Raises FixedByFeature."""
    if needed not in feature.accepts:
        raise FixedByFeature(
            f"`{place}`: the feature `{feature.name}` fixes `{needed}`; a caller can't set it.",
            next_step="Leave it out, or ask the feature's owner.",
            param=place,
        )


def _accepted(terms: Terms, call: Call, check: Accepted, name: FormatName) -> dict[str, msgspec.Raw]:
    """The shape of the answer, if the caller gives one, as Chat Completions say it."""
    if name == "chat":
        raw = call.body.value("response_format")
        return {} if raw is None else {"response_format": msgspec.Raw(raw)}
    wanted = call.neutral.output_format
    if wanted is None or wanted.kind == "text":
        return {}
    check("response_format", "output_format" if call.body.has("output_format") else terms.output_format)
    return {"response_format": msgspec.Raw(msgspec.json.encode(_as_chat(wanted)))}


def _as_chat(wanted: OutputFormat) -> dict[str, object]:
    if wanted.kind == "json":
        return {"type": "json_object"}
    schema = {
        "name": wanted.name or _NAMELESS,
        "schema": wanted.schema,
        "strict": wanted.strict,
        "description": wanted.description,
    }
    return {
        "type": "json_schema",
        "json_schema": {name: value for name, value in schema.items() if value is not None},
    }


def _name_ignored(terms: Terms, call: Call, also: list[str]) -> None:
    known = terms.known
    ignored = [name for name in call.body.members if name not in known] + also
    ignored += _ignored_beside(terms, call.body)
    if ignored:
        shown = [name if name.isascii() and name.isprintable() else "(unprintable)" for name in sorted(ignored)]
        call.tell(b"x-headworks-ignored", ", ".join(shown[:_MOST_IGNORED])[:1000])


def _ignored_beside(terms: Terms, body: Body) -> list[str]:
    """What stands beside the shape of the answer where that is a member of an object."""
    outer, _, inner = terms.output_format.partition(".")
    beside = body.section(outer) if inner and outer in body.members else None
    return [] if beside is None else [f"{outer}.{name}" for name in beside.members if name != inner]


def _cap(plan: Plan, call: Call) -> int:
    """The feature's cap, or the caller's lower one; a higher one is cut, aloud."""
    own = min((aim.cap for aim in plan.aims if aim.cap is not None), default=plan.default_max_output)
    asked = [(name, given) for name in call.dialect.caps if (given := call.body.count(name)) is not None]
    if over := [name for name, given in asked if given > own]:
        call.tell(b"x-headworks-clamped", ", ".join(over))
    return min([own, *(given for _, given in asked)])

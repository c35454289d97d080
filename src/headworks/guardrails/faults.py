"""What is wrong with a value, in plain words: places and what the schema asks for, nothing of the value itself."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from headworks.guardrails.contract import Fault

if TYPE_CHECKING:
    from jsonschema_rs import ValidationError

MOST = 10
_MOST_SHOWN = 160
_PLAIN_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*")


def path_of(steps: Iterable[str | int], known: frozenset[str]) -> str:
    """A JSON path; `known` are the names that may be shown."""
    return "$" + "".join(_step(each, known) for each in steps)


def _step(step: str | int, known: frozenset[str]) -> str:
    if isinstance(step, int):
        return f"[{step}]"
    if step not in known:
        return ".*"
    return f".{step}" if _PLAIN_NAME.fullmatch(step) else f"[{json.dumps(step, ensure_ascii=False)}]"


def faults_of(errors: Iterable[ValidationError], known: frozenset[str]) -> tuple[Fault, ...]:
    """At most ten, each once; of alternatives none of which fits, what keeps the closest from fitting."""
    found: dict[Fault, None] = {}
    for error in errors:
        for each in _leaves(error):
            found[Fault(path_of(each.instance_path, known), _words(each))] = None
            if len(found) == MOST:
                return tuple(found)
    return tuple(found)


def _leaves(error: ValidationError) -> Iterator[ValidationError]:
    closest = _closest(error)
    if not closest:
        yield error
    for each in closest:
        yield from _leaves(each)


def _closest(error: ValidationError) -> Sequence[ValidationError]:
    """The errors of the alternative that was most likely meant; none where no alternative is of the right type."""
    if error.kind.name not in {"anyOf", "oneOf"}:
        return ()
    place = len(error.instance_path)
    branches = [each for each in error.kind.value if each]
    if len(branches) < len(error.kind.value):
        return ()  # more than one fits
    meant = [
        each
        for each in branches
        if not any(one.kind.name in {"type", "falseSchema"} and len(one.instance_path) == place for one in each)
    ]
    return min(meant, key=lambda each: (_is_other_kind(each, place), len(each)), default=())


def _is_other_kind(errors: Sequence[ValidationError], place: int) -> bool:
    """Whether a member that tells alternatives apart (`type: "circle"`) has another value."""
    return any(one.kind.name in {"const", "enum"} and len(one.instance_path) <= place + 1 for one in errors)


def _words(error: ValidationError) -> str:
    say = _WORDS.get(error.kind.name)
    if say is not None:
        return say(error)
    limit = _LIMITS.get(error.kind.name)
    if limit is not None:
        return limit.format(_shown(error.kind.value))
    return f"breaks the schema's `{error.kind.name}`"


_LIMITS = {
    "const": "must be {}",
    "enum": "must be one of {}",
    "exclusiveMaximum": "must be less than {}",
    "exclusiveMinimum": "must be more than {}",
    "maximum": "must be at most {}",
    "minimum": "must be at least {}",
    "multipleOf": "must be a multiple of {}",
    "maxItems": "may have at most {} elements",
    "minItems": "must have at least {} elements",
    "maxLength": "may have at most {} characters",
    "minLength": "must have at least {} characters",
    "maxProperties": "may have at most {} members",
    "minProperties": "must have at least {} members",
    "pattern": "must match the pattern {}",
    "format": "must be of the format {}",
    "required": "lacks the member {}",
    "contentEncoding": "must be encoded as {}",
    "contentMediaType": "must be text of the type {}",
}
"""By keyword; in the braces what the schema asks for."""


def _type(error: ValidationError) -> str:
    return _of_type(error.kind.value, error.instance)


def _of_type(types: Iterable[str], value: Any) -> str:  # noqa: ANN401 -- any JSON value
    wanted = " or ".join(dict.fromkeys(_A_TYPE.get(each, each) for each in types))
    return f"must be {wanted}, not {_kind(value)}"


def _unexpected(error: ValidationError) -> str:
    count = len(error.kind.value)
    return f"has {count} {'member' if count == 1 else 'members'} that the schema does not allow"


def _alternatives(error: ValidationError) -> str:
    fitting = sum(1 for each in error.kind.value if not each)
    if fitting > 1:
        return f"fits {fitting} of {len(error.kind.value)} alternatives; it must fit one only"
    types = [_types_at(each, len(error.instance_path)) for each in error.kind.value]
    if all(types):
        return _of_type((one for each in types for one in each), error.instance)
    return f"fits none of {len(error.kind.value)} alternatives"


def _types_at(errors: Sequence[ValidationError], place: int) -> list[str]:
    """The types that an alternative takes at the very place, if the value is of none of them."""
    return [
        name for one in errors if one.kind.name == "type" and len(one.instance_path) == place for name in one.kind.value
    ]


_WORDS: dict[str, Callable[[ValidationError], str]] = {
    "type": _type,
    "additionalProperties": _unexpected,
    "unevaluatedProperties": _unexpected,
    "anyOf": _alternatives,
    "oneOf": _alternatives,
    "falseSchema": lambda _: "must not be there",
    "not": lambda _: "is what the schema rules out",
    "contains": lambda _: "does not hold the elements that it must hold",
    "uniqueItems": lambda _: "holds an element twice",
    "additionalItems": lambda _: "has too many elements",
    "unevaluatedItems": lambda _: "has elements that the schema does not allow",
    "propertyNames": lambda _: "has a member whose name the schema does not allow",
}

_A_TYPE = {
    "string": "text",
    "integer": "a whole number",
    "number": "a number",
    "boolean": "true or false",
    "array": "a list",
    "object": "an object",
}


def _kind(value: Any) -> str:  # noqa: ANN401 -- any JSON value
    if value is None:
        return "null"
    for types, name in (
        (bool, "true or false"), (str, "text"), (list, "a list"), (dict, "an object"),
    ):  # fmt: skip
        if isinstance(value, types):
            return name
    return "a number"


def _shown(value: Any) -> str:  # noqa: ANN401 -- a part of the schema
    texts = value if isinstance(value, list) else [value]
    shown = ", ".join(json.dumps(each, ensure_ascii=False, default=str) for each in texts)
    return shown if len(shown) <= _MOST_SHOWN else f"{shown[:_MOST_SHOWN]}…"

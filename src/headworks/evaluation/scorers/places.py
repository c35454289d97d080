"""Where a scorer looks: a place in the answer, and what the example wants to stand there.

`path: /decision` is a JSON pointer (RFC 6901) into an answer that is JSON; without it the whole text counts. What is
wanted is `value`, or the example's reference, or with `reference: /decision` a place in it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NoReturn

from headworks.evaluation.scorers.contract import NO_REFERENCE, NOT_JSON
from headworks.strict_yaml import Section
from headworks.types.evaluation import Example, Output

_MISSING = object()


class Nowhere(Exception):
    """There is nothing at a place; with the code of the score's error."""

    def __init__(self, code: str, reason: str) -> None:
        super().__init__(reason)
        self.code = code
        self.reason = reason


def read_pointer(section: Section, key: str) -> str | None:
    """A JSON pointer, or None where the key is not there."""
    if not section.has(key):
        return None
    pointer = section.text(key)
    if pointer and not pointer.startswith("/"):
        section.complain(key, f"`{key}` is {pointer!r}, which is no JSON pointer.", f"Like /{pointer}.")
    return pointer


def at(value: Any, pointer: str) -> Any:  # noqa: ANN401 -- JSON values
    """The value at a pointer; Nowhere where there is none."""
    for step in pointer.split("/")[1:]:
        value = _step(value, step.replace("~1", "/").replace("~0", "~"))
        if value is _MISSING:
            raise Nowhere(NOT_JSON, f"there is nothing at `{pointer}`.")
    return value


def _step(value: Any, name: str) -> Any:  # noqa: ANN401 -- JSON values
    if isinstance(value, Mapping):
        return value.get(name, _MISSING)
    if isinstance(value, list | tuple) and name.isascii() and name.isdecimal() and int(name) < len(value):
        return value[int(name)]
    return _MISSING


def parsed(text: str) -> Any:  # noqa: ANN401 -- any JSON value
    """An answer as JSON, strictly; Nowhere where it is none."""
    try:
        return json.loads(text, parse_constant=_no_constant)
    except (ValueError, RecursionError):
        raise Nowhere(NOT_JSON, "the answer is no JSON.") from None


def _no_constant(name: str) -> NoReturn:
    raise ValueError(name)


@dataclass(frozen=True, slots=True)
class Place:
    """Where the answer is looked at, and what is wanted there: `value` (if `has_value`), else the reference."""

    path: str | None = None
    reference: str | None = None
    value: Any = None
    has_value: bool = False

    @property
    def settings(self) -> dict[str, Any]:
        """For the digest: only what is said."""
        said: dict[str, Any] = {"path": self.path, "reference": self.reference}
        return {key: each for key, each in said.items() if each is not None} | (
            {"value": self.value} if self.has_value else {}
        )

    def found(self, output: Output) -> Any:  # noqa: ANN401 -- any JSON value
        """What the answer says there: its text, or a JSON value. Raises Nowhere."""
        return output.text if self.path is None else at(parsed(output.text), self.path)

    def wanted(self, example: Example) -> Any:  # noqa: ANN401 -- any JSON value
        """What should stand there. Raises Nowhere."""
        if self.has_value:
            return self.value
        if example.reference is None:
            raise Nowhere(NO_REFERENCE, "the example has no reference.")
        if self.reference is None:
            return example.reference
        try:
            return at(example.reference, self.reference)
        except Nowhere:
            raise Nowhere(NO_REFERENCE, f"the example's reference has nothing at `{self.reference}`.") from None


def read_place(section: Section) -> Place:
    """`path`, `reference` and `value` of a section."""
    path = read_pointer(section, "path")
    reference = read_pointer(section, "reference")
    has_value = section.has("value")
    if has_value and reference is not None:
        section.complain("value", "`value` and `reference` both say what is wanted.", "Keep one of them.")
    return Place(path, reference, section.json("value") if has_value else None, has_value)


def as_text(value: Any) -> str:  # noqa: ANN401 -- any JSON value
    """A JSON value as a text: texts as they are, others as JSON."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, sort_keys=True)


def as_texts(value: Any) -> list[str]:  # noqa: ANN401 -- any JSON value
    """One text, or each of a list."""
    return [as_text(each) for each in value] if isinstance(value, list | tuple) else [as_text(value)]

"""Alternatives of a JSON schema (`anyOf`, `oneOf`) made quick to tell apart, with nothing changed in what fits.

Where an alternative fixes a member to certain texts (`kind: {const: circle}`), it is looked into only if that holds:
`{if: {…}, then: alternative, else: false}`. Trees of such alternatives would otherwise be tried in every combination at
each level, and the reasons why they don't fit be told in as many.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from headworks.guardrails.subschemas import Json, target_of, walk

_UNIONS = ("anyOf", "oneOf")
_WITHOUT_IF = ("draft-03", "draft-04", "draft-06")


@dataclass(frozen=True, slots=True)
class Guard:
    """The texts that members of an object must be, if they are there, before an alternative is looked into."""

    members: Mapping[str, tuple[str, ...]]

    def lets_in(self, value: Any) -> bool:  # noqa: ANN401 -- any JSON value
        """Whether the alternative has to be looked into."""
        if not isinstance(value, dict):
            return True
        return all(value[name] in allowed for name, allowed in self.members.items() if name in value)

    def as_schema(self) -> Json:
        """The same for a validator."""
        return {"properties": {name: {"enum": list(allowed)} for name, allowed in self.members.items()}}


def guard_alternatives(root: Json) -> dict[int, Guard]:
    """Put guards into a valid schema, in place; gives each by the `id` of the schema that replaces its alternative."""
    schemas = [each for _, each in walk(root)]
    if any(each in str(root.get("$schema")) for each in _WITHOUT_IF) or any(map(_points_into_union, schemas)):
        return {}
    guards: dict[int, Guard] = {}
    for schema in schemas:
        for keyword in _UNIONS:
            alternatives = schema.get(keyword, [])
            for index, alternative in enumerate(alternatives):
                if guard := _guard_of(root, alternative):
                    guarded = {"if": guard.as_schema(), "then": alternative, "else": False}
                    alternatives[index] = guarded
                    guards[id(guarded)] = guard
    return guards


def _points_into_union(schema: Json) -> bool:
    reference = str(schema.get("$ref"))
    return any(f"/{keyword}/" in reference for keyword in _UNIONS)


def _guard_of(root: Json, alternative: Any) -> Guard | None:  # noqa: ANN401 -- a schema, true or false
    """None where no member tells an alternative apart."""
    for _ in range(5):
        if not isinstance(alternative, dict) or "$ref" not in alternative:
            break
        alternative = target_of(root, alternative["$ref"])
    if not isinstance(alternative, dict) or "$ref" in alternative:
        return None
    told = {name: texts for name, member in alternative.get("properties", {}).items() if (texts := _texts_of(member))}
    return Guard(told) if told else None


def _texts_of(member: Any) -> tuple[str, ...]:  # noqa: ANN401 -- a schema, true or false
    """The texts that a member may be, if it may be nothing else."""
    if not isinstance(member, dict) or "$ref" in member:
        return ()
    allowed = [member["const"]] if "const" in member else member.get("enum", [])
    return tuple(allowed) if all(isinstance(each, str) for each in allowed) else ()

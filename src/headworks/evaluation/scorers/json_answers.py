"""Answers that are JSON: `json_schema`."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Any

import jsonschema_rs

from headworks.evaluation.digests import digest_of
from headworks.evaluation.scorers.contract import PlainMeasure, ScorerKind, Surroundings, passed
from headworks.evaluation.scorers.places import Nowhere, parsed
from headworks.strict_yaml import Section
from headworks.types.evaluation import Example, Output, Score

_MOST_TOLD = 3


@dataclass(frozen=True)
class JsonSchema(PlainMeasure):
    """The answer is JSON as a schema (draft 2020-12) wants it; without a schema: that it is JSON at all."""

    schema: Any

    @property
    def settings(self) -> Mapping[str, Any]:
        """See Measure."""
        return {"schema": None if self.schema is None else digest_of(self.schema)}

    def measure(self, example: Example, output: Output) -> Score:
        """See PlainMeasure. An answer that is no JSON has failed: nothing about it is unknown."""
        del example
        try:
            value = parsed(output.text)
        except Nowhere as error:
            return passed(is_passed=False, reason=error.reason)
        if self.schema is None:
            return passed(is_passed=True)
        errors = jsonschema_rs.Draft202012Validator(self.schema).iter_errors(value)
        faults = [f"{_pointer(each)}: {each.message}" for each in islice(errors, _MOST_TOLD)]
        return passed(not faults, "; ".join(faults))


def _pointer(error: jsonschema_rs.ValidationError) -> str:
    return "/" + "/".join(str(step) for step in error.instance_path)


def _read(section: Section, surroundings: Surroundings) -> JsonSchema:
    schema = section.json("schema") if section.has("schema") else None
    if section.has("file"):
        if schema is not None:
            section.complain("file", "`file` and `schema` both give a schema.", "Keep one of them.")
        schema = _from_file(section, surroundings)
    if schema is not None:
        if not isinstance(schema, dict | bool):
            section.complain("schema", "`schema` must be a JSON schema, a mapping.")
        try:
            jsonschema_rs.Draft202012Validator(schema)
        except ValueError as error:
            key = "file" if section.has("file") else "schema"
            section.complain(key, f"the schema is none: {str(error).splitlines()[0]}.")
    return JsonSchema(schema)


def _from_file(section: Section, surroundings: Surroundings) -> Any:  # noqa: ANN401 -- any JSON value
    path = section.text("file")
    content = surroundings.files.get(path)
    if content is None:
        section.complain("file", f"there is no file `{path}` beside the feature.", "Like evals/answer.schema.json.")
    try:
        return json.loads(content)
    except (ValueError, RecursionError):
        section.complain("file", f"`{path}` is no JSON.")


KINDS = (
    ScorerKind("json_schema", _read, "The answer is JSON, and as a schema wants it.", {"schema": {"type": "object"}}),
)

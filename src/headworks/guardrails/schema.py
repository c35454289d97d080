"""Structured output: an answer is JSON that fits its schema, or it is told what is wrong with it.

Draft 2020-12 unless `$schema` names another; formats are checked; nothing is fetched; patterns take time linear in the
text. What would take too long to check is not taken, and an answer that can't be checked is not good.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NoReturn

from headworks.guardrails.alternatives import guard_alternatives
from headworks.guardrails.contract import CheckedJson, Fault
from headworks.guardrails.faults import faults_of
from headworks.guardrails.json_text import NotJson, read_json, read_repaired
from headworks.guardrails.subschemas import DEEPEST, Work, check_references, target_of, walk
from headworks.releases.contract import SchemaWrong

if TYPE_CHECKING:
    from jsonschema_rs import Validator

MAX_SCHEMA_BYTES = 65_536
MOST_UNFOLDED = 20_000
"""Schemas in a schema with its references followed."""
_MOST_CHECKS = 20_000_000
"""Of one schema at one value: about 0.2 s."""
_MOST_CHECKS_TOLD = 5_000
"""So many checks that went wrong can still be listed in 0.1 s."""
_MOST_PAIRS = 50_000
_PATTERN_BYTES = 500_000


def check_json(schema: bytes, text: str) -> CheckedJson:
    """Whether a text is JSON by a schema, as it is or after a repair that loses nothing (see json_text).

    `schema` is what `read_output_schema` gave. Raises SchemaWrong for one that it would not have taken.
    """
    compiled = compile_schema(schema)
    try:
        read = read_repaired(text)
    except NotJson as error:
        return CheckedJson(text, None, was_repaired=False, errors=(Fault("$", str(error)),))
    return CheckedJson(read.text, read.value, read.was_repaired, compiled.faults(read.value, read.text))


def read_output_schema(text: str, *, is_strict: bool) -> bytes:
    """See releases.contract.SchemaReader."""
    try:
        schema = read_json(text)
    except NotJson as error:
        raise SchemaWrong(str(error), line=error.line) from None
    written = json.dumps(schema, ensure_ascii=False, separators=(",", ":")).encode()
    compiled = compile_schema(written)
    if compiled.root_type not in {"object", "array"}:
        # Of a bare number nobody can tell whether it was cut off.
        raise SchemaWrong("the answer must be an object or a list: say `type: object` at the top", ())
    if is_strict:
        _check_strict(compiled.root)
    return written


@lru_cache(maxsize=256)
def compile_schema(schema: bytes) -> Schema:
    """A schema ready for use, from its JSON; kept by its content. Raises SchemaWrong."""
    if len(schema) > MAX_SCHEMA_BYTES:
        raise SchemaWrong(f"the schema has more than {MAX_SCHEMA_BYTES:,} bytes")
    root = json.loads(schema)
    if not isinstance(root, dict):
        raise SchemaWrong("a schema is a mapping of keywords")
    check_references(root)
    _validator(root)  # as it was written, so that what is wrong is told by its own place
    names = frozenset(str(name) for _, each in walk(root) for name in _names(each))
    written = json.loads(schema)
    guards = guard_alternatives(root)
    work = Work(root, lambda part, value: (guard := guards.get(id(part))) is not None and not guard.lets_in(value))
    try:
        unfolded = work.unfolded()
    except RecursionError:
        raise SchemaWrong(f"schemas refer to each other more than {DEEPEST} levels deep") from None
    if unfolded > MOST_UNFOLDED:
        raise SchemaWrong(f"with its references followed it holds more than {MOST_UNFOLDED:,} schemas")
    return Schema(_validator(root), written, names, unfolded, work)


@dataclass(frozen=True, slots=True)
class Schema:
    """A compiled schema; `root` is as written, `names` are the members that it speaks of, the rest see subschemas."""

    validator: Validator
    root: dict[str, Any]
    names: frozenset[str]
    unfolded: int
    work: Work

    @property
    def root_type(self) -> str | None:
        """The type of every value that fits, where the schema says one at its top or where its top leads to."""
        schema: Any = self.root
        for _ in range(20):
            if not isinstance(schema, dict) or isinstance(schema.get("type"), str):
                break
            schema = target_of(self.root, str(schema.get("$ref", "")))
        found = schema.get("type") if isinstance(schema, dict) else None
        return found if isinstance(found, str) else None

    def faults(self, value: Any, text: str) -> tuple[Fault, ...]:  # noqa: ANN401 -- any JSON value
        """What is wrong with a value; `text` is the JSON that it was read from. Empty: it fits."""
        if self._takes_too_long(value, text):
            return (Fault("$", "is too large, or nested too deep, to be checked by this schema"),)
        try:
            if self.validator.is_valid(value):
                return ()
            checks = self.work.at(value, _MOST_CHECKS_TOLD)
            if checks is not None and checks <= _MOST_CHECKS_TOLD:
                return faults_of(self.validator.iter_errors(value), self.names)
        except ValueError:
            return (Fault("$", "could not be checked by this schema"),)
        return (Fault("$", "does not fit the schema; it is too large to say where"),)

    def _takes_too_long(self, value: Any, text: str) -> bool:  # noqa: ANN401 -- as above
        if not self.work.is_recursive:
            parts = 1 + text.count(",") + text.count("{") + text.count("[")
            return parts * self.unfolded > _MOST_CHECKS
        checks = self.work.at(value, _MOST_PAIRS)
        return checks is None or checks > _MOST_CHECKS


def _validator(root: dict[str, Any]) -> Validator:
    from jsonschema_rs import RegexOptions, ValidationError, validator_for

    try:
        return validator_for(
            root,
            validate_formats=True,
            ignore_unknown_formats=False,
            offline=True,
            pattern_options=RegexOptions(size_limit=_PATTERN_BYTES, dfa_size_limit=_PATTERN_BYTES),
        )
    except ValidationError as error:
        raise _refused(error.message, tuple(error.instance_path), error.kind.name) from None
    except ValueError as error:
        raise SchemaWrong(str(error)) from None


def _refused(message: str, path: tuple[str | int, ...], keyword: str) -> SchemaWrong:
    if path and path[-1] == "pattern":
        return SchemaWrong(
            "the pattern can't be checked in linear time (look-around, back-reference, or too large)", path
        )
    if keyword == "anyOf" and path and path[-1] == "type":
        return SchemaWrong(
            "there is no such type; types are string, number, integer, boolean, array, object, null", path
        )
    if path and path[-1] == "format":
        return SchemaWrong("nothing checks this format; leave it out", path)
    return SchemaWrong(f"not valid: {message[:200]}", path)


def _names(schema: dict[str, Any]) -> list[Any]:
    required = schema.get("required")
    return [*schema.get("properties", {}), *(required if isinstance(required, list) else [])]


def _check_strict(root: dict[str, Any]) -> None:
    """What providers demand that decode strictly: objects without other members, all of them required."""
    for path, schema in walk(root):
        members = schema.get("properties")
        if members is None and schema.get("type") != "object":
            continue
        if schema.get("additionalProperties") is not False:
            _not_strict("`additionalProperties: false` is missing", path)
        if missing := [name for name in members or {} if name not in schema.get("required", [])]:
            _not_strict(f"`{missing[0]}` is not `required`", path)


def _not_strict(what: str, path: tuple[str | int, ...]) -> NoReturn:
    raise SchemaWrong(f"{what}, which `strict: true` needs", path)

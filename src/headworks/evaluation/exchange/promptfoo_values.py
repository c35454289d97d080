"""The value of each kind of promptfoo's assertions as a check of ours: with its verdict, or refused by name."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import jsonschema_rs

from headworks.errors import InvalidRequest
from headworks.evaluation.exchange.javascript import as_re2, as_text, number
from headworks.evaluation.exchange.promptfoo_files import read_yaml
from headworks.evaluation.scorers.checks import WrongCheck

_Check = dict[str, Any]
_Read = Callable[[Any, Mapping[str, Any]], _Check]
_SCHEMAS = ("http://json-schema.org/draft-07/schema", "http://json-schema.org/draft-07/schema#")
_KEYWORDS = frozenset(
    (
        "$schema", "$id", "$ref", "$comment", "$defs", "definitions", "title", "description", "default", "deprecated",
        "examples", "readOnly", "writeOnly", "type", "enum", "const", "multipleOf", "maximum", "exclusiveMaximum",
        "minimum", "exclusiveMinimum", "maxLength", "minLength", "pattern", "format", "contentEncoding",
        "contentMediaType", "contentSchema", "items", "additionalItems", "maxItems", "minItems", "uniqueItems",
        "contains", "maxProperties", "minProperties", "required", "properties", "patternProperties",
        "additionalProperties", "dependencies", "propertyNames", "if", "then", "else", "allOf", "anyOf", "oneOf",
        "not", "nullable",
    )
)  # fmt: skip
"""What promptfoo's validator knows; it refuses a schema with any other word."""
_OF_SCHEMAS = frozenset(("properties", "patternProperties", "definitions", "$defs"))
_INNER = frozenset(
    ("items", "additionalItems", "contains", "additionalProperties", "propertyNames", "if", "then", "else", "allOf",
     "anyOf", "oneOf", "not")
)  # fmt: skip
_DEEPEST = 50


def _contained(*, ignore_case: bool) -> _Read:
    def read(value: Any, said: Mapping[str, Any]) -> _Check:  # noqa: ANN401 -- any YAML value
        del said
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        if not is_number and not (isinstance(value, str) and value):
            raise WrongCheck("its value is neither a text nor a number")
        return {"is": "contains", "value": value} | ({"ignore_case": True} if ignore_case else {})

    return read


def _listed(word: str, *, ignore_case: bool = False) -> _Read:
    def read(value: Any, said: Mapping[str, Any]) -> _Check:  # noqa: ANN401 -- any YAML value
        del said
        found = list(fields(value)) if isinstance(value, str) else value
        if not isinstance(found, list) or not found:
            raise WrongCheck("it has no list of values")
        texts = ["null" if each is None else as_text(each) for each in found]
        return {"is": word, "value": texts} | ({"ignore_case": True} if ignore_case else {})

    return read


def fields(text: str) -> Iterator[str]:
    """What stands between commas, in quotes or not; empty fields are none. Raises WrongCheck."""
    at = 0
    while at < len(text):
        if text[at] == "," or text[at].isspace():
            at += 1
        elif text[at] == '"':
            found, at = _quoted(text, at + 1)
            yield found
        else:
            end = text.find(",", at)
            end = len(text) if end < 0 else end
            yield text[at:end].strip()
            at = end


def _quoted(text: str, at: int) -> tuple[str, int]:
    found = ""
    while at < len(text):
        if text[at : at + 2] in {'\\"', "\\\\", '""'}:
            found, at = found + text[at + 1], at + 2
        elif text[at] == '"':
            rest = text[at + 1 :].lstrip()
            if rest and not rest.startswith(","):
                raise WrongCheck("a comma is missing behind a quoted value")
            return found, at + 1
        else:
            found, at = found + text[at], at + 1
    raise WrongCheck("a quote is not closed in its value")


def _equals(value: Any, said: Mapping[str, Any]) -> _Check:  # noqa: ANN401 -- any YAML value
    if value is None:
        raise WrongCheck("it has no value" if "value" not in said else "its value is null")
    return {"is": "equals", "value": value}


def _starts(value: Any, said: Mapping[str, Any]) -> _Check:  # noqa: ANN401 -- any YAML value
    del said
    return {"is": "starts_with", "value": _text(value)}


def _regex(value: Any, said: Mapping[str, Any]) -> _Check:  # noqa: ANN401 -- any YAML value
    del said
    return {"is": "regex", "value": as_re2(_text(value))}


def _text(value: Any) -> str:  # noqa: ANN401 -- any YAML value
    if not isinstance(value, str) or not value:
        raise WrongCheck("its value is no text")
    return value


def _json(word: str) -> _Read:
    def read(value: Any, said: Mapping[str, Any]) -> _Check:  # noqa: ANN401 -- any YAML value
        del said
        if value is None or value == "" or value is False:
            return {"is": word}
        if isinstance(value, str):
            try:
                value = read_yaml(value, "a schema")
            except InvalidRequest:
                raise WrongCheck("its schema is no YAML") from None
        if not isinstance(value, dict):
            raise WrongCheck("its schema is no mapping")
        _check_schema(value)
        return {"is": word, "value": value}

    return read


def _check_schema(schema: dict[str, Any]) -> None:
    if schema.get("$schema", _SCHEMAS[0]) not in _SCHEMAS:
        raise WrongCheck("its schema is of a draft that promptfoo does not read")
    for key in _keywords(schema, 0):
        if key not in _KEYWORDS:
            raise WrongCheck(f"its schema says `{key[:40]}`, which promptfoo does not know")
    try:
        jsonschema_rs.Draft7Validator(json.loads(json.dumps(schema)), validate_formats=True)
    except ValueError:
        raise WrongCheck("its schema is none of Draft 7") from None


def _keywords(schema: object, depth: int) -> Iterator[str]:
    if depth > _DEEPEST:
        raise WrongCheck("its schema is too deep")
    if isinstance(schema, list):
        for each in schema:
            yield from _keywords(each, depth + 1)
    elif isinstance(schema, dict):
        for key, value in schema.items():
            yield str(key)
            if key in _INNER:
                yield from _keywords(value, depth + 1)
            elif key in _OF_SCHEMAS and isinstance(value, dict):
                yield from _keywords(list(value.values()), depth + 1)


def _distance(value: Any, said: Mapping[str, Any]) -> _Check:  # noqa: ANN401 -- any YAML value
    if not isinstance(value, str):
        raise WrongCheck("its value is no text")
    return {"is": "edit_distance", "most": _threshold(said, 5), "value": value}


def _overlap(word: str) -> _Read:
    def read(value: Any, said: Mapping[str, Any]) -> _Check:  # noqa: ANN401 -- any YAML value
        texts = value if isinstance(value, list) else [value]
        if not texts or not all(isinstance(each, str) for each in texts):
            raise WrongCheck("its value is no text, and no list of texts")
        return {"is": word, "least": _threshold(said, 0.5), "value": value}

    return read


def _most(word: str, factor: float = 1.0) -> _Read:
    def read(value: Any, said: Mapping[str, Any]) -> _Check:  # noqa: ANN401 -- any YAML value
        del value
        return {"is": word, "most": _threshold(said, None) * factor}

    return read


def _threshold(said: Mapping[str, Any], usual: float | None) -> float:
    most = said.get("threshold")
    most = usual if most is None else most
    if isinstance(most, bool) or not isinstance(most, int | float) or not math.isfinite(most) or most < 0:
        raise WrongCheck("it has no threshold of 0 or more")
    return most


def _words(value: Any, said: Mapping[str, Any]) -> _Check:  # noqa: ANN401 -- any YAML value
    del said
    value = number(value) if isinstance(value, str) else value
    if isinstance(value, Mapping):
        least, most = value.get("min"), value.get("max")
        bounds = {key: each for key, each in (("min", least), ("max", most)) if each is not None}
        is_range = bounds and all(isinstance(each, int | float) and each >= 0 for each in bounds.values())
        if not is_range or (least is not None and most is not None and least > most):
            raise WrongCheck("it has no `min` and `max` that go together")
        return {"is": "word_count", "value": bounds}
    if isinstance(value, bool) or not isinstance(value, int | float) or value < 0:
        raise WrongCheck("it has no count")
    return {"is": "word_count", "value": value}


def _finish(value: Any, said: Mapping[str, Any]) -> _Check:  # noqa: ANN401 -- any YAML value
    del said
    return {"is": "finish_reason", "value": _text(value)}


READ: Mapping[str, _Read] = {
    "equals": _equals,
    "contains": _contained(ignore_case=False),
    "icontains": _contained(ignore_case=True),
    "contains-any": _listed("contains_any"),
    "icontains-any": _listed("contains_any", ignore_case=True),
    "contains-all": _listed("contains_all"),
    "icontains-all": _listed("contains_all", ignore_case=True),
    "starts-with": _starts,
    "regex": _regex,
    "is-json": _json("is_json"),
    "contains-json": _json("contains_json"),
    "levenshtein": _distance,
    "bleu": _overlap("bleu"),
    "gleu": _overlap("gleu"),
    "word-count": _words,
    "latency": _most("latency"),
    "cost": _most("cost", 1_000_000),
    "finish-reason": _finish,
}
"""By the assertion's type. Each raises WrongCheck with the reason why it is not carried."""

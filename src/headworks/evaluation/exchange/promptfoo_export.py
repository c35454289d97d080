"""A suite and its dataset as a promptfoo configuration that asks the feature through Headworks."""

from __future__ import annotations

import io
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.scalarstring import DoubleQuotedScalarString

from headworks.evaluation.contract import Scorer
from headworks.evaluation.exchange.javascript import from_re2
from headworks.evaluation.scorers.checks import Checks, as_written
from headworks.evaluation.scorers.contract import MeasuredScorer
from headworks.evaluation.scorers.effort import Effort
from headworks.evaluation.scorers.words import Pattern, Words
from headworks.types.evaluation import Example

_CHECKS: Mapping[str, str] = {
    "equals": "equals",
    "contains": "contains",
    "contains_any": "contains-any",
    "contains_all": "contains-all",
    "starts_with": "starts-with",
    "regex": "regex",
    "is_json": "is-json",
    "contains_json": "contains-json",
    "edit_distance": "levenshtein",
    "bleu": "bleu",
    "gleu": "gleu",
    "word_count": "word-count",
    "latency": "latency",
    "cost": "cost",
    "finish_reason": "finish-reason",
}
_CASELESS = frozenset(("contains", "contains-any", "contains-all"))
_UNSAFE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\u00a0\u2028\u2029\ufeff]")
_Assertions = list[dict[str, Any]]


@dataclass(frozen=True, slots=True)
class ExportedSuite:
    """The configuration, and what it could not carry."""

    text: str
    losses: tuple[str, ...]


def export_promptfoo(feature: str, scorers: Sequence[Scorer], examples: Sequence[Example]) -> ExportedSuite:
    """Each example as a test. `HEADWORKS_URL` and `HEADWORKS_API_KEY` in the environment say whom it asks.

    Scorers without an assertion of the same verdict are named as losses.
    """
    losses: list[str] = []
    tests = []
    for each in examples:
        test: dict[str, Any] = {"description": each.id, "vars": {"question": _literal(each.question), **each.inputs}}
        assertions: _Assertions = []
        for scorer in scorers:
            assertions += _of_scorer(scorer, each, test, losses)
        if each.inputs:
            losses.append("inputs beside the question become variables, and no provider of theirs sends them on")
        if each.history:
            losses.append("earlier turns of a conversation are left out")
        tests.append({**test, "assert": assertions})
    config = {
        "description": f"{feature}, written by Headworks",
        "prompts": ["{{question}}"],
        "providers": [
            {
                "id": f"openai:chat:{feature}",
                "config": {"apiBaseUrl": "{{env.HEADWORKS_URL}}/v1", "apiKeyEnvar": "HEADWORKS_API_KEY"},
            }
        ],
        "tests": tests,
    }
    return ExportedSuite(_written(config), tuple(dict.fromkeys(losses)))


def _literal(text: str) -> str:
    """A text in which nothing is filled in."""
    return "{% raw %}" + text + "{% endraw %}" if any(each in text for each in ("{{", "{%", "{#")) else text


def _written(config: dict[str, Any]) -> str:
    out = io.StringIO()
    writer = YAML()
    writer.width = 4096
    writer.dump(_quoted(config), out)
    return out.getvalue()


def _quoted(value: Any) -> Any:  # noqa: ANN401 -- any JSON value
    """With texts in escapes where YAML would take a character for the end of a line, or for none."""
    if isinstance(value, dict):
        return {key: _quoted(each) for key, each in value.items()}
    if isinstance(value, list):
        return [_quoted(each) for each in value]
    return DoubleQuotedScalarString(value) if isinstance(value, str) and _UNSAFE.search(value) else value


def _of_scorer(scorer: Scorer, example: Example, test: dict[str, Any], losses: list[str]) -> _Assertions:
    measure = scorer.measure if isinstance(scorer, MeasuredScorer) else None
    if isinstance(measure, Checks) and isinstance(example.reference, Mapping):
        if example.reference.get("least") is not None:
            test["threshold"] = example.reference["least"]
        return [_check(each, losses) for each in example.reference.get("checks", ())]
    found: dict[str, Any] | None = None
    if isinstance(measure, Pattern) and measure.path is None:
        pattern = from_re2(f"^(?:{measure.pattern})$" if measure.is_whole else measure.pattern)
        if pattern is not None:
            found = {"type": _named("regex", measure.is_negated), "value": _literal(pattern)}
    elif isinstance(measure, Effort) and measure.limit is not None and measure.what in {"latency", "cost"}:
        factor = 1 if measure.what == "latency" else 1e-6
        found = {"type": measure.what, "threshold": measure.limit * factor}
    elif isinstance(measure, Words) and measure.place.path is None:
        found = _words(measure, example)
    if found is None:
        losses.append(f"`{scorer.name}` has no assertion with the same verdict")
        return []
    return [{**found, "metric": scorer.name}]


def _words(measure: Words, example: Example) -> dict[str, Any] | None:
    """Only what compares byte for byte, or but for case, and one text: theirs trims nothing."""
    wanted: Any = measure.place.value if measure.place.has_value else example.reference
    kinds: Mapping[tuple[str, tuple[str, ...]], str] = {
        ("contains", ()): "contains",
        ("contains", ("composition", "ends")): "contains",
        ("starts_with", ()): "starts-with",
        ("exact", ()): "equals",
    }
    word = kinds.get((measure.how, measure.ignore))
    if word is None or not isinstance(wanted, str) or measure.place.reference is not None:
        return None
    return {"type": _named(word, measure.is_negated), "value": _literal(wanted)}


def _named(word: str, is_negated: bool) -> str:  # noqa: FBT001 -- part of the name
    return f"not-{word}" if is_negated else word


def _check(said: Mapping[str, Any], losses: list[str]) -> dict[str, Any]:
    if said["is"] == "set":
        found: dict[str, Any] = {"type": "assert-set", "assert": [_check(each, losses) for each in said["checks"]]}
        if said.get("least") is not None:
            found["threshold"] = said["least"]
    else:
        word = _CHECKS[said["is"]]
        caseless = "i" if said.get("ignore_case") and word in _CASELESS else ""
        found = {"type": _named(f"{caseless}{word}", bool(said.get("not")))}
        if "value" in said:
            found["value"] = _value(said, losses)
        if "most" in said:
            found["threshold"] = said["most"] * (1e-6 if word == "cost" else 1)
        if "least" in said:
            found["threshold"] = said["least"]
    return found | ({"weight": said["weight"]} if "weight" in said else {})


def _value(said: Mapping[str, Any], losses: list[str]) -> Any:  # noqa: ANN401 -- any JSON value
    value = said["value"]
    if said["is"] == "regex":
        pattern = from_re2(as_written(value))
        if pattern is None:
            losses.append(f"the pattern `{as_written(value)[:60]}` says what JavaScript does not; it stands as it is")
        return _literal(pattern or as_written(value))
    if isinstance(value, list):
        return [_literal(each) if isinstance(each, str) else each for each in value]
    return _literal(value) if isinstance(value, str) else value

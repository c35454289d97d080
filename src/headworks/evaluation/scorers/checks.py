"""Checks that each example brings along: `checks`. What comes from promptfoo is said in these words, with its verdicts.

    {"id": "1", "question": "…", "reference": {"checks": [
        {"is": "contains", "value": "12 weeks", "ignore_case": true},
        {"is": "word_count", "value": {"max": 80}, "not": true, "weight": 2},
        {"is": "set", "least": 0.5, "checks": [{"is": "regex", "value": "^A"}, {"is": "equals", "value": {"a": 1}}]}]}}

Without `least` all must pass; with it the weighted mean must reach it. A check of weight 0 always passes. Texts,
numbers and words between spaces are taken as JavaScript takes them; formats of a schema (`date`, `email`) are checked.
"""

from __future__ import annotations

import json
import math
import re
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import jsonschema_rs
import re2
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from headworks.evaluation.scorers.contract import (
    NO_REFERENCE,
    NOT_MEASURED,
    PlainMeasure,
    ScorerKind,
    Surroundings,
    failed,
    passed,
)
from headworks.evaluation.scorers.overlap import SPACE, bleu, gleu
from headworks.strict_yaml import Section
from headworks.types.evaluation import Example, Output, Score

_LONGEST_COMPARED = 20_000
_DEEPEST_SET = 8
_MOST_OBJECTS = 50
_LARGEST = sys.float_info.max
_SMALLEST_POWER, _WIDEST = 6, 21
WRONG_CHECK = "wrong_check"
"""A check of the example can't be read."""


class WrongCheck(Exception):
    """A check can't be carried out; with the code of the score's error."""

    def __init__(self, reason: str, code: str = WRONG_CHECK) -> None:
        super().__init__(reason)
        self.code = code
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Checked:
    """What one check, or a set of them, says: `value` from 0 to 1."""

    is_passed: bool
    value: float
    reason: str = ""


def check(said: Mapping[str, Any], output: Output, depth: int = 0) -> Checked:
    """One check. Raises WrongCheck."""
    word = said.get("is")
    if word == "set":
        found = check_all(said.get("checks"), said.get("least"), output, depth + 1)
    elif isinstance(word, str) and word in _SHARES:
        found = _graded(_SHARES[word](output.text, _references(output, said)), said)
    else:
        test = _TESTS.get(word) if isinstance(word, str) else None
        if test is None:
            raise WrongCheck(f"there is no check `{word}`.")
        found = _plain(bool(test(output, said)), str(word), said)
    is_negated = bool(said.get("not"))
    return Checked(not found.is_passed, 1.0 - found.value, f"not: {found.reason}") if is_negated else found


def check_all(checks: object, least: object, output: Output, depth: int = 0) -> Checked:
    """All checks of a set. Raises WrongCheck."""
    if not isinstance(checks, list | tuple) or not all(isinstance(each, Mapping) for each in checks):
        raise WrongCheck("`checks` must be a list of checks.")
    if depth > _DEEPEST_SET:
        raise WrongCheck(f"sets stand in each other more than {_DEEPEST_SET} deep.")
    total = weights = 0.0
    lost: list[str] = []
    for each in checks:
        weight = _number(each.get("weight", 1), "weight")
        found = check(each, output, depth)
        if weight and not found.is_passed:
            lost.append(found.reason)
        total += weight * found.value
        weights += weight
    mean = total / weights if weights else float(not checks and not depth)
    if least is not None:
        is_enough = mean >= _number(least, "least")
        return Checked(is_enough, mean, f"{mean:.3g} of its checks, {least} wanted")
    return Checked(not lost, mean, "; ".join(lost[:3]))


@dataclass(frozen=True)
class Checks(PlainMeasure):
    """The checks in the example's reference all pass, or enough of them as it says."""

    scores_failures = False

    @property
    def settings(self) -> Mapping[str, Any]:
        """See Measure: what is checked stands in the example."""
        return {}

    def measure(self, example: Example, output: Output) -> Score:
        """See PlainMeasure."""
        said = example.reference
        if not isinstance(said, Mapping) or "checks" not in said:
            return failed(NO_REFERENCE, "the example brings no checks.")
        try:
            found = check_all(said["checks"], said.get("least"), output)
        except WrongCheck as error:
            return failed(error.code, error.reason)
        return passed(found.is_passed, found.reason, {"share": round(found.value, 6)})


def _plain(is_passed: bool, word: str, said: Mapping[str, Any]) -> Checked:  # noqa: FBT001 -- the verdict itself
    shown = json.dumps(said.get("value"), ensure_ascii=False)[:60]
    return Checked(is_passed, float(is_passed), f"`{word}` {shown}")


def _graded(share: float, said: Mapping[str, Any]) -> Checked:
    least = _number(said.get("least", 0.5), "least")
    return Checked(share >= least, share, f"`{said['is']}` is {share:.3g}, {least:g} wanted")


def _references(output: Output, said: Mapping[str, Any]) -> list[str]:
    value = said.get("value")
    given = value if isinstance(value, list) else [value]
    texts = [each for each in given if isinstance(each, str)]
    if not texts or len(texts) < len(given):
        raise WrongCheck("`value` must be a text, or a list of them.")
    if max(map(len, [output.text, *texts])) > _LONGEST_COMPARED:
        raise WrongCheck(f"texts of more than {_LONGEST_COMPARED:,} characters are not compared by words.")
    if not output.text and said["is"] == "gleu":
        raise WrongCheck("an empty answer has no GLEU.")
    return texts


def _number(value: object, name: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value) or value < 0:
        raise WrongCheck(f"`{name}` must be a number of 0 or more.")
    return float(value)


def as_written(value: object) -> str:
    """A value as a text: texts as they are, numbers as JavaScript writes them, the rest as compact JSON."""
    if isinstance(value, str):
        return value
    if isinstance(value, int | float) and not isinstance(value, bool):
        return number_as_written(value)
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def number_as_written(value: float) -> str:
    """As JavaScript writes a number: no point behind a whole one, an exponent from 1e21 on and below 1e-6."""
    if not -_LARGEST <= value <= _LARGEST:
        return "NaN" if value != value else "Infinity" if value > 0 else "-Infinity"  # noqa: PLR0124 -- NaN
    sign, figures, power = Decimal(repr(float(value))).normalize().as_tuple()
    digits = "".join(map(str, figures))
    point = len(digits) + int(power)
    if digits == "0":
        return "0"
    if -_SMALLEST_POWER < point <= _WIDEST:
        whole, part = digits[: max(point, 0)], "0" * -point + digits[max(point, 0) :]
        text = (whole.ljust(point, "0") or "0") + (f".{part}" if part else "")
    else:
        text = digits[0] + (f".{digits[1:]}" if digits[1:] else "") + f"e{point - 1:+d}"
    return f"-{text}" if sign else text


def _folded(text: str, said: Mapping[str, Any]) -> str:
    return text.lower() if said.get("ignore_case") else text


def _several(said: Mapping[str, Any]) -> list[str]:
    value = said.get("value")
    if not isinstance(value, list) or not value:
        raise WrongCheck("`value` must be a list.")
    return [_folded(as_written(each), said) for each in value]


def _equals(output: Output, said: Mapping[str, Any]) -> bool:
    value = said.get("value")
    if isinstance(value, Mapping | list):
        is_json, found = _json(output.text)
        return is_json and _same(found, value)
    return _folded(output.text, said) == _folded(as_written(value), said)


def _same(found: object, wanted: object) -> bool:
    if isinstance(found, Mapping) and isinstance(wanted, Mapping):
        return found.keys() == wanted.keys() and all(_same(found[key], wanted[key]) for key in wanted)
    if isinstance(found, list) and isinstance(wanted, list):
        return len(found) == len(wanted) and all(map(_same, found, wanted))
    return isinstance(found, bool) == isinstance(wanted, bool) and found == wanted


def _contains(output: Output, said: Mapping[str, Any]) -> bool:
    return _folded(as_written(said.get("value")), said) in _folded(output.text, said)


def _contains_any(output: Output, said: Mapping[str, Any]) -> bool:
    text = _folded(output.text, said)
    return any(each in text for each in _several(said))


def _contains_all(output: Output, said: Mapping[str, Any]) -> bool:
    text = _folded(output.text, said)
    return all(each in text for each in _several(said))


def _starts_with(output: Output, said: Mapping[str, Any]) -> bool:
    return _folded(output.text, said).startswith(_folded(as_written(said.get("value")), said))


def _regex(output: Output, said: Mapping[str, Any]) -> bool:
    return compiled(as_written(said.get("value"))).search(output.text.encode(errors="replace").decode()) is not None


def compiled(pattern: str) -> Any:  # noqa: ANN401 -- re2 has no type for it
    """A pattern as RE2 reads it. Raises WrongCheck: it has no look-around and no back-references."""
    options = re2.Options()
    options.log_errors = False
    try:
        return re2.compile(pattern.encode(errors="replace").decode(), options)  # no lone surrogates
    except re2.error:
        raise WrongCheck(f"`{pattern[:60]}` is no expression that RE2 reads: it has no look-around.") from None


def _is_json(output: Output, said: Mapping[str, Any]) -> bool:
    is_json, found = _json(output.text)
    return is_json and _fits(found, said.get("value"))


def _contains_json(output: Output, said: Mapping[str, Any]) -> bool:
    return any(_fits(each, said.get("value")) for each in json_within(output.text))


def json_within(text: str) -> list[dict[str, Any]]:
    """The objects in a text, outermost ones, from left to right; read as YAML, and the last ones may be unclosed.

    So promptfoo reads them: `{word}` and `{a: 1,}` are objects, a list alone is none.
    """
    found: list[dict[str, Any]] = []
    at = text.find("{")
    while at >= 0 and len(found) < _MOST_OBJECTS:
        end, is_open = _closing(text, at)
        value = _object(text[at:end] if end else f"{text[at:]}{'}' * is_open}")
        if value is not None:
            found.append(value)
        at = text.find("{", end if value is not None and end else at + 1)
    return found


def _closing(text: str, start: int) -> tuple[int, int]:
    """Behind the bracket that closes the one at `start`; 0 where none does, and how many are open then."""
    depth = 0
    for each in re.finditer(r"[{}]", text[start : start + _LONGEST_COMPARED]):
        depth += 1 if each.group() == "{" else -1
        if depth == 0:
            return start + each.end(), 0
    return 0, depth


def _object(text: str) -> dict[str, Any] | None:
    is_json, value = _json(text)
    if not is_json and len(text) <= _LONGEST_COMPARED:
        try:
            reader = YAML(typ="safe", pure=True)
            reader.allow_duplicate_keys = True
            value = reader.load(text)
        except (YAMLError, ValueError, RecursionError, TypeError):
            return None
    return value if isinstance(value, dict) else None


def _json(text: str) -> tuple[bool, Any]:
    try:
        return True, json.loads(text, parse_constant=_no_constant)
    except (ValueError, RecursionError):
        return False, None


def _no_constant(name: str) -> None:
    raise ValueError(name)


def _fits(value: Any, schema: object) -> bool:  # noqa: ANN401 -- any JSON value
    if schema is None:
        return True
    if not isinstance(schema, dict | bool):
        raise WrongCheck("`value` must be a JSON schema.")
    try:
        return jsonschema_rs.Draft7Validator(schema, validate_formats=True).is_valid(value)
    except ValueError:
        raise WrongCheck("`value` is no JSON schema.") from None


def _edit_distance(output: Output, said: Mapping[str, Any]) -> bool:
    texts = _folded(output.text, said), _folded(as_written(said.get("value")), said)
    if max(map(len, texts)) > _LONGEST_COMPARED:
        raise WrongCheck(f"texts of more than {_LONGEST_COMPARED:,} characters are not compared by edits.")
    most = _number(said.get("most", 5), "most")
    return abs(len(texts[0]) - len(texts[1])) <= most and edit_distance(*texts) <= most


def edit_distance(one: str, other: str) -> int:
    """How many single characters must be put in, left out or exchanged (Levenshtein 1966), in UTF-16 units."""
    first, second = _units(one), _units(other)
    row = list(range(len(second) + 1))
    for at, left in enumerate(first, 1):
        above, row[0] = row[0], at
        for to, right in enumerate(second, 1):
            above, row[to] = row[to], min(row[to] + 1, row[to - 1] + 1, above + (left != right))
    return row[-1]


def _units(text: str) -> memoryview:
    return memoryview(text.encode("utf-16-le", "surrogatepass")).cast("H")


def _word_count(output: Output, said: Mapping[str, Any]) -> bool:
    count, value = sum(map(bool, SPACE.split(output.text))), said.get("value")
    if isinstance(value, Mapping):
        least, most = value.get("min", 0), value.get("max", math.inf)
        return _number(least, "min") <= count <= (most if most == math.inf else _number(most, "max"))
    return count == _number(value, "value")


def _latency(output: Output, said: Mapping[str, Any]) -> bool:
    return output.latency_ms <= _number(said.get("most"), "most")


def _cost(output: Output, said: Mapping[str, Any]) -> bool:
    if output.cost_micro_usd is None:
        raise WrongCheck("no price is known.", NOT_MEASURED)
    return output.cost_micro_usd <= _number(said.get("most"), "most")


def _finish_reason(output: Output, said: Mapping[str, Any]) -> bool:
    return output.finish_reason.lower() == as_written(said.get("value")).lower()


_TESTS: Mapping[str, Callable[[Output, Mapping[str, Any]], bool]] = {
    "equals": _equals,
    "contains": _contains,
    "contains_any": _contains_any,
    "contains_all": _contains_all,
    "starts_with": _starts_with,
    "regex": _regex,
    "is_json": _is_json,
    "contains_json": _contains_json,
    "edit_distance": _edit_distance,
    "word_count": _word_count,
    "latency": _latency,
    "cost": _cost,
    "finish_reason": _finish_reason,
}
_SHARES: Mapping[str, Callable[[str, list[str]], float]] = {"bleu": bleu, "gleu": gleu}
WORDS = (*_TESTS, *_SHARES, "set")


def _read(section: Section, surroundings: Surroundings) -> Checks:
    del section, surroundings
    return Checks()


KINDS = (ScorerKind("checks", _read, "The checks that the example itself brings along pass, or enough of them."),)

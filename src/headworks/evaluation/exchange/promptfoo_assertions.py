"""promptfoo's assertions in the words of `checks`."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from headworks.evaluation.exchange.nunjucks import NotPlain, filled
from headworks.evaluation.scorers.checks import WrongCheck, compiled

GRADED = frozenset(
    (
        "llm-rubric", "model-graded-closedqa", "model-graded-factuality", "factuality", "g-eval", "answer-relevance",
        "context-faithfulness", "context-recall", "context-relevance", "conversation-relevance",
    )
)  # fmt: skip
"""A model decides these: they become criteria of a judge."""
_DEEPEST = 8
_Checks = list[dict[str, Any]]


@dataclass(slots=True)
class Read:
    """The assertions of a test: checks, what a model grades (type, text, negated), and what is lost."""

    checks: _Checks = field(default_factory=list)
    graded: list[tuple[str, str, bool]] = field(default_factory=list)
    losses: list[str] = field(default_factory=list)


class Assertions:
    """Of one test, with its variables filled in."""

    def __init__(self, variables: Mapping[str, Any], templates: Mapping[str, Any], where: str) -> None:
        self._variables = {str(key): value for key, value in variables.items()}
        self._templates = templates
        self._where = where

    def read(self, given: list[Any], depth: int = 0) -> Read:
        """Each assertion, with sets as deep as they go."""
        found = Read()
        for raw in given:
            said = self._resolved(raw)
            word = said.get("type") if said is not None else None
            if said is None or not isinstance(word, str):
                self._lose(found, "an assertion is no mapping with a `type`, or refers to nothing")
                continue
            self._add(found, word, said, depth)
        return found

    def _add(self, found: Read, word: str, said: Mapping[str, Any], depth: int) -> None:
        kind, is_negated = word.removeprefix("not-"), word.startswith("not-")
        if said.get("transform") is not None:
            self._lose(found, f"`{word}`: its `transform` is code and is not run")
        elif kind == "assert-set":
            self._add_set(found, said, depth)
        elif kind in GRADED:
            found.graded.append((kind, self._asked(said.get("value")), is_negated))
            self._lose(found, f"`{word}` is graded by a model: a criterion for a judge, which informs until calibrated")
        elif kind not in _WORDS:
            self._lose(found, f"`{word}` has no word here")
        else:
            self._add_check(found, word, said)

    def _add_check(self, found: Read, word: str, said: Mapping[str, Any]) -> None:
        kind, is_negated = word.removeprefix("not-"), word.startswith("not-")
        try:
            one = _WORDS[kind](self._filled(said.get("value")), said)
        except WrongCheck as error:
            self._lose(found, f"`{word}`: {error.reason}")
            return
        if is_negated:
            one["not"] = True
        if said.get("weight") is not None:
            one["weight"] = said["weight"]
        found.checks.append(one)

    def _add_set(self, found: Read, said: Mapping[str, Any], depth: int) -> None:
        inner = said.get("assert")
        if depth >= _DEEPEST or not isinstance(inner, list):
            self._lose(found, "an `assert-set` is empty or too deep")
            return
        read = self.read(inner, depth + 1)
        found.graded += read.graded
        found.losses += read.losses
        one: dict[str, Any] = {"is": "set", "checks": read.checks}
        for theirs, ours in (("threshold", "least"), ("weight", "weight")):
            if said.get(theirs) is not None:
                one[ours] = said[theirs]
        found.checks.append(one)

    def _asked(self, value: object) -> str:
        try:
            return str(self._filled(value or ""))
        except WrongCheck:
            return str(value)

    def _resolved(self, raw: object) -> Mapping[str, Any] | None:
        if isinstance(raw, Mapping) and isinstance(raw.get("$ref"), str):
            raw = self._templates.get(str(raw["$ref"]).rpartition("/")[2])
        return {str(key): value for key, value in raw.items()} if isinstance(raw, Mapping) else None

    def _filled(self, value: Any) -> Any:  # noqa: ANN401 -- any YAML value
        """With the test's variables in it, also inside of lists and mappings."""
        if isinstance(value, str):
            try:
                return filled(value, self._variables)
            except NotPlain:
                raise WrongCheck("its template does more than name variables") from None
        if isinstance(value, list):
            return [self._filled(each) for each in value]
        if isinstance(value, Mapping):
            return {str(key): self._filled(each) for key, each in value.items()}
        return value

    def _lose(self, found: Read, what: str) -> None:
        found.losses.append(f"{self._where}: {what}")


def _plain(word: str, *, ignore_case: bool = False) -> Callable[[Any, Mapping[str, Any]], dict[str, Any]]:
    def read(value: Any, said: Mapping[str, Any]) -> dict[str, Any]:  # noqa: ANN401 -- any YAML value
        del said
        if isinstance(value, str) and value.startswith("file://"):
            raise WrongCheck("its value stands in a file, which is not read")
        if value is None:
            raise WrongCheck("it has no value")
        if word == "regex":
            compiled(str(value))
        return {"is": word, "value": value} | ({"ignore_case": True} if ignore_case else {})

    return read


def _listed(word: str, *, ignore_case: bool = False) -> Callable[[Any, Mapping[str, Any]], dict[str, Any]]:
    def read(value: Any, said: Mapping[str, Any]) -> dict[str, Any]:  # noqa: ANN401 -- any YAML value
        del said
        if isinstance(value, str):
            value = [each.strip() for each in next(csv.reader([value], skipinitialspace=True), [])]
        if not isinstance(value, list) or not value:
            raise WrongCheck("it has no list of values")
        return {"is": word, "value": value} | ({"ignore_case": True} if ignore_case else {})

    return read


def _json(word: str) -> Callable[[Any, Mapping[str, Any]], dict[str, Any]]:
    def read(value: Any, said: Mapping[str, Any]) -> dict[str, Any]:  # noqa: ANN401 -- any YAML value
        del said
        if isinstance(value, str):
            if value.startswith("file://"):
                raise WrongCheck("its schema stands in a file, which is not read")
            try:
                value = json.loads(value)
            except ValueError:
                raise WrongCheck("its schema is no JSON") from None
        return {"is": word} | ({} if value is None else {"value": value})

    return read


def _most(
    word: str, factor: float = 1.0, usual: float | None = None
) -> Callable[[Any, Mapping[str, Any]], dict[str, Any]]:
    def read(value: Any, said: Mapping[str, Any]) -> dict[str, Any]:  # noqa: ANN401 -- any YAML value
        most = said.get("threshold", usual)
        if isinstance(most, bool) or not isinstance(most, int | float):
            raise WrongCheck("it has no threshold")
        return {"is": word, "most": most * factor} | ({} if value is None else {"value": value})

    return read


def _words(value: Any, said: Mapping[str, Any]) -> dict[str, Any]:  # noqa: ANN401 -- any YAML value
    del said
    if isinstance(value, str) and re.fullmatch(r"\d+", value):
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int | Mapping):
        raise WrongCheck("it has no count")
    return {"is": "word_count", "value": value}


_WORDS: Mapping[str, Callable[[Any, Mapping[str, Any]], dict[str, Any]]] = {
    "equals": _plain("equals"),
    "contains": _plain("contains"),
    "icontains": _plain("contains", ignore_case=True),
    "contains-any": _listed("contains_any"),
    "icontains-any": _listed("contains_any", ignore_case=True),
    "contains-all": _listed("contains_all"),
    "icontains-all": _listed("contains_all", ignore_case=True),
    "starts-with": _plain("starts_with"),
    "regex": _plain("regex"),
    "is-json": _json("is_json"),
    "contains-json": _json("contains_json"),
    "levenshtein": _most("edit_distance", usual=5),
    "word-count": _words,
    "latency": _most("latency"),
    "cost": _most("cost", 1_000_000),
    "finish-reason": _plain("finish_reason"),
}

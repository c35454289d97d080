"""promptfoo's assertions in the words of `checks`."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from headworks.evaluation.exchange.nunjucks import NotPlain, filled
from headworks.evaluation.exchange.promptfoo_files import Reading
from headworks.evaluation.exchange.promptfoo_values import READ
from headworks.evaluation.scorers.checks import WrongCheck

GRADED = frozenset(
    (
        "llm-rubric", "model-graded-closedqa", "model-graded-factuality", "factuality", "g-eval", "answer-relevance",
        "context-faithfulness", "context-recall", "context-relevance", "conversation-relevance",
    )
)  # fmt: skip
"""A model decides these: they become criteria of a judge."""
_INSTEAD: Mapping[str, str] = {
    "javascript": "it is code and is not run",
    "python": "it is code and is not run",
    "ruby": "it is code and is not run",
    "webhook": "it asks another server",
    "similar": "it needs embeddings: the scorer `similarity` compares with the reference",
    "perplexity": "it needs probabilities of tokens, which no answer here has",
    "perplexity-score": "it needs probabilities of tokens, which no answer here has",
    "is-refusal": "it goes by a list of phrases: the scorer `refusal` has its own",
    "select-best": "it compares answers of several prompts",
    "max-score": "it compares answers of several prompts",
    "human": "it is a person's: a judgement",
}
_OF_ASSERTION = frozenset(("type", "value", "threshold", "weight", "assert", "$ref"))
_NOT_OF_VERDICT = frozenset(("metric", "provider", "rubricPrompt", "config"))
_Checks = list[dict[str, Any]]


@dataclass(slots=True)
class Read:
    """The assertions of a test: checks, what a model grades (type, text, negated), and what is lost.

    `asides` are lost, too, but no verdict hangs on them.
    """

    checks: _Checks = field(default_factory=list)
    graded: list[tuple[str, str, bool]] = field(default_factory=list)
    losses: list[str] = field(default_factory=list)
    asides: list[str] = field(default_factory=list)


class Assertions:
    """Of one test, with its variables filled in."""

    def __init__(self, variables: Mapping[str, Any], reading: Reading, where: str) -> None:
        self._variables = {str(key): value for key, value in variables.items()}
        self._reading = reading
        self._where = where

    def read(self, given: list[Any], *, within: bool = False) -> Read:
        """Each assertion; sets stand in no other set (`within` one)."""
        found = Read()
        for raw in given:
            said = self._resolved(raw)
            word = said.get("type") if said is not None else None
            if said is None or not isinstance(word, str):
                self._lose(found, "an assertion is no mapping with a `type`, or refers to nothing")
                continue
            for key in sorted(said.keys() & _NOT_OF_VERDICT):
                found.asides.append(f"{self._where}: `{key}` of `{word[:40]}` is not read")
            try:
                self._add(found, word, said, within=within)
            except WrongCheck as error:
                self._lose(found, f"`{word[:40]}`: {error.reason}")
        return found

    def _add(self, found: Read, word: str, said: Mapping[str, Any], *, within: bool) -> None:
        kind, is_negated = word.removeprefix("not-"), word.startswith("not-")
        if said.get("transform") is not None or said.get("contextTransform") is not None:
            raise WrongCheck("its `transform` is code and is not run")
        if unknown := said.keys() - _OF_ASSERTION - _NOT_OF_VERDICT:
            raise WrongCheck(f"its `{min(unknown)[:40]}` is not read")
        if kind in GRADED:
            found.graded.append((kind, self._asked(said.get("value")), is_negated))
            raise WrongCheck("graded by a model: a criterion for a judge, which informs until calibrated")
        if word == "assert-set":
            if within:
                raise WrongCheck("a set stands in a set, which promptfoo refuses")
            one = self._set(found, said)
        elif kind in READ and word != "not-assert-set":
            one = READ[kind](self._filled(said.get("value")), said)
        else:
            raise WrongCheck(_INSTEAD.get(kind, "it has no word here"))
        if is_negated:
            one["not"] = True
        if said.get("weight") is not None:
            one["weight"] = _share(said["weight"], "weight")
        found.checks.append(one)

    def _set(self, found: Read, said: Mapping[str, Any]) -> dict[str, Any]:
        inner = said.get("assert")
        if not isinstance(inner, list):
            raise WrongCheck("it has no list of assertions")
        read = self.read(inner, within=True)
        found.graded += read.graded
        found.losses += read.losses
        found.asides += read.asides
        one: dict[str, Any] = {"is": "set", "checks": read.checks}
        return one if said.get("threshold") is None else one | {"least": _share(said["threshold"], "threshold")}

    def _asked(self, value: object) -> str:
        try:
            return str(self._filled(value or ""))
        except WrongCheck:
            return str(value)

    def _resolved(self, raw: object) -> Mapping[str, Any] | None:
        if not isinstance(raw, Mapping):
            return None
        said = {str(key): value for key, value in raw.items()}
        if not isinstance(said.get("$ref"), str):
            return said
        template = self._reading.templates.get(str(said.pop("$ref")).rpartition("/")[2])
        return {str(key): value for key, value in template.items()} | said if isinstance(template, Mapping) else None

    def _filled(self, value: Any) -> Any:  # noqa: ANN401 -- any YAML value
        """With the test's variables in texts and in texts of a list; a mapping stays as it is, as promptfoo has it."""
        if isinstance(value, str):
            return self._text(value)
        return (
            [self._text(each) if isinstance(each, str) else each for each in value]
            if isinstance(value, list)
            else value
        )

    def _text(self, text: str) -> Any:  # noqa: ANN401 -- any YAML value
        if text.startswith("file://"):
            known = len(self._reading.losses)
            value = self._reading.value(text, self._where)
            if value is None:
                raise WrongCheck(self._reading.losses[-1].partition(": ")[2] if len(self._reading.losses) > known
                                 else "its value stands in a file that can't be read")  # fmt: skip
            return value
        try:
            return filled(text, self._variables)
        except NotPlain:
            raise WrongCheck("its template does more than is read here") from None

    def _lose(self, found: Read, what: str) -> None:
        found.losses.append(f"{self._where}: {what}")


def _share(value: object, word: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value) or value < 0:
        raise WrongCheck(f"its `{word}` is no number of 0 or more")
    return value

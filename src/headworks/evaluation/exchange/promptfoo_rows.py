"""Tests as the rows of a CSV file: columns are variables, those that begin with `__` say the rest."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator, Mapping
from typing import Any

from headworks.errors import InvalidRequest
from headworks.evaluation.exchange.javascript import number
from headworks.evaluation.exchange.promptfoo_values import fields

_KINDS = (
    "answer-relevance bleu classifier contains contains-all contains-any contains-html contains-json contains-sql "
    "contains-xml context-faithfulness context-recall context-relevance conversation-relevance cost equals factuality "
    "finish-reason g-eval gleu guardrails icontains icontains-all icontains-any is-html is-json is-refusal is-sql "
    "is-valid-function-call is-valid-openai-function-call is-valid-openai-tools-call is-xml latency levenshtein meteor "
    "model-graded-closedqa model-graded-factuality moderation perplexity perplexity-score pi regex rouge-n ruby "
    "similar starts-with tool-call-f1 webhook word-count"
)
_EXPECTED = re.compile(rf"(not-)?({_KINDS.replace(' ', '|')})(?:\((\d+(?:\.\d+)?)\))?(?::(.*))?", re.DOTALL)
_OTHER_WORDS: Mapping[str, str] = {
    "javascript:": "javascript", "fn:": "javascript", "eval:": "javascript", "grade:": "llm-rubric",
    "llm-rubric:": "llm-rubric", "python:": "python",
}  # fmt: skip
_WITH_THRESHOLD = frozenset(
    ("answer-relevance", "classifier", "context-faithfulness", "context-recall", "context-relevance", "cost",
     "latency", "levenshtein", "perplexity-score", "perplexity", "rouge-n", "similar", "starts-with")
)  # fmt: skip
_USUAL_THRESHOLD = 0.75
_SAID: Mapping[str, str] = {"__description": "description", "__providerOutput": "providerOutput"}


def read_rows(text: str, path: str) -> Iterator[dict[str, Any]]:
    """Each row as a test. Raises InvalidRequest for rows that do not fit the columns."""
    try:
        rows = [each for each in csv.reader(io.StringIO(text, newline=""), strict=True) if each]
    except csv.Error as error:
        raise InvalidRequest(f"Of promptfoo, `{path}` is no CSV: {error}.") from None
    for line, row in enumerate(rows[1:], 2):
        if len(row) != len(rows[0]):
            raise InvalidRequest(
                f"Of promptfoo, row {line} of `{path}` has {len(row)} fields for {len(rows[0])} columns."
            )
        yield as_test(dict(zip((each.strip() for each in rows[0]), row, strict=True)))


def as_test(row: Mapping[str, Any]) -> dict[str, Any]:
    """A row by its columns as a test."""
    test: dict[str, Any] = {"vars": {}, "assert": [], "options": {}, "metadata": {}}
    for key, value in row.items():
        text = str(value)
        if key.startswith("__expected"):
            test["assert"] += [expected(text.strip())] if text.strip() else []
        elif key in {"__prefix", "__suffix"}:
            test["options"][key[2:]] = text
        elif key in _SAID:
            test |= {_SAID[key]: text} if text else {}
        elif key == "__threshold":
            test["threshold"] = number(text)
        elif key.startswith("__metadata:"):
            test["metadata"] |= {key.partition(":")[2].removesuffix("[]"): text} if text.strip() else {}
        elif not key.startswith(("__config:", "__metric", "__metadata")):
            test["vars"][key] = value
    for key, value in row.items():
        if key.startswith("__config:"):
            _configure(test["assert"], key, str(value))
    return test


def _configure(assertions: list[dict[str, Any]], key: str, value: str) -> None:
    found = re.fullmatch(r"__config:__expected(\d*):threshold", key)
    threshold = number(value)
    if found is None or threshold is None:
        raise InvalidRequest(
            f"Of promptfoo, the column `{key[:60]}` is no `__config:__expected<N>:threshold` of numbers."
        )
    at = int(found[1] or 1) - 1
    if 0 <= at < len(assertions):
        assertions[at]["threshold"] = threshold


def expected(text: str) -> dict[str, Any]:
    """The assertion of `contains: word`, `similar(0.8): text`, or of a text that the answer equals."""
    for prefix, kind in _OTHER_WORDS.items():
        if text.startswith(prefix):
            return {"type": kind, "value": text.removeprefix(prefix).strip()}
    if text.startswith("file://"):
        return {"type": "python" if ".py" in text else "javascript", "value": text}
    found = _EXPECTED.fullmatch(text)
    if found is None:
        return {"type": "equals", "value": text}
    kind, value = found[2], found[4]
    said: dict[str, Any] = {"type": f"{found[1] or ''}{kind}"}
    if kind.endswith(("contains-all", "contains-any")):
        said["value"] = list(fields(value)) if value else value
    elif value is not None:
        said["value"] = value if kind.endswith("-json") else value.strip()
    if kind in _WITH_THRESHOLD:
        said["threshold"] = float(found[3]) if found[3] else _USUAL_THRESHOLD
    return said

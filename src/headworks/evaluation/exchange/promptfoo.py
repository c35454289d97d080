"""A promptfoo configuration as a dataset of ours: each test an example whose assertions are its `checks`.

Deterministic assertions keep their verdict. Those that a model grades become criteria for a judge, which informs until
it is calibrated. Code is never run; what has no word here is named with its test, never dropped in silence.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, cast

from headworks.errors import InvalidRequest
from headworks.evaluation.exchange.nunjucks import NotPlain, filled, wrapped
from headworks.evaluation.exchange.promptfoo_assertions import Assertions
from headworks.evaluation.exchange.promptfoo_files import Reading, inner, listed, mapping, read_yaml
from headworks.evaluation.exchange.promptfoo_tests import (
    Case,
    combined,
    hangs_on_what_is_lost,
    read_cases,
    rendered,
    resolved,
)
from headworks.types.evaluation import Example
from headworks.types.models import Message, Role

QUESTIONS = ("question", "input", "query", "text", "prompt", "message", "user_input")
"""The variable that holds what is asked, if one of these is there; the first prompt is asked otherwise."""
_MOST_TESTS = 100_000
_READ = frozenset(
    ("prompts", "providers", "targets", "tests", "scenarios", "defaultTest", "assertionTemplates", "description",
     "outputPath", "$schema")
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Criterion:
    """What a model is to grade: of one example, with the assertion's type and its text."""

    example: str
    kind: str
    text: str
    is_negated: bool = False


@dataclass(frozen=True, slots=True)
class ImportedSuite:
    """What a configuration becomes. `criteria` are for a judge, `losses` say what is not carried, and of which test."""

    examples: tuple[Example, ...]
    prompts: tuple[str, ...]
    providers: tuple[str, ...]
    criteria: tuple[Criterion, ...]
    losses: tuple[str, ...]
    incomplete: frozenset[str]
    """Examples that lost an assertion: their verdict may differ from promptfoo's."""

    def suite(self, dataset: str) -> bytes:
        """`evals/suite.yaml` for the dataset."""
        return f"dataset: {dataset}\nscorers:\n  checks: {{scorer: checks}}\n".encode()


@dataclass(slots=True)
class _Suite:
    reading: Reading
    prompts: tuple[str, ...]
    criteria: list[Criterion] = field(default_factory=list)
    incomplete: set[str] = field(default_factory=set)


def import_promptfoo(text: str, files: Mapping[str, bytes] | None = None) -> ImportedSuite:
    """A configuration; `files` are those beside it by their paths, for `file://`. Raises InvalidRequest."""
    config = mapping(read_yaml(text, "the configuration"), "the configuration")
    reading = Reading(files or {}, inner(config, "assertionTemplates"))
    suite = _Suite(reading, tuple(_prompts(config.get("prompts"), reading)))
    for key in sorted(config.keys() - _READ):
        reading.lose(f"`{key}` is not read")
    if len(suite.prompts) > 1:
        reading.lose(f"`prompts`: a feature has one; of {len(suite.prompts)} the first is asked")
    providers = tuple(_providers(config, reading))
    examples = tuple(_examples(config, suite))
    if not examples:
        raise InvalidRequest("There is no test in this configuration.", next_step="Its `tests` become examples.")
    return ImportedSuite(
        examples,
        suite.prompts,
        providers,
        tuple(suite.criteria),
        tuple(reading.losses),
        frozenset(suite.incomplete),
    )


def _prompts(given: object, reading: Reading) -> Iterator[str]:
    for each in listed(given):
        text = each.get("raw", each.get("id")) if isinstance(each, Mapping) else each
        if not isinstance(text, str):
            reading.lose("prompts: one is no text")
        elif text.startswith("file://"):
            for path in reading.matching(text):
                yield from _prompts_of(path, reading)
        else:
            yield text


def _prompts_of(path: str, reading: Reading) -> Iterator[str]:
    content = reading.file(path, "prompts")
    if content is None:
        return
    if path.endswith((".yaml", ".yml")):
        yield json.dumps(read_yaml(content, f"`{path}`"), ensure_ascii=False)
    elif path.endswith((".txt", ".md")):
        parts = (part.strip() for part in re.split(r"^---\s*$", content, flags=re.MULTILINE))
        yield from (part for part in parts if part)
    else:
        yield content


def _providers(config: Mapping[str, Any], reading: Reading) -> Iterator[str]:
    for each in listed(config.get("providers", config.get("targets"))):
        if isinstance(each, str):
            yield each
        elif isinstance(each, Mapping):
            name = str(each.get("id") or next(iter(each), ""))
            said = each.get("config")
            if "transform" in each or (isinstance(said, Mapping) and {"transform", "transformResponse"} & said.keys()):
                reading.lose(f"providers: the `transform` of `{name[:60]}` is code and is not run")
            yield name


def _examples(config: Mapping[str, Any], suite: _Suite) -> Iterator[Example]:
    count = 0
    for case in read_cases(config, suite.reading):
        parts = list(combined(case, suite.reading))
        for part, chosen in enumerate(parts, 1):
            count += 1
            if count > _MOST_TESTS:
                raise InvalidRequest(f"There are more than {_MOST_TESTS:,} tests.")
            name = case.where.removeprefix("test ")
            if len(parts) == 1:
                yield _example(name, case, chosen, suite)
            else:
                yield replace(_example(f"{name}.{part}", case, chosen, suite), cluster=case.where)


def _example(name: str, case: Case, chosen: Mapping[str, Any], suite: _Suite) -> Example:
    where = f"test {name}"
    variables = resolved(chosen, suite.reading, where)
    found = Assertions(variables, suite.reading, where).read(case.assertions)
    for loss in (*found.losses, *found.asides):
        suite.reading.lose(loss)
    if hangs_on_what_is_lost(variables):
        suite.reading.lose(f"{where}: a variable is a file that is not read, or reads the environment")
    if found.losses or not case.is_complete or hangs_on_what_is_lost(variables):
        suite.incomplete.add(name)
    suite.criteria += [Criterion(name, kind, text, negated) for kind, text, negated in found.graded]
    reference: dict[str, Any] = {"checks": found.checks}
    if case.threshold is not None:
        reference["least"] = case.threshold
    shown = {key: rendered(each, variables) if isinstance(each, str) else each for key, each in variables.items()}
    asked = next((key for key in QUESTIONS if isinstance(shown.get(key), str)), None)
    history, question = ((), shown[asked]) if asked else _asked(case, shown, suite, where)
    tags = {str(key): each if isinstance(each, str) else json.dumps(each, default=str)
            for key, each in case.metadata.items()}  # fmt: skip
    return Example(
        id=name,
        question=question,
        history=history,
        inputs=json.loads(json.dumps({key: each for key, each in shown.items() if key != asked}, default=str)),
        reference=reference,
        tags=tags | ({"description": case.description} if case.description else {}),
        provenance={"promptfoo": where},
    )


def _asked(case: Case, variables: Mapping[str, Any], suite: _Suite, where: str) -> tuple[tuple[Message, ...], str]:
    """What the first prompt asks; one of messages as a conversation."""
    if not suite.prompts:
        return (), ""
    prompt = suite.prompts[0]
    if "prefix" in case.options or "suffix" in case.options:
        prompt = f"{case.options.get('prefix') or ''}{prompt}{case.options.get('suffix') or ''}"
    try:
        messages = _messages(prompt, variables)
        if messages is not None:
            return messages
        return (), filled(wrapped(prompt), variables)
    except NotPlain:
        suite.reading.lose(f"{where}: the prompt's template does more than is read here, and stands as the question")
        return (), prompt


def _messages(prompt: str, variables: Mapping[str, Any]) -> tuple[tuple[Message, ...], str] | None:
    try:
        said = json.loads(prompt)
    except (ValueError, RecursionError):
        return None
    turns = said if isinstance(said, list) else []
    if not turns or not all(_is_turn(each) for each in turns) or turns[-1]["role"] != "user":
        return None
    found = [Message(cast("Role", each["role"]), filled(each["content"], variables)) for each in turns]
    return tuple(found[:-1]), found[-1].content


def _is_turn(each: object) -> bool:
    if not isinstance(each, Mapping):
        return False
    return isinstance(each.get("content"), str) and each.get("role") in {"system", "user", "assistant"}

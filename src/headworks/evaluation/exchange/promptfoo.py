"""A promptfoo configuration as a dataset of ours: each test an example whose assertions are its `checks`.

Deterministic assertions keep their verdict. Those that a model grades become criteria for a judge, which informs until
it is calibrated. Code is never run; what has no word here is named with its test, never dropped in silence.
"""

from __future__ import annotations

import io
import itertools
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from headworks.errors import InvalidRequest
from headworks.evaluation.exchange.nunjucks import NotPlain, filled
from headworks.evaluation.exchange.promptfoo_assertions import Assertions
from headworks.types.evaluation import Example

QUESTIONS = ("question", "input", "query", "text", "prompt", "message", "user_input")
"""The variable that holds what is asked, if one of these is there; the first prompt is asked otherwise."""
_MOST_BYTES = 8 << 20
_MOST_TESTS = 100_000
_READ = frozenset(
    ("prompts", "providers", "targets", "tests", "defaultTest", "assertionTemplates", "description", "outputPath")
)
_READ_OF_TEST = frozenset(("vars", "assert", "threshold", "description", "metadata", "options"))


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
class _Reading:
    files: Mapping[str, bytes]
    templates: Mapping[str, Any]
    prompts: tuple[str, ...]
    losses: list[str] = field(default_factory=list)
    criteria: list[Criterion] = field(default_factory=list)
    incomplete: set[str] = field(default_factory=set)

    def lose(self, what: str) -> None:
        if what not in self.losses:
            self.losses.append(what)


def import_promptfoo(text: str, files: Mapping[str, bytes] | None = None) -> ImportedSuite:
    """A configuration; `files` are those beside it by their paths, for `file://`. Raises InvalidRequest."""
    config = _mapping(_yaml(text, "the configuration"), "the configuration")
    reading = _Reading(files or {}, _optional(config, "assertionTemplates"), ())
    reading.prompts = tuple(_prompts(config.get("prompts"), reading))
    for key in config.keys() - _READ:
        reading.lose(f"`{key}` is not read")
    default = _optional(config, "defaultTest")
    examples = tuple(_examples(_tests(config.get("tests"), reading), default, reading))
    if not examples:
        raise InvalidRequest("There is no test in this configuration.", next_step="Its `tests` become examples.")
    return ImportedSuite(
        examples,
        reading.prompts,
        tuple(_providers(config)),
        tuple(reading.criteria),
        tuple(reading.losses),
        frozenset(reading.incomplete),
    )


def _yaml(text: str, what: str) -> Any:  # noqa: ANN401 -- a YAML value
    if len(text) > _MOST_BYTES:
        raise InvalidRequest(f"Of promptfoo, {what} has more than {_MOST_BYTES >> 20} MB.")
    try:
        return json.loads(text)  # YAML reads its escapes of characters beyond 16 bits otherwise
    except (ValueError, RecursionError):
        pass
    try:
        return YAML(typ="safe", pure=True).load(io.StringIO(text))
    except (YAMLError, ValueError, RecursionError) as error:
        raise InvalidRequest(f"Of promptfoo, {what} is no YAML: {str(error).splitlines()[0]}.") from None


def _mapping(value: object, what: str) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise InvalidRequest(f"Of promptfoo, {what} must be a mapping.")
    return {str(key): each for key, each in value.items()}


def _optional(config: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    return _mapping(config[key], f"`{key}`") if isinstance(config.get(key), Mapping) else {}


def _file(reference: str, reading: _Reading, where: str) -> str | None:
    path = reference.removeprefix("file://").removeprefix("./")
    if path not in reading.files:
        reading.lose(f"{where}: `{path}` is not among the files that were given")
        return None
    return reading.files[path].decode("utf-8", "replace")


def _prompts(given: object, reading: _Reading) -> Iterator[str]:
    for each in given if isinstance(given, list) else [given]:
        text = each.get("raw", each.get("id")) if isinstance(each, Mapping) else each
        if not isinstance(text, str):
            continue
        if text.startswith("file://"):
            content = _file(text, reading, "prompts")
            yield from re.split(r"^---\s*$", content, flags=re.MULTILINE) if content is not None else ()
        else:
            yield text


def _providers(config: Mapping[str, Any]) -> Iterator[str]:
    given = config.get("providers", config.get("targets"))
    for each in given if isinstance(given, list) else [given]:
        if isinstance(each, str):
            yield each
        elif isinstance(each, Mapping):
            yield str(each.get("id") or next(iter(each), ""))


def _tests(given: object, reading: _Reading) -> Iterator[Mapping[str, Any]]:
    for each in given if isinstance(given, list) else [given]:
        if isinstance(each, Mapping):
            yield _mapping(each, "a test")
        elif isinstance(each, str):
            path = each.removeprefix("file://")
            if not path.endswith((".yaml", ".yml", ".json")):
                reading.lose(f"tests: `{path}` is not read; only YAML and JSON are")
            elif (content := _file(each, reading, "tests")) is not None:
                yield from _tests(_yaml(content, f"`{path}`"), reading)


def _examples(tests: Iterator[Mapping[str, Any]], default: Mapping[str, Any], reading: _Reading) -> Iterator[Example]:
    count = 0
    for number, test in enumerate(tests, 1):
        for key in test.keys() - _READ_OF_TEST:
            reading.lose(f"test {number}: `{key}` is not read")
        variables = {**_optional(default, "vars"), **_optional(test, "vars")}
        combined = list(_combined(variables))
        for part, chosen in enumerate(combined, 1):
            count += 1
            if count > _MOST_TESTS:
                raise InvalidRequest(f"There are more than {_MOST_TESTS:,} tests.")
            name = f"{number}" if len(combined) == 1 else f"{number}.{part}"
            example = _example(name, test, default, chosen, reading)
            yield example if len(combined) == 1 else replace(example, cluster=f"test {number}")


def _combined(variables: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """A list as a variable stands for a test with each of its values."""
    lists = [value if isinstance(value, list) else [value] for value in variables.values()]
    for chosen in itertools.product(*lists):
        yield dict(zip(variables, chosen, strict=True))


def _example(
    name: str, test: Mapping[str, Any], default: Mapping[str, Any], variables: dict[str, Any], reading: _Reading
) -> Example:
    where = f"test {name}"
    variables = {key: _value(each, reading, where) for key, each in variables.items()}
    variables = {key: rendered(each, variables) if isinstance(each, str) else each for key, each in variables.items()}
    given = [*_asserts(default), *_asserts(test)]
    found = Assertions(variables, reading.templates, where).read(given)
    for loss in found.losses:
        reading.lose(loss)
    transform = {**_optional(default, "options"), **_optional(test, "options")}.get("transform")
    if transform is not None:
        reading.lose(f"{where}: `options.transform` is code and is not run")
    if found.losses or transform is not None:
        reading.incomplete.add(name)
    reading.criteria += [Criterion(name, kind, text, negated) for kind, text, negated in found.graded]
    threshold = test.get("threshold", default.get("threshold"))
    reference: dict[str, Any] = {"checks": found.checks} | ({} if threshold is None else {"least": threshold})
    said = test.get("metadata")
    tags = {str(key): str(each) for key, each in said.items()} if isinstance(said, Mapping) else {}
    asked = next((key for key in QUESTIONS if isinstance(variables.get(key), str)), None)
    question = variables[asked] if asked else rendered(reading.prompts[0], variables) if reading.prompts else ""
    return Example(
        id=name,
        question=question,
        inputs=json.loads(json.dumps({key: each for key, each in variables.items() if key != asked}, default=str)),
        reference=reference,
        tags=tags | ({"description": str(test["description"])} if test.get("description") else {}),
        provenance={"promptfoo": where},
    )


def _asserts(test: Mapping[str, Any]) -> list[Any]:
    given = test.get("assert")
    return given if isinstance(given, list) else []


def _value(value: object, reading: _Reading, where: str) -> object:
    if isinstance(value, str) and value.startswith("file://"):
        content = _file(value, reading, where)
        return value if content is None else content.strip()
    return value


def rendered(template: str, variables: Mapping[str, Any]) -> str:
    """A template with its variables, as Nunjucks fills it in; one that does more stays as it is."""
    try:
        return filled(template, variables)
    except NotPlain:
        return template

"""The tests of a promptfoo configuration, from wherever they stand, each with what all tests share."""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from headworks.errors import InvalidRequest
from headworks.evaluation.exchange.javascript import as_text
from headworks.evaluation.exchange.nunjucks import NotPlain, filled, wrapped
from headworks.evaluation.exchange.promptfoo_files import Reading, inner, listed, mapping, path_of, read_yaml
from headworks.evaluation.exchange.promptfoo_rows import as_test, read_rows

_READ = frozenset(("vars", "assert", "threshold", "description", "metadata", "options"))
_READ_OPTIONS = frozenset(
    ("disableVarExpansion", "disableDefaultAsserts", "runSerially", "disableConversationVar", "prefix", "suffix")
)
_DECIDING = frozenset(("providerOutput", "assertScoringFunction"))
_DECIDING_OPTIONS = frozenset(("transform", "postprocess", "transformVars"))
_PLACE = re.compile(r"\{\{\s*(\w+)\s*\}\}", re.ASCII)
_ENVIRONMENT = re.compile(r"\{\{-?\s*env\b")
_ROUNDS = 5
_PICTURES = (".png", ".jpg", ".jpeg", ".gif", ".webp", ".bmp", ".svg", ".pdf", ".mp3", ".wav", ".mp4")


@dataclass(slots=True)
class Case:
    """One test with all that is shared, before its lists of variables make several of it."""

    where: str
    variables: dict[str, Any]
    assertions: list[Any]
    threshold: Any
    options: Mapping[str, Any]
    metadata: Mapping[str, Any]
    description: str
    is_complete: bool = True
    """Whether its verdict hangs on nothing that is lost."""


def read_cases(config: Mapping[str, Any], reading: Reading) -> Iterator[Case]:
    """The cases of `tests`, then of `scenarios`, in promptfoo's order. Raises InvalidRequest."""
    default = _default(config.get("defaultTest"), reading)
    for key in sorted(default.keys() - _READ):
        reading.lose(f"`defaultTest.{key}` is not read")
    numbers = itertools.count(1)
    for test in _tests(config.get("tests"), reading):
        yield _case(f"test {next(numbers)}", test, default, reading)
    for scenario in listed(config.get("scenarios")):
        yield from _of_scenario(scenario, default, numbers, reading)


def _of_scenario(
    scenario: object, default: Mapping[str, Any], numbers: Iterator[int], reading: Reading
) -> Iterator[Case]:
    if isinstance(scenario, str):
        for found in _values_of(scenario, reading, "scenarios"):
            yield from _of_scenario(found, default, numbers, reading)
        return
    said = mapping(scenario, "a scenario")
    for key in sorted(said.keys() - {"config", "tests", "description"}):
        reading.lose(f"scenarios: `{key}` is not read")
    for given in listed(said.get("config")):
        shared = mapping(given, "`config` of a scenario")
        for test in list(_tests(said.get("tests"), reading)) or [{}]:
            both = {**shared, **test}
            for key in ("vars", "options", "metadata"):
                both[key] = {**inner(shared, key), **inner(test, key)}
            both["assert"] = [*listed(shared.get("assert")), *listed(test.get("assert"))]
            yield _case(f"test {next(numbers)}", both, default, reading)


def _values_of(reference: str, reading: Reading, where: str) -> Iterator[Any]:
    for path in reading.matching(reference):
        content = reading.file(path, where)
        if content is not None:
            yield from listed(read_yaml(content, f"`{path}`"))


def _default(given: object, reading: Reading) -> Mapping[str, Any]:
    if isinstance(given, str):
        given = next(_values_of(given, reading, "`defaultTest`"), None)
    return mapping(given, "`defaultTest`") if isinstance(given, Mapping) else {}


def _tests(given: object, reading: Reading) -> Iterator[Mapping[str, Any]]:
    for each in listed(given):
        if isinstance(each, str):
            for path in reading.matching(each):
                yield from _of_file(path, reading)
        elif isinstance(each, Mapping) and "path" in each and not each.keys() & _READ:
            reading.lose(f"tests: `{str(each['path'])[:100]}` makes tests by code and is not run")
        else:
            yield _with_variables(mapping(each, "a test"), reading)


def _with_variables(test: Mapping[str, Any], reading: Reading) -> Mapping[str, Any]:
    """`vars` may be the path of a file, or several."""
    said = test.get("vars")
    if not isinstance(said, str | list):
        return test
    found: dict[str, Any] = {}
    for reference in listed(said):
        for value in _values_of(str(reference), reading, "`vars`"):
            found |= mapping(value, "`vars` of a file")
    return {**test, "vars": found}


def _of_file(path: str, reading: Reading) -> Iterator[Mapping[str, Any]]:
    path = path.partition("?")[0]
    if "://" in path or not path.endswith((".yaml", ".yml", ".json", ".jsonl", ".csv")):
        reading.lose(f"tests: `{path[:100]}` is not read; YAML, JSON, JSONL and CSV are")
        return
    content = reading.file(path, "tests")
    if content is None:
        return
    if path.endswith(".csv"):
        yield from read_rows(content, path)
    elif path.endswith(".jsonl"):
        yield from _of_lines(content, path, reading)
    else:
        for each in listed(read_yaml(content, f"`{path}`")):
            test = mapping(each, f"a test of `{path}`")
            yield _with_variables(test, reading) if test.keys() & _READ else as_test(test)


def _of_lines(content: str, path: str, reading: Reading) -> Iterator[Mapping[str, Any]]:
    for number, line in enumerate(content.split("\n"), 1):
        if line.strip():
            try:
                said = json.loads(line)
            except (ValueError, RecursionError):
                raise InvalidRequest(f"Of promptfoo, line {number} of `{path}` is no JSON.") from None
            yield _with_variables(mapping(said, f"line {number} of `{path}`"), reading)


def _case(where: str, test: Mapping[str, Any], default: Mapping[str, Any], reading: Reading) -> Case:
    for key in sorted(test.keys() - _READ):
        reading.lose(f"{where}: `{key}` is not read")
    options = {**inner(default, "options"), **inner(test, "options")}
    for key in sorted(options.keys() - _READ_OPTIONS):
        said = "is code and is not run" if key in _DECIDING_OPTIONS else "is not read"
        reading.lose(f"{where}: `options.{key}` {said}")
    shared = [] if options.get("disableDefaultAsserts") is True else list(listed(default.get("assert")))
    threshold = test.get("threshold")
    return Case(
        where,
        {**inner(default, "vars"), **inner(test, "vars")},
        [*shared, *listed(test.get("assert"))],
        default.get("threshold") if threshold is None else threshold,
        options,
        {**inner(default, "metadata"), **inner(test, "metadata")},
        str(test.get("description") or default.get("description") or ""),
        is_complete=not (test.keys() | default.keys()) & _DECIDING and not options.keys() & _DECIDING_OPTIONS,
    )


def combined(case: Case, reading: Reading) -> Iterator[dict[str, Any]]:
    """A list of texts as a variable stands for a test with each; so does a pattern of files."""
    if case.options.get("disableVarExpansion"):
        yield dict(case.variables)
        return
    choices: list[list[Any]] = []
    for value in case.variables.values():
        if isinstance(value, list) and value and isinstance(value[0], str):
            choices.append(value)
        elif isinstance(value, str) and value.startswith("file://"):
            choices.append([f"file://{path}" for path in reading.matching(value)] or [value])
        else:
            choices.append([value])
    for chosen in itertools.product(*choices):
        yield dict(zip(case.variables, chosen, strict=True))


def resolved(variables: Mapping[str, Any], reading: Reading, where: str) -> dict[str, Any]:
    """With files read, and with what variables name of each other."""
    found = {key: _loaded(value, reading, where) for key, value in variables.items()}
    for _ in range(_ROUNDS):
        before = dict(found)
        for key, value in found.items():
            place = _PLACE.search(value) if isinstance(value, str) else None
            if isinstance(value, str) and place and found.get(place[1]) is not None:
                found[key] = value.replace(place[0], as_text(found[place[1]]), 1)
        if found == before:
            break
    return found


def _loaded(value: object, reading: Reading, where: str) -> object:
    if not isinstance(value, str):
        return value
    if value.startswith("file://"):
        path = path_of(value)
        if path.endswith(_PICTURES):
            reading.lose(f"{where}: `{path[:100]}` is no text")
            return value
        content = reading.file(value, where)
        if content is None:
            return value
        is_yaml = path.endswith((".yaml", ".yml"))
        value = json.dumps(read_yaml(content, f"`{path}`"), separators=(",", ":")) if is_yaml else content.strip()
    return value.removesuffix("\n")


def hangs_on_what_is_lost(variables: Mapping[str, Any]) -> bool:
    """Whether a variable is a file that was not read, or reads the environment."""
    texts = [each for each in variables.values() if isinstance(each, str)]
    return any(each.startswith("file://") or _ENVIRONMENT.search(each) for each in texts)


def rendered(template: str, variables: Mapping[str, Any]) -> str:
    """A prompt or variable with its variables; one that names an unknown one, or does more, stays as it is."""
    try:
        return filled(wrapped(template), variables)
    except NotPlain:
        return template

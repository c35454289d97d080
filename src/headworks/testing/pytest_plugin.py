"""Examples of a dataset as pytest items, and one verdict over all of them at the end of the session.

    @suite("golden/golden.jsonl", metric="right", at_least=0.9)
    def test_answers(example):
        assert answer(example.question) == example.reference

An example that fails is recorded (`x`) and fails nobody: what decides is whether the share of passes is shown to be at
least `at_least`, by the exact bound on what the clusters are worth. Not shown is not passed: the summary says how many
examples are missing. Where all of them must pass, say `must_be_perfect=True`. Where only a part of them ran (`-k`,
`-x`), nothing is shown of the whole: INCONCLUSIVE.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Generator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import pytest

from headworks.errors import InvalidRequest
from headworks.evaluation.contract import Result
from headworks.evaluation.datasets.files import example_digest, read_dataset
from headworks.evaluation.experiments.comparing import Metric, by_example
from headworks.evaluation.gates.lines import Line, inconclusive
from headworks.evaluation.suites.gate_files import Below, GateSpec
from headworks.types.evaluation import Example, Output, Score

_MARK = "headworks_suite"
_PROPERTY = "headworks"
_Test = TypeVar("_Test", bound=Callable[..., Any])


@dataclass(slots=True)
class _Seen:
    """What the items of one suite said."""

    metric: str
    at_least: float
    must_be_perfect: bool
    alpha: float
    size: int
    """How many examples the dataset has."""
    results: list[Result] = field(default_factory=list)


def suite(
    dataset: str, *, metric: str, at_least: float = 0.9, must_be_perfect: bool = False, alpha: float = 0.05
) -> Callable[[_Test], _Test]:
    """Give a test each example of a file, relative to its own, as `example`. A wrong file raises WorkspaceInvalid."""
    if not 0 < at_least < 1:
        raise InvalidRequest(f"`at_least` is {at_least:g}.", next_step="Give a share between 0 and 1.")

    def marked(test: _Test) -> _Test:
        path = Path(inspect.getfile(test)).parent / dataset
        examples = read_dataset(str(path), path.read_bytes())
        values = [pytest.param(each, id=each.id) for each in examples]
        kept = {"metric": metric, "at_least": at_least, "must_be_perfect": must_be_perfect, "alpha": alpha}
        mark = getattr(pytest.mark, _MARK)(**kept, size=len(examples))
        marks = (pytest.mark.parametrize("example", values), mark)
        for each in marks:
            test = each(test)
        return test

    return marked


def pytest_configure(config: pytest.Config) -> None:
    """Make the mark known, and collect on the process that reports."""
    config.addinivalue_line("markers", f"{_MARK}: an example of a dataset, judged at the end of the session")
    if not hasattr(config, "workerinput"):
        config.pluginmanager.register(Verdicts(), "headworks verdicts")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Record what an example said instead of failing."""
    report = yield
    mark, parameters = item.get_closest_marker(_MARK), getattr(item, "callspec", None)
    if mark is None or parameters is None or call.when == "teardown":
        return report
    if call.when == "setup" and not report.failed:
        return report
    example: Example = parameters.params["example"]
    is_failure = call.excinfo is not None and call.excinfo.errisinstance(AssertionError)
    code = "" if not report.failed or is_failure else "test_error"
    said = {"suite": item.nodeid.partition("[")[0], "example": example.id, "cluster": example.cluster, "error": code}
    report.user_properties.append((_PROPERTY, {**said, "is_passed": report.passed, **mark.kwargs}))
    if report.failed and not mark.kwargs["must_be_perfect"]:
        report.outcome = "skipped"
        report.wasxfail = "recorded for the verdict"
    return report


class Verdicts:
    """Collects what items said, and judges once."""

    def __init__(self) -> None:
        self._seen: dict[str, _Seen] = {}
        self._lines: dict[str, Line] = {}

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Take up what one item said."""
        for name, said in report.user_properties:
            if name == _PROPERTY and isinstance(said, dict):
                kept = (said["metric"], said["at_least"], said["must_be_perfect"], said["alpha"], said["size"])
                self._seen.setdefault(said["suite"], _Seen(*kept)).results.append(_result(said))

    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """Judge; anything but PASS makes the session fail."""
        self._lines = {suite: _judge(seen) for suite, seen in self._seen.items()}
        if session.exitstatus == 0 and any(each.verdict != "PASS" for each in self._lines.values()):
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self, terminalreporter: Any) -> None:  # noqa: ANN401 -- not public in pytest
        """Say each verdict once."""
        if self._lines:
            terminalreporter.section("verdicts")
        for suite_name, line in self._lines.items():
            step = f" {line.next_step}" if line.next_step else ""
            terminalreporter.line(f"{line.verdict} {suite_name} {line.metric}: {line.message}{step}")


def _result(said: dict[str, Any]) -> Result:
    example = Example(said["example"], cluster=said["cluster"])
    value = Score(error_code=said["error"]) if said["error"] else Score(float(said["is_passed"]))
    return Result(example, example_digest(example), 0, Output(), {said["metric"]: value})


def _judge(seen: _Seen) -> Line:
    from headworks.evaluation.gates.case import Case
    from headworks.evaluation.gates.limits import below

    metric = Metric(seen.metric, "binary")
    failed = [each for each in seen.results if each.scores[seen.metric].value != 1.0]
    rule, ran = "must_be_perfect" if seen.must_be_perfect else "must_stay_below", len(by_example(seen.results))
    if ran < seen.size and not (seen.must_be_perfect and failed):
        step = "Run them all: those that were left out may be the ones that fail."
        return inconclusive(rule, seen.metric, f"{ran} of {seen.size} examples ran.", step)
    if seen.must_be_perfect:
        said = f"{len(failed)} of {len(seen.results)} examples fail."
        return Line(rule, seen.metric, "FAIL" if failed else "PASS", said)
    line = Below(seen.metric, round(1 - seen.at_least, 9))
    case = Case(seen.results, None, {seen.metric: metric}, len(seen.results), seen.alpha)
    return below(line, GateSpec(errors="count_as_fail", below=(line,)), case)

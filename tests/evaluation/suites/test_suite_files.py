"""`evals/suite.yaml`, and what it says when something is wrong with it."""

from __future__ import annotations

import pytest

from headworks.errors import WorkspaceInvalid
from headworks.evaluation.suites.suite_files import Suite, read_suite
from headworks.testing.scorers import SOMEBODY
from headworks.types.evaluation import Example, Output

_SUITE = """\
dataset: cases
repeats: 3
scorers:
  decision: {scorer: exact, path: /decision, reference: /decision}
  short: {scorer: length, most: 50}
  time: {scorer: latency}
  task_success:
    scorer: all
    of: [decision, short]
"""


def _read(text: str) -> Suite:
    return read_suite("evals/suite.yaml", text.encode())


async def test_a_suite_says_what_is_answered_and_how_it_is_scored() -> None:
    suite = _read(_SUITE)
    assert (suite.dataset, suite.repeats, suite.splits) == ("cases", 3, ("test",))
    assert [each.name for each in suite.scorers] == ["decision", "short", "time", "task_success"]
    assert suite.lines["task_success"] == 8
    time, success = suite.scorer("time"), suite.scorer("task_success")
    assert time is not None
    assert (time.scale, time.is_better_high) == ("number", False)
    assert success is not None
    example = Example("a", reference={"decision": "approve"})
    good = await success.score(SOMEBODY, example, Output('{"decision": "approve"}'))
    bad = await success.score(SOMEBODY, example, Output('{"decision": "deny"}'))
    assert (good.value, bad.value) == (1.0, 0.0)
    assert "“deny” is not “approve”" in bad.reason


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("scorers: {a: {scorer: exact}}", "suite.yaml:1: `dataset` is missing"),
        ("dataset: x", "suite.yaml:1: nothing is scored"),
        ("dataset: x\nscorers:\n  a: exact", "suite.yaml:2: `a` must be a mapping"),
        ("dataset: x\nscorers:\n  a: {scorer: exakt}", "suite.yaml:3: there is no scorer `exakt`"),
        ("dataset: x\nscorers:\n  a:\n    scorer: exact\n    igno: []", "suite.yaml:5: unknown key `scorers.a.igno`"),
        ("dataset: x\nscorers:\n  a: {scorer: regex, pattern: '('}", "suite.yaml:3: `pattern` is no expression"),
        (
            "dataset: x\nscorers:\n  a: {scorer: all, of: [b]}\n  b: {scorer: exact}",
            "suite.yaml:3: no scorer `b` stands above",
        ),
        (
            "dataset: x\nscorers:\n  t: {scorer: latency}\n  a: {scorer: all, of: [t]}",
            "suite.yaml:4: `t` gives no pass or fail",
        ),
        ("dataset: x\nscorers:\n  A B: {scorer: exact}", "suite.yaml:3: `A B` is no name of a metric"),
        ("dataset: x\nrepeats: 0\nscorers: {a: {scorer: exact}}", "suite.yaml:2: `repeats` is 0"),
        ("dataset: x\nsplits: [tset]\nscorers: {a: {scorer: exact}}", "suite.yaml:2: `splits` names `tset`"),
        ("dataset: x\nrepeat: 2\nscorers: {a: {scorer: exact}}", "suite.yaml:2: unknown key `repeat`"),
        ("dataset: x\nscorers:\n  a: {scorer: json_schema, file: no.json}", "suite.yaml:3: there is no file `no.json`"),
        ("dataset: x\nscorers:\n  a: {scorer: json_schema, schema: {type: objct}}", "suite.yaml:3: the schema is none"),
        ("dataset: x\nscorers:\n  a: {scorer: exact, path: decision}", "suite.yaml:3: `path` is 'decision'"),
        (
            "dataset: x\nscorers:\n  a: {scorer: exact, value: x, reference: /y}",
            "suite.yaml:3: `value` and `reference`",
        ),
    ],
)
def test_a_complaint_names_file_and_line(text: str, complaint: str) -> None:
    with pytest.raises(WorkspaceInvalid) as refused:
        _read(text)
    assert complaint in str(refused.value)

"""What judges a feature is refused with file and line before it is kept."""

from __future__ import annotations

import pytest

from headworks.errors import WorkspaceInvalid
from headworks.evaluation.suites.checking import check_judging

FOLDER = "features/claims/"
GOOD = {
    "evals/gate.yaml": "alpha: 0.05\nmust_not_get_worse:\n  - {metric: right, margin: 0.05}\n",
    "evals/suite.yaml": "dataset: cases\nscorers:\n  right: {scorer: exact}\n",
    "golden/cases.jsonl": '{"id": "a", "question": "Why?", "reference": "So.", "failure_modes": ["rules"]}\n',
    "golden/notes.md": "Nothing reads this.",
}
MODES = {"rules", "record_extraction"}
JUDGE = {
    "judges/manners/judge.yaml": "model: openai/m\ncriteria: {polite: It is polite.}\n",
    "judges/manners/judge.prompty": "---\ninputs:\n  question: {kind: string, from: question}\n"
    "  answer: {kind: string}\n---\nsystem:\nJudge.\nuser:\n{{ answer }}\n",
}
JUDGED = "dataset: cases\nscorers:\n  polite: {scorer: judge, judge: manners}\n  right: {scorer: all, of: [polite]}\n"


def checked(modes: set[str] | None = MODES, **changed: str | None) -> None:
    names = {"gate": "evals/gate.yaml", "suite": "evals/suite.yaml", "cases": "golden/cases.jsonl"}
    files = GOOD | JUDGE | {names[key]: text for key, text in changed.items()}
    check_judging(FOLDER, {path: text.encode() for path, text in files.items() if text is not None}, modes)


def test_what_can_judge_is_taken() -> None:
    checked()
    checked(None, cases=GOOD["golden/cases.jsonl"].replace("rules", "anything"))
    checked(gate=None, suite="dataset: pushed\nscorers:\n  right: {scorer: exact}\n")
    checked(gate=None, suite=None)
    seconds = "dataset: cases\nscorers:\n  fast: {scorer: latency}\n"
    checked(gate="must_not_get_worse:\n  - {metric: fast, margin: 500}\n", suite=seconds)


def test_what_a_judge_gives_is_corrected_by_people_or_can_not_get_worse_unseen() -> None:
    with pytest.raises(WorkspaceInvalid, match=r"evals/gate\.yaml:3: a judge gives `right`, and nothing .* errors"):
        checked(suite=JUDGED)
    correction = ", judge: {correct: ppi, min_human: 50}"
    checked(suite=JUDGED, gate=GOOD["evals/gate.yaml"].replace("0.05}", f"0.05{correction}}}"))
    checked(suite=JUDGED, gate="must_be_perfect: [right]\nmust_improve:\n  - {metric: polite, min_delta: 0.1}\n")


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("gate", "alpha: 0.05\n", r"features/claims/evals/gate\.yaml:1: the gate asks for nothing"),
        ("gate", "must_be_perfect: [rigth]\n", r"evals/gate\.yaml:1: no scorer .* `rigth`\. Did you mean `right`"),
        (
            "gate",
            "must_not_get_worse:\n  - {metric: right, margin: 1.5}\n",
            r"evals/gate\.yaml:2: `margin` is 1\.5, and `right` lies from 0 to 1\. .* below 1",
        ),
        (
            "gate",
            "must_improve:\n  - {metric: right, min_delta: 1}\n",
            r"evals/gate\.yaml:2: `min_delta` is 1, and `right`",
        ),
        (
            "gate",
            "must_not_get_worse:\n  - {metric: right, margin: 0.1}\nslices: {by: intent, margin: 5}\n",
            r"evals/gate\.yaml:3: `margin` is 5, and `right`",
        ),
        ("suite", None, r"features/claims/evals/suite\.yaml:1: there is no such file"),
        (
            "suite",
            "dataset: cases\nscorers: {right: {scorer: exakt}}\n",
            r"features/claims/evals/suite\.yaml:2: .*exakt",
        ),
        (
            "suite",
            "dataset: case\nscorers: {right: {scorer: exact}}\n",
            r"no `golden/case\.jsonl`\. Did you mean `cases`",
        ),
        ("cases", "", r"features/claims/golden/cases\.jsonl:1: there is no example"),
        ("cases", '{"id": "a", "question": "A"}\n{"id": "a", "question": "B"}\n', r"cases\.jsonl:2: the id `a`"),
        ("cases", '{"id": "a", "question": "A", "split": "dev"}\n', "no example of the splits test"),
        (
            "cases",
            '{"id": "a", "question": "A", "failure_modes": ["rule"]}\n',
            r"cases\.jsonl:1: `rule` is no failure mode",
        ),
        (
            "cases",
            '{"id": "a", "question": "A","cluster":"x"}\n{"id": "b", "question": "B", "cluster": "x", "split": "dev"}',
            r"cases\.jsonl:2: The cluster `x` lies in two splits",
        ),
    ],
)
def test_what_can_not_judge_is_refused_with_its_place(name: str, text: str | None, said: str) -> None:
    with pytest.raises(WorkspaceInvalid) as refusal:
        checked(**{name: text})
    assert str(refusal.value).startswith(FOLDER)
    assert refusal.match(said)

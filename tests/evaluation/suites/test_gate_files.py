"""`evals/gate.yaml`, as teams write it and as they get it wrong."""

from __future__ import annotations

import pytest

from headworks.errors import WorkspaceInvalid
from headworks.evaluation.suites.gate_files import Budgets, GateSpec, read_gate

WHOLE = """compare_to: channel:prod
alpha: 0.05
looks: 2
errors: count_as_fail
must_not_get_worse:
  - {metric: task_success, margin: 0.03, cluster: document, judge: {correct: ppi, min_human: 150}}
  - {metric: groundedness, margin: 0.02, mode: rules_interpretation}
must_stay_below:
  - {metric: unsafe, limit: 0.01, bound: cp95}
must_be_perfect: [schema_valid, tenant_isolation]
must_improve:
  - {metric: clarity, min_delta: 0.02, correction: holm}
budgets: {cost_per_task: +5%, p95_ms: 4000}
slices: {by: intent, margin: 0.08, min_n: 40, action: block}
on_inconclusive: {open_queue: golden-topup, max_labels: 200}
"""


def read(text: str) -> GateSpec:
    return read_gate("evals/gate.yaml", text.encode())


def test_a_whole_gate_is_read_with_the_line_of_each_entry() -> None:
    spec = read(WHOLE)
    assert [(each.metric, each.line) for each in spec.not_worse] == [("task_success", 6), ("groundedness", 7)]
    assert spec.not_worse[0].min_human == 150
    assert spec.not_worse[0].cluster == "document"
    assert spec.not_worse[1].mode == "rules_interpretation"
    assert spec.budgets == Budgets(cost_share=0.05, p95_ms=4000)
    assert spec.slices is not None
    assert spec.slices.action == "block"
    assert (spec.looks, spec.errors, spec.queue, spec.most_judgements) == (2, "count_as_fail", "golden-topup", 200)
    assert spec.metrics == ("task_success", "groundedness", "unsafe", "schema_valid", "tenant_isolation", "clarity")


def test_what_is_not_said_is_careful() -> None:
    spec = read("must_be_perfect: [right]\n")
    assert (spec.compare_to, spec.alpha, spec.looks, spec.errors) == ("prod", 0.05, 1, "block")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("must_not_get_wrose: []\nmust_be_perfect: [a]\n", "evals/gate.yaml:1: unknown key `must_not_get_wrose`"),
        ("must_not_get_worse:\n  - {metric: a, margin: 0.1}\n  - {metric: b}\n", "evals/gate.yaml:3: `margin`"),
        ("must_not_get_worse:\n  - {metric: a, margin: 0.1, clutser: x}\n", "evals/gate.yaml:2: unknown key"),
        ("must_not_get_worse: [a]\n", "evals/gate.yaml:1:"),
        (
            "must_be_perfect: right\n",
            "evals/gate.yaml:1: `must_be_perfect` must be a list of names, like [schema_valid].",
        ),
        ("alpha: 0.5\nmust_be_perfect: [a]\n", "evals/gate.yaml:1:"),
        ("looks: 0\nmust_be_perfect: [a]\n", "evals/gate.yaml:1:"),
        ("errors: ignore\nmust_be_perfect: [a]\n", "evals/gate.yaml:1:"),
        ("must_be_perfect: [a]\nbudgets: {cost_per_task: cheap}\n", "evals/gate.yaml:2: `cost_per_task`"),
        ("must_be_perfect: [a]\nslices: {by: intent, margin: 0.1}\n", "evals/gate.yaml:2: `slices`"),
        ("compare_to: none\nmust_not_get_worse:\n  - {metric: a, margin: 0.1}\n", "evals/gate.yaml:1: `compare_to"),
        ("compare_to: channel:staging\nmust_be_perfect: [a]\n", "evals/gate.yaml:1: `compare_to`"),
        ("", "evals/gate.yaml:1: the gate asks for nothing"),
    ],
)
def test_what_is_wrong_is_named_with_its_line(text: str, said: str) -> None:
    with pytest.raises(WorkspaceInvalid) as raised:
        read(text)
    assert str(raised.value).startswith(said)


@pytest.mark.parametrize(
    ("given", "wanted"), [("+5%", Budgets(cost_share=0.05)), ("0.02", Budgets(cost_micro_usd=20_000))]
)
def test_a_budget_is_a_share_or_dollars(given: str, wanted: Budgets) -> None:
    assert read(f"budgets: {{cost_per_task: {given}}}\n").budgets == wanted

"""`evals/gate.yaml`: what a release must show before it may go live. Every complaint starts with `file:line:`.

compare_to: channel:prod
alpha: 0.05
must_not_get_worse:
  - {metric: task_success, margin: 0.05}
must_stay_below:
  - {metric: unsafe, limit: 0.01}
must_be_perfect: [schema_valid]
budgets: {cost_per_task: +5%, p95_ms: 4000}
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, TypeVar, cast

from headworks.strict_yaml import Section, decode, read_yaml

PATH = "evals/gate.yaml"
_MOST_LINES = 50
_MOST_LOOKS = 20
_MOST_JUDGEMENTS = 200
_COST = re.compile(r"\+?(?P<share>\d+(\.\d+)?)%|\$?(?P<usd>\d+(\.\d+)?)")
_CLUSTER_USUAL = "cluster"
_T = TypeVar("_T")

Errors = Literal["block", "count_as_fail"]


@dataclass(frozen=True, slots=True)
class NotWorse:
    """The candidate must not be worse than the base by `margin` or more, in the unit of the metric.

    `cluster` is `cluster` (each example's own), `none`, or a tag. `mode` looks only at examples that are there to show
    one failure mode. `min_human`: how many examples humans must have judged for both releases; None: no correction.
    """

    metric: str
    margin: float
    cluster: str = _CLUSTER_USUAL
    mode: str | None = None
    min_human: int | None = None
    line: int = 1


@dataclass(frozen=True, slots=True)
class Below:
    """The rate of a bad thing must be shown to be at most `limit`, by the exact 95 % bound."""

    metric: str
    limit: float
    line: int = 1


@dataclass(frozen=True, slots=True)
class Perfect:
    """Not one failure."""

    metric: str
    line: int = 1


@dataclass(frozen=True, slots=True)
class Improve:
    """Better than the base by at least `min_delta`; several are claimed together by Holm's rule."""

    metric: str
    min_delta: float
    mode: str | None = None
    line: int = 1


@dataclass(frozen=True, slots=True)
class Budgets:
    """Plain limits. Cost is what one answer costs on average: a share above the base's, or micro-dollars."""

    cost_share: float | None = None
    cost_micro_usd: int | None = None
    p95_ms: float | None = None


@dataclass(frozen=True, slots=True)
class Slices:
    """No part of the examples, by the values of a tag, may be shown to be worse by `margin`."""

    by: str
    margin: float
    min_n: int
    action: Literal["warn", "block"]
    line: int = 1


@dataclass(frozen=True, slots=True)
class GateSpec:
    """A gate as its file says it. `looks` are how often the same candidate may be judged on new results."""

    compare_to: str | None = "prod"
    """`prod`, or None: the gate looks at the candidate alone."""
    alpha: float = 0.05
    looks: int = 1
    errors: Errors = "block"
    not_worse: tuple[NotWorse, ...] = ()
    below: tuple[Below, ...] = ()
    perfect: tuple[Perfect, ...] = ()
    improve: tuple[Improve, ...] = ()
    budgets: Budgets = Budgets()
    slices: Slices | None = None
    queue: str = ""
    most_judgements: int = _MOST_JUDGEMENTS

    @property
    def metrics(self) -> tuple[str, ...]:
        """All that are named, each once, in the order of the file."""
        lines: list[NotWorse | Below | Perfect | Improve] = [
            *self.not_worse,
            *self.below,
            *self.perfect,
            *self.improve,
        ]
        return tuple(dict.fromkeys(each.metric for each in lines))

    @property
    def needs_base(self) -> bool:
        """Whether anything is compared."""
        return bool(self.not_worse or self.improve or self.slices or self.budgets.cost_share is not None)


def read_gate(path: str, content: bytes) -> GateSpec:
    """A gate from its file. Raises WorkspaceInvalid, with file and line."""
    section = read_yaml(path, decode(path, content))
    queue, most = _inconclusive(section)
    spec = GateSpec(
        compare_to=_channel(section),
        alpha=section.number("alpha", 0.05, 0.001, 0.2),
        looks=section.whole("looks", 1, 1, _MOST_LOOKS),
        errors=cast("Errors", _one_of(section, "errors", "block", "count_as_fail")),
        not_worse=_lines(section, "must_not_get_worse", _not_worse),
        below=_lines(section, "must_stay_below", _below),
        perfect=_perfect(section),
        improve=_lines(section, "must_improve", _improve),
        budgets=_budgets(section),
        slices=_slices(section),
        queue=queue,
        most_judgements=most,
    )
    section.finish()
    if not spec.metrics and spec.budgets == Budgets():
        section.complain(None, "the gate asks for nothing.", "Say `must_not_get_worse`, `must_be_perfect` or others.")
    if spec.needs_base and spec.compare_to is None:
        section.complain("compare_to", "`compare_to: none` leaves nothing to compare with.", "Say `channel:prod`.")
    if spec.slices is not None and not spec.not_worse:
        section.complain("slices", "`slices` needs a metric in `must_not_get_worse`.", "Its first one is sliced.")
    return spec


def _channel(section: Section) -> str | None:
    return "prod" if section.choice("compare_to", ("channel:prod", "none"), "channel:prod") != "none" else None


def _one_of(section: Section, key: str, *known: str) -> str:
    return section.choice(key, known, known[0])


def _lines(section: Section, key: str, read: Callable[[Section], _T]) -> tuple[_T, ...]:
    items = section.items(key)
    if len(items) > _MOST_LINES:
        section.complain(key, f"`{key}` has more than {_MOST_LINES} entries.")
    found = []
    for item in items:
        if isinstance(item, str):
            section.complain(key, f"`{key}` must list mappings, not `{item}`.", "Like {metric: task_success, …}.")
        found.append(read(item))
        item.finish()
    return tuple(found)


def _line(section: Section) -> int:
    return int(section.where().rpartition(":")[2])


def _required(section: Section, key: str, lowest: float, highest: float) -> float:
    if not section.has(key):
        section.complain(None, f"`{key}` is missing.", "State it: what it is, is a decision about the feature.")
    return section.number(key, 0.0, lowest, highest)


def _not_worse(section: Section) -> NotWorse:
    metric, margin = section.text("metric"), _required(section, "margin", 1e-9, 1e9)
    return NotWorse(
        metric,
        margin,
        section.text("cluster", _CLUSTER_USUAL),
        section.text("mode", "") or None,
        _min_human(section),
        _line(section),
    )


def _min_human(section: Section) -> int | None:
    judge = section.section("judge")
    if judge is None:
        return None
    _one_of(judge, "correct", "ppi")
    least = judge.whole("min_human", 100, 10, 1_000_000)
    judge.finish()
    return least


def _below(section: Section) -> Below:
    _one_of(section, "bound", "cp95")
    return Below(section.text("metric"), _required(section, "limit", 1e-6, 0.999), _line(section))


def _perfect(section: Section) -> tuple[Perfect, ...]:
    line = int(section.where("must_be_perfect").rpartition(":")[2])
    return tuple(Perfect(each, line) for each in section.names("must_be_perfect", like="schema_valid"))


def _improve(section: Section) -> Improve:
    _one_of(section, "correction", "holm")
    return Improve(
        section.text("metric"),
        section.number("min_delta", 0.0, 0.0, 1e9),
        section.text("mode", "") or None,
        _line(section),
    )


def _budgets(section: Section) -> Budgets:
    budgets = section.section("budgets")
    if budgets is None:
        return Budgets()
    share: float | None = None
    cost: int | None = None
    if budgets.has("cost_per_task"):
        given = str(budgets.raw("cost_per_task"))
        found = _COST.fullmatch(given)
        if found is None:
            budgets.complain("cost_per_task", f"`cost_per_task` is `{given}`.", "Like +5%, or dollars such as 0.02.")
        share = float(found["share"]) / 100 if found["share"] else None
        cost = round(float(found["usd"]) * 1_000_000) if found["usd"] else None
    p95 = budgets.number("p95_ms", 0.0, 1.0, 3_600_000.0) if budgets.has("p95_ms") else None
    budgets.finish()
    return Budgets(share, cost, p95)


def _slices(section: Section) -> Slices | None:
    slices = section.section("slices")
    if slices is None:
        return None
    found = Slices(
        slices.text("by"),
        _required(slices, "margin", 1e-9, 1e9),
        slices.whole("min_n", 40, 2, 1_000_000),
        cast("Literal['warn', 'block']", _one_of(slices, "action", "warn", "block")),
        _line(slices),
    )
    slices.finish()
    return found


def _inconclusive(section: Section) -> tuple[str, int]:
    wanted = section.section("on_inconclusive")
    if wanted is None:
        return "", _MOST_JUDGEMENTS
    found = wanted.text("open_queue", ""), wanted.whole("max_labels", _MOST_JUDGEMENTS, 1, 100_000)
    wanted.finish()
    return found

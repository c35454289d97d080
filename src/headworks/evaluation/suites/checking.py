"""What judges a feature, checked before it is kept: a gate that can't be read judges nothing, and stays attached."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from headworks.errors import WorkspaceInvalid
from headworks.evaluation.datasets.files import is_golden, read_numbered
from headworks.evaluation.datasets.splits import WHOLE_CLUSTERS, told_torn, torn_cluster
from headworks.evaluation.suites.gate_files import PATH as GATE_PATH
from headworks.evaluation.suites.gate_files import Below, GateSpec, Improve, NotWorse, Perfect, read_gate
from headworks.evaluation.suites.suite_files import PATH as SUITE_PATH
from headworks.evaluation.suites.suite_files import Suite, suite_reader
from headworks.strict_yaml import nearest
from headworks.types.evaluation import Example


def check_judging(folder: str, files: Mapping[str, bytes], modes: Collection[str] | None = None) -> None:
    """Raise WorkspaceInvalid, with file and line, for what could judge nothing.

    `files` are those of a feature's folder by their paths inside it, `folder` is put before these in complaints.
    `modes` are the taxonomy's failure modes, None without one. A suite without a gate may name a dataset that is
    nowhere here: an experiment can be run on one that was pushed.
    """
    golden: dict[str, list[Example]] = {}
    for path in sorted(filter(is_golden, files)):
        lines = read_numbered(folder + path, files[path])
        _check_examples(folder + path, lines, modes)
        golden[path] = [example for _, example in lines]
    gate = read_gate(folder + GATE_PATH, files[GATE_PATH]) if GATE_PATH in files else None
    if gate is None and SUITE_PATH not in files:
        return
    suite = suite_reader(None, folder)(files)
    if gate is not None:
        _check_dataset(folder, suite, golden)
        _check_metrics(folder + GATE_PATH, gate, suite)
        _check_margins(folder + GATE_PATH, gate, suite)
        _check_judges(folder + GATE_PATH, gate, suite)


def _check_examples(path: str, lines: Sequence[tuple[int, Example]], modes: Collection[str] | None) -> None:
    line_of = {example.id: line for line, example in lines}
    if torn := torn_cluster(example for _, example in lines):
        raise WorkspaceInvalid(f"{path}:{line_of[torn[1].id]}: {told_torn(torn)}", next_step=WHOLE_CLUSTERS)
    if modes is None:
        return
    for line, each in lines:
        for mode in each.failure_modes:
            if mode not in modes:
                raise WorkspaceInvalid(
                    f"{path}:{line}: `{mode}` is no failure mode of the taxonomy.", next_step=nearest(mode, modes)
                )


def _check_dataset(folder: str, suite: Suite, golden: Mapping[str, Sequence[Example]]) -> None:
    path = f"golden/{suite.dataset}.jsonl"
    if path not in golden:
        names = [each.removeprefix("golden/").removesuffix(".jsonl") for each in golden]
        raise WorkspaceInvalid(
            f"{folder}{SUITE_PATH}:1: there is no `{path}`.", next_step=nearest(suite.dataset, names)
        )
    if not any(each.split in suite.splits for each in golden[path]):
        raise WorkspaceInvalid(f"{folder}{path}:1: there is no example of the splits {', '.join(suite.splits)}.")


def _check_metrics(path: str, gate: GateSpec, suite: Suite) -> None:
    known = [each.name for each in suite.scorers]
    lines: list[NotWorse | Below | Perfect | Improve] = [*gate.not_worse, *gate.below, *gate.perfect, *gate.improve]
    for line in lines:
        if line.metric not in known:
            raise WorkspaceInvalid(
                f"{path}:{line.line}: no scorer of the suite gives `{line.metric}`.",
                next_step=nearest(line.metric, known),
            )


def _check_margins(path: str, gate: GateSpec, suite: Suite) -> None:
    """What lies from 0 to 1 never differs by more: such a margin would allow anything, and such a gain nothing has."""
    shares = {each.name for each in suite.scorers if each.scale != "number"}
    asked = [(each.line, each.metric, "margin", each.margin) for each in gate.not_worse]
    asked += [(each.line, each.metric, "min_delta", each.min_delta) for each in gate.improve]
    if gate.slices is not None:
        asked.append((gate.slices.line, gate.not_worse[0].metric, "margin", gate.slices.margin))
    for line, metric, key, value in asked:
        if value >= 1 and metric in shares:
            raise WorkspaceInvalid(
                f"{path}:{line}: `{key}` is {value:g}, and `{metric}` lies from 0 to 1.",
                next_step="Say it as a share below 1, like 0.05.",
            )


def _check_judges(path: str, gate: GateSpec, suite: Suite) -> None:
    """A judge that favours one release lets a worse one through at any alpha, unless people correct it."""
    judges = {each.name for each in suite.scorers if each.is_judge}
    for line in gate.not_worse:
        if line.metric in judges and line.min_human is None:
            raise WorkspaceInvalid(
                f"{path}:{line.line}: a judge gives `{line.metric}`, and nothing corrects its errors.",
                next_step="Add `judge: {correct: ppi, min_human: 100}`: people judge so many answers of both releases.",
            )

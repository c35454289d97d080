"""What judges a feature, from the files of a gate bundle or of a workspace: suite, examples, gate."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

from headworks.errors import WorkspaceInvalid
from headworks.evaluation.contract import Scorer
from headworks.evaluation.datasets.files import dataset_digest, example_digest, is_golden, read_dataset
from headworks.evaluation.digests import digest_of
from headworks.evaluation.suites.gate_files import PATH as GATE_PATH
from headworks.evaluation.suites.gate_files import GateSpec, read_gate
from headworks.evaluation.suites.suite_files import PATH as SUITE_PATH
from headworks.evaluation.suites.suite_files import Suite
from headworks.types.evaluation import Example
from headworks.types.ids import Digest

SuiteReader = Callable[[Mapping[str, bytes]], Suite]
"""The suite among the files of a feature's folder; it knows which models judges may call."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What an experiment runs."""

    dataset: str
    examples: tuple[Example, ...]
    digests: tuple[Digest, ...]
    """Of the examples, in their order."""
    scorers: tuple[Scorer, ...]
    repeats: int

    @property
    def dataset_digest(self) -> Digest:
        """Of the examples that are run."""
        return dataset_digest(self.examples)


def feature_files(feature: str, files: Mapping[str, bytes]) -> dict[str, bytes]:
    """What judges a feature among a workspace's files, by its path in the feature's folder."""
    folder = f"features/{feature}/"
    inside = {path.removeprefix(folder): content for path, content in files.items() if path.startswith(folder)}
    return {path: content for path, content in inside.items() if _is_judging(path)}


@contextmanager
def naming(feature: str) -> Iterator[None]:
    """Complaints about files of a feature's folder, with the folder before their path."""
    try:
        yield
    except WorkspaceInvalid as error:
        raise WorkspaceInvalid(f"features/{feature}/{error.message}", next_step=error.next_step) from None


def read_plan(files: Mapping[str, bytes], read_suite: SuiteReader, dataset: str | None = None) -> Plan:
    """What the suite asks for; `dataset` in place of the one that it names. Raises WorkspaceInvalid."""
    if SUITE_PATH not in files:
        raise WorkspaceInvalid(
            f"{SUITE_PATH}:1: there is no such file.", next_step="Write which dataset and scorers judge the feature."
        )
    suite = read_suite(files)
    name = dataset or suite.dataset
    path = f"golden/{name}.jsonl"
    if path not in files:
        there = sorted(each.removeprefix("golden/").removesuffix(".jsonl") for each in files if is_golden(each))
        raise WorkspaceInvalid(f"{SUITE_PATH}:1: there is no `{path}`. There are: {', '.join(there) or 'none'}.")
    examples = tuple(each for each in read_dataset(path, files[path]) if each.split in suite.splits)
    if not examples:
        raise WorkspaceInvalid(f"{path}:1: there is no example of the splits {', '.join(suite.splits)}.")
    return Plan(name, examples, tuple(example_digest(each) for each in examples), suite.scorers, suite.repeats)


def read_gate_of(files: Mapping[str, bytes]) -> GateSpec:
    """The gate of a bundle. Raises WorkspaceInvalid."""
    if GATE_PATH not in files:
        raise WorkspaceInvalid(f"{GATE_PATH}:1: there is no such file.", next_step="Write what a release must show.")
    return read_gate(GATE_PATH, files[GATE_PATH])


def golden_digest(files: Mapping[str, bytes]) -> Digest:
    """Of what all golden files say, however their lines are ordered and spaced: a gate's looks are counted by it."""
    golden = sorted(path for path in files if is_golden(path))
    return digest_of({path: dataset_digest(read_dataset(path, files[path])) for path in golden})


def _is_judging(path: str) -> bool:
    return path.startswith(("evals/", "golden/", "judges/")) or path == "taxonomy.yaml"

"""`evals/suite.yaml`: which dataset is answered how often, and how it is scored. Complaints start with `file:line:`.

dataset: cases                     # golden/cases.jsonl
repeats: 3
scorers:
  decision: {scorer: exact, path: /decision, reference: /decision}
  cited: {scorer: citation_presence, least: 0.8}
  fast: {scorer: latency, most_ms: 4000}
  task_success: {scorer: all, of: [decision, cited]}
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import get_args

from headworks.errors import WorkspaceInvalid
from headworks.evaluation.contract import Scorer
from headworks.evaluation.judges.files import read_judges
from headworks.evaluation.scorers.catalogue import read_scorer
from headworks.evaluation.scorers.contract import Libraries, Surroundings
from headworks.strict_yaml import Section, decode, nearest, read_yaml
from headworks.types.evaluation import Split
from headworks.types.models import Models

PATH = "evals/suite.yaml"
_NAME = re.compile(r"[a-z][a-z0-9_.:-]{0,79}")
_MOST_SCORERS = 200
_MOST_REPEATS = 100


@dataclass(frozen=True, slots=True)
class Suite:
    """How a feature is tried. `splits`: which examples count; `scorers` in the order of the file, by metric."""

    dataset: str
    repeats: int
    splits: tuple[Split, ...]
    scorers: tuple[Scorer, ...]
    lines: Mapping[str, int]
    """Of each scorer in its file."""

    def scorer(self, metric: str) -> Scorer | None:
        """By the name of its metric."""
        return next((each for each in self.scorers if each.name == metric), None)


def suite_reader(
    models: Models | None, folder: str = "", libraries: Libraries | None = None
) -> Callable[[Mapping[str, bytes]], Suite]:
    """Reads the suite among the files of a feature's folder, with its judges; raises WorkspaceInvalid.

    Without `models` and `libraries` it is only checked. `folder` is put before the paths in complaints.
    """

    def read(files: Mapping[str, bytes]) -> Suite:
        if PATH not in files:
            raise WorkspaceInvalid(
                f"{folder}{PATH}:1: there is no such file.", next_step="Write which dataset and scorers judge it."
            )
        around = Surroundings(models, files, read_judges(files, folder), libraries=libraries)
        return read_suite(folder + PATH, files[PATH], around)

    return read


def read_suite(path: str, content: bytes, surroundings: Surroundings | None = None) -> Suite:
    """A suite from its file; `path` is for complaints. Raises WorkspaceInvalid, with file and line."""
    section = read_yaml(path, decode(path, content))
    dataset = section.text("dataset")
    repeats = section.whole("repeats", 1, 1, _MOST_REPEATS)
    splits = _splits(section)
    scorers, lines = _scorers(section, surroundings or Surroundings())
    section.finish()
    if not scorers:
        section.complain(None, "nothing is scored.", "Like scorers: {right: {scorer: exact}}.")
    return Suite(dataset, repeats, splits, scorers, lines)


def _splits(section: Section) -> tuple[Split, ...]:
    known: tuple[Split, ...] = get_args(Split)
    given = section.names("splits", ("test",), like="test")
    for each in given:
        if each not in known:
            section.complain("splits", f"`splits` names `{each}`.", nearest(each, known))
    if not given:
        section.complain("splits", "`splits` names none.", "Leave it away for [test].")
    return tuple(each for each in known if each in given)


def _scorers(section: Section, surroundings: Surroundings) -> tuple[tuple[Scorer, ...], dict[str, int]]:
    found: dict[str, Scorer] = {}
    lines: dict[str, int] = {}
    for name, inner in section.named("scorers"):
        if not isinstance(inner, Section):
            section.complain("scorers", f"`{name}` must be a mapping.", f"Like {name}: {{scorer: {inner}}}.")
        if _NAME.fullmatch(name) is None:
            inner.complain(
                None, f"`{name}` is no name of a metric.", "Small letters, digits and `_`, like task_success."
            )
        if name in found:
            inner.complain(None, f"`{name}` stands twice.")
        if len(found) == _MOST_SCORERS:
            inner.complain(None, f"there are more than {_MOST_SCORERS} scorers.")
        found[name] = read_scorer(name, inner, replace(surroundings, scorers=found))
        lines[name] = int(inner.where().rpartition(":")[2])
    return tuple(found.values()), lines

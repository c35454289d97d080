"""Every kind of scorer that there is: ours, and those of installed packages."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import lru_cache
from importlib.metadata import entry_points
from typing import Any

from headworks.errors import StartupRefused
from headworks.evaluation.scorers import (
    checks,
    combined,
    effort,
    grounds,
    json_answers,
    judging,
    libraries,
    numbers,
    refusals,
    retrieved,
    similarity,
    tool_calls,
    words,
)
from headworks.evaluation.scorers.contract import MeasuredScorer, ScorerKind, Surroundings
from headworks.strict_yaml import Section, nearest, read_yaml

GROUP = "headworks.scorer"
OURS: Mapping[str, ScorerKind] = {
    kind.name: kind
    for family in (
        words,
        json_answers,
        numbers,
        similarity,
        grounds,
        tool_calls,
        refusals,
        effort,
        retrieved,
        judging,
        checks,
        libraries,
        combined,
    )
    for kind in family.KINDS
}
_NOWHERE = Surroundings()


@lru_cache(maxsize=1)
def all_kinds() -> Mapping[str, ScorerKind]:
    """By name. Raises StartupRefused where a package takes a name that is taken, or gives what is no kind."""
    kinds = dict(OURS)
    for point in entry_points(group=GROUP):
        kind = point.load()
        if not isinstance(kind, ScorerKind) or kind.name in kinds:
            raise StartupRefused(
                f"The scorer `{point.name}` of `{point.value}` is none, or its name is taken.",
                next_step="Remove the package, or ask who made it for another name.",
            )
        kinds[kind.name] = kind
    return kinds


def read_scorer(
    name: str,
    section: Section,
    surroundings: Surroundings = _NOWHERE,
    known: Mapping[str, ScorerKind] | None = None,
) -> MeasuredScorer:
    """The scorer that a section says, under the name of a metric. Raises WorkspaceInvalid with file and line."""
    kinds = all_kinds() if known is None else known
    word = section.text("scorer")
    if word not in kinds:
        section.complain("scorer", f"there is no scorer `{word}`.", nearest(word, kinds))
    section.text("description", "")
    measure = kinds[word].read(section, surroundings)
    section.finish()
    return MeasuredScorer(name, kinds[word], measure)


def make_scorer(
    name: str, kind: str, settings: Mapping[str, Any] | None = None, surroundings: Surroundings = _NOWHERE
) -> MeasuredScorer:
    """The same, from settings as in `suite.yaml`: for Python and for importers. Raises WorkspaceInvalid."""
    said = json.dumps({"scorer": kind, **(settings or {})})
    return read_scorer(name, read_yaml(f"scorer {name}", said), surroundings)

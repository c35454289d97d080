"""`features/<name>/taxonomy.yaml`: the ways in which answers fail, as the people who review them name them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from headworks.errors import InvalidRequest
from headworks.strict_yaml import Section, decode, nearest, read_yaml

_MOST_EXAMPLES = 50


@dataclass(frozen=True, slots=True)
class FailureMode:
    """One way to fail. `severity`: 1 costs time, 2 delays or costs money, 3 harms."""

    id: str
    definition: str
    parent: str | None = None
    severity: int | None = None
    examples: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Taxonomy:
    """The failure modes of a feature by id."""

    modes: Mapping[str, FailureMode]

    def check(self, named: Iterable[str]) -> None:
        """Pass if all are modes, else InvalidRequest that names their neighbours."""
        for each in named:
            if each not in self.modes:
                raise InvalidRequest(
                    f"The taxonomy has no failure mode `{each[:100]}`.",
                    next_step=nearest(each, self.modes),
                    param="failure_modes",
                )


def taxonomy_path(feature: str) -> str:
    """Where a feature's taxonomy lies in its workspace."""
    return f"features/{feature}/taxonomy.yaml"


def read_taxonomy(path: str, content: bytes) -> Taxonomy:
    """Its modes. Raises WorkspaceInvalid with file and line: an id twice, a parent that is none, one's own ancestor."""
    top = read_yaml(path, decode(path, content))
    modes: dict[str, FailureMode] = {}
    sections: dict[str, Section] = {}
    for item in top.items("failure_modes"):
        if isinstance(item, str):
            top.complain("failure_modes", f"`{item}` is no mapping.", "A mode has an `id` and a `definition`.")
        mode = _mode(item)
        if mode.id in modes:
            item.complain("id", f"the failure mode `{mode.id}` stands twice.")
        modes[mode.id], sections[mode.id] = mode, item
    top.finish()
    for mode in modes.values():
        _check_parents(mode, modes, sections[mode.id])
    return Taxonomy(modes)


def _mode(section: Section) -> FailureMode:
    severity = section.whole("severity", 0, 1, 3)
    mode = FailureMode(
        section.text("id"),
        section.text("definition"),
        section.text("parent", "") or None,
        severity or None,
        section.names("examples"),
    )
    if len(mode.examples) > _MOST_EXAMPLES:
        section.complain("examples", f"`examples` has more than {_MOST_EXAMPLES} entries.")
    section.finish()
    return mode


def _check_parents(mode: FailureMode, modes: Mapping[str, FailureMode], section: Section) -> None:
    seen = {mode.id}
    parent = mode.parent
    while parent is not None:
        if parent not in modes:
            section.complain("parent", f"there is no failure mode `{parent}`.", nearest(parent, modes))
        if parent in seen:
            section.complain("parent", f"`{mode.id}` would be its own ancestor.")
        seen.add(parent)
        parent = modes[parent].parent

"""How well a dataset covers what is asked: examples per value of a tag, beside how many a gate needs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from headworks.errors import InvalidRequest
from headworks.statistics.power import Goal, certifiable_margin, needed_examples
from headworks.strict_yaml import nearest
from headworks.types.evaluation import Example

_UNTAGGED = ""
_MODE = "failure_mode"


@dataclass(frozen=True, slots=True)
class Covered:
    """One value of a tag (empty: examples without the tag).

    `needed` examples show that a release which is no worse is not worse by the margin, in 80 of 100 runs, where the two
    differ in the share of examples that is expected; `margin` is the smallest one that so many as there are can show.
    """

    value: str
    examples: int
    clusters: int
    needed: int
    margin: float

    @property
    def missing(self) -> int:
        """How many more are needed."""
        return max(0, self.needed - self.examples)


@dataclass(frozen=True, slots=True)
class Coverage:
    """Of one tag, or of failure modes: rare values first. `discordance` and `margin` are what was reckoned with."""

    tag: str
    discordance: float
    margin: float
    rows: tuple[Covered, ...]


def coverage(
    examples: Sequence[Example], tag: str = "intent", *, margin: float = 0.05, discordance: float = 0.1
) -> Coverage:
    """Examples and clusters for each value of a tag; `failure_mode` counts an example for each of its modes.

    Raises InvalidRequest where no example has the tag.
    """
    parts: dict[str, list[Example]] = {}
    for each in examples:
        for value in _values(each, tag) or (_UNTAGGED,):
            parts.setdefault(value, []).append(each)
    if not parts.keys() - {_UNTAGGED}:
        known = {name for each in examples for name in each.tags}
        known |= {_MODE} if any(each.failure_modes for each in examples) else set()
        raise InvalidRequest(f"No example has the tag `{tag}`.", next_step=nearest(tag, known), param="tag")
    rows = [_covered(value, part, margin, discordance) for value, part in parts.items()]
    return Coverage(tag, discordance, margin, tuple(sorted(rows, key=lambda row: (row.examples, row.value))))


def _covered(value: str, part: Sequence[Example], margin: float, discordance: float) -> Covered:
    clusters = len({each.cluster if each.cluster is not None else f"\0{each.id}" for each in part})
    size = len(part) / clusters
    needed = needed_examples(discordance, Goal(margin), 1.0, size)
    reach = certifiable_margin(len(part), discordance, 1.0, size) if clusters > 1 else 1.0
    return Covered(value, len(part), clusters, needed, reach)


def _values(example: Example, tag: str) -> tuple[str, ...]:
    if tag == _MODE:
        return tuple(dict.fromkeys(example.failure_modes))
    return (example.tags[tag],) if tag in example.tags else ()

"""How well a dataset covers what is asked: examples per value of a tag, beside how many a gate needs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from headworks.errors import InvalidRequest
from headworks.statistics.power import Goal, certifiable_margin, needed_examples
from headworks.strict_yaml import nearest
from headworks.types.evaluation import Example

_UNTAGGED = ""


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
    values = [_values(each, tag) for each in examples]
    if not any(values):
        known = {name for each in examples for name in each.tags} | (
            {"failure_mode"} if any(each.failure_modes for each in examples) else set()
        )
        raise InvalidRequest(f"No example has the tag `{tag}`.", next_step=nearest(tag, known), param="tag")
    goal = Goal(margin)
    counts = Counter(value for each in values for value in each or (_UNTAGGED,))
    rows = []
    for value, count in counts.items():
        mine = [each for each, held in zip(examples, values, strict=True) if value in (held or (_UNTAGGED,))]
        clusters = len({each.cluster if each.cluster is not None else f"\0{each.id}" for each in mine})
        size = count / clusters
        needed = needed_examples(discordance, goal, 1.0, size)
        reach = certifiable_margin(count, discordance, 1.0, size) if clusters > 1 else 1.0
        rows.append(Covered(value, count, clusters, needed, reach))
    return Coverage(tag, discordance, margin, tuple(sorted(rows, key=lambda row: (row.examples, row.value))))


def _values(example: Example, tag: str) -> tuple[str, ...]:
    if tag == "failure_mode":
        return tuple(dict.fromkeys(example.failure_modes))
    return (example.tags[tag],) if tag in example.tags else ()

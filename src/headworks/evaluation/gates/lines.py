"""What each line of a gate says."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from headworks.evaluation.contract import VerdictWord
from headworks.types.ids import Digest

Side = Literal["base", "candidate"]


@dataclass(frozen=True, slots=True)
class Wanted:
    """A human judgement that is missing: of one side's answer to an example."""

    side: Side
    example: Digest
    metric: str
    repeat: int = 0


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a gate, judged. `needed` counts examples or judgements that are missing; not `blocks`: a warning.

    `waits`: nothing was tested yet, since people have not judged what it rests on.
    """

    rule: str
    metric: str
    verdict: VerdictWord
    message: str
    evidence: Mapping[str, Any] = field(default_factory=dict)
    needed: int | None = None
    next_step: str = ""
    wanted: tuple[Wanted, ...] = ()
    blocks: bool = True
    waits: bool = False

    @property
    def name(self) -> str:
        """The rule and its metric."""
        return f"{self.rule} {self.metric}".strip()


def inconclusive(rule: str, metric: str, message: str, next_step: str) -> Line:
    """A line that nothing decides, and what would."""
    return Line(rule, metric, "INCONCLUSIVE", message, next_step=next_step)


def number(value: float) -> str:
    """A difference as people read it, with its sign."""
    return f"{value:+.4g}" if abs(value) >= 1 else f"{value:+.3f}"

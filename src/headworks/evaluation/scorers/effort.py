"""What an answer took: `latency`, `cost`, `tokens`, `length`."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from headworks.evaluation.contract import Scale
from headworks.evaluation.scorers.contract import NOT_MEASURED, PlainMeasure, ScorerKind, Surroundings, failed, limited
from headworks.strict_yaml import Section
from headworks.types.evaluation import Example, Output, Score

What = Literal["latency", "cost", "tokens", "length"]


def _tokens(output: Output) -> int | None:
    known = [each for each in (output.input_tokens, output.output_tokens) if each is not None]
    return sum(known) if known else None


_MEASURED: Mapping[What, Callable[[Output], float | None]] = {
    "latency": lambda output: output.latency_ms,
    "cost": lambda output: output.cost_micro_usd,
    "tokens": _tokens,
    "length": lambda output: len(output.text),
}
_UNITS: Mapping[What, tuple[str, str]] = {
    "latency": ("most_ms", "milliseconds"),
    "cost": ("most_micro_usd", "micro-dollars"),
    "tokens": ("most", "tokens"),
    "length": ("most", "characters"),
}


@dataclass(frozen=True)
class Effort(PlainMeasure):
    """A number, the lower the better; with a limit it passes or fails. What a failure cost counts, too."""

    what: What
    limit: float | None
    scores_failures = True

    @property
    def scale(self) -> Scale:
        """A number, or with a limit passed and failed."""
        return "number" if self.limit is None else "binary"

    @property
    def is_better_high(self) -> bool:
        """Only of what passes."""
        return self.limit is not None

    @property
    def settings(self) -> Mapping[str, Any]:
        """See Measure."""
        return {"what": self.what, "most": self.limit}

    def measure(self, example: Example, output: Output) -> Score:
        """See PlainMeasure."""
        del example
        if output.error_code is not None and self.what != "cost":
            return failed("no_answer", f"The release answered with the error `{output.error_code}`.")
        value = _MEASURED[self.what](output)
        if value is None or not math.isfinite(value):
            return failed(NOT_MEASURED, f"nothing tells the {self.what}.")
        return limited(float(value), self.limit, _UNITS[self.what][1])


def _reader(what: What) -> Callable[[Section, Surroundings], Effort]:
    key = _UNITS[what][0]

    def read(section: Section, surroundings: Surroundings) -> Effort:
        del surroundings
        return Effort(what, section.number(key, 0.0, 0.0, 1e12) if section.has(key) else None)

    return read


KINDS = (
    ScorerKind("latency", _reader("latency"), "Milliseconds until the last byte, or whether they are few enough."),
    ScorerKind("cost", _reader("cost"), "Micro-dollars, or whether they are few enough; failures cost, too."),
    ScorerKind("tokens", _reader("tokens"), "Tokens read and written, or whether they are few enough."),
    ScorerKind("length", _reader("length"), "Characters of the answer, or whether they are few enough.", {"most": 999}),
)

"""What a measurement has to reach: `--at-least ndcg=0.7`, for scripts that should stop when a search gets worse."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from headworks.cli.quality.telling import Report
from headworks.errors import InvalidRequest
from headworks.retrieval.quality.measures import MEASURES
from headworks.retrieval.quality.report import summarise


@dataclass(frozen=True, slots=True)
class Bars:
    """The lowest mean of the first configuration that will do, by measure."""

    lowest: Mapping[str, float]

    def missed(self, report: Report) -> list[str]:
        """What was not reached, in words."""
        means = summarise(report.runs).means[0]
        return [
            f"{report.measure(name)} is {means[name].mean:.4f}, not at least {lowest:g}."
            for name, lowest in self.lowest.items()
            if means[name].mean < lowest
        ]


def read_bars(given: Iterable[str]) -> Bars:
    """`ndcg=0.7`; InvalidRequest for another measure, and for what is not between 0 and 1."""
    lowest: dict[str, float] = {}
    for each in given:
        name, _, text = each.partition("=")
        name = name.strip().lower()
        if name not in MEASURES:
            raise InvalidRequest(
                f"{each!r} names no measure.", next_step=f"One of {', '.join(MEASURES)}, like ndcg=0.7."
            )
        try:
            lowest[name] = float(text)
        except ValueError:
            lowest[name] = -1
        if not 0 <= lowest[name] <= 1:
            raise InvalidRequest(f"{each!r}: the value is not between 0 and 1.")
    return Bars(lowest)

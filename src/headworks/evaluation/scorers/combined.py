"""Other scorers of the suite together, such as what counts as a task done: `all`, `any`, `weighted`."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from headworks.evaluation.contract import Scale, Scorer
from headworks.evaluation.scorers.contract import Measure, ScorerKind, Surroundings, failed, graded, passed
from headworks.strict_yaml import Section, nearest
from headworks.types.evaluation import Example, Output, Score
from headworks.types.identity import Principal

How = Literal["all", "any", "weighted"]


@dataclass(frozen=True)
class Combined(Measure):
    """`all` pass, `any` passes, or the weighted mean, with `least` as passed and failed.

    An error of one is an error of all, unless the others decide it anyway.
    """

    how: How
    parts: tuple[tuple[Scorer, float], ...]
    least: float | None

    @property
    def scale(self) -> Scale:
        """A grade, or passed and failed."""
        return "ordinal" if self.how == "weighted" and self.least is None else "binary"

    @property
    def is_judge(self) -> bool:
        """Where one of them is."""
        return any(scorer.is_judge for scorer, _ in self.parts)

    @property
    def settings(self) -> Mapping[str, Any]:
        """See Measure."""
        parts = [{"name": each.name, "digest": each.digest, "weight": weight} for each, weight in self.parts]
        return {"how": self.how, "least": self.least, "parts": parts}

    async def score(self, principal: Principal, example: Example, output: Output) -> Score:
        """See Measure."""
        scores = await asyncio.gather(*(each.score(principal, example, output) for each, _ in self.parts))
        by_name = {scorer.name: score for (scorer, _), score in zip(self.parts, scores, strict=True)}
        errors = {name: score for name, score in by_name.items() if score.is_error}
        values = {name: score.value for name, score in by_name.items() if not score.is_error}
        details = {name: None if score.is_error else score.value for name, score in by_name.items()}
        if self.how == "any" and any(value >= 1 for value in values.values()):
            return passed(is_passed=True, details=details)
        if self.how == "all" and (lost := [name for name, value in values.items() if value < 1]):
            return passed(is_passed=False, reason=_told(lost, by_name), details=details)
        if errors:
            name, score = next(iter(errors.items()))
            return failed(score.error_code or "not_a_number", f"`{name}`: {score.reason or 'its score is no number.'}")
        if self.how == "weighted":
            total = sum(weight for _, weight in self.parts)
            mean = sum(weight * values[scorer.name] for scorer, weight in self.parts) / total
            return graded(mean, self.least, details=details)
        return passed(self.how == "all", f"None of {', '.join(values)} passes.", details=details)


def _told(lost: list[str], scores: Mapping[str, Score]) -> str:
    return " ".join(f"`{name}`: {scores[name].reason or 'it fails.'}" for name in lost[:3])


def _reader(how: How) -> Callable[[Section, Surroundings], Combined]:
    def read(section: Section, surroundings: Surroundings) -> Combined:
        least = section.number("least", 0.0, 0.0, 1.0) if how == "weighted" and section.has("least") else None
        parts = (
            _weights(section)
            if how == "weighted"
            else dict.fromkeys(section.names("of", None, like="schema_valid"), 1.0)
        )
        if not parts:
            section.complain(None, f"`{how}` puts nothing together.", "Name other scorers of the suite.")
        return Combined(how, tuple((_part(section, how, name, surroundings), parts[name]) for name in parts), least)

    return read


def _weights(section: Section) -> dict[str, float]:
    inner = section.section("of")
    if inner is None:
        return {}
    return {name: inner.number(name, 1.0, 1e-6, 1e6) for name in inner.keys()}  # noqa: SIM118 -- our own


def _part(section: Section, how: How, name: str, surroundings: Surroundings) -> Scorer:
    scorer = surroundings.scorers.get(name)
    if scorer is None:
        section.complain("of", f"no scorer `{name}` stands above.", nearest(name, surroundings.scorers))
    if how == "weighted" and scorer.scale != "number" and scorer.is_better_high:
        return scorer
    if scorer.scale != "binary" or not scorer.is_better_high:
        section.complain("of", f"`{name}` gives no pass or fail.", "Give it a limit: `least` or `most`.")
    return scorer


KINDS = (
    ScorerKind("all", _reader("all"), "All of the named scorers pass: the usual way to say what a task done is."),
    ScorerKind("any", _reader("any"), "One of the named scorers passes."),
    ScorerKind("weighted", _reader("weighted"), "The weighted mean of the named scorers, or whether it is enough."),
)

"""A model that decides: `judge`, by a rubric or against the reference."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from headworks.evaluation.contract import Scale
from headworks.evaluation.judges.files import BUILT_IN, JudgeSpec, built_in, read_built_in, read_model
from headworks.evaluation.judges.judging import Judge
from headworks.evaluation.scorers.contract import NO_REFERENCE, Measure, ScorerKind, Surroundings, failed
from headworks.evaluation.scorers.places import as_text
from headworks.strict_yaml import Section, nearest
from headworks.types.evaluation import Example, Output, Score
from headworks.types.identity import Principal


@dataclass(frozen=True)
class Judging(Measure):
    """One criterion of a judge, or all of them: then each must be met.

    A pairwise judge compares the answer with the example's reference: 1 it is better, 0.5 as good, 0 worse.
    """

    judge: Judge
    criterion: str | None

    @property
    def scale(self) -> Scale:
        """A rubric passes or fails; a preference has a middle."""
        return "binary" if self.judge.spec.kind == "rubric" else "ordinal"

    @property
    def is_judge(self) -> bool:
        """It is."""
        return True

    @property
    def settings(self) -> Mapping[str, Any]:
        """See Measure."""
        return {"judge": self.judge.spec.digest, "criterion": self.criterion}

    async def score(self, principal: Principal, example: Example, output: Output) -> Score:
        """See Measure."""
        other = None
        if self.judge.spec.kind == "pairwise":
            if example.reference is None:
                return failed(NO_REFERENCE, "there is no reference to compare with.")
            other = as_text(example.reference)
        verdicts = await self.judge.judge(principal, example, output, other)
        if self.criterion is not None:
            return verdicts.score(self.criterion)
        return _all_met({name: verdicts.score(name) for name in self.judge.spec.criteria})


def _all_met(scores: Mapping[str, Score]) -> Score:
    """All criteria together; one that is not met decides, whatever became of the others."""
    if len(scores) == 1:
        return next(iter(scores.values()))
    said = {name: score.label or score.error_code for name, score in scores.items()}
    firsts = list(scores.items())
    shared = {name: firsts[0][1].details.get(name, 1) for name in ("asked", "cast", "cost_micro_usd")} | {
        "criteria": said
    }
    lost = [(name, score) for name, score in firsts if not score.is_error and score.value < 1]
    if lost:
        known = [score.details["consistency"] for _, score in lost]
        reason = " ".join(f"`{name}`: {score.reason}" for name, score in lost)
        return Score(0.0, "fail", reason, None, {**shared, "consistency": max(known)})
    for name, score in firsts:
        if score.is_error:
            return Score(reason=f"`{name}`: {score.reason}", error_code=score.error_code, details=shared)
    consistency = min(score.details["consistency"] for _, score in firsts)
    return Score(
        1.0, "pass", " ".join(score.reason for _, score in firsts), None, {**shared, "consistency": consistency}
    )


def _read(section: Section, surroundings: Surroundings) -> Judging:
    spec = _spec(section, surroundings)
    model = read_model(section, required=not spec.model)
    if model:
        spec = spec.asked_of(model)
    criterion = section.text("criterion", "") or None
    if criterion is not None and criterion not in spec.criteria:
        section.complain(
            "criterion", f"the judge `{spec.name}` has no criterion `{criterion}`.", nearest(criterion, spec.criteria)
        )
    return Judging(surroundings.judge(spec), criterion)


def _spec(section: Section, surroundings: Surroundings) -> JudgeSpec:
    name = section.text("judge")
    if name.startswith(BUILT_IN):
        try:
            return read_built_in(name)
        except KeyError:
            section.complain("judge", f"there is no rubric `{name}`.", nearest(name, built_in()))
    spec = surroundings.judges.get(name)
    if spec is None:
        hint = nearest(name, [*surroundings.judges, *built_in()])
        section.complain("judge", f"there is no judge `{name}`: judges/{name}/judge.yaml.", hint)
    return spec


KINDS = (ScorerKind("judge", _read, "A model decides by a rubric, or which of two answers is better."),)

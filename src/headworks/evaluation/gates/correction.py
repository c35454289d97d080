"""Judges beside people: `must_not_get_worse` corrected by PPI++ on a part drawn beforehand, and what people must judge.

Pure. Which examples humans judge must not depend on how they look, so a hash of metric and example puts them in an
order, and only the longest beginning of it that is judged on both sides counts. What is missing of it is asked for, no
more.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass

from headworks.evaluation.experiments.comparing import Paired
from headworks.evaluation.gates.lines import Line, Side, Wanted, number
from headworks.evaluation.judges.cards import USUAL_BAR
from headworks.evaluation.suites.gate_files import GateSpec, NotWorse
from headworks.statistics.estimates import DIFFERENCES, Interval
from headworks.statistics.judge_correction import Corrected, corrected_mean
from headworks.statistics.noninferiority import verdict_of
from headworks.statistics.power import Goal, needed_beside, needed_judgements
from headworks.types.ids import Digest

_RULE = "must_not_get_worse"
_AT_LEAST = 10
"""So many more are asked for at once, if there are so many."""


@dataclass(frozen=True, slots=True)
class Labels:
    """What humans said of the first repeat, by example: 0 to 1, higher is better, of base and candidate."""

    base: Mapping[Digest, float]
    candidate: Mapping[Digest, float]
    left_out: int = 0
    """Judgements of people whose own do not count here."""

    @property
    def told(self) -> str:
        """That some do not count, if so, behind a sentence."""
        who = "who made or proposed what is judged here"
        return f" Judgements of {who} do not count: {self.left_out}." if self.left_out else ""


@dataclass(frozen=True, slots=True)
class Levels:
    """Of this look, and of the next one at the same release; None: there is none."""

    now: float
    later: float | None


def corrected(line: NotWorse, spec: GateSpec, found: Paired, labels: Labels | None, levels: Levels) -> Line:
    """The line, judged by what humans would say of all examples."""
    known = labels or Labels({}, {})
    order = drawn(found.digests, line.metric)
    done = _judged_beginning(order, known)
    least = min(line.min_human or 0, len(order))
    if done < max(2, least):
        message = f"Humans judged {done} of the {least} examples asked.{known.told}"
        return _asking(line, order[: max(2, least)], known, spec, message)
    human = {digest: known.candidate[digest] - known.base[digest] for digest in order[:done]}
    judge = [after - before for before, after in zip(found.base, found.candidate, strict=True)]
    clusters = found.clusters(line.cluster)
    result = corrected_mean(judge, [human.get(each) for each in found.digests], clusters, limits=_limits(found))
    test = verdict_of(result.estimate, line.margin, levels.now)
    evidence = {"difference": test.difference, "lower_bound": test.lower_bound, "upper_bound": test.upper_bound}
    evidence |= {"margin": line.margin, "alpha": levels.now, "p_value": test.p_value, "n": len(found.digests)}
    evidence |= {"clusters": test.clusters, "judgements": done, "weight": result.weight, "gain": result.gain}
    said = f"{number(test.difference)} (at least {number(test.lower_bound)}), corrected by {done} judgements a side"
    if test.is_shown:
        return Line(_RULE, line.metric, "PASS", f"Shown: {said}.{known.told}", evidence)
    if test.is_refuted:
        return Line(_RULE, line.metric, "FAIL", f"Worse than allowed: {said}.{known.told}", evidence)
    needed = needed_in_all(result, len(order), Goal(line.margin, alpha=levels.later or levels.now))
    wanted, message = max(needed, done + _AT_LEAST), f"Not shown yet: {said}.{known.told}"
    if needed > len(order) or done == len(order):
        return _too_few(line, wanted, len(order), message, evidence)
    wanted = min(wanted, len(order))
    if levels.later is None:  # more judgements would be another look
        step = f"Have {wanted} examples judged before the next release is looked at: `min_human: {wanted}`."
        return Line(_RULE, line.metric, "INCONCLUSIVE", message, evidence, 2 * (wanted - done), step)
    return _asking(line, order[:wanted], known, spec, message, evidence)


def uncalibrated(
    rule: str, metric: str, spec: GateSpec, digests: tuple[Digest, ...], known: Labels, *, has_base: bool
) -> Line:
    """What a judge lacks that nobody has put beside people yet: so many answers are asked for as its card needs."""
    sides: tuple[Side, ...] = ("candidate", "base") if has_base else ("candidate",)
    cells = [(side, digest) for digest in drawn(digests, metric) for side in sides][: USUAL_BAR.judgements]
    said = {"candidate": known.candidate, "base": known.base}
    wanted = tuple(Wanted(side, digest, metric) for side, digest in cells if digest not in said[side])
    step = "Calibrate it: `headworks eval calibrate`."
    if wanted:
        step = f"Judge {len(wanted)} answers (`headworks judgements wanted`), then: `headworks eval calibrate`."
    message = f"A judge decides it that is not calibrated, so it can't gate.{known.told}"
    open_now = wanted[: spec.most_judgements]
    needed = len(wanted) or None
    return Line(rule, metric, "INCONCLUSIVE", message, {}, needed, step, open_now, waits=True)


def drawn(digests: tuple[Digest, ...], metric: str) -> list[Digest]:
    """Examples in the order in which humans judge them: the same for every release, and known before any answer is."""
    return sorted(digests, key=lambda each: hashlib.sha256(f"{metric}|{each}".encode()).digest())


def _judged_beginning(order: list[Digest], known: Labels) -> int:
    for at, digest in enumerate(order):
        if digest not in known.base or digest not in known.candidate:
            return at
    return len(order)


def _limits(found: Paired) -> Interval:
    reach = found.metric.reach
    return DIFFERENCES if reach is None else Interval(-reach, reach)


def needed_in_all(pilot: Corrected, examples: int, goal: Goal) -> int:
    """Examples to be judged by people for the next release, if it is equal; more than there are: all of so many."""
    found = pilot.estimate

    def kept(n: float) -> float:
        return pilot.variance(n, examples) / pilot.variance(found.n, examples)

    return needed_beside(found.value, kept, goal, lambda goal: needed_judgements(pilot, examples, goal))


def _asking(
    line: NotWorse,
    asked: list[Digest],
    known: Labels,
    spec: GateSpec,
    message: str,
    evidence: Mapping[str, float] | None = None,
) -> Line:
    wanted = []
    for digest in asked:
        if digest not in known.base:
            wanted.append(Wanted("base", digest, line.metric))
        if digest not in known.candidate:
            wanted.append(Wanted("candidate", digest, line.metric))
    open_now = tuple(wanted[: spec.most_judgements])
    step = f"Judge {len(open_now)} answers: `headworks judgements wanted` lists them."
    waits = evidence is None
    return Line(_RULE, line.metric, "INCONCLUSIVE", message, evidence or {}, len(wanted), step, open_now, waits=waits)


def _too_few(line: NotWorse, needed: int, examples: int, message: str, evidence: Mapping[str, float]) -> Line:
    step = (
        f"Even judged by people to the last, {examples} examples are too few: add {needed - examples} ({needed} in all,"
        " all of them judged on both sides): then the next equal release passes 8 times of 10."
    )
    return Line(_RULE, line.metric, "INCONCLUSIVE", message, evidence, needed - examples, step)

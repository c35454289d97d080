"""A gate's verdict, from the results of a candidate and of the release it is compared with. Pure.

Each line of the gate says PASS, FAIL or INCONCLUSIVE with its evidence, and what to do next. All lines must pass, so
none needs a correction for the others (Berger 1982); claims of improvement are adjusted together (Holm 1979).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from headworks.evaluation.contract import VerdictWord
from headworks.evaluation.gates.case import Case
from headworks.evaluation.gates.differences import improve, not_worse, sliced
from headworks.evaluation.gates.limits import below, budgets, perfect
from headworks.evaluation.gates.lines import Line, Wanted, inconclusive
from headworks.evaluation.gates.looks import NextLook
from headworks.evaluation.suites.gate_files import GateSpec


@dataclass(frozen=True, slots=True)
class Judged:
    """What a gate says."""

    verdict: VerdictWord
    lines: tuple[Line, ...]

    @property
    def needed(self) -> int | None:
        """How many more examples or judgements would decide it, as far as that is known."""
        return max((each.needed for each in self.lines if each.needed), default=None)

    @property
    def wanted(self) -> tuple[Wanted, ...]:
        """The judgements that are missing, each once."""
        return tuple(dict.fromkeys(wanted for each in self.lines for wanted in each.wanted))

    @property
    def waits(self) -> bool:
        """Whether it can be no PASS yet, as people have to judge first."""
        return any(each.waits for each in self.lines)

    @property
    def has_tested(self) -> bool:
        """Whether a line was tested: only that spends a look."""
        return any("p_value" in each.evidence or "upper_bound" in each.evidence for each in self.lines)

    @property
    def summary(self) -> str:
        """In one sentence, what decided."""
        deciding = [each for each in self.lines if each.verdict == self.verdict and each.blocks]
        if self.verdict == "PASS":
            return f"All {len(deciding)} lines are shown."
        return " ".join(f"{each.name}: {each.message}" for each in deciding[:3])


def judge_at(look: NextLook, spec: GateSpec, case: Case) -> Judged:
    """The verdict at the level of this look; where it is the last, it says what can still be done."""
    if look.alpha is None:
        message = "The looks at this release are used up; these are other results."
        step = "Change the release: another try at the same one would pass by luck."
        return Judged("INCONCLUSIVE", (inconclusive("looks", "", message, step),))
    judged = judge(spec, replace(case, alpha=look.alpha, next_alpha=look.next_alpha))
    is_over = look.next_alpha is None and judged.has_tested and not judged.waits
    if judged.verdict != "INCONCLUSIVE" or not is_over:
        return judged
    message = "This was the last look at this release: what is asked for here serves the next one."
    step = f"Declare `looks: {spec.looks + 1}` for it: then it may come back with more examples or judgements."
    return replace(judged, lines=(*judged.lines, inconclusive("looks", "", message, step)))


def judge(spec: GateSpec, case: Case) -> Judged:
    """The verdict: FAIL if any line fails, else INCONCLUSIVE if any is, else PASS."""
    lines = _incomplete(case) or _all_lines(spec, case)
    words = {each.verdict for each in lines if each.blocks}
    word: VerdictWord = "FAIL" if "FAIL" in words else "INCONCLUSIVE" if "INCONCLUSIVE" in words else "PASS"
    return Judged(word, tuple(lines))


def _incomplete(case: Case) -> list[Line]:
    found = len(case.candidate) if case.base is None else min(len(case.candidate), len(case.base))
    if case.expected == 0:
        return [inconclusive("dataset", "", "There is no example to judge by.", "Add examples to the dataset.")]
    if found < case.expected:
        missing = f"{case.expected - found} of {case.expected} answers are missing. {case.why_missing}".rstrip()
        step = "Ask the gate again, with a higher `--max-cost` if that stopped it: it goes on with what is missing."
        return [inconclusive("answers", "", missing, step)]
    return []


def _all_lines(spec: GateSpec, case: Case) -> list[Line]:
    lines = [not_worse(each, spec, case) for each in spec.not_worse]
    lines += [below(each, spec, case) for each in spec.below]
    lines += [perfect(each, spec, case) for each in spec.perfect]
    lines += [*improve(spec, case), *budgets(spec, case), *sliced(spec, case)]
    return [_told_if_raw(each, case) for each in lines]


def _told_if_raw(line: Line, case: Case) -> Line:
    """With a word where a judge's scores were tested as they are: only `must_not_get_worse` corrects them."""
    metric = case.metrics.get(line.metric.partition(" · ")[0])
    if metric is None or not metric.is_judge or not line.evidence or line.rule == "must_not_get_worse":
        return line
    return replace(line, message=f"{line.message} It is not corrected for the judge's errors.")

"""Gates run: experiments on both sides, the look that this is, the verdict, and what is signed and asked for."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

from headworks.errors import Conflict
from headworks.evaluation.contract import HumanLabels, Result, subject_of
from headworks.evaluation.digests import digest_of
from headworks.evaluation.experiments.comparing import FlippedExample, flips
from headworks.evaluation.experiments.lifecycle import Experiment, Experiments, Order
from headworks.evaluation.gates.case import Case
from headworks.evaluation.gates.correction import Labels
from headworks.evaluation.gates.lines import Wanted
from headworks.evaluation.gates.looks import NextLook, PastLook, Sight, next_look
from headworks.evaluation.gates.statements import comparison_of, line_json
from headworks.evaluation.gates.verdicts import Judged, judge_at
from headworks.evaluation.suites.gate_files import GateSpec
from headworks.evaluation.suites.reading import golden_digest, read_gate_of
from headworks.identity.service import allow
from headworks.records.audit import note_audit
from headworks.releases.service import COMPARISON, VERDICT, GateBundle, Releases, Subject
from headworks.storage.pool import Database, Tx
from headworks.storage.queries import load
from headworks.types.identity import Principal
from headworks.types.ids import Digest, PrincipalId, ProjectId, new_id
from headworks.types.json_values import JsonObject

_SQL = load("headworks.evaluation.gates")
_NOTHING = Digest("")


class HumanJudgements(Protocol):
    """What people have said of answers; implemented by review, injected by app.py."""

    async def labels(
        self,
        principal: Principal,
        project: ProjectId,
        metric: str,
        release: Digest,
        examples: Sequence[Digest],
        *,
        not_by: Collection[PrincipalId] = (),
    ) -> HumanLabels:
        """Of the first repeat of each example that is judged, without what is by one of `not_by`."""
        ...


class JudgeCards(Protocol):
    """Which judges may decide; implemented by calibration, injected by app.py."""

    async def is_calibrated(self, principal: Principal, project: ProjectId, judge: Digest, metric: str) -> bool:
        """Whether a card of this very judge is valid now."""
        ...


@dataclass(frozen=True, slots=True)
class GateOrder:
    """What is to be judged. `release` as `feature`, `feature@staging` or `feature@sha256:…`.

    `gate` None: the one attached to `prod`; else a bundle that is proposed to be, by its first digits at least. Without
    a ceiling each side may cost what it costs.
    """

    project: str
    release: str
    gate: str | None = None
    most_cost_micro_usd: int | None = None
    at_once: int = 4
    retries_errors: bool = False


@dataclass(frozen=True, slots=True)
class GateRun:
    """The experiments that a verdict needs."""

    subject: Subject
    bundle: GateBundle
    spec: GateSpec
    candidate: Experiment
    base: Experiment | None
    """None: nothing is compared, or nothing is live yet."""
    live: Digest | None
    """What is live, whether it is compared with or not."""
    not_by: frozenset[PrincipalId] = frozenset()
    """Whose judgements do not count: who made or proposed the release, or the gate that is proposed."""


@dataclass(frozen=True, slots=True)
class GateVerdict:
    """What the gate said, signed."""

    run: GateRun
    judged: Judged
    look: NextLook
    flips: Sequence[FlippedExample]
    attestation: str | None
    """None: nothing was signed, as answers are missing or these very results were judged before."""
    asked: int
    """How many judgements were newly asked for."""


class Gates:
    """Runs gates; see the module."""

    def __init__(
        self,
        db: Database,
        releases: Releases,
        experiments: Experiments,
        humans: HumanJudgements | None = None,
        cards: JudgeCards | None = None,
    ) -> None:
        """Without `humans` no judge is corrected, without `cards` none may decide."""
        self._db = db
        self._releases = releases
        self._experiments = experiments
        self._humans = humans
        self._cards = cards

    async def start(self, principal: Principal, order: GateOrder) -> GateRun:
        """Have both sides run; what was stopped or failed goes on. Raises NotFound without a gate, WorkspaceInvalid."""
        allow(principal, "experiment:run")
        return await self._sides(principal, order, goes_on=True)

    async def verdict(self, principal: Principal, order: GateOrder) -> GateVerdict:
        """Judge what has been run, sign it, and ask for what is missing. Raises Conflict while something runs.

        Nothing that has ended is started again: asking for a verdict can't spend past the ceiling of its experiments.
        """
        allow(principal, "experiment:run")
        run = await self._sides(principal, replace(order, retries_errors=False), goes_on=False)
        proposed = [run.subject.digest] if order.gate is None else [run.subject.digest, run.bundle.digest]
        run = replace(run, not_by=await self._releases.judged.authors(principal, proposed))
        for each in (run.candidate, run.base):
            if each is not None and each.state == "running":
                raise Conflict("The experiments are running.", code="experiment_running")
        candidate = await self._experiments.results(principal, run.candidate)
        base: Sequence[Result] | None = None
        if run.base is not None:
            base = candidate if run.base is run.candidate else await self._experiments.results(principal, run.base)
        case = await self._case(principal, run, candidate, base)
        flipped = _flips(run.spec, case)
        async with self._db.tx(principal) as tx:
            return await self._decide(tx, principal, run, case, flipped)

    async def _meant(
        self, principal: Principal, order: GateOrder
    ) -> tuple[Subject, GateBundle, GateSpec, Digest | None]:
        """Whose verdict by which gate, and what is live."""
        judged = self._releases.judged
        subject = await judged.subject(principal, order.project, order.release, "staging")
        bundle = await judged.gate(principal, subject.project, subject.feature, order.gate)
        spec = read_gate_of(bundle.files)
        return subject, bundle, spec, await judged.live(principal, subject.project, subject.feature)

    async def _sides(self, principal: Principal, order: GateOrder, *, goes_on: bool) -> GateRun:
        subject, bundle, spec, live = await self._meant(principal, order)
        candidate = await self._run(principal, subject, bundle, order, goes_on=goes_on)
        if live is None or spec.compare_to is None:
            return GateRun(subject, bundle, spec, candidate, None, live)
        if live == subject.digest:
            return GateRun(subject, bundle, spec, candidate, candidate, live)
        base = await self._run(principal, replace(subject, digest=live), bundle, order, goes_on=goes_on)
        return GateRun(subject, bundle, spec, candidate, base, live)

    async def _run(
        self, principal: Principal, subject: Subject, bundle: GateBundle, order: GateOrder, *, goes_on: bool
    ) -> Experiment:
        """The newest experiment of one side, or another where there is none or `goes_on` asks for what is missing."""
        found = await self._experiments.list(principal, subject.feature, subject.digest, 1, gate=bundle.digest)
        newest = next(iter(found), None)
        if newest is not None and not order.retries_errors and (newest.state in {"running", "done"} or not goes_on):
            return newest
        wanted = Order(
            bundle.files,
            at_once=order.at_once,
            most_cost_micro_usd=order.most_cost_micro_usd,
            retries_errors=order.retries_errors,
            gate=bundle.digest,
        )
        return await self._experiments.start(principal, subject, wanted)

    async def _case(
        self, principal: Principal, run: GateRun, candidate: Sequence[Result], base: Sequence[Result] | None
    ) -> Case:
        metrics = {each.name: each for each in run.candidate.metrics}
        calibrated = set()
        for name in run.spec.metrics:
            metric = metrics.get(name)
            if metric is None or not metric.is_judge or metric.digest is None or self._cards is None:
                continue
            if await self._cards.is_calibrated(principal, run.subject.project, metric.digest, name):
                calibrated.add(name)
        labels = await self._labels(principal, run, candidate, calibrated)
        ended = [each for each in (run.candidate, run.base) if each is not None and each.state != "done"]
        why = " ".join(f"The experiment {each.id} is {each.state}: {each.why}" for each in dict.fromkeys(ended))
        expected, alpha = run.candidate.answers, run.spec.alpha
        return Case(candidate, base, metrics, expected, alpha, frozenset(calibrated), labels, why)

    async def _labels(
        self, principal: Principal, run: GateRun, candidate: Sequence[Result], calibrated: Collection[str]
    ) -> dict[str, Labels]:
        """What people said of what judges scored: for correcting them, and where they are yet to be calibrated."""
        if self._humans is None:
            return {}
        corrected = {line.metric for line in run.spec.not_worse if line.min_human is not None}
        judges = {each.name for each in run.candidate.metrics if each.is_judge}
        examples = list(dict.fromkeys(each.example_digest for each in candidate))
        found: dict[str, Labels] = {}
        for name in run.spec.metrics:
            if name in corrected or (name in judges and name not in calibrated):
                sides = [
                    HumanLabels({})
                    if side is None
                    else await self._humans.labels(
                        principal, run.subject.project, name, side.release, examples, not_by=run.not_by
                    )
                    for side in (run.base, run.candidate)
                ]
                found[name] = Labels(sides[0].values, sides[1].values, sum(each.left_out for each in sides))
        return found

    async def _decide(
        self, tx: Tx, principal: Principal, run: GateRun, case: Case, flipped: Sequence[FlippedExample]
    ) -> GateVerdict:
        place = {
            "tenant": principal.tenant,
            "project": run.subject.project,
            "feature": run.subject.feature,
            "base": run.live or _NOTHING,
        }
        await tx.fetch_all(
            _SQL["lock_looks"], tenant=place["tenant"], project=place["project"], feature=place["feature"]
        )
        past = await tx.fetch_all(_SQL["looks_of"], into=PastLook, **place)
        sight = _sight(run, case)
        look = next_look(past, sight, run.spec.looks, run.spec.alpha)
        judged = judge_at(look, run.spec, case)
        is_complete = not any(each.rule in {"answers", "dataset"} for each in judged.lines)
        if look.alpha is not None and not look.is_repeated and judged.has_tested:
            await tx.run(
                _SQL["add_look"], **place, id=new_id(), candidate=sight.candidate, golden=sight.golden,
                gate=run.bundle.digest, answers=sight.answers, results=sight.results, look=look.look,
                attempt=look.attempt, alpha=look.alpha, verdict=judged.verdict, waits=judged.waits, by=principal.id,
            )  # fmt: skip
        detail = {"verdict": judged.verdict, "gate": run.bundle.digest, "look": look.look, "attempt": look.attempt}
        await note_audit(tx, principal, "gate.verdict", run.subject.digest, detail)
        asked = await self._ask(tx, principal, run, judged.wanted)
        signed = None
        if is_complete and not look.is_repeated:  # results that were seen before are no newer evidence
            signed = await self._sign(tx, principal, run, judged, look, flipped)
        return GateVerdict(run, judged, look, flipped, signed, asked)

    async def _sign(
        self,
        tx: Tx,
        principal: Principal,
        run: GateRun,
        judged: Judged,
        look: NextLook,
        flipped: Sequence[FlippedExample],
    ) -> str:
        evidence, digest = self._releases.evidence, run.subject.digest
        if run.base is not None:
            said = comparison_of(run.base.release, run.bundle.dataset, run.candidate, flipped)
            await evidence.attest_in(tx, principal, digest, COMPARISON, said)
        predicate: JsonObject = {
            "verdict": judged.verdict,
            "gate": run.bundle.digest,
            "dataset": run.bundle.dataset,
            "base": run.base.release if run.base else None,
            "compares": run.spec.compare_to is not None,
            "needed": judged.needed,
            "summary": judged.summary[:2000],
            "alpha": look.alpha,
            "look": look.look,
            "attempt": look.attempt,
            "experiments": [str(each.id) for each in (run.candidate, run.base) if each is not None],
            "lines": [line_json(each) for each in judged.lines],
        }
        return str((await evidence.attest_in(tx, principal, digest, VERDICT, predicate)).id)

    async def _ask(self, tx: Tx, principal: Principal, run: GateRun, wanted: Sequence[Wanted]) -> int:
        asked = 0
        for each in wanted:
            side = run.candidate if each.side == "candidate" or run.base is None else run.base
            is_new = await tx.fetch_value(
                _SQL["ask_for_judgement"],
                tenant=principal.tenant, id=new_id(), project=run.subject.project, queue=run.spec.queue or "gate",
                metric=each.metric, subject=subject_of(side.release, each.example, each.repeat), release=side.release,
                dataset=side.dataset_digest, example=each.example, trace=None, by=principal.id,
                not_by=sorted(run.not_by),
                reason=f"The gate of `{run.subject.feature}` corrects its judge by it.",
            )  # fmt: skip
            asked += bool(is_new)
        return asked


def _flips(spec: GateSpec, case: Case) -> list[FlippedExample]:
    if case.base is None:
        return []
    names = [each for each in spec.metrics if each in case.metrics]
    return [flip for name in names for flip in flips(case.base, case.candidate, case.metrics[name], spec.errors)]


def _sight(run: GateRun, case: Case) -> Sight:
    """Digests of all that is looked at. What people said of a judge that may not decide yet is not looked at."""

    def side(results: Sequence[Result] | None) -> list[Any]:
        return [
            [
                each.example_digest,
                each.repeat,
                each.output.cost_micro_usd,
                {name: score.error_code or str(score.value) for name, score in sorted(each.scores.items())},
            ]
            for each in results or ()
        ]

    answers = digest_of({"gate": run.bundle.digest, "candidate": side(case.candidate), "base": side(case.base)})
    labels = {
        name: [dict(each.base), dict(each.candidate)] for name, each in case.labels.items() if name in case.calibrated
    }
    results = digest_of({"answers": answers, "calibrated": sorted(case.calibrated), "labels": labels})
    return Sight(run.subject.digest, golden_digest(run.bundle.files), answers, results, run.live or _NOTHING)

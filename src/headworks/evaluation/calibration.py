"""Judges beside people: cards are made, kept for good, and asked for by gates."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime
from uuid import UUID

import msgspec

from headworks.errors import InvalidRequest, NotFound
from headworks.evaluation.contract import HumanLabels, Result
from headworks.evaluation.experiments.lifecycle import Experiment, Experiments
from headworks.evaluation.gates.gating import HumanJudgements
from headworks.evaluation.judges.cards import VALID_DAYS, JudgeCard, Pair, card_of, pairs_of
from headworks.identity.service import allow
from headworks.records.audit import note_audit
from headworks.releases.service import JudgedReleases
from headworks.storage.pool import Database, Tx
from headworks.storage.queries import load
from headworks.types.identity import Principal
from headworks.types.ids import Digest, PrincipalId, ProjectId, new_id
from headworks.types.json_values import JsonObject

_SQL = load("headworks.evaluation", "calibration.sql")


@dataclass(frozen=True, slots=True)
class KeptCard:
    """A card as it is kept. `is_valid`: its time is not over."""

    id: UUID
    project: ProjectId
    project_name: str
    card: JudgeCard
    made_at: datetime
    valid_until: datetime
    is_valid: bool

    @property
    def is_calibrated(self) -> bool:
        """Whether a gate may rest on the judge."""
        return self.is_valid and self.card.is_good


class JudgeCards:
    """Implements gating.JudgeCards."""

    def __init__(self, db: Database) -> None:
        self._db = db

    async def calibrate(
        self,
        principal: Principal,
        project: ProjectId,
        judge: Digest,
        metric: str,
        pairs: Sequence[Pair],
        left_out: int = 0,
    ) -> KeptCard:
        """Make a card of everything that people and the judge have both judged, good or bad, and keep it.

        `judge` is the digest of the scorer, `pairs` as cards.pairs_of gives them. Raises InvalidRequest for none.
        """
        allow(principal, "experiment:run")
        if not pairs:
            who = "Nobody" if not left_out else "Nobody but who made or proposed it"
            raise InvalidRequest(
                f"{who} has judged an answer that `{metric}` has scored.",
                next_step="Judge answers of an experiment: `headworks judgements wanted` lists them.",
            )
        return await self._keep(principal, project, card_of(judge, metric, pairs))

    async def is_calibrated(self, principal: Principal, project: ProjectId, judge: Digest, metric: str) -> bool:
        """Whether the newest card of this very judge for the metric is good and valid now."""
        found = await self._newest(principal, project, judge, metric)
        return found is not None and found.is_calibrated

    async def find(self, principal: Principal, project: ProjectId, judge: Digest, metric: str) -> KeptCard:
        """The newest card. Raises NotFound."""
        found = await self._newest(principal, project, judge, metric)
        if found is None:
            raise NotFound(f"No card is kept of this judge of `{metric}`.", next_step="Run `headworks eval calibrate`.")
        return found

    async def list(self, principal: Principal) -> Sequence[KeptCard]:
        """The newest card of each judge, by project and metric."""
        async with self._db.tx(principal) as tx:
            return [_read(row) for row in await tx.fetch_all(_SQL["list_cards"], into=_Row, tenant=principal.tenant)]

    async def _keep(self, principal: Principal, project: ProjectId, card: JudgeCard) -> KeptCard:
        async with self._db.tx(principal) as tx:
            await tx.run(
                _SQL["add_card"],
                tenant=principal.tenant, id=new_id(), project=project, judge=card.judge, metric=card.metric,
                card=msgspec.json.encode(asdict(card)).decode(), good=card.is_good, days=VALID_DAYS, by=principal.id,
            )  # fmt: skip
            detail = {"metric": card.metric, "is_good": card.is_good}
            await note_audit(tx, principal, "judge.calibrate", card.judge, detail)
            kept = await _find(tx, principal, project, card.judge, card.metric)
        assert kept is not None  # noqa: S101 -- it was just added
        return kept

    async def _newest(self, principal: Principal, project: ProjectId, judge: Digest, metric: str) -> KeptCard | None:
        async with self._db.tx(principal) as tx:
            return await _find(tx, principal, project, judge, metric)


@dataclass(slots=True)
class _Beside:
    """What people and one judge have both judged, over some experiments. `left_out`: judgements that do not count."""

    pairs: list[Pair] = field(default_factory=list)
    seen: set[tuple[Digest, Digest]] = field(default_factory=set)
    """Releases and examples: experiments of one release share their answers, and one answer is one pair."""
    left_out: int = 0

    def add(self, release: Digest, metric: str, results: Sequence[Result], said: HumanLabels) -> None:
        """One more experiment."""
        fresh = {each: value for each, value in said.values.items() if (release, each) not in self.seen}
        self.pairs += pairs_of(results, fresh, metric)
        self.seen |= {(release, each) for each in fresh}
        self.left_out += said.left_out


class Calibration:
    """Judges of experiments, put beside what people said of the same answers."""

    def __init__(
        self, db: Database, releases: JudgedReleases, experiments: Experiments, humans: HumanJudgements | None
    ) -> None:
        self.cards = JudgeCards(db)
        self._releases = releases
        self._experiments = experiments
        self._humans = humans

    async def calibrate(
        self, principal: Principal, experiments: Sequence[UUID], metric: str | None = None
    ) -> Sequence[KeptCard]:
        """A card for each judge (or the one of a metric) over what these experiments answered.

        Experiments with other releases or examples add to each other; the judge must be the same in all. What people
        said of a release that they made or proposed counts once it is live. Raises NotFound, InvalidRequest.
        """
        allow(principal, "experiment:run")
        beside: dict[tuple[ProjectId, Digest, str], _Beside] = {}
        for each in dict.fromkeys(experiments):
            experiment = await self._experiments.find(principal, each)
            results = await self._experiments.results(principal, experiment)
            not_by = await self._not_by(principal, experiment)
            for found in experiment.metrics:
                if not found.is_judge or found.digest is None or metric not in {None, found.name}:
                    continue
                said = await self._said(principal, experiment, found.name, results, not_by)
                key = (experiment.project_id, found.digest, found.name)
                beside.setdefault(key, _Beside()).add(experiment.release, found.name, results, said)
        _check_judges(beside, metric)
        return [
            await self.cards.calibrate(principal, project, judge, name, found.pairs, found.left_out)
            for (project, judge, name), found in beside.items()
        ]

    async def _not_by(self, principal: Principal, experiment: Experiment) -> frozenset[PrincipalId]:
        live = await self._releases.live(principal, experiment.project_id, experiment.feature)
        if experiment.release == live:
            return frozenset()
        return await self._releases.authors(principal, [experiment.release])

    async def _said(
        self,
        principal: Principal,
        experiment: Experiment,
        metric: str,
        results: Sequence[Result],
        not_by: frozenset[PrincipalId],
    ) -> HumanLabels:
        if self._humans is None:
            return HumanLabels({})
        digests = list(dict.fromkeys(result.example_digest for result in results))
        asked = (experiment.project_id, metric, experiment.release, digests)
        return await self._humans.labels(principal, *asked, not_by=not_by)


def _check_judges(pairs: Mapping[tuple[ProjectId, Digest, str], object], metric: str | None) -> None:
    if not pairs:
        what = "No judge scores them." if metric is None else f"No judge scores them as `{metric}`."
        raise InvalidRequest(what, next_step="Name experiments whose suite has a `judge`.", param="metric")
    for project, judge, name in pairs:
        if any(other != judge for place, other, same in pairs if (place, same) == (project, name)):
            raise InvalidRequest(
                f"The experiments have different judges of `{name}`.",
                next_step="A card is of one judge: name experiments that were scored by the same files.",
                param="experiments",
            )


@dataclass(frozen=True, slots=True)
class _Row:
    card_id: UUID
    project_id: ProjectId
    project: str
    card: JsonObject
    made_at: datetime
    valid_until: datetime
    is_valid: bool


async def _find(tx: Tx, principal: Principal, project: ProjectId, judge: Digest, metric: str) -> KeptCard | None:
    asked = {"tenant": principal.tenant, "project": project, "judge": judge, "metric": metric}
    row = await tx.fetch_one(_SQL["newest_card"], into=_Row, **asked)
    return None if row is None else _read(row)


def _read(row: _Row) -> KeptCard:
    card = msgspec.convert(row.card, JudgeCard)
    return KeptCard(
        row.card_id, ProjectId(row.project_id), row.project, card, row.made_at, row.valid_until, row.is_valid
    )


def card_as_json(kept: KeptCard) -> JsonObject:
    """For `--json` and HTTP."""
    told = {
        "id": str(kept.id),
        "project": kept.project_name,
        "made_at": kept.made_at.isoformat(),
        "valid_until": kept.valid_until.isoformat(),
    }
    return told | {"is_calibrated": kept.is_calibrated} | asdict(kept.card)

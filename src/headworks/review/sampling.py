"""Production traffic drawn for review: each trace with a chance that is stored, so that the part tells of the whole."""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol
from uuid import UUID

import numpy as np

from headworks.errors import InvalidRequest, NotFound
from headworks.identity.service import Identity, allow
from headworks.records.audit import note_audit
from headworks.review import store
from headworks.review.labels import value_of
from headworks.statistics.estimates import Estimate
from headworks.statistics.sampling import inclusion_probabilities, reviewed_mean
from headworks.storage.pool import Database
from headworks.storage.queries import load
from headworks.types.identity import Principal
from headworks.types.ids import new_id
from headworks.types.json_values import JsonObject

_SQL = load(__package__)
_MOST_TRACES = 10_000
_NOT_TRAFFIC = frozenset({"experiment", "internal"})


class TraceList(Protocol):
    """Implemented by observability.service.Traces, injected by app.py."""

    async def tail(self, principal: Principal, *, most: int = 50, hours: int = 24) -> list[JsonObject]:
        """The newest usage rows that the caller may see."""
        ...


@dataclass(frozen=True, slots=True)
class Draw:
    """What to draw: `budget` reviews are expected, of a feature's answered calls within the last hours."""

    feature: str
    metric: str
    budget: float
    hours: int = 24
    seed: int | None = None


@dataclass(frozen=True, slots=True)
class Sample:
    """What was drawn. `asked`: of the drawn, how many are newly wanted."""

    id: UUID
    population: int
    drawn: int
    asked: int
    chance: float
    seed: int


@dataclass(frozen=True, slots=True)
class ReviewedShare:
    """What a sample tells of all of its population: the share that passes, and how much of it is reviewed.

    `unsure`: how many more were judged, by nobody who was sure. They count as not reviewed, so a good many say that the
    share is one of what can be told at all.
    """

    feature: str
    metric: str
    population: int
    drawn: int
    reviewed: int
    unsure: int
    estimate: Estimate


class Sampling:
    """Draws samples, and reads what they say."""

    def __init__(self, db: Database, identity: Identity, traces: TraceList) -> None:
        self._db = db
        self._identity = identity
        self._traces = traces

    async def draw(self, principal: Principal, project: str, wanted: Draw) -> Sample:
        """Ask for judgements on a random part of the traces that the caller may see. Raises InvalidRequest for none."""
        allow(principal, "judgement:write")
        if wanted.budget <= 0 or not 1 <= wanted.hours <= 24 * 365:
            raise InvalidRequest("A sample needs a budget above 0, and 1 to 8,760 hours.", param="budget")
        project_id = (await self._identity.find_project(principal, project)).id
        rows = await self._population(principal, wanted)
        chances = inclusion_probabilities(np.full(len(rows), 0.5), wanted.budget)
        seed = secrets.randbits(62) if wanted.seed is None else wanted.seed
        draw = np.random.default_rng(seed)
        places = np.flatnonzero(draw.random(len(rows)) < chances)
        # In a random order: who stops half-way has reviewed a random part.
        drawn = [rows[place] for place in draw.permutation(places)]
        sample, chance = new_id(), float(chances[0])
        place: dict[str, object] = {"tenant": principal.tenant, "sample": sample, "project": project_id}
        place |= {"metric": wanted.metric, "by": principal.id}
        asked = 0
        async with self._db.tx(principal) as tx:
            await tx.run(_SQL["add_sample"], **place, feature=wanted.feature, population=len(rows), seed=seed)
            for row in drawn:
                asked += await tx.run(_SQL["add_drawn"], **place, **_drawn(row, chance, wanted.feature))
            detail = {"feature": wanted.feature, "population": len(rows), "drawn": len(drawn)}
            await note_audit(tx, principal, "judgement.sample", str(sample), detail)
        return Sample(sample, len(rows), len(drawn), asked, chance, seed)

    async def _population(self, principal: Principal, wanted: Draw) -> Sequence[Mapping[str, Any]]:
        seen = await self._traces.tail(principal, most=_MOST_TRACES, hours=wanted.hours)
        rows = [
            row
            for row in seen
            if row["feature"] == wanted.feature
            and row["surface"] not in _NOT_TRAFFIC
            and row["request_id"] == row["trace_id"]
            and row["status"] == 200
        ]
        if not rows:
            raise InvalidRequest(
                f"There was no answer of `{wanted.feature[:100]}` within {wanted.hours} hours that you may see.",
                next_step="Give more hours, or another feature.",
                param="feature",
            )
        return rows

    async def read(self, principal: Principal, sample: UUID) -> ReviewedShare:
        """What the reviewed part says of all. Raises NotFound, and InvalidRequest where none is reviewed."""
        allow(principal, "judgement:read")
        async with self._db.tx(principal) as tx:
            found = await tx.fetch_one(_SQL["find_sample"], tenant=principal.tenant, sample=sample)
            if found is None:
                raise NotFound(f"There is no sample {sample}.")
            drawn = await tx.fetch_all(_SQL["drawn"], tenant=principal.tenant, sample=sample)
            said = await store.verdicts(tx, principal, found.project_id, found.metric)
        verdicts = _settled(said)
        values = [verdicts.get(row.subject) for row in drawn]
        reviewed = sum(value is not None for value in values)
        judged = {each.subject for each in said}
        unsure = sum(row.subject in judged and row.subject not in verdicts for row in drawn)
        if not reviewed:
            raise InvalidRequest(
                f"None of the {len(drawn)} drawn is judged yet.",
                next_step="`headworks judgements wanted` lists them.",
                param="sample",
            )
        # What was drawn and is not judged yet counts as not drawn: the chance falls with it.
        done = reviewed / len(drawn)
        rest = found.population - len(drawn)
        estimate = reviewed_mean(
            [*values, *[None] * rest], [*[row.chance * done for row in drawn], *[drawn[0].chance * done] * rest]
        )
        return ReviewedShare(found.feature, found.metric, found.population, len(drawn), reviewed, unsure, estimate)


def _drawn(row: Mapping[str, Any], chance: float, feature: str) -> dict[str, object]:
    return {
        "wanted": new_id(),
        "queue": "sample",
        "subject": f"trace:{row['trace_id']}",
        "release": row["release"],
        "trace": row["trace_id"],
        "chance": chance,
        "reason": f"Drawn from the traffic of `{feature}`.",
    }


def _settled(said: Sequence[store.Said]) -> dict[str, float]:
    """By subject: the decision, else the mean of the opinions."""
    opinions: dict[str, list[float]] = {}
    decided: dict[str, float] = {}
    for each in said:
        value = value_of(each.verdict)
        if value is None:
            continue
        if each.kind == "adjudication":
            decided[each.subject] = value
        else:
            opinions.setdefault(each.subject, []).append(value)
    return {subject: sum(values) / len(values) for subject, values in opinions.items()} | decided

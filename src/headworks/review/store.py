"""The table of judgements: append-only, what people wrote lies sealed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from uuid import UUID

import msgspec

from headworks.review.contract import IMPORTED, Given, Judgement, Kind, Verdict, Wanted
from headworks.review.subjects import OfExperiment, OfTrace
from headworks.storage.pool import Tx
from headworks.storage.queries import load
from headworks.storage.sealing import Keyring
from headworks.types.identity import Principal
from headworks.types.ids import ProjectId, made_at, new_id

_SQL = load(__package__)
_CONTENT = "judgement.content"
_BATCH = 2_000


class _Said(msgspec.Struct, omit_defaults=True):
    """What of a judgement is payload."""

    critique: str = ""
    suggested_fix: str = ""
    knowledge: str = ""
    evidence: str = ""
    criteria: dict[str, Verdict] = {}


@dataclass(frozen=True, slots=True)
class Filter:
    """Which judgements are meant; None: any."""

    metric: str | None = None
    subject: str | None = None
    release: str | None = None


@dataclass(frozen=True, slots=True)
class Current:
    """A judgement on a subject that nothing has replaced."""

    judgement_id: UUID
    rater: str
    kind: Kind


@dataclass(frozen=True, slots=True)
class Said:
    """A verdict, and whose it is."""

    subject: str
    rater: str
    kind: Kind
    verdict: Verdict
    is_mine: bool = False
    """Whether it is the asker's."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What a gate or a sample knows of what it asks for. `is_own`: it is for a gate of what the caller made."""

    release: str | None
    dataset: str | None
    example: str | None
    trace_id: UUID | None
    is_own: bool

    def of(self, given: Judgement) -> Judgement:
        """The judgement with what it does not say itself."""
        return replace(
            given,
            release=given.release or self.release,
            dataset=given.dataset or self.dataset,
            example=given.example or self.example,
            trace=given.trace or self.trace_id,
        )


@dataclass(frozen=True, slots=True)
class _Imported:
    """What an earlier import left; `content` is None where it was erased, or is not for who asks."""

    judgement_id: UUID
    metric: str
    subject: str
    rater: str
    verdict: Verdict
    severity: int | None
    failure_modes: list[str]
    content: bytes | None


@dataclass(frozen=True, slots=True)
class _Row(_Imported):
    """A judgement as it lies there."""

    release: str | None
    dataset: str | None
    example: str | None
    trace_id: UUID | None
    kind: Kind
    is_blind: bool
    replaces: UUID | None
    made_at: datetime
    is_erased: bool
    is_readable: bool
    """Whether the caller may, in this very moment, read every document that the answer may quote."""


async def unknown(
    tx: Tx, principal: Principal, project: ProjectId, subjects: Sequence[OfTrace | OfExperiment]
) -> list[str]:
    """Those of these subjects that stand for no answer that is or was there, as far as the caller may know."""
    place, rows = _place(principal, project), []
    if traces := [each for each in subjects if isinstance(each, OfTrace)]:
        rows += await tx.fetch_all(
            _SQL["unknown_traces"],
            **place,
            subjects=[each.subject for each in traces],
            traces=[each.trace for each in traces],
            made_at=[made_at(each.trace) for each in traces],
            everybody=principal.may("trace:read"),
            by=principal.id,
        )
    if answers := [each for each in subjects if isinstance(each, OfExperiment)]:
        rows += await tx.fetch_all(
            _SQL["unknown_answers"],
            **place,
            subjects=[each.subject for each in answers],
            releases=[each.release for each in answers],
            examples=[each.example for each in answers],
            repeats=[each.repeat for each in answers],
        )
    return [row.subject for row in rows]


async def current(tx: Tx, principal: Principal, project: ProjectId, given: Judgement) -> list[Current]:
    """What stands on the subject of a judgement; nobody else judges it until the transaction ends."""
    place = _place(principal, project, metric=given.metric, subject=given.subject)
    await tx.run(_SQL["wait_for_turn"], **place)
    return await tx.fetch_all(_SQL["current_of_subject"], into=Current, **place)


async def asked(tx: Tx, principal: Principal, project: ProjectId, given: Judgement) -> Asked | None:
    """What is known of a judgement's subject where somebody asked for it."""
    place = _place(principal, project, metric=given.metric, subject=given.subject)
    return await tx.fetch_one(_SQL["wanted_of_subject"], into=Asked, **place, by=principal.id)


async def add(
    tx: Tx,
    keyring: Keyring,
    principal: Principal,
    project: ProjectId,
    given: Judgement,
    *,
    kind: Kind,
    is_blind: bool,
    replaces: UUID | None,
) -> UUID:
    """Store a judgement of the caller's."""
    identifier = new_id()
    await tx.run(
        _SQL["add_judgement"],
        **_place(principal, project, metric=given.metric, subject=given.subject),
        judgement=identifier,
        release=given.release,
        dataset=given.dataset,
        example=given.example,
        trace=given.trace,
        kind=kind,
        is_blind=is_blind,
        rater=str(principal.id),
        verdict=given.verdict,
        severity=given.severity,
        failure_modes=list(given.failure_modes),
        content=_sealed(keyring, principal, identifier, given),
        replaces=replaces,
        by=principal.id,
    )
    return identifier


async def add_imported(
    tx: Tx, keyring: Keyring, principal: Principal, project: ProjectId, rows: Sequence[tuple[str, Judgement]]
) -> int:
    """Store what raters elsewhere said; what they had said before is replaced, the same again is left out."""
    raters = sorted({f"{IMPORTED}{rater}" for rater, _ in rows})
    await tx.run(_SQL["wait_for_import"], **_place(principal, project))
    earlier = await tx.fetch_all(_SQL["imported_already"], into=_Imported, **_place(principal, project), raters=raters)
    known = {(row.metric, row.subject, row.rater): row for row in earlier}
    new = []
    for rater, given in rows:
        before = known.get((given.metric, given.subject, f"{IMPORTED}{rater}"))
        if before is None or not _is_same(keyring, principal, before, given):
            new.append((f"{IMPORTED}{rater}", given, None if before is None else before.judgement_id))
    for start in range(0, len(new), _BATCH):
        await _add_batch(tx, keyring, principal, project, new[start : start + _BATCH])
    return len(new)


async def _add_batch(
    tx: Tx,
    keyring: Keyring,
    principal: Principal,
    project: ProjectId,
    rows: Sequence[tuple[str, Judgement, UUID | None]],
) -> None:
    ids = [new_id() for _ in rows]
    given = [each for _, each, _ in rows]
    await tx.run(
        _SQL["add_imported"],
        **_place(principal, project),
        by=principal.id,
        judgements=ids,
        metrics=[each.metric for each in given],
        subjects=[each.subject for each in given],
        releases=[each.release for each in given],
        datasets=[each.dataset for each in given],
        examples=[each.example for each in given],
        traces=[each.trace for each in given],
        raters=[rater for rater, _, _ in rows],
        verdicts=[each.verdict for each in given],
        severities=[each.severity for each in given],
        failure_modes=[",".join(each.failure_modes) for each in given],
        contents=[_sealed(keyring, principal, identifier, each) for identifier, each in zip(ids, given, strict=True)],
        replaced=[replaces for _, _, replaces in rows],
    )


async def listed(
    tx: Tx, keyring: Keyring, principal: Principal, project: ProjectId, wanted: Filter, *, sees_all: bool, most: int
) -> tuple[list[Given], int]:
    """The newest current judgements that the caller may read, and how many there are beside them."""
    place = _place(
        principal,
        project,
        metric=wanted.metric,
        subject=wanted.subject,
        release=wanted.release,
        sees_all=sees_all,
        me=str(principal.id),
    )
    rows = await tx.fetch_all(_SQL["list_judgements"], into=_Row, **place, most=most)
    hidden: int = await tx.fetch_value(_SQL["hidden_of_subject"], **place)
    return [_opened(keyring, principal, row) for row in rows], hidden


async def verdicts(tx: Tx, principal: Principal, project: ProjectId, metric: str) -> list[Said]:
    """Every current verdict of a metric."""
    return await tx.fetch_all(
        _SQL["verdicts"], into=Said, **_place(principal, project, metric=metric, me=str(principal.id))
    )


async def wanted(
    tx: Tx,
    principal: Principal,
    project: ProjectId,
    *,
    queue: str | None,
    metric: str | None,
    opinions: int,
    done: bool,
    most: int,
) -> tuple[list[Wanted], int]:
    """What is asked for, oldest first, and how much others have to judge; without `done` only what is still open."""
    place = _place(principal, project, queue=queue, metric=metric, me=str(principal.id), by=principal.id)
    rows = await tx.fetch_all(_SQL["list_wanted"], into=Wanted, **place, opinions=opinions, done=done, most=most)
    own: int = await tx.fetch_value(_SQL["own_wanted"], **place, opinions=opinions)
    return rows, own


def _place(principal: Principal, project: ProjectId, **more: object) -> dict[str, object]:
    return {"tenant": principal.tenant, "project": project, **more}


def _sealed(keyring: Keyring, principal: Principal, identifier: UUID, given: Judgement) -> bytes:
    return keyring.seal(principal.tenant, _CONTENT, identifier, msgspec.json.encode(_said(given)))


def _said(given: Judgement) -> _Said:
    return _Said(given.critique, given.suggested_fix, given.knowledge, given.evidence, dict(given.criteria))


def _read(keyring: Keyring, principal: Principal, row: _Imported) -> _Said:
    if row.content is None:
        return _Said()
    opened = keyring.open(principal.tenant, _CONTENT, row.judgement_id, row.content)
    return msgspec.json.decode(opened, type=_Said)


def _is_same(keyring: Keyring, principal: Principal, row: _Imported, given: Judgement) -> bool:
    if row.content is None:
        return True  # what was erased is not taken again
    plain = (row.verdict, row.severity, tuple(row.failure_modes))
    return plain == (given.verdict, given.severity, given.failure_modes) and _read(keyring, principal, row) == _said(
        given
    )


def _opened(keyring: Keyring, principal: Principal, row: _Row) -> Given:
    said = _read(keyring, principal, row)
    judgement = Judgement(
        row.subject,
        row.metric,
        row.verdict,
        tuple(row.failure_modes),
        row.severity,
        said.critique,
        said.suggested_fix,
        said.knowledge,
        said.evidence,
        said.criteria,
        row.release,
        row.dataset,
        row.example,
        row.trace_id,
    )
    return Given(
        row.judgement_id,
        judgement,
        row.kind,
        row.is_blind,
        row.rater,
        row.replaces,
        row.made_at,
        row.is_erased,
        is_withheld=not (row.is_erased or row.is_readable),
    )

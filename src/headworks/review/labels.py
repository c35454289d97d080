"""What people say of a release's answers, as gates and judge cards take it: a number for each example.

Who made or proposed a release does not judge it (DESIGN: of approvals none is the proposer's, and what decides is
evidence by others). What he says is kept and shown as everything else; here it neither counts nor replaces anything.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from uuid import UUID

from headworks.evaluation.contract import HumanLabels
from headworks.review.contract import Kind, Verdict
from headworks.storage.pool import Tx
from headworks.storage.queries import load
from headworks.types.identity import Principal
from headworks.types.ids import Digest, PrincipalId, ProjectId

_SQL = load("headworks.review", "labels.sql")
_VALUES: Mapping[Verdict, float] = MappingProxyType({"pass": 1.0, "fail": 0.0, "first": 1.0, "tie": 0.5, "second": 0.0})


@dataclass(frozen=True, slots=True)
class Opinion:
    """A judgement, as far as labels need it; `made_by` is who gave it here, or who imported it."""

    judgement_id: UUID
    release: str | None
    example: str | None
    kind: Kind
    verdict: Verdict
    replaces: UUID | None
    made_by: UUID


async def labels_of(
    tx: Tx,
    principal: Principal,
    project: ProjectId,
    metric: str,
    release: Digest,
    examples: Sequence[Digest],
    *,
    not_by: Collection[PrincipalId],
) -> HumanLabels:
    """Of the first repeat: the decision, else the mean of the opinions. An example of which all are unsure has none."""
    rows = await tx.fetch_all(
        _SQL["judgements_of_release"], into=Opinion,
        tenant=principal.tenant, project=project, metric=metric, release=release, examples=list(examples),
    )  # fmt: skip
    opinions: dict[Digest, list[float]] = defaultdict(list)
    decided: dict[Digest, float] = {}
    wanted = set(examples)
    for row in standing(rows, not_by):
        value, example = value_of(row.verdict), Digest(row.example or "")
        if value is None or row.release != release or example not in wanted:
            continue
        if row.kind == "adjudication":
            decided[example] = value
        else:
            opinions[example].append(value)
    values = {example: sum(said) / len(said) for example, said in opinions.items()} | decided
    return HumanLabels(values, sum(row.made_by in not_by for row in standing(rows, ())))


def standing(rows: Sequence[Opinion], not_by: Collection[UUID]) -> list[Opinion]:
    """The judgements that count, and that none which counts has replaced: not even through one that does not."""
    by_id = {row.judgement_id: row for row in rows}
    counted = [row for row in rows if row.made_by not in not_by]
    replaced: set[UUID | None] = set()
    for row in counted:
        before = row.replaces
        while before is not None and before in by_id and by_id[before].made_by in not_by:
            before = by_id[before].replaces
        replaced.add(before)
    return [row for row in counted if row.judgement_id not in replaced]


def value_of(verdict: Verdict) -> float | None:
    """A verdict as a number from 0 to 1; None for `unsure`."""
    return _VALUES.get(verdict)

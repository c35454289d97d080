"""The tables of datasets: examples lie sealed, once for all versions that have them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from headworks.errors import Conflict
from headworks.evaluation.contract import DatasetVersion
from headworks.evaluation.datasets.files import example_digest, read_dataset, trace_of, write_dataset
from headworks.storage.pool import Tx
from headworks.storage.queries import load
from headworks.storage.sealing import Keyring
from headworks.types.evaluation import Example
from headworks.types.identity import Principal
from headworks.types.ids import Digest, ProjectId, new_id

_SQL = load("headworks.evaluation.datasets")
_BATCH = 2_000
_CONTENT, _UNLOCKED = "dataset_example.content", "dataset_version.unlocked"


@dataclass(frozen=True, slots=True)
class VersionRow:
    """One version in a dataset's history. `unlocked`: why examples were let move between splits."""

    number: int
    digest: Digest
    examples: int
    made_by: str
    made_at: datetime
    unlocked: str | None = None
    erased: int = 0


@dataclass(frozen=True, slots=True)
class DatasetRow:
    """A dataset and its newest version."""

    name: str
    number: int
    digest: Digest
    examples: int
    made_at: datetime
    made_by: str


async def lock(tx: Tx, principal: Principal, project: ProjectId, name: str) -> UUID:
    """The dataset of that name, made if need be; nobody else adds a version to it until the transaction ends."""
    place = {"tenant": principal.tenant, "project": project, "name": name}
    await tx.run(_SQL["wait_for_turn"], **place)
    await tx.run(_SQL["add_dataset"], dataset=new_id(), **place)
    found: UUID = await tx.fetch_value(_SQL["find_dataset"], **place)
    return found


async def latest(tx: Tx, principal: Principal, dataset: UUID) -> tuple[int, Digest] | None:
    """Number and digest of the newest version."""
    row = await tx.fetch_one(_SQL["latest"], tenant=principal.tenant, dataset=dataset)
    return None if row is None else (row.number, row.digest)


async def add_version(
    tx: Tx,
    keyring: Keyring,
    principal: Principal,
    dataset: UUID,
    number: int,
    *,
    made: DatasetVersion,
    unlocked: str,
) -> None:
    """Store a version: examples that are there already are not stored again."""
    digests = await _put_examples(tx, keyring, principal, made.examples)
    await tx.run(_SQL["add_members"], tenant=principal.tenant, digest=made.digest, examples=digests)
    await tx.run(
        _SQL["add_version"],
        tenant=principal.tenant,
        dataset=dataset,
        number=number,
        digest=made.digest,
        examples=len(made.examples),
        unlocked=_sealed_reason(keyring, principal, dataset, number, unlocked),
        by=principal.id,
    )


def _sealed_reason(keyring: Keyring, principal: Principal, dataset: UUID, number: int, reason: str) -> bytes | None:
    if not reason:
        return None
    return keyring.seal(principal.tenant, _UNLOCKED, f"{dataset}:{number}", reason.encode())


async def _put_examples(tx: Tx, keyring: Keyring, principal: Principal, examples: Sequence[Example]) -> list[Digest]:
    by_digest = {example_digest(each): each for each in examples}
    rows = await tx.fetch_all(_SQL["known_examples"], tenant=principal.tenant, digests=list(by_digest))
    known = {row.digest for row in rows}
    new = [each for each in by_digest if each not in known]
    for start in range(0, len(new), _BATCH):
        batch = new[start : start + _BATCH]
        contents = [keyring.seal(principal.tenant, _CONTENT, each, write_dataset([by_digest[each]])) for each in batch]
        traces = [trace_of(by_digest[each]) for each in batch]
        await tx.run(_SQL["add_examples"], tenant=principal.tenant, digests=batch, traces=traces, contents=contents)
    return list(by_digest)


async def find(
    tx: Tx,
    principal: Principal,
    project: ProjectId,
    name: str,
    number: int | None = None,
    digest: str | None = None,
) -> tuple[int, Digest] | None:
    """Number and digest of a dataset's version: the newest, or that of a number or of a digest's first digits."""
    row = await tx.fetch_one(
        _SQL["find_version"], tenant=principal.tenant, project=project, name=name, number=number, digest=digest
    )
    return None if row is None else (row.number, row.digest)


async def name_of(tx: Tx, principal: Principal, digest: Digest) -> str | None:
    """The name under which a digest was stored first."""
    found: str | None = await tx.fetch_value(_SQL["name_of_digest"], tenant=principal.tenant, digest=digest)
    return found


async def examples(tx: Tx, keyring: Keyring, principal: Principal, digest: Digest) -> tuple[Example, ...]:
    """The examples of a version, in the order of their ids."""
    rows = await tx.fetch_all(_SQL["examples_of"], tenant=principal.tenant, digest=digest)
    opened = [_opened(keyring, principal, row) for row in rows]
    return tuple(sorted(opened, key=lambda each: each.id))


async def erased(tx: Tx, principal: Principal, digest: Digest) -> int:
    """How many examples of a version were erased."""
    found: int = await tx.fetch_value(_SQL["count_erased"], tenant=principal.tenant, digest=digest)
    return found


async def refuse_erased(tx: Tx, principal: Principal, examples: Sequence[tuple[Digest, str]]) -> None:
    """Raise Conflict (`example_erased`) where one of these, by digest and id, was erased."""
    names = dict(examples)
    rows = await tx.fetch_all(_SQL["erased_of"], tenant=principal.tenant, examples=list(names))
    if rows:
        there = ", ".join(sorted(f"`{names[row.digest]}`" for row in rows[:5]))
        raise Conflict(
            f"{len(rows)} of these examples were erased and are not taken again: {there}.",
            next_step="Take their lines out of the file.",
            code="example_erased",
        )


async def ever(tx: Tx, keyring: Keyring, principal: Principal, dataset: UUID) -> list[Example]:
    """Every example that any version had, those of older versions first."""
    rows = await tx.fetch_all(_SQL["examples_ever"], tenant=principal.tenant, dataset=dataset)
    return [_opened(keyring, principal, row) for row in sorted(rows, key=lambda row: row.number)]


async def listed(tx: Tx, principal: Principal, project: ProjectId) -> list[DatasetRow]:
    """The datasets of a project by name."""
    return await tx.fetch_all(_SQL["list_datasets"], into=DatasetRow, tenant=principal.tenant, project=project)


async def history(tx: Tx, keyring: Keyring, principal: Principal, project: ProjectId, name: str) -> list[VersionRow]:
    """The versions of a dataset, newest first."""
    rows = await tx.fetch_all(_SQL["list_versions"], tenant=principal.tenant, project=project, name=name)
    return [
        VersionRow(
            row.number, row.digest, row.examples, row.made_by, row.made_at, _reason(keyring, principal, row), row.erased
        )
        for row in rows
    ]


def _opened(keyring: Keyring, principal: Principal, row: Any) -> Example:  # noqa: ANN401 -- a row
    line = keyring.open(principal.tenant, _CONTENT, row.digest, row.content)
    return read_dataset(row.digest, line)[0]


def _reason(keyring: Keyring, principal: Principal, row: Any) -> str | None:  # noqa: ANN401 -- a row
    if row.unlocked is None:
        return None
    return keyring.open(principal.tenant, _UNLOCKED, f"{row.dataset_id}:{row.number}", row.unlocked).decode()

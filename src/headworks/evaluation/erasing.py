"""Erasing examples that were made of traces, and what experiments hold of them. Digests stay, so that versions do.

An erased example is a row without content: its versions and experiments say how many they have lost, and the same
example is not taken again.
"""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

import msgspec

from headworks.evaluation.contract import Forgotten, subject_of
from headworks.evaluation.datasets.files import example_digest, is_golden, read_dataset, trace_of
from headworks.evaluation.experiments.lifecycle import Material
from headworks.records import erasing
from headworks.storage.pool import Database, Tx
from headworks.storage.queries import load
from headworks.storage.sealing import Keyring
from headworks.types.identity import Principal
from headworks.types.ids import Digest

SQL = load("headworks.evaluation", "erasing.sql")


class ExampleErasing:
    """In the transaction of the erasure, as the tenant's curator."""

    def __init__(self, db: Database, keyring: Keyring) -> None:
        self._db = db
        self._keyring = keyring

    async def of_documents(self, tx: Tx, curator: Principal, documents: Sequence[UUID]) -> Forgotten:
        """Examples made of traces that may quote one of these, and answers of experiments that may."""
        found = await self._forget(
            tx, curator, await erasing.traces_of_documents(tx, curator, await _traces(tx, curator), documents)
        )
        outputs = [row.trace_id for row in await tx.fetch_all(SQL.traces_of_outputs, tenant=curator.tenant)]
        quoting = await erasing.traces_of_documents(tx, curator, outputs, documents)
        of_these = {"traces": quoting, "documents": list(documents)}
        gone = await tx.fetch_all(SQL.delete_outputs_quoting, tenant=curator.tenant, **of_these)
        answers = tuple(subject_of(Digest(row.release), Digest(row.example), row.repeat) for row in gone)
        rows = {**found.rows, "experiment_output": found.rows["experiment_output"] + len(gone)}
        return Forgotten(rows, found.examples, answers)

    async def of_person(self, tx: Tx, curator: Principal, person: UUID) -> Forgotten:
        """Examples made of traces of this principal's calls."""
        traces = await erasing.traces_of_person(tx, curator, await _traces(tx, curator), person)
        return await self._forget(tx, curator, traces)

    async def _forget(self, tx: Tx, curator: Principal, traces: Sequence[UUID]) -> Forgotten:
        place = {"tenant": curator.tenant}
        pushed = [row.digest for row in await tx.fetch_all(SQL.forget_examples, **place, traces=list(traces))]
        await self._keyring.ensure(self._db, curator.tenant)
        held: list[Digest] = []
        experiments = await tx.fetch_all(SQL.experiments_of_traces, **place, traces=list(traces))
        for row in experiments:
            held += await self._forget_in(tx, curator, row.experiment_id, row.content, frozenset(traces))
        examples = list(dict.fromkeys([*pushed, *held]))
        await tx.run(SQL.add_erased, **place, examples=examples)
        outputs = await tx.run(SQL.delete_outputs_of_examples, **place, examples=examples)
        rows = {"dataset_example.content": len(pushed), "experiment.content": len(experiments)}
        return Forgotten({**rows, "experiment_output": outputs}, tuple(map(Digest, examples)), ())

    async def _forget_in(
        self, tx: Tx, curator: Principal, experiment: UUID, sealed: bytes, traces: frozenset[UUID]
    ) -> list[Digest]:
        """Take the lines out of the files that an experiment keeps; the digests of those of its own dataset."""
        content = self._keyring.open(curator.tenant, "experiment.content", experiment, sealed)
        material = msgspec.msgpack.decode(content, type=Material)
        files, gone, left = dict(material.files), {}, set()
        for path in filter(is_golden, material.files):
            kept = []
            for line in material.files[path].splitlines(keepends=True):
                example = read_dataset(path, line)[0] if line.strip() else None
                trace = None if example is None else trace_of(example)
                if example is not None and trace in traces:
                    gone[example_digest(example)] = path
                    continue
                left |= {trace} if trace else set()
                kept.append(line)
            files[path] = b"".join(kept)
        resealed = msgspec.msgpack.encode(Material(files, material.dataset))
        await tx.run(
            SQL.forget_in_experiment,
            tenant=curator.tenant, experiment=experiment, erased=len(gone), left=sorted(left),
            content=self._keyring.seal(curator.tenant, "experiment.content", experiment, resealed),
        )  # fmt: skip
        return list(gone)


async def _traces(tx: Tx, curator: Principal) -> list[UUID]:
    return [row.trace_id for row in await tx.fetch_all(SQL.traces, tenant=curator.tenant)]

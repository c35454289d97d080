"""Outputs and scores as they are kept: sealed, by release, example and repeat, for all that ask the same."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from headworks.evaluation.contract import Result
from headworks.storage.pool import Tx
from headworks.storage.queries import load
from headworks.storage.sealing import Keyring
from headworks.types.evaluation import Example, Output, Score
from headworks.types.identity import Principal
from headworks.types.ids import Digest, DocumentId

SQL = load("headworks.evaluation.experiments")


class _Said(msgspec.Struct, omit_defaults=True):
    """What of a score is payload."""

    reason: str = ""
    details: Mapping[str, Any] = {}


@dataclass(frozen=True, slots=True)
class Cells:
    """Which part of what is kept somebody means: a release, some examples, so many repeats, some scorers."""

    release: Digest
    examples: tuple[Digest, ...]
    repeats: int
    scorers: tuple[Digest, ...]


@dataclass(frozen=True, slots=True)
class Cell:
    """One repeat of one example."""

    example: Digest
    repeat: int


class Keeping:
    """Reads and writes within the caller's transaction; the tenant's data keys are at hand."""

    def __init__(self, keyring: Keyring) -> None:
        self._keyring = keyring

    async def missing(self, tx: Tx, principal: Principal, cells: Cells) -> list[Cell]:
        """What is not answered, or not scored by all scorers, in the order of repeats and examples."""
        answered = {
            (row.example, row.repeat) for row in await tx.fetch_all(SQL["output_keys"], **_of(principal, cells))
        }
        scored = {
            (row.example, row.repeat, row.scorer)
            for row in await tx.fetch_all(SQL["score_keys"], **_of(principal, cells), scorers=list(cells.scorers))
        }
        return [
            Cell(example, repeat)
            for repeat in range(cells.repeats)
            for example in cells.examples
            if (example, repeat) not in answered
            or any((example, repeat, scorer) not in scored for scorer in cells.scorers)
        ]

    async def output(self, tx: Tx, principal: Principal, release: Digest, cell: Cell) -> Output | None:
        """What is kept of one repeat."""
        one = Cells(release, (cell.example,), cell.repeat + 1, ())
        rows = await tx.fetch_all(SQL["outputs_of"], **_of(principal, one))
        return next((self._output(principal, release, row) for row in rows if row.repeat == cell.repeat), None)

    async def scored_by(self, tx: Tx, principal: Principal, cells: Cells, cell: Cell) -> set[Digest]:
        """The scorers that have scored one repeat."""
        one = Cells(cells.release, (cell.example,), cell.repeat + 1, cells.scorers)
        rows = await tx.fetch_all(SQL["score_keys"], **_of(principal, one), scorers=list(cells.scorers))
        return {Digest(row.scorer) for row in rows if row.repeat == cell.repeat}

    async def keep_output(self, tx: Tx, principal: Principal, release: Digest, cell: Cell, output: Output) -> int:
        """1 if it is new, 0 where another has answered meanwhile: then that one stays."""
        place = _place(release, cell)
        content = self._keyring.seal(principal.tenant, "experiment_output.content", place, msgspec.json.encode(output))
        return await tx.run(
            SQL["add_output"],
            tenant=principal.tenant, release=release, example=cell.example, repeat=cell.repeat, content=content,
            error_code=output.error_code, trace=output.trace, documents=sorted(documents_of(output)),
        )  # fmt: skip

    async def keep_score(
        self, tx: Tx, principal: Principal, release: Digest, cell: Cell, scorer: Digest, score: Score
    ) -> None:
        """Keep what a scorer said; an error is kept as one."""
        said = msgspec.json.encode(_Said(score.reason, dict(score.details)))
        content = self._keyring.seal(
            principal.tenant, "experiment_score.content", f"{_place(release, cell)}|{scorer}", said
        )
        await tx.run(
            SQL["add_score"],
            tenant=principal.tenant, release=release, example=cell.example, repeat=cell.repeat, scorer=scorer,
            value=None if score.is_error else score.value, label=score.label[:200],
            error_code=score.error_code or ("not_a_number" if score.is_error else None), content=content,
        )  # fmt: skip

    async def results(
        self,
        tx: Tx,
        principal: Principal,
        cells: Cells,
        examples: Sequence[Example],
        names: Mapping[Digest, Sequence[str]],
    ) -> list[Result]:
        """All that is kept, in the order of examples and repeats; `names` are those of each scorer's metrics."""
        scores: dict[tuple[str, int], dict[str, Score]] = {}
        for row in await tx.fetch_all(SQL["scores_of"], **_of(principal, cells), scorers=list(cells.scorers)):
            score = self._score(principal, cells.release, row)
            for name in names[Digest(row.scorer)]:
                scores.setdefault((row.example, row.repeat), {})[name] = score
        outputs = {
            (row.example, row.repeat): self._output(principal, cells.release, row)
            for row in await tx.fetch_all(SQL["outputs_of"], **_of(principal, cells))
        }
        return [
            Result(example, digest, repeat, outputs[digest, repeat], scores.get((digest, repeat), {}))
            for example, digest in zip(examples, cells.examples, strict=True)
            for repeat in range(cells.repeats)
            if (digest, repeat) in outputs
        ]

    def _output(self, principal: Principal, release: Digest, row: Any) -> Output:  # noqa: ANN401 -- a row
        place = _place(release, Cell(Digest(row.example), row.repeat))
        content = self._keyring.open(principal.tenant, "experiment_output.content", place, row.content)
        return msgspec.json.decode(content, type=Output)

    def _score(self, principal: Principal, release: Digest, row: Any) -> Score:  # noqa: ANN401 -- a row
        place = f"{_place(release, Cell(Digest(row.example), row.repeat))}|{row.scorer}"
        said = msgspec.json.decode(
            self._keyring.open(principal.tenant, "experiment_score.content", place, row.content), type=_Said
        )
        value = math.nan if row.value is None else row.value
        return Score(value, row.label, said.reason, row.error_code, said.details)


def documents_of(output: Output) -> set[DocumentId]:
    """What an answer rests on."""
    return {each.document for each in output.passages} | {each.document for each in output.citations}


def _of(principal: Principal, cells: Cells) -> dict[str, Any]:
    return {
        "tenant": principal.tenant,
        "release": cells.release,
        "examples": list(cells.examples),
        "repeats": cells.repeats,
    }


def _place(release: Digest, cell: Cell) -> str:
    return f"{release}|{cell.example}|{cell.repeat}"

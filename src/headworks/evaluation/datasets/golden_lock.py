"""The lock on splits for golden files of a workspace: as for pushed versions, by file and id, whoever brings them."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field

import msgspec

from headworks.evaluation.datasets.files import is_golden, read_dataset
from headworks.evaluation.datasets.splits import Moved, Splits, locked
from headworks.records.audit import note_audit
from headworks.storage.pool import Tx
from headworks.storage.queries import load
from headworks.storage.sealing import Keyring
from headworks.types.identity import Principal
from headworks.types.ids import ProjectId

_SQL = load("headworks.evaluation.datasets", "golden_lock.sql")
_COLUMN = "golden_split.content"
_UNLOCK = "Leave them where they were, or `headworks apply --unlock REASON`: the audit keeps the reason."


@dataclass(frozen=True, slots=True)
class _Change:
    """A file that is not as it was kept last."""

    path: str
    sha256: str
    splits: Splits = field(default_factory=Splits)
    moved: tuple[Moved, ...] = ()


class GoldenLock:
    """Works in the caller's transaction, which has the project's lock; the tenant's data keys are at hand."""

    def __init__(self, keyring: Keyring) -> None:
        self._keyring = keyring

    async def check(
        self, tx: Tx, principal: Principal, project: ProjectId, files: Mapping[str, bytes], unlock: str = ""
    ) -> None:
        """Raise Conflict (`split_locked`) where an example or cluster would move, unless `unlock` says why."""
        await self._changes(tx, principal, project, files, unlock)

    async def keep(
        self, tx: Tx, principal: Principal, project: ProjectId, files: Mapping[str, bytes], unlock: str = ""
    ) -> None:
        """As `check`; then remember in which split each of them is now."""
        for each in await self._changes(tx, principal, project, files, unlock):
            content = msgspec.json.encode(each.splits)
            await tx.run(
                _SQL["put_splits"], tenant=principal.tenant, project=project, path=each.path, sha256=each.sha256,
                content=self._keyring.seal(principal.tenant, _COLUMN, f"{project}|{each.path}", content),
            )  # fmt: skip
            if each.moved:
                detail = {"moved": len(each.moved), "reason": unlock.strip()}
                await note_audit(tx, principal, "golden.unlock", each.path, detail)

    async def _changes(
        self, tx: Tx, principal: Principal, project: ProjectId, files: Mapping[str, bytes], unlock: str
    ) -> list[_Change]:
        rows = await tx.fetch_all(_SQL["splits_of"], tenant=principal.tenant, project=project)
        known = {row.path: row for row in rows}
        found = []
        for path in filter(_is_golden, files):
            sha256 = hashlib.sha256(files[path]).hexdigest()
            row = known.get(path)
            if row is not None and row.sha256 == sha256:
                continue
            before = Splits()
            if row is not None:
                content = self._keyring.open(principal.tenant, _COLUMN, f"{project}|{path}", row.content)
                before = msgspec.json.decode(content, type=Splits)
            change = await asyncio.to_thread(_changed, path, files[path], sha256, before)
            if change.moved and not unlock.strip():
                raise locked(change.moved, path, _UNLOCK)
            found.append(change)
        return found


def _changed(path: str, content: bytes, sha256: str, before: Splits) -> _Change:
    examples = read_dataset(path, content)
    moved = before.moved(examples)
    before.add(examples)
    return _Change(path, sha256, before, moved)


def _is_golden(path: str) -> bool:
    """Whether a file of a workspace is a dataset."""
    top, _, within = path.partition("/")
    return top == "features" and is_golden(within.partition("/")[2])

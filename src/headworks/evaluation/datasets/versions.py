"""Datasets on the server: versions by digest, with a lock on splits."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from headworks.errors import InvalidRequest, NotFound
from headworks.evaluation.contract import DatasetVersion
from headworks.evaluation.datasets import store
from headworks.evaluation.datasets.files import MOST_EXAMPLES, dataset_digest, example_digest
from headworks.evaluation.datasets.schemas import DatasetDiff, diff
from headworks.evaluation.datasets.splits import Moved, check_clusters, locked, moved
from headworks.evaluation.datasets.store import DatasetRow, VersionRow
from headworks.identity.service import Identity, allow
from headworks.records.audit import note_audit
from headworks.storage.pool import Database, Tx
from headworks.storage.sealing import Keyring
from headworks.strict_yaml import nearest
from headworks.types.evaluation import Example
from headworks.types.identity import Principal
from headworks.types.ids import Digest, ProjectId

_NAME = re.compile(r"[a-z0-9](?:[a-z0-9._-]{0,98}[a-z0-9])?")
_DIGEST = re.compile(r"(?:sha256:)?([0-9a-f]{12,64})")
_LONGEST_REASON = 2_000


@dataclass(frozen=True, slots=True)
class Pushed:
    """What became of a push. Not `is_new`: the newest version is this very digest, and nothing was stored."""

    version: DatasetVersion
    number: int
    is_new: bool
    diff: DatasetDiff
    moved: tuple[Moved, ...]


@dataclass(frozen=True, slots=True)
class Numbered:
    """A version, and its number in the dataset's history."""

    number: int
    version: DatasetVersion


class Datasets:
    """Versions of datasets: pushed, found and compared. Each is immutable; its digest names it everywhere."""

    def __init__(self, db: Database, keyring: Keyring, identity: Identity) -> None:
        self._db = db
        self._keyring = keyring
        self._identity = identity

    async def push(
        self, principal: Principal, project: str, name: str, examples: Sequence[Example], unlock: str = ""
    ) -> Pushed:
        """Make these examples the newest version of a dataset; the same ones again change nothing.

        Raises InvalidRequest where a cluster lies in two splits or an id stands twice, Conflict (`split_locked`) where
        an example that any version had would move to another split, unless `unlock` says why.
        """
        allow(principal, "dataset:write")
        _check(name, examples, unlock)
        check_clusters(examples)
        digest = await asyncio.to_thread(dataset_digest, examples)
        made = DatasetVersion(name, digest, tuple(sorted(examples, key=lambda each: each.id)))
        project_id = await self._prepared(principal, project)
        async with self._db.tx(principal) as tx:
            await store.refuse_erased(tx, principal, [(example_digest(each), each.id) for each in examples])
            dataset = await store.lock(tx, principal, project_id, name)
            before = await store.latest(tx, principal, dataset)
            number, old = before or (0, None)
            if old == digest:
                return Pushed(made, number, False, DatasetDiff((), (), (), ()), ())
            found = moved(await store.ever(tx, self._keyring, principal, dataset), made.examples)
            if found and not unlock.strip():
                raise locked(found)
            reason = unlock.strip() if found else ""
            await store.add_version(tx, self._keyring, principal, dataset, number + 1, made=made, unlocked=reason)
            detail = {"digest": digest, "number": number + 1, "examples": len(examples), "moved": len(found)}
            await note_audit(tx, principal, "dataset.push", name, detail)
            earlier = await store.examples(tx, self._keyring, principal, old) if old else ()
        return Pushed(made, number + 1, True, diff(earlier, made.examples), found)

    async def find(self, principal: Principal, project: str, name: str, version: str | None = None) -> Numbered:
        """A dataset's version: the newest, or that of a number or of a digest's first digits. Raises NotFound."""
        allow(principal, "dataset:read", "dataset:write")
        number, digest = _parsed(version)
        project_id = await self._prepared(principal, project)
        async with self._db.tx(principal) as tx:
            found = await store.find(tx, principal, project_id, name, number, digest)
            if found is None:
                raise await self._missing(principal, project, name, version)
            made = await self._read(tx, principal, name, found[1])
        return Numbered(found[0], made)

    async def by_digest(self, principal: Principal, digest: Digest) -> DatasetVersion:
        """A version by its digest alone, under the name that it was first pushed as. Raises NotFound."""
        allow(principal, "dataset:read", "dataset:write")
        await self._keyring.ensure(self._db, principal.tenant)
        async with self._db.tx(principal) as tx:
            name = await store.name_of(tx, principal, digest)
            if name is None:
                raise NotFound(
                    f"There is no dataset {digest}.", next_step="`headworks datasets list` shows what there is."
                )
            return await self._read(tx, principal, name, digest)

    async def _read(self, tx: Tx, principal: Principal, name: str, digest: Digest) -> DatasetVersion:
        examples = await store.examples(tx, self._keyring, principal, digest)
        return DatasetVersion(name, digest, examples, await store.erased(tx, principal, digest))

    async def list(self, principal: Principal, project: str) -> Sequence[DatasetRow]:
        """The project's datasets by name, each with its newest version."""
        allow(principal, "dataset:read", "dataset:write")
        project_id = await self._prepared(principal, project)
        async with self._db.tx(principal) as tx:
            return await store.listed(tx, principal, project_id)

    async def history(self, principal: Principal, project: str, name: str) -> Sequence[VersionRow]:
        """The versions of a dataset, newest first. Raises NotFound."""
        allow(principal, "dataset:read", "dataset:write")
        project_id = await self._prepared(principal, project)
        async with self._db.tx(principal) as tx:
            rows = await store.history(tx, self._keyring, principal, project_id, name)
        if not rows:
            raise await self._missing(principal, project, name, None)
        return rows

    async def note_promotion(self, principal: Principal, trace: str, redacted: Mapping[str, int]) -> None:
        """Tell the audit that somebody took a trace's text for an example."""
        async with self._db.tx(principal) as tx:
            await note_audit(tx, principal, "dataset.promote", trace, {"redacted": dict(redacted)})

    async def _prepared(self, principal: Principal, project: str) -> ProjectId:
        await self._keyring.ensure(self._db, principal.tenant)
        return (await self._identity.find_project(principal, project)).id

    async def _missing(self, principal: Principal, project: str, name: str, version: str | None) -> NotFound:
        known = [each.name for each in await self.list(principal, project)]
        if name in known:
            return NotFound(
                f"The dataset `{name}` has no version `{version}`.",
                next_step=f"`headworks datasets show {name}` lists its versions.",
            )
        return NotFound(f"There is no dataset `{name[:100]}`.", next_step=nearest(name, known))


def _check(name: str, examples: Sequence[Example], unlock: str) -> None:
    if not _NAME.fullmatch(name):
        raise InvalidRequest(
            f"`{name[:100]}` is no name for a dataset.",
            next_step="1 to 100 of a-z, 0-9, `.`, `_` and `-`, with a letter or digit at both ends.",
            param="name",
        )
    if not examples:
        raise InvalidRequest("A dataset has at least one example.", param="examples")
    if len(examples) > MOST_EXAMPLES:
        raise InvalidRequest(f"A dataset has at most {MOST_EXAMPLES:,} examples.", param="examples")
    seen: set[str] = set()
    for each in examples:
        if each.id in seen:
            raise InvalidRequest(f"The id `{each.id}` stands twice.", param="examples")
        seen.add(each.id)
    if len(unlock) > _LONGEST_REASON:
        raise InvalidRequest(f"A reason has at most {_LONGEST_REASON:,} characters.", param="unlock")


def _parsed(version: str | None) -> tuple[int | None, str | None]:
    if version is None:
        return None, None
    if version.isdecimal() and len(version) < 10:
        return int(version), None
    if found := _DIGEST.fullmatch(version):
        return None, f"sha256:{found[1]}"
    raise InvalidRequest(
        f"`{version[:100]}` is no version.",
        next_step="Give a number such as 3, or a digest of twelve digits or more.",
        param="version",
    )

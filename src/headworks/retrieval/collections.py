"""Collections as a workspace declares them: settings, readers, and the generation that is to serve them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Any
from uuid import UUID

from headworks.errors import HeadworksError, NotFound, WorkspaceInvalid
from headworks.identity.service import near
from headworks.retrieval.access import denials
from headworks.retrieval.access.readers import (
    PatternDenials,
    PatternReaders,
    normal_pattern,
    own_list,
    write_denials,
    write_patterns,
)
from headworks.retrieval.access.recutting import recut
from headworks.retrieval.access.sections import SectionRule, write_rules
from headworks.retrieval.configured import close_changed
from headworks.retrieval.contract import CollectionView, Directory
from headworks.retrieval.embedding import Vectors
from headworks.retrieval.freshness import plan_recrawls
from headworks.retrieval.parsers.catalog import ocr_is_installed
from headworks.retrieval.passages.chunking import ChunkSettings
from headworks.retrieval.queueing import Queue
from headworks.retrieval.store import SQL, CollectionRow, find_collection, lock_collection
from headworks.storage.pool import Database, Tx
from headworks.types.identity import Principal
from headworks.types.ids import PrincipalId, ProjectId, new_id
from headworks.types.workspace import CollectionSpec

_LONG_S = 300.0
"""For a statement that changes all documents of a collection."""


async def not_readable(tx: Tx, principal: Principal, name: str) -> HeadworksError:
    """The error for a collection that is not there, or that the caller reads nothing of: the two read the same."""
    rows = await tx.fetch_all(SQL.list_readable_collections, tenant=principal.tenant)
    return NotFound(
        f"There is no collection `{name[:100]}` that you may read.",
        next_step=near(name, [row.name for row in rows], "Its `readers` are in the workspace's `collections/`."),
        param="collection",
    )


async def find(tx: Tx, principal: Principal, name: str) -> CollectionRow:
    """The collection of that name, read or not, for who may write to it; NotFound lists near names."""
    row = await find_collection(tx, principal.tenant, name=name)
    if row is None:
        names = [each.name for each in await tx.fetch_all(SQL.list_collection_names, tenant=principal.tenant)]
        raise NotFound(
            f"There is no collection `{name[:100]}`.",
            next_step=near(name, names, "A file in the workspace's `collections/` makes one; then `headworks apply`."),
            param="collection",
        )
    return row


async def listed(db: Database, principal: Principal) -> list[CollectionView]:
    """The collections that the caller may read."""
    async with db.tx(principal) as tx:
        rows = await tx.fetch_all(SQL.list_readable_collections, tenant=principal.tenant)
    return [CollectionView(row.name, row.description or "", row.documents, row.epoch) for row in rows]


def chunk_settings(chunking: dict[str, Any]) -> ChunkSettings:
    """How a generation's chunks are cut."""
    return ChunkSettings(
        max_tokens=chunking["tokens"],
        overlap_sentences=chunking["overlap"],
        has_headers=chunking.get("headers", True),
        has_whole_tables=chunking.get("tables") == "whole",
    )


def _refuse_missing_ocr(specs: Sequence[CollectionSpec]) -> None:
    asking = next((spec for spec in specs if spec.parsing.ocr), None)
    if asking is not None and not ocr_is_installed():
        raise WorkspaceInvalid(
            f"{asking.where}: `parsing.ocr` is on, but OCR is not installed where the server runs.",
            next_step="`pip install 'headworks[ocr]'` there and start the server again, or take it out.",
        )


class Declarer:
    """Makes a tenant's collections be as its workspace says."""

    def __init__(self, db: Database, directory: Directory, queue: Queue) -> None:
        self._db = db
        self._directory = directory
        self._queue = queue

    async def declare(self, principal: Principal, project: ProjectId, specs: Sequence[CollectionSpec]) -> None:
        """All of them, or none: unknown readers and names of other projects raise WorkspaceInvalid.

        A list of readers holds from the next statement, also for documents that are there. Where chunks are to be cut
        otherwise, a new generation is made from the stored texts by durable work; until then the old one serves.
        """
        ids = await self.check(principal, specs)
        curator = await self._directory.curator(principal.tenant)
        async with self._db.tx(curator, statement_timeout_s=_LONG_S) as tx:
            for spec in sorted(specs, key=lambda each: each.name):  # one order: two applies never wait in a ring
                await self._upsert(tx, curator, project, spec, ids)

    async def check(self, principal: Principal, specs: Sequence[CollectionSpec]) -> dict[str, PrincipalId]:
        """The ids of all readers by name. Raises WorkspaceInvalid for one that is unknown, or OCR that is not here."""
        _refuse_missing_ocr(specs)
        ids: dict[str, PrincipalId] = {}
        for spec in specs:
            by_key = {
                "readers": {*spec.readers},
                "deny": {*spec.denied},
                "documents": {name for _, names in (*spec.documents, *spec.denials) for name in names},
                "sections": {name for each in spec.sections for name in (*each.readers, *each.denied)},
                "sources": {name for source in spec.sources for _, name in source.readers},
            }
            for key, names in by_key.items():
                try:
                    ids |= await self._directory.principals_named(principal, names)
                except NotFound as error:
                    raise WorkspaceInvalid(
                        f"{spec.places.get(key, spec.where)}: `{key}`: {error.message}",
                        next_step=f"{error.next_step} A new group is made by: headworks group create NAME", param=key,
                    ) from None  # fmt: skip
        return ids

    async def _upsert(
        self, tx: Tx, curator: Principal, project: ProjectId, spec: CollectionSpec, ids: dict[str, PrincipalId]
    ) -> None:
        tenant = curator.tenant
        patterns = [
            PatternReaders(normal_pattern(pattern), tuple(ids[name] for name in names))
            for pattern, names in spec.documents
        ]
        settings = {
            "description": spec.description,
            "documents": write_patterns(patterns),
            "denials": write_denials(
                [
                    PatternDenials(normal_pattern(pattern), tuple(ids[name] for name in names))
                    for pattern, names in spec.denials
                ]
            ),
            "sections": write_rules(
                [
                    SectionRule(
                        normal_pattern(each.documents),
                        each.heading,
                        tuple(ids[name] for name in each.readers),
                        tuple(ids[name] for name in each.denied),
                    )
                    for each in spec.sections
                ]
            ),
            "sources": [
                {"name": each.name, "kind": each.kind, "settings": dict(each.settings), "readers": dict(each.readers)}
                | ({"freshness": own} if (own := each.freshness.as_settings()) else {})
                | ({} if each.most_deletions is None else {"most_deletions": each.most_deletions})
                for each in spec.sources
            ],
            "passages": spec.chunking.of_passages(),
            "freshness": spec.freshness.as_settings(),
            "search": spec.search.as_json(),
            "parsing": {"ocr": spec.parsing.ocr},
        }
        row = await self._found_or_made(tx, curator, project, spec)
        if row.project_id != project:
            raise WorkspaceInvalid(
                f"{spec.where}: another project of this tenant has a collection `{spec.name}`.",
                next_step="Choose another name.",
            )
        collection: UUID = row.collection_id
        await lock_collection(tx, collection)
        readers = {ids[name] for name in spec.readers}
        listed = await tx.fetch_all(SQL.list_collection_readers, tenant=tenant, collection=collection)
        if {each.principal_id for each in listed} != readers:
            await tx.run(SQL.set_collection_readers, tenant=tenant, collection=collection, readers=sorted(readers))
            await touch(tx, curator, collection)
        if await denials.put_on_collection(tx, curator, collection, {ids[name] for name in spec.denied}):
            await touch(tx, curator, collection)
        if row.settings != settings:
            await tx.run(SQL.set_settings, tenant=tenant, collection=collection, settings=settings)
            await recut(tx, curator, collection, row.settings, settings, self._queue)
            await reapply_patterns(tx, curator, collection, patterns)
            await denials.renew(tx, curator, collection, settings)
            await close_changed(tx, curator, collection, row.settings, settings, self._queue)
            await plan_recrawls(tx, tenant, collection, settings, self._queue, has_changed=True)
        generation = await _generation(tx, curator, spec, row)
        if generation is not None:
            await self._queue.rebuild(tx, tenant, collection, generation)

    async def _found_or_made(
        self, tx: Tx, curator: Principal, project: ProjectId, spec: CollectionSpec
    ) -> CollectionRow:
        of_new = {"tenant": curator.tenant, "collection": new_id()}
        if await tx.run(SQL.add_collection, **of_new, project=project, name=spec.name, settings={}):
            generation = await add_generation(tx, curator, of_new["collection"], *_wanted(spec))
            await tx.run(SQL.set_live_generation, **of_new, generation=generation)
        row = await find_collection(tx, curator.tenant, name=spec.name)
        assert row is not None  # noqa: S101 -- it was there, or has just been made
        return row


async def _generation(tx: Tx, curator: Principal, spec: CollectionSpec, row: CollectionRow) -> UUID | None:
    """The generation that is to be made beside the live one, if there is one."""
    of_collection = {"tenant": curator.tenant, "collection": row.collection_id}
    wanted = _wanted(spec)
    pending: UUID | None = None
    for other in await tx.fetch_all(SQL.list_other_generations, **of_collection):
        if pending is None and (other.model, other.chunking) == wanted:
            pending = other.generation_id  # also one that is being made because the weights are others
        else:
            await tx.run(SQL.drop_generation, **of_collection, generation=other.generation_id)
    if pending is None and (row.model, row.chunking) != wanted:
        pending = await add_generation(tx, curator, row.collection_id, *wanted)
    return pending


def _wanted(spec: CollectionSpec) -> tuple[str, dict[str, Any]]:
    return spec.embedding, spec.chunking.of_index()


async def add_generation(tx: Tx, curator: Principal, collection: UUID, model: str, chunking: dict[str, Any]) -> UUID:
    """A new, empty generation."""
    generation = new_id()
    await tx.run(
        SQL.add_generation,
        tenant=curator.tenant, generation=generation, collection=collection, model=model, chunking=chunking,
    )  # fmt: skip
    return generation


async def reapply_patterns(tx: Tx, curator: Principal, collection: UUID, patterns: Sequence[PatternReaders]) -> None:
    """Give every document of a collection the list that it has by these patterns."""
    by_list: dict[frozenset[PrincipalId] | None, list[UUID]] = defaultdict(list)
    for row in await tx.fetch_all(SQL.list_paths, tenant=curator.tenant, collection=collection):
        own = own_list(row.path, patterns, row.given_readers)
        by_list[None if own is None else frozenset(own.readers)].append(row.document_id)
    for readers, documents in by_list.items():
        await set_readers(tx, curator, documents, readers)


async def set_readers(
    tx: Tx, curator: Principal, documents: Sequence[UUID], readers: Iterable[PrincipalId] | None
) -> None:
    """Give documents a list of their own (None: none, they have the collection's)."""
    restricted = readers is not None
    of_these = {"tenant": curator.tenant, "documents": list(documents)}
    await tx.run(SQL.set_document_readers, **of_these, readers=sorted(readers or ()))
    await tx.run(SQL.set_restricted, **of_these, restricted=restricted)


async def touch(tx: Tx, curator: Principal, collection: UUID, *, lacks_vectors: bool = False) -> None:
    """Content or readers have changed: move the epoch."""
    await tx.run(SQL.touch_collection, tenant=curator.tenant, collection=collection, lacks_vectors=lacks_vectors)


async def name_weights(tx: Tx, curator: Principal, generation: UUID, vectors: Vectors) -> None:
    """The first vectors of a generation say which weights it is of."""
    of_generation = {"tenant": curator.tenant, "generation": generation}
    await tx.run(SQL.name_weights, **of_generation, digest=vectors.digest, dimension=vectors.dimension)


async def note_trouble(db: Database, curator: Principal, generation: UUID, error: HeadworksError) -> None:
    """Say on a generation why its model's vectors are not there; the next vectors that are stored take it away."""
    async with db.tx(curator) as tx:
        await tx.run(SQL.note_trouble, tenant=curator.tenant, generation=generation, trouble=str(error)[:1000])

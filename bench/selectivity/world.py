"""A synthetic collection: vectors of a latent mixture, documents with readers, and people who read a share of them.

Ten chunks a document. Each document has a list of its own; its readers are groups of 0.1, 1, 10, 50 and 100 % of all
documents, drawn at random, and the same shares taken from one end of a latent direction: there, who may read what goes
with what it says, and most questions are about what the caller may not read.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import numpy as np
import psycopg
from numpy.typing import NDArray

from headworks.identity.service import Identity
from headworks.retrieval.passages import lexical
from headworks.retrieval.store import Payloads, StoredChunk
from headworks.storage.pool import Database
from headworks.storage.sealing import Keyring
from headworks.types.identity import Principal
from headworks.types.ids import TenantId, new_id
from headworks.types.models import Completion, Embeddings, ModelCall, Prompt, Usage

SHARES = (0.001, 0.01, 0.1, 0.5, 1.0)
VARIANTS = ("random", "meaning")
CHUNKS_PER_DOCUMENT = 10
DIMENSION = 384
_LATENT = 32
_CLUSTERS = 200
_SEGMENT = 20_000
_WORDS = 50_000
_WORDS_PER_CHUNK = 150

Vectors = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Readers:
    """Somebody who may read a share of the documents, and which chunks those are (places, not ids)."""

    principal: Principal
    variant: str
    share: float
    chunks: NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Synthetic:
    """Vectors of length 1 of all chunks, in the order of their ids, and where each lies in the latent direction."""

    chunks: Vectors
    queries: Vectors
    direction: NDArray[np.float64]
    """One value a document."""


def synthetic(chunks: int, queries: int, seed: int) -> Synthetic:
    """A mixture in 32 dimensions, put into 384 with some noise; questions come from where the chunks do."""
    random = np.random.default_rng(seed)
    documents = chunks // CHUNKS_PER_DOCUMENT
    centres = random.standard_normal((_CLUSTERS, _LATENT)) * 1.5
    into = random.standard_normal((_LATENT, DIMENSION)).astype(np.float32) / np.sqrt(_LATENT)
    cluster = random.integers(_CLUSTERS, size=documents)
    themes = centres[cluster] + random.standard_normal((documents, _LATENT)) * 0.7
    latent = np.repeat(themes, CHUNKS_PER_DOCUMENT, axis=0) + random.standard_normal((chunks, _LATENT)) * 0.5
    asked = centres[random.integers(_CLUSTERS, size=queries)] + random.standard_normal((queries, _LATENT)) * 0.86
    return Synthetic(_embedded(latent, into, random), _embedded(asked, into, random), themes[:, 0])


def _embedded(latent: NDArray[np.float64], into: Vectors, random: np.random.Generator) -> Vectors:
    found = np.empty((len(latent), DIMENSION), dtype=np.float32)
    for start in range(0, len(latent), 50_000):
        part = latent[start : start + 50_000].astype(np.float32) @ into
        part += random.standard_normal(part.shape, dtype=np.float32) * 0.1
        found[start : start + 50_000] = part / np.linalg.norm(part, axis=1, keepdims=True)
    return found


class Scripted:
    """Models whose embedding of the text `7` is the seventh query."""

    def __init__(self, queries: Vectors) -> None:
        self._queries = queries

    async def embed(self, call: ModelCall, texts: Sequence[str]) -> Embeddings:  # noqa: ARG002 -- the Protocol's
        """The vectors of numbered queries."""
        return Embeddings([self._queries[int(text)].tolist() for text in texts], "sha256:synthetic", Usage())

    async def complete(self, call: ModelCall, prompt: Prompt) -> Completion:
        """Never asked for."""
        raise NotImplementedError


class Loader:
    """Writes the collection `synthetic` straight into the tables, as an administrator of the database could."""

    def __init__(self, db: Database, keyring: Keyring, identity: Identity, behind: psycopg.Connection[Any]) -> None:
        """`behind` is a superuser's connection: row-level security does not bind it, and COPY is fast."""
        self._db = db
        self._keyring = keyring
        self._identity = identity
        self._behind = behind
        self.generation = new_id()
        self._collection = new_id()

    async def load(self, admin: Principal, made: Synthetic, seed: int) -> list[Readers]:
        """Everything but the index of vectors. The chunk in place n gets the id n + 1."""
        await self._keyring.ensure(self._db, admin.tenant)
        self._behind.execute("SET search_path = headworks, public")
        self._declare(admin, len(made.chunks))
        readable = _readable(made, seed)
        readers, groups = await self._people(admin, readable)
        documents = [new_id() for _ in made.direction]
        self._copy_documents(admin, documents)
        self._copy_readers(admin.tenant, documents, readable, groups)
        self._copy_chunks(admin.tenant, documents, len(made.chunks))
        self._copy_vectors(admin.tenant, documents, made.chunks)
        self._behind.execute("SELECT setval('chunk_chunk_id_seq', %s)", [len(made.chunks) + 1])
        self._behind.execute("VACUUM ANALYZE")
        return readers

    def _declare(self, admin: Principal, chunks: int) -> None:
        project = self._behind.execute("SELECT project_id FROM project WHERE tenant_id = %s", [admin.tenant]).fetchone()
        assert project is not None
        self._behind.execute(
            "INSERT INTO collection (tenant_id, collection_id, project_id, name, generation_id) "
            "VALUES (%s, %s, %s, 'synthetic', %s)",
            [admin.tenant, self._collection, project[0], self.generation],
        )
        self._behind.execute(
            "INSERT INTO generation (tenant_id, generation_id, collection_id, model, model_digest, dimension, vectors, "
            "chunking) VALUES (%s, %s, %s, 'simulated/vectors', 'sha256:synthetic', %s, %s, %s)",
            [admin.tenant, self.generation, self._collection, DIMENSION, chunks, '{"tokens": 200, "overlap": 1}'],
        )

    async def _people(
        self, admin: Principal, readable: dict[tuple[str, float], NDArray[np.bool_]]
    ) -> tuple[list[Readers], dict[tuple[str, float], UUID]]:
        readers: list[Readers] = []
        groups: dict[tuple[str, float], UUID] = {}
        for (variant, share), documents in readable.items():
            name = f"{variant}-{share:g}"
            group = await self._identity.create_group(admin, f"readers-{name}")
            made = await self._identity.create_principal(admin, name, groups=[f"readers-{name}"])
            groups[variant, share] = group.id
            principal = await self._identity.as_reader(admin, made.name)
            chunks = np.flatnonzero(np.repeat(documents, CHUNKS_PER_DOCUMENT))
            readers.append(Readers(principal, variant, share, chunks))
            self._behind.execute(
                "INSERT INTO collection_reader (tenant_id, collection_id, principal_id) VALUES (%s, %s, %s)",
                [admin.tenant, self._collection, group.id],
            )
        return readers, groups

    def _copy_documents(self, admin: Principal, documents: Sequence[UUID]) -> None:
        columns = (
            "tenant_id, document_id, collection_id, source, path, title, media_type, content_hash, version, "
            "restricted, handed_in_by, characters"
        )
        with self._behind.cursor().copy(f"COPY document ({columns}) FROM STDIN") as copy:
            for number, document in enumerate(documents):
                copy.write_row(
                    [admin.tenant, document, self._collection, "upload", f"{number}.md", f"Document {number}",
                     "text/markdown", "", 1, True, admin.id, 1000]
                )  # fmt: skip

    def _copy_readers(
        self,
        tenant: TenantId,
        documents: Sequence[UUID],
        readable: dict[tuple[str, float], NDArray[np.bool_]],
        groups: dict[tuple[str, float], UUID],
    ) -> None:
        with self._behind.cursor().copy(
            "COPY document_reader (tenant_id, document_id, principal_id) FROM STDIN"
        ) as copy:
            for key, chosen in readable.items():
                for number in np.flatnonzero(chosen):
                    copy.write_row([tenant, documents[number], groups[key]])

    def _copy_chunks(self, tenant: TenantId, documents: Sequence[UUID], chunks: int) -> None:
        payloads = Payloads(self._keyring, tenant)
        columns = (
            "tenant_id, chunk_id, collection_id, generation_id, document_id, ordinal, start_offset, end_offset, content"
        )
        with self._behind.cursor().copy(f"COPY chunk ({columns}) FROM STDIN") as copy:
            for number in range(chunks):
                document, ordinal = divmod(number, CHUNKS_PER_DOCUMENT)
                sealed = payloads.seal_chunk(number + 1, StoredChunk(f"Chunk {number}.", (), ""))
                copy.write_row(
                    [tenant, number + 1, self._collection, self.generation, documents[document], ordinal,
                     100 * ordinal, 100 * ordinal + 90, sealed]
                )  # fmt: skip

    def _copy_vectors(self, tenant: TenantId, documents: Sequence[UUID], vectors: Vectors) -> None:
        """In COPY's binary form, which numpy writes by the block."""
        row = np.dtype(
            [("fields", ">i2"), ("tenant_size", ">i4"), ("tenant", "V16"), ("generation_size", ">i4"),
             ("generation", "V16"), ("chunk_size", ">i4"), ("chunk", ">i8"), ("document_size", ">i4"),
             ("document", "V16"), ("vector_size", ">i4"), ("dimension", ">i2"), ("unused", ">i2"),
             ("vector", ">f2", (DIMENSION,))]
        )  # fmt: skip
        columns = "tenant_id, generation_id, chunk_id, document_id, vector"
        with self._behind.cursor().copy(f"COPY embedding ({columns}) FROM STDIN (FORMAT binary)") as copy:
            copy.write(b"PGCOPY\n\xff\r\n\0" + struct.pack(">ii", 0, 0))
            for start in range(0, len(vectors), 10_000):
                part = vectors[start : start + 10_000]
                rows = np.zeros(len(part), dtype=row)
                rows["fields"] = 5
                rows["tenant_size"] = rows["generation_size"] = rows["document_size"] = 16
                rows["chunk_size"], rows["vector_size"], rows["dimension"] = 8, 4 + 2 * DIMENSION, DIMENSION
                rows["tenant"], rows["generation"] = np.void(tenant.bytes), np.void(self.generation.bytes)
                rows["chunk"] = np.arange(start + 1, start + 1 + len(part))
                owners = b"".join(documents[(start + place) // CHUNKS_PER_DOCUMENT].bytes for place in range(len(part)))
                rows["document"] = np.frombuffer(owners, dtype="V16")
                rows["vector"] = part
                copy.write(rows.tobytes())
            copy.write(struct.pack(">h", -1))

    def load_postings(self, tenant: TenantId, chunks: int, seed: int) -> int:
        """Postings of as many chunks of 150 made-up words, by Zipf's law; the number of postings."""
        random = np.random.default_rng(seed)
        written = 0
        for start in range(0, chunks, _SEGMENT):
            segment = lexical.build_segment(_chunks(random, start, min(_SEGMENT, chunks - start)))
            found = self._behind.execute(
                "INSERT INTO posting_segment (tenant_id, collection_id, generation_id, chunks, total_length) "
                "VALUES (%s, %s, %s, %s, %s) RETURNING segment_id",
                [tenant, self._collection, self.generation, segment.chunks, segment.total_length],
            ).fetchone()
            assert found is not None
            with self._behind.cursor().copy(
                "COPY posting (tenant_id, collection_id, term, segment_id, block) FROM STDIN"
            ) as copy:
                for term, block in segment.blocks.items():
                    copy.write_row([tenant, self._collection, term, found[0], block])
                    written += len(lexical.unpack(block).chunks)
        return written


def _chunks(random: np.random.Generator, start: int, number: int) -> Iterator[tuple[int, list[str]]]:
    weights = 1 / np.arange(10, 10 + _WORDS)
    words = random.choice(_WORDS, size=(number, _WORDS_PER_CHUNK), p=weights / weights.sum())
    for place, row in enumerate(words.tolist()):
        yield start + place + 1, [f"word{word}" for word in row]


def _readable(made: Synthetic, seed: int) -> dict[tuple[str, float], NDArray[np.bool_]]:
    """Which documents each share of each variant is."""
    drawn = np.random.default_rng([seed, 1]).permutation(len(made.direction))
    by_meaning = np.argsort(np.argsort(made.direction))
    found: dict[tuple[str, float], NDArray[np.bool_]] = {}
    for share in SHARES:
        number = max(1, round(share * len(drawn)))
        found["random", share] = drawn < number
        if share < 1:
            found["meaning", share] = by_meaning < number
    return found

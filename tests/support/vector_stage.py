"""A generation with made-up vectors, written straight into the tables, and people who read a share of its documents."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import numpy as np
import psycopg
from numpy.typing import NDArray

from headworks.retrieval.indexing.nearest import Within
from headworks.storage.pool import Database
from headworks.types.identity import Principal
from headworks.types.ids import new_id

CHUNKS_PER_DOCUMENT = 10
Behind = psycopg.Connection[Any]


@dataclass
class VectorStage:
    """One tenant, one collection, one generation. Documents are numbered; a chunk's id is `first` plus its place."""

    db: Database
    behind: Behind
    tenant: UUID
    vectors: NDArray[np.float32]
    collection: UUID = field(default_factory=new_id)
    generation: UUID = field(default_factory=new_id)
    documents: list[UUID] = field(default_factory=list)
    first: int = 1

    @property
    def dimension(self) -> int:
        return self.vectors.shape[1]

    def within(self, principal: Principal, *, epoch: int = 1) -> Within:
        return Within(principal, self.collection, self.generation, epoch, self.dimension, len(self.vectors))

    def build(self) -> None:
        run = self.behind.execute
        project = new_id()
        run(
            "INSERT INTO project (tenant_id, project_id, name) VALUES (%s, %s, %s)",
            [self.tenant, project, str(project)],
        )
        run(
            "INSERT INTO collection (tenant_id, collection_id, project_id, name, generation_id) "
            "VALUES (%s, %s, %s, %s, %s)",
            [self.tenant, self.collection, project, f"c{self.collection}", self.generation],
        )
        self.add_generation(self.generation)
        number = len(self.vectors) // CHUNKS_PER_DOCUMENT
        self.documents = [new_id() for _ in range(number)]
        run(
            "INSERT INTO document (tenant_id, document_id, collection_id, source, path, title, media_type, "
            "content_hash, version, restricted, handed_in_by, characters) "
            "SELECT %s, d, %s, 'upload', d::text, '', '', '', 1, true, d, 9 FROM unnest(%s::uuid[]) AS d",
            [self.tenant, self.collection, self.documents],
        )
        row = run("SELECT coalesce(max(chunk_id), 0) + 1 FROM chunk").fetchone()
        assert row is not None
        self.first = row[0]
        self.put_vectors(self.generation, self.first)

    def add_generation(self, generation: UUID) -> None:
        self.behind.execute(
            "INSERT INTO generation (tenant_id, generation_id, collection_id, model, model_digest, dimension, vectors, "
            "chunking) VALUES (%s, %s, %s, 'simulated/vectors', 'sha256:made-up', %s, %s, '{}')",
            [self.tenant, generation, self.collection, self.dimension, len(self.vectors)],
        )

    def put_vectors(self, generation: UUID, first: int) -> None:
        ids = list(range(first, first + len(self.vectors)))
        owners = [self.documents[place // CHUNKS_PER_DOCUMENT] for place in range(len(ids))]
        self.behind.execute(
            "INSERT INTO chunk (tenant_id, chunk_id, collection_id, generation_id, document_id, ordinal, start_offset, "
            "end_offset, content) SELECT %s, c.id, %s, %s, c.document, c.id, 0, 1, '' "
            "FROM unnest(%s::bigint[], %s::uuid[]) AS c (id, document)",
            [self.tenant, self.collection, generation, ids, owners],
        )
        self.behind.execute(
            "INSERT INTO embedding (tenant_id, generation_id, chunk_id, document_id, vector) "
            "SELECT %s, %s, c.id, c.document, c.vector::halfvec "
            "FROM unnest(%s::bigint[], %s::uuid[], %s::text[]) AS c (id, document, vector)",
            [self.tenant, generation, ids, owners, [str(each.tolist()) for each in self.vectors]],
        )
        self.behind.execute("ANALYZE")

    def let_read(self, principal: Principal, documents: Sequence[int]) -> None:
        """The collection, and of its documents these."""
        self.behind.execute(
            "INSERT INTO collection_reader (tenant_id, collection_id, principal_id) VALUES (%s, %s, %s)",
            [self.tenant, self.collection, principal.id],
        )
        self.let_read_more(principal, documents)

    def let_read_more(self, principal: Principal, documents: Sequence[int]) -> None:
        self.behind.execute(
            "INSERT INTO document_reader (tenant_id, document_id, principal_id) "
            "SELECT %s, d, %s FROM unnest(%s::uuid[]) AS d",
            [self.tenant, principal.id, [self.documents[number] for number in documents]],
        )

    def chunks_of(self, documents: Sequence[int]) -> set[int]:
        return {
            self.first + document * CHUNKS_PER_DOCUMENT + place
            for document in documents
            for place in range(CHUNKS_PER_DOCUMENT)
        }

    def best(self, query: NDArray[np.float32], chunks: set[int], number: int) -> list[int]:
        """By the numbers, nearest first."""
        ids = np.array(sorted(chunks), dtype=np.int64)
        similarity = self.vectors[ids - self.first].astype(np.float16).astype(np.float32) @ query
        return [int(each) for each in ids[np.argsort(-similarity, kind="stable")][:number]]


def made_up(chunks: int, dimension: int, seed: int = 0) -> NDArray[np.float32]:
    """Vectors of length 1 around a few themes."""
    random = np.random.default_rng(seed)
    themes = random.standard_normal((20, dimension))
    found = themes[random.integers(20, size=chunks)] + 0.6 * random.standard_normal((chunks, dimension))
    unit: NDArray[np.float32] = (found / np.linalg.norm(found, axis=1, keepdims=True)).astype(np.float32)
    return unit


def as_text(vector: NDArray[np.float32]) -> str:
    return str(vector.tolist())

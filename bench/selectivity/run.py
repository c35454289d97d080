"""Recall of the vector leg by how much the caller may read, through the product's own search, with its policies.

    python bench/selectivity/run.py [--chunks 100000 | --million] [--queries 100] [--json]

Starts the embedded PostgreSQL as `headworks up` does, writes made-up vectors of a latent mixture with documents and
readers (see world.py), has maintenance build the index, and asks as people who may read 0.1, 1, 10, 50 and 100 % of the
documents: at random, and along a direction of the vectors, where what may be read is mostly not what is asked about.
Each answer is compared with the ten nearest readable chunks by numpy. Beside it stands what the same index gives when
the planner and pgvector's settings are left alone. Exit status 1 where recall at 10 is below .95, or an index is too
large.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any
from uuid import UUID

import numpy as np
import psycopg
from world import CHUNKS_PER_DOCUMENT, DIMENSION, Loader, Readers, Scripted, Synthetic, synthetic

from headworks.cli.terminal import table
from headworks.config import RetrievalServerSettings
from headworks.identity.service import Identity
from headworks.jobs.engine import Jobs
from headworks.retrieval.indexing import nearest
from headworks.retrieval.indexing.nearest import index_name
from headworks.retrieval.indexing.vector_index import VectorIndexes
from headworks.retrieval.service import Retrieval
from headworks.retrieval.store import vector_text
from headworks.storage.embedded import EmbeddedPostgres
from headworks.storage.pool import Database, DatabaseUrls, owner_connection
from headworks.storage.prepare import prepare
from headworks.storage.roles import derive_urls
from headworks.storage.sealing import Keyring
from headworks.types.identity import ShownKey

_SEED = 20_261_123
_K = 10
_RECALL_BAR = 0.95
_BYTES_BAR = {"vectors": 2e9, "postings": 1e9}
"""Per million chunks."""
_POSTINGS_OF = 20_000
_MASTER_KEY = bytes(range(32))
_PEPPER = b"pepper of tokens of this bench.."
_TICK_S = 1 / os.sysconf("SC_CLK_TCK")
_PLANNERS = """
SELECT e.chunk_id FROM embedding e
 WHERE e.tenant_id = %(tenant)s AND e.generation_id = %(generation)s
 ORDER BY halfvec(e.vector, %(dimension)s::integer, true) <#> %(vector)s::halfvec LIMIT %(limit)s
"""


@contextmanager
def server() -> Iterator[DatabaseUrls]:
    """A PostgreSQL with an empty, migrated database; gone afterwards."""
    folder = Path(tempfile.mkdtemp(prefix="headworks-bench-"))
    folder.chmod(0o711)
    postgres = EmbeddedPostgres(folder / "data")
    try:
        urls = derive_urls(postgres.start().url("headworks"), _MASTER_KEY)
        prepare(urls, create_database=True)
        yield urls
    finally:
        postgres.stop()
        shutil.rmtree(folder, ignore_errors=True)


def cpu_s(pid: int) -> float:
    """What a process has used so far."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) * _TICK_S


class Bench:
    """One database, loaded and indexed; asked in cells."""

    def __init__(self, db: Database, made: Synthetic, retrieval: Retrieval, loader: Loader) -> None:
        self._db = db
        self._made = made
        self._retrieval = retrieval
        self._loader = loader

    async def cell(self, readers: Readers, queries: int) -> dict[str, Any]:
        """As one reader: recall, wall time and CPU of the backend a query; what the planner gives beside it."""
        async with self._db.tx(readers.principal) as tx:
            pid = await tx.fetch_value("SELECT pg_backend_pid()")
        nearest_of = [self._nearest(readers, number) for number in range(queries)]
        recalls, walls = [], []
        begun, before = time.perf_counter(), 0.0
        for number in range(-1, queries):
            if number == 0:
                first_s, before = time.perf_counter() - begun, cpu_s(pid)
            begun = time.perf_counter()
            found = await self._retrieval.search(
                readers.principal, "synthetic", str(max(number, 0)), _K, ranking="vectors"
            )
            if number >= 0:
                walls.append(time.perf_counter() - begun)
                places = {int(each.path[:-3]) * CHUNKS_PER_DOCUMENT + each.chunk for each in found.passages}
                recalls.append(len(places & nearest_of[number]) / len(nearest_of[number]))
        spent = cpu_s(pid) - before
        return {
            "variant": readers.variant,
            "share": readers.share,
            "readable": len(readers.chunks),
            "way": nearest.chosen_way(len(self._made.chunks), len(readers.chunks), 100, has_index=True),
            "recall": round(float(np.mean(recalls)), 4),
            "p50_ms": round(float(np.quantile(walls, 0.5)) * 1000, 1),
            "p95_ms": round(float(np.quantile(walls, 0.95)) * 1000, 1),
            "cpu_ms": round(spent / queries * 1000, 1),
            "first_ms": round(first_s * 1000, 1),
        } | await self._by_the_planner(readers, nearest_of[: min(20, queries)])

    def _nearest(self, readers: Readers, number: int) -> set[int]:
        similarity = (self._made.chunks @ self._made.queries[number])[readers.chunks]  # no copy of all vectors
        best = np.argpartition(-similarity, min(_K, len(similarity)) - 1)[:_K]
        return {int(each) for each in readers.chunks[best]}

    async def _by_the_planner(self, readers: Readers, nearest_of: list[set[int]]) -> dict[str, Any]:
        recalls, fewest = [], _K
        for number, expected in enumerate(nearest_of):
            async with self._db.tx(readers.principal) as tx:
                rows = await tx.fetch_all(
                    _PLANNERS,
                    tenant=readers.principal.tenant,
                    generation=self._loader.generation,
                    dimension=DIMENSION,
                    vector=vector_text(self._made.queries[number]),
                    limit=_K,
                )
            fewest = min(fewest, len(rows))
            recalls.append(len({row.chunk_id - 1 for row in rows} & expected) / len(expected))
        return {"planner_recall": round(float(np.mean(recalls)), 4), "planner_fewest": fewest}


def sizes(urls: DatabaseUrls, generation: UUID, chunks: int, posting_chunks: int) -> dict[str, Any]:
    """Bytes on disk, and per million chunks."""
    with psycopg.connect(urls.owner) as connection:
        row = connection.execute(
            "SELECT pg_table_size('headworks.embedding'), pg_indexes_size('headworks.embedding'), "
            "pg_relation_size(to_regclass(%s)), pg_total_relation_size('headworks.posting')",
            [f"headworks.{index_name(generation)}"],
        ).fetchone()
    assert row is not None
    table_bytes, index_bytes, hnsw_bytes, posting_bytes = row
    return {
        "table": table_bytes,
        "hnsw": hnsw_bytes,
        "other_indexes": index_bytes - hnsw_bytes,
        "vectors_per_million": round((table_bytes + index_bytes) / chunks * 1e6),
        "postings_per_million": round(posting_bytes / posting_chunks * 1e6),
    }


async def measure(urls: DatabaseUrls, chunks: int, queries: int) -> dict[str, Any]:
    """Load, index, ask."""
    made = synthetic(chunks, queries, _SEED)
    async with Database(urls, pool_size=1, statement_timeout_s=300) as db:
        keyring = Keyring(_MASTER_KEY)
        identity = Identity(db, keyring, _PEPPER)
        founded = await identity.bootstrap()
        assert founded is not None
        async with db.system("bench") as tx:
            admin = (await identity.load(tx)).authenticate(ShownKey(founded.key), time.time())
        with psycopg.connect(urls.owner, autocommit=True) as behind:
            loader = Loader(db, keyring, identity, behind)
            begun = time.monotonic()
            readers = await loader.load(admin, made, _SEED)
            loaded_s = time.monotonic() - begun
            posting_chunks = min(chunks, _POSTINGS_OF)
            postings = loader.load_postings(admin.tenant, posting_chunks, _SEED)
        begun = time.monotonic()
        built = await VectorIndexes(db, identity, partial(owner_connection, urls)).keep(admin.tenant)
        built_s = time.monotonic() - begun
        retrieval = Retrieval(db, keyring, Scripted(made.queries), Jobs(urls.app), identity, RetrievalServerSettings())
        bench = Bench(db, made, retrieval, loader)
        cells = []
        for each in readers:
            cells.append(await bench.cell(each, queries))
            print(f"{each.variant} {each.share:.1%}: {cells[-1]}", file=sys.stderr)
        return {
            "chunks": chunks,
            "queries": queries,
            "loaded_s": round(loaded_s, 1),
            "indexes_built": built,
            "index_built_s": round(built_s, 1),
            "postings_per_chunk": round(postings / posting_chunks, 1),
            "cells": cells,
            "bytes": sizes(urls, loader.generation, chunks, posting_chunks),
        }


def show(found: dict[str, Any]) -> None:
    """As a table."""
    heads = ["readable", "share", "drawn", "way", "recall@10", "p50 ms", "p95 ms", "CPU ms", "first ms", "planner's"]
    rows = [
        [
            f"{each['readable']:,}", f"{each['share']:.1%}", each["variant"], each["way"], f"{each['recall']:.3f}",
            f"{each['p50_ms']}", f"{each['p95_ms']}", f"{each['cpu_ms']}", f"{each['first_ms']}",
            f"{each['planner_recall']:.3f} (≥ {each['planner_fewest']} found)",
        ]
        for each in found["cells"]
    ]  # fmt: skip
    print(f"{found['chunks']:,} chunks, {found['queries']} queries a row; index built in {found['index_built_s']} s")
    print(table(heads, rows))
    for kind, bar in _BYTES_BAR.items():
        print(f"{kind}: {found['bytes'][f'{kind}_per_million'] / 1e9:.2f} GB per million chunks (goal {bar / 1e9:.0f})")


def main() -> int:
    """Exit status 1 below the bars."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--chunks", type=int, default=100_000)
    parser.add_argument("--million", action="store_true", help="a million chunks: about 4 GB of disk and 15 minutes")
    parser.add_argument("--queries", type=int, default=100)
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    with server() as urls:
        found = asyncio.run(measure(urls, 1_000_000 if given.million else given.chunks, given.queries))
    if given.json:
        print(json.dumps(found, indent=2))
    else:
        show(found)
    is_good = all(each["recall"] >= _RECALL_BAR for each in found["cells"])
    is_small = all(found["bytes"][f"{kind}_per_million"] <= bar for kind, bar in _BYTES_BAR.items())
    return 0 if is_good and is_small else 1


if __name__ == "__main__":
    sys.exit(main())

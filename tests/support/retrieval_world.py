"""A tenant with people, collections and documents, on a real database; durable work runs where the test says so."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import orjson
import psycopg

from headworks.config import RetrievalServerSettings
from headworks.errors import DocumentUnreadable, ModelMissing
from headworks.identity.contract import KeyRequest
from headworks.identity.service import Identity
from headworks.jobs.engine import Jobs, Run
from headworks.retrieval.contract import Item, Progress, SearchResult
from headworks.retrieval.indexing.vector_index import Owner
from headworks.retrieval.ingestion.working import Parsers
from headworks.retrieval.parsers import html, markdown, plain
from headworks.retrieval.parsers.contract import ParsedDocument
from headworks.retrieval.passages import lexical
from headworks.retrieval.service import HandedIn, Retrieval
from headworks.retrieval.sources.syncing import Opener
from headworks.storage.pool import Database
from headworks.storage.sealing import Keyring
from headworks.types.identity import Principal, ShownKey
from headworks.types.models import Completion, Embeddings, ModelCall, Prompt, Relevances, Usage
from headworks.types.workspace import ChunkingSpec, CollectionSpec

PEPPER = b"pepper of the tests of retrieval"
_KEEP_STEP = """
INSERT INTO dbos.operation_outputs (workflow_uuid, function_id, function_name, output, retention_timestamp)
VALUES (%s, %s, %s, %s, 0) ON CONFLICT DO NOTHING
"""


@dataclass
class WordVectors:
    """An embedding model of our own: each stem has a random direction, a text is their sum. It can be missing."""

    digest: str = "sha256:words-1"
    is_missing: bool = False
    calls: list[tuple[str, str, int]] = field(default_factory=list)
    answers: list[str] = field(default_factory=list)
    """What completions say, one after the other."""
    ranks_by: Callable[[Sequence[str]], list[float]] | None = None
    """The scores that reranking gives texts."""
    asked: list[tuple[ModelCall, Prompt]] = field(default_factory=list)

    async def embed(self, call: ModelCall, texts: Sequence[str]) -> Embeddings:
        if self.is_missing:
            raise ModelMissing(f"{call.model} is not installed.")
        self.calls.append((call.principal.name, call.purpose, len(texts)))
        return Embeddings([self._vector(text) for text in texts], self.digest, Usage())

    async def complete(self, call: ModelCall, prompt: Prompt) -> Completion:
        if not self.answers:
            raise ModelMissing("Nothing was scripted.")
        self.asked.append((call, prompt))
        return Completion(self.answers.pop(0), "stop", Usage())

    async def rerank(self, call: ModelCall, query: str, texts: Sequence[str]) -> Relevances:
        if self.ranks_by is None:
            raise ModelMissing("Nothing was scripted.")
        self.asked.append((call, Prompt((), question=query)))
        return Relevances(self.ranks_by(texts), Usage())

    def _vector(self, text: str) -> list[float]:
        total = np.full(384, 1e-6)
        for term in lexical.terms(text):
            seed = int.from_bytes(hashlib.sha256(f"{self.digest} {term}".encode()).digest()[:8], "big")
            total += np.random.default_rng(seed).standard_normal(384)
        unit: list[float] = (total / np.linalg.norm(total)).tolist()
        return unit


class InlineParsers:
    """The parsers of text formats, without the processes around them."""

    async def parse(self, name: str, data: bytes, *, ocr: bool = False) -> ParsedDocument:  # noqa: ARG002 -- of others
        if not data:
            raise DocumentUnreadable("The file is empty.", code="empty")
        for ending, parser in ((".md", markdown.parse), (".html", html.parse), (".txt", plain.parse)):
            if name.endswith(ending):
                return parser(name, data)
        raise DocumentUnreadable("No parser knows this kind of file.", code="unsupported")


@dataclass(frozen=True)
class InlineRun(Run):
    """A run whose steps are simply done."""

    results: list[tuple[str, str]] = field(default_factory=list)
    """Of each step its name and what it returned, as JSON: what DBOS keeps."""

    async def step(self, name: str, action: Any, *arguments: Any, attempts: int = 1) -> Any:  # noqa: ARG002 -- as Run
        result = orjson.dumps(await action(*arguments))
        self.results.append((name, result.decode()))
        return orjson.loads(result)


class InlineJobs(Jobs):
    """Durable work without DBOS's process: `drain` does what is queued, in order, or the first of it."""

    async def drain(self, connection: psycopg.Connection[Any], most: int | None = None) -> int:
        done = 0
        while done != most and (
            rows := connection.execute(
                "SELECT s.workflow_uuid, s.name, i.inputs FROM dbos.workflow_status s JOIN dbos.workflow_input i "
                "USING (workflow_uuid) WHERE s.status = 'ENQUEUED' ORDER BY s.created_at, s.workflow_uuid LIMIT 1"
            ).fetchall()
        ):
            for workflow, name, inputs in rows:
                connection.execute(
                    "UPDATE dbos.workflow_status SET status = 'SUCCESS' WHERE workflow_uuid = %s", [workflow]
                )
                run = InlineRun(workflow)
                try:
                    await self._works[name](run, *orjson.loads(inputs)["positionalArgs"])
                finally:
                    connection.cursor().executemany(
                        _KEEP_STEP, [(workflow, n, *each) for n, each in enumerate(run.results)]
                    )
                done += 1
        return done


@dataclass
class World:
    """Everything that a test of retrieval touches."""

    db: Database
    keyring: Keyring
    identity: Identity
    models: WordVectors
    jobs: InlineJobs
    retrieval: Retrieval
    admin: Principal
    behind: psycopg.Connection[Any]
    """A connection that no policy binds."""

    async def principal(self, token: str) -> Principal:
        async with self.db.system("test") as tx:
            table = await self.identity.load(tx)
        return table.authenticate(ShownKey(token), time.time())

    async def person(self, name: str, *groups: str, maker: Principal | None = None, **key: Any) -> Principal:
        """A user in these groups (made where they are missing), asking by a key of its own."""
        maker = maker or self.admin
        there = {each.name for each in await self.identity.list_principals(maker)}
        for group in groups:
            if group not in there:
                await self.identity.create_group(maker, group)
        if name not in there:
            await self.identity.create_principal(maker, name, groups=groups)
        return await self.key(name, maker=maker, **key)

    async def key(self, name: str, *, maker: Principal | None = None, **request: Any) -> Principal:
        new = await self.identity.create_key(maker or self.admin, KeyRequest(principal=name, **request))
        return await self.principal(new.token)

    async def tenant(self, name: str) -> Principal:
        """Another tenant's administrator."""
        founded = await self.identity.create_tenant(self.admin, name)
        return await self.principal(founded.key)

    async def collection(
        self,
        name: str,
        *readers: str,
        documents: Sequence[tuple[str, tuple[str, ...]]] = (),
        maker: Principal | None = None,
        **spec: Any,
    ) -> None:
        maker = maker or self.admin
        project = await self.identity.find_project(maker, "default")
        wanted = CollectionSpec(name, "", readers, tuple(documents), ChunkingSpec(), "builtin/minilm", f"{name}.yaml:1")
        await self.retrieval.declare(maker, project.id, [replace(wanted, **spec)])

    async def hand_in(self, collection: str, path: str, text: str | bytes, **more: Any) -> Item:
        by = more.pop("by", self.admin)
        data = text.encode() if isinstance(text, str) else text
        return await self.retrieval.hand_in(by, collection, HandedIn(path, data, **more))

    async def drain(self) -> int:
        """Do the durable work that waits."""
        return await self.jobs.drain(self.behind)

    async def add(self, collection: str, path: str, text: str | bytes, **more: Any) -> None:
        await self.hand_in(collection, path, text, **more)
        await self.drain()

    async def search(self, who: Principal, collection: str, query: str, k: int = 10) -> SearchResult:
        return await self.retrieval.search(who, collection, query, k)

    async def found(self, who: Principal, collection: str, query: str, k: int = 10) -> list[str]:
        return [each.path for each in (await self.search(who, collection, query, k)).passages]

    async def progress(self, collection: str, who: Principal | None = None) -> Progress:
        return await self.retrieval.progress(who or self.admin, collection=collection)

    def count(self, table: str, where: str = "true") -> int:
        row = self.behind.execute(f"SELECT count(*) FROM {table} WHERE {where}").fetchone()  # type: ignore[call-overload]
        return int(row[0])


async def make_world(
    database: Database,
    keyring: Keyring,
    behind: psycopg.Connection[Any],
    parsers: Parsers | None = None,
    openers: Mapping[str, Opener] | None = None,
    owner: Owner | None = None,
    max_file_mb: int = 1,
) -> World:
    identity = Identity(database, keyring, PEPPER)
    founded = await identity.bootstrap()
    assert founded is not None
    models, jobs = WordVectors(), InlineJobs()
    settings = RetrievalServerSettings(max_file_mb=max_file_mb)
    retrieval = Retrieval(database, keyring, models, jobs, identity, settings, openers=openers)
    retrieval.register_work(parsers or InlineParsers(), owner)
    async with database.system("test") as tx:
        admin = (await identity.load(tx)).authenticate(ShownKey(founded.key), time.time())
    return World(database, keyring, identity, models, jobs, retrieval, admin, behind)

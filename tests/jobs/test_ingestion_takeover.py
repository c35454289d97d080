"""kill -9 in the middle of an ingestion: another process goes on, nothing acknowledged is lost or doubled."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import psycopg
import pytest

from headworks.config import RetrievalServerSettings
from headworks.identity.service import Identity
from headworks.jobs.engine import Jobs
from headworks.retrieval.service import HandedIn, Retrieval
from headworks.storage.pool import Database, DatabaseUrls
from headworks.storage.sealing import Keyring
from headworks.types.identity import Principal
from headworks.types.models import Models
from headworks.types.workspace import ChunkingSpec, CollectionSpec

from .conftest import until

_PROGRAM = Path(__file__).with_name("ingesting.py")
_MASTER = bytes(range(32))


@pytest.fixture
def start_ingesting(database_urls: DatabaseUrls) -> Iterator[Any]:
    """Starts a jobs process, and returns when it takes work."""
    started: list[subprocess.Popen[str]] = []

    def start() -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, str(_PROGRAM)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        started.append(process)
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(json.dumps({"urls": asdict(database_urls), "master": _MASTER.hex()}))
        process.stdin.close()
        assert process.stdout.readline() == "working\n"
        return process

    yield start
    for process in started:
        process.kill()
        process.wait()
        if process.stdout is not None:
            process.stdout.close()


class _NoModels:
    """The process that hands in calls no model."""


async def _retrieval(db: Database, keyring: Keyring, models: Models) -> tuple[Retrieval, Principal]:
    identity = Identity(db, keyring, b"pepper of a process of the tests")
    await identity.bootstrap()
    admin = await identity.operator()
    retrieval = Retrieval(db, keyring, models, Jobs(), identity, RetrievalServerSettings())
    project = await identity.find_project(admin, "default")
    spec = CollectionSpec("handbook", "", ("everyone",), (), ChunkingSpec(), "builtin/minilm", "handbook.yaml:1")
    await retrieval.declare(admin, project.id, [spec])
    return retrieval, admin


def _text(number: int) -> bytes:
    sections = "\n\n".join(f"## Part {part}\n\nHeron {number} of part {part} waits." for part in range(20))
    return f"# Note {number}\n\n{sections}".encode()


async def test_nothing_acknowledged_is_lost_or_doubled_by_kill_9(
    database: Database, as_superuser: psycopg.Connection[Any], keyring: Keyring, start_ingesting: Any
) -> None:
    retrieval, admin = await _retrieval(database, keyring, _NoModels())  # type: ignore[arg-type]

    def count(table: str, where: str = "true") -> int:
        row = as_superuser.execute(f"SELECT count(*) FROM {table} WHERE {where}").fetchone()  # type: ignore[call-overload]
        return int(row[0])

    for number in range(40):
        await retrieval.hand_in(admin, "handbook", HandedIn(f"{number}.md", _text(number)))
    await retrieval.hand_in(admin, "handbook", HandedIn("broken.pdf", b"%PDF-1.7 no more"))
    for turn in (1, 2):
        process = start_ingesting()
        until(lambda turn=turn: count("ingest_item", "state = 'done'") >= 32 * turn - 31)
        process.kill()
        process.wait()
        await retrieval.hand_in(admin, "handbook", HandedIn(f"late-{turn}.md", _text(100 + turn)))
        await retrieval.hand_in(admin, "handbook", HandedIn("0.md", _text(200 + turn)))
    assert count("ingest_item", "state = 'queued'") > 0, "it was killed in the middle"
    process = start_ingesting()
    until(lambda: count("ingest_item", "state = 'queued'") == 0, within_s=90)
    assert process.wait(60) == 0
    assert count("dbos.workflow_status", "status NOT IN ('SUCCESS')") == 0
    assert count("document", "tombstoned_at IS NULL") == 42
    assert count("blob") == 43, "one for each document, and the one that failed"
    (versions,) = as_superuser.execute("SELECT sum(version) FROM document").fetchone() or (0,)
    assert count("document_text") == count("document_version") == versions >= 43, "each version once"
    parts = as_superuser.execute(
        "SELECT document_id, count(*), count(DISTINCT ordinal) FROM chunk GROUP BY 1"
    ).fetchall()
    assert {(chunks, ordinals) for _, chunks, ordinals in parts} == {(20, 20)}
    assert len(parts) == 42
    assert count("embedding") == count("chunk") == 42 * 20
    assert count("collection", "lacks_vectors") == 0
    progress = await retrieval.progress(admin, collection="handbook")
    assert progress.total == progress.done == 45
    assert [(each.path, each.code) for each in progress.failed] == [("broken.pdf", "corrupt")]
    (newest,) = as_superuser.execute("SELECT document_id, version FROM document WHERE path = '0.md'").fetchall()
    assert "Heron 202 of" in (await retrieval.document(admin, newest[0])).text

"""kill -9 in the middle of an ingestion: another process goes on, nothing acknowledged is lost or doubled."""

from __future__ import annotations

from typing import Any

import psycopg

from headworks.config import RetrievalServerSettings
from headworks.identity.service import Identity
from headworks.jobs.engine import Jobs
from headworks.retrieval.contract import Item
from headworks.retrieval.service import HandedIn, Retrieval
from headworks.storage.pool import Database
from headworks.storage.sealing import Keyring
from headworks.types.identity import Principal
from headworks.types.models import Models
from headworks.types.workspace import ChunkingSpec, CollectionSpec

from .conftest import StartIngesting, is_waited_for, until

_QUEUED, _TAKEN, _DONE = (("ingest_item", each) for each in ("state = 'queued'", "attempts > 0", "state = 'done'"))
_KILLED_AT = (
    # All of the first batch is written but its vectors; nothing of it is committed.
    ("LOCK TABLE embedding IN EXCLUSIVE MODE", {_QUEUED: 161, _TAKEN: 128, ("document",): 0}),
    # The first batch is done but for what is broken, and the second is about to be taken.
    ("SELECT FROM ingest_item WHERE path = '159.md' FOR UPDATE", {_QUEUED: 34, _DONE: 127, ("document",): 127}),
)
"""What holds a process up in each turn, and how many rows there are when it is killed."""


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
    sections = "\n\n".join(f"## Part {part}\n\nHeron {number} of part {part} waits." for part in range(4))
    return f"# Note {number}\n\n{sections}".encode()


async def test_nothing_acknowledged_is_lost_or_doubled_by_kill_9(
    database: Database, as_superuser: psycopg.Connection[Any], keyring: Keyring, start_ingesting: StartIngesting
) -> None:
    retrieval, admin = await _retrieval(database, keyring, _NoModels())  # type: ignore[arg-type]

    def count(table: str, where: str = "true") -> int:
        row = as_superuser.execute(f"SELECT count(*) FROM {table} WHERE {where}").fetchone()  # type: ignore[call-overload]
        return int(row[0])

    files = [HandedIn(f"{number}.md", _text(number)) for number in range(160)]
    files.insert(20, HandedIn("broken.pdf", b"%PDF-1.7 no more"))
    taken = await retrieval.ingestion.hand_in_several(admin, "handbook", files)
    assert {each.state for each in taken if isinstance(each, Item)} == {"queued"}
    for turn, (held, expected) in enumerate(_KILLED_AT, 1):
        with as_superuser.transaction():  # what is held stops the process at this point, however fast it is
            as_superuser.execute(held)
            process = start_ingesting()
            until(lambda: is_waited_for(as_superuser), within_s=90)
            process.kill()
            process.wait()
            assert {what: count(*what) for what in expected} == expected
        await retrieval.hand_in(admin, "handbook", HandedIn(f"late-{turn}.md", _text(100 + turn)))
        await retrieval.hand_in(admin, "handbook", HandedIn("0.md", _text(200 + turn)))
    process = start_ingesting()
    until(lambda: count("ingest_item", "state = 'queued'") == 0, within_s=90)
    assert process.wait(60) == 0
    assert count("dbos.workflow_status", "status NOT IN ('SUCCESS')") == 0
    assert count("document", "tombstoned_at IS NULL") == 162
    assert count("blob") == 163, "one for each document, and the one that failed"
    (versions,) = as_superuser.execute("SELECT sum(version) FROM document").fetchone() or (0,)
    assert count("document_text") == count("document_version") == versions >= 162, "each version once"
    parts = as_superuser.execute(
        "SELECT document_id, count(*), count(DISTINCT ordinal) FROM chunk GROUP BY 1"
    ).fetchall()
    assert {(chunks, ordinals) for _, chunks, ordinals in parts} == {(4, 4)}
    assert len(parts) == 162
    assert count("embedding") == count("chunk") == 162 * 4
    assert count("collection", "lacks_vectors") == 0
    progress = await retrieval.progress(admin, collection="handbook")
    assert progress.total == progress.done == 165
    assert [(each.path, each.code) for each in progress.failed] == [("broken.pdf", "corrupt")]
    (newest,) = as_superuser.execute("SELECT document_id, version FROM document WHERE path = '0.md'").fetchall()
    assert "Heron 202 of" in (await retrieval.document(admin, newest[0])).text

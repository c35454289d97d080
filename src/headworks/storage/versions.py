"""Which versions of the schema this code knows."""

from __future__ import annotations

import functools
import hashlib
import importlib.metadata
from pathlib import Path
from typing import Any

import psycopg

_VERSIONS = Path(__file__).parent / "migrations" / "versions"


@functools.cache
def known_revisions() -> tuple[str, ...]:
    """The numbers of all migrations, oldest first."""
    return tuple(sorted(path.stem.split("_", 1)[0] for path in _VERSIONS.glob("[0-9]*.sql")))


@functools.cache
def expected_stamp() -> str:
    """What a migrated database says about itself, in the comment on its schema `headworks`."""
    return f"{schema_stamp(known_revisions()[-1])}, dbos {importlib.metadata.version('dbos')}"


def schema_stamp(revision: str) -> str:
    """The stamp's part about our own tables: the migration's number, and what it said when it was run."""
    (body,) = _VERSIONS.glob(f"{revision}_*.sql")
    return f"headworks {revision} ({hashlib.sha256(body.read_bytes()).hexdigest()[:12]})"


def read_stamp(connection: psycopg.Connection[Any]) -> str | None:
    """What this database says about itself; None where it was never migrated."""
    row = connection.execute("SELECT obj_description(to_regnamespace('headworks')::oid)").fetchone()
    return None if row is None else row[0]

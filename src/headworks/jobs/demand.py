"""Whether durable work waits: asked by the supervisor each second, so nothing heavy is imported here."""

from __future__ import annotations

from typing import Any

import psycopg

from headworks.jobs.pulse import STALE_S
from headworks.storage import queries

_sql = queries.load("headworks.jobs")


def has_work(connection: psycopg.Connection[Any]) -> bool:
    """Whether a jobs process should be started: work is queued or due, or its process no longer beats."""
    row = connection.execute(_sql.has_work, {"stale_s": STALE_S}).fetchone()
    return bool(row and row[0])

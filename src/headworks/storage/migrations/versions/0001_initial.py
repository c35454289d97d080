"""The first schema."""  # noqa: INP001 -- Alembic reads versions by path and orders them by number

from __future__ import annotations

from headworks.storage.migrations.bodies import run_sql_beside

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Make everything."""
    run_sql_beside(__file__)

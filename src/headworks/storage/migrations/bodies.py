"""A migration's body is the SQL file beside it."""

from __future__ import annotations

from pathlib import Path


def run_sql_beside(module: str) -> None:
    """Execute the file with this migration's name and the ending `.sql`, as it stands, in the current transaction."""
    from alembic import op

    driver = op.get_bind().connection.driver_connection
    assert driver is not None  # noqa: S101 -- migrations are run online only
    driver.execute(Path(module).with_suffix(".sql").read_bytes())

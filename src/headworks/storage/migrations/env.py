"""Alembic's entry: run on the connection that `storage.migrate` hands over, inside its transaction."""

from __future__ import annotations

from alembic import context

context.configure(
    connection=context.config.attributes["connection"],
    version_table_schema="headworks",
    transaction_per_migration=False,
)
with context.begin_transaction():
    context.run_migrations()

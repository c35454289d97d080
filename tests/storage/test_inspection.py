from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from headworks.errors import StartupRefused
from headworks.storage.embedded import Cluster
from headworks.storage.inspection import describe_server, suitable_pgvector


def server_that_says(version: int, pgvector: str | None) -> Any:
    """Other versions than those at hand, as far as they are asked."""
    rows = SimpleNamespace(fetchone=lambda: None if pgvector is None else (pgvector,))
    return SimpleNamespace(info=SimpleNamespace(server_version=version), execute=lambda _: rows)


def test_a_server_that_will_do_is_described(cluster: Cluster) -> None:
    assert describe_server(cluster.url("postgres")) == "version 18 with pgvector 0.8.5"


def test_a_server_that_does_not_answer_is_refused_without_its_password(tmp_path: Path) -> None:
    with pytest.raises(StartupRefused, match=r"can't be reached: .*DATABASE_URL") as refused:
        describe_server(f"postgresql://somebody:secret@/claims?host={tmp_path}")
    assert "secret" not in str(refused.value)


def test_a_url_that_is_none_is_refused() -> None:
    with pytest.raises(StartupRefused, match="can't be reached"):
        describe_server("mysql://root@localhost/claims")


@pytest.mark.parametrize(
    ("version", "pgvector", "message"),
    [
        (140_012, "0.8.0", "This database is PostgreSQL 14; Headworks needs 15 or later"),
        (150_018, None, "This PostgreSQL 15 has no pgvector.*`postgresql-15-pgvector`"),
        (170_002, "0.6.2", r"has pgvector 0\.6\.2; Headworks needs 0\.7 or later.*ALTER EXTENSION vector UPDATE"),
    ],
)
def test_what_is_too_old_or_missing_is_refused_with_what_to_do(
    version: int, pgvector: str | None, message: str
) -> None:
    with pytest.raises(StartupRefused, match=message):
        suitable_pgvector(server_that_says(version, pgvector))


@pytest.mark.parametrize("pgvector", ["0.7.0", "0.10.1", "1.0.0"])
def test_newer_versions_of_pgvector_will_do(pgvector: str) -> None:
    assert suitable_pgvector(server_that_says(150_000, pgvector)) == pgvector

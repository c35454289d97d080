"""The documents of `examples/health-plan` in a tenant of their own on the shared server."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import pytest
from running_server import CLEAN, Server

FOLDER = Path(__file__).parents[2] / "examples" / "health-plan"


@dataclass(frozen=True)
class Plan:
    """Where the health plan's feature answers, and a key that may ask it."""

    url: str
    key: str

    @property
    def environ(self) -> dict[str, str]:
        """What an example reads."""
        return CLEAN | {"HEADWORKS_URL": self.url, "HEADWORKS_API_KEY": self.key}


def files_of(folder: Path) -> dict[str, str]:
    """A workspace as `apply` takes it."""
    return {str(path.relative_to(folder)): path.read_text() for path in sorted(folder.rglob("*")) if path.is_file()}


@pytest.fixture(scope="session")
def plan(server: Server) -> Plan:
    """Applied and ingested by the tenant's administrator."""
    founded = server.must("POST", "/api/tenants", {"name": "health-plan"})
    key = founded["admin_key"]
    server.must("POST", "/api/groups", {"name": "special-investigations"}, key=key)
    server.must("POST", "/api/workspace/apply", {"files": files_of(FOLDER / "workspace")}, key=key)
    done = server.cli("ingest", "plan-documents", str(FOLDER / "documents"), "--json", key=key)
    report = json.loads(done.stdout)
    assert (report["documents"], report["failed"]) == (20, [])
    return Plan(server.url, key)

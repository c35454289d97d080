"""A server's upkeep removes the responses of all tenants whose time is up."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import msgspec
import psycopg

from headworks.app import upkeep
from headworks.config import Settings
from headworks.gateway.stored.service import StoredResponses
from headworks.identity.service import Identity
from headworks.server.runtime import Runtime
from headworks.storage.keys import derive
from headworks.storage.pool import Database, DatabaseUrls
from headworks.storage.sealing import Keyring

MASTER = bytes(range(32))


async def test_what_has_expired_is_removed_in_every_tenant(
    database: Database, database_urls: DatabaseUrls, as_superuser: psycopg.Connection[tuple[Any, ...]], tmp_path: Path
) -> None:
    keyring = Keyring(MASTER)
    identity = Identity(database, keyring, derive(MASTER, "pepper of tokens"))
    assert await identity.bootstrap() is not None
    stored = StoredResponses(database, keyring)
    operator = await identity.operator()
    await identity.create_tenant(operator, "acme")
    for who in [operator, *await identity.curators()]:
        for response_id in ("resp_old", "resp_new"):
            await stored.keep(who, response_id, [msgspec.Raw(b"{}")], b'{"output":[]}')
    as_superuser.execute("UPDATE stored_response SET expires_at = now() WHERE response_id = 'resp_old'")
    runtime = Runtime(Settings(data=tmp_path), database_urls, MASTER, "http://127.0.0.1:1", process="upkeep")
    await asyncio.wait_for(upkeep(runtime), 60)
    left = as_superuser.execute("SELECT response_id, count(*) FROM stored_response GROUP BY 1").fetchall()
    assert left == [("resp_new", 3)]

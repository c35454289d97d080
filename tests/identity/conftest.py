"""A server's identity over a real database, and its HTTP as a client sees it."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Awaitable, Callable

import httpx2
import pytest

from headworks.identity.contract import Founded, KeyRequest
from headworks.identity.routes import install, router
from headworks.identity.service import Identity, IdentityTable
from headworks.server.asgi import control_plane
from headworks.storage.pool import Database
from headworks.storage.sealing import Keyring
from headworks.types.identity import Principal, ShownKey

PEPPER = bytes(range(32, 64))
ADDRESS = "http://127.0.0.1:8484"

LoadTable = Callable[[], Awaitable[IdentityTable]]
SignIn = Callable[..., Awaitable[Principal]]


@pytest.fixture
def identity(database: Database, keyring: Keyring) -> Identity:
    return Identity(database, keyring, PEPPER)


@pytest.fixture
async def founded(identity: Identity) -> Founded:
    """The first start."""
    founded = await identity.bootstrap()
    assert founded is not None
    return founded


@pytest.fixture
def load_table(identity: Identity, database: Database) -> LoadTable:
    """The table as a worker has it after its next look."""

    async def load() -> IdentityTable:
        async with database.system("test", repeatable=True) as tx:
            return await identity.load(tx)

    return load


@pytest.fixture
def by_key(load_table: LoadTable) -> Callable[[str], Awaitable[Principal]]:
    """Who holds a key now."""

    async def authenticate(token: str) -> Principal:
        return (await load_table()).authenticate(ShownKey(token), time.time())

    return authenticate


@pytest.fixture
async def owner(founded: Founded, by_key: Callable[[str], Awaitable[Principal]]) -> Principal:
    """`admin` of the first tenant, by its first key."""
    return await by_key(founded.key)


@pytest.fixture
def someone(identity: Identity, owner: Principal, by_key: Callable[[str], Awaitable[Principal]]) -> SignIn:
    """`await someone("jane", roles=["engineer"], groups=["clinicians"])`: a new user, by an unlimited key of theirs."""

    async def make(
        name: str, *, kind: str = "user", roles: tuple[str, ...] = (), groups: tuple[str, ...] = (), **key: object
    ) -> Principal:
        known = {each.name for each in await identity.list_groups(owner)}
        for group in groups:
            if group not in known:
                await identity.create_group(owner, group)
        await identity.create_principal(owner, name, kind, roles=roles, groups=groups)  # type: ignore[arg-type]
        made = await identity.create_key(owner, KeyRequest(name, **key))  # type: ignore[arg-type]
        return await by_key(made.token)

    return make


@pytest.fixture
async def client(
    identity: Identity, by_key: Callable[[str], Awaitable[Principal]]
) -> AsyncIterator[httpx2.AsyncClient]:
    """A browser or program on this machine, without a key."""
    app = control_plane([router])
    install(app, identity, by_key)
    transport = httpx2.ASGITransport(app)
    async with httpx2.AsyncClient(transport=transport, base_url=ADDRESS) as client:
        yield client


@pytest.fixture
def bearer(founded: Founded) -> dict[str, str]:
    """The first owner's header."""
    return {"authorization": f"Bearer {founded.key}"}

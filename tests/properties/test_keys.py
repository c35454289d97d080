"""Tokens hold what they hold, and no sequence of writes gives anybody a right that nobody gave him."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Iterator
from typing import Any, Literal, TypeVar
from uuid import UUID

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from headworks.errors import Conflict, Forbidden, InvalidRequest, NotFound, Unauthenticated
from headworks.identity.contract import KeyRequest
from headworks.identity.roles import BUILT_IN_ROLES, MEMBER, PERMISSIONS
from headworks.identity.service import Identity, IdentityTable
from headworks.identity.table import HeldKey, Holder, acting
from headworks.identity.tokens import Token, TokenKind, parse
from headworks.storage.pool import Database, DatabaseUrls
from headworks.storage.sealing import Keyring
from headworks.types.identity import Principal, ShownKey
from headworks.types.ids import KeyId, PrincipalId, TenantId, new_id

T = TypeVar("T")

KINDS: list[TokenKind] = ["hw", "hwclaim", "hwsession"]
ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz_- é"
TOKENS = st.builds(Token, st.sampled_from(KINDS), st.uuids(), st.binary(min_size=32, max_size=32))


@given(TOKENS)
def test_a_token_is_read_back_whole(token: Token) -> None:
    assert parse(token.kind, token.text()) == token


@given(TOKENS, st.data())
def test_a_token_with_any_one_character_changed_is_none(token: Token, data: st.DataObject) -> None:
    text = token.text()
    at = data.draw(st.integers(0, len(text) - 1))
    other = data.draw(st.sampled_from(ALPHABET).filter(lambda character: character != text[at]))
    changed = text[:at] + other + text[at + 1 :]
    assert all(parse(kind, changed) is None for kind in KINDS)


@given(TOKENS, st.data())
def test_a_token_with_a_character_lost_or_added_is_none(token: Token, data: st.DataObject) -> None:
    text = token.text()
    at = data.draw(st.integers(0, len(text) - 1))
    added = data.draw(st.sampled_from(ALPHABET))
    for changed in (text[:at] + text[at + 1 :], text[:at] + added + text[at:]):
        assert all(parse(kind, changed) is None for kind in KINDS)


@given(TOKENS, st.binary(min_size=1), st.binary(min_size=1))
def test_what_is_stored_tells_pepper_and_kind_apart(token: Token, pepper: bytes, other: bytes) -> None:
    hashes = {
        (kind, each): Token(kind, token.id, token.secret).hashed(each) for kind in KINDS for each in (pepper, other)
    }
    # HMAC pads short keys with zeros: two peppers that differ only in these are one.
    if pepper.ljust(64, b"\0") != other.ljust(64, b"\0"):
        assert len(set(hashes.values())) == 2 * len(KINDS)


PERMISSION_SETS = st.frozensets(st.sampled_from(sorted(PERMISSIONS)))
GROUPS = [PrincipalId(UUID(int=number)) for number in range(5)]


@given(
    PERMISSION_SETS,
    st.none() | PERMISSION_SETS,
    st.frozensets(st.sampled_from(GROUPS)),
    st.none() | st.frozensets(st.sampled_from(GROUPS)),
)
def test_a_keys_rights_never_exceed_its_principals(
    held: frozenset[str],
    limit: frozenset[str] | None,
    groups: frozenset[PrincipalId],
    narrowed: frozenset[PrincipalId] | None,
) -> None:
    holder = Holder(PrincipalId(new_id()), "jane", "user", False, held, groups)
    key = HeldKey(KeyId(new_id()), holder.id, b"", limit, None, narrowed, None, False)
    principal = acting(TenantId(new_id()), holder, key)
    assert principal.permissions <= held
    assert principal.groups <= groups
    if limit is not None:
        assert principal.permissions <= limit
    if narrowed is not None:
        assert principal.is_narrowed
        assert principal.groups <= narrowed


NAMES = ["jane", "john", "bot"]
GROUP_NAMES = ["night", "builders"]
ROLES = ["owner", "admin", "engineer", "expert", "auditor", "key-desk", "helper"]
DEFINED = {"key-desk": ["key:write", "key:own", "feature:call"], "helper": ["principal:write", "key:own", "model:call"]}
FIRST_ROLES = {"jane": "helper", "john": "key-desk"}
SOME = st.none() | st.lists(st.sampled_from(sorted(PERMISSIONS)), max_size=4, unique=True)
ANY_KEY = st.integers(0, 999)
REFUSALS = (Forbidden, InvalidRequest, Conflict, NotFound)


class Rights(RuleBasedStateMachine):
    """Everybody who has a key tries everything, in a tenant of its own; a model says what each may have at most."""

    world: World

    @initialize()
    def found(self) -> None:
        """A tenant with an owner, one who may change people, one who may make keys, and one who has no role."""
        self.tokens: list[str] = self.world.new_tenant()
        self.roles: dict[str, set[str]] = {"admin": {"owner"}, **{name: set() for name in [*NAMES, *GROUP_NAMES]}}
        self.roles |= {name: {role} for name, role in FIRST_ROLES.items()}
        self.members: dict[str, set[str]] = {group: set() for group in GROUP_NAMES}

    def rights(self, name: str) -> frozenset[str]:
        """What the model says that somebody has."""
        roles = set(self.roles[name]).union(
            *(self.roles[group] for group in GROUP_NAMES if name in self.members[group])
        )
        if not roles:
            return MEMBER
        known = {**BUILT_IN_ROLES, **{role: frozenset(each) for role, each in DEFINED.items()}}
        return frozenset().union(*(known[role] for role in roles)) - {"tenant:create"}

    @rule(who=ANY_KEY, name=st.sampled_from([*NAMES, *GROUP_NAMES]), role=st.sampled_from(ROLES), gives=st.booleans())
    def bind(self, who: int, name: str, role: str, gives: bool) -> None:  # noqa: FBT001 -- drawn by name
        """Give a role, which only who has all of its permissions can, or take it back."""
        maker = self.world.holder_of(self.tokens[who % len(self.tokens)])
        if maker is None:
            return
        write = self.world.identity.bind_role if gives else self.world.identity.unbind_role
        if self.world.done(write(maker, name, role)):
            if gives:
                assert (BUILT_IN_ROLES.get(role) or frozenset(DEFINED[role])) - {"tenant:create"} <= maker.permissions
            (self.roles[name].add if gives else self.roles[name].discard)(role)

    @rule(who=ANY_KEY, group=st.sampled_from(GROUP_NAMES), name=st.sampled_from(NAMES), joins=st.booleans())
    def move(self, who: int, group: str, name: str, joins: bool) -> None:  # noqa: FBT001 -- drawn by name
        """Join or leave a group."""
        maker = self.world.holder_of(self.tokens[who % len(self.tokens)])
        if maker is None:
            return
        identity = self.world.identity
        write = identity.add_member if joins else identity.remove_member
        if self.world.done(write(maker, group, name)):
            (self.members[group].add if joins else self.members[group].discard)(name)

    @rule(
        who=ANY_KEY,
        name=st.sampled_from(["admin", *NAMES]),
        permissions=SOME,
        groups=st.none() | st.lists(st.sampled_from(["everyone", *GROUP_NAMES]), max_size=2, unique=True),
        models=st.none() | st.lists(st.sampled_from(["a", "b"]), max_size=2, unique=True),
        expires=st.none() | st.sampled_from(["1h", "2d"]),
    )
    def make_key(self, who: int, name: str, permissions: Any, groups: Any, models: Any, expires: Any) -> None:
        """A new key has no right that its maker or its principal lacks, and ends no later than its maker's."""
        token = self.tokens[who % len(self.tokens)]
        maker = self.world.holder_of(token)
        if maker is None:
            return
        request = KeyRequest(
            name, "", permissions and tuple(permissions), groups and tuple(groups), models and tuple(models), expires
        )
        made = self.world.done(self.world.identity.create_key(maker, request))
        if made is None:
            return
        self.tokens.append(made.token)
        holder = self.world.holder_of(made.token)
        assert holder is not None
        assert holder.permissions <= maker.permissions
        if maker.is_narrowed:
            assert holder.is_narrowed
            assert holder.groups <= maker.groups
        if maker.allowed_models is not None:
            assert holder.allowed_models is not None
            assert holder.allowed_models <= maker.allowed_models
        assert self.world.ends(made.token) <= self.world.ends(token)

    @rule(who=ANY_KEY, which=ANY_KEY)
    def revoke(self, who: int, which: int) -> None:
        """Whatever is revoked is refused from then on; the first key stays, so that the game goes on."""
        if len(self.tokens) == 1:
            return
        maker = self.world.holder_of(self.tokens[who % len(self.tokens)])
        token = self.tokens[1 + which % (len(self.tokens) - 1)]
        if maker and self.world.done(self.world.identity.revoke_key(maker, token[:25])):
            assert self.world.holder_of(token) is None
            self.tokens.remove(token)

    @invariant()
    def nobody_has_more_than_he_was_given(self) -> None:
        """What PostgreSQL holds agrees with the model, key by key."""
        for token in self.tokens:
            principal = self.world.holder_of(token)
            if principal is not None:
                assert principal.permissions <= self.rights(principal.name)


class World:
    """One database and an event loop for all runs of the machine; each run has a tenant of its own."""

    def __init__(self, urls: DatabaseUrls) -> None:
        self._runner = asyncio.Runner()
        self.database = Database(urls)
        self.identity = Identity(self.database, Keyring(bytes(32)), b"pepper")
        self._table = IdentityTable(b"")
        self._tenant = TenantId(new_id())
        founded = self.run(self.identity.bootstrap())
        assert founded is not None
        self._operator = self.run(self._fresh(founded.tenant)).authenticate(ShownKey(founded.key), time.time())

    def run(self, awaitable: Awaitable[T]) -> T:
        """On the world's loop."""

        async def wrapped() -> T:
            return await awaitable

        return self._runner.run(wrapped())

    def done(self, write: Awaitable[T]) -> T | None:
        """What the write gives, None where it is refused."""
        try:
            return self.run(write)
        except REFUSALS:
            return None
        finally:
            self._table = self.run(self._fresh(self._tenant))

    def new_tenant(self) -> list[str]:
        """A tenant with its cast; gives a key of each and a limited one of the owner, whose own is the first."""
        founded = self.run(self.identity.create_tenant(self._operator, f"tenant-{new_id()}"))
        self._tenant = founded.tenant
        owner = self.run(self._fresh(founded.tenant)).authenticate(ShownKey(founded.key), time.time())
        self.run(self.identity.define_roles(owner, DEFINED))
        for name in NAMES:
            kind: Literal["user", "service"] = "service" if name == "bot" else "user"
            self.run(self.identity.create_principal(owner, name, kind))
        for name, role in FIRST_ROLES.items():
            self.run(self.identity.bind_role(owner, name, role))
        for group in GROUP_NAMES:
            self.run(self.identity.create_group(owner, group))
        limited = KeyRequest(groups=("administrators",), models=("a",), expires="1d")
        requests = [limited, *(KeyRequest(name) for name in NAMES)]
        tokens = [self.run(self.identity.create_key(owner, request)).token for request in requests]
        self._table = self.run(self._fresh(founded.tenant))
        return [founded.key, *tokens]

    def holder_of(self, token: str) -> Principal | None:
        """Who holds it now, None when it is refused."""
        try:
            return self._table.authenticate(ShownKey(token), time.time())
        except Unauthenticated:
            return None

    def ends(self, token: str) -> float:
        """When a key ends, in seconds since 1970."""
        parsed = parse("hw", token)
        assert parsed is not None
        expires_at = self._table._tenants[self._tenant].keys[KeyId(parsed.id)].expires_at
        return expires_at.timestamp() if expires_at else float("inf")

    async def _fresh(self, tenant: TenantId) -> IdentityTable:
        async with self.database.system("test", repeatable=True) as tx:
            return await self.identity.load(tx, IdentityTable(b"pepper"), [tenant])

    def close(self) -> None:
        """Give everything back."""
        self.run(self.database.close())
        self._runner.close()


@pytest.fixture
def world(database_urls: DatabaseUrls) -> Iterator[World]:
    world = World(database_urls)
    yield world
    world.close()


def test_no_sequence_of_writes_gives_anybody_more_than_he_was_given(world: World) -> None:
    Rights.world = world
    run_state_machine_as_test(
        Rights,
        settings=settings(max_examples=25, stateful_step_count=20, suppress_health_check=list(HealthCheck)),
    )

"""Identity for the rest of the house: who there is, what each may do, and how one proves who one is.

Every write is audited in its own transaction, and nobody can give a right that he does not hold himself.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Literal

from headworks.errors import Conflict, Forbidden
from headworks.identity import forgetting, founding, grants, keys, people, refusals, sessions, store
from headworks.identity.authority import allow, refuse_limited
from headworks.identity.contract import (
    Claim,
    Founded,
    GrantView,
    GroupView,
    KeyRequest,
    KeyView,
    Named,
    NewKey,
    Person,
    PrincipalView,
    ProjectView,
    RoleView,
    TenantView,
    Way,
    WebSession,
    Whoami,
)
from headworks.identity.names import check_name, near
from headworks.identity.refusals import bearer_token
from headworks.identity.store import SQL, AtTheDoor, note
from headworks.identity.table import IdentityTable, acting
from headworks.identity.tokens import parse
from headworks.storage.pool import Database, Tx
from headworks.storage.sealing import Keyring
from headworks.types.identity import Principal
from headworks.types.ids import PrincipalId, TenantId, new_id

__all__ = ["Identity", "IdentityTable", "allow", "bearer_token", "near", "refuse_limited"]

_CURATOR_MAY = frozenset({"collection:read", "collection:write", "model:call"})


class Identity:
    """The only maker of a Principal. `pepper` keys the hashes of all tokens; another pepper knows none of them."""

    def __init__(self, db: Database, keyring: Keyring, pepper: bytes) -> None:
        self._db = db
        self._keyring = keyring
        self._pepper = pepper
        self._curators: dict[TenantId, Principal] = {}

    # ── Tenants ──

    async def bootstrap(self) -> Founded | None:
        """At the first start: the operator's tenant `default` with its owner `admin`; None if there is a tenant.

        Two servers may do this at once: one founds, the other waits and gets None.
        """
        tenant = TenantId(new_id())
        async with self._db.tx(AtTheDoor(tenant)) as tx:
            await tx.run(SQL.wait_for_founding)
            if await self._all_tenants("is there a tenant"):
                return None
            names = founding.FIRST_TENANT, founding.FIRST_USER
            founded = await founding.found(tx, tenant, *names, self._pepper, is_operator=True)
        await self._keyring.ensure(self._db, tenant)
        return founded

    async def create_tenant(self, maker: Principal, name: str, user: str = founding.FIRST_USER) -> Founded:
        """A new tenant with its first user, an owner. Conflict if the name is taken."""
        allow(maker, "tenant:create")
        check_name(name, "tenant")
        check_name(user, "user", "user")
        tenant = TenantId(new_id())
        # First in the operator's own trail: a tenant that nobody is seen to have created can't come to be.
        async with self._db.tx(maker) as tx:
            await note(tx, maker, "tenant.create", f"tenant:{tenant}", name=name, user=user)
        async with self._db.tx(AtTheDoor(tenant)) as tx:
            await tx.run(SQL.wait_for_founding)
            if any(each.name == name for each in await self._all_tenants("is the name of a new tenant free")):
                raise Conflict(f"There is already a tenant `{name}`.", next_step="Choose another name.", param="name")
            founded = await founding.found(tx, tenant, name, user, self._pepper, is_operator=False)
        await self._keyring.ensure(self._db, tenant)
        return founded

    async def list_tenants(self, principal: Principal) -> list[TenantView]:
        """All tenants to who may create them; to others their own."""
        if principal.may("tenant:create"):
            return await self._all_tenants(f"list of tenants for {principal.id}")
        async with self._db.tx(principal) as tx:
            return await store.list_tenants(tx)

    async def is_operator(self, principal: Principal) -> bool:
        """Whether somebody belongs to the operator's own tenant."""
        async with self._db.tx(principal) as tx:
            return (await store.tenant_of(tx, principal.tenant)).is_operator

    async def create_project(self, maker: Principal, name: str) -> ProjectView:
        """A new, empty project of the maker's tenant."""
        allow(maker, "workspace:apply")
        check_name(name, "project")
        async with self._db.tx(maker) as tx:
            if not await tx.run(SQL.add_project, tenant=maker.tenant, project=new_id(), name=name):
                raise Conflict(f"There is already a project `{name}`.", next_step="Choose another name.", param="name")
            await note(tx, maker, "project.create", f"project:{name}")
            return await grants.find_project(tx, maker.tenant, name)

    async def list_projects(self, principal: Principal) -> list[ProjectView]:
        """The projects of one's tenant."""
        async with self._db.tx(principal) as tx:
            return await grants.projects(tx, principal.tenant)

    async def find_project(self, principal: Principal, name: str) -> ProjectView:
        """The project of that name in one's tenant, or NotFound with near names."""
        async with self._db.tx(principal) as tx:
            return await grants.find_project(tx, principal.tenant, name)

    # ── Principals, groups, roles ──

    async def create_principal(
        self,
        maker: Principal,
        name: str,
        kind: Literal["user", "service"] = "user",
        *,
        roles: Iterable[str] = (),
        groups: Iterable[str] = (),
    ) -> PrincipalView:
        """A new user or service account. Conflict if the name is taken."""
        allow(maker, "principal:write")
        async with self._db.tx(maker) as tx:
            return await people.create(tx, maker, name, kind, roles=roles, groups=groups)

    async def list_principals(self, maker: Principal) -> list[PrincipalView]:
        """Users, service accounts and groups, disabled ones too."""
        allow(maker, "principal:write")
        async with self._db.tx(maker) as tx:
            return await store.list_principals(tx, maker.tenant)

    async def show_principal(self, maker: Principal, name: str) -> PrincipalView:
        """One of them, or NotFound with near names. Oneself without any permission."""
        if name != maker.name:
            allow(maker, "principal:write")
        async with self._db.tx(maker) as tx:
            return await people.view(tx, maker.tenant, name)

    async def disable_principal(self, maker: Principal, name: str) -> PrincipalView:
        """Shut somebody out at once. Conflict for the last owner."""
        allow(maker, "principal:write")
        async with self._db.tx(maker) as tx:
            return await people.disable(tx, maker, name)

    async def enable_principal(self, maker: Principal, name: str) -> PrincipalView:
        """Undo `disable_principal`; ended sessions stay ended."""
        allow(maker, "principal:write")
        async with self._db.tx(maker) as tx:
            return await people.enable(tx, maker, name)

    async def create_group(self, maker: Principal, name: str) -> GroupView:
        """A new group without members. Conflict if the name is taken."""
        allow(maker, "principal:write")
        async with self._db.tx(maker) as tx:
            return await people.create_group(tx, maker, name)

    async def list_groups(self, maker: Principal) -> list[GroupView]:
        """All groups with their members."""
        allow(maker, "principal:write")
        async with self._db.tx(maker) as tx:
            return await store.list_groups(tx, maker.tenant)

    async def add_member(self, maker: Principal, group: str, member: str) -> GroupView:
        """Put a user, service account or group into a group; it reads through it from the next statement."""
        allow(maker, "principal:write")
        async with self._db.tx(maker) as tx:
            return await people.add_member(tx, maker, group, member)

    async def remove_member(self, maker: Principal, group: str, member: str) -> GroupView:
        """Take somebody or a group out of a group; nothing is read through it from the next statement."""
        allow(maker, "principal:write")
        async with self._db.tx(maker) as tx:
            return await people.remove_member(tx, maker, group, member)

    async def bind_role(self, maker: Principal, name: str, role: str) -> PrincipalView:
        """Give a role, built in or of `roles.yaml`, to a principal or group."""
        allow(maker, "principal:write")
        async with self._db.tx(maker) as tx:
            return await people.bind_role(tx, maker, name, role)

    async def unbind_role(self, maker: Principal, name: str, role: str) -> PrincipalView:
        """Take a role back. Conflict if no owner would be left."""
        allow(maker, "principal:write")
        async with self._db.tx(maker) as tx:
            return await people.unbind_role(tx, maker, name, role)

    async def list_roles(self, maker: Principal) -> list[RoleView]:
        """The roles that there are in one's tenant, built-in ones too; for who writes principals or reads the audit."""
        if not maker.may("audit:read"):
            allow(maker, "principal:write")
        async with self._db.tx(maker) as tx:
            return await people.list_roles(tx, maker.tenant)

    async def define_roles(
        self, maker: Principal, definitions: Mapping[str, Iterable[str]], project: str = "default"
    ) -> None:
        """Make these, of a project's `roles.yaml`, the roles that it defines for the whole tenant.

        Raises InvalidRequest (a built-in name, an unknown permission), Conflict (one that vanishes is bound, another
        project defines it), Forbidden (one would gain a permission that the maker lacks).
        """
        allow(maker, "workspace:apply")
        async with self._db.tx(maker) as tx:
            found = await grants.find_project(tx, maker.tenant, project)
            await people.define_roles(tx, maker, found.id, definitions)

    # ── Keys and grants ──

    async def create_key(self, maker: Principal, request: KeyRequest) -> NewKey:
        """A new API key; its token is shown this once. Never more rights than the maker's and the principal's."""
        async with self._db.tx(maker) as tx:
            return await keys.create(tx, maker, request, self._pepper)

    async def list_keys(self, maker: Principal, principal: str | None = None) -> list[KeyView]:
        """One's own keys; with `key:write` everybody's, or those of the named principal."""
        async with self._db.tx(maker) as tx:
            return await keys.listed(tx, maker, principal)

    async def revoke_key(self, maker: Principal, reference: str) -> KeyView:
        """End a key for good, by its id or public part (`hw_…`). Documents are closed to it from the next statement."""
        async with self._db.tx(maker) as tx:
            return await keys.revoke(tx, maker, reference)

    async def create_grant(self, maker: Principal, feature: str, tenant: str, project: str = "default") -> GrantView:
        """Lend a feature of a project to another tenant, by its id; the operator's owners may use its name."""
        allow(maker, "grant:write")
        grantee = grants.find_grantee(maker, tenant, await self._visible_tenants(maker))
        async with self._db.tx(maker) as tx:
            return await grants.create(tx, maker, project, feature, grantee)

    async def revoke_grant(self, maker: Principal, feature: str, tenant: str, project: str = "default") -> None:
        """Take a feature back from a tenant."""
        allow(maker, "grant:write")
        grantee = grants.find_grantee(maker, tenant, await self._visible_tenants(maker))
        async with self._db.tx(maker) as tx:
            await grants.revoke(tx, maker, project, feature, grantee)

    async def list_grants(self, maker: Principal) -> list[GrantView]:
        """The grants that one's tenant has given and received."""
        allow(maker, "grant:write")
        async with self._db.tx(maker) as tx:
            return await grants.listed(tx, maker.tenant)

    # ── Signing in ──

    async def create_claim(self, maker: Principal, name: str) -> Claim:
        """A one-time link, good for 24 hours, that signs this user in: `{base}/claim/{token}`."""
        async with self._db.tx(maker) as tx:
            return await sessions.create_claim(tx, maker, name, self._pepper)

    async def redeem_claim(self, token: str, former: str | None = None) -> WebSession:
        """A session for the claim's user; `former` is the browser's session until now, which ends.

        Raises Unauthenticated (`claim_gone`) for a claim that is malformed, unknown, used or expired.
        """
        claim = parse("hwclaim", token)
        if claim is None:
            raise refusals.claim_gone()
        async with self._db.tx(AtTheDoor(TenantId(claim.id))) as tx:
            return await sessions.redeem(tx, claim, parse("hwsession", former or ""), self._pepper)

    async def session(self, token: str) -> Principal:
        """Who is signed in by this session. Raises Unauthenticated (`session_ended`)."""
        session = parse("hwsession", token)
        if session is None:
            raise refusals.no_session()
        async with self._db.tx(AtTheDoor(TenantId(session.id))) as tx:
            return await sessions.find(tx, session, self._pepper)

    async def rotate_session(self, token: str) -> WebSession | None:
        """A new token for a session whose own is an hour old, else None. Raises Unauthenticated (`session_ended`)."""
        session = parse("hwsession", token)
        if session is None:
            raise refusals.no_session()
        async with self._db.tx(AtTheDoor(TenantId(session.id))) as tx:
            return await sessions.rotate(tx, session, self._pepper)

    async def end_session(self, token: str) -> None:
        """Sign out. Nothing happens if the session is unknown or has ended."""
        if session := parse("hwsession", token):
            async with self._db.tx(AtTheDoor(TenantId(session.id))) as tx:
                await sessions.end(tx, session, self._pepper)

    async def whoami(self, principal: Principal) -> Whoami:
        """Who the caller is, for people: names, roles, groups, and what this very key or session may do."""
        async with self._db.tx(principal) as tx:
            tenant = await store.tenant_of(tx, principal.tenant)
            (own,) = await store.list_principals(tx, principal.tenant, principal.name)
            found = await store.list_keys(tx, principal.tenant, key=principal.key) if principal.key else []
            groups = await tx.fetch_all(SQL.list_names_of, tenant=principal.tenant, principals=list(principal.groups))
        return Whoami(
            id=principal.id,
            name=principal.name,
            kind=principal.kind,
            tenant=Named(tenant.id, tenant.name),
            roles=own.roles,
            groups=tuple(sorted(row.name for row in groups)),
            permissions=tuple(sorted(principal.permissions)),
            models=None if principal.allowed_models is None else tuple(sorted(principal.allowed_models)),
            key=found[0][1] if found else None,
        )

    # ── For other domains ──

    async def load(
        self, tx: Tx, previous: IdentityTable | None = None, changed: Collection[TenantId] | None = None
    ) -> IdentityTable:
        """The table of keys as it is now, in a transaction of `db.system(…, repeatable=True)`.

        With `previous` and `changed` only those tenants are read again.
        """
        if previous is None or changed is None:
            return IdentityTable(self._pepper, await store.load_tenants(tx, None))
        return previous.replacing(await store.load_tenants(tx, list(changed)))

    async def curator(self, tenant: TenantId) -> Principal:
        """The tenant's writer of documents, the only one that may. No key and no session can ever belong to it."""
        if tenant not in self._curators:
            async with self._db.tx(AtTheDoor(tenant)) as tx:
                row = await tx.fetch_one(SQL.find_curator, tenant=tenant)
            if row is None:
                raise Forbidden("This tenant has no curator.", next_step="It was not created by this server.")
            curator = Principal(tenant, PrincipalId(row.principal_id), row.name, "curator", _CURATOR_MAY)
            self._curators[tenant] = curator
        return self._curators[tenant]

    async def curators(self) -> list[Principal]:
        """Those of all tenants, for what is due in each."""
        return [await self.curator(each.id) for each in await self._all_tenants("upkeep of all tenants")]

    async def operator(self) -> Principal:
        """An owner of the operator's tenant, for what the operator does at this server's own command line."""
        async with self._db.system("the operator's command line", repeatable=True) as tx:
            found = (await self.load(tx)).operator()
        if found is None:
            raise Forbidden("The operator's tenant has no owner.", next_step="Give somebody the role `owner`.")
        return found

    async def in_background(self, tenant: TenantId, of: PrincipalId) -> Principal:
        """Somebody as the work acts that he asked for by a whole key: with the rights that he has now.

        Raises Forbidden for who is gone or disabled.
        """
        async with self._db.tx(AtTheDoor(tenant)) as tx:
            holder = await store.holder_of(tx, tenant, of)
        if holder is None or holder.is_disabled:
            raise Forbidden("Whoever asked for this work is disabled.", next_step="Ask for it as somebody else.")
        return acting(tenant, holder, None)

    async def as_reader(self, principal: Principal, name: str) -> Principal:
        """Somebody without any permission, to find out what he may read; for who has `reader:explain`."""
        allow(principal, "reader:explain")
        async with self._db.tx(principal) as tx:
            found = await store.find_named(tx, principal.tenant, name, ["user", "service"])
            holder = await store.holder_of(tx, principal.tenant, found.id)
        groups = holder.groups if holder else frozenset()
        return Principal(principal.tenant, found.id, found.name, found.kind, frozenset(), groups=groups)

    async def seen_as(self, principal: Principal, name: str, request: str) -> Principal:
        """A user or service account as he would ask by a whole key, for who has `reader:see_as`; audited.

        What he sees is seen: nothing of the asker's own rights is added, and nothing is taken away by them. The one who
        is returned may do nothing but read. `request` says what is asked, without its text.
        """
        allow(principal, "reader:see_as")
        refuse_limited(principal, "What somebody else sees")
        async with self._db.tx(principal) as tx:
            found = await store.find_named(tx, principal.tenant, name, ["user", "service"])
            holder = await store.holder_of(tx, principal.tenant, found.id)
            await note(tx, principal, "reader.see_as", f"principal:{name}", request=request)
        may = holder.permissions & {"collection:read"} if holder and not holder.is_disabled else frozenset()
        groups = holder.groups if holder else frozenset()
        return Principal(
            principal.tenant, found.id, found.name, found.kind, frozenset(may), groups=groups, seen_by=principal
        )

    async def ways_up(self, principal: Principal, of: PrincipalId) -> dict[PrincipalId, Way]:
        """The groups of one's tenant that somebody is in, also through groups, each with the shortest way there."""
        async with self._db.tx(principal) as tx:
            return await people.ways_up(tx, principal.tenant, of)

    async def principals_named(self, principal: Principal, names: Iterable[str]) -> dict[str, PrincipalId]:
        """The ids of users, service accounts and groups by their names; NotFound with near names for an unknown one."""
        async with self._db.tx(principal) as tx:
            return {name: (await store.find_named(tx, principal.tenant, name)).id for name in set(names)}

    async def names_of(self, principal: Principal, ids: Iterable[PrincipalId]) -> dict[PrincipalId, str]:
        """The names of principals of one's tenant, for display; ids that are not there are left out."""
        async with self._db.tx(principal) as tx:
            rows = await tx.fetch_all(SQL.list_names_of, tenant=principal.tenant, principals=list(set(ids)))
        return {PrincipalId(row.principal_id): row.name for row in rows}

    async def people_among(self, principal: Principal, ids: Iterable[PrincipalId]) -> frozenset[PrincipalId]:
        """Those of these principals of one's tenant that are users or service accounts, not groups."""
        async with self._db.tx(principal) as tx:
            rows = await tx.fetch_all(SQL.list_names_of, tenant=principal.tenant, principals=list(set(ids)))
        return frozenset(PrincipalId(row.principal_id) for row in rows if row.kind in {"user", "service"})

    async def find_person(self, tx: Tx, asker: Principal, name: str) -> Person:
        """Whom an erasure is about. Raises NotFound; Conflict for a group, for oneself and for an owner."""
        return await forgetting.find_person(tx, asker, name)

    async def forget(self, tx: Tx, asker: Principal, person: Person) -> dict[str, int]:
        """Take away name, keys, sessions, roles and groups of a person; how many rows, by table."""
        return await forgetting.forget(tx, asker, person)

    async def _all_tenants(self, reason: str) -> list[TenantView]:
        async with self._db.system(reason) as tx:
            return await store.list_tenants(tx)

    async def _visible_tenants(self, maker: Principal) -> Sequence[TenantView] | None:
        """All tenants for who may create them, None for others."""
        return await self._all_tenants(f"grantee for {maker.id}") if maker.may("tenant:create") else None

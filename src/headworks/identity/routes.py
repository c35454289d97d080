"""HTTP of identity, under `/api`. Bodies and answers are JSON; lists come as `{"rows": […]}`; errors in OpenAI's shape.

The caller is an API key in `Authorization: Bearer hw_…` or a signed-in browser. `require` and `declare` are for the
routes of every domain.
"""

from __future__ import annotations

from typing import Annotated, Generic, Literal, TypeVar

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from headworks.identity.contract import (
    Founded,
    GrantView,
    GroupView,
    KeyRequest,
    KeyView,
    NewKey,
    PrincipalView,
    ProjectView,
    RoleView,
    TenantView,
    Whoami,
)
from headworks.identity.door import Door, declare, install, require, session_token, set_session
from headworks.identity.service import Identity
from headworks.identity.sign_in import router as sign_in_router
from headworks.types.identity import Principal

__all__ = ["Door", "declare", "install", "require", "router"]

T = TypeVar("T")

router = APIRouter(tags=["identity"])
router.include_router(sign_in_router)

Anybody = Annotated[Principal, require()]
Writer = Annotated[Principal, require("principal:write")]
KeyMaker = Annotated[Principal, require("key:own", "key:write")]
Lender = Annotated[Principal, require("grant:write")]

_CREATED = 201
_WRITES_PRINCIPALS = "principal:write"
_OWN_KEYS = "key:own|key:write"


class Rows(BaseModel, Generic[T]):
    """A list."""

    rows: list[T]


class _Body(BaseModel):
    """What callers send: unknown fields are errors."""

    model_config = ConfigDict(extra="forbid", strict=True)


class NewTenant(_Body):
    """`{"name": "acme", "admin": "admin"}`."""

    name: str
    admin: str = "admin"


class FoundedTenant(BaseModel):
    """A new tenant and two ways in for its first user; both are shown this once."""

    id: str
    name: str
    admin: str
    admin_key: str
    claim_url: str


class NewProject(_Body):
    """`{"name": "claims"}`."""

    name: str


class NewPrincipal(_Body):
    """`{"name": "jane", "kind": "user", "roles": ["engineer"], "groups": ["clinic"]}`; only the name is needed."""

    name: str
    kind: Literal["user", "service"] = "user"
    roles: list[str] = Field(default=[], max_length=50)
    groups: list[str] = Field(default=[], max_length=200)


class NewGroup(_Body):
    """`{"name": "clinicians"}`."""

    name: str


class WantedKey(_Body):
    """What key is wanted; every field may be left out.

    `principal`: whose, else one's own. `permissions`, `groups`, `models`: null is all that the principal has, an empty
    list nothing. `expires`: `2027-01-31`, `2027-01-31T12:00:00Z`, or a span such as `30d`.
    """

    principal: str = ""
    name: str = ""
    permissions: list[str] | None = Field(default=None, max_length=100)
    groups: list[str] | None = Field(default=None, max_length=200)
    models: list[str] | None = None
    expires: str | None = None


class NewGrant(_Body):
    """`{"feature": "claims-assistant", "tenant": "<id>", "project": "default"}`; project optional."""

    feature: str
    tenant: str
    project: str = "default"


class ClaimLink(BaseModel):
    """A link that signs this user in, once, within 24 hours."""

    principal: str
    claim_url: str
    expires_at: str


def _identity(request: Request) -> Identity:
    door: Door = request.app.state.door
    return door.identity


def _claim_url(request: Request, token: str) -> str:
    return f"{request.base_url}claim/{token}"


@router.get("/api/me", openapi_extra=declare("any", None))
async def me(request: Request, response: Response, caller: Anybody) -> Whoami:
    """Who the caller is, and what this key or session may do. Gives a session that is an hour old a new token."""
    token = session_token(request)
    if caller.key is None and token is not None:
        rotated = await _identity(request).rotate_session(token)
        if rotated is not None:
            set_session(request, response, rotated)
    return await _identity(request).whoami(caller)


# ── Tenants and projects ──


@router.post("/api/tenants", status_code=_CREATED, openapi_extra=declare("tenant:create", "tenant.create"))
async def create_tenant(
    request: Request, body: NewTenant, caller: Annotated[Principal, require("tenant:create")]
) -> FoundedTenant:
    """A new tenant with its first user, an owner."""
    founded: Founded = await _identity(request).create_tenant(caller, body.name, body.admin)
    return FoundedTenant(
        id=str(founded.tenant),
        name=founded.name,
        admin=founded.user,
        admin_key=founded.key,
        claim_url=_claim_url(request, founded.claim),
    )


@router.get("/api/tenants", openapi_extra=declare("any", None))
async def list_tenants(request: Request, caller: Anybody) -> Rows[TenantView]:
    """All tenants to who may create them, to others their own."""
    return Rows(rows=await _identity(request).list_tenants(caller))


@router.post("/api/projects", status_code=_CREATED, openapi_extra=declare("workspace:apply", "project.create"))
async def create_project(
    request: Request, body: NewProject, caller: Annotated[Principal, require("workspace:apply")]
) -> ProjectView:
    """A new, empty project."""
    return await _identity(request).create_project(caller, body.name)


@router.get("/api/projects", openapi_extra=declare("workspace:read", None))
async def list_projects(request: Request, caller: Annotated[Principal, require("workspace:read")]) -> Rows[ProjectView]:
    """The tenant's projects."""
    return Rows(rows=await _identity(request).list_projects(caller))


# ── Principals, groups, roles ──


@router.post("/api/principals", status_code=_CREATED, openapi_extra=declare(_WRITES_PRINCIPALS, "principal.create"))
async def create_principal(request: Request, body: NewPrincipal, caller: Writer) -> PrincipalView:
    """A new user or service account."""
    return await _identity(request).create_principal(caller, body.name, body.kind, roles=body.roles, groups=body.groups)


@router.get("/api/principals", openapi_extra=declare(_WRITES_PRINCIPALS, None))
async def list_principals(request: Request, caller: Writer) -> Rows[PrincipalView]:
    """Users, service accounts and groups."""
    return Rows(rows=await _identity(request).list_principals(caller))


@router.get("/api/principals/{name}", openapi_extra=declare("any", None))
async def show_principal(request: Request, name: str, caller: Anybody) -> PrincipalView:
    """One of them; anybody may see himself."""
    return await _identity(request).show_principal(caller, name)


@router.post("/api/principals/{name}/disable", openapi_extra=declare(_WRITES_PRINCIPALS, "principal.disable"))
async def disable_principal(request: Request, name: str, caller: Writer) -> PrincipalView:
    """Shut somebody out: keys, sessions and links end. 409 for the last owner."""
    return await _identity(request).disable_principal(caller, name)


@router.post("/api/principals/{name}/enable", openapi_extra=declare(_WRITES_PRINCIPALS, "principal.enable"))
async def enable_principal(request: Request, name: str, caller: Writer) -> PrincipalView:
    """Undo it; ended sessions stay ended."""
    return await _identity(request).enable_principal(caller, name)


@router.get("/api/roles", openapi_extra=declare("principal:write|audit:read", None))
async def list_roles(
    request: Request, caller: Annotated[Principal, require("principal:write", "audit:read")]
) -> Rows[RoleView]:
    """The roles that there are, what each allows, and who has it."""
    return Rows(rows=await _identity(request).list_roles(caller))


@router.put("/api/principals/{name}/roles/{role}", openapi_extra=declare(_WRITES_PRINCIPALS, "role.bind"))
async def bind_role(request: Request, name: str, role: str, caller: Writer) -> PrincipalView:
    """Give a role."""
    return await _identity(request).bind_role(caller, name, role)


@router.delete("/api/principals/{name}/roles/{role}", openapi_extra=declare(_WRITES_PRINCIPALS, "role.unbind"))
async def unbind_role(request: Request, name: str, role: str, caller: Writer) -> PrincipalView:
    """Take a role back. 409 if no owner would be left."""
    return await _identity(request).unbind_role(caller, name, role)


@router.post(
    "/api/principals/{name}/claim",
    status_code=_CREATED,
    openapi_extra=declare("key:own|principal:write", "claim.create"),
)
async def create_claim(
    request: Request, name: str, caller: Annotated[Principal, require("key:own", "principal:write")]
) -> ClaimLink:
    """A one-time link that signs this user in; for oneself, or with `principal:write` for others."""
    claim = await _identity(request).create_claim(caller, name)
    return ClaimLink(
        principal=claim.principal,
        claim_url=_claim_url(request, claim.token),
        expires_at=claim.expires_at.isoformat(timespec="seconds"),
    )


@router.post("/api/groups", status_code=_CREATED, openapi_extra=declare(_WRITES_PRINCIPALS, "group.create"))
async def create_group(request: Request, body: NewGroup, caller: Writer) -> GroupView:
    """A new group without members."""
    return await _identity(request).create_group(caller, body.name)


@router.get("/api/groups", openapi_extra=declare(_WRITES_PRINCIPALS, None))
async def list_groups(request: Request, caller: Writer) -> Rows[GroupView]:
    """Groups with their members."""
    return Rows(rows=await _identity(request).list_groups(caller))


@router.put("/api/groups/{name}/members/{member}", openapi_extra=declare(_WRITES_PRINCIPALS, "group.add"))
async def add_member(request: Request, name: str, member: str, caller: Writer) -> GroupView:
    """Put a user, service account or group into a group."""
    return await _identity(request).add_member(caller, name, member)


@router.delete("/api/groups/{name}/members/{member}", openapi_extra=declare(_WRITES_PRINCIPALS, "group.remove"))
async def remove_member(request: Request, name: str, member: str, caller: Writer) -> GroupView:
    """Take somebody, or a group, out of a group."""
    return await _identity(request).remove_member(caller, name, member)


# ── Keys and grants ──


@router.post("/api/keys", status_code=_CREATED, openapi_extra=declare(_OWN_KEYS, "key.create"))
async def create_key(request: Request, body: WantedKey, caller: KeyMaker) -> NewKey:
    """A new API key: `{"token": "hw_…", "key": {…}}`. The token is shown this once."""
    return await _identity(request).create_key(
        caller,
        KeyRequest(
            principal=body.principal,
            name=body.name,
            permissions=None if body.permissions is None else tuple(body.permissions),
            groups=None if body.groups is None else tuple(body.groups),
            models=None if body.models is None else tuple(body.models),
            expires=body.expires,
        ),
    )


@router.get("/api/keys", openapi_extra=declare(_OWN_KEYS, None))
async def list_keys(request: Request, caller: KeyMaker, principal: str | None = None) -> Rows[KeyView]:
    """One's own keys; with `key:write` everybody's, or those of `principal`. Never a secret."""
    return Rows(rows=await _identity(request).list_keys(caller, principal))


@router.delete("/api/keys/{reference}", openapi_extra=declare(_OWN_KEYS, "key.revoke"))
async def revoke_key(request: Request, reference: str, caller: KeyMaker) -> KeyView:
    """End a key for good, by its `id` or its `prefix`."""
    return await _identity(request).revoke_key(caller, reference)


@router.post("/api/grants", status_code=_CREATED, openapi_extra=declare("grant:write", "grant.create"))
async def create_grant(request: Request, body: NewGrant, caller: Lender) -> GrantView:
    """Lend a feature to another tenant."""
    return await _identity(request).create_grant(caller, body.feature, body.tenant, body.project)


@router.get("/api/grants", openapi_extra=declare("grant:write", None))
async def list_grants(request: Request, caller: Lender) -> Rows[GrantView]:
    """Grants given and received."""
    return Rows(rows=await _identity(request).list_grants(caller))


@router.delete(
    "/api/grants/{project}/{feature}/{tenant}", status_code=204, openapi_extra=declare("grant:write", "grant.revoke")
)
async def revoke_grant(request: Request, project: str, feature: str, tenant: str, caller: Lender) -> None:
    """Take a feature back from a tenant."""
    await _identity(request).revoke_grant(caller, feature, tenant, project)

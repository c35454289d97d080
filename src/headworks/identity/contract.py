"""What identity tells others: the shapes that services and HTTP answers are made of. Moments are UTC."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Literal
from uuid import UUID

from headworks.types.ids import KeyId, PrincipalId, ProjectId, TenantId


@dataclass(frozen=True, slots=True)
class Founded:
    """A new tenant with its first user, an owner. Both secrets are shown once.

    `key` is an API key, `claim` signs in a browser at `{base}/claim/{claim}` within 24 hours.
    """

    tenant: TenantId
    name: str
    user: str
    key: str = field(repr=False)
    claim: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class TenantView:
    """A tenant, as the operator sees it. `is_operator`: its owners may create tenants."""

    id: TenantId
    name: str
    is_operator: bool
    created_at: datetime


@dataclass(frozen=True, slots=True)
class ProjectView:
    """A project of the caller's tenant."""

    id: ProjectId
    name: str
    created_at: datetime


@dataclass(frozen=True, slots=True)
class PrincipalView:
    """A user, service account or group. `groups` are those it is in; `roles` those bound to it directly."""

    id: PrincipalId
    name: str
    kind: Literal["user", "service", "group"]
    roles: tuple[str, ...]
    groups: tuple[str, ...]
    disabled_at: datetime | None
    created_at: datetime


@dataclass(frozen=True, slots=True)
class GroupView:
    """A group with its members' names."""

    id: PrincipalId
    name: str
    roles: tuple[str, ...]
    members: tuple[str, ...]
    disabled_at: datetime | None
    created_at: datetime


@dataclass(frozen=True, slots=True)
class Way:
    """How somebody is in a group: the groups on the way by name, that one last. `is_open`: none of them is disabled."""

    groups: tuple[str, ...]
    is_open: bool


@dataclass(frozen=True, slots=True)
class RoleView:
    """A role with what it allows, and the names of the principals and groups that it is bound to."""

    name: str
    is_built_in: bool
    permissions: tuple[str, ...]
    bound_to: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class KeyRequest:
    """What key is wanted, `principal` empty: for oneself. None: all that the principal has; an empty list: nothing.

    `groups` narrows reading to those groups; `expires` is ISO 8601 or a span such as `30d`.
    """

    principal: str = ""
    name: str = ""
    permissions: tuple[str, ...] | None = None
    groups: tuple[str, ...] | None = None
    models: tuple[str, ...] | None = None
    expires: str | None = None


@dataclass(frozen=True, slots=True)
class KeyView:
    """An API key without its secret. `prefix` is the public part of the token; `groups` None: not narrowed."""

    id: KeyId
    prefix: str
    name: str
    principal: str
    permissions: tuple[str, ...] | None
    groups: tuple[str, ...] | None
    models: tuple[str, ...] | None
    state: Literal["active", "expired", "revoked"]
    expires_at: datetime | None
    revoked_at: datetime | None
    created_at: datetime


@dataclass(frozen=True, slots=True)
class NewKey:
    """A key that was just made. `token` is shown this once and stored nowhere."""

    token: str = field(repr=False)
    key: KeyView


@dataclass(frozen=True, slots=True)
class Claim:
    """A one-time link's secret for somebody's sign-in: `{base}/claim/{token}`."""

    token: str = field(repr=False)
    principal: str
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class Grant:
    """A feature of `tenant`'s project, lent to another tenant: what the request path needs."""

    tenant: TenantId
    project: ProjectId
    feature: str
    since: datetime = field(default=datetime.min.replace(tzinfo=UTC), compare=False)


@dataclass(frozen=True, slots=True)
class GrantView:
    """A grant from both ends. `direction` says on which end the caller's tenant is."""

    direction: Literal["given", "received"]
    feature: str
    project: ProjectId
    tenant: TenantId
    grantee: TenantId
    created_at: datetime


@dataclass(frozen=True, slots=True)
class WebSession:
    """A session that was just opened: the cookie's value and until when it can last at most."""

    token: str = field(repr=False)
    principal: str
    tenant: str
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class Named:
    """An id with its name."""

    id: UUID
    name: str


@dataclass(frozen=True, slots=True)
class Whoami:
    """Who the caller is, and what this very key or session may do. `key` None: a web session."""

    id: PrincipalId
    name: str
    kind: str
    tenant: Named
    roles: tuple[str, ...]
    groups: tuple[str, ...]
    permissions: tuple[str, ...]
    models: tuple[str, ...] | None
    key: KeyView | None


@dataclass(frozen=True, slots=True)
class Person:
    """A user or service account that an erasure is about."""

    id: PrincipalId
    name: str

"""Who holds which key, of all tenants, as one immutable table: the request path authenticates from it alone."""

from __future__ import annotations

import hmac
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from types import MappingProxyType

from headworks.identity import refusals
from headworks.identity.contract import Grant
from headworks.identity.roles import PERMISSIONS
from headworks.identity.tokens import parse
from headworks.types.identity import Principal, PrincipalKind, ShownKey
from headworks.types.ids import KeyId, PrincipalId, TenantId

_NO_HASH = bytes(32)


@dataclass(frozen=True, slots=True)
class Holder:
    """A principal with what its roles add up to and the enabled groups it is in."""

    id: PrincipalId
    name: str
    kind: PrincipalKind
    is_disabled: bool
    permissions: frozenset[str]
    groups: frozenset[PrincipalId]


@dataclass(frozen=True, slots=True)
class HeldKey:
    """An API key as stored. `permissions`, `models`, `groups`: None is no limit of its own."""

    id: KeyId
    principal: PrincipalId
    secret_hash: bytes = field(repr=False)
    permissions: frozenset[str] | None
    models: frozenset[str] | None
    groups: frozenset[PrincipalId] | None
    expires_at: datetime | None
    is_revoked: bool


@dataclass(frozen=True, slots=True)
class TenantTable:
    """One tenant's principals and keys, and the grants it has given: (grantee, grant)."""

    tenant: TenantId
    name: str
    holders: Mapping[PrincipalId, Holder]
    keys: Mapping[KeyId, HeldKey]
    given: tuple[tuple[TenantId, Grant], ...]


def acting(tenant: TenantId, holder: Holder, key: HeldKey | None) -> Principal:
    """The Principal that acts by this key, or in a session: the holder's rights, met with the key's."""
    if key is None:
        return Principal(tenant, holder.id, holder.name, holder.kind, holder.permissions, groups=holder.groups)
    return Principal(
        tenant,
        holder.id,
        holder.name,
        holder.kind,
        holder.permissions if key.permissions is None else holder.permissions & key.permissions,
        key=key.id,
        allowed_models=key.models,
        groups=holder.groups if key.groups is None else holder.groups & key.groups,
        is_narrowed=key.groups is not None,
    )


class IdentityTable:
    """All tenants at one moment. Never changed: what is newer is a new table, made from this one by `replacing`."""

    def __init__(self, pepper: bytes, tenants: Iterable[TenantTable] = ()) -> None:
        self._pepper = pepper
        self._tenants = {each.tenant: each for each in tenants}
        self._places = {key: each for each in self._tenants.values() for key in each.keys}
        self._verified: dict[bytes, tuple[Principal, float]] = {}
        self.grants: Mapping[TenantId, tuple[Grant, ...]] = MappingProxyType(_received(self._tenants.values()))
        """By the tenant that received them."""

    @property
    def tenants(self) -> frozenset[TenantId]:
        """All there are."""
        return frozenset(self._tenants)

    def authenticate(self, shown: ShownKey, now: float) -> Principal:
        """Who holds this API key at `now` (seconds since 1970), without the database.

        Raises Unauthenticated: missing, malformed, invalid (unknown id and wrong secret read and cost the same), or
        expired or revoked (both only told to who has the secret). A verified key is remembered by its hash; its end is
        looked at each time.
        """
        known = self._verified.get(shown.digest)
        if known is None:
            known = self._verified[shown.digest] = self._verify(shown.text)
        principal, expires_at = known
        if now >= expires_at:
            raise refusals.expired_key(expires_at)
        return principal

    def knows(self, shown: ShownKey) -> bool:
        """Whether the table has the key that is named, whatever its secret: if not, a newer table might."""
        parsed = parse("hw", shown.text)
        return parsed is None or KeyId(parsed.id) in self._places

    def replacing(self, changed: Iterable[TenantTable]) -> IdentityTable:
        """A new table with these tenants in the place of the same ones, and all others as they are."""
        return IdentityTable(self._pepper, {**self._tenants, **{each.tenant: each for each in changed}}.values())

    def operator(self) -> Principal | None:
        """The first enabled user who holds every permission there is: an owner of the operator's tenant."""
        for each in self._tenants.values():
            for holder in each.holders.values():
                if holder.kind == "user" and not holder.is_disabled and holder.permissions >= PERMISSIONS.keys():
                    return acting(each.tenant, holder, None)
        return None

    def _verify(self, token: str) -> tuple[Principal, float]:
        if not token:
            raise refusals.missing_key()
        parsed = parse("hw", token)
        if parsed is None:
            raise refusals.malformed_key()
        place = self._places.get(KeyId(parsed.id))
        key = place.keys[KeyId(parsed.id)] if place else None
        is_right = hmac.compare_digest(parsed.hashed(self._pepper), key.secret_hash if key else _NO_HASH)
        if place is None or key is None or not is_right:
            raise refusals.invalid_key()
        if key.is_revoked:
            raise refusals.revoked_key()
        holder = place.holders[key.principal]
        if holder.is_disabled:
            raise refusals.disabled_principal()
        return acting(place.tenant, holder, key), key.expires_at.timestamp() if key.expires_at else float("inf")


def _received(tenants: Iterable[TenantTable]) -> dict[TenantId, tuple[Grant, ...]]:
    """The oldest first: what is lent later never takes the place of what a tenant was lent before."""
    received: dict[TenantId, tuple[Grant, ...]] = {}
    given = [each for tenant in tenants for each in tenant.given]
    for grantee, grant in sorted(given, key=lambda each: each[1].since):
        received[grantee] = (*received.get(grantee, ()), grant)
    return received

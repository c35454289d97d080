"""API keys: who may make which key for whom. No key has more rights than its maker and its principal have."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from headworks.errors import Conflict, Forbidden, InvalidRequest, NotFound
from headworks.identity import store
from headworks.identity.authority import allow, refuse_more
from headworks.identity.contract import KeyRequest, KeyView, NewKey
from headworks.identity.expiry import parse_expiry
from headworks.identity.names import near
from headworks.identity.roles import OWNER, check_permissions
from headworks.identity.store import SQL, find_named, note
from headworks.identity.table import Holder
from headworks.identity.tokens import mint, parse_public_part
from headworks.storage.pool import Tx
from headworks.types.identity import Principal
from headworks.types.ids import KeyId, PrincipalId, new_id

_MOST_MODELS = 200


@dataclass(frozen=True, slots=True)
class Limits:
    """What a key limits: None is no limit of its own."""

    permissions: frozenset[str] | None = None
    models: frozenset[str] | None = None
    groups: frozenset[PrincipalId] | None = None
    expires_at: datetime | None = None


async def create(tx: Tx, maker: Principal, request: KeyRequest, pepper: bytes) -> NewKey:
    """A new key as asked for, or the reason why not; see `KeyRequest`."""
    name = request.principal or maker.name
    allow(maker, *(["key:own", "key:write"] if name == maker.name else ["key:write"]))
    found = await find_named(tx, maker.tenant, name, ["user", "service"])
    if found.is_disabled:
        raise Conflict(
            f"`{found.name}` is disabled.", next_step=f"`POST /api/principals/{found.name}/enable` lets it in again."
        )
    holder = await store.holder_of(tx, maker.tenant, found.id)
    if holder is None:
        raise NotFound(f"There is no user or service account `{found.name}`.")
    limits = Limits(
        permissions=await _permissions(tx, maker, holder, request),
        models=_models(maker, request.models),
        groups=await _groups(tx, maker, holder, request.groups),
        expires_at=await _expiry(tx, maker, request.expires),
    )
    return await add(tx, maker, holder, _checked_label(request.name), limits, pepper)


async def add(
    tx: Tx, maker: Principal | store.AtTheDoor, holder: Holder, label: str, limits: Limits, pepper: bytes
) -> NewKey:
    """Store a key with these limits and show its token this once."""
    token = mint("hw", new_id())
    key = KeyId(token.id)
    await tx.run(
        SQL.add_key,
        tenant=maker.tenant,
        key=key,
        principal=holder.id,
        kind=holder.kind,
        name=label,
        secret_hash=token.hashed(pepper),
        permissions=_listed(limits.permissions),
        models=_listed(limits.models),
        narrowed=limits.groups is not None,
        expires_at=limits.expires_at,
    )
    for group in limits.groups or ():
        await tx.run(SQL.add_key_group, tenant=maker.tenant, key=key, group=group)
    ((_, view),) = await store.list_keys(tx, maker.tenant, key=key)
    await note(
        tx, maker, "key.create", f"key:{key}",
        principal=holder.name, permissions=view.permissions, groups=view.groups, models=view.models,
        expires_at=limits.expires_at.isoformat() if limits.expires_at else None,
    )  # fmt: skip
    return NewKey(token.text(), view)


async def listed(tx: Tx, maker: Principal, principal: str | None) -> list[KeyView]:
    """One's own keys; with `key:write` those of a named principal, or everybody's."""
    allow(maker, "key:own", "key:write")
    whose: PrincipalId | None = maker.id
    if principal is not None and principal != maker.name:
        allow(maker, "key:write")
        whose = (await find_named(tx, maker.tenant, principal, ["user", "service"])).id
    elif principal is None and maker.may("key:write"):
        whose = None
    return [view for _, view in await store.list_keys(tx, maker.tenant, principal=whose)]


async def revoke(tx: Tx, maker: Principal, reference: str) -> KeyView:
    """End a key for good, by its id or its public part. A second time nothing happens."""
    allow(maker, "key:own", "key:write")
    key = _referenced(reference)
    rows = await store.list_keys(tx, maker.tenant, key=key) if key else []
    if key is None or not rows or not (maker.may("key:write") or rows[0][0] == maker.id):
        raise NotFound("There is no such key.", next_step="`headworks key list` shows ids and prefixes.", param="id")
    if await tx.run(SQL.revoke_key, tenant=maker.tenant, key=key):
        await note(tx, maker, "key.revoke", f"key:{key}", principal=rows[0][1].principal)
    return (await store.list_keys(tx, maker.tenant, key=key))[0][1]


async def _permissions(tx: Tx, maker: Principal, holder: Holder, request: KeyRequest) -> frozenset[str] | None:
    if request.permissions is not None:
        wanted = check_permissions(request.permissions)
        refuse_more(maker, wanted, "This key")
        if missing := sorted(wanted - holder.permissions):
            raise InvalidRequest(
                f"`{holder.name}` may not {', '.join(f'`{each}`' for each in missing)}, so no key of it can.",
                next_step="Give it a role with that permission first, or leave it out.",
                param="permissions",
            )
        return wanted
    # A key that grows with its principal: for oneself, by a session or such a key, or by who has every right there is.
    every = await store.rights_of_roles(tx, maker.tenant, [OWNER])
    if (await _own_key(tx, maker)).permissions is None and (maker.id == holder.id or maker.permissions >= every):
        return None
    return holder.permissions & maker.permissions


def _models(maker: Principal, wanted: Sequence[str] | None) -> frozenset[str] | None:
    if wanted is None:
        return maker.allowed_models
    if len(wanted) > _MOST_MODELS or not all(0 < len(each) <= 200 and each.isprintable() for each in wanted):
        raise InvalidRequest(
            f"`models` takes at most {_MOST_MODELS} names of 1 to 200 printable characters.", param="models"
        )
    models = frozenset(wanted)
    if maker.allowed_models is not None and (more := sorted(models - maker.allowed_models)):
        raise Forbidden(
            f"This key may not call {', '.join(f'`{each}`' for each in more)}, so no key made with it can.",
            next_step=f"It may call: {', '.join(sorted(maker.allowed_models)) or 'none'}.",
        )
    return models


async def _groups(
    tx: Tx, maker: Principal, holder: Holder, wanted: Sequence[str] | None
) -> frozenset[PrincipalId] | None:
    allowed = holder.groups & maker.groups if maker.is_narrowed else holder.groups
    if wanted is None:
        return allowed if maker.is_narrowed else None
    rows = await tx.fetch_all(SQL.list_names_of, tenant=maker.tenant, principals=list(allowed))
    ids = {row.name: PrincipalId(row.principal_id) for row in rows}
    for name in wanted:
        if name not in ids:
            whose = "this narrowed key" if maker.is_narrowed else f"`{holder.name}`"
            raise InvalidRequest(
                f"A key can be narrowed to groups of {whose}, and `{name[:100]}` is none of them.",
                next_step=near(name, ids, "It is in no group."),
                param="groups",
            )
    return frozenset(ids[name] for name in wanted)


async def _expiry(tx: Tx, maker: Principal, wanted: str | None) -> datetime | None:
    latest = (await _own_key(tx, maker)).expires_at
    if wanted is None:
        return latest
    expires_at = parse_expiry(wanted, await tx.fetch_value(SQL.read_clock))
    if latest is not None and expires_at > latest:
        raise Forbidden(
            f"This key ends at {latest.isoformat(timespec='seconds')}, so no key made with it can last longer.",
            next_step="Ask for an earlier expiry, or make the key in a session.",
        )
    return expires_at


async def _own_key(tx: Tx, maker: Principal) -> Limits:
    """The limits of the key that asks; those of a session: none."""
    if maker.key is None:
        return Limits()
    ((_, view),) = await store.list_keys(tx, maker.tenant, key=maker.key)
    return Limits(
        permissions=None if view.permissions is None else frozenset(view.permissions), expires_at=view.expires_at
    )


def _checked_label(label: str) -> str:
    if len(label) > 100 or not label.isprintable():
        raise InvalidRequest("A key's name has at most 100 printable characters.", param="name")
    return label


def _referenced(reference: str) -> KeyId | None:
    try:
        return KeyId(parse_public_part(reference) or UUID(reference))
    except ValueError:
        return None


def _listed(values: frozenset[str] | None) -> list[str] | None:
    return None if values is None else sorted(values)

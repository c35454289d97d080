"""Signing in a browser: a claim link is redeemed once for a session, whose token lies in a cookie and hashed here."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from headworks.errors import InvalidRequest
from headworks.identity import refusals, store
from headworks.identity.authority import allow, refuse_limited, refuse_more
from headworks.identity.contract import Claim, WebSession
from headworks.identity.store import SQL, AtTheDoor, find_named, note
from headworks.identity.table import acting
from headworks.identity.tokens import Token, mint
from headworks.storage.pool import Tx
from headworks.types.identity import Principal
from headworks.types.ids import PrincipalId, TenantId

CLAIM_LASTS_S = 24 * 3600
SESSION_LASTS_S = 7 * 24 * 3600
"""A session ends then, however much it is used."""
SESSION_IDLE_S = 12 * 3600
"""… and when nobody used it for so long."""
SESSION_ROTATES_S = 3600
"""After this, its token is due for a new one."""


async def create_claim(tx: Tx, maker: Principal, name: str, pepper: bytes) -> Claim:
    """A one-time link for a user's sign-in. Refused where the session would have more rights than the maker has."""
    allow(maker, *(["key:own", "principal:write"] if name == maker.name else ["principal:write"]))
    found = await find_named(tx, maker.tenant, name, ["user", "service"])
    if found.kind != "user" or found.is_disabled:
        state = "is disabled" if found.kind == "user" else "is a service account"
        raise InvalidRequest(f"`{name}` {state} and can't sign in.", next_step="Links are for enabled users.")
    holder = await store.holder_of(tx, maker.tenant, found.id)
    refuse_more(maker, holder.permissions if holder else (), f"A session of `{name}`")
    refuse_limited(maker, f"A session of `{name}`")
    return await add_claim(tx, maker, found.id, name, pepper)


async def add_claim(tx: Tx, maker: Principal | AtTheDoor, principal: PrincipalId, name: str, pepper: bytes) -> Claim:
    """Store a claim and show its token this once."""
    token = mint("hwclaim", maker.tenant)
    await tx.run(SQL.remove_old_claims, tenant=maker.tenant)
    expires_at = await tx.fetch_value(
        SQL.add_claim, tenant=maker.tenant, hash=token.hashed(pepper), principal=principal, lasts_s=CLAIM_LASTS_S
    )
    await note(tx, maker, "claim.create", f"principal:{name}")
    return Claim(token.text(), name, expires_at)


async def redeem(tx: Tx, claim: Token, former: Token | None, pepper: bytes) -> WebSession:
    """A session for the claim's user; the browser's former one ends. Raises Unauthenticated if the claim is gone."""
    tenant = TenantId(claim.id)
    row = await tx.fetch_one(SQL.use_claim, tenant=tenant, hash=claim.hashed(pepper))
    if row is None:
        raise refusals.claim_gone()
    await tx.run(SQL.remove_old_sessions, tenant=tenant, idle_s=SESSION_IDLE_S)
    if former is not None and former.id == claim.id:
        await tx.fetch_one(SQL.end_session, tenant=tenant, hash=former.hashed(pepper))
    await note(tx, AtTheDoor(tenant, PrincipalId(row.principal_id)), "session.start", f"principal:{row.name}")
    return await _add_session(tx, tenant, row, None, pepper)


async def find(tx: Tx, session: Token, pepper: bytes) -> Principal:
    """Who is signed in by this session now. Raises Unauthenticated when it has ended, idled too long or is unknown."""
    tenant, hashed = TenantId(session.id), session.hashed(pepper)
    row = await _find_row(tx, session, pepper)
    holder = await store.holder_of(tx, tenant, PrincipalId(row.principal_id))
    if holder is None or holder.is_disabled:
        raise refusals.no_session()
    if row.is_quiet:
        await tx.run(SQL.see_session, tenant=tenant, hash=hashed)
    if row.replaces is not None:
        await tx.run(SQL.end_replaced_session, tenant=tenant, hash=hashed, replaced=row.replaces)
    return acting(tenant, holder, None)


async def rotate(tx: Tx, session: Token, pepper: bytes) -> WebSession | None:
    """A new token for a session whose own is an hour old, else None.

    The old token works until the new one is first used, and 10 s longer for what was under way: an answer that is lost
    signs nobody out. The session's last end stays what it was.
    """
    tenant = TenantId(session.id)
    row = await _find_row(tx, session, pepper)
    if not row.is_due:
        return None
    ((name),) = await tx.fetch_all(SQL.list_names_of, tenant=tenant, principals=[row.principal_id])
    await note(tx, AtTheDoor(tenant, PrincipalId(row.principal_id)), "session.rotate", f"principal:{name.name}")
    return await _add_session(tx, tenant, name, (session.hashed(pepper), row.expires_at), pepper)


async def end(tx: Tx, session: Token, pepper: bytes) -> None:
    """Sign out. Nothing happens if the session has ended."""
    tenant = TenantId(session.id)
    principal = await tx.fetch_value(SQL.end_session, tenant=tenant, hash=session.hashed(pepper))
    if principal is not None:
        await note(tx, AtTheDoor(tenant, PrincipalId(principal)), "session.end", f"principal:{principal}")


async def _find_row(tx: Tx, session: Token, pepper: bytes) -> Any:  # noqa: ANN401 -- a row
    row = await tx.fetch_one(
        SQL.find_session,
        tenant=session.id,
        hash=session.hashed(pepper),
        idle_s=SESSION_IDLE_S,
        rotate_s=SESSION_ROTATES_S,
    )
    if row is None:
        raise refusals.no_session()
    return row


async def _add_session(
    tx: Tx,
    tenant: TenantId,
    user: Any,  # noqa: ANN401 -- a row
    replaced: tuple[bytes, datetime] | None,
    pepper: bytes,
) -> WebSession:
    token = mint("hwsession", tenant)
    expires_at = await tx.fetch_value(
        SQL.add_session,
        tenant=tenant,
        hash=token.hashed(pepper),
        principal=user.principal_id,
        lasts_s=SESSION_LASTS_S,
        expires_at=replaced[1] if replaced else None,
        replaces=replaced[0] if replaced else None,
    )
    return WebSession(token.text(), user.name, (await store.tenant_of(tx, tenant)).name, expires_at)

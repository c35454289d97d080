"""Claim links and web sessions."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta

import psycopg
import pytest

from headworks.errors import Forbidden, InvalidRequest, NotFound, Unauthenticated
from headworks.identity.contract import Founded, KeyRequest, WebSession
from headworks.identity.service import Identity
from headworks.identity.tokens import mint
from headworks.types.identity import Principal
from headworks.types.ids import new_id

Superuser = psycopg.Connection[tuple[object, ...]]
ByKey = Callable[[str], Awaitable[Principal]]
Someone = Callable[..., Awaitable[Principal]]


@pytest.fixture
async def session(identity: Identity, founded: Founded) -> WebSession:
    """The first owner's, just opened."""
    return await identity.redeem_claim(founded.claim)


async def refused(attempt: Awaitable[object]) -> Unauthenticated:
    with pytest.raises(Unauthenticated) as caught:
        await attempt
    assert "headworks principal claim" in caught.value.next_step
    return caught.value


async def test_a_session_is_its_user_with_all_rights_and_no_key(
    identity: Identity, session: WebSession, owner: Principal
) -> None:
    signed_in = await identity.session(session.token)
    assert (signed_in.id, signed_in.key, signed_in.permissions) == (owner.id, None, owner.permissions)
    assert (signed_in.groups, signed_in.is_narrowed) == (owner.groups, False)


async def test_a_session_follows_the_rights_of_its_user(identity: Identity, owner: Principal, someone: Someone) -> None:
    await someone("jane")
    token = (await identity.redeem_claim((await identity.create_claim(owner, "jane")).token)).token
    await identity.bind_role(owner, "jane", "engineer")
    assert "workspace:apply" in (await identity.session(token)).permissions
    await identity.unbind_role(owner, "jane", "engineer")
    assert "workspace:apply" not in (await identity.session(token)).permissions


async def test_a_claim_is_redeemed_once(identity: Identity, founded: Founded, session: WebSession) -> None:
    assert (await refused(identity.redeem_claim(founded.claim))).code == "claim_gone"


async def test_of_many_who_redeem_a_claim_at_once_one_is_signed_in(identity: Identity, founded: Founded) -> None:
    results = await asyncio.gather(*(identity.redeem_claim(founded.claim) for _ in range(6)), return_exceptions=True)
    assert [type(result) for result in results].count(WebSession) == 1


async def test_a_claim_lasts_a_day(identity: Identity, owner: Principal, as_superuser: Superuser) -> None:
    claim = await identity.create_claim(owner, "admin")
    assert abs(claim.expires_at - datetime.now(UTC) - timedelta(hours=24)) < timedelta(minutes=5)
    as_superuser.execute("UPDATE claim SET expires_at = now()")
    await refused(identity.redeem_claim(claim.token))


async def test_a_claim_that_is_used_expired_unknown_or_malformed_reads_the_same(
    identity: Identity, founded: Founded, session: WebSession
) -> None:
    texts = {
        str(await refused(identity.redeem_claim(token)))
        for token in (
            founded.claim,
            mint("hwclaim", founded.tenant).text(),
            mint("hwclaim", new_id()).text(),
            "x",
            founded.key,
        )
    }
    assert len(texts) == 1


async def test_a_session_that_is_unknown_or_malformed_reads_the_same(identity: Identity, founded: Founded) -> None:
    for token in (mint("hwsession", founded.tenant).text(), mint("hwsession", new_id()).text(), "", founded.key):
        assert (await refused(identity.session(token))).code == "session_ended"
        assert (await refused(identity.rotate_session(token))).code == "session_ended"
        await identity.end_session(token)


async def test_signing_out_ends_the_session(identity: Identity, session: WebSession) -> None:
    await identity.end_session(session.token)
    await refused(identity.session(session.token))
    await identity.end_session(session.token)


async def test_signing_in_anew_ends_the_browsers_former_session(
    identity: Identity, owner: Principal, session: WebSession
) -> None:
    other = await identity.redeem_claim((await identity.create_claim(owner, "admin")).token)
    again = await identity.redeem_claim((await identity.create_claim(owner, "admin")).token, session.token)
    await refused(identity.session(session.token))
    for each in (other, again):
        assert (await identity.session(each.token)).name == "admin"


async def test_a_session_ends_when_nobody_used_it_for_half_a_day(
    identity: Identity, session: WebSession, as_superuser: Superuser
) -> None:
    as_superuser.execute("UPDATE web_session SET last_seen_at = now() - interval '11 hours 59 minutes'")
    assert (await identity.session(session.token)).name == "admin"
    (seen,) = as_superuser.execute("SELECT now() - last_seen_at < interval '1 minute' FROM web_session").fetchall()
    assert seen == (True,), "its use was noted"
    as_superuser.execute("UPDATE web_session SET last_seen_at = now() - interval '12 hours 1 second'")
    await refused(identity.session(session.token))


async def test_a_session_ends_after_a_week_however_much_it_is_used(
    identity: Identity, session: WebSession, as_superuser: Superuser
) -> None:
    assert abs(session.expires_at - datetime.now(UTC) - timedelta(days=7)) < timedelta(minutes=5)
    as_superuser.execute("UPDATE web_session SET expires_at = now()")
    await refused(identity.session(session.token))


async def test_a_token_is_renewed_after_an_hour_and_the_old_one_ends_once_the_new_one_is_used(
    identity: Identity, session: WebSession, as_superuser: Superuser
) -> None:
    assert await identity.rotate_session(session.token) is None
    as_superuser.execute("UPDATE web_session SET created_at = now() - interval '61 minutes'")
    renewed = await identity.rotate_session(session.token)
    assert renewed is not None
    assert renewed.expires_at == session.expires_at, "the last end does not move"
    assert (await identity.session(session.token)).name == "admin", "the answer with the new one may have been lost"
    assert (await identity.session(renewed.token)).name == "admin"
    (rows,) = as_superuser.execute(
        "SELECT count(*) FILTER (WHERE expires_at < now() + interval '11 seconds'), count(*) FROM web_session"
    ).fetchall()
    assert rows == (1, 2), "the old one has seconds left for what is under way"
    as_superuser.execute("UPDATE web_session SET expires_at = now() WHERE expires_at < now() + interval '1 minute'")
    await refused(identity.session(session.token))
    assert (await identity.session(renewed.token)).name == "admin"


async def test_sessions_and_claims_that_ended_are_swept(
    identity: Identity, owner: Principal, session: WebSession, as_superuser: Superuser
) -> None:
    await identity.end_session(session.token)
    await identity.redeem_claim((await identity.create_claim(owner, "admin")).token)
    assert as_superuser.execute("SELECT count(*) FROM web_session").fetchone() == (1,)
    await identity.create_claim(owner, "admin")
    assert as_superuser.execute("SELECT count(*) FROM claim").fetchone() == (1,)


async def test_a_service_account_a_group_and_a_disabled_user_can_not_sign_in(
    identity: Identity, owner: Principal
) -> None:
    await identity.create_principal(owner, "bot", "service")
    await identity.create_principal(owner, "jane")
    await identity.disable_principal(owner, "jane")
    with pytest.raises(InvalidRequest, match="`bot` is a service account and can't sign in"):
        await identity.create_claim(owner, "bot")
    with pytest.raises(InvalidRequest, match="`jane` is disabled and can't sign in"):
        await identity.create_claim(owner, "jane")
    with pytest.raises(NotFound, match="no user or service account `everyone`"):
        await identity.create_claim(owner, "everyone")


async def test_a_claim_is_made_for_oneself_or_with_the_permission_for_others(
    identity: Identity, owner: Principal, someone: Someone
) -> None:
    jane = await someone("jane")
    assert (await identity.create_claim(jane, "jane")).principal == "jane"
    with pytest.raises(Forbidden, match="principal:write"):
        await identity.create_claim(jane, "admin")
    assert (await identity.create_claim(owner, "jane")).principal == "jane"


async def test_a_limited_key_opens_no_unlimited_session(
    identity: Identity, owner: Principal, someone: Someone, by_key: ByKey
) -> None:
    jane = await someone("jane", roles=("engineer",))
    for request in (
        KeyRequest(permissions=("key:own",)),
        KeyRequest(groups=("everyone",)),
        KeyRequest(models=("claims-assistant",)),
    ):
        limited = await by_key((await identity.create_key(jane, request)).token)
        with pytest.raises(Forbidden):
            await identity.create_claim(limited, "jane")


async def test_sessions_are_audited_without_their_tokens(
    identity: Identity, founded: Founded, as_superuser: Superuser
) -> None:
    session = await identity.redeem_claim(founded.claim)
    await identity.end_session(session.token)
    rows = as_superuser.execute(
        "SELECT action, detail::text FROM audit_event WHERE action ~ '^(session|claim)[.]' ORDER BY at"
    ).fetchall()
    assert [row[0] for row in rows] == ["claim.create", "session.start", "session.end"]
    assert all(token[10:] not in str(rows) for token in (founded.claim, session.token))


async def test_whoami_tells_names_rights_and_limits(
    identity: Identity, session: WebSession, someone: Someone, by_key: ByKey
) -> None:
    me = await identity.whoami(await identity.session(session.token))
    assert (me.name, me.kind, me.tenant.name, me.roles, me.key) == ("admin", "user", "default", ("owner",), None)
    jane = await someone("jane", roles=("engineer",), groups=("clinicians", "lawyers"))
    made = await identity.create_key(
        jane, KeyRequest(permissions=("feature:call",), groups=("clinicians",), models=("claims-assistant",))
    )
    limited = await identity.whoami(await by_key(made.token))
    assert limited.groups == ("clinicians",)
    assert limited.permissions == ("feature:call",)
    assert limited.models == ("claims-assistant",)
    assert limited.key == made.key

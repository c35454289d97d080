"""Attestations: signed, append-only, and disbelieved wherever anything about them is not what was signed."""

from __future__ import annotations

import asyncio
import base64
import json
from datetime import UTC, datetime
from typing import Any

import psycopg
import pytest
from hypothesis import given
from hypothesis import strategies as st
from release_world import World

from headworks.errors import Conflict, InvalidRequest, NotFound
from headworks.releases.channels import Order
from headworks.releases.evidence import signing
from headworks.releases.evidence.attestations import Statement, read_statement, write_statement
from headworks.releases.evidence.store import Attested
from headworks.storage.queries import load
from headworks.types.ids import Digest, PrincipalId, new_id

Superuser = psycopg.Connection[tuple[object, ...]]
CARD = "https://example.com/model-card/v1"
PRIVATE = bytes(range(32))
SQL = load("headworks.releases.evidence")


async def attested(world: World) -> tuple[Digest, Attested]:
    digest = Digest((await world.apply()).digest)
    return digest, await world.releases.evidence.attest(world.admin, digest, CARD, {"size": 7})


async def problem(world: World, digest: Digest) -> str | None:
    (found,) = await world.releases.evidence.about(world.admin, digest)
    return found.problem


async def test_what_was_attested_is_read_back_with_who_and_when(guest: World) -> None:
    digest, made = await attested(guest)
    (found,) = await guest.releases.evidence.about(guest.admin, digest)
    assert found == made
    assert found.statement is not None
    assert (found.statement.by_name, found.statement.predicate) == ("admin", {"size": 7})
    assert found.counts
    payload = json.loads(base64.b64decode(json.loads(found.envelope)["payload"]))
    assert payload["_type"] == "https://in-toto.io/Statement/v1"
    assert payload["subject"][0]["digest"] == {"sha256": digest.removeprefix("sha256:")}


async def test_nothing_can_change_or_remove_an_attestation(guest: World) -> None:
    await attested(guest)
    for statement in ("UPDATE attestation SET digest = digest", "DELETE FROM attestation"):
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            async with guest.db.tx(guest.admin) as tx:
                await tx.run(f"{statement} WHERE tenant_id = %(tenant)s", tenant=guest.admin.tenant)


async def test_only_a_release_of_ours_is_attested_about(guest: World) -> None:
    with pytest.raises(NotFound, match="no release"):
        await guest.releases.evidence.attest(guest.admin, Digest("sha256:" + "0" * 64), CARD, {})


@pytest.mark.parametrize(
    ("kind", "predicate", "reason"),
    [
        ("no address", {}, "address"),
        ("headworks:anything/v1", {}, "no predicate type"),
        ("headworks:gate-verdict/v1", {"verdict": "MAYBE", "gate": "x"}, "no `headworks:gate-verdict/v1`"),
        (CARD, {"number": float("nan")}, "can't be written"),
        (CARD, {"text": "\ud800"}, "can't be written"),
        (CARD, {"text": "x" * 4_000_001}, "more than"),
    ],
)
async def test_a_predicate_that_is_none_is_refused(
    guest: World, kind: str, predicate: dict[str, Any], reason: str
) -> None:
    digest = Digest((await guest.apply()).digest)
    with pytest.raises(InvalidRequest, match=reason):
        await guest.releases.evidence.attest(guest.admin, digest, kind, predicate)


async def test_a_rotated_key_signs_no_more_and_what_it_signed_stays_good(guest: World) -> None:
    digest, first = await attested(guest)
    key = await guest.releases.evidence.rotate(guest.admin)
    second = await guest.releases.evidence.attest(guest.admin, digest, CARD, {"size": 8})
    assert (second.key_id, first.key_id != key.id) == (key.id, True)
    assert [each.problem for each in await guest.releases.evidence.about(guest.admin, digest)] == [None, None]
    assert [each.retired_at is None for each in await guest.releases.evidence.keys(guest.admin)] == [False, True]


async def test_what_is_signed_while_keys_are_rotated_is_signed_with_one_that_counts(
    guest: World, shared_superuser: Superuser
) -> None:
    digest, _ = await attested(guest)
    tenant = {"tenant": guest.admin.tenant}
    password = shared_superuser.info.password or None
    with psycopg.connect(shared_superuser.info.dsn, password=password) as rotating:
        rotating.execute("SET search_path = headworks, public")
        rotating.execute(SQL["wait_for_signing_keys"], tenant)
        rotating.execute(SQL["retire_signing_keys"], {**tenant, "kept": ""})
        signing_meanwhile = asyncio.create_task(guest.releases.evidence.attest(guest.admin, digest, CARD, {"size": 8}))
        waits = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"
        async with asyncio.timeout(30):
            while not signing_meanwhile.done() and shared_superuser.execute(waits).fetchone() == (0,):
                await asyncio.sleep(0.01)
        rotating.commit()
    await signing_meanwhile
    assert [each.problem for each in await guest.releases.evidence.about(guest.admin, digest)] == [None, None]


FLIPPED = "set_byte({0}, 40, (get_byte({0}, 40) + 1) % 256)"
FORGERIES = {
    "a bit of it": (f"UPDATE attestation SET envelope = {FLIPPED.format('envelope')}", "changed"),
    "its type beside it": ("UPDATE attestation SET predicate_type = 'headworks:approval/v1'", "not what was signed"),
    "its time beside it": ("UPDATE attestation SET made_at = made_at + interval '1 day'", "not what was signed"),
    "the row it lies in": ("UPDATE attestation SET attestation_id = gen_random_uuid()", "another place"),
    "its key's end": ("UPDATE signing_key SET retired_at = now() - interval '1 day'", "had been retired"),
    "its key": (f"UPDATE signing_key SET material = {FLIPPED.format('material')}", "not known"),
    "its key's owner": ("UPDATE signing_key SET is_own = false", "not known"),
}


@pytest.mark.parametrize("what", FORGERIES)
async def test_what_was_tampered_with_is_found_at_every_reading_and_stops_promotions(
    guest: World, shared_superuser: Superuser, what: str
) -> None:
    digest, _ = await attested(guest)
    statement, said = FORGERIES[what]
    shared_superuser.execute(f"{statement} WHERE tenant_id = '{guest.admin.tenant}'".encode())
    assert said in str(await problem(guest, digest))
    first = digest
    second = Digest((await guest.apply(feature="owner: me\nroute: default\nprompt: prompts/answer.prompty\n")).digest)
    with pytest.raises(Conflict, match="signatures: The attestation .* does not verify"):
        await guest.releases.promotions.promote(guest.admin, "default", Order("claims", first, second))


async def test_a_statement_sealed_by_hand_under_a_key_of_ones_own_is_no_evidence(
    guest: World, shared_superuser: Superuser
) -> None:
    """Even with the data key: the signature is by a key that the tenant does not have."""
    digest, made = await attested(guest)
    assert made.statement is not None
    keyring = guest.releases.evidence._keyring
    (own,) = await guest.releases.evidence.keys(guest.admin)
    for private, at, said in (
        (PRIVATE, made.made_at, "not known here"),
        (own.private, datetime(2999, 1, 1, tzinfo=UTC), "future"),
    ):
        shared_superuser.execute(f"DELETE FROM attestation WHERE tenant_id = '{guest.admin.tenant}'".encode())
        assert private is not None
        words = Statement(digest, CARD, {}, guest.admin.id, "x", at, str(guest.admin.tenant))
        row = new_id()
        sealed = keyring.seal(
            guest.admin.tenant, "attestation.envelope", row, signing.sign(write_statement(words), private)
        )
        shared_superuser.execute(
            "INSERT INTO attestation (tenant_id, attestation_id, digest, predicate_type, envelope, made_at)"
            " VALUES (%s, %s, %s, %s, %s, %s)",
            [guest.admin.tenant, row, digest, CARD, sealed, at],
        )
        assert said in str(await problem(guest, digest))


# ── Pure ──


@given(st.binary(max_size=300))
def test_what_was_signed_comes_back_and_another_key_does_not_open_it(payload: bytes) -> None:
    envelope = signing.sign(payload, PRIVATE)
    assert signing.verify(envelope, signing.public_of(PRIVATE)) == payload
    with pytest.raises(signing.SignatureWrong, match="another key"):
        signing.verify(envelope, signing.public_of(bytes(32)))


@given(st.integers(min_value=0), st.integers(min_value=0, max_value=7))
def test_no_bit_of_an_envelope_can_be_changed(at: int, bit: int) -> None:
    envelope = bytearray(signing.sign(b'{"a": 1}', PRIVATE))
    envelope[at % len(envelope)] ^= 1 << bit
    try:
        payload = signing.verify(bytes(envelope), signing.public_of(PRIVATE))
    except signing.SignatureWrong:
        return
    assert payload == b'{"a": 1}', "only how its base64 is written may differ"


@given(st.binary(max_size=200) | st.text(max_size=200).map(str.encode))
def test_anything_is_an_envelope_or_a_clear_refusal(content: bytes) -> None:
    with pytest.raises(signing.SignatureWrong, match=r"."):
        signing.verify(content, signing.public_of(PRIVATE))
    with pytest.raises(ValueError, match=r"."):
        read_statement(content)


@given(st.dictionaries(st.text(max_size=5), st.integers(-(2**53) + 1, 2**53 - 1) | st.text(max_size=9)), st.datetimes())
def test_a_statement_reads_as_it_was_written(predicate: dict[str, Any], at: datetime) -> None:
    statement = Statement(
        Digest("sha256:" + "a" * 64), CARD, predicate, PrincipalId(new_id()), "jane", at.replace(tzinfo=UTC), "tenant"
    )
    try:
        written = write_statement(statement)
    except ValueError:
        return
    assert read_statement(written) == statement

"""Attestations as they are kept: signed with the tenant's key, append-only, verified at every reading.

Nothing that a statement's columns say is believed: what counts is what its signature covers. A row that was changed,
moved, signed by a stranger or dated into the future is told as such, and never counts.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from headworks.errors import InvalidRequest, NotFound, SealBroken
from headworks.records.audit import note_audit
from headworks.releases.evidence import signing
from headworks.releases.evidence.attestations import OURS, Statement, check_predicate, read_statement, write_statement
from headworks.storage.pool import Database, Tx
from headworks.storage.queries import load
from headworks.storage.sealing import Keyring
from headworks.types.identity import Principal
from headworks.types.ids import Digest, TenantId, new_id

_SQL = load("headworks.releases.evidence")
CLOCKS_DIFFER = timedelta(minutes=5)
"""How far a statement may lie ahead of the clock before it is disbelieved."""


@dataclass(frozen=True, slots=True)
class SigningKey:
    """A key of a tenant; `private` is None for one of somebody else's."""

    id: str
    public: bytes
    private: bytes | None
    created_at: datetime
    retired_at: datetime | None

    @property
    def is_own(self) -> bool:
        """Whether this tenant signs, or signed, with it."""
        return self.private is not None


@dataclass(frozen=True, slots=True)
class Attested:
    """A kept attestation, verified just now. `problem` says why it counts for nothing; then `statement` may be None."""

    id: UUID
    digest: Digest
    predicate_type: str
    made_at: datetime
    key_id: str
    is_own: bool
    statement: Statement | None
    problem: str | None
    envelope: bytes = b""

    @property
    def counts(self) -> bool:
        """Whether it stands for something here: valid, and signed by this tenant itself."""
        return self.problem is None and self.is_own


@dataclass(frozen=True, slots=True)
class _Row:
    """What lies in the database, before anything of it is believed."""

    attestation_id: UUID
    digest: Digest
    predicate_type: str
    envelope: bytes
    made_at: datetime


class Evidence:
    """Signs, keeps and verifies."""

    def __init__(self, db: Database, keyring: Keyring) -> None:
        self._db = db
        self._keyring = keyring

    async def attest(
        self, principal: Principal, digest: Digest, predicate_type: str, predicate: Mapping[str, Any]
    ) -> Attested:
        """Sign a statement about a release and keep it for good; `headworks:` types are for Headworks' own parts.

        Raises InvalidRequest for a predicate that is none, NotFound where the tenant has no such release.
        """
        check_predicate(predicate_type, predicate)
        await self._keyring.ensure(self._db, principal.tenant)
        async with self._db.tx(principal) as tx:
            return await self.attest_in(tx, principal, digest, predicate_type, predicate)

    async def attest_in(
        self, tx: Tx, principal: Principal, digest: Digest, predicate_type: str, predicate: Mapping[str, Any]
    ) -> Attested:
        """As `attest`, in the transaction of what it belongs to; the tenant's data keys are at hand."""
        check_predicate(predicate_type, predicate)
        tenant = principal.tenant
        if await tx.fetch_one(_SQL["release_is_there"], tenant=tenant, digest=digest) is None:
            raise NotFound(f"There is no release `{digest}`.", next_step="`headworks release list` shows them.")
        await tx.run(_SQL["wait_for_signing_keys"], tenant=tenant)  # else it may be retired before the time is told
        key = await self._signing_key(tx, tenant)
        at = await tx.fetch_value(_SQL["time_to_say"], tenant=tenant, digest=digest)
        statement = Statement(digest, predicate_type, predicate, principal.id, principal.name, at, str(tenant))
        envelope = signing.sign(write_statement(statement), key.private or b"")
        identifier = new_id()
        await self._keep(tx, tenant, identifier, statement, envelope)
        await note_audit(
            tx, principal, "release.attest", digest, {"attestation": str(identifier), "type": predicate_type}
        )
        return Attested(identifier, digest, predicate_type, at, key.id, True, statement, None, envelope)

    @staticmethod
    async def now(tx: Tx) -> datetime:
        """The database's time, by which statements are dated and judged."""
        at: datetime = await tx.fetch_value(_SQL["time_now"])
        return at

    async def about(self, principal: Principal, digest: Digest) -> list[Attested]:
        """All attestations about a digest, oldest first, each verified."""
        await self._keyring.ensure(self._db, principal.tenant)
        async with self._db.tx(principal) as tx:
            return await self.about_in(tx, principal.tenant, digest)

    async def about_in(self, tx: Tx, tenant: TenantId, digest: Digest) -> list[Attested]:
        """As `about`, in a transaction; the tenant's data keys are at hand."""
        rows = await tx.fetch_all(_SQL["attestations_about"], into=_Row, tenant=tenant, digest=digest)
        if not rows:
            return []
        keys = {each.id: each for each in await self._keys(tx, tenant)}
        now = await self.now(tx)
        return [self._verified(tenant, row, keys, now) for row in rows]

    async def keys(self, principal: Principal) -> list[SigningKey]:
        """The tenant's keys, retired ones too; the first own one is made here if need be."""
        await self._keyring.ensure(self._db, principal.tenant)
        async with self._db.tx(principal) as tx:
            await self._signing_key(tx, principal.tenant)
            return await self._keys(tx, principal.tenant)

    async def rotate(self, principal: Principal) -> SigningKey:
        """Sign with a new key from now on; what the former ones signed until now stays valid."""
        await self._keyring.ensure(self._db, principal.tenant)
        async with self._db.tx(principal) as tx:
            await tx.run(_SQL["wait_for_signing_keys"], tenant=principal.tenant)
            made = await self._add_own(tx, principal.tenant)
            await tx.run(_SQL["retire_signing_keys"], tenant=principal.tenant, kept=made.id)
            await note_audit(tx, principal, "release.rotate", made.id, {})
            return made

    async def trust(self, tx: Tx, tenant: TenantId, public: bytes) -> None:
        """Know another's key, so that what it signed can be verified here; it counts for no promotion."""
        key_id = signing.key_id_of(public)
        sealed = self._keyring.seal(tenant, "signing_key.material", key_id, public)
        await tx.run(_SQL["add_signing_key"], tenant=tenant, key=key_id, own=False, material=sealed)

    async def keep_foreign(
        self, tx: Tx, tenant: TenantId, digest: Digest, envelopes: Sequence[tuple[UUID, bytes]]
    ) -> int:
        """Keep envelopes of an archive; how many are new. Raises InvalidRequest for one that is wrong."""
        keys = {each.id: each for each in await self._keys(tx, tenant)}
        now = await self.now(tx)
        new = 0
        for identifier, envelope in envelopes:
            try:
                key_id, _, _ = signing.read_envelope(envelope)
                if key_id not in keys:
                    raise signing.SignatureWrong(f"it was signed with {key_id}, which is not trusted here")
                statement = read_statement(signing.verify(envelope, keys[key_id].public))
                if statement.digest != digest:
                    raise signing.SignatureWrong("it is about another release")
                if statement.at > now + CLOCKS_DIFFER:  # kept for good, it would stop every promotion until then
                    raise signing.SignatureWrong("its time lies in the future")
            except ValueError as error:
                raise InvalidRequest(f"The attestation {identifier} can't be taken: {error}.") from None
            new += await self._keep(tx, tenant, identifier, statement, envelope)
        return new

    async def _keep(self, tx: Tx, tenant: TenantId, identifier: UUID, statement: Statement, envelope: bytes) -> int:
        return await tx.run(
            _SQL["add_attestation"],
            tenant=tenant,
            attestation=identifier,
            digest=statement.digest,
            type=statement.predicate_type,
            envelope=self._keyring.seal(tenant, "attestation.envelope", identifier, envelope),
            at=statement.at,
        )

    def _verified(self, tenant: TenantId, row: _Row, keys: Mapping[str, SigningKey], now: datetime) -> Attested:
        key_id, is_own, statement, problem, envelope = "", False, None, None, b""
        try:
            envelope = self._keyring.open(tenant, "attestation.envelope", row.attestation_id, row.envelope)
            key_id, _, _ = signing.read_envelope(envelope)
            if key_id not in keys:
                raise signing.SignatureWrong(f"it was signed with {key_id}, which is not known here")
            is_own = keys[key_id].is_own
            statement = read_statement(signing.verify(envelope, keys[key_id].public))
            problem = _problem(tenant, row, keys[key_id], statement, now)
        except SealBroken as error:
            problem = error.message
        except ValueError as error:
            problem = str(error)
        return Attested(
            row.attestation_id,
            row.digest,
            row.predicate_type,
            row.made_at,
            key_id,
            is_own,
            statement,
            problem,
            envelope,
        )

    async def _signing_key(self, tx: Tx, tenant: TenantId) -> SigningKey:
        def current(keys: list[SigningKey]) -> SigningKey | None:
            return next((each for each in reversed(keys) if each.is_own and each.retired_at is None), None)

        found = current(await self._keys(tx, tenant))
        if found is None:
            await tx.run(_SQL["wait_for_signing_keys"], tenant=tenant)
            found = current(await self._keys(tx, tenant)) or await self._add_own(tx, tenant)
        return found

    async def _add_own(self, tx: Tx, tenant: TenantId) -> SigningKey:
        private = signing.new_private_key()
        public = signing.public_of(private)
        key_id = signing.key_id_of(public)
        sealed = self._keyring.seal(tenant, "signing_key.material", key_id, private)
        await tx.run(_SQL["add_signing_key"], tenant=tenant, key=key_id, own=True, material=sealed)
        return SigningKey(key_id, public, private, await tx.fetch_value(_SQL["time_now"]), None)

    async def _keys(self, tx: Tx, tenant: TenantId) -> list[SigningKey]:
        """Those whose material opens and is what their id says: a row put there by hand is no key."""
        found = []
        for row in await tx.fetch_all(_SQL["signing_keys"], tenant=tenant):
            try:
                material = self._keyring.open(tenant, "signing_key.material", row.key_id, row.material)
            except SealBroken:
                continue
            public = signing.public_of(material) if row.is_own else material
            if signing.key_id_of(public) == row.key_id:
                private = material if row.is_own else None
                found.append(SigningKey(row.key_id, public, private, row.created_at, row.retired_at))
        return found


def is_ours(predicate_type: str) -> bool:
    """Whether only Headworks' own parts write such attestations."""
    return predicate_type.startswith(OURS)


def _problem(tenant: TenantId, row: _Row, key: SigningKey, statement: Statement, now: datetime) -> str | None:
    columns = (row.digest, row.predicate_type, row.made_at)
    if columns != (statement.digest, statement.predicate_type, statement.at):
        return "what is stored beside it is not what was signed"
    if key.is_own and statement.tenant != str(tenant):
        return "it was signed for another tenant"
    if statement.at > now + CLOCKS_DIFFER:
        return "its time lies in the future"
    if key.is_own and key.retired_at is not None and statement.at > key.retired_at:
        return "its key had been retired when it was signed"
    return None

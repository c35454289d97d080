"""Releases from one installation to another, as archives."""

from __future__ import annotations

from collections.abc import Sequence

import orjson

from headworks.errors import InvalidRequest, NotFound
from headworks.identity.service import Identity, allow
from headworks.records.audit import note_audit
from headworks.releases import store
from headworks.releases.archives.tars import Archive, read_archive, trusted, write_archive
from headworks.releases.bundles import SETTINGS, Bundle, BundleFile, read_bundle
from headworks.releases.evidence.attestations import is_digest
from headworks.releases.evidence.store import Evidence
from headworks.releases.gate_bundles import GATE
from headworks.storage.pool import Database
from headworks.storage.sealing import Keyring
from headworks.types.identity import Principal
from headworks.types.ids import Digest, ProjectId


class Archives:
    """Exports and imports."""

    def __init__(self, db: Database, keyring: Keyring, identity: Identity, evidence: Evidence) -> None:
        self._db = db
        self._keyring = keyring
        self._identity = identity
        self._evidence = evidence

    async def export(self, principal: Principal, digest: Digest) -> bytes:
        """A release with its attestations: the same bytes until something more is attested. Raises NotFound.

        An attestation that does not verify is not exported; `verify` says which.
        """
        await self._keyring.ensure(self._db, principal.tenant)
        async with self._db.tx(principal) as tx:
            stored = (
                await store.release_files(tx, self._keyring, principal.tenant, digest) if is_digest(digest) else None
            )
            if stored is None:
                raise NotFound(
                    f"There is no release `{digest[:100]}`.", next_step="`headworks release list` shows them."
                )
            attested = [
                each for each in await self._evidence.about_in(tx, principal.tenant, digest) if each.problem is None
            ]
        files = tuple(
            BundleFile(each["path"], each["media_type"], stored.files[each["path"]]) for each in stored.manifest
        )
        used = {each.key_id for each in attested}
        keys = {each.id: each.public for each in await self._evidence.keys(principal) if each.id in used}
        envelopes = tuple((each.id, each.envelope) for each in attested)
        return write_archive(Archive(stored.feature, stored.kind, Bundle(files), envelopes, keys))

    async def take(
        self, principal: Principal, project: str, content: bytes, trust: Sequence[str] = ()
    ) -> tuple[Archive, int]:
        """Keep an archive's release and attestations; what it holds, and how many attestations are new.

        Nothing is live by that. Attestations by others' keys are kept when `trust` names the key, and count for no
        promotion here: this installation's own people approve. Raises InvalidRequest, also for a changed archive.
        """
        allow(principal, "workspace:apply")
        archive = read_archive(content)
        project_id = (await self._identity.find_project(principal, project)).id
        _check_feature(archive, principal, project_id)
        own = [each.id for each in await self._evidence.keys(principal)]
        foreign = trusted(archive, own, trust)
        async with self._db.tx(principal) as tx:
            await store.lock_project(tx, project_id)
            await store.check_feature_name(tx, principal, project_id, archive.feature)
            made = store.MadeRelease(archive.feature, archive.bundle, archive.kind)
            await store.put_release(tx, self._keyring, principal, project_id, made)
            for key in foreign:
                await self._evidence.trust(tx, principal.tenant, key)
            new = await self._evidence.keep_foreign(tx, principal.tenant, archive.bundle.digest, archive.attestations)
            detail = {"feature": archive.feature, "attestations": new, "trusted": list(trust)}
            await note_audit(tx, principal, "release.import", archive.bundle.digest, detail)
        return archive, new


def _check_feature(archive: Archive, principal: Principal, project: ProjectId) -> None:
    """Raise InvalidRequest for a bundle that nothing here could run or be judged by."""
    files = {each.path: each.content for each in archive.bundle.files}
    if archive.kind == "gate":
        if GATE not in files:
            raise InvalidRequest(f"The archive holds a gate without `{GATE}`.", code="archive_wrong")
        return
    try:
        feature = read_bundle(
            files, tenant=principal.tenant, project=project, digest=archive.bundle.digest, channel="imported"
        )
        named = orjson.loads(files[SETTINGS])["feature"]
    except (KeyError, TypeError, ValueError, AttributeError, InvalidRequest) as error:
        raise InvalidRequest(
            f"The archive's release can't be read: {type(error).__name__}.",
            next_step="It was made by another version of Headworks, or by hand.",
            code="archive_wrong",
        ) from None
    if feature.name != archive.feature or named != archive.feature:
        raise InvalidRequest("The archive's release is of another feature than it says.", code="archive_wrong")

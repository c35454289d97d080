"""A release as one file: the same bytes each time, and nothing else is ever taken."""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from release_world import World

from headworks.errors import Conflict, Forbidden, InvalidRequest, NotFound
from headworks.releases.archives.tars import read_archive, write_archive
from headworks.releases.channels import Order
from headworks.releases.evidence import signing
from headworks.releases.evidence.attestations import Statement, write_statement
from headworks.types.identity import Principal
from headworks.types.ids import Digest, new_id

CARD = "https://example.com/model-card/v1"


async def exported(world: World) -> tuple[Digest, bytes]:
    """A release with an attestation, as a file."""
    digest = Digest((await world.apply()).digest)
    await world.releases.attest(world.admin, digest, CARD, {"size": 7})
    return digest, await world.releases.archives.export(world.admin, digest)


def files_of(content: bytes) -> dict[str, bytes]:
    with tarfile.open(fileobj=io.BytesIO(content)) as tar:
        return {each.name: (tar.extractfile(each) or io.BytesIO()).read() for each in tar}


def packed(files: dict[str, bytes], change: Callable[[tarfile.TarInfo], None] = lambda _: None) -> bytes:
    """As we write archives, but for what a test changes."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size, info.mode = len(content), 0o644
            change(info)
            tar.addfile(info, io.BytesIO(content))
    return buffer.getvalue()


async def test_the_same_release_gives_the_same_bytes(guest: World) -> None:
    digest, content = await exported(guest)
    assert await guest.releases.archives.export(guest.admin, digest) == content
    assert packed(files_of(content)) == content
    names = list(files_of(content))
    assert names[:2] == ["headworks-release.json", "keys.json"]
    assert "files/prompts/answer.prompty" in names
    with pytest.raises(NotFound, match="no release"):
        await guest.releases.archives.export(guest.admin, Digest("sha256:" + "0" * 64))


async def test_it_is_taken_elsewhere_where_its_key_is_trusted(guest: World, world: World) -> None:
    digest, content = await exported(guest)
    with pytest.raises(InvalidRequest, match="not trusted here") as refusal:
        await world.releases.archives.take(world.admin, "default", content)
    assert refusal.value.code == "key_not_trusted"
    (key,) = await guest.releases.evidence.keys(guest.admin)
    archive, new = await world.releases.archives.take(world.admin, "default", content, [key.id])
    assert (archive.bundle.digest, archive.feature, new) == (digest, "claims", 1)
    assert await world.digest() is None
    (attested,) = await world.releases.evidence.about(world.admin, digest)
    assert (attested.problem, attested.is_own, attested.counts) == (None, False, False)
    assert await world.releases.archives.export(world.admin, digest) == content
    assert (await world.releases.archives.take(world.admin, "default", content, [key.id]))[1] == 0
    feature = await world.releases.pinned(world.admin.tenant, digest)
    assert feature is not None
    assert feature.name == "claims"
    moved = await world.releases.promotions.promote(world.admin, "default", Order("claims", digest, None))
    assert moved.is_ungated


async def test_who_may_not_apply_imports_nothing(guest: World) -> None:
    _, content = await exported(guest)
    reader: Principal = await guest.person("jane", "expert")
    with pytest.raises(Forbidden, match="workspace:apply"):
        await guest.releases.archives.take(reader, "default", content)


async def test_a_feature_of_another_project_is_not_taken_over(guest: World) -> None:
    _, content = await exported(guest)
    await guest.identity.create_project(guest.admin, "second")
    with pytest.raises(Conflict, match="Another project"):
        await guest.releases.archives.take(guest.admin, "second", content)


def renamed(old: str, new: str) -> Callable[[dict[str, bytes]], dict[str, bytes]]:
    return lambda files: {(new if name == old else name): content for name, content in files.items()}


def edited(name: str, old: str, new: str) -> Callable[[dict[str, bytes]], dict[str, bytes]]:
    def edit(files: dict[str, bytes]) -> dict[str, bytes]:
        (found,) = [each for each in files if each.startswith(name)]
        assert old.encode() in files[found]
        return files | {found: files[found].replace(old.encode(), new.encode(), 1)}

    return edit


PROMPT = "files/prompts/answer.prompty"
HOSTILE: dict[str, tuple[Callable[[dict[str, bytes]], dict[str, bytes]], str]] = {
    "a path that leads out": (renamed(PROMPT, "files/../../etc/passwd"), "no name for a file"),
    "an absolute path": (renamed(PROMPT, "/etc/passwd"), "no name for a file"),
    "a path of another system": (renamed(PROMPT, "files\\x"), "no name for a file"),
    "a changed file": (edited(PROMPT, "brief", "crude"), "not what its digest is of"),
    "a missing file": (lambda files: {k: v for k, v in files.items() if k != PROMPT}, "not there"),
    "a stowaway": (lambda files: files | {"files/zz.md": b"hello"}, "no part of it names"),
    "another digest": (edited("headworks-release", '"digest":"sha256:', '"digest":"sha256:0'), "its digest is of"),
    "an unknown media type": (edited("headworks-release", "text/x-prompty", "text/x-python"), "media type"),
    "an unknown kind": (edited("headworks-release", '"kind":"feature"', '"kind":"judge"'), "not known here"),
    "another feature's name": (
        edited("headworks-release", '"feature":"claims"', '"feature":"others"'),
        "another feature",
    ),
    "a newer format": (edited("headworks-release", '"format":1', '"format":2'), "only 1 is known"),
    "no head": (lambda files: {k: v for k, v in files.items() if not k.startswith("headworks")}, "it has no"),
    "a head that is none": (lambda files: files | {"headworks-release.json": b"[]"}, "head is not readable"),
    "a key that is another": (edited("keys.json", "sha256:", "sha256:0"), "not what its id says"),
    "a changed statement": (edited("attestations/", '"payload":"', '"payload":"AAAA'), "does not verify"),
    "an envelope that is none": (edited("attestations/", '"payloadType"', '"payloadKind"'), "no envelope"),
    "another order": (lambda files: dict(reversed(files.items())), "not written as Headworks"),
}


@pytest.mark.parametrize("what", HOSTILE)
async def test_an_archive_that_was_tampered_with_is_refused(guest: World, what: str) -> None:
    _, content = await exported(guest)
    change, said = HOSTILE[what]
    with pytest.raises(InvalidRequest, match=said) as refusal:
        await guest.releases.archives.take(guest.admin, "default", packed(change(files_of(content))))
    assert refusal.value.code == "archive_wrong"


def link(info: tarfile.TarInfo) -> None:
    if info.name == PROMPT:
        info.type, info.linkname, info.size = tarfile.SYMTYPE, "/etc/passwd", 0


def old_times(info: tarfile.TarInfo) -> None:
    info.mtime = 7


def giant(info: tarfile.TarInfo) -> None:
    if info.name == PROMPT:
        info.pax_headers = {"GNU.sparse.size": str(1 << 40), "GNU.sparse.realsize": str(1 << 40)}


@pytest.mark.parametrize("change", [link, old_times, giant])
async def test_members_that_are_no_plain_files_of_ours_are_refused(guest: World, change: Any) -> None:
    _, content = await exported(guest)
    with pytest.raises(InvalidRequest, match="can't be taken"):
        read_archive(packed(files_of(content), change))


async def test_an_attestation_about_another_release_does_not_travel_along(guest: World) -> None:
    first, content = await exported(guest)
    second = Digest((await guest.apply(feature="owner: me\nroute: default\nprompt: prompts/answer.prompty\n")).digest)
    other = files_of(await guest.releases.archives.export(guest.admin, second))
    mine = files_of(content)
    moved = {k: v for k, v in mine.items() if k.startswith("attestations/")} | {"keys.json": mine["keys.json"]}
    order = ("headworks", "keys", "attestations/", "files/")
    mixed = other | moved
    files = {name: mixed[name] for part in order for name in sorted(mixed) if name.startswith(part)}
    with pytest.raises(InvalidRequest, match="about another release"):
        await guest.releases.archives.take(guest.admin, "default", packed(files))
    assert first != second


async def test_a_statement_of_the_future_is_not_kept(guest: World, world: World) -> None:
    """It would be told as broken, and stop every promotion of the release, for good."""
    digest, content = await exported(guest)
    key = signing.new_private_key()
    public, late = signing.public_of(key), datetime.now(UTC) + timedelta(days=3650)
    statement = Statement(digest, CARD, {"size": 7}, guest.admin.id, "mallory", late, str(guest.admin.tenant))
    archive = replace(
        read_archive(content),
        attestations=((new_id(), signing.sign(write_statement(statement), key)),),
        keys={signing.key_id_of(public): public},
    )
    with pytest.raises(InvalidRequest, match="lies in the future"):
        await world.releases.archives.take(world.admin, "default", write_archive(archive), [signing.key_id_of(public)])
    assert await world.releases.evidence.about(world.admin, digest) == []


async def test_a_gate_travels_as_a_release_does(guest: World) -> None:
    from release_world import workspace

    await guest.apply(workspace() | {"features/claims/evals/gate.yaml": b"alpha: 0.05\n"})
    async with guest.db.tx(guest.admin) as tx:
        digest = await tx.fetch_value(
            "SELECT digest FROM feature_gate WHERE tenant_id = %(tenant)s", tenant=guest.admin.tenant
        )
    archive = read_archive(await guest.releases.archives.export(guest.admin, digest))
    assert (archive.kind, [each.path for each in archive.bundle.files]) == ("gate", ["evals/gate.yaml"])


@given(st.binary(max_size=2000))
def test_any_bytes_are_refused_clearly(content: bytes) -> None:
    with pytest.raises(InvalidRequest, match=r"."):
        read_archive(content)


def test_a_bomb_is_refused_before_it_is_unpacked() -> None:
    head = {"format": 1, "digest": "x", "feature": "x", "kind": "feature", "files": []}
    many = {f"files/{number}.md": b"" for number in range(5_001)}
    with pytest.raises(InvalidRequest, match="too many files"):
        read_archive(packed({"headworks-release.json": json.dumps(head).encode(), **many}))
    with pytest.raises(InvalidRequest, match="more than"):
        read_archive(bytes(24_000_001))
    deep = "[" * 100_000
    with pytest.raises(InvalidRequest, match="head is not readable"):
        read_archive(packed({"headworks-release.json": deep.encode(), "keys.json": b"{}"}))

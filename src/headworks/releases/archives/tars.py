"""A release as one file: a tar of its bundle, its attestations and the keys that verify them. Pure.

The same release gives the same bytes, always, and only those bytes are read: whoever wants to smuggle something in (a
path that leads out, a file twice, a sparse giant, a digest that is none) would have to write them otherwise.

    headworks-release.json    {"format", "digest", "feature", "kind", "files": the manifest}
    keys.json                 public keys in base64 by their ids
    attestations/<id>.json    envelopes, as they were signed
    files/<path>              the bundle
"""

from __future__ import annotations

import base64
import binascii
import io
import re
import tarfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import cast
from uuid import UUID

import msgspec
import rfc8785

from headworks.errors import InvalidRequest
from headworks.releases.bundles import JSON, JSON_SCHEMA, MARKDOWN, PROMPTY, Bundle, BundleFile
from headworks.releases.channels import Kind
from headworks.releases.evidence import signing
from headworks.releases.gate_bundles import MEDIA_TYPES

FORMAT = 1
MOST_BYTES = 24_000_000
"""Of a whole archive: a request's body has no more either."""
_HEAD, _KEYS, _ATTESTATIONS, _FILES = "headworks-release.json", "keys.json", "attestations/", "files/"
_MOST_MEMBERS = 5_000
_KNOWN = frozenset((JSON, JSON_SCHEMA, PROMPTY, MARKDOWN, "text/plain", *MEDIA_TYPES.values()))
_PART = re.compile(r"[^/\\\x00-\x1f\x7f]{1,200}")


@dataclass(frozen=True, slots=True)
class Archive:
    """What an archive holds. `keys` are public keys by id; `attestations` are envelopes with their ids."""

    feature: str
    kind: Kind
    bundle: Bundle
    attestations: tuple[tuple[UUID, bytes], ...] = ()
    keys: Mapping[str, bytes] | None = None


class _File(msgspec.Struct, forbid_unknown_fields=True):
    path: str
    media_type: str
    sha256: str


class _Head(msgspec.Struct, forbid_unknown_fields=True):
    format: int
    digest: str
    feature: str
    kind: str
    files: list[_File]


def write_archive(archive: Archive) -> bytes:
    """The one way in which an archive is written. Raises InvalidRequest for a release that is too large for one."""
    head = {
        "format": FORMAT,
        "digest": archive.bundle.digest,
        "feature": archive.feature,
        "kind": archive.kind,
        "files": archive.bundle.manifest,
    }
    keys = {name: base64.b64encode(key).decode() for name, key in (archive.keys or {}).items()}
    members = [(_HEAD, rfc8785.dumps(cast("dict[str, str]", head))), (_KEYS, rfc8785.dumps(dict(keys)))]
    members += sorted((f"{_ATTESTATIONS}{each}.json", envelope) for each, envelope in archive.attestations)
    members += sorted((f"{_FILES}{file.path}", file.content) for file in archive.bundle.files)
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for name, content in members:
            info = tarfile.TarInfo(name)
            info.size, info.mode = len(content), 0o644
            tar.addfile(info, io.BytesIO(content))
    if buffer.tell() > MOST_BYTES:
        raise InvalidRequest(f"The release is larger than an archive may be ({MOST_BYTES:,} bytes).")
    return buffer.getvalue()


def read_archive(content: bytes) -> Archive:
    """An archive, checked as a whole: digests, names, media types, and that it is written as we write.

    Who signed its attestations is for the caller to check. Raises InvalidRequest.
    """
    if len(content) > MOST_BYTES:
        raise InvalidRequest(f"The archive has more than {MOST_BYTES:,} bytes.", code="archive_wrong")
    try:
        members = _members(content)
        head = msgspec.json.decode(members.pop(_HEAD), type=_Head)
        keys = _keys(msgspec.json.decode(members.pop(_KEYS), type=dict[str, str]))
    except KeyError as error:
        raise _wrong(f"it has no {error}") from None
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        raise _wrong("its head is not readable") from None
    except (tarfile.TarError, EOFError, ValueError, OSError, OverflowError):
        raise _wrong("it is no tar") from None
    if head.format != FORMAT:
        raise _wrong(f"its format is {head.format}, and only {FORMAT} is known here")
    if head.kind not in {"feature", "gate"}:
        raise _wrong(f"it holds a `{head.kind[:30]}`, which is not known here")
    bundle = Bundle(tuple(_file(each, members) for each in head.files))
    if bundle.digest != head.digest:
        raise _wrong("its files are not those that its digest is of")
    attestations = tuple(
        _attestation(name, members.pop(name)) for name in sorted(members) if name.startswith(_ATTESTATIONS)
    )
    if members:
        raise _wrong(f"it holds `{min(members)[:100]}`, which no part of it names")
    archive = Archive(head.feature, cast("Kind", head.kind), bundle, attestations, keys)
    if write_archive(archive) != content:
        raise _wrong("it is not written as Headworks writes archives")
    return archive


def _members(content: bytes) -> dict[str, bytes]:
    found: dict[str, bytes] = {}
    with tarfile.open(fileobj=io.BytesIO(content), mode="r:") as tar:
        for info in tar:
            if not info.isreg() or info.issparse() or info.size > len(content):
                raise _wrong(f"`{info.name[:100]}` is no plain file")
            if len(found) >= _MOST_MEMBERS or info.name in found:
                raise _wrong("it holds too many files, or one twice")
            if not _is_safe(info.name):
                raise _wrong(f"`{info.name[:100]!r}` is no name for a file of a release")
            reader = tar.extractfile(info)
            found[info.name] = reader.read() if reader else b""
    return found


def _is_safe(name: str) -> bool:
    parts = name.split("/")
    return len(parts) <= 20 and all(_PART.fullmatch(each) and each not in {".", ".."} for each in parts)


def _file(named: _File, members: dict[str, bytes]) -> BundleFile:
    if named.media_type not in _KNOWN:
        raise _wrong(f"`{named.path[:100]}` has the media type `{named.media_type[:100]}`, which is not known here")
    content = members.pop(f"{_FILES}{named.path}", None)
    file = BundleFile(named.path, named.media_type, content or b"")
    if content is None or file.sha256 != named.sha256:
        raise _wrong(f"`{named.path[:100]}` is not there, or not what its digest is of")
    return file


def _keys(named: Mapping[str, str]) -> dict[str, bytes]:
    found = {}
    for name, text in named.items():
        try:
            key = base64.b64decode(text, validate=True)
        except (binascii.Error, ValueError):
            key = b""
        if len(key) != signing.KEY_BYTES or signing.key_id_of(key) != name:
            raise _wrong("one of its keys is not what its id says")
        found[name] = key
    return found


def _attestation(name: str, envelope: bytes) -> tuple[UUID, bytes]:
    try:
        return UUID(name.removeprefix(_ATTESTATIONS).removesuffix(".json")), envelope
    except ValueError:
        raise _wrong(f"`{name[:100]}` is no name for an attestation") from None


def trusted(archive: Archive, own: Sequence[str], named: Sequence[str]) -> list[bytes]:
    """The keys that somebody else's attestations were signed with. InvalidRequest for one that nobody here trusts."""
    needed = {}
    for identifier, envelope in archive.attestations:
        try:
            key_id, _, _ = signing.read_envelope(envelope)
            public = (archive.keys or {})[key_id]
            signing.verify(envelope, public)
        except KeyError:
            raise _wrong(f"it does not hold the key of its attestation {identifier}") from None
        except signing.SignatureWrong as error:
            raise _wrong(f"its attestation {identifier} does not verify: {error}") from None
        needed[key_id] = public
    if strange := sorted(needed.keys() - {*own, *named}):
        raise InvalidRequest(
            f"Its attestations were signed with {', '.join(strange)}, which is not trusted here.",
            next_step="Ask whom it comes from whether that is their key, then import with --trust and the id.",
            code="key_not_trusted",
        )
    return [needed[key_id] for key_id in sorted(needed.keys() - set(own))]


def _wrong(why: str) -> InvalidRequest:
    return InvalidRequest(
        f"The archive can't be taken: {why}.", next_step="Export the release once more.", code="archive_wrong"
    )

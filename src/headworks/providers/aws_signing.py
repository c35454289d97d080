"""AWS Signature Version 4 over a whole request: who asks, when, where, and the exact bytes of the body.

After "Create a signed AWS API request" of the IAM User Guide, for every service but S3: a path
that was percent-encoded for the wire is encoded once more in what is signed.
"""

from __future__ import annotations

import hmac
import re
from collections.abc import Iterable
from datetime import UTC, datetime
from hashlib import sha256
from urllib.parse import quote

import msgspec

from headworks.providers.responses import Headers

_ALGORITHM = "AWS4-HMAC-SHA256"
_BLANKS = re.compile(rb"\s+")


class Credentials(msgspec.Struct, frozen=True, gc=False):
    """An access key; `session_token` with temporary ones."""

    access_key: str
    secret_key: str
    session_token: str | None = None

    def __repr__(self) -> str:
        return f"Credentials({self.access_key!r}, …)"


class Signer:
    """Signs requests of one account to one service in one region."""

    __slots__ = ("_credentials", "_region", "_service", "_today")

    def __init__(self, credentials: Credentials, region: str, service: str) -> None:
        self._credentials = credentials
        self._region = region
        self._service = service
        self._today = ("", b"")

    def sign(
        self,
        method: bytes,
        host: bytes,
        target: bytes,
        headers: Iterable[tuple[bytes, bytes]],
        body: bytes,
        *,
        at: datetime | None = None,
    ) -> Headers:
        """The headers to send beside these: date, session token and authorization. All of `headers` are signed.

        `host` is the host header's value and `target` path and query, both as they are sent; ValueError for a path
        with empty or dotted segments, which servers read in different ways.
        """
        if _is_ambiguous(target.partition(b"?")[0]):
            raise ValueError("A path that is signed has no empty and no dotted segments.")
        moment = (at or datetime.now(UTC)).astimezone(UTC).strftime("%Y%m%dT%H%M%SZ")
        added: Headers = [(b"x-amz-date", moment.encode())]
        if self._credentials.session_token:
            added.append((b"x-amz-security-token", self._credentials.session_token.encode()))
        canonical, names = _canonical(method, target, [(b"host", host), *headers, *added], body)
        scope = f"{moment[:8]}/{self._region}/{self._service}/aws4_request"
        signed = f"{_ALGORITHM}\n{moment}\n{scope}\n{sha256(canonical).hexdigest()}"
        signature = _hmac(self._key_of(moment[:8]), signed).hex()
        authorization = (
            f"{_ALGORITHM} Credential={self._credentials.access_key}/{scope}, "
            f"SignedHeaders={names.decode('latin-1')}, Signature={signature}"
        )
        return [*added, (b"authorization", authorization.encode("latin-1"))]

    def _key_of(self, day: str) -> bytes:
        known, key = self._today
        if day != known:
            key = f"AWS4{self._credentials.secret_key}".encode()
            for part in (day, self._region, self._service, "aws4_request"):
                key = _hmac(key, part)
            self._today = (day, key)
        return key


def _canonical(method: bytes, target: bytes, headers: Headers, body: bytes) -> tuple[bytes, bytes]:
    """What is hashed, and the names of the headers in it."""
    path, _, query = target.partition(b"?")
    values: dict[bytes, list[bytes]] = {}
    for name, value in headers:
        values.setdefault(name.lower(), []).append(_BLANKS.sub(b" ", value.strip()))
    lines = b"".join(b"%b:%b\n" % (name, b",".join(values[name])) for name in sorted(values))
    names = b";".join(sorted(values))
    parts = [
        method,
        quote(path, safe="/~").encode(),
        b"&".join(b"%b=%b" % pair for pair in sorted(_pair(each) for each in query.split(b"&") if query)),
        lines,
        names,
        sha256(body).hexdigest().encode(),
    ]
    return b"\n".join(parts), names


def _is_ambiguous(path: bytes) -> bool:
    _, *segments = path.split(b"/")
    return b"" in segments[:-1] or b"." in segments or b".." in segments


def _pair(parameter: bytes) -> tuple[bytes, bytes]:
    name, _, value = parameter.partition(b"=")
    return name, value


def _hmac(key: bytes, message: str) -> bytes:
    return hmac.digest(key, message.encode(), "sha256")

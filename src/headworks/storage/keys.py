"""The master key of one installation, and the keys that are derived from it."""

from __future__ import annotations

import base64
import binascii
import contextlib
import os
import secrets
from collections.abc import Mapping
from pathlib import Path

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from headworks.errors import StartupRefused

MASTER_KEY_BYTES = 32
_VARIABLE = "HEADWORKS_MASTER_KEY"
_SALT = b"headworks"


def load_master_key(data_dir: Path, environ: Mapping[str, str] | None = None) -> bytes:
    """The 32 bytes of `HEADWORKS_MASTER_KEY` (base64), else of `<data folder>/keys/master.key`, made at first start.

    Raises StartupRefused for a key that is malformed, or a file that others may read.
    """
    if given := (os.environ if environ is None else environ).get(_VARIABLE):
        return _decode(given, f"The variable {_VARIABLE}")
    path = data_dir / "keys" / "master.key"
    try:
        return _read_file(path) if path.exists() else _make_file(path)
    except OSError as error:
        raise StartupRefused(
            f"The master key {path} can't be used: {error.strerror}.", next_step=f"Give it back, or set {_VARIABLE}."
        ) from error


def derive(master: bytes, purpose: str, length: int = 32) -> bytes:
    """A key for one purpose (HKDF-SHA-256, RFC 5869): the same master and purpose give the same bytes, always."""
    return HKDF(algorithm=SHA256(), length=length, salt=_SALT, info=purpose.encode()).derive(master)


def _read_file(path: Path) -> bytes:
    if path.stat().st_mode & 0o077:
        raise StartupRefused(
            f"The master key {path} may be read by other users of this machine.", next_step=f"Run: chmod 600 {path}"
        )
    return _decode(path.read_text(encoding="ascii", errors="replace"), f"The file {path}")


def _make_file(path: Path) -> bytes:
    """Written whole before it has its name, so that nobody ever reads half a key."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    staging = path.with_name(f"master.key.{secrets.token_hex(8)}")
    descriptor = os.open(staging, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(base64.b64encode(secrets.token_bytes(MASTER_KEY_BYTES)) + b"\n")
        file.flush()
        os.fsync(file.fileno())
    with contextlib.suppress(FileExistsError):
        path.hardlink_to(staging)  # unlike a rename, never over a key that another process has just made
    staging.unlink()
    return _read_file(path)


def _decode(text: str, where: str) -> bytes:
    try:
        key = base64.b64decode(text.strip(), validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if len(key) != MASTER_KEY_BYTES:
        raise StartupRefused(
            f"{where} must hold 32 bytes in base64.", next_step="`openssl rand -base64 32` makes such a key."
        )
    return key

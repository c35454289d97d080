"""Unprivileged accounts: as whom PostgreSQL runs when we are root, and what such an account may reach."""

from __future__ import annotations

import os
import pwd
import stat
from dataclasses import dataclass
from pathlib import Path

from headworks.errors import StartupRefused


@dataclass(frozen=True, slots=True)
class Account:
    """A user of this machine, by number."""

    name: str
    uid: int
    gid: int
    groups: frozenset[int]


def account_named(name: str) -> Account:
    """The account of this name. Raises StartupRefused where there is none, or where it is root."""
    try:
        entry = pwd.getpwnam(name)
    except KeyError:
        entry = None
    if entry is None or entry.pw_uid == 0:
        raise StartupRefused(
            f"PostgreSQL does not run as root, and there is no unprivileged user `{name}` here to run it as.",
            next_step="Run headworks as an ordinary user, or create that user.",
        )
    return _account(entry)


def account_of(uid: int) -> Account:
    """The account with this number, which may have no name."""
    try:
        return _account(pwd.getpwuid(uid))
    except KeyError:
        return Account(name=str(uid), uid=uid, gid=uid, groups=frozenset({uid}))


def _account(entry: pwd.struct_passwd) -> Account:
    groups = frozenset(os.getgrouplist(entry.pw_name, entry.pw_gid))
    return Account(name=entry.pw_name, uid=entry.pw_uid, gid=entry.pw_gid, groups=groups)


def may_enter(account: Account, folder: Path) -> bool:
    """Whether every folder from `/` to this one lets the account pass, by its mode bits."""
    path = folder.resolve()
    return all(_allows(account, step, stat.S_IXOTH) for step in (*reversed(path.parents), path))


def may_read(account: Account, path: Path) -> bool:
    """Whether the account gets to this file or folder and may read (and run or enter) it."""
    found = path.resolve()
    return may_enter(account, found.parent) and _allows(account, found, stat.S_IROTH | stat.S_IXOTH)


def _allows(account: Account, path: Path, wanted: int) -> bool:
    """`wanted` are bits as `others` have them."""
    status = path.stat()
    if status.st_uid == account.uid:
        wanted <<= 6
    elif status.st_gid in account.groups:
        wanted <<= 3
    return status.st_mode & wanted == wanted

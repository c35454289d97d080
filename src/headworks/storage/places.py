"""Where an embedded cluster lies, who runs it, and the private files and folders it needs."""

from __future__ import annotations

import contextlib
import hashlib
import logging
import os
import secrets
import tempfile
from dataclasses import dataclass
from pathlib import Path

from headworks.errors import StartupRefused
from headworks.storage.accounts import Account, account_named, account_of, may_enter

_log = logging.getLogger(__name__)

SYSTEM_FOLDER = Path("/var/lib/headworks")
"""For clusters of root whose data folder lies below one that only root may enter."""
_SOCKET_PATH_LIMIT = 107


@dataclass(frozen=True, slots=True)
class Place:
    """Where one cluster lies and who runs it (None: ourselves)."""

    home: Path
    account: Account | None

    @property
    def cluster(self) -> Path:
        """PostgreSQL's own folder."""
        return self.home / "cluster"

    @property
    def log(self) -> Path:
        """What the server says."""
        return self.home / "server.log"

    def give(self, path: Path) -> None:
        """Make the server's user the owner of a file or folder of ours."""
        if self.account is not None:
            os.chown(path, self.account.uid, self.account.gid)


def find_place(data_dir: Path, run_as: str) -> Place:
    """The place of this data folder's cluster; as root, one that an unprivileged user may enter, or StartupRefused."""
    folder = data_dir / "postgres"
    location = folder / "location"
    home = Path(location.read_text(encoding="utf-8").strip()) if location.exists() else folder
    if not home.exists():
        raise StartupRefused(
            f"{location} says that the database lies in {home}, which does not exist.",
            next_step=f"Bring it back, or remove {data_dir} to start with an empty database.",
        )
    if os.geteuid() != 0:
        return Place(home, None)
    cluster = home / "cluster"
    owner = cluster.stat().st_uid if cluster.exists() else 0
    account = account_of(owner) if owner else account_named(run_as)
    if may_enter(account, home):
        return Place(home, account)
    if cluster.exists():
        raise StartupRefused(
            f"The user `{account.name}`, who owns the database in {cluster}, may not enter its parent folders.",
            next_step="Run headworks as that user, or move the data folder where every user may pass.",
        )
    return Place(_elsewhere(account, data_dir, location), account)


def _elsewhere(account: Account, data_dir: Path, location: Path) -> Path:
    """A folder that the account may enter, named in `location`; the rights of folders above ours are never changed."""
    who = f"As root, PostgreSQL runs as `{account.name}`, who may not enter {data_dir}"
    advice = "Choose a --data folder that every user may enter, such as /srv/headworks, or run as an ordinary user."
    name = hashlib.sha256(os.fsencode(data_dir)).hexdigest()[:12]
    try:
        SYSTEM_FOLDER.mkdir(mode=0o755, parents=True, exist_ok=True)
        home = Path(tempfile.mkdtemp(prefix=f"{name}-", dir=SYSTEM_FOLDER))
        home.chmod(0o711)
    except OSError as error:
        raise StartupRefused(f"{who}, and {SYSTEM_FOLDER}: {error.strerror}.", next_step=advice) from None
    if not may_enter(account, home):
        home.rmdir()
        raise StartupRefused(f"{who}, nor {SYSTEM_FOLDER}.", next_step=advice)
    (home / "data-folder").write_text(f"{data_dir}\n", encoding="utf-8")
    location.write_text(f"{home}\n", encoding="utf-8")
    _log.warning("The database lies in %s: `%s`, who runs it, may not enter %s", home, account.name, data_dir)
    return home


def socket_folder(place: Place, port: int) -> Path:
    """Beside the cluster, or a private temporary folder where the path would be too long for a socket."""
    folder = place.home / "socket"
    if len(os.fsencode(folder / f".s.PGSQL.{port}")) <= _SOCKET_PATH_LIMIT:
        folder.mkdir(mode=0o700, exist_ok=True)
        place.give(folder)
        return folder
    name = f"headworks-{hashlib.sha256(os.fsencode(place.home)).hexdigest()[:16]}"
    owner = place.account or account_of(os.geteuid())
    for parent in (os.environ.get("XDG_RUNTIME_DIR"), tempfile.gettempdir(), "/tmp"):  # noqa: S108 -- owner and mode are checked
        if parent and len(parent) <= 50 and Path(parent).is_dir() and may_enter(owner, Path(parent)):
            return _private_folder(Path(parent), name, owner)
    raise StartupRefused(f"No temporary folder for the database's socket that `{owner.name}` may enter was found.")


def _private_folder(parent: Path, name: str, owner: Account) -> Path:
    """`parent/name`, the account's and closed to all others; another name where somebody else has taken this one."""
    folder = parent / name
    with contextlib.suppress(FileExistsError):
        folder.mkdir(mode=0o700)
        os.chown(folder, owner.uid, owner.gid)
    status = folder.lstat()
    if status.st_uid == owner.uid and status.st_mode & 0o170777 == 0o040700:
        return folder
    folder = Path(tempfile.mkdtemp(prefix=f"{name}-", dir=parent))
    os.chown(folder, owner.uid, owner.gid)
    return folder


def read_or_make_password(place: Place) -> str:
    """The superuser's password; a random one, written first, where there is no cluster yet."""
    path = place.home / "password"
    if path.exists():
        return path.read_text(encoding="ascii").strip()
    if place.cluster.exists():
        raise StartupRefused(
            f"{path} is missing, and without it nobody gets into the database in {place.cluster}.",
            next_step="Bring the file back from a backup of the data folder.",
        )
    password = secrets.token_urlsafe(32)
    staging = path.with_suffix(".new")
    staging.unlink(missing_ok=True)
    write_private(staging, password)
    staging.rename(path)
    return password


def write_private(path: Path, text: str) -> None:
    """A new file that only its owner may read, on the disk when this returns."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "w", encoding="ascii") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())

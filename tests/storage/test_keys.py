from __future__ import annotations

import base64
import os
import stat
import threading
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from hypothesis import given
from hypothesis import strategies as st

from headworks.errors import StartupRefused
from headworks.storage.keys import derive, load_master_key

MASTER = bytes(range(32))


def test_the_first_start_makes_a_key_that_only_its_owner_may_read(tmp_path: Path) -> None:
    key = load_master_key(tmp_path, {})
    file = tmp_path / "keys" / "master.key"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700
    assert len(key) == 32
    assert load_master_key(tmp_path, {}) == key
    assert [path.name for path in file.parent.iterdir()] == ["master.key"]


def test_every_installation_has_its_own_key(tmp_path: Path) -> None:
    assert load_master_key(tmp_path / "a", {}) != load_master_key(tmp_path / "b", {})


def test_many_first_starts_at_once_agree_on_one_key(tmp_path: Path) -> None:
    found: list[bytes] = []
    threads = [threading.Thread(target=lambda: found.append(load_master_key(tmp_path, {}))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 8
    assert len(set(found)) == 1


def test_a_key_in_the_environment_goes_over_the_file(tmp_path: Path) -> None:
    load_master_key(tmp_path, {})
    given_key = base64.b64encode(MASTER).decode()
    assert load_master_key(tmp_path, {"HEADWORKS_MASTER_KEY": given_key}) == MASTER


@pytest.mark.parametrize("text", ["short", base64.b64encode(b"x" * 31).decode(), "ä" * 44, "!" * 44])
def test_a_malformed_key_is_refused_with_how_to_make_one(tmp_path: Path, text: str) -> None:
    with pytest.raises(
        StartupRefused, match=r"HEADWORKS_MASTER_KEY must hold 32 bytes in base64.*openssl rand"
    ) as refused:
        load_master_key(tmp_path, {"HEADWORKS_MASTER_KEY": text})
    assert text not in str(refused.value)


def test_a_key_file_that_others_may_read_is_refused(tmp_path: Path) -> None:
    load_master_key(tmp_path, {})
    file = tmp_path / "keys" / "master.key"
    file.chmod(0o640)
    with pytest.raises(StartupRefused, match=f"chmod 600 {file}"):
        load_master_key(tmp_path, {})


def test_a_truncated_key_file_is_refused_not_replaced(tmp_path: Path) -> None:
    load_master_key(tmp_path, {})
    file = tmp_path / "keys" / "master.key"
    os.truncate(file, 0)
    with pytest.raises(StartupRefused, match="must hold 32 bytes"):
        load_master_key(tmp_path, {})
    assert file.stat().st_size == 0


def test_a_folder_that_cannot_be_used_is_refused(tmp_path: Path) -> None:
    (tmp_path / "keys").write_text("a file")
    with pytest.raises(StartupRefused, match="can't be used"):
        load_master_key(tmp_path, {})


def test_derivation_is_hkdf_of_rfc_5869() -> None:
    expected = HKDF(algorithm=hashes.SHA256(), length=42, salt=b"headworks", info=b"api keys").derive(MASTER)
    assert derive(MASTER, "api keys", 42) == expected


@given(st.binary(min_size=32, max_size=32), st.text(max_size=20), st.text(max_size=20))
def test_each_purpose_has_a_key_of_its_own_and_always_the_same(master: bytes, one: str, other: str) -> None:
    assert derive(master, one) == derive(master, one)
    assert (derive(master, one) == derive(master, other)) == (one == other)
    assert master not in derive(master, one, 64)

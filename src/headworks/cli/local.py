"""What a server that was started here leaves for the commands that look for it: its address, never a key."""

from __future__ import annotations

import contextlib
import json
import os
import shlex
import shutil
import sys
from pathlib import Path

from headworks.config import Settings, load_settings
from headworks.errors import HeadworksError

USUAL_URL = "http://127.0.0.1:8484"
_NAME = "server.json"


def write_address(data: Path, url: str) -> None:
    """Leave the address in the data folder, for its owner alone."""
    staging = data / f".{_NAME}.{os.getpid()}"
    descriptor = os.open(staging, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        json.dump({"url": url}, file)
    staging.replace(data / _NAME)


def remove_address(data: Path) -> None:
    """The server has ended."""
    with contextlib.suppress(OSError):
        (data / _NAME).unlink()


def program() -> str:
    """How this program is called from where the user stands: by its name where that finds it, else by its path."""
    own = Path(sys.argv[0])
    found = shutil.which("headworks")
    if own.name != "headworks" or (found is not None and Path(found).resolve() == own.resolve()):
        return "headworks"
    relative = os.path.relpath(own)
    return shlex.quote(relative if len(relative) < len(str(own)) else str(own))


def find_address(settings: Settings | None = None) -> str:
    """The address of the server whose data folder the settings here name, else the usual one."""
    try:
        data = (settings or load_settings(None)).data
        url = json.loads((data / _NAME).read_text(encoding="utf-8"))["url"]
    except (HeadworksError, OSError, ValueError, KeyError, TypeError):
        return USUAL_URL
    return str(url)

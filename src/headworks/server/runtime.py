"""What the supervisor hands to a process it starts: over standard input, so that no secret stands in an environment."""

from __future__ import annotations

import base64
import sys
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import msgspec
import orjson

from headworks.config import (
    Settings,
)
from headworks.storage.pool import DatabaseUrls


@dataclass(frozen=True, slots=True)
class Runtime:
    """Settings and secrets of one running server, and which of its processes this is."""

    settings: Settings
    urls: DatabaseUrls
    master_key: bytes = field(repr=False)
    base_url: str
    """As clients reach it, e.g. http://127.0.0.1:8484."""
    workspace: str = ""
    """The folder that `prepare` applies, where one was given."""
    process: str = "prepare"
    """Names the process's own files, e.g. `gateway-0`."""
    socket_fd: int = -1
    ready_fd: int = -1

    def dump(self) -> bytes:
        """As JSON."""
        value = asdict(self)
        value["master_key"] = base64.b64encode(self.master_key).decode()
        return orjson.dumps(value, default=str)

    @property
    def journal_folder(self) -> Path:
        """Where each worker has its journal."""
        return self.settings.data / "journal"


def _as_path(_: type, value: Any) -> Path:  # noqa: ANN401 -- what JSON holds in its place
    return Path(value)


def load_runtime(text: bytes) -> Runtime:
    """What `dump` wrote."""
    value: dict[str, Any] = orjson.loads(text)
    settings = msgspec.convert(value["settings"], Settings, dec_hook=_as_path)
    return Runtime(
        settings=settings,
        urls=DatabaseUrls(**value["urls"]),
        master_key=base64.b64decode(value["master_key"]),
        base_url=value["base_url"],
        workspace=value["workspace"],
        process=value["process"],
        socket_fd=value["socket_fd"],
        ready_fd=value["ready_fd"],
    )


def read_runtime() -> Runtime:
    """From standard input, up to its end."""
    return load_runtime(sys.stdin.buffer.read())

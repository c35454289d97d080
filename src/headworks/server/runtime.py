"""What the supervisor hands to a process it starts: over standard input, so that no secret stands in an environment."""

from __future__ import annotations

import base64
import sys
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import orjson

from headworks.config import (
    DatabaseSettings,
    DeadlineSettings,
    GatewaySettings,
    ProviderSettings,
    RecordSettings,
    RetrievalServerSettings,
    ServerSettings,
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


def load_runtime(text: bytes) -> Runtime:
    """What `dump` wrote."""
    value: dict[str, Any] = orjson.loads(text)
    tree = value["settings"]
    settings = Settings(
        data=Path(tree["data"]),
        models=Path(tree["models"]) if tree["models"] else None,
        server=ServerSettings(**tree["server"]),
        database=DatabaseSettings(**tree["database"]),
        records=RecordSettings(**tree["records"]),
        retrieval=RetrievalServerSettings(**tree["retrieval"]),
        providers=ProviderSettings(
            credential_env=tuple(tree["providers"]["credential_env"]), probe_local=tree["providers"]["probe_local"]
        ),
        gateway=GatewaySettings(deadlines=DeadlineSettings(**tree["gateway"]["deadlines"])),
    )
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

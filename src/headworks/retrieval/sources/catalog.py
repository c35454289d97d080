"""The kinds of sources that a collection's file can name."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from headworks.config import RetrievalServerSettings
from headworks.retrieval.sources.addresses import Reach
from headworks.retrieval.sources.contract import Source
from headworks.retrieval.sources.server_folder import ServerFolder
from headworks.retrieval.sources.syncing import Opener
from headworks.retrieval.sources.web import open_web


def usual_openers(settings: RetrievalServerSettings) -> dict[str, Opener]:
    """How each kind is made, by the operator's settings."""
    reach = Reach(frozenset(host.lower() for host in settings.fetch_private_hosts))
    folders, most = [Path(each) for each in settings.source_folders], settings.max_file_mb << 20

    def web(given: Mapping[str, Any]) -> Source:
        return open_web(given, reach, most)

    def folder(given: Mapping[str, Any]) -> Source:
        return ServerFolder(Path(given["folder"]), folders, max_bytes=most)

    return {"web": web, "folder": folder}

"""The kinds of sources that a collection's file can name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from headworks.config import RetrievalServerSettings
from headworks.retrieval.sources.addresses import Reach
from headworks.retrieval.sources.contract import Source
from headworks.retrieval.sources.syncing import Opener
from headworks.retrieval.sources.web import open_web


def usual_openers(settings: RetrievalServerSettings) -> dict[str, Opener]:
    """How each kind is made, by the operator's settings."""
    reach = Reach(frozenset(host.lower() for host in settings.fetch_private_hosts))

    def web(given: Mapping[str, Any]) -> Source:
        return open_web(given, reach, settings.max_file_mb << 20)

    return {"web": web}

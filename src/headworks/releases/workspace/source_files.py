"""The `sources` of a collection's file: where its documents come from by themselves."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

from headworks.releases.workspace.freshness_files import read_source_freshness
from headworks.strict_yaml import Section
from headworks.types.workspace import SourceSpec

_KINDS = ("web", "sitemap")
_MOST_PAGES = 50_000


def read_sources(top: Section) -> tuple[SourceSpec, ...]:
    """All of them, each with a name of its own. Raises WorkspaceInvalid with file and line."""
    sources: dict[str, SourceSpec] = {}
    for entry in top.items("sources"):
        if isinstance(entry, str):
            top.complain("sources", "each source needs `name`, and `web` or `sitemap`.")
        source = _read_source(entry)
        if source.name in sources:
            entry.complain("name", f"two sources are named `{source.name}`.")
        sources[source.name] = source
    return tuple(sources.values())


def _read_source(entry: Section) -> SourceSpec:
    name = entry.text("name")
    if not 1 <= len(name) <= 100 or not name.isprintable():
        entry.complain("name", "a source's name is 1 to 100 printable characters.")
    kinds = [kind for kind in _KINDS if entry.has(kind)]
    if len(kinds) != 1:
        next_step = "Folders are not sources of a file: `headworks ingest COLLECTION FOLDER` brings them."
        entry.complain(None, "a source has either `web` (where a crawl begins) or `sitemap`.", next_step)
    settings: dict[str, Any] = {
        "url": _address(entry, kinds[0]),
        "by_sitemap": kinds[0] == "sitemap",
        "pages": entry.whole("pages", 1_000, 1, _MOST_PAGES),
        "delay_s": entry.number("delay_s", 0.5, 0.0, 60.0),
    }
    if kinds[0] == "web":
        settings["depth"] = entry.whole("depth", 5, 0, 100)
    freshness = read_source_freshness(entry)
    entry.finish()
    return SourceSpec(name, "web", settings, freshness=freshness)


def _address(entry: Section, key: str) -> str:
    address = entry.text(key)
    try:
        parts = urlsplit(address)
        is_good = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.username is None
        is_good = is_good and (parts.port is None or parts.port > 0) and len(address) <= 2_000
    except ValueError:
        is_good = False
    if not is_good:
        entry.complain(key, f"`{key}` is not an http or https address without a user name.")
    return address

"""The `sources` of a collection's file: where its documents come from by themselves."""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import Any
from urllib.parse import urlsplit

from headworks.releases.workspace.freshness_files import read_source_freshness
from headworks.strict_yaml import Section
from headworks.types.workspace import SourceSpec

_KINDS = ("web", "sitemap", "folder")
_MOST_PAGES = 50_000
_LONGEST_PATH = 1_000


def read_sources(top: Section) -> tuple[SourceSpec, ...]:
    """All of them, each with a name of its own. Raises WorkspaceInvalid with file and line."""
    sources: dict[str, SourceSpec] = {}
    for entry in top.items("sources"):
        if isinstance(entry, str):
            top.complain("sources", "each source needs `name`, and `web`, `sitemap` or `folder`.")
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
        entry.complain(
            None, "a source has one of `web` (where a crawl begins), `sitemap` and `folder` (of the server)."
        )
    settings = {"folder": _folder(entry)} if kinds == ["folder"] else _site(entry, kinds[0])
    freshness = read_source_freshness(entry)
    most = entry.number("most_deletions", 0.0, 0.0, 1.0) if entry.has("most_deletions") else None
    entry.finish()
    kind = "folder" if "folder" in settings else "web"
    return SourceSpec(name, kind, settings, freshness=freshness, most_deletions=most)


def _site(entry: Section, kind: str) -> dict[str, Any]:
    settings: dict[str, Any] = {
        "url": _address(entry, kind),
        "by_sitemap": kind == "sitemap",
        "pages": entry.whole("pages", 1_000, 1, _MOST_PAGES),
        "delay_s": entry.number("delay_s", 0.5, 0.0, 60.0),
    }
    if kind == "web":
        settings["depth"] = entry.whole("depth", 5, 0, 100)
    return settings


def _folder(entry: Section) -> str:
    """Whether the server may read it is for the operator to say, and found out by the sync."""
    path = PurePosixPath(text := entry.text("folder"))
    if not path.is_absolute() or ".." in path.parts or not text.isprintable() or len(text) > _LONGEST_PATH:
        entry.complain(
            "folder",
            "`folder` is not a whole path on the server, e.g. /srv/handbook.",
            "A folder of your own is brought by `headworks ingest COLLECTION FOLDER`.",
        )
    return str(path)


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

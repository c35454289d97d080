from __future__ import annotations

import pytest

from headworks.errors import WorkspaceInvalid
from headworks.releases.workspace.source_files import read_sources
from headworks.strict_yaml import read_yaml
from headworks.types.workspace import FreshnessSpec, SourceSpec


def read(text: str) -> tuple[SourceSpec, ...]:
    return read_sources(read_yaml("collections/docs.yaml", text))


def test_sources_are_read_with_their_defaults() -> None:
    found = read(
        """
sources:
  - {name: handbook, web: "https://docs.example.com/", depth: 2, pages: 10, delay_s: 1.5}
  - {name: news, sitemap: "https://news.example.com/sitemap.xml"}
  - {name: share, folder: /srv/share/policies/, freshness: {recrawl: 1h}, most_deletions: 0.9}
"""
    )
    first, second = {"by_sitemap": False, "pages": 10, "delay_s": 1.5, "depth": 2}, {"by_sitemap": True, "pages": 1000}
    assert found == (
        SourceSpec("handbook", "web", {"url": "https://docs.example.com/", **first}),
        SourceSpec("news", "web", {"url": "https://news.example.com/sitemap.xml", **second, "delay_s": 0.5}),
        SourceSpec(
            "share",
            "folder",
            {"folder": "/srv/share/policies"},
            freshness=FreshnessSpec(recrawl="1h"),
            most_deletions=0.9,
        ),
    )
    assert read("readers: [everyone]") == ()


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        ("{name: a, web: 'https://x/', deepness: 3}", "docs.yaml:3: unknown key `sources.deepness`"),
        ("{name: a, sitemap: 'https://x/', depth: 3}", "docs.yaml:3: unknown key `sources.depth`"),
        ("{name: a, web: 'https://x/', pages: 0}", "must lie between 1 and 50000"),
        ("{name: a, web: 'https://x/', delay_s: soon}", "must be a number"),
        ("{name: a, web: 'ftp://x/'}", "not an http or https address"),
        ("{name: a, web: 'https://me:secret@x/'}", "not an http or https address"),
        ("{name: a, web: 'https://x:99999/'}", "not an http or https address"),
        ("{name: a}", "one of `web`"),
        ("{name: a, web: 'https://x/', sitemap: 'https://x/'}", "one of `web`"),
        ("{name: a, web: 'https://x/', folder: /srv}", "one of `web`"),
        ("{name: a, folder: /srv, depth: 3}", "docs.yaml:3: unknown key `sources.depth`"),
        ("{name: a, folder: /srv, most_deletions: 2}", "most_deletions"),
        ("{name: a, folder: documents}", "not a whole path on the server"),
        ("{name: a, folder: /srv/../etc}", "not a whole path on the server"),
        ('{name: a, folder: "/srv/\\0"}', "not a whole path on the server"),
        ("{web: 'https://x/'}", "`sources.name` is missing"),
        ("https://x/", "each source needs `name`"),
    ],
)
def test_what_is_wrong_is_said_with_file_and_line(entry: str, said: str) -> None:
    with pytest.raises(WorkspaceInvalid) as caught:
        read(f"readers: [everyone]\nsources:\n  - {entry}\n")
    assert said in str(caught.value)
    assert str(caught.value).startswith("collections/docs.yaml:")


def test_two_sources_of_one_name_are_refused() -> None:
    with pytest.raises(WorkspaceInvalid, match="two sources are named `a`"):
        read("sources:\n  - {name: a, web: 'https://x/'}\n  - {name: a, web: 'https://y/'}\n")

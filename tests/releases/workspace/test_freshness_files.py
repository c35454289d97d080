"""`freshness` of a collection's file: read strictly, with the line of whatever is wrong."""

from __future__ import annotations

import pytest

from headworks.errors import WorkspaceInvalid
from headworks.releases.workspace.freshness_files import read_freshness, read_source_freshness
from headworks.strict_yaml import read_yaml
from headworks.types.workspace import FreshnessSpec


def _read(text: str, *, of_source: bool = False) -> FreshnessSpec:
    top = read_yaml("collections/docs.yaml", text)
    return read_source_freshness(top) if of_source else read_freshness(top)


def test_all_of_it_is_read() -> None:
    spec = _read("freshness:\n  recrawl: 6h\n  stale_after: 90d\n  keep: 2w\n")
    assert spec == FreshnessSpec("6h", 7_776_000, 1_209_600)
    assert spec.as_settings() == {"recrawl": "6h", "stale_after_s": 7_776_000, "keep_s": 1_209_600}
    assert _read("freshness: {recrawl: '0 3 * * mon'}").recrawl == "0 3 * * mon"
    assert _read("freshness: {keep: '0'}").keep_s == 0
    assert _read("description: none").as_settings() == {}


def test_a_source_has_its_own_and_may_never_be_crawled_again() -> None:
    assert _read("freshness: {recrawl: never, stale_after: 1d}", of_source=True) == FreshnessSpec("never", 86_400)
    with pytest.raises(WorkspaceInvalid, match=r"docs\.yaml:2: `keep` holds for all documents"):
        _read("freshness:\n  keep: 3d\n", of_source=True)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("freshness:\n  recrawl: 1m\n", r"docs\.yaml:2: `1m` is too often: at least 5m"),
        ("freshness:\n  stale_after: soon\n", r"docs\.yaml:2: `soon` is not a time span"),
        ("freshness:\n  recrawl: 6h\n  keep: -1\n", r"docs\.yaml:3: `freshness\.keep` must be text"),
        ("freshness:\n  recrawl: 61 * * * *\n", r"docs\.yaml:2: `61` is no minute"),
        ("freshness:\n  recrawls: 6h\n", r"docs\.yaml:2: unknown key `freshness\.recrawls`"),
        ("freshness: 6h\n", r"docs\.yaml:1: `freshness` must be a mapping"),
    ],
)
def test_what_is_wrong_is_said_with_its_line(text: str, said: str) -> None:
    with pytest.raises(WorkspaceInvalid, match=said):
        _read(text)

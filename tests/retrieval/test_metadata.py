"""Metadata: checked where somebody says it, taken as far as it goes where a file does, shown as it was written."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from retrieval_world import World

from headworks.errors import InvalidRequest
from headworks.retrieval.metadata import MOST_KEYS, given_metadata, parsed_metadata, shown
from headworks.types.filters import moment

ANY_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)


def test_each_kind_of_value_is_stored_as_what_it_is() -> None:
    said = {"year": 2024, "share": 0.5, "is_final": True, "team": "Claims", "tags": ["a", 3], "valid": "2024-05-01"}
    stored = given_metadata(said)
    assert stored["year"] == 2024
    assert stored["valid"] == {"at": 1_714_521_600_000_000, "as": "2024-05-01"}
    assert shown(stored) == said


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("1970-01-01", (0, True)),
        ("1970-01-01T00:00:01Z", (1_000_000, False)),
        ("1970-01-01 01:00:00+01:00", (0, False)),
        ("1970-01-01T00:01", (60_000_000, False)),
        ("2024-02-30", None),
        ("0001-01-01T00:00:00+01:00", None),
        ("20240501", None),
        ("2024-05-01T25:00", None),
        ("yesterday", None),
    ],
)
def test_a_date_is_what_has_the_form_and_the_calendar_of_one(text: str, found: tuple[int, bool] | None) -> None:
    if text.startswith("0001"):
        assert moment(text) is None or moment(text)[0] < 0  # type: ignore[index] # it is there
        return
    assert moment(text) == found


@pytest.mark.parametrize(
    ("value", "named"),
    [
        ([], "must be a JSON object"),
        ({"a": None}, "`metadata.a`"),
        ({"a": {"b": 1}}, "`metadata.a`"),
        ({"a": [["b"]]}, "`metadata.a`"),
        ({"a": float("nan")}, "`metadata.a`"),
        ({"a": 1 << 60}, "`metadata.a`"),
        ({"a": "x\0y"}, "`metadata.a`"),
        ({"a": "\ud800"}, "`metadata.a`"),
        ({"a": "x" * 1001}, "`metadata.a`"),
        ({"a": [1] * 101}, "`metadata.a`"),
        ({"path": "x"}, "`metadata.path`"),
        ({'a"); DROP': 1}, "can't be a key"),
        ({"": 1}, "can't be a key"),
        ({f"k{n}": 1 for n in range(51)}, "51 keys"),
        ({f"k{n}": "x" * 900 for n in range(40)}, "16 KB"),
    ],
)
def test_what_can_not_be_metadata_is_refused_by_name(value: Any, named: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        given_metadata(value)
    assert named in str(caught.value)


@given(ANY_JSON)
def test_any_json_is_metadata_or_a_refusal(value: Any) -> None:
    try:
        stored = given_metadata(value)
    except InvalidRequest:
        return
    assert b"\\u0000" not in orjson.dumps(stored)


@given(st.dictionaries(st.text(max_size=12), ANY_JSON, max_size=60))
def test_what_a_file_says_is_taken_as_far_as_it_can_be_stored(value: dict[str, Any]) -> None:
    stored = parsed_metadata(value)
    assert len(stored) <= MOST_KEYS
    assert given_metadata(shown(stored)) == stored


async def test_front_matter_and_what_is_said_on_upload_stand_together_and_what_is_said_wins(world: World) -> None:
    await world.collection("handbook", "everyone")
    text = "---\ntitle: Leave\nyear: 2023\ntags: [hr, people]\nvalid: 2024-05-01\ndraft: true\n---\n# Leave\n\nWeeks.\n"
    await world.add("handbook", "a.md", text, metadata={"year": 2024, "team": "People"})
    assert _metadata(world) == {
        "year": 2024, "tags": ["hr", "people"], "valid": "2024-05-01", "draft": True, "team": "People",
    }  # fmt: skip
    await world.add("handbook", "a.md", text + "More.\n")
    assert _metadata(world)["team"] == "People", "who says nothing leaves it as it was"
    await world.add("handbook", "a.md", text + "More.\n", metadata={})
    assert _metadata(world)["year"] == 2023, "the same content again, and nothing more is said of it"


async def test_a_page_says_its_metadata_in_its_head(world: World) -> None:
    await world.collection("handbook", "everyone")
    head = '<meta name="author" content="Ada"><meta property="article:published_time" content="2024-05-01T10:00:00Z">'
    page = f'<html><head><meta charset="utf-8"><meta name="viewport" content="w">{head}</head><body><p>Text.</p></body>'
    await world.add("handbook", "a.html", page)
    assert _metadata(world) == {"author": "Ada", "article_published_time": "2024-05-01T10:00:00Z"}


@pytest.mark.parametrize(
    "front", ["a: [", "*x", "a: &x [*x]", "- 1", "? {a: 1}\n: 2", "a: !!python/object:os.system {}"]
)
async def test_front_matter_that_is_none_says_nothing_and_harms_nothing(world: World, front: str) -> None:
    await world.collection("handbook", "everyone")
    await world.add("handbook", "a.md", f"---\n{front}\n---\n# A\n\nHerons.\n")
    assert await world.found(world.admin, "handbook", "herons", k=1) == ["a.md"]


def _metadata(world: World) -> dict[str, Any]:
    row = world.behind.execute("SELECT metadata FROM document").fetchone()
    return shown(row[0])  # type: ignore[index] # it is there

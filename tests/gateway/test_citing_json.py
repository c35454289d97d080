"""Citations in answers that are JSON: structure is never taken for a marker."""

from __future__ import annotations

import asyncio
import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from running_gateway import ByNumber, passage

from headworks.gateway.features.citing_json import CitingJson
from headworks.types.retrieval import Citation

PASSAGES = {1: passage(1, "The deductible is 500 francs."), 2: passage(2, "It is due each year.")}


async def cited(text: str, size: int = 1_000) -> tuple[str, list[Citation], CitingJson]:
    stream = CitingJson(ByNumber(PASSAGES))
    out: list[Any] = []
    for start in range(0, len(text), size):
        out += await stream.feed(text[start : start + size])
    out += await stream.finish()
    shown = "".join(each.text for each in out if not isinstance(each, Citation))
    return shown, [each for each in out if isinstance(each, Citation)], stream


async def test_a_list_of_numbers_stays_one() -> None:
    text = '{"ids": [1], "none": [9], "[1]": [2, 3]}'
    assert (await cited(text))[:2] == (text, [])


async def test_markers_in_strings_are_cited_at_their_place_in_the_whole_text() -> None:
    text = json.dumps({"why": "It is 500 [1].", "ids": [1], "when": "yearly [2]"}, indent=1)
    shown, citations, stream = await cited(text)
    assert shown == text
    assert [(each.number, shown[each.marker_start : each.marker_end]) for each in citations] == [(1, "[1]"), (2, "[2]")]
    assert (stream.dropped, stream.unknown) == (0, 0)


async def test_a_marker_of_no_passage_goes_and_the_places_of_the_others_hold() -> None:
    shown, citations, stream = await cited('["a [7] b [1]", [7], "c [8]", "d [2] e"]')
    assert json.loads(shown) == ["a  b [1]", [7], "c ", "d [2] e"]
    assert [shown[each.marker_start : each.marker_end] for each in citations] == ["[1]", "[2]"]
    assert stream.unknown == 2


async def test_how_well_it_is_grounded_is_counted_over_all_strings() -> None:
    text = json.dumps({"a": "The deductible is 500 francs [1].", "ids": [1], "b": "Dogs are welcome there.", "c": "ok"})
    shown, _, stream = await cited(text)
    found = stream.groundedness
    assert (found.claims, found.cited, found.supported) == (2, 1, 1)
    assert [shown[each.start : each.end] for each in found.doubts] == ["Dogs are welcome there."]
    assert [shown[start:end] for start, end in found.places] == [
        "The deductible is 500 francs [1].",
        "Dogs are welcome there.",
    ]


texts = st.lists(st.sampled_from(["a", " [1]", "[2]", "[9]", "[", "]", '"', "\\", "\n", "é🙂", ","])).map("".join)
values = st.recursive(
    texts | st.integers(0, 9) | st.none(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=8,
)


@given(values, st.booleans(), st.integers(1, 9))
def test_json_stays_json_with_the_same_strings_but_for_markers(value: Any, is_ascii: bool, size: int) -> None:  # noqa: FBT001 -- given
    text = json.dumps(value, ensure_ascii=is_ascii)
    shown, citations, _ = asyncio.run(cited(text, size))
    assert json.loads(shown) == without_unknown(value)
    assert all(shown[each.marker_start : each.marker_end] == f"[{each.number}]" for each in citations)
    assert asyncio.run(cited(text))[0] == shown


def without_unknown(value: Any) -> Any:
    if isinstance(value, str):
        return value.replace("[9]", "")
    if isinstance(value, dict):
        return {name: without_unknown(each) for name, each in value.items()}
    return [without_unknown(each) for each in value] if isinstance(value, list) else value

"""The input items of a response that we keep, page by page."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from openai.types.responses.response_item_list import ResponseItemList

from headworks.errors import InvalidRequest
from headworks.gateway.stored.listing import page

ITEMS: list[dict[str, Any]] = [
    {"role": "user", "content": "Hello."},
    {"type": "message", "role": "assistant", "content": "Hi."},
    {"type": "function_call", "id": "fc_own", "call_id": "c", "name": "f", "arguments": "{}", "status": "completed"},
    {"type": "function_call_output", "call_id": "c", "output": "1", "status": "completed"},
    {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "Bye."}]},
]
RAW = [msgspec.Raw(json.dumps(each).encode()) for each in ITEMS]


def listed(**options: Any) -> dict[str, Any]:
    said: dict[str, Any] = json.loads(page("resp_1", RAW, **options))
    return said


def test_the_newest_item_comes_first() -> None:
    said = listed()
    assert [each["type"] for each in said["data"]] == [
        "message",
        "function_call_output",
        "function_call",
        "message",
        "message",
    ]
    assert (said["first_id"], said["last_id"], said["has_more"]) == ("msg_1_4", "msg_1_0", False)


def test_openais_type_takes_the_list() -> None:
    said = listed(order="asc")
    taken = ResponseItemList.model_validate(said, strict=True)
    assert [each.id for each in taken.data] == ["msg_1_0", "msg_1_1", "fc_own", "fco_1_3", "msg_1_4"]
    assert said["data"][0]["content"] == [{"type": "input_text", "text": "Hello."}]
    assert said["data"][1]["content"] == [{"type": "output_text", "text": "Hi.", "annotations": []}]


@given(st.integers(1, 7), st.sampled_from(["asc", "desc"]))
def test_pages_follow_one_another_without_a_gap(limit: int, order: str) -> None:
    whole = listed(limit=100, order=order)["data"]
    found: list[Any] = []
    after = None
    while True:
        said = listed(limit=limit, order=order, after=after)
        found += said["data"]
        if not said["has_more"]:
            break
        after = said["last_id"]
    assert found == whole


def test_a_response_without_items_has_an_empty_list() -> None:
    said = json.loads(page("resp_1", []))
    assert said == {"object": "list", "data": [], "first_id": None, "last_id": None, "has_more": False}


@pytest.mark.parametrize(
    ("options", "param"),
    [({"limit": 0}, "limit"), ({"limit": 101}, "limit"), ({"order": "up"}, "order"), ({"after": "msg_x"}, "after")],
)
def test_what_is_wrong_is_named(options: dict[str, Any], param: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        listed(**options)
    assert caught.value.param == param

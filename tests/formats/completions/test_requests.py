"""A legacy request is one prompt; what other formats have no word for is refused by name."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headworks.errors import InvalidRequest, Unmapped
from headworks.formats.chat.format import CHAT
from headworks.formats.completions.format import COMPLETIONS
from headworks.formats.neutral import Request, TextBlock, Turn

PLAIN: dict[str, Any] = {"model": "m", "prompt": "Once upon"}


def read(value: Any) -> Request:
    return COMPLETIONS.read_request(json.dumps(value).encode())


def test_a_prompt_is_what_the_user_says() -> None:
    request = read(
        {
            **PLAIN,
            "max_tokens": 7,
            "temperature": 0.5,
            "top_p": 0.9,
            "stop": "END",
            "seed": 3,
            "presence_penalty": 1,
            "frequency_penalty": 2,
            "n": 1,
            "user": "u",
            "stream": True,
            "stream_options": {"include_usage": True},
            "suffix": None,
            "echo": False,
            "best_of": 1,
            "logprobs": None,
        }
    )
    assert request.turns == [Turn("user", [TextBlock("Once upon")])]
    assert (request.origin, request.max_output, request.stop, request.seed) == ("completions", 7, ("END",), 3)
    assert (request.stream, request.wants_usage, request.end_user) == (True, True, "u")
    found = CHAT.write_request(request)
    assert found.left_out == ()
    assert json.loads(found.body)["messages"] == [{"role": "user", "content": "Once upon"}]
    assert json.loads(found.body)["stream_options"] == {"include_usage": True}


def test_a_list_of_one_prompt_is_a_prompt() -> None:
    assert read({**PLAIN, "prompt": ["Once upon"]}).turns == read(PLAIN).turns


@pytest.mark.parametrize("prompt", [[1, 2], [[1], [2]], ["a", "b"], []])
def test_what_is_no_single_text_has_no_word_elsewhere(prompt: list[Any]) -> None:
    with pytest.raises(Unmapped) as caught:
        read({**PLAIN, "prompt": prompt})
    assert caught.value.param == "prompt"


@pytest.mark.parametrize(
    ("name", "value"), [("suffix", "end"), ("echo", True), ("best_of", 3), ("logprobs", 2), ("logit_bias", {"5": 1})]
)
def test_what_another_format_has_no_word_for_is_refused_there(name: str, value: Any) -> None:
    with pytest.raises(Unmapped) as caught:
        CHAT.write_request(read({**PLAIN, name: value}))
    assert caught.value.param == name


@pytest.mark.parametrize(
    ("change", "param"),
    [
        ({"prompt": 5}, "prompt"),
        ({"prompt": None}, "prompt"),
        ({"model": 5}, "model"),
        ({"max_tokens": 0}, "max_tokens"),
        ({"temperature": "x"}, "temperature"),
        ({"stop": [1]}, "stop[0]"),
        ({"stream": 1}, "stream"),
        ({"stream_options": {"include_usage": 1}}, "stream_options.include_usage"),
    ],
)
def test_a_wrong_field_is_named(change: dict[str, Any], param: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        read({**PLAIN, **change})
    assert caught.value.param == param


@pytest.mark.parametrize(
    "body", [b"", b"[]", b"{}", b'{"model":"m","prompt":"\xff"}', b'{"model":"m","prompt":"x","y":' + b"[" * 5000]
)
def test_what_is_no_request_is_the_callers_fault(body: bytes) -> None:
    with pytest.raises(InvalidRequest):
        COMPLETIONS.read_request(body)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)
FIELD = st.sampled_from(
    ["model", "prompt", "stop", "n", "echo", "max_tokens", "stream", "stream_options", "logprobs", "x"]
)


@given(st.dictionaries(FIELD, JSON, max_size=4))
def test_any_json_is_a_request_or_refused(fields: dict[str, Any]) -> None:
    try:
        CHAT.write_request(read({**PLAIN, **fields}))
    except InvalidRequest:
        return

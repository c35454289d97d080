"""Counts, in the conventions of those who speak this format."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from headworks.formats.chat.usage import read_usage, usage_in, write_usage
from headworks.types.models import Usage

COUNT = st.integers(0, 10**9)


def raw(value: Any) -> msgspec.Raw:
    return msgspec.Raw(json.dumps(value).encode())


def plain(value: Any) -> Any:
    return json.loads(msgspec.json.encode(value))


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ({"prompt_tokens": 5, "completion_tokens": 2}, Usage(5, 2)),
        ({"prompt_tokens": 5, "completion_tokens": 2, "prompt_tokens_details": {"cached_tokens": 3}}, Usage(5, 2, 3)),
        ({"prompt_tokens": 5, "completion_tokens": 2, "prompt_cache_hit_tokens": 4}, Usage(5, 2, 4)),
        ({"prompt_tokens": 5, "completion_tokens": 2, "prompt_tokens_details": None}, Usage(5, 2)),
        (
            {
                "prompt_tokens": 50,
                "completion_tokens": 2,
                "total_tokens": 52,
                "prompt_tokens_details": {"cache_write_tokens": 10, "cache_write_1h_tokens": 4, "audio_tokens": 1},
                "completion_tokens_details": {"audio_tokens": 2, "reasoning_tokens": 0},
            },
            Usage(
                50,
                2,
                cache_write_tokens=6,
                cache_write_1h_tokens=4,
                reasoning_tokens=0,
                audio_input_tokens=1,
                audio_output_tokens=2,
            ),
        ),
        # xAI leaves reasoning out of the output; the total gives it away.
        (
            {
                "prompt_tokens": 5,
                "completion_tokens": 2,
                "total_tokens": 107,
                "completion_tokens_details": {"reasoning_tokens": 100},
            },
            Usage(5, 102, reasoning_tokens=100),
        ),
        (
            {
                "prompt_tokens": 5,
                "completion_tokens": 102,
                "total_tokens": 107,
                "completion_tokens_details": {"reasoning_tokens": 100},
            },
            Usage(5, 102, reasoning_tokens=100),
        ),
        ({"prompt_tokens": "5"}, None),
        (None, None),
        ([], None),
        ("x", None),
    ],
)
def test_counts_are_read_as_the_providers_write_them(said: Any, expected: Usage | None) -> None:
    assert usage_in(raw(said)) == expected
    assert read_usage(raw(said))[0] == (expected or Usage())


@given(
    st.fixed_dictionaries(
        {"prompt_tokens": COUNT, "completion_tokens": COUNT},
        optional={
            "total_tokens": COUNT,
            "prompt_tokens_details": st.none()
            | st.dictionaries(st.sampled_from(["cached_tokens", "audio_tokens", "image_tokens", "new"]), COUNT),
            "completion_tokens_details": st.none()
            | st.dictionaries(
                st.sampled_from(["audio_tokens", "accepted_prediction_tokens", "new"]), COUNT | st.none()
            ),
            "cost": st.floats(0, 1),
        },
    )
)
def test_nothing_that_was_counted_is_lost(said: dict[str, Any]) -> None:
    expected = {"total_tokens": said["prompt_tokens"] + said["completion_tokens"], **said}
    assert plain(write_usage(*read_usage(raw(said)))) == expected


@pytest.mark.parametrize("said", ["many", {"prompt_tokens": "5"}, []])
def test_counts_that_can_not_be_read_are_kept(said: Any) -> None:
    assert plain(write_usage(*read_usage(raw(said)))) == said


def test_nothing_counted_is_not_zero() -> None:
    assert write_usage(Usage(), {}) is None
    assert write_usage(Usage(output_tokens=1), {}) == {"prompt_tokens": 0, "completion_tokens": 1, "total_tokens": 1}

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headworks.cli.metadata import metadata_of
from headworks.errors import InvalidRequest

KEYS = st.text(alphabet="abc_-.", min_size=1, max_size=8)
VALUES = st.one_of(st.booleans(), st.integers(), st.floats(allow_nan=False, allow_infinity=False), st.text(max_size=9))


@given(st.dictionaries(KEYS, st.one_of(VALUES, st.lists(VALUES, max_size=3)), max_size=4))
def test_what_json_can_say_arrives_as_what_it_is(said: dict[str, object]) -> None:
    assert metadata_of([f"{key}={json.dumps(value)}" for key, value in said.items()]) == said


def test_words_are_text_and_what_looks_like_a_value_is_one() -> None:
    given = [
        "year=2024",
        "open=true",
        "department=claims = both",
        "seen=2024-05-01",
        'code="007"',
        "rate=NaN",
        "x=null",
    ]
    assert metadata_of(given) == {
        "year": 2024,
        "open": True,
        "department": "claims = both",
        "seen": "2024-05-01",
        "code": "007",
        "rate": "NaN",
        "x": "null",
    }


def test_a_key_that_is_said_again_makes_a_list_and_nothing_said_is_nothing() -> None:
    assert metadata_of(["tag=a", "tag=b", "year=1"]) == {"tag": ["a", "b"], "year": 1}
    assert metadata_of(None) is None
    assert metadata_of([]) == {}


@pytest.mark.parametrize("wrong", ["year", "=2024", " =x", ""])
def test_what_names_no_key_is_refused_with_an_example(wrong: str) -> None:
    with pytest.raises(InvalidRequest, match=r"names no key and value\. Like --metadata year=2024"):
        metadata_of([wrong])

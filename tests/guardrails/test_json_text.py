"""What is read as JSON, what is repaired, and what never is."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headworks.guardrails.json_text import (
    DEEPEST,
    MAX_CHARACTERS,
    NotJson,
    read_json,
    read_repaired,
    strings_apart,
    tool_arguments_are_whole,
)

texts = st.text(st.characters(exclude_categories=("Cs",)), max_size=20) | st.sampled_from(
    ["[1]", ",]", ",}", "```", "\\", '"', "\ufeff", " [2] ", "a\nb", ": {"]
)
scalars = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | texts
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4),
    max_leaves=20,
)
containers = st.lists(values, max_size=4) | st.dictionaries(texts, values, max_size=4)
written = st.builds(
    lambda value, indent, is_ascii: json.dumps(value, indent=indent, ensure_ascii=is_ascii),
    containers,
    st.sampled_from([None, 0, 2, "\t"]),
    st.booleans(),
)
TOKENS = re.compile(r'"(?:[^"\\]|\\.)*"|[\[\]{}:,]|[^\s"\[\]{}:,]+')


def why(text: str) -> str:
    with pytest.raises(NotJson) as caught:
        read_repaired(text)
    return str(caught.value)


def with_trailing_commas(text: str) -> str:
    """A comma before each bracket that closes something which is not empty."""
    tokens = TOKENS.findall(text)
    return "".join(
        f",{token}" if token in {"]", "}"} and before not in {"[", "{"} else token
        for before, token in zip(["", *tokens], tokens, strict=False)
    )


@given(written)
def test_valid_json_is_left_as_it_is(text: str) -> None:
    read = read_repaired(text)
    assert (read.text, read.was_repaired) == (text, False)
    assert read.value == json.loads(text)


@given(
    written, st.sampled_from(["```", "````", "~~~"]), st.sampled_from(["", "json", "JSON", " jsonc "]), st.booleans()
)
def test_a_fence_goes_and_nothing_else(text: str, fence: str, language: str, has_commas: bool) -> None:  # noqa: FBT001 -- given
    inner = with_trailing_commas(text) if has_commas else text
    read = read_repaired(f"\ufeff\n {fence}{language}\n{inner}\n{fence}  \n")
    assert read.was_repaired
    assert read.value == json.loads(text)
    assert TOKENS.findall(read.text) == TOKENS.findall(text)


@given(written)
def test_trailing_commas_go_and_no_other_token(text: str) -> None:
    read = read_repaired(with_trailing_commas(text))
    assert TOKENS.findall(read.text) == TOKENS.findall(text)
    assert read.value == json.loads(text)


@given(written, st.data())
def test_what_was_cut_off_never_comes_out_as_good(text: str, data: st.DataObject) -> None:
    whole = text.strip()
    part = whole[: data.draw(st.integers(0, len(whole) - 1))]
    with pytest.raises(NotJson):
        read_repaired(part)
    assert not tool_arguments_are_whole(part)
    assert not tool_arguments_are_whole(part.encode())


@given(written, st.data())
def test_a_fence_that_was_cut_off_never_comes_out_as_good(text: str, data: st.DataObject) -> None:
    whole = f"```json\n{with_trailing_commas(text)}\n```"
    with pytest.raises(NotJson):
        read_repaired(whole[: data.draw(st.integers(0, len(whole) - 1))])


@given(st.text(max_size=60) | st.lists(st.sampled_from([*'[]{},:"\\`1a \n', "```", '"a"', "\ufeff"])).map("".join))
def test_whatever_is_taken_is_json_and_kept_all_its_tokens_but_commas(text: str) -> None:
    try:
        read = read_repaired(text)
    except NotJson:
        return
    assert json.loads(read.text) == read.value
    unfenced = re.sub(r"^[\s\ufeff]*(`{3,}|~{3,})[^\n]*\n|(`{3,}|~{3,})[\s\ufeff]*$", "", text).replace("\ufeff", "")
    assert [each for each in TOKENS.findall(read.text) if each != ","] == [
        each for each in TOKENS.findall(unfenced) if each != ","
    ]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "is empty"),
        (" \n", "is empty"),
        ('{"a": 1', "ends before it is complete (line 1, column 8)"),
        ('{"a": "sec', "ends before it is complete (line 1, column 7)"),
        ("[1,", "ends before it is complete"),
        ('["a,]', "ends before it is complete"),
        ("```json\n[1]\n", "is no JSON"),
        ("```json\n[1]\n``", "is no JSON"),
        ("Here it is:\n```json\n[1]\n```", "is no JSON"),
        ("```json\n[1]\n```\nI hope this helps.", "is no JSON"),
        ("```python\nprint()\n```", "is no JSON"),
        ("[1] [2]", "goes on after its end"),
        ("[1],", "goes on after its end"),
        ("[,]", "is no JSON"),
        ("[1,,]", "is no JSON"),
        ('{"a":,}', "is no JSON"),
        ("{'a': 1}", "is no JSON: expecting property name enclosed in double quotes"),
        ('{"a": 1 "b": 2}', "expecting ',' delimiter"),
        ('["a\nb"]', "invalid control character"),
        ("[NaN]", "`NaN` or `Infinity`"),
        ("[-Infinity]", "`NaN` or `Infinity`"),
        ("[1e999]", "a number that is too large"),
        (f"[{'9' * 5000}]", "too many digits"),
        ('{"a": 1, "a": 2}', "names a member of an object twice"),
        ('["\\ud800"]', "half of a surrogate pair"),
        ("[" * (DEEPEST + 1) + "]" * (DEEPEST + 1), "nested more than 100 levels deep"),
        ("[" * 200_000, "nested more than 100 levels deep"),
        ('"' + "x" * MAX_CHARACTERS + '"', "more than 1,000,000 characters"),
    ],
)
def test_what_is_not_taken_says_why_in_words_and_quotes_nothing(text: str, reason: str) -> None:
    message = why(text)
    assert reason in message
    assert "sec" not in message


@pytest.mark.parametrize("text", ["[" * DEEPEST + "]" * DEEPEST, json.dumps(["[{" * 500]), '["\\ud83d\\ude00"]'])
def test_what_is_deep_or_odd_but_right_is_taken(text: str) -> None:
    assert read_json(text) == json.loads(text)


@pytest.mark.parametrize("filler", [" ", "`", "\\", ",", '",', "[1,]"])
def test_long_nonsense_is_refused_in_no_time(filler: str) -> None:
    """The test's own limit is the assertion: what takes quadratic time does not end."""
    with pytest.raises(NotJson):
        read_repaired("```\n[" + filler * (900_000 // len(filler)) + "x")


@pytest.mark.parametrize(
    ("arguments", "is_whole"),
    [
        (b'{"city": "Bern"}', True),
        (b" {}\n", True),
        ('{"city": "Bern"}', True),
        (b"", False),
        (b"[]", False),
        (b"null", False),
        (b'"text"', False),
        (b"12", False),
        (b'{"city": "Be', False),
        (b'{"city": "Bern",}', False),
        (b'```json\n{"city": "Bern"}\n```', False),
        (b'\xef\xbb\xbf{"city": "Bern"}', False),
        (b'{"city": "\xff"}', False),
        (b'{"to": "a", "to": "b"}', False),
        (b'{"n": NaN}', False),
    ],
)
def test_a_tool_is_called_only_with_an_object_as_the_model_wrote_it(arguments: bytes | str, *, is_whole: bool) -> None:
    assert tool_arguments_are_whole(arguments) is is_whole


@given(st.dictionaries(texts, values, max_size=4))
def test_the_arguments_of_a_tool_that_are_whole_are_known_for_it(arguments: dict[str, Any]) -> None:
    assert tool_arguments_are_whole(json.dumps(arguments))
    assert not tool_arguments_are_whole(json.dumps(arguments) + ",")


@given(written)
def test_strings_of_a_json_text_are_told_apart_from_all_the_rest(text: str) -> None:
    parts = list(strings_apart(text))
    assert "".join(part for part, _ in parts) == text
    found = [json.loads(f'"{part}"') for part, is_string in parts if is_string]
    assert found == [each for each in strings_in(json.loads(text)) if each]


def strings_in(value: Any) -> list[str]:
    if isinstance(value, str):
        return [value]
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return [each for one in inner for each in strings_in(one)]

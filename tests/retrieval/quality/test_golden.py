from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headworks.errors import WorkspaceInvalid
from headworks.retrieval.quality.golden import GoldenQuery, Target, read_golden

FILE = "collections/docs.golden.jsonl"


def read(*rows: Any) -> list[GoldenQuery]:
    lines = [row if isinstance(row, str) else json.dumps(row, ensure_ascii=False) for row in rows]
    return read_golden(FILE, "\n".join(lines).encode())


def complaint(*rows: Any) -> str:
    with pytest.raises(WorkspaceInvalid) as caught:
        read(*rows)
    return str(caught.value)


def test_a_line_is_a_query_and_what_should_be_found() -> None:
    (short, long) = read(
        {"query": "leave", "relevant": ["leave.md"]},
        "",
        {
            "id": "q7",
            "query": "paid leave",
            "relevant": [
                {"document": "leave.md", "grade": 3, "quote": "twelve weeks"},
                {"document": "pay.md", "section": "Absence"},
                {"document": "pay.md", "section": ["Pay", " Sick  leave "], "grade": 0},
            ],
            "tags": ["people", " people", "german"],
            "as": "jane",
            "cluster": "leave",
        },
    )
    assert (short.query, short.targets, short.tags, short.reader, short.line) == (
        "leave", (Target("leave.md"),), (), None, 1,
    )  # fmt: skip
    assert long == GoldenQuery(
        "q7",
        "paid leave",
        (
            Target("leave.md", 3, "twelve weeks"),
            Target("pay.md", 1, None, ("Absence",)),
            Target("pay.md", 0, None, ("Pay", "Sick leave")),
        ),
        ("people", "german"),
        "jane",
        3,
        "leave",
    )


def test_a_query_without_an_id_keeps_the_same_one_wherever_it_stands() -> None:
    leave, pay = {"query": "leave", "relevant": ["a"]}, {"query": "pay", "relevant": ["a"]}
    assert [each.id for each in read(leave, pay)] == [each.id for each in read(pay, leave)][::-1]
    as_jane, as_bob = read({**leave, "as": "jane"}, {**leave, "as": "bob"})
    assert as_jane.id != as_bob.id


def test_a_byte_order_mark_and_windows_line_ends_are_taken() -> None:
    line = json.dumps({"query": "a", "relevant": ["a"]}).encode()
    assert len(read_golden(FILE, b"\xef\xbb\xbf" + line + b"\r\n\r\n")) == 1


OK = {"query": "a", "relevant": ["a"]}


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("{", "not JSON at column 2"),
        ("[" * 100_000, "not JSON"),
        ('{"query": NaN}', "`NaN` is no JSON"),
        ('{"query": "x", "query": "y"}', "the same key twice"),
        ('{"query": "\\ud800", "relevant": ["a"]}', "`query` must be text"),
        ('{"query": "x", "relevant": [{"document": "a", "grade": ' + "9" * 5000 + "}]}", "not JSON"),
        ([], "a golden query must be a JSON object"),
        ({"relevant": ["a"]}, "`query` is missing"),
        ({**OK, "query": " "}, "`query` must be text"),
        ({**OK, "query": 3}, "`query` must be text"),
        ({**OK, "query": "x" * 8001}, "`query` has 8,001 characters, at most 8,000"),
        ({**OK, "relevent": ["a"]}, "a golden query has no `relevent`. It may have id, query"),
        ({"query": "x"}, "`relevant` must list at least one document"),
        ({"query": "x", "relevant": []}, "`relevant` must list at least one document"),
        ({"query": "x", "relevant": "a"}, "`relevant` must list at least one document"),
        ({"query": "x", "relevant": [3]}, "an entry of `relevant` must be a JSON object"),
        ({"query": "x", "relevant": [{"grade": 1}]}, "has no `document`"),
        ({"query": "x", "relevant": ["a", "a"]}, "names the same twice"),
        ({"query": "x", "relevant": [{"document": "a", "grade": 0}]}, "nothing of a grade above 0"),
        ({"query": "x", "relevant": [{"document": "a", "grade": True}]}, "whole number from 0 to 100"),
        ({"query": "x", "relevant": [{"document": "a", "grade": 101}]}, "whole number from 0 to 100"),
        ({"query": "x", "relevant": [{"document": "a", "quote": "q", "section": "s"}]}, "both `quote` and `section`"),
        ({"query": "x", "relevant": [{"document": "a", "section": [3]}]}, "`section` must be a heading"),
        ({**OK, "query": "x", "tags": "people"}, "`tags` must be a list of words"),
        ({**OK, "query": " A"}, "the query is also in line 1. Keep one of them."),
    ],
)
def test_a_wrong_line_is_named_with_file_and_line(row: Any, message: str) -> None:
    said = complaint(OK, row)
    assert said.startswith(f"{FILE}:2: ")
    assert message in said


def test_an_id_is_there_once() -> None:
    said = complaint({**OK, "id": "x"}, {**OK, "query": "b", "id": "x"})
    assert said == f"{FILE}:2: the id `x` is also in line 1. Keep one of them."


@pytest.mark.parametrize("content", [b"", b"\n \n", b"\xef\xbb\xbf"])
def test_an_empty_file_is_no_golden_set(content: bytes) -> None:
    with pytest.raises(WorkspaceInvalid, match="there is no query in it"):
        read_golden(FILE, content)


def test_bytes_that_are_no_text_are_named_with_their_line() -> None:
    with pytest.raises(WorkspaceInvalid, match=":2: not UTF-8"):
        read_golden(FILE, json.dumps(OK).encode() + b"\n\xff\n")


words = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1).filter(str.strip)
targets = st.builds(
    lambda document, grade, quote: {"document": document, "grade": grade} | ({"quote": quote} if quote else {}),
    words,
    st.integers(1, 100),
    st.none() | words,
)
rows = st.builds(
    lambda query, relevant, tags: {"query": query, "relevant": [relevant], "tags": tags},
    words,
    targets,
    st.lists(words, max_size=3),
)


@given(rows)
def test_what_is_written_is_read_again(row: dict[str, Any]) -> None:
    (first,) = read(row)
    (again,) = read(first.as_json())
    assert again == first


json_values = st.recursive(
    st.none() | st.booleans() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["query", "relevant", "x"]), inner),
    max_leaves=6,
)


@given(st.binary(max_size=60) | json_values.map(lambda value: json.dumps(value).encode()))
def test_anything_is_read_or_refused_with_its_line(content: bytes) -> None:
    try:
        found = read_golden(FILE, content)
    except WorkspaceInvalid as error:
        said = str(error)
    else:
        said = "" if found else "nothing"
    assert not said or said.startswith(f"{FILE}:")

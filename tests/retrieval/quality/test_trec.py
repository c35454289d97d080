from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headworks.errors import WorkspaceInvalid
from headworks.retrieval.quality.golden import read_golden
from headworks.retrieval.quality.trec import golden_from, read_qrels, read_queries


def test_qrels_are_read_with_and_without_an_iteration() -> None:
    expected = {"1": {"a": 2, "b": 0}, "2": {"a": -1}}
    assert read_qrels("q", b"1 0 a 2\n1 Q0 b 0\n\n2\t0\ta\t-1\r\n") == expected
    assert read_qrels("q", b"query-id\tcorpus-id\tscore\n1\ta\t2\n1\tb\t0\n2\ta\t-1\n") == expected


def test_queries_are_lines_with_tabs_or_json_objects() -> None:
    expected = {"1": "parental leave", "2": "pay day"}
    assert read_queries("q", b"1\tparental leave\n2\tpay\tday\n") == expected
    rows = [{"_id": "1", "text": "parental  leave"}, {"_id": "2", "text": "pay day", "metadata": {}}]
    assert read_queries("q", "\n".join(map(json.dumps, rows)).encode()) == expected


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"1 0 a 1\n1 0\n", "q:2: 2 columns"),
        (b"1 0 a 1 x", "q:1: 5 columns"),
        (b"1 0 a x", "q:1: 'x' is no whole number"),
        (b"1 0 a 1\n1 0 a 2", "q:2: the document `a` is judged twice for query `1`"),
        (b"1 0 \xff 1", "q:1: not UTF-8"),
    ],
)
def test_wrong_judgements_are_named_with_file_and_line(content: bytes, message: str) -> None:
    with pytest.raises(WorkspaceInvalid, match=message):
        read_qrels("q", content)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"<top>\n<num> 1", "q:1: no id and text with a tab"),
        (b"1\t \n", "q:1: no id and text with a tab"),
        (b'{"id": 1}', "q:1: no JSON object with `_id` and `text`"),
        (b"1\ta\n1\tb\n", "q:2: the query `1` is there twice"),
    ],
)
def test_wrong_queries_are_named_with_file_and_line(content: bytes, message: str) -> None:
    with pytest.raises(WorkspaceInvalid, match=message):
        read_queries("q", content)


def test_queries_of_the_same_words_are_one() -> None:
    made = golden_from({"1": "Leave", "2": "leave", "3": "pay"}, {"1": {"a": 1, "b": 2}, "2": {"a": 3}, "3": {"c": 0}})
    (only,) = made.queries
    assert (only.id, {each.document: each.grade for each in only.targets}) == ("1", {"a": 3, "b": 2})
    assert (made.unjudged, made.irrelevant) == (0, 1)


@pytest.mark.parametrize("naming", ["x.md", "{id}{id}", ""])
def test_a_path_says_once_where_the_id_stands(naming: str) -> None:
    with pytest.raises(WorkspaceInvalid, match="does not say where the id stands"):
        golden_from({}, {}, naming)


words = st.text("abc dé", min_size=1, max_size=8).filter(str.strip)


@given(
    st.dictionaries(words, words, max_size=5),
    st.dictionaries(words, st.dictionaries(words, st.integers(-3, 300), min_size=1, max_size=4), max_size=5),
)
def test_what_is_imported_is_a_golden_file(queries: dict[str, str], grades: dict[str, dict[str, int]]) -> None:
    made = golden_from(queries, grades, "docs/{id}.md")
    assert len(made.queries) + made.unjudged + made.irrelevant <= len(queries)
    lines = "\n".join(json.dumps(each.as_json()) for each in made.queries)
    if made.queries:
        again = read_golden("f", lines.encode())
        assert [each.targets for each in again] == [each.targets for each in made.queries]

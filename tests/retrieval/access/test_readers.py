"""Which own list a document has: patterns, what is given on upload, and that nothing opens by omission."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headworks.errors import InvalidRequest
from headworks.retrieval.access.readers import (
    AS_COLLECTION,
    OwnList,
    PatternReaders,
    given_list,
    matches,
    normal_pattern,
    own_list,
    read_patterns,
    refuse_given,
    write_patterns,
)
from headworks.types.ids import PrincipalId, new_id

A, B = PrincipalId(new_id()), PrincipalId(new_id())


@pytest.mark.parametrize(
    ("pattern", "path", "expected"),
    [
        ("a.md", "a.md", True),
        ("a.md", "x/a.md", False),
        ("a.md", "aXmd", False),
        ("*.md", "a.md", True),
        ("*.md", "x/a.md", False),
        ("**/*.md", "a.md", True),
        ("**/*.md", "x/y/a.md", True),
        ("board/**", "board/a.md", True),
        ("board/**", "board/2024/a.md", True),
        ("board/**", "boardroom/a.md", False),
        ("board/**", "x/board/a.md", False),
        ("**/board/**", "x/board/a.md", True),
        ("**/board/**", "board/a.md", True),
        ("**/board/**", "xboard/a.md", False),
        ("board/*/a.md", "board/2024/a.md", True),
        ("board/*/a.md", "board/2024/q1/a.md", False),
        ("?.md", "a.md", True),
        ("?.md", "/.md", False),
        ("a[b].md", "a[b].md", True),
        ("a(b|c)+.md", "ab.md", False),
        ("**", "any/thing at all\nhere", True),
        ("Board/**", "board/a.md", False),
    ],
)
def test_a_pattern_matches_as_its_folders_say(*, pattern: str, path: str, expected: bool) -> None:
    assert matches(pattern, path) is expected


@pytest.mark.parametrize(
    ("written", "path"),
    [
        ("/board/**", "board/a.md"),
        ("./board/*", "board/a.md"),
        ("board/", "board/x/a.md"),
        ("ca\u0301sa/**", "c\u00e1sa/a"),
    ],
)
def test_a_pattern_that_is_written_otherwise_still_shuts(written: str, path: str) -> None:
    assert matches(normal_pattern(written), path)


def test_the_first_pattern_that_matches_wins_and_goes_before_what_was_given() -> None:
    patterns = [PatternReaders("board/minutes/**", (A,)), PatternReaders("board/**", ())]
    assert own_list("board/minutes/a.md", patterns, None) == OwnList((A,), "board/minutes/**")
    assert own_list("board/b.md", patterns, [A, B]) == OwnList((), "board/**")
    assert own_list("c.md", patterns, [B]) == OwnList((B,), None)
    assert own_list("c.md", patterns, []) == OwnList((), None), "an empty list is nobody"
    assert own_list("c.md", patterns, None) is None


def test_a_list_given_on_upload_stays_until_another_one_or_a_star_comes() -> None:
    assert given_list(None, None) is None
    assert given_list([A], None) == (A,)
    assert given_list([A], [B]) == (B,)
    assert given_list([A], []) == ()
    assert given_list([], None) == ()
    assert given_list([A], [AS_COLLECTION]) is None


def test_a_list_on_upload_is_refused_only_where_a_pattern_names_one() -> None:
    patterns = [PatternReaders("board/**", (A,))]
    refuse_given("open/a.md", patterns)
    with pytest.raises(InvalidRequest, match="Leave `readers` out"):
        refuse_given("board/a.md", patterns)


_PATHS = st.lists(st.text("ab", min_size=1, max_size=3), min_size=1, max_size=4).map("/".join)


@given(path=_PATHS)
def test_every_path_matches_itself_and_the_folders_above_it(path: str) -> None:
    assert matches(path, path)
    assert matches("**", path)
    assert matches(f"**/{path}", path)
    for folder in [path[:at] for at, character in enumerate(path) if character == "/"]:
        assert matches(f"{folder}/**", path)
        assert matches(normal_pattern(f"{folder}/"), path)
        assert not matches(f"{folder}x/**", path)


@given(pattern=st.text(max_size=30), path=st.text(max_size=30))
def test_any_text_is_a_pattern(pattern: str, path: str) -> None:
    matches(normal_pattern(pattern), path)


@given(st.lists(st.tuples(st.text(max_size=9), st.lists(st.just(A) | st.just(B), max_size=2)), max_size=4))
def test_patterns_are_stored_as_they_are(patterns: list[tuple[str, list[PrincipalId]]]) -> None:
    rows = [PatternReaders(pattern, tuple(readers)) for pattern, readers in patterns]
    assert read_patterns({"documents": write_patterns(rows)}) == rows
    assert read_patterns({}) == []

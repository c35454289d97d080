"""Patterns of paths mean what regular expressions say, and no pattern takes long."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headworks.retrieval.access.patterns import PathPattern

_PARTS = st.sampled_from(["**/", "**", "*", "?", "a", "b", "/", ".", "\n", "[", "("])
_PATTERNS = st.lists(_PARTS, max_size=9).map("".join)
_PATHS = st.text("ab/.\n[(", max_size=14)
_RULES = {"**/": r"(?:[^/]*/)*", "**": r".*", "*": r"[^/]*", "?": r"[^/]"}


def _expression(pattern: str) -> re.Pattern[str]:
    parts = re.split(r"(\*\*/|\*\*|\*|\?)", pattern)
    return re.compile("".join(_RULES.get(part) or re.escape(part) for part in parts), re.DOTALL)


@given(_PATTERNS, st.lists(_PATHS, max_size=5))
def test_a_pattern_matches_as_its_regular_expression_does(pattern: str, paths: list[str]) -> None:
    compiled = PathPattern(pattern)
    for path in paths:
        assert compiled.matches(path) == bool(_expression(pattern).fullmatch(path)), path


@given(st.lists(st.tuples(_PARTS, st.booleans()), max_size=12))
def test_a_path_that_is_made_from_a_pattern_matches_it(parts: list[tuple[str, bool]]) -> None:
    stands_for = {"**/": ("x/y/", ""), "**": ("x/y", ""), "*": ("xy", ""), "?": ("x", "y")}
    path = "".join(stands_for.get(part, (part, part))[is_short] for part, is_short in parts)
    pattern = "".join(part for part, _ in parts)
    assert PathPattern(pattern).matches(path) == bool(_expression(pattern).fullmatch(path))


@pytest.mark.parametrize("pattern", ["**/a" * 200 + "b", "*a" * 300 + "b", "**a*" * 150 + "b", "**/*/" * 200 + "c"])
def test_no_pattern_takes_forever(pattern: str) -> None:
    """With a regular expression each of these takes longer than the world is old."""
    assert not PathPattern(pattern).matches("a/" * 1_000 + "aaaa" * 500)


def test_what_is_remembered_has_an_end() -> None:
    compiled = PathPattern("**/x*")
    for number in range(20_000):
        assert not compiled.matches(chr(0x4E00 + number))
    assert compiled.matches("a/xy")

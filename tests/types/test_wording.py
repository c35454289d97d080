from __future__ import annotations

import pytest

from headworks.types.wording import counted


@pytest.mark.parametrize(
    ("number", "words", "said"),
    [
        (0, ("file",), "0 files"),
        (1, ("file",), "1 file"),
        (2, ("query", "queries"), "2 queries"),
        (1, ("file waits", "files wait"), "1 file waits"),
        (12_000, ("chunk",), "12,000 chunks"),
    ],
)
def test_one_is_one_and_others_are_several(number: int, words: tuple[str, ...], said: str) -> None:
    assert counted(number, *words) == said

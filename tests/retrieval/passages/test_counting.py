"""Counting tokens: by a vocabulary exactly, each word once, and nothing takes more than linear time."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headworks.retrieval.passages.counting import CountTokens, Vocabularies, WordCounts, estimated_tokens


@pytest.fixture(scope="module")
def word_pieces() -> CountTokens:
    """The built-in model's own count of any text."""
    from headworks.providers.minilm import MiniLM

    found = MiniLM().word_counter()
    return found or pytest.skip("builtin/minilm is not installed")


@pytest.mark.parametrize(
    "text",
    [
        "Twenty visits of physical therapy are paid in each calendar year.",
        "Krankenversicherungsbeiträge und Zuzahlungsbefreiung: 12,50 € je Quartal!",
        "co-payment (§ 12.3), don't; V2.1.4\nand\tthe next line",
        "漢字の文です。次の文。",
        "هذا نص بالعربية",
        "",
    ],
)
def test_the_models_own_count_is_met_exactly(word_pieces: CountTokens, text: str) -> None:
    assert WordCounts(word_pieces)(text) == word_pieces(text)


@given(st.lists(st.text(alphabet="abcdefghijklmnopqrstuvwxyz0123456789.,;()-'é漢", max_size=12), max_size=20))
def test_words_count_for_themselves(word_pieces: CountTokens, words: list[str]) -> None:
    assert WordCounts(word_pieces)(" ".join(words)) == word_pieces(" ".join(words))


def test_each_word_is_looked_up_once() -> None:
    asked: list[str] = []

    def count_word(word: str) -> int:
        asked.append(word)
        return 1

    count = WordCounts(count_word)
    assert count("to be or not to be") == 6
    assert count("not to be") == 3
    assert asked == ["to", "be", "or", "not"]


def test_a_vocabulary_without_a_word_for_it_does_not_make_a_long_run_small() -> None:
    unknown = WordCounts(lambda _: 1)
    assert unknown("x" * 6_400) == 400
    assert unknown("\U0001f600" * 640) == 640


def test_without_a_vocabulary_tokens_are_estimated_until_it_is_installed() -> None:
    installed: list[str] = []
    vocabularies = Vocabularies(lambda model: (lambda _: 1) if model in installed else None)
    assert vocabularies.of("builtin/minilm") is estimated_tokens
    installed.append("builtin/minilm")
    assert vocabularies.of("builtin/minilm")("internationalise") == 1
    assert vocabularies.of("builtin/minilm") is vocabularies.of("builtin/minilm")
    assert Vocabularies().of("builtin/minilm") is estimated_tokens

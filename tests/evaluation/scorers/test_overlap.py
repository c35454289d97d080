"""BLEU and GLEU of one answer; that they are promptfoo's own is shown by its recorded verdicts, in exchange."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headworks.evaluation.scorers.overlap import bleu, gleu

_TEXTS = st.text(st.sampled_from("abA .\u00a0\n"), max_size=30)


@given(_TEXTS, st.lists(_TEXTS, min_size=1, max_size=3))
def test_a_share_lies_from_nothing_to_all(text: str, references: list[str]) -> None:
    for measure in (bleu, gleu):
        assert 0 <= measure(text, references) <= 1 + 1e-12
        assert measure(text, [*references, text]) == pytest.approx(1 if text.split() or measure is gleu else 0)


def test_a_word_said_often_counts_as_often_as_the_reference_has_it() -> None:
    assert gleu("the the the the", ["the cat"]) == pytest.approx(1 / 10)
    assert bleu("a b c d e", ["a b c d f g"]) == pytest.approx(0.5475182535)
    assert bleu("a", ["a b"]) < bleu("a b", ["a b"]) == 1

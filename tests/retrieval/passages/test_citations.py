from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headworks.retrieval.passages.citations import (
    SUPPORT_FLOOR,
    Quotable,
    WordWeights,
    content,
)

PASSAGE = """## Physical therapy

The plan pays for up to twenty visits of physical therapy in a calendar year. Visits beyond that need prior
authorisation by the medical director. Telephone advice does not count as a visit.

Dr. Ada Moreno signs requests within two business days."""
OTHER = "The deductible of 1,500.00 dollars starts again on 1 January. Meals are not covered. Parking costs $4 a day."


def quote_of(claim: str, passage: str, context: str = "") -> tuple[str, float] | None:
    found = Quotable(passage, WordWeights([PASSAGE, OTHER]), context).best(claim)
    return None if found is None else (passage[found.start : found.end], found.support)


# ── Words and numbers ──


def test_words_are_compared_by_stem_and_number_words_as_digits() -> None:
    assert content("According to the documents, twenty visits are provided") == ["20", "visit"]


def test_rare_words_weigh_more_and_unseen_ones_as_much_as_rare() -> None:
    weights = WordWeights(["plan visit", "plan meal", "plan"])
    assert weights.of("visit") > weights.of("plan") >= 1
    assert weights.of("unseen") == weights.of("visit")
    assert WordWeights([]).of("any") == 1


# ── Quotes ──


def test_the_sentence_that_says_it_is_quoted_word_for_word() -> None:
    found = quote_of("The plan covers 20 physical therapy visits per calendar year", PASSAGE)
    assert found is not None
    assert found[0] == "The plan pays for up to twenty visits of physical therapy in a calendar year."
    assert found[1] > SUPPORT_FLOOR


def test_a_paraphrase_with_american_spelling_is_supported() -> None:
    found = quote_of("More visits require prior authorization from the medical director.", PASSAGE)
    assert found is not None
    assert found[0].startswith("Visits beyond that need prior")
    assert found[1] > SUPPORT_FLOOR


def test_a_claim_over_two_sentences_is_quoted_with_both() -> None:
    claim = (
        "Up to twenty visits of physical therapy in a calendar year; beyond that the medical director authorises them"
    )
    found = quote_of(claim, PASSAGE)
    assert found is not None
    assert found[0].startswith("The plan pays")
    assert found[0].endswith("medical director.")


@pytest.mark.parametrize(
    "claim",
    [
        "The moon is made of green cheese",
        "Members receive free swimming lessons at every clinic",
        "The plan pays for up to thirty visits of physical therapy in a calendar year",
        "The plan pays for up to 20 visits of physical therapy in 6 months",
        "Dr. Ada Moreno signs requests within three business days",
    ],
)
def test_a_passage_that_does_not_say_it_is_below_the_floor(claim: str) -> None:
    found = quote_of(claim, PASSAGE)
    assert found is not None
    assert found[1] < SUPPORT_FLOOR


def test_the_right_claim_on_the_wrong_passage_is_below_the_floor() -> None:
    found = quote_of("The plan pays for up to twenty visits of physical therapy in a calendar year.", OTHER)
    assert found is None or found[1] < SUPPORT_FLOOR


def test_an_unknown_name_lowers_the_support() -> None:
    right = quote_of("Requests are signed by Ada Moreno within two business days", PASSAGE)
    wrong = quote_of("Requests are signed by Bob Miller within two business days", PASSAGE)
    assert right is not None
    assert wrong is not None
    assert right[1] > SUPPORT_FLOOR
    assert wrong[1] < 0.75 * right[1]


def test_one_as_a_pronoun_is_no_number() -> None:
    found = quote_of("Telephone advice is one of those that do not count as a visit", PASSAGE)
    assert found is not None
    assert found[1] > SUPPORT_FLOOR


def test_the_title_counts_in_part_for_what_its_sentences_take_as_said() -> None:
    passage = "Open from 8:00 to 17:00 on weekdays."
    bare = quote_of("The Harbour clinic is open from 8 to 17:00 on weekdays", passage)
    known = quote_of("The Harbour clinic is open from 8 to 17:00 on weekdays", passage, "Harbour clinic")
    assert bare is not None
    assert known is not None
    assert known[1] > bare[1]


def test_a_quote_never_crosses_a_heading() -> None:
    passage = "Alpha beta gamma.\n\n# New part\n\nDelta epsilon zeta."
    found = quote_of("alpha beta gamma delta epsilon zeta", passage)
    assert found is not None
    assert "New part" not in found[0]


@pytest.mark.parametrize(
    ("claim", "passage"), [("", PASSAGE), ("and of the", PASSAGE), ("twenty visits", ""), ("x", " ")]
)
def test_where_nothing_is_said_there_is_no_quote(claim: str, passage: str) -> None:
    assert quote_of(claim, passage) is None


@given(st.lists(st.sampled_from(PASSAGE.split()), max_size=12).map(" ".join), st.text(max_size=120))
def test_a_quote_is_a_slice_and_its_support_a_share(claim: str, noise: str) -> None:
    passage = f"{noise}\n\n{PASSAGE}"
    found = Quotable(passage, WordWeights([passage])).best(claim)
    if found is not None:
        assert 0 <= found.start < found.end <= len(passage)
        assert passage[found.start : found.end].strip()
        assert 0 <= found.support <= 1


@given(st.sampled_from([s for s in PASSAGE.replace("## Physical therapy", "").split(". ") if s.strip()]))
def test_what_the_passage_says_word_for_word_has_full_support(sentence: str) -> None:
    found = quote_of(sentence, PASSAGE)
    assert found is not None
    assert found[1] == pytest.approx(1)

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headworks.retrieval.passages.citations import (
    SUPPORT_FLOOR,
    Marker,
    MarkerScanner,
    WordWeights,
    best_quote,
    claim_before,
    content,
    numbers,
)

PASSAGE = """## Physical therapy

The plan pays for up to twenty visits of physical therapy in a calendar year. Visits beyond that need prior
authorisation by the medical director. Telephone advice does not count as a visit.

Dr. Ada Moreno signs requests within two business days."""
OTHER = "The deductible of 1,500.00 dollars starts again on 1 January. Meals are not covered. Parking costs $4 a day."

alphabet = st.sampled_from([*"[]() ,;:`\\\n!^", "1", "2", "12", "0", "[1]", "[2, 3]", "```", "a", "word", "http://x"])
answers = st.lists(alphabet, max_size=40).map("".join)


def scanned(*pieces: str) -> list[str | Marker]:
    """The events of an answer in these pieces, with neighbouring texts joined."""
    scanner = MarkerScanner()
    events = [event for piece in pieces for event in scanner.feed(piece)] + scanner.finish()
    joined: list[str | Marker] = []
    for event in events:
        if isinstance(event, str) and joined and isinstance(joined[-1], str):
            joined[-1] += event
        else:
            joined.append(event)
    return joined


def markers(text: str) -> list[Marker]:
    return [event for event in scanned(text) if isinstance(event, Marker)]


def found_numbers(text: str) -> list[tuple[int, ...]]:
    return [marker.numbers for marker in markers(text)]


def quote_of(claim: str, passage: str, context: str = "") -> tuple[str, float] | None:
    found = best_quote(claim, passage, WordWeights([PASSAGE, OTHER]), context)
    return None if found is None else (passage[found.start : found.end], found.support)


# ── Markers ──


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Twenty visits [1].", [(1,)]),
        ("Twenty visits.[1][2] More [3]", [(1,), (2,), (3,)]),
        ("Both [1, 2] and [ 3 ] and [4;5]", [(1, 2), (3,), (4, 5)]),
        ("Twice the same [2, 2]", [(2,)]),
        ("days[1] and no space", [(1,)]),
        ("[[1]]", [(1,)]),
        ("[999]", [(999,)]),
    ],
)
def test_markers_are_found(text: str, expected: list[tuple[int, ...]]) -> None:
    assert found_numbers(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "[a] and [] and [1a] and [1,] and [,1] and [-1]",
        "array[0] and [0] and [01]",
        "In [2024] and [1000]",
        "a link [1](http://example.org) and ![1](picture.png)",
        "[1]: http://example.org\n  [2]: more",
        "code `x[1]` and ``y[2] ` z[3]``",
        "```python\nx = y[1]\n\nz[2]\n```",
        r"escaped \[1]",
        "an open [1",
        "[1 2] [1.5] [1\n]",
        "[" * 60 + "1" * 60,
    ],
)
def test_other_brackets_are_left_alone(text: str) -> None:
    assert scanned(text) == [text]


def test_a_marker_after_code_and_links_is_found_again() -> None:
    assert found_numbers("`x[1]` [2]\n```\n[3]\n```\n[4] [a](b) [5]") == [(2,), (4,), (5,)]


def test_a_backtick_that_nothing_closes_hides_no_marker_of_the_next_line() -> None:
    assert found_numbers("a ` lone [1]\nnext [2]") == [(2,)]


def test_a_definition_is_told_from_a_marker_by_the_start_of_the_line() -> None:
    assert found_numbers("As said in [1]: twenty.") == [(1,)]


def test_markers_know_their_place_in_the_whole_answer() -> None:
    text = "Äh [1] and 👩 [2, 3]."
    assert [text[each.start : each.end] for each in markers(text)] == ["[1]", "[2, 3]"]
    assert [each.raw for each in markers(text)] == ["[1]", "[2, 3]"]


@given(answers, st.lists(st.integers(0, 200), max_size=6))
def test_however_an_answer_is_split_the_result_is_the_same(text: str, cuts: list[int]) -> None:
    places = sorted({0, len(text), *(cut for cut in cuts if cut < len(text))})
    pieces = [text[one:other] for one, other in itertools.pairwise(places)]
    assert scanned(*pieces) == scanned(text) == scanned(*text)


@given(answers)
def test_nothing_of_an_answer_is_lost_and_offsets_are_right(text: str) -> None:
    events = scanned(text)
    assert "".join(event if isinstance(event, str) else event.raw for event in events) == text
    for event in events:
        if isinstance(event, Marker):
            assert text[event.start : event.end] == event.raw


@given(answers)
def test_no_more_is_held_back_than_what_may_become_a_marker(text: str) -> None:
    scanner = MarkerScanner()
    given_out = 0
    for place, character in enumerate(text, 1):
        for event in scanner.feed(character):
            given_out += len(event if isinstance(event, str) else event.raw)
        held = text[given_out:place]
        assert not held or (held[0] == "[" and len(held) <= 40 and held.strip("[]0123456789,; ") == "")


# ── Claims ──


def claims(text: str) -> list[str]:
    found = markers(text)
    return [claim_before(text, marker, found[:place]) for place, marker in enumerate(found)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("First. Twenty visits are paid [1].", ["Twenty visits are paid"]),
        ("Twenty visits are paid. [1] Then ten [2].", ["Twenty visits are paid.", "Then ten"]),
        ("Twenty visits [1] or thirty days [2].", ["Twenty visits", "or thirty days"]),
        ("Twenty visits [1][2].", ["Twenty visits", "Twenty visits"]),
        ("Twenty visits [1] and [2].", ["Twenty visits", "Twenty visits"]),
        ("Paid:\n\n- **twenty** visits [1]\n- meals [2]", ["**twenty** visits", "meals"]),
        ("1. Twenty visits [1]\n2. Meals [2]", ["Twenty visits", "Meals"]),
        ("“The plan pays.” [1]", ["“The plan pays.”"]),
        ("[1] Twenty visits", [""]),
        ("[NATIONAL_ID_2] pays for visits by [EMAIL_1] [1].", ["pays for visits by"]),
        ("[EMAIL_1] [1]", [""]),
        ("“| **6.2.1** | Verify the length. | 1 |” [1]", ["“| **6.2.1** | Verify the length. | 1 |”"]),
        ("Visits are paid. It is 20. [1]", ["It is 20."]),
        ("Closest passages:\n\n“Visits count.” [2]", ["“Visits count.”"]),
    ],
)
def test_a_claim_is_the_sentence_or_the_part_of_it_since_the_marker_before(text: str, expected: list[str]) -> None:
    assert claims(text) == expected


def test_a_part_without_content_stands_for_the_whole_sentence() -> None:
    assert claims("Twenty visits are paid [1], too [2].")[1] == "Twenty visits are paid  , too"


def test_a_claim_far_into_a_long_answer_is_found_quickly() -> None:
    text = "Filler sentence here. " * 20_000 + "Twenty visits are paid [3]."
    marker = Marker((3,), len(text) - 4, len(text) - 1, "[3]")
    assert claim_before(text, marker) == "Twenty visits are paid"


# ── Words and numbers ──


def test_words_are_compared_by_stem_and_number_words_as_digits() -> None:
    assert content("According to the documents, twenty visits are provided") == ["20", "visit"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("$1,500.00 and 15%", {"1500", "15"}),
        ("twenty visits at 8:00 or 08:30", {"8", "20", "30"}),
        ("§ 2.1.4, 0.50 mg, 3rd", {"2.1.4", "0.5", "3"}),
        ("none here", set()),
    ],
)
def test_numbers_have_one_form(text: str, expected: set[str]) -> None:
    assert numbers(text) == expected


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
    found = best_quote(claim, passage, WordWeights([passage]))
    if found is not None:
        assert 0 <= found.start < found.end <= len(passage)
        assert passage[found.start : found.end].strip()
        assert 0 <= found.support <= 1


@given(st.sampled_from([s for s in PASSAGE.replace("## Physical therapy", "").split(". ") if s.strip()]))
def test_what_the_passage_says_word_for_word_has_full_support(sentence: str) -> None:
    found = quote_of(sentence, PASSAGE)
    assert found is not None
    assert found[1] == pytest.approx(1)

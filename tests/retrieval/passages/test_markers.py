from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headworks.retrieval.passages.citations import content
from headworks.retrieval.passages.markers import Claims, Marker, MarkerScanner

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
        "other digits [١] [1٢] [１] [²]",
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


def claims(*pieces: str) -> list[str]:
    scanner, claimed, found = MarkerScanner(), Claims(content), []
    for piece in pieces:
        claimed.feed(piece)
        found += [claimed.of(event) for event in scanner.feed(piece) if isinstance(event, Marker)]
    return found + [claimed.of(event) for event in scanner.finish() if isinstance(event, Marker)]


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
    filler = ["Filler sentence here. "] * 20_000
    assert claims(*filler, "Twenty visits are paid [3].") == ["Twenty visits are paid"]
    assert claims("".join(filler) + "Twenty visits are paid [3].") == ["Twenty visits are paid"]


@given(answers, st.lists(st.integers(0, 200), max_size=6))
def test_however_an_answer_is_split_its_markers_stand_for_the_same(text: str, cuts: list[int]) -> None:
    places = sorted({0, len(text), *(cut for cut in cuts if cut < len(text))})
    assert claims(*(text[one:other] for one, other in itertools.pairwise(places))) == claims(text)

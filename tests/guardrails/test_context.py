"""What stands around a candidate: labels and boundaries."""

from __future__ import annotations

import pytest

from headworks.guardrails.context import compiled, ends_token, is_called_otherwise, is_labelled, starts_token

NUMBER = b"4539899143301460"


@pytest.mark.parametrize("before", ["", " ", "(", '"', ":", "=", "nr. ", "a, ", "x / ", ">", "\n", "ß", "№"])
def test_a_number_may_begin_after_these(before: str) -> None:
    data = before.encode() + NUMBER

    assert starts_token(data, len(before.encode()))


@pytest.mark.parametrize(
    "before", ["a", "9", "_", "+", "%", "#", "@", "\\", "0.", "1,", "a-", "id/", "$", "€", "£", "¥"]
)
def test_a_number_does_not_begin_inside_of_something_else(before: str) -> None:
    data = before.encode() + NUMBER

    assert not starts_token(data, len(before.encode()))


@pytest.mark.parametrize("after", ["", " ", ".", ",", ")", "; x", ".\n", ", 5", "- ", "-5", "/x", "é"])
def test_a_number_may_end_before_these(after: str) -> None:
    assert ends_token(NUMBER + after.encode(), len(NUMBER))


@pytest.mark.parametrize("after", ["a", "9", "_x", "%", "@x", ".5", ",5", "-a"])
def test_a_number_does_not_end_inside_of_something_else(after: str) -> None:
    assert not ends_token(NUMBER + after.encode(), len(NUMBER))


@pytest.mark.parametrize(
    "text", ["phone 1", "Phone: 1", "PHONE 1", "(phone) 1", "home_phone 1", "phone_number 1", "a phone is 1"]
)
def test_a_label_counts_as_a_word_of_its_own_in_any_case(text: str) -> None:
    assert is_labelled(text.encode(), len(text) - 1, "phone|tel")


@pytest.mark.parametrize("text", ["phones 1", "iphone 1", "telephone 1", "[PHONE_1] 1", "phoneé 1", "1 phone"])
def test_a_part_of_a_word_and_a_placeholder_are_no_labels(text: str) -> None:
    assert not is_labelled(text.encode(), len(text) - 1, "phone|tel")


def test_a_label_has_to_be_near() -> None:
    text = b"phone" + b" " * 30 + b"1"

    assert is_labelled(text, len(text) - 1, "phone")
    assert not is_labelled(text, len(text) - 1, "phone", within=20)


@pytest.mark.parametrize(
    "text", ["order 1", "Order no. 1", "invoice number: 1", "Ticket #1", "id=1", 'ref "1', "claim-id 1"]
)
def test_a_label_right_before_a_number_can_say_that_it_is_something_else(text: str) -> None:
    assert is_called_otherwise(text.encode(), len(text) - 1)


@pytest.mark.parametrize("text", ["order by phone 1", "phone 1", "reorder 1", "order no", "orders were 1"])
def test_a_label_further_away_does_not_say_so(text: str) -> None:
    assert not is_called_otherwise(text.encode(), len(text) - 1)


def test_a_pattern_takes_linear_time_where_backtracking_would_not() -> None:
    assert compiled(rb"(a+)+$").fullmatch(b"a" * 50_000 + b"!") is None

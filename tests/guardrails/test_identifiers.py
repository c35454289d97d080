"""Checksums, shapes and brands, as data."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headworks.guardrails import numbers
from headworks.guardrails.contract import KINDS
from headworks.guardrails.identifiers import (
    ALL_WORDS,
    CARD_SHAPES,
    LONGEST_SHAPE,
    NATIONAL_IDS,
    NATIONAL_IDS_BY_SHAPE,
    card_brand,
    iban_end,
    is_valid,
    shape,
)


def test_every_rule_has_a_checker_words_and_a_form() -> None:
    for identifier in NATIONAL_IDS:
        assert callable(import_module(f"stdnum.{identifier.checker}").is_valid)
        assert identifier.words
        assert identifier.words in ALL_WORDS
        assert identifier.alone or identifier.unnamed or identifier.labelled


def test_rules_have_names_of_their_own() -> None:
    names = [identifier.rule for identifier in NATIONAL_IDS]

    assert len(names) == len(set(names))


def test_a_form_is_written_with_nines_letters_and_separators() -> None:
    for form in {*NATIONAL_IDS_BY_SHAPE, *CARD_SHAPES}:
        assert set(form) <= set("9A -./")
        assert len(form) <= LONGEST_SHAPE


@given(st.text("0123456789ABCXYZabcxyz -./", max_size=30))
def test_a_shape_is_as_long_as_its_number_and_its_own_shape(number: str) -> None:
    form = shape(number.encode())

    assert len(form) == len(number)
    assert shape(form.encode()) == form


@pytest.mark.parametrize(
    ("digits", "brand"),
    [
        ("4539899143301460", "visa"),
        ("5424730024589219", "mastercard"),
        ("2305527589290071", "mastercard"),
        ("371454009171455", "amex"),
        ("6011211785025518", "discover"),
        ("30560911114657", "diners"),
        ("3529716079096696", "jcb"),
        ("6221917031797405423", "unionpay"),
        ("4539899143301461", None),
        ("9539899143301463", None),
        ("7000000000000005", None),
    ],
)
def test_a_card_has_the_brand_of_its_range_if_its_check_digit_is_right(digits: str, brand: str | None) -> None:
    assert card_brand(digits) == brand


def test_validity_is_that_of_the_national_checksum() -> None:
    assert is_valid("pl.pesel", b"44051072339")
    assert not is_valid("pl.pesel", b"44051072338")
    assert not is_valid("pl.pesel", b"")


def test_a_brand_needs_its_own_length() -> None:
    assert card_brand("371454009171455") == "amex"
    assert card_brand("3714540091714553") is None


def test_an_account_is_cut_at_its_countrys_length() -> None:
    assert iban_end(b"DE56 7877 8932 8792 1742 18 and more", 0) == 27
    assert iban_end(b"DE56 7877 8932 8792 1742", 0) is None
    assert iban_end(b"ZZ56 7877 8932 8792 1742 18", 0) is None
    assert iban_end(b"DE56  7877 8932 8792 1742 18", 0) is None


def test_the_shape_of_a_number_keeps_its_separators() -> None:
    assert shape(b"12.531.766-K") == "99.999.999-A"


def test_windows_are_wide_enough_for_the_longest_form() -> None:
    assert len("2 95 10 99 125 118 19") <= LONGEST_SHAPE
    assert len("6221 9170 3179 7405 423") <= LONGEST_SHAPE


def test_the_reference_page_names_every_rule_and_kind() -> None:
    page = (Path(__file__).resolve().parents[2] / "docs/reference/personal-data.md").read_text(encoding="utf-8")
    written = {rule for rule, _, _ in numbers.WRITTEN_RULES} | {"uk_nino"}

    for name in {identifier.rule for identifier in NATIONAL_IDS} | written | KINDS:
        assert f"`{name}`" in page

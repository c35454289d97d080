"""Cards, bank accounts and national identifiers: valid ones are found, those with a wrong check digit are not."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from stdnum import iban, luhn

from headworks.guardrails.contract import CARD, IBAN, NATIONAL_ID, PHONE
from headworks.guardrails.identifiers import (
    NATIONAL_IDS,
    NationalId,
    checker,
    shape,
)
from headworks.guardrails.pii import find

# One valid number of each rule, a label for it, and what of it is varied: the rest holds a date or a region.
SEEDS: dict[str, tuple[str, str]] = {
    "us_ssn": ("536-10-3306", "SSN"),
    "us_itin": ("912-91-3494", "ITIN"),
    "uk_nhs": ("943 426 0272", "NHS number"),
    "de_steuer_id": ("36 574 781 709", "Steuer-ID"),
    "fr_nir": ("2 95 10 99 125 118 19", "NIR"),
    "es_dni": ("54362133T", "DNI"),
    "nl_bsn": ("111212558", "BSN"),
    "pl_pesel": ("44051072339", "PESEL"),
    "se_personnummer": ("880323-1656", "Personnummer"),
    "dk_cpr": ("211002-8389", "CPR-nr."),
    "no_fodselsnummer": ("15108606069", "Fødselsnummer"),
    "br_cpf": ("390.532.404-03", "CPF"),
    "in_aadhaar": ("2341 2308 2378", "Aadhaar"),
    "be_national_number": ("85.07.30-712.28", "INSZ"),
    "ch_ahv": ("756.9217.0619.43", "AHV"),
    "at_svnr": ("1237 410264", "SVNR"),
    "cz_rodne_cislo": ("710311/3842", "rodné číslo"),
    "ie_pps": ("6033337A", "PPS"),
    "pt_nif": ("501424342", "NIF"),
    "gr_amka": ("01013298995", "AMKA"),
    "hr_oib": ("33392085164", "OIB"),
    "ro_cnp": ("1630615102485", "CNP"),
    "bg_egn": ("8032043271", "ЕГН"),
    "ee_isikukood": ("36805230608", "isikukood"),
    "lt_asmens_kodas": ("33309241415", "asmens kodas"),
    "tr_tckn": ("17291013060", "TC kimlik no"),
    "za_id": ("7503305063089", "SA ID"),
    "il_id": ("039337548", "Teudat Zehut"),
    "kr_rrn": ("971013-9011541", "주민등록번호"),
    "cn_ric": ("360426199101014072", "身份证"),
    "ca_sin": ("123-462-772", "SIN"),
    "au_tfn": ("123 152 382", "TFN"),
    "cl_rut": ("12.531.766-9", "RUT"),
    "th_pin": ("1-2345-45252-18-1", "Thai ID"),
    "my_nric": ("770305-02-4694", "NRIC"),
}
RULES = pytest.mark.parametrize("identifier", NATIONAL_IDS, ids=lambda identifier: identifier.rule)
BRANDS = {
    "visa": ("4", 16),
    "mastercard": ("5424", 16),
    "amex": ("3714", 15),
    "discover": ("6011", 16),
    "diners": ("3056", 14),
    "jcb": ("3529", 16),
    "unionpay": ("6221", 19),
    "maestro": ("6759", 16),
}
GROUPS = {14: (4, 6, 4), 15: (4, 6, 5), 16: (4, 4, 4, 4), 19: (4, 4, 4, 4, 3)}


def rules(text: str, kind: str) -> list[tuple[str, str]]:
    return [(finding.rule, text[finding.start : finding.end]) for finding in find(text, frozenset({kind}))]


def variants(identifier: NationalId, count: int) -> list[str]:
    """Other valid numbers, of the same form: four of the last six digits are drawn until the checksum is right."""
    draw = random.Random(identifier.rule)  # noqa: S311 -- the same examples in every run
    seed, _ = SEEDS[identifier.rule]
    places = [place for place, character in enumerate(seed) if character.isdigit()][-6:]
    valid: list[str] = []
    for _ in range(50_000):
        number = list(seed)
        for place in draw.sample(places, 4):
            number[place] = draw.choice("0123456789")
        if checker(identifier.checker)("".join(number)):
            valid.append("".join(number))
        if len(valid) == count:
            break
    return valid


def group(digits: str, by: str) -> str:
    parts, position = [], 0
    for length in GROUPS[len(digits)]:
        parts.append(digits[position : position + length])
        position += length
    return by.join(parts)


@RULES
def test_a_labelled_identifier_is_found(identifier: NationalId) -> None:
    _, label = SEEDS[identifier.rule]

    for number in variants(identifier, 8):
        assert (identifier.rule, number) in rules(f"His {label}: {number}, as given.", NATIONAL_ID)


@RULES
def test_an_identifier_with_a_wrong_check_digit_is_not_found(identifier: NationalId) -> None:
    seed, label = SEEDS[identifier.rule]
    is_valid = checker(identifier.checker)
    place = max(place for place, character in enumerate(seed) if character.isdigit())
    wrong = [seed[:place] + digit + seed[place + 1 :] for digit in "0123456789"]

    for number in (number for number in wrong if not is_valid(number)):
        assert identifier.rule not in {rule for rule, _ in rules(f"{label}: {number}", NATIONAL_ID)}


@RULES
def test_a_form_that_needs_a_label_is_not_found_without_it(identifier: NationalId) -> None:
    forms = {*identifier.alone, *identifier.unnamed}

    for number in variants(identifier, 5):
        found = {rule for rule, _ in rules(f"see {number} there", NATIONAL_ID)}
        assert (identifier.rule in found) == (shape(number.encode()) in forms)


@RULES
def test_an_identifier_is_no_part_of_something_longer(identifier: NationalId) -> None:
    seed, label = SEEDS[identifier.rule]

    for text in (f"{label} x{seed}", f"{label} {seed}x", f"{label} {seed}_1", f"{label} 7{seed}", f"{label} a/{seed}"):
        assert (identifier.rule, seed) not in rules(text, NATIONAL_ID)


def test_a_label_far_away_or_inside_of_a_word_does_not_count() -> None:
    assert rules("BSN " + "word " * 14 + "111212558", NATIONAL_ID) == []
    assert rules("absnt 111212558", NATIONAL_ID) == []
    assert rules("bsn 111212558", NATIONAL_ID) == [("nl_bsn", "111212558")]


@pytest.mark.parametrize(
    ("number", "rule"),
    [
        ("VRDLGU71C14F205G", "it_codice_fiscale"),
        ("bncmra88t52l219x", "it_codice_fiscale"),
        ("GOMC850314HDFRRL07", "mx_curp"),
        ("Y3482911N", "es_nie"),
        ("X-0912345-G", "es_nie"),
        ("253072B07300470", "fr_nir"),
        ("120378-413L", "fi_hetu"),
        ("AB123456C", "uk_nino"),
        ("AB 12 34 56 C", "uk_nino"),
    ],
)
def test_identifiers_with_letters_are_found(number: str, rule: str) -> None:
    assert rules(f"nr {number}.", NATIONAL_ID) == [(rule, number)]


@pytest.mark.parametrize(
    "text",
    [
        "VRDLGU71C14F205H",
        "Y3482911M",
        "120378-413K",
        "GB123456C",
        "QQ123456C",
        "order AB123456C",
        "ACUPA7085R",
        "6433435FT",
    ],
)
def test_identifiers_with_letters_need_their_check_letter_or_label(text: str) -> None:
    assert rules(text, NATIONAL_ID) == []


def test_permanent_account_numbers_of_people_need_a_label() -> None:
    assert rules("PAN: ACUPA7085R", NATIONAL_ID) == [("in_pan", "ACUPA7085R")]
    assert rules("PPS no 6433435FT", NATIONAL_ID) == [("ie_pps", "6433435FT")]


@pytest.mark.parametrize("brand", BRANDS)
@given(data=st.data())
@settings(max_examples=20)
def test_cards_of_every_brand_are_found_in_every_grouping(brand: str, data: st.DataObject) -> None:
    prefix, length = BRANDS[brand]
    missing = length - len(prefix) - 1
    body = prefix + data.draw(st.text("0123456789", min_size=missing, max_size=missing))
    number = body + luhn.calc_check_digit(body)

    for written in (number, group(number, " "), group(number, "-")):
        assert rules(f"card: {written}, thanks", CARD) == [(f"card_{brand}", written)]


@given(st.text("0123456789", min_size=11, max_size=11), st.integers(1, 9))
@settings(max_examples=60)
def test_a_card_with_a_wrong_check_digit_is_not_found(body: str, step: int) -> None:
    right = luhn.calc_check_digit("4539" + body)
    wrong = str((int(right) + step) % 10)

    assert rules(f"card 4539{body}{wrong}", CARD) == []


@pytest.mark.parametrize(
    "text",
    [
        "4539 89914330 1460",  # no bank groups so
        "0.4539899143301460",
        "$4539899143301460",
        "4539899143301460.50",
        "id/4539899143301460",
        "x4539899143301460",
        "4539899143301460a",
        "94539899143301460",
        "4539899143301460%",
        "9539899143301463",  # no brand
        "0000 0000 0000 0000",
    ],
)
def test_what_only_looks_like_a_card_is_none(text: str) -> None:
    assert rules(text, CARD) == []


def test_a_card_between_other_numbers_is_found() -> None:
    text = "12 4539 8991 4330 1460 2027 9"

    assert rules(text, CARD) == [("card_visa", "4539 8991 4330 1460")]


@given(data=st.data(), country=st.sampled_from(["DE", "AT", "CH", "NL", "GB", "MT", "PL", "NO"]))
@settings(max_examples=80)
def test_valid_bank_accounts_are_found_and_wrong_ones_are_not(data: st.DataObject, country: str) -> None:
    number = data.draw(accounts(country))
    spaced = iban.format(number)

    for written in (number, spaced, number.lower(), spaced.replace(" ", "-")):
        assert rules(f"to {written} today", IBAN) == [("iban", written)]
        assert rules(f"to {written}. today", IBAN) == [("iban", written)]
    wrong = number[:2] + f"{(int(number[2:4]) + 1) % 100:02}" + number[4:]
    assert rules(f"to {wrong} today", IBAN) == []
    assert rules(f"to {number}7 today", IBAN) == []


@st.composite
def accounts(draw: st.DrawFn, country: str) -> str:
    forms = {"DE": "9" * 18, "AT": "9" * 16, "CH": "9" * 17, "PL": "9" * 24, "NO": "9" * 11}
    forms |= {"NL": "ABNA" + "9" * 10, "GB": "MIDL" + "9" * 14, "MT": "MALT" + "9" * 23}
    body = "".join(draw(st.sampled_from("0123456789")) if c == "9" else c for c in forms[country])
    number = f"{country}{iban.calc_check_digits(f'{country}00{body}')}{body}"
    if not iban.is_valid(number):  # some countries have a checksum of their own inside
        number = {"NO": "NO5522439332836", "PL": "PL17266166304940326991023740"}.get(country, "DE56787789328792174218")
    return number


def test_a_prefix_of_another_account_does_not_hide_one() -> None:
    assert rules("AB12 CD34 DE56 7877 8932 8792 1742 18", IBAN) == [("iban", "DE56 7877 8932 8792 1742 18")]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("phone 020 7946 0958", "020 7946 0958"),
        ("Phones: 4155550132, 4155550133", "4155550132"),
        ("Tel 030/90182447", "030/90182447"),
        ("call 06 39 98 12 47 now", "06 39 98 12 47"),
        ("212-555-0187", "212-555-0187"),
        ("1-212-555-0187", "1-212-555-0187"),
        ("212.555.0187", "212.555.0187"),
        ("Tel 020 7946 0958 2024 2025", "020 7946 0958"),
    ],
)
def test_national_phone_numbers_are_found(text: str, value: str) -> None:
    assert value in [found for _, found in rules(text, PHONE)]


@pytest.mark.parametrize(
    "text",
    [
        *("4155550132", "order 212-555-0187", "112-555-0187", "211-555-0187", "212-911-0187", "phone 1111111"),
        *(
            "phone 2024-01-15",
            "phone on 15.01.2024",
            "phone version 10.0.19045",
            "mobile plan for up to 1234567 people",
        ),
        *("01 02 03 04 05", "00 39 98 12 47", "phone 123 456", "telephone errors 3.81 4.41 6.35"),
    ],
)
def test_other_numbers_are_no_phone_numbers(text: str) -> None:
    assert rules(text, PHONE) == []

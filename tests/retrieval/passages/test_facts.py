"""Numbers with units, dates and names, however they are written."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from headworks.retrieval.passages.facts import claimed_facts, facts_of, missing, numbers

pieces = st.sampled_from(
    [
        *"1.,:' -/$€%[]()",
        "٣",
        "²",
        "2024",
        "March",
        "am",
        "zwölf",
        "Bob",
        "NASA",
        "days",
        " pm",
        "1,500",
        "3/4/2024",
        "\n",
    ]
)


def lacks(claim: str, source: str) -> tuple[list[str], list[str]]:
    found = missing(claimed_facts(claim), facts_of(source))
    return list(found.numbers), list(found.names)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("$1,500.00 and 15%", {"1500", "15"}),
        ("1.500,00 € und 10 000 Stück", {"1500", "10000"}),
        ("twenty visits at 8:00 or 08:30", {"20", "8", "8:30"}),
        ("§ 2.1.4, 0.5 mg, 3rd", {"2.1.4", "0.5", "3"}),
        ("5 million", {"5000000"}),
        ("1.5 Mio", {"1500000"}),
        ("1.500", {"1.5", "1500"}),
        ("at 5 pm", {"5", "17"}),
        ("٥٠٠", {"500"}),
        ("500", {"500"}),
        ("12 m²", {"12"}),
        ("none here", set()),
    ],
)
def test_numbers_have_one_form(text: str, expected: set[str]) -> None:
    assert numbers(text) == expected


@pytest.mark.parametrize(
    ("claim", "source"),
    [
        ("after 30 days", "within thirty days of arrival"),
        ("nach zwölf Wochen", "Wochen: 12"),
        ("it costs $1,500", "1.500,00 USD are due"),
        ("about 1 million people", "1,000,000 people"),
        ("at 5 pm", "um 17:00 Uhr"),
        ("on 1 March 2024", "2024-03-01"),
        ("March 1, 2024", "am 1. März 2024"),
        ("on 3/4/2024", "3 April 2024"),
        ("from 1 March 2024", "In 2024 it starts on 1 March."),
        ("in March 2024", "on 2 March 2024"),
        ("one of them, on one day", "nothing of the kind"),
        ("it is 7", "7 days"),
        ("signed by Ada Moreno", "Ada Moreno's signature"),
        ("see Prior Authorization", "prior authorization"),
        ("two business days", "2 days"),
    ],
)
def test_the_same_written_in_another_way_is_the_same(claim: str, source: str) -> None:
    assert lacks(claim, source) == ([], [])


@pytest.mark.parametrize(
    ("claim", "source", "expected"),
    [
        ("valid for 30 days.", "valid for 30 months", ["30 days"]),
        ("a fee of $5", "a fee of 5 euros", ["$5"]),
        ("5 million francs", "5 billion francs", ["5 million francs"]),
        ("by 5 April 2024", "by 4 April 2024", ["5 April 2024"]),
        ("on 1 March 2023", "on 1 March 2024", ["1 March 2023"]),
        ("version 2.1.4", "version 2.1.5", ["2.1.4"]),
        ("at 5 pm", "at 5:30", ["5 pm"]),
        ("takes three days", "takes two days", ["three days"]),
        ("50 mg twice", "50 µg", ["50 mg"]),
        ("over 20%", "twenty members", []),
    ],
)
def test_a_wrong_number_unit_or_date_is_named(claim: str, source: str, expected: list[str]) -> None:
    assert lacks(claim, source)[0] == expected


def test_a_name_that_its_source_does_not_have_is_named() -> None:
    assert lacks("Requests are signed by Bob Miller of NASA", "Bob signs. ESA pays.") == ([], ["Miller", "NASA"])
    assert lacks("The plan pays. Members wait.", "") == ([], [])  # capitals that begin sentences


def test_where_all_nouns_have_capitals_only_abbreviations_are_names() -> None:
    source = "Die Kasse bezahlt die Behandlung im Spital, wenn der Arzt die Anmeldung an die Zentrale sendet. " * 3
    assert lacks("Die Kasse bezahlt jede Therapie beim Doktor", source) == ([], [])
    assert lacks("Die Kasse bezahlt nach dem KVG alles", source) == ([], ["KVG"])


@given(st.lists(pieces, max_size=30).map("".join))
@example("1.3/4/2024")
def test_what_a_text_says_is_never_missing_in_itself(text: str) -> None:
    assert not missing(claimed_facts(text), facts_of(text))


@given(st.text(max_size=200), st.text(max_size=200))
def test_any_text_has_facts(claim: str, source: str) -> None:
    missing(claimed_facts(claim), facts_of(source))

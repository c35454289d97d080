"""Presence and support of what an answer says, by words, numbers and names."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headworks.retrieval.passages.citations import Quotable, WordWeights, content, language_of
from headworks.retrieval.passages.groundedness import MOST_CHARACTERS, Sources, measured
from headworks.retrieval.passages.markers import Claims, Marker, MarkerScanner
from headworks.types.ids import DocumentId, new_id
from headworks.types.retrieval import MOST_DOUBTS, Citation, Groundedness, together

LEAVE = "# Leave\n\nParental leave is twelve weeks. It is paid in full. You ask Ada Moreno for it in writing."
SICK = "Call before nine o'clock. After three days a note of the doctor is needed."
GERMAN = (
    "Der Urlaub beträgt fünfundzwanzig Tage im Jahr. Ein Antrag ist vier Wochen vorher an die Personalabteilung zu "
    "richten. Wer krank wird, meldet sich am Morgen beim Vorgesetzten und bringt ein Zeugnis vom Arzt mit. Die Kasse "
    "bezahlt die Behandlung im Spital."
)
BOOKS = (LEAVE, SICK, GERMAN)
words = st.sampled_from(
    ["leave", "12", "weeks", ". ", " [1]", "[2]", "[9]", "\n\n", "| a | b |\n", "# ", "`", "[", "1", "]", "٣", " "]
)


def cite(text: str, *books: str) -> tuple[list[Citation], Sources]:
    """All markers as citations of the best quote: what CitationStream gives when nothing is dropped."""
    weights = WordWeights(books, language_of(books))
    ready = {number: Quotable(book, weights) for number, book in enumerate(books, 1)}
    scanner, claims, found = MarkerScanner(), Claims(content), []
    claims.feed(text)
    for event in (*scanner.feed(text), *scanner.finish()):
        if not isinstance(event, Marker):
            continue
        claim = claims.of(event)
        for number in event.numbers:
            quote = ready[number].best(claim) if number in ready else None
            if quote is not None:
                place = (quote.start, quote.end, books[number - 1][quote.start : quote.end], "", quote.support)
                found.append(Citation(number, DocumentId(new_id()), 1, "", "", (), *place, event.start, event.end))
    return found, Sources(ready, weights)


def measure(text: str, books: Sequence[str] = BOOKS) -> Groundedness:
    return measured(text, *cite(text, *books))


def test_a_cited_answer_is_wholly_grounded() -> None:
    found = measure("Parental leave is twelve weeks [1]. After three days a note of the doctor is needed [2].")
    assert (found.claims, found.cited, found.supported, found.presence) == (2, 2, 2, 1.0)
    assert found.support == pytest.approx(1)
    assert found.weakest == pytest.approx(1)
    assert found.doubts == ()


def test_a_claim_without_a_citation_is_held_against_all_passages() -> None:
    found = measure("Parental leave is twelve weeks. Dogs may come to the office on Fridays.")
    assert (found.claims, found.cited, found.supported, found.presence) == (2, 0, 1, 0.0)
    assert [(each.is_cited, each.support) for each in found.doubts] == [(False, 1.0), (False, 0.0)]


@pytest.mark.parametrize(
    ("answer", "lacking", "numbers", "names"),
    [
        ("Parental leave is sixteen weeks [1].", ("sixteen weeks",), 1, 0),
        ("Parental leave is twelve months [1].", ("twelve months",), 1, 0),
        ("You ask Bob Moreno for it in writing [1].", ("Bob",), 0, 1),
    ],
)
def test_what_the_source_does_not_have_is_named_and_lowers_the_support(
    answer: str, lacking: tuple[str, ...], numbers: int, names: int
) -> None:
    found = measure(answer)
    assert (found.wrong_numbers, found.wrong_names) == (numbers, names)
    assert found.doubts[0].missing == lacking
    assert answer[found.doubts[0].start : found.doubts[0].end] == answer
    assert found.support is not None
    assert found.support < 0.8


def test_negation_is_out_of_reach() -> None:
    """Said in the docs: who needs it takes the judge."""
    assert measure("Parental leave is not twelve weeks [1].").support == pytest.approx(1)


def test_headings_questions_code_and_heads_of_tables_claim_nothing() -> None:
    text = "# All about leave\n\nHere is the list of all:\n\nWhat about dogs?\n\n```\nleave = cats[1]\n```\n\nYes.\n"
    assert measure(text).claims == 0
    table = "| kind of leave | how long |\n|---|---|\n| parental leave | twelve weeks [1] |\n"
    found = measure(table)
    assert (found.claims, found.cited) == (1, 1)


def test_a_marker_by_itself_belongs_to_the_sentence_before_it() -> None:
    found = measure("Parental leave is twelve weeks.\n\n[1]\n\nIt is paid in full.\n[1]")
    assert (found.claims, found.cited) == (2, 2)


def test_an_answer_without_claims_has_no_support() -> None:
    for text in ("", "…", "[1]", "🙂🙂🙂", "of the and", "Yes."):
        found = measure(text)
        assert (found.claims, found.support, found.weakest, found.presence) == (0, None, None, None)


def test_a_bare_number_is_a_claim() -> None:
    assert measure("It is 12.").supported == 1
    assert measure("It is 13.").supported == 0


def test_without_passages_nothing_is_supported() -> None:
    assert measure("Parental leave is twelve weeks [1].", ()).support == 0


def test_german_is_measured_and_its_nouns_are_no_names() -> None:
    right = measure("Der Antrag ist vier Wochen vorher an die Personalabteilung zu richten [3].")
    wrong = measure("Der Antrag ist sechs Wochen vorher an die Personalabteilung zu richten [3].")
    assert right.support is not None
    assert wrong.support is not None
    assert right.support == pytest.approx(1)
    assert (wrong.wrong_numbers, wrong.wrong_names) == (1, 0)
    assert wrong.support <= 0.5


def test_small_words_of_its_language_support_nothing() -> None:
    found = measure("Der Hund ist mit dem Kind in der Kantine und es ist nicht von hier [1].", (GERMAN,))
    assert found.weakest is not None
    assert found.weakest < 0.2


def test_words_are_compared_in_the_language_of_the_passages() -> None:
    assert language_of((GERMAN, GERMAN, SICK)) == "de"
    assert language_of((LEAVE, SICK)) == language_of(()) == "en"
    found = measure("Die Anträge sind an die Personalabteilung zu richten [1].", (GERMAN,))
    assert found.weakest == pytest.approx(1)


def test_scripts_without_spaces_are_measured_by_pairs_of_characters() -> None:
    book = "每位员工的年假是25天。食堂中午开门。医生每周来一次。"
    right = measure("年假是25天[1]。", (book,))
    wrong = measure("年假是30天[1]。", (book,))
    other = measure("宠物可以进入办公室[1]。", (book,))
    assert (right.claims, right.cited, right.support) == (1, 1, 1.0)
    assert (wrong.wrong_numbers, other.supported) == (1, 0)
    assert wrong.support is not None
    assert wrong.support <= 0.5


def test_parts_that_were_measured_apart_are_one_answer() -> None:
    first, second = "Parental leave is twelve weeks [1].", "Dogs may come to the office."
    whole = measure(f"{first} {second}")
    joined = together([(0, measure(first)), (len(first) + 1, measure(second))])
    assert (joined.claims, joined.cited, joined.supported) == (whole.claims, whole.cited, whole.supported)
    assert joined.support == pytest.approx(whole.support, abs=1e-3)
    assert joined.weakest == whole.weakest
    assert joined.doubts == whole.doubts
    assert together([]).support is None


@given(st.lists(words, max_size=40).map("".join))
def test_whatever_an_answer_is_it_can_be_measured(text: str) -> None:
    found = measure(text)
    assert found.cited <= found.claims
    assert found.supported <= found.claims
    assert len(found.doubts) <= MOST_DOUBTS
    for share in (found.support, found.weakest, found.presence):
        assert share is None or 0 <= share <= 1
    for doubt in found.doubts:
        assert 0 <= doubt.start < doubt.end <= len(text)


@pytest.mark.parametrize(
    "piece", ["Leave is twelve weeks. ", "1 ", "x", "[", "12.3.2024 ", "Aa ", "| a | b |\n", "($1,5"]
)
def test_no_long_answer_takes_long(piece: str) -> None:
    """Time that grew with the square of the length would be hours here."""
    text = piece * (MOST_CHARACTERS // len(piece))
    _, sources = cite("", *BOOKS)
    assert measured(text, [], sources).unmeasured == 0


def test_beyond_its_limit_an_answer_is_not_measured_and_says_so() -> None:
    found = measure("Parental leave is twelve weeks. " * (MOST_CHARACTERS // 32 + 100))
    assert found.unmeasured == 100 * 32
    assert found.counts()["unmeasured"] == 3200

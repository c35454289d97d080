"""Citations of scripted answers: right, unknown, unsupported, split over events, and of what may no longer be read."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from itertools import pairwise
from typing import Any

import psycopg
import pytest
import sample_documents
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from retrieval_world import World, make_world

from headworks.retrieval.parsers.contract import ParsedDocument
from headworks.retrieval.parsers.pdf import document as pdf
from headworks.retrieval.quoting import MOST_MARKERS, CitationStream, Piece
from headworks.storage.pool import Database
from headworks.storage.sealing import Keyring
from headworks.types.identity import Principal
from headworks.types.retrieval import Citation, Passage

LEAVE = (
    "# Leave\n\nParental leave is twelve weeks. It is paid in full. You ask for it in writing.\n\n"
    "## Sick leave\n\nCall before nine o'clock. After three days a note of the doctor is needed.\n"
)
PAY = "# Pay\n\nSalaries are paid on the 25th of each month.\n"


class PdfParsers:
    """The parser of PDFs, without the process around it."""

    async def parse(self, name: str, data: bytes, *, ocr: bool = False) -> ParsedDocument:  # noqa: ARG002 -- a Protocol
        return pdf.parse(name, data)


async def _passages(world: World, who: Principal | None = None) -> list[Passage]:
    """[1] is of parental leave, [2] of sick leave, [3] of pay."""
    found = (await world.search(who or world.admin, "handbook", "leave pay", k=10)).passages
    order = {"Leave": 1, "Sick leave": 2, "Pay": 3}
    return sorted((replace(each, number=order[each.section[-1]]) for each in found), key=lambda each: each.number)


async def _fill(world: World) -> None:
    await world.collection("handbook", "everyone")
    await world.add("handbook", "leave.md", LEAVE)
    await world.add("handbook", "pay.md", PAY)


async def _answer(stream: CitationStream, *parts: str) -> tuple[str, list[Citation]]:
    out: list[Piece | Citation] = []
    for part in parts:
        out += await stream.feed(part)
    out += await stream.finish()
    text = "".join(each.text for each in out if isinstance(each, Piece))
    assert all(each.text for each in out if isinstance(each, Piece))
    return text, [each for each in out if isinstance(each, Citation)]


async def test_a_right_marker_is_kept_and_quotes_the_sentence_that_says_it(world: World) -> None:
    await _fill(world)
    stream = world.retrieval.citing(world.admin, await _passages(world))
    text, (citation,) = await _answer(stream, "You get twelve weeks of parental leave [1].")
    assert text == "You get twelve weeks of parental leave [1]."
    assert text[citation.marker_start : citation.marker_end] == "[1]"
    assert citation.quote == "Parental leave is twelve weeks."
    assert LEAVE[citation.start : citation.end] == citation.quote
    assert citation.sha256 == hashlib.sha256(citation.quote.encode()).hexdigest()
    assert (citation.number, citation.path, citation.title, citation.section) == (1, "leave.md", "Leave", ("Leave",))
    assert (stream.kept, stream.dropped, stream.unknown) == (1, 0, 0)


async def test_an_unknown_marker_is_taken_out_with_its_space_and_counted(world: World) -> None:
    await _fill(world)
    stream = world.retrieval.citing(world.admin, await _passages(world))
    text, citations = await _answer(stream, "Parental leave is twelve weeks [7]. Salaries come on the 25th [3].")
    assert text == "Parental leave is twelve weeks. Salaries come on the 25th [3]."
    assert [each.number for each in citations] == [3]
    assert text[citations[0].marker_start : citations[0].marker_end] == "[3]"
    assert (stream.kept, stream.dropped, stream.unknown) == (1, 0, 1)


async def test_a_marker_on_a_passage_that_does_not_say_it_is_taken_out(world: World) -> None:
    await _fill(world)
    stream = world.retrieval.citing(world.admin, await _passages(world))
    text, citations = await _answer(stream, "Dogs may come to the office on Fridays [1].")
    assert (text, citations) == ("Dogs may come to the office on Fridays.", [])
    assert (stream.dropped, stream.unsupported, stream.unknown) == (1, 1, 0)


async def test_a_wrong_number_is_no_support(world: World) -> None:
    await _fill(world)
    stream = world.retrieval.citing(world.admin, await _passages(world))
    text, citations = await _answer(stream, "Parental leave is sixteen weeks [1].")
    assert (text, citations) == ("Parental leave is sixteen weeks.", [])


async def test_an_answer_without_markers_is_left_as_it_is(world: World) -> None:
    await _fill(world)
    stream = world.retrieval.citing(world.admin, await _passages(world))
    text, citations = await _answer(stream, "Twelve weeks. ", " Code `a[1]`, a [link](https://x.y) and spaces  ", "\n ")
    assert text == "Twelve weeks.  Code `a[1]`, a [link](https://x.y) and spaces  \n "
    assert citations == []


async def test_of_a_marker_with_several_numbers_the_good_ones_stay(world: World) -> None:
    await _fill(world)
    stream = world.retrieval.citing(world.admin, await _passages(world))
    text, citations = await _answer(stream, "Parental leave is twelve weeks [1, 3, 9] and paid.")
    assert text == "Parental leave is twelve weeks [1] and paid."
    assert [each.number for each in citations] == [1]
    assert (stream.kept, stream.unsupported, stream.unknown) == (1, 1, 1)


async def test_markers_beside_each_other_stand_for_the_same_claim(world: World) -> None:
    await _fill(world)
    stream = world.retrieval.citing(world.admin, await _passages(world))
    text, citations = await _answer(stream, "Salaries are paid on the 25th [3][1] of each month.")
    assert text == "Salaries are paid on the 25th [3] of each month."
    assert [each.number for each in citations] == [3]
    stream = world.retrieval.citing(world.admin, await _passages(world))
    text, _ = await _answer(stream, "Salaries are paid on the 25th [1] [3] of each month.")
    assert text == "Salaries are paid on the 25th [3] of each month."


async def test_claims_of_two_passages_get_their_own_quotes_and_places(world: World) -> None:
    await _fill(world)
    stream = world.retrieval.citing(world.admin, await _passages(world))
    answer = "Parental leave is twelve weeks [1]. When sick, call before nine o'clock [2]. It is paid in full [1]."
    text, citations = await _answer(stream, answer)
    assert text == answer
    assert [each.quote for each in citations] == [
        "Parental leave is twelve weeks.", "Call before nine o'clock.", "It is paid in full.",
    ]  # fmt: skip
    assert [text[each.marker_start : each.marker_end] for each in citations] == ["[1]", "[2]", "[1]"]


async def test_what_was_forbidden_in_the_meantime_is_not_cited(world: World) -> None:
    bob = await world.person("bob", "clinic")
    await world.collection("handbook", "clinic", "administrators")
    await world.add("handbook", "leave.md", LEAVE)
    await world.add("handbook", "pay.md", PAY)
    stream = world.retrieval.citing(bob, await _passages(world, bob))
    out = await stream.feed("Parental leave is twelve weeks [1]. ")
    assert any(isinstance(each, Citation) for each in out)
    await world.identity.remove_member(world.admin, "clinic", "bob")
    out = await stream.feed("It is paid in full [1]. ") + await stream.finish()
    assert "".join(each.text for each in out if isinstance(each, Piece)).endswith("It is paid in full. ")
    assert not any(isinstance(each, Citation) for each in out)
    assert (stream.kept, stream.unreadable, stream.dropped) == (1, 1, 1)


async def test_a_version_that_was_replaced_in_the_meantime_is_not_cited(world: World) -> None:
    await _fill(world)
    stream = world.retrieval.citing(world.admin, await _passages(world))
    await world.add("handbook", "leave.md", LEAVE.replace("twelve", "sixteen"))
    text, citations = await _answer(stream, "Parental leave is twelve weeks [1].")
    assert (text, citations) == ("Parental leave is twelve weeks.", [])
    assert stream.unreadable == 1


async def test_a_passage_that_does_not_stand_in_the_stored_text_is_not_cited(world: World) -> None:
    await _fill(world)
    first, *rest = await _passages(world)
    forged = [replace(first, text="Parental leave is ninety weeks."), *rest]
    stream = world.retrieval.citing(world.admin, forged)
    text, citations = await _answer(stream, "Parental leave is ninety weeks [1].")
    assert (text, citations) == ("Parental leave is ninety weeks.", [])
    assert stream.unreadable == 1
    moved = [replace(first, start=first.start + 1, end=first.end + 1), *rest]
    stream = world.retrieval.citing(world.admin, moved)
    _, citations = await _answer(stream, "Parental leave is twelve weeks [1].")
    assert citations == []


async def test_without_passages_no_marker_stays(world: World) -> None:
    stream = world.retrieval.citing(world.admin, [])
    text, citations = await _answer(stream, "I can't find it [1].")
    assert (text, citations, stream.unknown) == ("I can't find it.", [], 1)


ANSWER = (
    "Parental leave is twelve weeks [1]. When sick, call before nine o'clock [2], [9]. Dogs come on Fridays [3].\n\n"
    "- It is paid in full [1, 3].\n- `x[1]` and [a link](y)  [7] \n- Salaries are paid on the 25th [ 3 ]"
)


@given(cuts=st.lists(st.integers(0, len(ANSWER)), max_size=25))
@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
async def test_however_an_answer_is_split_it_comes_out_the_same(world: World, cuts: list[int]) -> None:
    if not world.count("collection"):
        await _fill(world)
    passages = await _passages(world)
    at_once = world.retrieval.citing(world.admin, passages)
    whole = await _answer(at_once, ANSWER)
    edges = [0, *sorted(cuts), len(ANSWER)]
    split = [ANSWER[a:b] for a, b in pairwise(edges)]
    streamed = at_once.again()
    assert await _answer(streamed, *split) == whole
    assert streamed.groundedness == at_once.groundedness
    text, citations = whole
    assert [each.number for each in citations] == [1, 2, 1, 3]
    assert "[9]" not in text
    assert "[7]" not in text
    for each in citations:
        assert str(each.number) in text[each.marker_start : each.marker_end]


async def test_a_quote_knows_its_page_and_the_lines_that_it_stands_in(
    database: Database, keyring: Keyring, as_superuser: psycopg.Connection[Any]
) -> None:
    world = await make_world(database, keyring, as_superuser, PdfParsers())
    await world.collection("handbook", "everyone")
    data = sample_documents.pdf(
        [
            [(12, 100, "The office opens at nine."), (12, 115, "It closes at five.")],
            [
                (12, 100, "Parental leave is twelve weeks,"),
                (12, 115, "and it is paid in full."),
                (12, 400, "Ask for it."),
            ],
        ]
    )
    await world.add("handbook", "leave.pdf", data)
    passages = (await world.search(world.admin, "handbook", "parental leave office opens")).passages
    text = " ".join(f"Parental leave is twelve weeks and paid in full [{each.number}]." for each in passages)
    _, (citation, *_) = await _answer(world.retrieval.citing(world.admin, passages), text)
    assert "twelve weeks" in citation.quote
    assert citation.page == 2
    assert {each.page for each in citation.areas} == {2}
    assert len(citation.areas) == 2
    for area, top in zip(citation.areas, (100, 115), strict=True):
        assert area.x0 == pytest.approx(60, abs=3)
        assert area.y0 < top < area.y1 + 3
        assert 10 < area.x1 - area.x0 < 300
    opens = f"The office opens at nine [{passages[0].number}]."
    _, found = await _answer(world.retrieval.citing(world.admin, passages), opens)
    assert [each.page for each in found] == [1]


async def test_documents_without_pages_have_none(world: World) -> None:
    await _fill(world)
    _, (citation,) = await _answer(
        world.retrieval.citing(world.admin, await _passages(world)), "Parental leave is twelve weeks [1]."
    )
    assert (citation.page, citation.areas) == (None, ())


async def test_an_answer_is_measured_when_it_ends(world: World) -> None:
    await _fill(world)
    stream = world.retrieval.citing(world.admin, await _passages(world))
    await _answer(stream, "Parental leave is twelve weeks [1]. It is paid", " in full [7]. Dogs come on Fridays [1].")
    found = stream.groundedness
    assert (found.claims, found.cited, found.supported) == (3, 1, 2)
    again = stream.again()
    text, (citation,) = await _answer(again, "Salaries are paid on the 25th [3].")
    assert (text, citation.quote) == (
        "Salaries are paid on the 25th [3].",
        "Salaries are paid on the 25th of each month.",
    )
    assert (again.kept, again.groundedness.presence, stream.kept) == (1, 1.0, 1)


async def test_ten_thousand_markers_are_looked_at_up_to_a_limit(world: World) -> None:
    await _fill(world)
    passages = await _passages(world)
    stream = world.retrieval.citing(world.admin, passages)
    text, citations = await _answer(stream, "Parental leave is twelve weeks [1]. " * 5_000 + "Dogs [2]. " * 5_000)
    assert len(citations) == stream.kept == MOST_MARKERS
    assert (stream.excess, stream.dropped) == (10_000 - MOST_MARKERS, 10_000 - MOST_MARKERS)
    assert text.count("[1]") == MOST_MARKERS
    assert "[2]" not in text
    assert stream.groundedness.claims > MOST_MARKERS
    stream = world.retrieval.citing(world.admin, passages)
    text, citations = await _answer(stream, "Parental leave is twelve weeks " + "[1]" * 10_000)
    assert len(citations) == MOST_MARKERS


async def test_a_long_answer_in_small_pieces_keeps_its_claims(world: World) -> None:
    await _fill(world)
    stream = world.retrieval.citing(world.admin, await _passages(world))
    filler = "Words without an end and without any point at all, again and again, "
    pieces = [filler[:40], filler[40:]] * 4_000
    text, citations = await _answer(stream, *pieces, "so. ", "Parental leave is twelve", " weeks [", "1].")
    assert len(text) > 250_000
    assert [each.quote for each in citations] == ["Parental leave is twelve weeks."]
    assert stream.groundedness.unmeasured > 0

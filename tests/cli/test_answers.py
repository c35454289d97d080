from __future__ import annotations

from typing import Any

from headworks.cli.answers import Answer, Cited, listed, place_in
from headworks.cli.grounding import doubted, grounding_line


def chunk(text: str = "", *annotations: dict[str, Any]) -> dict[str, Any]:
    return {"choices": [{"index": 0, "delta": {"content": text, "annotations": list(annotations)}}]}


def cited(start: int, end: int, **own: Any) -> dict[str, Any]:
    return {
        "type": "url_citation",
        "url_citation": {"start_index": start, "end_index": end, "title": "T", "url": "http://x/documents/d#char=3,9"},
        "headworks": {"document": "d", "version": 1, "start": 3, "end": 9, "quote": "q", "sha256": "0", **own},
    }


def test_text_and_citations_are_gathered_from_chunks() -> None:
    answer = Answer(trace="t", release="r")
    assert answer.take(chunk("It is so ")) == "It is so "
    assert answer.take(chunk("[2].", cited(9, 12, section=["1 Scope"]))) == "[2]."
    assert answer.take({"choices": [], "usage": {}}) == ""
    assert answer.take({"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}) == ""
    (found,) = answer.citations
    assert (found.number, found.document, found.section, found.quote) == ("2", "d", ("1 Scope",), "q")
    assert answer.as_json() == {
        "answer": "It is so [2].",
        "citations": [{"document": "d", "title": "T", "start": 3, "end": 9, "quote": "q"}],
        "trace": "t",
        "release": "r",
    }


def test_annotations_of_others_are_left_alone() -> None:
    answer = Answer()
    answer.take(chunk("x", {"type": "file_citation"}, {"type": "url_citation", "url_citation": {"url": "x"}}))
    assert answer.citations == []


def test_a_citation_without_a_number_is_counted() -> None:
    answer = Answer()
    answer.take(chunk("x", cited(0, 1), cited(0, 1)))
    assert [each.number for each in answer.citations] == ["1", "2"]


def test_quotes_of_one_passage_stand_under_one_line() -> None:
    one = Cited("1", "d", "Guide", ("3 Rules",), 0, 1, "first", "u")
    two = Cited("1", "d", "Guide", ("3 Rules",), 2, 3, "second", "u")
    three = Cited("2", "e", "Other\x1b[2J", (), 2, 3, "third", "u")
    assert listed([one, two, three]).splitlines() == [
        "  [1] Guide — 3 Rules",
        "      “first”",
        "      “second”",
        "  [2] Other\ufffd[2J",
        "      “third”",
    ]


def test_a_title_that_is_the_outermost_heading_is_said_once() -> None:
    assert place_in("Guide", ["Guide", "2 Rules", "2.1 Times"]) == "Guide — 2 Rules › 2.1 Times"
    assert place_in("Guide", ["Guide"]) == "Guide"
    assert place_in("Guide", ["Other"]) == "Guide — Other"
    assert place_in("", ["Other"]) == "Other"
    assert place_in("Guide", []) == "Guide"


def test_pages_are_told_and_so_is_how_well_the_answer_is_grounded() -> None:
    answer = Answer(trace="t")
    answer.take(chunk("It is 500 [1]. Dogs come.", cited(10, 13, page=4)))
    found = {"claims": 2, "cited": 1, "supported": 1, "support": 0.5, "weakest": 0.0}
    doubts = [{"start": 15, "end": 25, "cited": False, "support": 0.0, "missing": ["Dogs"]}]
    answer.take({"choices": [], "headworks": {"grounding": found | {"doubts": doubts}}})
    answer.take({"choices": [], "usage": {}})
    assert listed(answer.citations).splitlines()[0] == "  [1] T, page 4"
    assert answer.as_json()["citations"][0]["page"] == 4
    assert answer.as_json()["grounding"] == found | {"doubts": doubts}
    assert grounding_line(answer.grounding) == "1 of 2 claims cited · 1 supported · support 0.50, weakest 0.00"
    assert doubted(answer.text, answer.grounding).splitlines() == [
        "  “Dogs come.”",
        "      not cited and not supported by what was read; not in its source: Dogs",
    ]


def test_what_its_sources_do_not_have_is_counted() -> None:
    found = {"claims": 1, "cited": 1, "supported": 0, "support": 0.4, "weakest": 0.4, "wrong_numbers": 1}
    assert grounding_line(found).endswith("not in their sources: 1 number, 0 names")
    doubt = {"start": 0, "end": 3, "cited": True, "support": 0.4}
    assert doubted("abc", {"doubts": [doubt]}).endswith("cited, not supported by its source")
    assert grounding_line({}) == grounding_line({"claims": 0}) == ""

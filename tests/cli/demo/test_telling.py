from __future__ import annotations

import itertools

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from headworks.cli.answers import Answer, Cited
from headworks.cli.demo.telling import Flow, Teller
from headworks.cli.terminal import width

WORDS = st.text(alphabet="abc “”[1]\n", max_size=300)


def shown(pieces: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    capsys.readouterr()
    flow = Flow("    ")
    for piece in pieces:
        flow.write(piece)
    flow.end()
    return capsys.readouterr().out


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(text=WORDS, cuts=st.lists(st.integers(0, 300), max_size=8))
def test_how_an_answer_is_cut_into_pieces_changes_nothing(
    capsys: pytest.CaptureFixture[str], text: str, cuts: list[int]
) -> None:
    places = sorted({0, len(text), *(min(cut, len(text)) for cut in cuts)})
    pieces = [text[start:end] for start, end in itertools.pairwise(places)]
    whole = shown([text], capsys)
    assert shown(pieces, capsys) == whole
    assert whole.split() == text.split()
    assert all(len(line) <= width() for line in whole.splitlines() if len(line.split()) > 1)
    assert all(line.startswith("    ") for line in whole.splitlines() if line)


def test_a_line_end_is_a_blank_two_are_a_paragraph_and_items_stay_items(capsys: pytest.CaptureFixture[str]) -> None:
    text = "one\ntwo\n\nthree\n- item\n- item\n"
    assert shown([text], capsys) == "    one two\n\n    three\n    - item\n    - item\n"


def test_scripts_are_told_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    teller = Teller(is_quiet=True)
    teller.title("x")
    teller.step("x")
    teller.say("x")
    teller.lines(["x"])
    teller.question("x", "y")
    teller.piece("x")
    teller.citations(Answer())
    assert capsys.readouterr().out == ""


def test_people_are_told_in_steps(capsys: pytest.CaptureFixture[str]) -> None:
    teller = Teller(is_quiet=False)
    teller.title("Demo")
    teller.step("First")
    teller.say("A sentence.\x1b[2J")
    teller.lines(["code"], "dim")
    teller.step("Second")
    teller.question("Why?", "a heading of a.md")
    teller.piece("Because ")
    teller.piece("[1].")
    teller.citations(Answer(citations=[Cited("1", "d", "Guide", ("2 Rules",), 0, 3, "it is so", "u")]))
    assert capsys.readouterr().out.splitlines() == [
        "Demo",
        "",
        "1  First",
        "    A sentence.\ufffd[2J",
        "    code",
        "",
        "2  Second",
        "",
        "    ▸ Why?",
        "      (a heading of a.md)",
        "      Because [1].",
        "",
        "      [1] Guide — 2 Rules",
        "          “it is so”",
    ]


def test_an_answer_without_a_citation_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    teller = Teller(is_quiet=False)
    teller.piece("No.")
    teller.citations(Answer())
    assert "(no citation)" in capsys.readouterr().out

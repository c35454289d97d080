from __future__ import annotations

import io
import json
import sys
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headworks.cli import terminal


@given(st.text())
def test_nothing_visible_can_move_the_cursor(text: str) -> None:
    shown = terminal.visible(text)
    controls = {character for character in shown if unicodedata.category(character) == "Cc"}
    assert controls <= {"\n", "\t"}
    assert not any(character in shown for character in "\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


@given(st.text(alphabet=st.characters(exclude_categories=["Cc", "Cf", "Cs"])))
def test_ordinary_text_stays_as_it_is(text: str) -> None:
    assert terminal.visible(text) == text


def test_an_escape_sequence_is_shown_as_what_it_is_not() -> None:
    assert terminal.visible("a\x1b[2Jb\x9b1mc\u202ed") == "a\ufffd[2Jb\ufffd1mc\ufffdd"


@given(st.text(), st.integers(1, 200))
def test_one_line_is_one_line_of_at_most_that_width(text: str, width: int) -> None:
    line = terminal.one_line(text, width)
    assert len(line) <= width
    assert len(line.splitlines()) <= 1


@given(st.lists(st.lists(st.one_of(st.none(), st.booleans(), st.integers(), st.text()), min_size=3, max_size=3)))
def test_columns_of_a_table_begin_at_the_same_place(rows: list[list[object]]) -> None:
    lines = terminal.table(("one", "two", "three"), rows).splitlines()
    assert len(lines) == len(rows) + 1
    start = lines[0].index("three")
    assert all(len(line) <= start or line[start - 2 : start].strip() == "" for line in lines)


def test_cells_read_like_words() -> None:
    lines = terminal.table(("a", "b", "c", "d"), [(None, True, ["x", "y"], [])]).splitlines()
    assert lines[1].split() == ["–", "yes", "x,", "y", "–"]


def test_what_is_piped_is_whole_and_what_is_drawn_is_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    names = [f"answer:{'0' * 100}:{number}" for number in range(2)]
    assert terminal.table(("subject",), [[name] for name in names]).splitlines()[1:] == names

    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr(sys, "stdout", Terminal())
    assert all(len(line) == 80 for line in terminal.table(("subject",), [[name] for name in names]).splitlines()[1:])


@given(st.text(alphabet="ab \n", max_size=400))
def test_wrapped_text_fits_and_loses_no_word(text: str) -> None:
    lines = terminal.wrapped(text, "    ").splitlines()
    assert all(len(line) <= terminal.width() for line in lines)
    words = text.split()
    if all(len(word) < terminal.width() - 4 for word in words):
        assert [word for line in lines for word in line.split()] == words


def test_json_is_one_line_of_utf_8_whatever_the_terminal_speaks(monkeypatch: pytest.MonkeyPatch) -> None:
    raw = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(raw, encoding="ascii", errors="replace"))
    terminal.print_json({"naïve": "“quoted”\nline"})
    assert raw.getvalue().count(b"\n") == 1
    assert json.loads(raw.getvalue().decode()) == {"naïve": "“quoted”\nline"}


def test_colours_are_for_terminals_only(monkeypatch: pytest.MonkeyPatch) -> None:
    assert terminal.paint("x", "red") == "x"

    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setattr(sys, "stdout", Terminal())
    assert terminal.paint("x", "red") == "\x1b[31mx\x1b[0m"
    monkeypatch.setenv("NO_COLOR", "1")
    assert terminal.paint("x", "red") == "x"


def test_progress_is_drawn_on_a_terminal_and_leaves_nothing_elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    plain = io.StringIO()
    monkeypatch.setattr(sys, "stderr", plain)
    with terminal.progress() as bars:
        bars.start("sending").update(1, 2, "a.md")
    assert plain.getvalue() == ""

    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    drawn = Terminal()
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr(sys, "stderr", drawn)
    with terminal.progress() as bars:
        bar = bars.start("sending")
        bar.update(1, 2, "a.md")
        bar.update(2, 2, "b.md")
    assert "sending" in drawn.getvalue()
    assert "2/2" in drawn.getvalue()


def test_a_result_is_itself_for_scripts_and_words_for_people(capfd: pytest.CaptureFixture[str]) -> None:
    terminal.tell({"a": 1}, lambda: "one a", as_json=False)
    terminal.tell({"a": 1}, lambda: "one a", as_json=True)
    assert capfd.readouterr().out == 'one a\n{"a": 1}\n'


def test_rows_are_a_table_and_no_rows_are_said_to_be_none(capfd: pytest.CaptureFixture[str]) -> None:
    columns: terminal.Columns = {"name": "name", "made": lambda row: terminal.moment(row["at"])}
    rows = [{"name": "x", "at": "2026-01-02T03:04:05.678Z", "more": 1}, {"name": "y", "at": None, "more": 2}]
    terminal.tell_rows(rows, columns, as_json=False, none="Nobody is here.")
    lines = capfd.readouterr().out.splitlines()
    assert [line.split() for line in lines] == [["name", "made"], ["x", "2026-01-02", "03:04:05"], ["y", "–"]]
    terminal.tell_rows([], columns, as_json=False, none="Nobody is here.")
    terminal.tell_rows([], columns, as_json=True, none="Nobody is here.")
    assert capfd.readouterr().out == "Nobody is here.\n[]\n"


def test_a_digest_is_twelve_digits_for_people() -> None:
    assert terminal.short("sha256:" + "ab" * 32) == terminal.short("ab" * 32) == "abababababab"
    assert terminal.short(None) == "nothing"

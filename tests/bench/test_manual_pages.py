"""The known-item collection of manual pages: what a page is asked by, and what of it is left to be found."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

_CODE = Path(__file__).parents[2] / "bench" / "retrieval" / "manual_pages.py"

_LS = """\
LS(1)                Dienstprogramme für Benutzer                LS(1)



BEZEICHNUNG
       ls, dir - Verzeichnisinhalte wie dir(1) auflisten

       vdir - dasselbe in langer Form

ÜBERSICHT
       ls [OPTION]… [DATEI]…

BESCHREIBUNG
   Einzelheiten
       Auflistung von Informationen über die DATEIen.

       -a, --all
              Einträge nicht ignorieren, die mit ».« beginnen

       # ls -l

ÜBERSETZUNG
       Die deutsche Übersetzung dieser Handbuchseite wurde erstellt von …

GNU coreutils 9.1           September 2022                       LS(1)
"""


@pytest.fixture(scope="module")
def pages() -> ModuleType:
    """The module of the bench, which is no package."""
    spec = importlib.util.spec_from_file_location("manual_pages", _CODE)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def page(pages: ModuleType, name: str, purpose: str, text: str = "x" * 1000) -> Any:
    return pages.Page(name, purpose, text)


def test_a_page_is_asked_by_what_it_is_for_without_its_names(pages: ModuleType) -> None:
    found = pages.parsed("ls.1", _LS)
    assert found.purpose == "Verzeichnisinhalte wie auflisten"
    assert found.title == "ls(1)"


def test_the_section_that_says_so_and_the_translators_are_no_part_of_the_document(pages: ModuleType) -> None:
    text = pages.parsed("ls.1", _LS).text
    assert "Verzeichnisinhalte" not in text
    assert "dasselbe" not in text
    assert "Übersetzung" not in text
    assert "LS(1)" not in text


def test_headings_are_headings_and_nothing_else_is(pages: ModuleType) -> None:
    lines = pages.parsed("ls.1", _LS).text.splitlines()
    assert [line for line in lines if line.startswith("#")] == ["## ÜBERSICHT", "## BESCHREIBUNG", "### Einzelheiten"]
    assert r"\# ls -l" in lines
    assert "Einträge nicht ignorieren, die mit ».« beginnen" in lines


@pytest.mark.parametrize(
    "rendered",
    [
        "",
        "X(1)\n\nNAME\n       x without a dash\n\nDESCRIPTION\n       Text.\n\nfoot\n",
        "X(1)\n\n  no sections\n\nfoot\n",
    ],
)
def test_a_page_that_does_not_say_what_it_is_for_is_none(pages: ModuleType, rendered: str) -> None:
    assert pages.parsed("x.1", rendered) is None


def test_a_name_goes_only_where_it_stands_as_a_word(pages: ModuleType) -> None:
    assert pages.without_names("at und batch: später starten mit at(1), anatomisch", {"at", "batch"}) == (
        "und : später starten mit , anatomisch"
    )


def test_a_line_that_two_pages_have_or_that_is_one_word_asks_for_none(pages: ModuleType) -> None:
    every = [
        page(pages, "a.1", "Dateien packen"), page(pages, "b.1", "dateien packen"), page(pages, "c.1", "Werkzeug"),
        page(pages, "d.1", "Dateien umbenennen"),
    ]  # fmt: skip
    assert pages.queries_of(every) == {"d.1": "Dateien umbenennen"}


def test_the_same_pages_are_chosen_whatever_their_order_and_none_tiny_or_huge(pages: ModuleType) -> None:
    every = [page(pages, f"p{number}.1", "x y") for number in range(50)]
    every += [page(pages, "tiny.1", "x y", "x"), page(pages, "huge.1", "x y", "x" * 100_000)]
    first, second = pages.chosen(every, 10), pages.chosen(every[::-1], 10)
    assert [each.name for each in first] == [each.name for each in second]
    assert len(first) == 10
    assert not {"tiny.1", "huge.1"} & {each.name for each in pages.chosen(every, 1000)}

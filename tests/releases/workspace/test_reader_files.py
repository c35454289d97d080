"""`readers`, `deny` and `documents` of a collection's file: what they say, and what is said of what is wrong."""

from __future__ import annotations

import pytest

from headworks.errors import WorkspaceInvalid
from headworks.releases.workspace.reader_files import ReadersSpec, read_readers
from headworks.strict_yaml import read_yaml


def _read(text: str) -> ReadersSpec:
    top = read_yaml("collections/handbook.yaml", text)
    found = read_readers(top)
    top.finish()
    return found


def test_an_entry_has_readers_deny_or_both() -> None:
    found = _read(
        """
        readers: [clinic, everyone]
        deny: [contractors]
        documents:
          - {match: board/**, readers: [board], deny: [temps]}
          - {match: a.md, readers: []}
          - {match: "**/salaries.*", deny: [temps]}
        """
    )
    assert (found.readers, found.denied) == (("clinic", "everyone"), ("contractors",))
    assert found.documents == (("board/**", ("board",)), ("a.md", ()))
    assert found.denials == (("board/**", ("temps",)), ("**/salaries.*", ("temps",)))


def test_nothing_is_said_by_an_empty_file_of_readers() -> None:
    assert _read("readers: []") == ReadersSpec((), (), (), ())


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("documents: [{match: a.md}]", "1: `documents.readers` is missing"),
        ("documents: [{match: a.md, readers: }]", "`documents.readers` is missing"),
        ("documents: [{match: a.md, readers: , deny: [x]}]", "`documents.readers` is missing"),
        ("documents: [{match: a.md, deny: }]", "`documents.deny` is missing"),
        ("documents: [{readers: [x]}]", "`documents.match` is missing"),
        ("documents: [a.md]", "each entry needs `match`, and `readers`, `deny` or `sections`"),
        ("deny: contractors", "`deny` must be a list of names"),
        ("documents: [{match: a.md, readers: [x], denied: [y]}]", "denied"),
    ],
)
def test_what_is_wrong_is_said_with_its_line(text: str, said: str) -> None:
    with pytest.raises(WorkspaceInvalid) as caught:
        _read(text)
    assert "collections/handbook.yaml:1" in str(caught.value)
    assert said in str(caught.value)

"""The `parsing` block of a collection's file."""

from __future__ import annotations

import pytest

from headworks.errors import WorkspaceInvalid
from headworks.releases.workspace.parsing_files import read_parsing
from headworks.strict_yaml import read_yaml
from headworks.types.workspace import ParsingSpec


def read(text: str) -> ParsingSpec:
    return read_parsing(read_yaml("collections/a.yaml", text))


def test_pictures_are_left_alone_unless_asked_for() -> None:
    assert read("readers: [everyone]") == ParsingSpec(ocr=False)
    assert read("parsing: {}") == ParsingSpec(ocr=False)
    assert read("parsing:\n  ocr: true\n") == ParsingSpec(ocr=True)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("parsing:\n  orc: true\n", "collections/a.yaml:2: .*orc.*Did you mean `ocr`"),
        ("parsing:\n  ocr: perhaps\n", "collections/a.yaml:2: `parsing.ocr` must be true or false"),
        ("parsing: yes please\n", "collections/a.yaml:1: "),
    ],
)
def test_what_is_not_understood_is_refused_with_its_line(text: str, said: str) -> None:
    with pytest.raises(WorkspaceInvalid, match=f"(?s){said}"):
        read(text)

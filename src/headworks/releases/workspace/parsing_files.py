"""The `parsing` of a collection's file: how files become text."""

from __future__ import annotations

from headworks.strict_yaml import Section
from headworks.types.workspace import ParsingSpec


def read_parsing(top: Section) -> ParsingSpec:
    """`parsing: {ocr: true}` of a collection. Raises WorkspaceInvalid with file and line."""
    entry = top.section("parsing")
    if entry is None:
        return ParsingSpec()
    spec = ParsingSpec(ocr=entry.flag("ocr", default=False))
    entry.finish()
    return spec

"""`readers`, `deny` and `documents` of a collection's file: who may read it, and who may not."""

from __future__ import annotations

from dataclasses import dataclass

from headworks.strict_yaml import Section
from headworks.types.workspace import SectionSpec


@dataclass(frozen=True, slots=True)
class ReadersSpec:
    """Names by list. `documents` are (path pattern, readers), the first match wins; of `denials` every match holds.

    Of `sections` the first that matches a heading.
    """

    readers: tuple[str, ...]
    denied: tuple[str, ...]
    documents: tuple[tuple[str, tuple[str, ...]], ...]
    denials: tuple[tuple[str, tuple[str, ...]], ...]
    sections: tuple[SectionSpec, ...] = ()


def read_readers(top: Section) -> ReadersSpec:
    """All of them; an entry of `documents` has `readers`, `deny` or `sections`. Raises WorkspaceInvalid with a line."""
    documents: list[tuple[str, tuple[str, ...]]] = []
    denials: list[tuple[str, tuple[str, ...]]] = []
    sections: list[SectionSpec] = []
    for item in top.items("documents"):
        if isinstance(item, str):
            top.complain("documents", "each entry needs `match`, and `readers`, `deny` or `sections`.")
        pattern = item.text("match")
        if item.has("readers") or not (item.has("deny") or item.has("sections")):
            documents.append((pattern, item.names("readers", None)))
        if item.has("deny"):
            denials.append((pattern, item.names("deny", None)))
        sections += _sections(item, pattern)
        item.finish()
    return ReadersSpec(top.names("readers"), top.names("deny"), tuple(documents), tuple(denials), tuple(sections))


def _sections(item: Section, pattern: str) -> list[SectionSpec]:
    found: list[SectionSpec] = []
    for each in item.items("sections"):
        if isinstance(each, str):
            item.complain("sections", "each entry needs `heading` and `readers`.")
        heading = each.text("heading")
        if not heading.strip():
            each.complain("heading", "`*` stands for any heading.")
        found.append(SectionSpec(pattern, heading, each.names("readers", None), each.names("deny")))
        each.finish()
    return found

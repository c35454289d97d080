"""`readers`, `deny` and `documents` of a collection's file: who may read it, and who may not."""

from __future__ import annotations

from dataclasses import dataclass

from headworks.strict_yaml import Section


@dataclass(frozen=True, slots=True)
class ReadersSpec:
    """Names by list. `documents` are (path pattern, readers), the first match wins; of `denials` every match holds."""

    readers: tuple[str, ...]
    denied: tuple[str, ...]
    documents: tuple[tuple[str, tuple[str, ...]], ...]
    denials: tuple[tuple[str, tuple[str, ...]], ...]


def read_readers(top: Section) -> ReadersSpec:
    """All of them; an entry of `documents` has `readers`, `deny` or both. Raises WorkspaceInvalid with its line."""
    documents: list[tuple[str, tuple[str, ...]]] = []
    denials: list[tuple[str, tuple[str, ...]]] = []
    for item in top.items("documents"):
        if isinstance(item, str):
            top.complain("documents", "each entry needs `match`, and `readers` or `deny`.")
        pattern = item.text("match")
        if item.has("readers") or not item.has("deny"):
            documents.append((pattern, item.names("readers", None)))
        if item.has("deny"):
            denials.append((pattern, item.names("deny", None)))
        item.finish()
    return ReadersSpec(top.names("readers"), top.names("deny"), tuple(documents), tuple(denials))

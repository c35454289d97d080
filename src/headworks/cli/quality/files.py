"""Golden files of a workspace: where they lie, what is in them, and how they are written."""

from __future__ import annotations

import difflib
from collections.abc import Collection
from pathlib import Path

from headworks.cli.quality.telling import write_lines
from headworks.errors import Conflict, NotFound
from headworks.retrieval.quality.golden import GoldenQuery, read_golden
from headworks.retrieval.quality.trec import Imported, golden_from, read_qrels, read_queries


def golden_file(workspace: Path, collection: str) -> Path:
    """Where the golden queries of a collection lie; NotFound for a name that is none."""
    if not collection or "/" in collection or "\0" in collection:
        raise NotFound(f"There is no collection {collection!r}.")
    return workspace / "collections" / f"{collection}.golden.jsonl"


def queries_of(file: Path, tags: Collection[str]) -> list[GoldenQuery]:
    """The golden queries of a file with any of these tags; all without tags. NotFound where there are none."""
    queries = read_golden(str(file), _content(file, 'A line is {"query": "…", "relevant": ["path/of/document.md"]}.'))
    known = sorted({tag for each in queries for tag in each.tags})
    for tag in tags:
        if tag not in known:
            near = difflib.get_close_matches(tag, known, n=3)
            raise NotFound(
                f"No query of {file} has the tag `{tag}`.",
                next_step=f"Tags there: {', '.join(near or known) or 'none'}.",
            )
    return [each for each in queries if not tags or set(tags) & set(each.tags)]


def import_into(file: Path, qrels: Path, queries: Path, naming: str, *, may_replace: bool) -> Imported:
    """Write golden queries made of judgements. Conflict where a file is there; WorkspaceInvalid for wrong lines."""
    if file.exists() and not may_replace:
        raise Conflict(f"{file} is there.", next_step="Replace it with --force.")
    if not file.parent.is_dir():
        raise NotFound(f"{file.parent}: there is no such folder.", next_step="Name the workspace with --workspace.")
    grades = read_qrels(str(qrels), _content(qrels, "TREC calls it qrels."))
    texts = read_queries(str(queries), _content(queries, "Lines of `id<tab>text`."))
    imported = golden_from(texts, grades, naming)
    if not imported.queries:
        raise NotFound(
            f"No query of {queries} has a relevant document in {qrels}.", next_step="Are both of the same collection?"
        )
    write_lines(file, (each.as_json() for each in imported.queries), mode=0o644)
    return imported


def _content(file: Path, next_step: str) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise NotFound(f"{file} can't be read: {error.strerror}.", next_step=next_step) from None

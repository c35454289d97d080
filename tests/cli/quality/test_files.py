from __future__ import annotations

import json
from pathlib import Path

import pytest

from headworks.cli.quality.files import golden_file, import_into, queries_of
from headworks.cli.quality.telling import write_lines
from headworks.errors import Conflict, InvalidRequest, NotFound, WorkspaceInvalid


@pytest.fixture
def judged(tmp_path: Path) -> tuple[Path, Path]:
    (tmp_path / "qrels").write_text("1 0 a 1\n")
    (tmp_path / "queries").write_text("1\tparental leave\n")
    return tmp_path / "qrels", tmp_path / "queries"


def test_a_golden_file_lies_beside_its_collection(tmp_path: Path) -> None:
    assert golden_file(tmp_path, "docs") == tmp_path / "collections" / "docs.golden.jsonl"
    for name in ("", "../secret", "a\0"):
        with pytest.raises(NotFound):
            golden_file(tmp_path, name)


def test_queries_of_any_of_the_tags_are_taken(tmp_path: Path) -> None:
    file = tmp_path / "g.jsonl"
    rows = [{"query": each, "relevant": ["a"], "tags": [each, "all"]} for each in "xyz"]
    file.write_text("\n".join(map(json.dumps, rows)))
    assert [each.query for each in queries_of(file, ["x", "z"])] == ["x", "z"]
    assert len(queries_of(file, ["all"])) == len(queries_of(file, [])) == 3
    with pytest.raises(NotFound, match="has the tag `al`. Tags there: all"):
        queries_of(file, ["al"])


def test_an_import_replaces_nothing_unasked(tmp_path: Path, judged: tuple[Path, Path]) -> None:
    (tmp_path / "collections").mkdir()
    file = golden_file(tmp_path, "docs")
    assert len(import_into(file, *judged, "{id}.md", may_replace=False).queries) == 1
    before = file.read_text()
    with pytest.raises(Conflict, match="--force"):
        import_into(file, *judged, "{id}.txt", may_replace=False)
    assert file.read_text() == before
    import_into(file, *judged, "{id}.txt", may_replace=True)
    assert [target.document for each in queries_of(file, []) for target in each.targets] == ["a.txt"]
    assert file.stat().st_mode & 0o777 == 0o644


def test_what_can_not_be_imported_is_said(tmp_path: Path, judged: tuple[Path, Path]) -> None:
    qrels, queries = judged
    with pytest.raises(NotFound, match=r"collections: there is no such folder. Name the workspace with --workspace"):
        import_into(golden_file(tmp_path, "docs"), qrels, queries, "{id}", may_replace=False)
    (tmp_path / "collections").mkdir()
    queries.write_text("2\tpay\n")
    with pytest.raises(NotFound, match="has a relevant document"):
        import_into(golden_file(tmp_path, "docs"), qrels, queries, "{id}", may_replace=False)
    queries.write_text("2 pay\n")
    with pytest.raises(WorkspaceInvalid, match="queries:1: no id and text with a tab"):
        import_into(golden_file(tmp_path, "docs"), qrels, queries, "{id}", may_replace=False)
    assert not golden_file(tmp_path, "docs").exists()


def test_a_file_is_written_whole_or_not_at_all(tmp_path: Path) -> None:
    file = tmp_path / "out.jsonl"
    assert write_lines(file, iter([{"a": "é"}, {"b": 1}])) == 2
    assert file.read_text() == '{"a": "é"}\n{"b": 1}\n'
    with pytest.raises(ZeroDivisionError):
        write_lines(file, ({"a": 1 // each} for each in (1, 0)))
    assert file.read_text() == '{"a": "é"}\n{"b": 1}\n'
    assert list(tmp_path.iterdir()) == [file]
    with pytest.raises(InvalidRequest, match="can't be written"):
        write_lines(tmp_path / "no" / "out.jsonl", iter([]))

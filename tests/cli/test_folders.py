from __future__ import annotations

import unicodedata
from pathlib import Path

import pytest

from headworks.cli.folders import as_text, documents_in, readable_paths, text_of, workspace_text
from headworks.errors import InvalidRequest, WorkspaceInvalid


def test_a_workspace_is_text_by_path(tmp_path: Path) -> None:
    (tmp_path / "features" / "a").mkdir(parents=True)
    (tmp_path / "routes.yaml").write_text("routes: {}\n")
    (tmp_path / "features" / "a" / "feature.yaml").write_text("owner: ünïcode\n")
    (tmp_path / ".git").mkdir()
    (tmp_path / ".git" / "config").write_text("x")
    assert workspace_text(tmp_path) == {"routes.yaml": "routes: {}\n", "features/a/feature.yaml": "owner: ünïcode\n"}


def test_a_file_that_is_not_utf_8_is_named_with_its_line() -> None:
    with pytest.raises(WorkspaceInvalid, match=r"^routes.yaml:3: not UTF-8\."):
        as_text({"routes.yaml": b"a\nb\n\xff\n"})


def test_documents_have_their_paths_as_the_server_keeps_them(tmp_path: Path) -> None:
    decomposed = unicodedata.normalize("NFD", "über.md")
    (tmp_path / decomposed).write_text("x")
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "b.txt").write_text("y")
    (tmp_path / ".hidden").write_text("z")
    pieces, skipped = documents_in(tmp_path)
    assert sorted(piece.path for piece in pieces) == ["sub/b.txt", "über.md"]
    assert skipped == []


def test_what_can_not_be_taken_is_said(tmp_path: Path) -> None:
    (tmp_path / "big.txt").write_bytes(b"x" * 2000)
    (tmp_path / "out.txt").symlink_to("/etc/hostname")
    pieces, skipped = documents_in(tmp_path, max_bytes=1000)
    assert pieces == []
    assert {each.path: each.code for each in skipped} == {"big.txt": "too_large", "out.txt": "outside_folder"}


def test_readable_are_those_that_some_parser_knows(tmp_path: Path) -> None:
    for name in ("a.md", "b.docx", "c.png", "d.zip"):
        (tmp_path / name).write_text("x")
    assert readable_paths(tmp_path) == ["a.md", "b.docx"]


def test_a_folder_that_is_not_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(InvalidRequest, match="there is no such folder"):
        readable_paths(tmp_path / "none")


def test_a_file_that_is_no_text_or_not_there_is_named(tmp_path: Path) -> None:
    file = tmp_path / "x.jsonl"
    file.write_bytes(b"\xef\xbb\xbfone\n")
    assert text_of(file) == "one\n"
    file.write_bytes(b"\xff")
    with pytest.raises(InvalidRequest, match=r"x\.jsonl: not UTF-8\. Save the file as UTF-8"):
        text_of(file)
    with pytest.raises(InvalidRequest, match=r"none can't be read: No such file or directory\."):
        text_of(tmp_path / "none")


def test_a_folder_without_a_file_of_a_workspace_is_refused(tmp_path: Path) -> None:
    (tmp_path / ".git").mkdir()
    (tmp_path / ".git" / "config").write_text("x")
    with pytest.raises(WorkspaceInvalid, match="there is no file of a workspace in this folder"):
        workspace_text(tmp_path)

from __future__ import annotations

import hashlib
import os
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headworks.errors import InvalidRequest
from headworks.retrieval.sources.folder import SKIP_CODES, FolderEntry, Skipped, readable, walk


def files(folder: Path, max_bytes: int = 1000) -> list[str]:
    return [each.path for each in walk(folder, max_bytes=max_bytes) if isinstance(each, FolderEntry)]


def skipped(folder: Path, max_bytes: int = 1000) -> dict[str, str]:
    return {each.path: each.code for each in walk(folder, max_bytes=max_bytes) if isinstance(each, Skipped)}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    root = tmp_path / "documents"
    (root / "sub").mkdir(parents=True)
    (root / "b.md").write_text("b")
    (root / "a.md").write_text("a")
    (root / "sub" / "c.md").write_text("c")
    return root


@pytest.fixture
def as_nobody() -> Iterator[Callable[[], None]]:
    """Gives up root's right to read everything, for the rest of the test."""
    before = os.geteuid()

    def drop() -> None:
        if before == 0:
            os.seteuid(65534)

    yield drop
    if before == 0:
        os.seteuid(before)


def test_files_come_by_name_with_paths_below_the_folder(folder: Path) -> None:
    assert files(folder) == ["a.md", "b.md", "sub/c.md"]
    assert skipped(folder) == {}


def test_an_entry_knows_size_and_hash(folder: Path) -> None:
    entry = next(iter(walk(folder, max_bytes=1000)))
    assert isinstance(entry, FolderEntry)
    assert entry.size == 1
    assert entry.sha256() == hashlib.sha256(b"a").hexdigest()
    assert entry.absolute.read_text() == "a"


def test_a_file_that_is_gone_is_an_os_error_when_it_is_hashed(folder: Path) -> None:
    entry = next(iter(walk(folder, max_bytes=1000)))
    assert isinstance(entry, FolderEntry)
    entry.absolute.unlink()
    with pytest.raises(FileNotFoundError):
        entry.sha256()


def test_hidden_files_and_folders_are_not_seen(folder: Path) -> None:
    (folder / ".git").mkdir()
    (folder / ".git" / "config").write_text("x")
    (folder / ".secret.md").write_text("x")
    assert files(folder) == ["a.md", "b.md", "sub/c.md"]
    assert skipped(folder) == {}


def test_links_out_of_the_folder_are_named_and_not_followed(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "secret.md").write_text("secret")
    (folder / "file").symlink_to(tmp_path / "outside" / "secret.md")
    (folder / "sub" / "up").symlink_to("../../outside")
    (folder / "sibling").symlink_to(tmp_path / "documents-2")
    (tmp_path / "documents-2").mkdir()
    assert skipped(folder) == dict.fromkeys(("file", "sub/up", "sibling"), "outside_folder")
    assert files(folder) == ["a.md", "b.md", "sub/c.md"]


def test_links_that_stay_inside_are_files_but_no_second_folders(folder: Path) -> None:
    (folder / "again.md").symlink_to("sub/c.md")
    (folder / "sub2").symlink_to("sub")
    assert files(folder) == ["a.md", "again.md", "b.md", "sub/c.md"]
    assert skipped(folder) == {"sub2": "twice"}


def test_loops_end(folder: Path) -> None:
    (folder / "self").symlink_to("self")
    (folder / "one").symlink_to("two")
    (folder / "two").symlink_to("one")
    (folder / "sub" / "back").symlink_to("..")
    assert skipped(folder) == dict.fromkeys(("self", "one", "two", "sub/back"), "loop")


def test_a_folder_given_by_a_link_is_walked(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(folder)
    assert files(tmp_path / "link") == ["a.md", "b.md", "sub/c.md"]


def test_a_dangling_link_is_unreadable(folder: Path) -> None:
    (folder / "gone").symlink_to("nowhere")
    assert skipped(folder) == {"gone": "unreadable"}


def test_a_200_mb_file_is_named_without_being_read(folder: Path) -> None:
    with (folder / "big.pdf").open("wb") as file:
        file.truncate(200 * 1024 * 1024)
    found = [each for each in walk(folder, max_bytes=64 * 1024 * 1024) if isinstance(each, Skipped)]
    assert [(each.path, each.code) for each in found] == [("big.pdf", "too_large")]
    assert found[0].why == "It has 200 MB, more than the limit of 64 MB."


def test_what_may_not_be_read_is_named(folder: Path, as_nobody: Callable[[], None]) -> None:
    (folder / "locked").mkdir()
    (folder / "locked").chmod(0)
    (folder / "a.md").chmod(0)
    as_nobody()
    try:
        assert skipped(folder) == {"a.md": "unreadable", "locked": "unreadable"}
        assert files(folder) == ["b.md", "sub/c.md"]
    finally:
        if os.getuid() == 0:
            os.seteuid(0)
        (folder / "locked").chmod(0o700)


def test_sockets_and_pipes_are_special(folder: Path) -> None:
    os.mkfifo(folder / "pipe")
    with socket.socket(socket.AF_UNIX) as listener:
        here = Path.cwd()
        os.chdir(folder)
        try:
            listener.bind("socket")
        finally:
            os.chdir(here)
        assert skipped(folder) == {"pipe": "special", "socket": "special"}


def test_names_are_kept_as_the_disk_has_them(folder: Path) -> None:
    names = ["e\u0301.md", "\u00e9.md", "with space ü.md", "line\nbreak.md"]
    for name in names:
        (folder / "sub" / name).write_text("x")
    assert sorted(files(folder)) == sorted(["a.md", "b.md", "sub/c.md", *(f"sub/{name}" for name in names)])


def test_a_name_that_is_no_utf8_can_be_shown(folder: Path) -> None:
    Path(os.fsdecode(os.fsencode(folder) + b"/caf\xe9.md")).write_text("x")
    entry = next(each for each in walk(folder, max_bytes=10) if isinstance(each, FolderEntry) and "caf" in each.path)
    assert entry.readable_path == "caf\ufffd.md"
    assert entry.sha256() == hashlib.sha256(b"x").hexdigest()


@pytest.mark.parametrize(("name", "message"), [("none", "no such folder"), ("a.md", "not a folder")])
def test_what_is_no_folder_is_refused(folder: Path, name: str, message: str) -> None:
    with pytest.raises(InvalidRequest, match=message):
        list(walk(folder / name, max_bytes=10))


def test_every_code_is_declared(folder: Path) -> None:
    (folder / "self").symlink_to("self")
    assert set(skipped(folder, max_bytes=0).values()) <= set(SKIP_CODES)


@given(st.binary(max_size=20))
def test_a_readable_path_is_always_utf8(name: bytes) -> None:
    readable(os.fsdecode(name)).encode("utf-8")

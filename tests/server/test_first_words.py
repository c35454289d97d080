from __future__ import annotations

import stat
from pathlib import Path

from headworks.server import first_words

WORDS = {"admin_key": "hw_a_b", "claim": "hwclaim_c"}


def test_the_first_words_are_kept_until_they_were_shown(tmp_path: Path) -> None:
    first_words.keep(tmp_path, WORDS)
    assert first_words.kept(tmp_path) == WORDS
    assert first_words.kept(tmp_path) == WORDS, "a start that failed shows them the next time"
    first_words.forget(tmp_path)
    assert first_words.kept(tmp_path) == {}


def test_nobody_else_can_read_them(tmp_path: Path) -> None:
    first_words.keep(tmp_path, WORDS)
    [file] = [each for each in tmp_path.rglob("*") if each.is_file()]
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700


def test_a_later_start_writes_over_them(tmp_path: Path) -> None:
    first_words.keep(tmp_path, WORDS | {"more": "x" * 500})
    first_words.keep(tmp_path, WORDS)
    assert first_words.kept(tmp_path) == WORDS


def test_without_any_there_is_nothing_to_show_or_forget(tmp_path: Path) -> None:
    assert first_words.kept(tmp_path) == {}
    first_words.forget(tmp_path)


def test_half_a_file_is_none(tmp_path: Path) -> None:
    first_words.keep(tmp_path, WORDS)
    [file] = [each for each in tmp_path.rglob("*") if each.is_file()]
    file.write_text(file.read_text()[:10])
    assert first_words.kept(tmp_path) == {}

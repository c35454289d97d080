from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest


def test_rows_have_the_fields_that_scripts_rely_on(cli: Any, folder: Path, word: Callable[[int], str]) -> None:
    cli("ingest", "docs", str(folder))
    rows = cli.json("search", "docs", word(1), "--k", "2")
    assert 1 <= len(rows) <= 2
    assert sorted(rows[0]) == sorted(["document", "title", "path", "chunk", "score", "start", "end", "text"])
    assert word(1) in rows[0]["text"]
    assert len(rows[0]["text"]) == rows[0]["end"] - rows[0]["start"]
    said = cli("search", "docs", word(1)).stdout
    assert "[1] One" in said
    assert word(1) in said


def test_a_collection_that_is_not_there_reads_like_one_that_may_not_be_read(cli: Any) -> None:
    member = cli.json("principal", "create", cli.name())["name"]
    key = cli.json("key", "create", "--principal", member)["token"]
    for name in ("docz", "nothing"):
        done = cli("search", name, "x", key=key, check=False)
        assert done.returncode == 1
        assert f"There is no collection `{name}` that you may read." in done.stderr


@pytest.mark.parametrize("k", ["0", "101", "many"])
def test_a_number_out_of_range_is_wrong_usage(cli: Any, k: str) -> None:
    done = cli("search", "docs", "x", "--k", k, check=False)
    assert done.returncode == 2
    assert "--k" in done.stderr


@pytest.mark.parametrize(
    ("setting", "said"),
    [("mmr", "NAME=VALUE"), ("colour=red", "`colour`: There is no field of that name."), ("mmr=7", "between 0 and 1")],
)
def test_a_setting_that_is_none_is_refused_in_its_own_words(cli: Any, setting: str, said: str) -> None:
    done = cli("search", "docs", "x", "--with", setting, check=False)
    assert done.returncode == 1
    assert said in done.stderr


def test_a_filter_settings_and_reasons(cli: Any, tmp_path: Path) -> None:
    for year in (2023, 2024):
        (tmp_path / f"{year}.md").write_text(
            f"---\nyear: {year}\nseen: {year}-05-01\n---\n# Heron {year}\n\nHerons nest.\n"
        )
    cli("ingest", "docs", str(tmp_path))
    asked = ("search", "docs", "herons nest", "--explain")
    rows = cli.json(*asked, "--where", "year = 2024", "--with", "ranking=keywords")
    assert {row["metadata"]["year"] for row in rows} == {2024}
    assert {row["reasons"]["filters"][0] for row in rows} == {"year = 2024"}
    decay = 'decay={"field": "seen", "half_life_days": 365}'
    said = cli(*asked, "--where", "year exists", "--with", decay).stdout
    assert "age" in said
    assert "readable by" in said
    assert "everyone" in said
    assert "The documents pass: year exists." in said
    assert "reranked" not in said, "a column that says nothing"
    wrong = cli("search", "docs", "herons", "--where", "year >", check=False)
    assert wrong.returncode == 1
    assert "`filter, column 7`: a value is missing." in wrong.stderr
    wrong = cli("search", "docs", "herons", "--with", "half_life=3", check=False)
    assert wrong.returncode == 1
    assert "half_life" in wrong.stderr

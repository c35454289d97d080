from __future__ import annotations

from typing import Any

import pytest

from headworks.cli.quality.sought import look_up_all
from headworks.errors import WorkspaceInvalid
from headworks.retrieval.quality.golden import GoldenQuery, Target
from headworks.retrieval.quality.ranking import Place


def query(line: int, *targets: Target, reader: str | None = None) -> GoldenQuery:
    return GoldenQuery(f"q{line}", "pay", targets, (), reader, line)


def look_up(library: Any, *queries: GoldenQuery, may_be_missing: bool = False) -> Any:
    return look_up_all({None: library}, queries, "docs", "g.jsonl", may_be_missing=may_be_missing)


def test_each_target_is_found_where_it_stands(library: Any) -> None:
    quote = Target("pay.md", 2, "paid monthly")
    found = look_up(library, query(1, Target("pay.md")), query(2, quote, Target("pay.md", section=("Pay",))))
    assert found["q1"][0].places == (Place("d1", 1),)
    assert found["q2"][0].places == (Place("d1", 1, ((20, 32),)),)
    assert found["q2"][1].places == (Place("d1", 1),)


def test_a_document_is_read_once_whatever_is_quoted_of_it(library: Any) -> None:
    look_up(library, *(query(line, Target("pay.md", quote="Salaries")) for line in range(5)))
    assert [path for path, _ in library.asked] == ["/api/collections/docs/documents/find", "/api/documents/d1"]


def test_many_paths_are_asked_for_in_parts(library: Any) -> None:
    queries = [query(line, Target(f"{line}.md")) for line in range(1200)]
    found = look_up(library, *queries, may_be_missing=True)
    assert [len(body["paths"]) for _, body in library.asked] == [500, 500, 200]
    assert all(each[0].places == () for each in found.values())


def test_all_that_is_not_there_is_said_at_once(library: Any) -> None:
    wrong = [query(line, Target("no.md")) for line in range(3, 16)]
    with pytest.raises(WorkspaceInvalid) as caught:
        look_up(
            library, query(1, Target("pay.md", quote="gold")), query(2, Target("pay.md", section=("Gold",))), *wrong
        )
    lines = str(caught.value).splitlines()
    assert lines[0] == "g.jsonl:1: the quote “gold” is not in `pay.md`."
    assert lines[1] == "g.jsonl:2: `pay.md` has no section Gold."
    assert lines[2] == "g.jsonl:3: there is no document `no.md` in `docs` that this key may read."
    assert lines[10].startswith("… and 5 more.")
    assert "--allow-missing" in lines[-1]


def test_each_reader_looks_with_his_own_key(library: Any) -> None:
    other = type(library)()
    queries = [query(1, Target("pay.md")), query(2, Target("no.md"), reader="jane")]
    with pytest.raises(WorkspaceInvalid, match="`docs` that `jane` may read"):
        look_up_all({None: library, "jane": other}, queries, "docs", "g.jsonl", may_be_missing=False)
    assert library.asked[0][1] == {"paths": ["pay.md"]}
    assert other.asked[0][1] == {"paths": ["no.md"]}

from __future__ import annotations

from typing import Any

import pytest

from headworks.cli.quality.configurations import Configuration
from headworks.cli.quality.running import Asking, clients_for
from headworks.errors import InvalidRequest, NotFound, Unavailable
from headworks.retrieval.quality.golden import GoldenQuery, Target

HYBRID = Configuration("docs", "hybrid", 100)


class Bar:
    """How far it was said to be."""

    def __init__(self) -> None:
        self.seen: list[tuple[int, int]] = []

    def update(self, done: int, total: int, detail: str = "") -> None:
        del detail
        self.seen.append((done, total))


def query(line: int, text: str, reader: str | None = None) -> GoldenQuery:
    return GoldenQuery(f"q{line}", text, (Target("pay.md"),), (), reader, line)


def asking(library: Any, *texts: str) -> Asking:
    return Asking({None: library}, [query(line, text) for line, text in enumerate(texts, 1)], "g.jsonl", 10)


def test_results_stand_in_the_order_of_the_queries_with_progress(library: Any) -> None:
    bar = Bar()
    library.notice = "Some documents are found by keywords only."
    outcome = asking(library, "pay 1", "nothing", "pay 2", "pay 3").run(HYBRID, bar)
    assert [each.query.query for each in outcome.measured] == ["pay 1", "nothing", "pay 2", "pay 3"]
    assert [each.rank for each in outcome.measured] == [1, None, 1, 1]
    assert outcome.notices == [library.notice]
    assert bar.seen == [(1, 4), (2, 4), (3, 4), (4, 4)]


def test_a_search_without_the_vectors_that_were_asked_for_is_not_measured(library: Any) -> None:
    library.ranking, library.notice = "keywords", "By keywords only: the model is not installed."
    with pytest.raises(Unavailable, match="hybrid was asked for. By keywords only"):
        asking(library, "pay").run(HYBRID, Bar())
    assert asking(library, "pay").run(HYBRID.changed({"ranking": "keywords"}), Bar()).measured[0].rank == 1
    assert asking(library, "nothing").run(HYBRID, Bar()).measured[0].rank is None, "nothing came, by no leg"


def test_the_first_refusal_ends_a_run(library: Any) -> None:
    with pytest.raises(NotFound, match="Gone"):
        asking(library, *["pay"] * 20, "fails").run(HYBRID, Bar())


def test_each_reader_has_a_client_with_his_key(library: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    library.others = {"k1": "jane", "k2": "bob"}
    monkeypatch.setenv("JANES", "k1")
    monkeypatch.setenv("BOBS", " k2 ")
    queries = [query(1, "pay"), query(2, "pay", "jane"), query(3, "pay", "bob"), query(4, "pay", "jane")]
    clients: Any = clients_for(library, queries, ["jane=JANES,bob=BOBS"], "g.jsonl")
    assert {reader: each.me for reader, each in clients.items()} == {None: "admin", "jane": "jane", "bob": "bob"}
    monkeypatch.setenv("JANES", "k2")
    with pytest.raises(InvalidRequest, match="The key in JANES is one of `bob`, not of `jane`"):
        clients_for(library, queries, ["jane=JANES,bob=BOBS"], "g.jsonl")
    with pytest.raises(InvalidRequest, match="g.jsonl:3: asked as `bob`, and there is no key for that"):
        clients_for(library, queries[2:], ["jane=JANES"], "g.jsonl")

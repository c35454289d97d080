from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headworks.errors import Conflict
from headworks.retrieval.quality.golden import GoldenQuery, Target
from headworks.retrieval.quality.measures import measure
from headworks.retrieval.quality.ranking import Hit, Place, Sought, is_under, quote_spans, rank


def hit(document: str, start: int = 0, section: tuple[str, ...] = ()) -> Hit:
    return Hit(document, 1, f"{document}.md", document, section, start, start + 100, 0.5)


def query(*targets: Target) -> GoldenQuery:
    return GoldenQuery("q", "query", targets, (), None, 1)


def sought(*targets: Target, spans: tuple[tuple[int, int], ...] = ()) -> list[Sought]:
    return [Sought(each, (Place(each.document, 1, spans if each.quote else ()),)) for each in targets]


def names(hits: list[Hit], *targets: Target, spans: tuple[tuple[int, int], ...] = ()) -> list[str]:
    return list(rank(query(*targets), sought(*targets, spans=spans), hits).names)


def test_documents_are_ranked_by_their_best_passage() -> None:
    hits = [hit("a"), hit("a", 100), hit("b"), hit("c"), hit("b", 100)]
    assert names(hits, Target("b"), Target("z")) == ["document a", "target 0", "document c"]
    found = rank(query(Target("b")), sought(Target("b")), hits)
    assert [(hit.document, hit.start, grade) for hit, grade in found.hits] == [
        ("a", 0, None),
        ("b", 0, 1),
        ("c", 0, None),
    ]


def test_passages_are_ranked_where_a_quote_is_looked_for() -> None:
    hits = [hit("a"), hit("a", 100), hit("a", 200), hit("a", 200)]
    target = Target("a", quote="x")
    assert names(hits, target, spans=((210, 250),)) == ["hit 0", "hit 1", "target 0", "hit 3"]


def test_a_quote_that_is_cut_in_two_is_found_by_the_greater_part() -> None:
    target = Target("a", quote="x")
    assert names([hit("a"), hit("a", 100)], target, spans=((80, 130),)) == ["hit 0", "target 0"]
    assert names([hit("a"), hit("a", 100)], target, spans=((70, 130),)) == ["target 0", "hit 1"]
    assert names([hit("a"), hit("a", 100)], target, spans=((150, 160), (20, 40))) == ["target 0", "hit 1"]


def test_a_section_is_found_by_the_headings_above_a_passage() -> None:
    hits = [hit("a", section=("Guide", "Pay")), hit("a", 100, ("Guide", "Leave", "Sick")), hit("b", 0, ("Leave",))]
    assert names(hits, Target("a", section=("Leave",))) == ["hit 0", "target 0", "hit 2"]


def test_a_passage_that_holds_several_targets_stands_for_each_the_best_first() -> None:
    targets = (Target("a", 1, "x"), Target("a", 3, "y"), Target("b"))
    found = rank(query(*targets), sought(*targets, spans=((0, 10),)), [hit("a"), hit("b")])
    assert found.names == ("target 1", "target 0", "target 2")
    assert [grade for _, grade in found.hits] == [3, 1]
    assert measure(found.names, found.grades, 10)["recall"] == 1


def test_one_path_of_two_sources_is_found_by_either() -> None:
    target = Target("x")
    place = [Sought(target, (Place("a", 1), Place("b", 1)))]
    found = rank(query(target), place, [hit("c"), hit("b"), hit("a")])
    assert found.names == ("document c", "target 0")


def test_what_is_not_there_is_never_found() -> None:
    found = rank(query(Target("x"), Target("c")), [Sought(Target("x"), ()), *sought(Target("c"))], [hit("c")])
    assert found.names == ("target 1",)
    assert measure(found.names, found.grades, 10)["recall"] == 0.5


def test_a_document_that_changed_meanwhile_ends_the_measurement() -> None:
    target = Target("a", quote="x")
    with pytest.raises(Conflict, match=r"a\.md was changed while it was measured"):
        rank(query(target), sought(target, spans=((0, 5),)), [replace(hit("a"), version=2)])
    whole = Target("a")
    assert rank(query(whole), sought(whole), [replace(hit("a"), version=2)]).names == ("target 0",)


def test_a_quote_is_found_whatever_its_white_space() -> None:
    text = "One.\nTwelve  weeks\n(paid).\nTwelve weeks (paid)."
    spans = quote_spans(text, "Twelve weeks (paid).")
    assert [text[start:end] for start, end in spans] == ["Twelve  weeks\n(paid).", "Twelve weeks (paid)."]
    assert quote_spans(text, "twelve weeks") == ()
    assert quote_spans("a.c abc", "a.c") == ((0, 3),)


def test_headings_stand_one_directly_below_the_other() -> None:
    assert is_under(("A", "B", "C"), ("B", "C"))
    assert is_under(("A", "B  b"), ("B b",))
    assert not is_under(("A", "B", "C"), ("A", "C"))
    assert not is_under((), ("A",))


documents = st.sampled_from("abcdef")


@given(st.lists(documents, max_size=20), st.sets(documents, min_size=1))
def test_a_ranking_names_nothing_twice_and_each_target_at_its_first_passage(
    found: list[str], relevant: set[str]
) -> None:
    wanted = sorted(relevant)
    ranking = names([hit(each, 100 * n) for n, each in enumerate(found)], *(Target(each) for each in wanted))
    assert len(set(ranking)) == len(ranking)
    order = list(dict.fromkeys(found))
    assert ranking == [f"target {wanted.index(d)}" if d in relevant else f"document {d}" for d in order]

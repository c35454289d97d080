"""Filters: read strictly, compared by kind, run by PostgreSQL, never a way around a permission."""

from __future__ import annotations

import contextlib
from typing import Any

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from psycopg.types.json import Jsonb
from retrieval_world import World

from headworks.errors import InvalidRequest
from headworks.retrieval.contract import Wanted
from headworks.retrieval.metadata import given_metadata
from headworks.retrieval.searching.filters import asked_filter, bound_filter, compiled
from headworks.retrieval.searching.narrowing import NumberRange, TextRange, narrowed
from headworks.types.filter_reading import read_filter
from headworks.types.filters import Condition, Filter, FilterError, Group, inputs_of, moment

DOCUMENTS: dict[str, dict[str, Any]] = {
    "policies/a.md": {"year": 2024, "team": "claims", "tags": ["hr", "law"], "valid": "2024-05-01", "final": True},
    "policies/b.md": {"year": "2024", "team": "care", "tags": ["it"], "valid": "2024-05-01T12:00:00+02:00"},
    "drafts/c.md": {"year": 1999.5, "tags": [], "valid": ["2020-01-01", "2030-01-01"], "final": False},
    "d.md": {},
}
A, B, C, D = sorted(DOCUMENTS, key=list(DOCUMENTS).index)


async def _fill(world: World) -> None:
    await world.collection("handbook", "everyone")
    for path, metadata in DOCUMENTS.items():
        await world.hand_in("handbook", path, "# Heron\n\nA heron stands.", metadata=metadata)
    await world.drain()


async def _found(world: World, said: object, **more: Any) -> set[str]:
    wanted = Wanted(filter=asked_filter(said))
    found = await world.retrieval.search(more.pop("by", world.admin), "handbook", "heron", 10, wanted=wanted, **more)
    return {each.path for each in found.passages}


async def test_values_compare_as_what_they_are(world: World) -> None:
    await _fill(world)
    for said, paths in (
        ("year >= 2024", {A}),
        ("year = 2024", {A}),
        ('year = "2024"', {B}),
        ("year != 2024", {B, C, D}),
        ("year < 2000", {C}),
        ("team in [claims, care]", {A, B}),
        ("team not in [claims]", {B, C, D}),
        ("tags = hr and tags = law", {A}),
        ("tags exists", {A, B}),
        ("final = true", {A}),
        ("not final = true", {B, C, D}),
        ("path prefix policies/", {A, B}),
        ("title = Heron", {A, B, C, D}),
        ("media_type = text/markdown and not (path prefix drafts/ or path = d.md)", {A, B}),
        ("updated_at > 2020-01-01", {A, B, C, D}),
        ("created_at < 2020-01-01", set()),
        ("year > 1e3 or nothing exists", {A, C}),
        ("source = upload", {A, B, C, D}),
        ("team = '\\'; DROP TABLE document; --'", set()),
    ):
        assert await _found(world, said) == paths, said


async def test_a_day_is_all_of_it_and_a_moment_is_one(world: World) -> None:
    await _fill(world)
    for said, paths in (
        ("valid = 2024-05-01", {A, B}),
        ("valid = 2024-05-01T10:00:00Z", {B}),
        ("valid > 2024-05-01", {C}),
        ("valid >= 2024-05-01", {A, B, C}),
        ("valid <= 2024-05-01", {A, B, C}),
        ("valid < 2024-05-01", {C}),
        ("valid < 2024-05-01T00:00:01Z", {A, C}),
        ("valid = 2025-01-01", set()),
        ("valid prefix 2024-05", {A, B}),
        ("valid in [2020-01-01, 2024-05-01]", {A, B, C}),
    ):
        assert await _found(world, said) == paths, said


async def test_a_filter_finds_what_lies_far_below_the_best(world: World) -> None:
    await world.collection("handbook", "everyone")
    for number in range(60):
        body = "\n\n".join(f"## {part}\n\nheron heron heron {part}" for part in range(8))
        await world.hand_in("handbook", f"{number:02}.md", body, metadata={"n": number})
    await world.hand_in("handbook", "far.md", "# Far\n\nOnce a heron was seen by the pond.", metadata={"n": 99})
    await world.drain()
    assert await _found(world, "n = 99") == {"far.md"}
    world.models.is_missing = True
    assert await _found(world, "n = 99") == {"far.md"}


async def test_where_much_passes_the_nearest_are_asked_for_until_enough_do(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("headworks.retrieval.searching.scoring._FEW_MATCHING", 2)
    await _fill(world)
    assert await _found(world, "year exists") == {A, B, C}
    assert await _found(world, "year exists", ranking="vectors") == {A, B, C}
    assert await _found(world, "year exists", ranking="keywords") == {A, B, C}


async def test_facts_that_many_have_are_no_way_to_what_passes(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    await _fill(world)
    for most in (1, 2, 10_000):
        monkeypatch.setattr("headworks.retrieval.searching.scoring._FEW_DOCUMENTS", most)
        assert await _found(world, "team = claims and year > 0") == {A}
        assert await _found(world, "team = claims or not year exists") == {A, D}
        assert await _found(world, 'team in [claims, care, "it"] and path prefix policies/') == {A, B}
        assert await _found(world, "team = nobody") == set()


async def test_facts_are_those_of_the_newest_content_and_of_what_is_said_of_it(world: World) -> None:
    await _fill(world)
    await world.add("handbook", A, "# Heron\n\nA heron stood.", metadata={"team": "care", "year": 2030})
    assert await _found(world, "team = claims") == set()
    assert await _found(world, "team = care") == {A, B}
    assert await _found(world, "year >= 2030 and updated_at > 2020-01-01") == {A}
    await world.hand_in("handbook", A, "# Heron\n\nA heron stood.", metadata={"team": "none"})
    await world.drain()
    assert await _found(world, "team = care") == {B}
    assert world.count("document_fact", "name = 'path'") == len(DOCUMENTS)
    await world.retrieval.lifecycle.erasure.erase_document(world.admin, "handbook", A, "a test")
    assert world.count("document_fact", "name = 'path'") == len(DOCUMENTS) - 1


async def test_no_filter_shows_what_the_caller_may_not_read(world: World) -> None:
    await world.collection("handbook", "everyone", documents=[("board/**", ("administrators",))])
    await world.add("handbook", "board/x.md", "# Heron\n\nA heron.", metadata={"secret": 7})
    await world.add("handbook", "open.md", "# Heron\n\nA heron.", metadata={"secret": 1})
    bob = await world.person("bob")
    for said in ("secret exists", "not secret = 1", "secret = 7 or secret = 1", "path prefix board or secret = 1"):
        assert await _found(world, said, by=bob) <= {"open.md"}, said


@pytest.mark.parametrize(
    ("said", "place"),
    [
        (7, "`filter`: must be an object"),
        ({}, "`filter.type`"),
        ({"type": "eq", "key": "a"}, "`filter`: has no `value`"),
        ({"type": "eq", "key": "a", "value": None}, "`filter.value`"),
        ({"type": "eq", "key": "a", "value": {"input": "x"}}, "`filter.value`"),
        ({"type": "eq", "key": 'a")', "value": 1}, "`filter.key`"),
        ({"type": "gt", "key": "a", "value": "ten"}, "no order"),
        ({"type": "gt", "key": "path", "value": "2024-01-01"}, "no order"),
        ({"type": "eq", "key": "path", "value": 3}, "is a text"),
        ({"type": "lt", "key": "updated_at", "value": 3}, "compared with a date"),
        ({"type": "in", "key": "a", "value": []}, "`filter.value`"),
        ({"type": "and", "filters": []}, "`filter.filters`"),
        (
            {"type": "and", "filters": [{"type": "or", "filters": [{"type": "eq"}]}]},
            "`filter.filters[0].filters[0].key`",
        ),
        ({"type": "exists", "key": "a", "value": 1}, "unknown `value`"),
        ({"type": "and", "filters": [{"type": "exists", "key": "a"}] * 101}, "more than 100"),
        ("", "column 1"),
        ("year", "column 5"),
        ("year >", "a value is missing"),
        ("year > 3 4", "column 10"),
        ("(year = 3", "`)` is missing"),
        ("year in 3", "a list like"),
        ("and = 3", "a key"),
        ("(" * 9 + "a = 1" + ")" * 9, "levels deep"),
        ("not " * 9 + "a = 1", "levels deep"),
        ("a = $x", ""),
        ("a = 'x", "can't be read"),
        ("x" * 9000, "characters, at most"),
    ],
)
def test_a_filter_that_says_nothing_is_refused_with_its_place(said: object, place: str) -> None:
    if said == "a = $x":
        assert read_filter(said) == Condition("eq", "a", "$x")
        return
    with pytest.raises(InvalidRequest) as caught:
        asked_filter(said)
    assert place in str(caught.value)
    assert caught.value.param == "filter"


def test_an_input_of_a_feature_takes_its_place_with_its_kind() -> None:
    said = read_filter("team = $team and year in [$years, 1999]", may_name_inputs=True)
    assert inputs_of(said) == ["team", "years"]
    there = bound_filter(said, {"team": "claims", "years": [2023, 2024]})
    assert there == Group("and", (Condition("eq", "team", "claims"), Condition("in", "year", (2023, 2024, 1999))))
    with pytest.raises(InvalidRequest, match="input `team`"):
        bound_filter(said, {"years": 1})
    with pytest.raises(InvalidRequest, match="names an input"):
        compiled(said)


LONG = "z" * 199 + "\U0010ffffb"
TEXTS = ["a", "b", "2024-05-01", "2024-05-01T12:00:00Z", LONG, f"{LONG}c", "\ud7ffa", "\ue000", "\U0010ffff\U0010ffff"]
VALUES = st.booleans() | st.integers(-5, 5) | st.sampled_from([0.1, -0.3, *TEXTS])
KEYS = st.sampled_from(["x", "y", "z.z"])
ORDERED = st.integers(-5, 5) | st.sampled_from(["2024-04-30", "2024-05-01", "2024-05-01T12:00:00Z"])
CONDITIONS = st.one_of(
    st.builds(Condition, st.sampled_from(["eq", "ne"]), KEYS, VALUES),
    st.builds(Condition, st.sampled_from(["gt", "gte", "lt", "lte"]), KEYS, ORDERED),
    st.builds(Condition, st.sampled_from(["in", "nin"]), KEYS, st.lists(VALUES, min_size=1, max_size=3).map(tuple)),
    st.builds(Condition, st.just("exists"), KEYS),
    st.builds(Condition, st.just("prefix"), KEYS, st.sampled_from(["a", "2024-05", "z", LONG, "\ud7ff", "\U0010ffff"])),
)
FILTERS = st.recursive(
    CONDITIONS,
    lambda inner: st.one_of(
        st.builds(Group, st.sampled_from(["and", "or"]), st.lists(inner, min_size=2, max_size=3).map(tuple)),
        st.builds(lambda one: Group("not", (one,)), inner),
    ),
    max_leaves=5,
)


def _passes(given: Filter, metadata: dict[str, Any]) -> bool:
    """What a filter means, said again in another way."""
    if isinstance(given, Group):
        found = [_passes(each, metadata) for each in given.parts]
        return not found[0] if given.kind == "not" else all(found) if given.kind == "and" else any(found)
    there = metadata.get(given.key, [])
    values = there if isinstance(there, list) else [there]
    if given.kind == "exists":
        return bool(values)
    if given.kind == "prefix":
        return any(isinstance(one, str) and one.startswith(str(given.value)) for one in values)
    if given.kind in {"ne", "nin"}:
        return not _passes(Condition("in" if given.kind == "nin" else "eq", given.key, given.value), metadata)
    wanted = given.value if isinstance(given.value, tuple) else (given.value,)
    kind = "eq" if given.kind == "in" else given.kind
    return any(_compares(kind, one, other) for one in values for other in wanted)


def _compares(kind: str, one: Any, other: Any) -> bool:
    span, wanted = _span(one), _span(other)
    if span is None or wanted is None:
        is_number = not isinstance(one, str | bool) and not isinstance(other, str | bool)
        return (type(one) is type(other) and kind == "eq" and one == other) or (
            is_number and {"eq": one == other, "gt": one > other, "gte": one >= other, "lt": one < other,
                           "lte": one <= other}[kind]
        )  # fmt: skip
    at, (start, end) = span[0], wanted
    return {"eq": start <= at < end, "gt": at >= end, "gte": at >= start, "lt": at < start, "lte": at < end}[kind]


def _span(value: Any) -> tuple[int, int] | None:
    found = moment(value) if isinstance(value, str) else None
    return None if found is None else (found[0], found[0] + (86_400_000_000 if found[1] else 1))


@given(FILTERS, st.dictionaries(KEYS, VALUES | st.lists(VALUES, max_size=3), max_size=3))
@settings(max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_postgresql_finds_what_the_filter_means(
    as_superuser: psycopg.Connection[Any], said: Filter, metadata: dict[str, Any]
) -> None:
    path = compiled(said)
    row = as_superuser.execute(
        "SELECT jsonb_path_match(%s::jsonb, %s::jsonpath, %s::jsonb, true)",
        [Jsonb(given_metadata(metadata)), path.path, Jsonb(path.values)],
    ).fetchone()
    assert row is not None
    assert row[0] is _passes(said, metadata)
    again: object = None
    with contextlib.suppress(FilterError):  # too deep for a line
        again = read_filter(str(said))
    assert again is None or str(again) == str(said)


async def test_whatever_passes_has_a_fact_where_the_filter_looks(world: World) -> None:
    await world.collection("handbook", "everyone")
    await world.add("handbook", "a.md", "# Heron\n\nA heron.")

    @given(FILTERS, st.dictionaries(KEYS, VALUES | st.lists(VALUES, max_size=3), max_size=3))
    @settings(max_examples=150)
    def look(said: Filter, metadata: dict[str, Any]) -> None:
        world.behind.execute("UPDATE document SET given_metadata = %s", [Jsonb(given_metadata(metadata))])
        facts = world.behind.execute("SELECT name, number, text FROM document_fact").fetchall()
        assert {each[0] for each in facts} >= {key for key, value in metadata.items() if value != []}
        for part in narrowed(said).parts:
            is_there = any(_lies_in(one, *fact) for one in part for fact in facts)
            assert is_there or not _passes(said, metadata)

    look()


def _lies_in(wanted: NumberRange | TextRange, name: str, number: float | None, text: str | None) -> bool:
    if name != wanted.name:
        return False
    if isinstance(wanted, NumberRange):
        return number is not None and wanted.low <= number <= wanted.high
    return text is not None and wanted.low <= text < wanted.high


def test_a_filter_says_where_to_look_as_far_as_it_can() -> None:
    looked = {
        "team = claims": 1,
        "team = claims and year >= 2024 and not final = true": 2,
        "team = claims or path prefix drafts/": 1,
        "team = claims or not final = true": 0,
        "team exists": 0,
        "title = Heron": 0,
        "(team = claims and title = Heron) or updated_at > 2024-01-01": 1,
        " and ".join(f"k{each} = 1" for each in range(20)): 8,
    }
    assert {said: len(narrowed(asked_filter(said)).parts) for said in looked} == looked


@given(st.recursive(st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=3)
    | st.dictionaries(st.sampled_from(["type", "key", "value", "filters", "filter"]), inner, max_size=4), max_leaves=10,
) | st.text(alphabet="ab=<>!()[], \"'\\$andornotin12.-", max_size=30))  # fmt: skip
def test_anything_is_a_filter_or_a_refusal(said: object) -> None:
    with contextlib.suppress(InvalidRequest):
        assert compiled(asked_filter(said)).path


def test_a_filter_that_would_compare_each_document_with_thousands_of_values_is_refused() -> None:
    many = [{"type": "in", "key": f"k{n}", "value": [f"v{each}" for each in range(200)]} for n in range(6)]
    compiled(asked_filter({"type": "or", "filters": many[:5]}))
    with pytest.raises(InvalidRequest, match="more than 1,000 values"):
        compiled(asked_filter({"type": "or", "filters": many}))

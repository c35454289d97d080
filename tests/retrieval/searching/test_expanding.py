"""Passages that show more than a chunk: exact slices of the text, merged, within budgets, of readable chunks only."""

from __future__ import annotations

import itertools
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st
from retrieval_world import World

from headworks.retrieval.indexing import index
from headworks.retrieval.parsers import markdown
from headworks.retrieval.passages.chunking import ChunkSettings
from headworks.retrieval.passages.counting import estimated_tokens
from headworks.retrieval.searching.expanding import Around, Expansion, Part, expand, merged, read_expansion
from headworks.retrieval.store import Payloads
from headworks.types.ids import DocumentId
from headworks.types.retrieval import Passage
from headworks.types.workspace import ChunkingSpec

DOCUMENT = DocumentId(UUID(int=7))
lines = st.sampled_from(
    [
        "# Top",
        "## Part",
        "### Deep",
        "One sentence. Another one here!",
        "- an item",
        "| a | b |",
        "",
        "",
        "漢字。",
        "word " * 30,
    ]
)
texts = st.lists(lines, min_size=1, max_size=60).map("\n".join).filter(str.strip)
ways = st.builds(
    Expansion,
    parent_tokens=st.integers(0, 300),
    neighbours=st.integers(0, 3),
    passages_tokens=st.integers(20, 2000),
).filter(lambda each: each.neighbours or each.parent_tokens >= 40)


def around(text: str, *, tokens: int = 20, hidden: frozenset[int] = frozenset()) -> Around:
    settings = ChunkSettings(max_tokens=tokens)
    pieces = index.cut(markdown.parse("a.md", text.encode()), settings, estimated_tokens)
    return Around(
        {each.ordinal: Part(each.start, each.end, each.stored) for each in pieces if each.ordinal not in hidden}
    )


def hit(document: Around, ordinal: int, score: float = 1.0) -> Passage:
    part = document.parts[ordinal]
    return Passage(
        1, DOCUMENT, 3, "a.md", "A", part.stored.section, ordinal, part.start, part.end, part.stored.text, score
    )


def shown(document: Around, ordinals: list[int], how: Expansion) -> list[Passage]:
    found = [hit(document, ordinal, 1 / place) for place, ordinal in enumerate(ordinals, 1)]
    return merged(found, {(DOCUMENT, 3): document}, how)


@given(texts, st.data(), ways)
def test_passages_are_slices_of_the_text_that_do_not_overlap_best_first_and_within_the_budget(
    text: str, data: st.DataObject, how: Expansion
) -> None:
    stored = markdown.parse("a.md", text.encode()).text
    document = around(text)
    hidden = data.draw(st.frozensets(st.sampled_from(sorted(document.parts)), max_size=len(document.parts) - 1))
    readable = around(text, hidden=hidden)
    ordinals = data.draw(st.lists(st.sampled_from(sorted(readable.parts)), unique=True, min_size=1))
    found = shown(readable, ordinals, how)
    assert [each.number for each in found] == list(range(1, len(found) + 1))
    assert [each.score for each in found] == sorted((each.score for each in found), reverse=True)
    spans = sorted((each.start, each.end) for each in found)
    assert all(one[1] <= other[0] for one, other in itertools.pairwise(spans))
    for each in found:
        assert each.text == stored[each.start : each.end]
    for ordinal in hidden:
        part = document.parts[ordinal]
        middle = (part.start + part.end) // 2
        inside = [each for each in found if each.start <= part.start and part.end <= each.end]
        assert not inside, f"the hidden chunk around {middle} is shown"
    for ordinal in ordinals:
        part = readable.parts[ordinal]
        assert any(each.start <= part.start and part.end <= each.end for each in found)
    bare = sum(readable.parts[ordinal].stored.tokens for ordinal in ordinals)
    assert sum(estimated_tokens(each.text) for each in found) <= max(how.passages_tokens, bare) + bare


PLAN = "# Plan\n\nIntroduction.\n\n## Coverage\n\nVisits are paid.\n\n## Limits\n\n" + " ".join(
    f"Limit number {number} is twenty visits a year." for number in range(60)
)


def test_the_parent_is_the_widest_section_that_fits() -> None:
    small = "# Plan\n\n## Coverage\n\nVisits are paid.\n\n## Limits\n\nTwenty a year.\n\n# Forms\n\n" + "Form. " * 200
    document = around(small, tokens=40)
    (passage,) = shown(document, [1], Expansion(100, 0, 8000))
    assert passage.text.startswith("# Plan\n\n## Coverage")
    assert passage.text.endswith("Twenty a year.")
    assert passage.section == ("Plan",)
    assert passage.chunk == 1


def test_in_a_section_that_is_too_large_what_stands_around_the_chunk_is_shown() -> None:
    document = around(PLAN, tokens=40)
    whole = len(document.parts)
    middle = whole // 2
    (passage,) = shown(document, [middle], Expansion(200, 0, 8000))
    assert passage.section == ("Plan", "Limits")
    found = document.parts[middle]
    assert passage.start < found.start
    assert found.end < passage.end
    assert 120 < estimated_tokens(passage.text) <= 200


def test_neighbours_are_put_in_front_and_behind_and_what_touches_becomes_one() -> None:
    document = around(PLAN, tokens=40)
    how = Expansion(0, 1, 8000)
    (one,) = shown(document, [5], how)
    assert one.start == document.parts[4].start
    assert one.end == document.parts[6].end
    (both,) = shown(document, [7, 5], how)
    assert (both.start, both.end, both.chunk) == (document.parts[4].start, document.parts[8].end, 7)
    (three,) = shown(document, [4, 10, 7], how)
    assert (three.start, three.end, three.chunk) == (document.parts[3].start, document.parts[11].end, 4)


def test_a_passage_over_the_budget_is_shown_as_its_chunk() -> None:
    document = around(PLAN, tokens=40)
    first, second = shown(document, [4, 12], Expansion(0, 2, 200))
    assert len(first.text) > 3 * len(second.text)
    assert second.text == document.parts[12].stored.text


def test_what_is_gone_or_was_replaced_is_left_out() -> None:
    document = around(PLAN, tokens=40)
    how = Expansion(0, 1, 8000)
    gone = hit(document, 5)
    assert merged([gone], {}, how) == []
    assert merged([gone], {(DOCUMENT, 4): document}, how) == []
    other = around(PLAN.replace("twenty", "thirty"), tokens=40)
    assert merged([gone], {(DOCUMENT, 3): other}, how) == []


def test_a_gap_that_is_not_known_ends_a_passage() -> None:
    document = around(f"One.\n\n# Next{' ' * 2000}\n\nTwo.\n\n# Last\n\n{'Three. ' * 20}", tokens=16)
    far = around(f"One.{' ' * 5000}\n\n# Next\n\nTwo.", tokens=16)
    assert shown(document, [0], Expansion(0, 1, 8000))[0].text.startswith("One.\n\n# Next")
    assert [each.text for each in shown(far, [0], Expansion(0, 1, 8000))] == ["One."]


def test_without_settings_passages_are_chunks() -> None:
    assert read_expansion(None) is None
    assert read_expansion({}) is None
    how = read_expansion({"parent_tokens": 400, "neighbours": 0, "passages_tokens": 8000})
    assert how == Expansion(400, 0, 8000)
    assert how.radius == 11
    assert Expansion(0, 2, 8000).radius == 2


async def test_a_search_shows_the_section_around_the_chunk_as_soon_as_the_file_says_so(world: World) -> None:
    await world.collection("handbook", "everyone", chunking=ChunkingSpec(tokens=40))
    await world.add("handbook", "plan.md", PLAN)
    bare = (await world.search(world.admin, "handbook", "limit number 31")).passages[0]
    generations = world.count("generation")
    await world.collection("handbook", "everyone", chunking=ChunkingSpec(tokens=40, parent_tokens=300))
    assert await world.drain() == 0, "nothing is indexed anew"
    result = await world.search(world.admin, "handbook", "limit number 31", k=3)
    first = result.passages[0]
    assert world.count("generation") == generations
    assert "Limit number 31 " in bare.text
    assert bare.text in first.text
    assert len(first.text) > 4 * len(bare.text)
    assert first.text == PLAN[first.start : first.end]
    assert len(result.passages) <= 3
    spans = sorted((each.start, each.end) for each in result.passages)
    assert all(one[1] <= other[0] for one, other in itertools.pairwise(spans))


async def test_neighbours_do_not_take_places_of_other_documents(world: World) -> None:
    await world.collection("handbook", "everyone", chunking=ChunkingSpec(tokens=40, neighbours=1))
    for number in range(4):
        await world.hand_in("handbook", f"{number}.md", PLAN.replace("Limit", f"Limit of plan {number}:"))
    await world.drain()
    result = await world.search(world.admin, "handbook", "limit number 31", k=4)
    assert len(result.passages) == 4
    assert [each.number for each in result.passages] == [1, 2, 3, 4]


async def test_what_the_caller_may_not_read_is_not_shown_around_what_it_may(world: World) -> None:
    await world.collection(
        "handbook", "everyone", documents=[("closed.md", ("administrators",))],
        chunking=ChunkingSpec(tokens=40, neighbours=3),
    )  # fmt: skip
    await world.hand_in("handbook", "closed.md", PLAN.replace("year", "zephyr"))
    await world.hand_in("handbook", "open.md", PLAN)
    await world.drain()
    bob = await world.person("bob")
    found = (await world.search(bob, "handbook", "limit number 31 zephyr", k=6)).passages
    assert found
    assert {each.path for each in found} == {"open.md"}
    assert not any("zephyr" in each.text for each in found)


async def test_a_right_that_ends_between_finding_and_showing_ends_the_passage(world: World) -> None:
    await world.collection("handbook", "everyone", chunking=ChunkingSpec(tokens=40))
    await world.add("handbook", "plan.md", PLAN)
    bob = await world.person("bob")
    found = (await world.search(bob, "handbook", "limit number 31")).passages
    row = world.behind.execute("SELECT generation_id FROM collection").fetchone()
    assert row is not None
    await world.collection("handbook", "administrators", chunking=ChunkingSpec(tokens=40))
    await world.keyring.ensure(world.db, bob.tenant)
    payloads = Payloads(world.keyring, bob.tenant)
    async with world.db.tx(bob) as tx:
        assert await expand(tx, bob, payloads, row[0], found, Expansion(300, 0, 8000)) == []
    async with world.db.tx(world.admin) as tx:
        assert len(await expand(tx, world.admin, payloads, row[0], found, Expansion(300, 0, 8000))) > 0

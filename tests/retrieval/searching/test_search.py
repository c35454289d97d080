"""Search through the service: both legs, only what the caller may read, and honest about what it could not do."""

from __future__ import annotations

import asyncio

import pytest
from retrieval_world import World

from headworks.errors import InvalidRequest, ModelMissing, NotFound
from headworks.types.features import RetrievalSettings

LEAVE = "# Leave\n\nParental leave is twelve weeks, and it is paid in full.\n\n## Sick leave\n\nCall before nine.\n"
PAY = "# Pay\n\nSalaries are paid on the 25th of each month. Expenses are paid within a week.\n"


async def test_the_best_passage_comes_first_with_its_place_and_section(world: World) -> None:
    await world.collection("handbook", "everyone")
    await world.add("handbook", "people/leave.md", LEAVE)
    await world.add("handbook", "pay.md", PAY)
    found = await world.search(world.admin, "handbook", "how many weeks is parental leave?")
    first = found.passages[0]
    assert (first.number, first.path, first.title, first.section) == (1, "people/leave.md", "Leave", ("Leave",))
    assert first.text == LEAVE[first.start : first.end]
    assert "twelve weeks" in first.text
    assert found.ranking == "hybrid"
    assert found.notice == ""
    assert [each.number for each in found.passages] == list(range(1, len(found.passages) + 1))
    scores = [each.score for each in found.passages]
    assert scores == sorted(scores, reverse=True)


async def test_a_word_of_a_heading_finds_the_chunks_below_it(world: World) -> None:
    await world.collection("handbook", "everyone")
    text = "# Kestrel manual\n\n" + "\n\n".join(f"## Part {n}\n\nTurn the handle {n} times." for n in range(4))
    await world.add("handbook", "kestrel.md", text)
    await world.add("handbook", "pay.md", PAY)
    found = await world.search(world.admin, "handbook", "kestrel", k=4)
    assert {each.path for each in found.passages[:4]} == {"kestrel.md"}


async def test_a_feature_gets_as_many_passages_as_its_settings_say(world: World) -> None:
    await world.collection("handbook", "everyone")
    for number in range(5):
        await world.hand_in("handbook", f"{number}.md", f"# Note {number}\n\nThe canteen opens at {number}.")
    await world.drain()
    found = await world.retrieval.passages(world.admin, RetrievalSettings("handbook", 3), "canteen opens")
    assert [each.number for each in found.passages] == [1, 2, 3]


async def test_only_what_the_caller_may_read_is_found_by_words_and_by_vectors(world: World) -> None:
    await world.collection("handbook", "everyone", documents=[("board/**", ("administrators",))])
    await world.add("handbook", "board/merger.md", "# Merger\n\nThe merger with Zephyr closes in May.")
    await world.add("handbook", "open.md", "# Open\n\nThe merger of the two canteens closes the old one.")
    bob = await world.person("bob")
    assert await world.found(world.admin, "handbook", "merger with Zephyr") == ["board/merger.md", "open.md"]
    assert await world.found(bob, "handbook", "merger with Zephyr") == ["open.md"]
    world.models.is_missing = True
    assert await world.found(bob, "handbook", "merger with Zephyr") == ["open.md"], "by keywords only"
    assert await world.found(bob, "handbook", "Zephyr") == []
    world.models.is_missing = False
    assert await world.found(bob, "handbook", "qqqq") == ["open.md"], "by vectors only: the nearest, however far"


async def test_many_unreadable_hits_do_not_crowd_out_the_few_readable_ones(world: World) -> None:
    await world.collection("handbook", "everyone", documents=[("closed/**", ("administrators",))])
    for number in range(40):
        body = "\n\n".join(f"## {part}\n\nheron heron heron heron {part}" for part in range(10))
        await world.hand_in("handbook", f"closed/{number:02}.md", body)
    await world.hand_in("handbook", "open.md", "# Open\n\nOnce a heron was seen by the pond, far from everything else.")
    await world.drain()
    bob = await world.person("bob")
    world.models.is_missing = True
    assert world.count("chunk") > 400
    assert await world.found(bob, "handbook", "heron") == ["open.md"]


async def test_a_collection_without_rights_reads_as_one_that_is_not_there(world: World) -> None:
    await world.collection("closed", "administrators")
    await world.add("closed", "a.md", LEAVE)
    await world.collection("open", "everyone")
    bob = await world.person("bob")
    messages = []
    for name in ("closed", "absent"):
        with pytest.raises(NotFound) as caught:
            await world.search(bob, name, "leave")
        messages.append(str(caught.value).replace(name, "NAME"))
    assert messages[0] == messages[1]
    assert "There is no collection `NAME` that you may read. There is `open`." in messages[0]


async def test_a_wrong_name_is_answered_with_near_ones(world: World) -> None:
    await world.collection("handbook", "everyone")
    with pytest.raises(NotFound, match="Did you mean `handbook`"):
        await world.search(world.admin, "handbok", "leave")


async def test_without_the_model_keywords_decide_and_the_result_says_so(world: World) -> None:
    await world.collection("handbook", "everyone")
    await world.add("handbook", "leave.md", LEAVE)
    world.models.is_missing = True
    found = await world.search(world.admin, "handbook", "parental leave")
    assert found.ranking == "keywords"
    assert found.notice == "By keywords only: the model builtin/minilm is not installed."
    assert found.passages[0].path == "leave.md"


async def test_a_question_is_embedded_once_as_the_caller_for_its_purpose(world: World) -> None:
    await world.collection("handbook", "everyone")
    await world.add("handbook", "leave.md", LEAVE)
    bob = await world.person("bob")
    world.models.calls.clear()
    await world.search(bob, "handbook", "parental leave")
    assert world.models.calls == [("bob", "embed_query", 1)]


async def test_an_empty_collection_finds_nothing_and_asks_no_model(world: World) -> None:
    await world.collection("handbook", "everyone")
    found = await world.search(world.admin, "handbook", "anything")
    assert (found.passages, found.notice) == ([], "")
    assert world.models.calls == []


@pytest.mark.parametrize(
    ("query", "k", "message"), [("  ", 5, "empty"), ("x", 0, "`k` is 0"), ("x", 101, "`k` is 101")]
)
async def test_what_can_not_be_searched_is_refused(world: World, query: str, k: int, message: str) -> None:
    await world.collection("handbook", "everyone")
    with pytest.raises(InvalidRequest, match=message):
        await world.search(world.admin, "handbook", query, k)


async def test_any_text_is_a_query(world: World) -> None:
    await world.collection("handbook", "everyone")
    await world.add("handbook", "leave.md", LEAVE)
    for query in ("' OR 1=1 --", "%(tenant)s", "\x00 nul", "🦉" * 5_000, "the of and", "[1] \\"):
        await world.search(world.admin, "handbook", query)


async def test_a_revoked_right_holds_from_the_next_search(world: World) -> None:
    bob = await world.person("bob", "clinic")
    await world.collection("handbook", "clinic", "administrators")
    await world.add("handbook", "leave.md", LEAVE)
    assert await world.found(bob, "handbook", "leave")
    await world.identity.remove_member(world.admin, "clinic", "bob")
    with pytest.raises(NotFound):
        await world.search(bob, "handbook", "leave")


async def test_a_narrowed_key_reads_only_through_its_groups(world: World) -> None:
    await world.person("bob", "clinic", "claims")
    await world.collection("handbook", "clinic", "claims", documents=[("claims/**", ("claims",)), ("bob/**", ("bob",))])
    for path in ("claims/a.md", "bob/b.md", "c.md"):
        await world.add("handbook", path, f"# {path}\n\nA note about leave.")
    whole = await world.key("bob")
    narrow = await world.key("bob", groups=("clinic",))
    nobody = await world.key("bob", groups=())
    assert sorted(await world.found(whole, "handbook", "leave")) == ["bob/b.md", "c.md", "claims/a.md"]
    assert await world.found(narrow, "handbook", "leave") == ["c.md"], "not through claims, nor as bob himself"
    with pytest.raises(NotFound):
        await world.search(nobody, "handbook", "leave")


async def test_a_revoked_key_finds_nothing_from_the_next_statement(world: World) -> None:
    await world.collection("handbook", "everyone")
    await world.add("handbook", "leave.md", LEAVE)
    bob = await world.person("bob")
    assert await world.found(bob, "handbook", "leave")
    assert bob.key is not None
    await world.identity.revoke_key(world.admin, str(bob.key))
    with pytest.raises(NotFound):
        await world.search(bob, "handbook", "leave")


async def test_tenants_have_collections_of_the_same_name_and_see_their_own(world: World) -> None:
    other = await world.tenant("acme")
    for maker, text in ((world.admin, "# A\n\nOur heron."), (other, "# B\n\nTheir heron.")):
        await world.collection("handbook", "everyone", maker=maker)
        await world.add("handbook", "a.md", text, by=maker)
    for who, text in ((world.admin, "Our heron."), (other, "Their heron.")):
        found = await world.search(who, "handbook", "heron")
        assert [text in each.text for each in found.passages] == [True]


async def test_searches_at_the_same_time_do_not_mix(world: World) -> None:
    alice, bob = await world.person("alice"), await world.person("bob")
    await world.collection("handbook", "everyone", documents=[("a/**", ("alice",)), ("b/**", ("bob",))])
    for path in ("a/1.md", "b/1.md"):
        await world.add("handbook", path, "# Note\n\nA heron.")
    results = await asyncio.gather(*(world.found(who, "handbook", "heron") for who in (alice, bob) * 20))
    assert results == [["a/1.md"], ["b/1.md"]] * 20


async def test_either_leg_can_be_asked_for_alone(world: World) -> None:
    await world.collection("handbook", "everyone")
    await world.add("handbook", "leave.md", LEAVE)
    await world.add("handbook", "pay.md", PAY)
    for ranking, expected in (("keywords", ["leave.md"]), ("vectors", ["leave.md", "leave.md", "pay.md"])):
        found = await world.retrieval.search(world.admin, "handbook", "parental", 10, ranking=ranking)  # type: ignore[arg-type] # a plain value
        assert (found.ranking, sorted(each.path for each in found.passages), found.notice) == (ranking, expected, "")
    world.models.is_missing = True
    with pytest.raises(ModelMissing, match="No ranking by vectors: the model builtin/minilm is not installed"):
        await world.retrieval.search(world.admin, "handbook", "parental", 10, ranking="vectors")

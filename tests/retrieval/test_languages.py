"""A collection of several languages: each is found by its own words, however they are formed."""

from __future__ import annotations

from retrieval_world import World

from headworks.types.workspace import ChunkingSpec

GERMAN = (
    "# Leistungen\n\nDie Versicherten haben Anspruch auf die Erstattung der Kosten für Häuser und Heime der Pflege.\n"
)
ENGLISH = "# Benefits\n\nMembers have a right to be paid for the houses and the homes of care if they are approved.\n"
JAPANESE = "# 給付\n\n健康保険の給付は毎年二十回まで支払われます。\n"
RUSSIAN = "# Выплаты\n\nСтраховые выплаты не производятся без полиса и заявления.\n"


async def test_each_document_is_found_by_other_forms_of_its_words(world: World) -> None:
    await world.collection("handbook", "everyone")
    for name, text in (("de", GERMAN), ("en", ENGLISH), ("ja", JAPANESE), ("ru", RUSSIAN)):
        await world.hand_in("handbook", f"{name}.md", text)
    await world.drain()
    world.models.is_missing = True
    assert await world.found(world.admin, "handbook", "das Haus") == ["de.md"]
    assert await world.found(world.admin, "handbook", "a house") == ["en.md"]
    assert await world.found(world.admin, "handbook", "保険の給付") == ["ja.md"]
    assert await world.found(world.admin, "handbook", "выплата по полису") == ["ru.md"]
    assert await world.found(world.admin, "handbook", "haeuser") == ["de.md"]
    languages = world.behind.execute("SELECT languages FROM generation").fetchone()
    assert languages == (["de", "en"],)


async def test_a_language_that_comes_later_is_asked_for_from_then_on(world: World) -> None:
    await world.collection("handbook", "everyone")
    world.models.is_missing = True
    await world.add("handbook", "en.md", ENGLISH)
    assert await world.found(world.admin, "handbook", "ein Haus") == []
    await world.add("handbook", "de.md", GERMAN)
    assert await world.found(world.admin, "handbook", "ein Haus") == ["de.md"]
    assert await world.found(world.admin, "handbook", "ein Haus") == ["de.md"], "also when it is known before"


async def test_a_language_may_be_said_and_another_one_is_a_new_generation(world: World) -> None:
    await world.collection("handbook", "everyone", chunking=ChunkingSpec(language="en"))
    await world.add("handbook", "de.md", GERMAN)
    world.models.is_missing = True
    assert await world.found(world.admin, "handbook", "Haus") == []
    world.models.is_missing = False
    await world.collection("handbook", "everyone", chunking=ChunkingSpec(language="de"))
    await world.drain()
    world.models.is_missing = True
    assert await world.found(world.admin, "handbook", "Haus") == ["de.md"]
    assert world.count("generation") == 1
    assert world.count("posting", "term LIKE 'de:%'") > 0

"""One file of ten million characters, from the hand-in through its parser's process to what a search finds of it."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import psycopg
from retrieval_world import make_world

from headworks.retrieval.parsers.isolation.sandbox import ParserPool
from headworks.storage.pool import Database
from headworks.storage.sealing import Keyring

CHARACTERS = 10_000_000
_RARE = {"first": "okapi", "middle": "quokka", "last": "axolotl"}


def _text() -> str:
    """Sentences of which no two are the same, some with letters of two bytes; three words stand in it once."""
    sentences, length, number = [f"The {_RARE['first']} sleeps.\n\n"], 0, 0
    has_middle = False
    while length < CHARACTERS - 1_000:
        number += 1
        end = "\n\n" if number % 20 == 0 else " "
        sentence = f"Over the pond of Zürich number {number} a heron waits for {number % 97} fish and flies away.{end}"
        if not has_middle and length > CHARACTERS // 2:
            has_middle, sentence = True, f"There the {_RARE['middle']} eats. {sentence}"
        sentences.append(sentence)
        length += len(sentence)
    end = f"\n\nAt last the {_RARE['last']} swims."
    text = "".join(sentences)
    return text + "." * (CHARACTERS - len(text) - len(end)) + end


async def test_a_file_of_ten_million_characters_is_found_from_its_first_to_its_last_sentence(
    database: Database, keyring: Keyring, as_superuser: psycopg.Connection[Any]
) -> None:
    """Without vectors: those are the embedding model's time."""
    parsers, text = ParserPool(), _text()
    assert len(text) == CHARACTERS < len(text.encode())
    world = await make_world(database, keyring, as_superuser, parsers, max_file_mb=64)
    world.models.is_missing = True
    try:
        await world.collection("handbook", "everyone")
        await world.add("handbook", "long.txt", text)
    finally:
        await parsers.close()
    progress = await world.progress("handbook")
    assert (progress.done, progress.documents, progress.failed) == (1, 1, ())
    places = [text.index(word) for word in _RARE.values()]
    for word, place in zip(_RARE.values(), places, strict=True):
        (passage,) = (await world.search(world.admin, "handbook", word)).passages
        assert passage.start <= place < passage.end
        assert passage.text == text[passage.start : passage.end]
    assert (await world.retrieval.document(world.admin, passage.document)).text == text
    assert len(await world.found(world.admin, "handbook", "heron", 50)) == 50
    chunks = as_superuser.execute("SELECT start_offset, end_offset FROM chunk ORDER BY ordinal").fetchall()
    assert len(chunks) > 1_000
    assert (chunks[0][0], chunks[-1][1]) == (0, CHARACTERS)
    assert all(not text[end:start].strip() for (_, end), (start, _) in pairwise(chunks)), "no word is in none"

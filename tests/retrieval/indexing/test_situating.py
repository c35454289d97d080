"""What a model writes about chunks: found by it, asked for once, kept over a crash, gone with the document."""

from __future__ import annotations

import json
from dataclasses import dataclass, field

import pytest
from retrieval_world import World

from headworks.errors import UpstreamError
from headworks.retrieval.indexing import situating
from headworks.types.models import Completion, ModelCall, Prompt, Usage
from headworks.types.workspace import ChunkingSpec

TEXT = "# Limits\n\n" + "\n\n".join(
    f"## Part {number}\n\nTwenty visits of kind {number} are paid." for number in range(6)
)
SETTINGS = ChunkingSpec(tokens=150, context_model="writer")


class Killed(BaseException):
    """As if the process ended."""


@dataclass
class Writer:
    """A model that writes a word of its own about each chunk. It can be away, or be killed while it writes."""

    asked: list[tuple[str, str, str]] = field(default_factory=list)
    is_away: bool = False
    dies_at: int | None = None

    async def __call__(self, call: ModelCall, prompt: Prompt) -> Completion:
        if self.dies_at == len(self.asked):
            raise Killed
        part = json.loads(prompt.messages[-1].content)["part"]
        self.asked.append((call.principal.name, call.purpose, part))
        if self.is_away:
            raise UpstreamError("The model is away.")
        number = part[part.index("kind ") + 5]
        return Completion(f"This is the\nzebra{number} rule of the plan." + " filler" * 200, "stop", Usage())


@pytest.fixture
def writer(world: World, monkeypatch: pytest.MonkeyPatch) -> Writer:
    found = Writer()
    monkeypatch.setattr(world.models, "complete", found)
    return found


async def test_a_chunk_is_found_by_what_was_written_about_it_and_shown_as_it_is(world: World, writer: Writer) -> None:
    await world.collection("handbook", "everyone", chunking=SETTINGS)
    await world.add("handbook", "limits.md", TEXT)
    assert len(writer.asked) == 6
    assert {(name, purpose) for name, purpose, _ in writer.asked} == {("curator", "contextualise")}
    world.models.is_missing = True
    found = (await world.search(world.admin, "handbook", "zebra4")).passages
    assert [each.text for each in found] == ["## Part 4\n\nTwenty visits of kind 4 are paid."]
    assert world.count("posting", "term = 'filler'") == 1, "as much as fits stays"
    assert (await world.progress("handbook")).notice == ""
    stored = world.behind.execute("SELECT string_agg(content, ''::bytea) FROM chunk_context").fetchone()
    assert stored is not None
    assert b"zebra" not in stored[0]


async def test_nobody_writes_unless_the_file_says_so(world: World, writer: Writer) -> None:
    await world.collection("handbook", "everyone")
    await world.add("handbook", "limits.md", TEXT)
    assert writer.asked == []
    assert world.count("chunk_context") == 0


async def test_other_weights_or_the_same_text_again_ask_for_nothing(world: World, writer: Writer) -> None:
    await world.collection("handbook", "everyone", chunking=SETTINGS)
    await world.add("handbook", "limits.md", TEXT)
    world.models.digest = "sha256:words-2"
    await world.search(world.admin, "handbook", "visits")
    await world.add("handbook", "other.md", "# Other\n\nThis one is of kind 9.")
    assert world.count("generation", "model_digest = 'sha256:words-2'") == 1
    assert len(writer.asked) == 7
    world.models.is_missing = True
    assert await world.found(world.admin, "handbook", "zebra4") == ["limits.md"]


async def test_another_model_writes_anew(world: World, writer: Writer) -> None:
    await world.collection("handbook", "everyone", chunking=SETTINGS)
    await world.add("handbook", "limits.md", TEXT)
    await world.collection("handbook", "everyone", chunking=ChunkingSpec(tokens=150, context_model="other/model"))
    await world.drain()
    assert len(writer.asked) == 12
    assert world.count("generation") == 1


async def test_a_model_that_is_away_costs_the_sentence_only_and_is_counted(world: World, writer: Writer) -> None:
    writer.is_away = True
    await world.collection("handbook", "everyone", chunking=SETTINGS)
    await world.add("handbook", "limits.md", TEXT)
    assert len(await world.found(world.admin, "handbook", "visits")) == 6
    progress = await world.progress("handbook")
    assert (progress.done, progress.failed) == (1, ())
    assert progress.notice == "6 chunks were indexed without what writer was to write about them: it did not answer."


async def test_a_model_that_stays_away_is_not_asked_about_every_chunk_of_a_long_document(
    world: World, writer: Writer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(situating, "_KEPT_AT_ONCE", 2)
    writer.is_away = True
    await world.collection("handbook", "everyone", chunking=SETTINGS)
    await world.add("handbook", "limits.md", TEXT)
    assert len(writer.asked) == 2
    assert "6 chunks" in (await world.progress("handbook")).notice


async def test_after_a_kill_what_was_written_is_not_asked_for_again(
    world: World, writer: Writer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(situating, "_KEPT_AT_ONCE", 2)
    await world.collection("handbook", "everyone", chunking=SETTINGS)
    writer.dies_at = 4
    await world.hand_in("handbook", "limits.md", TEXT)
    with pytest.raises(Killed):
        await world.drain()
    assert world.count("chunk") == 0
    assert world.count("chunk_context") == 4
    writer.dies_at = None
    await world.retrieval.catch_up()
    await world.drain()
    assert len(writer.asked) == 6
    assert world.count("chunk") == 6


async def test_what_was_written_goes_with_the_last_document_of_that_content(world: World, writer: Writer) -> None:
    await world.collection("handbook", "everyone", chunking=SETTINGS)
    await world.add("handbook", "a.md", TEXT)
    await world.add("handbook", "b.md", TEXT)
    assert world.count("chunk_context") == 6
    await world.add("handbook", "a.md", "# Other\n\nThis one is of kind 9.")
    assert world.count("chunk_context") == 7
    await world.add("handbook", "b.md", "# Other\n\nThis one is of kind 9.")
    assert world.count("chunk_context") == 1
    assert len(writer.asked) == 7

"""From the text of a document to the pieces that a generation indexes, by its settings."""

from __future__ import annotations

import asyncio
from typing import Any, Protocol

from headworks.retrieval import collections
from headworks.retrieval.indexing import index
from headworks.retrieval.indexing.situating import Content, Situated, Situating
from headworks.retrieval.passages.counting import Vocabularies


class Settings(Protocol):
    """What a generation is made by: a row of it, or of a collection with its live one."""

    @property
    def model(self) -> str:
        """The embedding model, by whose tokens a chunk's length is counted."""
        ...

    @property
    def chunking(self) -> dict[str, Any]:
        """As `ChunkingSpec.of_index` gives it."""
        ...


class Cutting:
    """Cuts documents; asks a model about each chunk where the settings name one."""

    def __init__(self, vocabularies: Vocabularies, situating: Situating) -> None:
        self._vocabularies = vocabularies
        self._situating = situating

    async def pieces(self, place: index.Place, settings: Settings, content: Content) -> Situated:
        """The chunks of one document, in order."""
        cut = await asyncio.to_thread(self._cut, settings, content)
        count = self._vocabularies.of(settings.model)
        return await self._situating.situated(place, settings.chunking.get("context", ""), content, cut, count)

    def _cut(self, settings: Settings, content: Content) -> list[index.Piece]:
        how = collections.chunk_settings(settings.chunking)
        return index.cut(content.parsed, how, self._vocabularies.of(settings.model))


def language_of(settings: Settings) -> str:
    """The one that all words in Latin letters are taken for, or auto."""
    return str(settings.chunking.get("language", index.AUTO))

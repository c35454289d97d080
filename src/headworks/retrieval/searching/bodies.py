"""What `POST /api/search` takes and gives."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from headworks.retrieval.contract import Ranking, Reasons, SearchResult, Wanted
from headworks.retrieval.searching.filters import asked_filter
from headworks.types.models import Message
from headworks.types.search import SETTINGS

_MOST_TURNS = 100


class _Body(BaseModel):
    """What callers send: unknown fields are errors."""

    model_config = ConfigDict(extra="forbid", strict=True)


class Turn(_Body):
    """`{"role": "user", "content": "And for fathers?"}`: a turn of a conversation before the query."""

    role: Literal["user", "assistant"]
    content: str


class Query(_Body):
    """`{"collection": "handbook", "query": "how long is parental leave", "k": 6}`; k is 1 to 100.

    `ranking` is hybrid (by keywords alone where the embedding model is missing), keywords or vectors. `filter` is a
    tree or a line, over metadata and facts of documents. `explain` asks why each passage stands where it does.
    `history` is for `rewrite`. The other fields are settings in place of the collection's own, `false` turns one off;
    a model that the collection's file does not name needs `model:call`.
    """

    collection: str
    query: str
    k: int = 6
    ranking: Ranking = "hybrid"
    filter: dict[str, Any] | str | None = None
    explain: bool = False
    history: list[Turn] = Field(default=[], max_length=_MOST_TURNS)
    keyword_weight: float | None = None
    decay: dict[str, Any] | bool | None = None
    per_document: int | bool | None = None
    mmr: float | bool | None = None
    synonyms: bool | None = None
    rewrite: dict[str, Any] | bool | None = None
    rerank: dict[str, Any] | bool | None = None

    def wanted(self) -> Wanted:
        """What is asked for beside the query. InvalidRequest for a filter that says nothing."""
        given = {name: value for name in SETTINGS if (value := getattr(self, name)) is not None}
        return Wanted(
            None if self.filter is None else asked_filter(self.filter),
            changes=given,
            history=tuple(Message(each.role, each.content) for each in self.history),
            explains=self.explain,
        )


class Found(BaseModel):
    """One passage: `start` and `end` count the characters of the document's stored text, `chunk` its chunks from 0."""

    document: UUID
    version: int
    title: str
    path: str
    section: list[str]
    chunk: int
    score: float
    start: int
    end: int
    text: str
    metadata: dict[str, Any] = {}
    reasons: Reasons | None = None


class FoundRows(BaseModel):
    """Passages, best first. `ranking` is how they were ranked; `notice` says what kept something out of it.

    `queries` are what was looked for, where a model made something else of the query.
    """

    rows: list[Found]
    ranking: str
    notice: str
    queries: list[str] = []

    @classmethod
    def of(cls, found: SearchResult) -> FoundRows:
        """What a search found."""
        rows = [
            Found(
                **{**asdict(each), "section": list(each.section)},
                metadata=dict(found.metadata.get(each.document, {})),
                reasons=found.reasons.get((each.document, each.chunk)),
            )
            for each in found.passages
        ]
        return cls(rows=rows, ranking=found.ranking, notice=found.notice, queries=list(found.queries))

"""A retriever for LlamaIndex: `pip install headworks[llama-index]`.

retriever = HeadworksRetriever("hw_…", "handbook", k=4, filter="year >= 2024")
retriever.retrieve("how long is parental leave?")
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

from llama_index.core.base.base_retriever import BaseRetriever
from llama_index.core.schema import NodeWithScore, QueryBundle, TextNode

from headworks.adapters.searching import Searching


class HeadworksRetriever(BaseRetriever):
    """Passages of a collection that the key may read. Raises SearchFailed."""

    def __init__(
        self,
        key: str,
        collection: str,
        *,
        url: str = "http://127.0.0.1:8484",
        k: int = 6,
        filter: str | Mapping[str, Any] | None = None,  # noqa: A002 -- as the request calls it
        settings: Mapping[str, Any] | None = None,
        timeout_s: float = 60.0,
    ) -> None:
        """`filter` is a tree or a line as `POST /api/search` takes it, `settings` are its other fields."""
        super().__init__()
        self._searching = Searching(key, collection, url, timeout_s)
        self._k = k
        self._more = {**(settings or {}), "filter": filter}

    def _retrieve(self, query_bundle: QueryBundle) -> list[NodeWithScore]:
        found = self._searching.search(query_bundle.query_str, self._k, self._more)
        return [
            NodeWithScore(node=TextNode(id_=each.id, text=each.text, metadata=each.metadata), score=each.score)
            for each in found
        ]

    async def _aretrieve(self, query_bundle: QueryBundle) -> list[NodeWithScore]:
        return await asyncio.to_thread(self._retrieve, query_bundle)

"""A retriever for LangChain: `pip install headworks[langchain]`.

retriever = HeadworksRetriever(key="hw_…", collection="handbook", k=4, filter="year >= 2024")
retriever.invoke("how long is parental leave?")
"""

from __future__ import annotations

import asyncio
from typing import Any

from langchain_core.callbacks import AsyncCallbackManagerForRetrieverRun, CallbackManagerForRetrieverRun
from langchain_core.documents import Document
from langchain_core.retrievers import BaseRetriever
from pydantic import Field, SecretStr

from headworks.adapters.searching import Searching


class HeadworksRetriever(BaseRetriever):
    """Passages of a collection that the key may read. Raises SearchFailed.

    `filter` is a tree or a line as `POST /api/search` takes it, `settings` are its other fields.
    """

    key: SecretStr
    collection: str
    url: str = "http://127.0.0.1:8484"
    k: int = 6
    filter: str | dict[str, Any] | None = None
    settings: dict[str, Any] = Field(default_factory=dict)
    timeout_s: float = 60.0

    def _get_relevant_documents(
        self, query: str, *, run_manager: CallbackManagerForRetrieverRun | None = None
    ) -> list[Document]:
        del run_manager
        where = Searching(self.key.get_secret_value(), self.collection, self.url, self.timeout_s)
        more = {**self.settings, "filter": self.filter}
        return [
            Document(id=each.id, page_content=each.text, metadata={**each.metadata, "score": each.score})
            for each in where.search(query, self.k, more)
        ]

    async def _aget_relevant_documents(
        self, query: str, *, run_manager: AsyncCallbackManagerForRetrieverRun | None = None
    ) -> list[Document]:
        del run_manager
        return await asyncio.to_thread(self._get_relevant_documents, query)

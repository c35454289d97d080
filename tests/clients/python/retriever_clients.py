"""LlamaIndex's and Haystack's own pipelines over our retrievers; prints one JSON object of what they saw."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

os.environ["HAYSTACK_TELEMETRY_ENABLED"] = "false"
sys.path.insert(0, str(Path(__file__).parents[3] / "src"))

from haystack import Pipeline
from haystack.utils import Secret

from headworks.adapters import haystack, llama_index

URL, KEY = os.environ["HEADWORKS_TEST_URL"], os.environ["HEADWORKS_TEST_KEY"]
ASKED = "how many weeks is parental leave"


def llama_sync() -> Any:
    found = llama_index.HeadworksRetriever(KEY, "handbook", url=URL, k=2, filter="year = 2024").retrieve(ASKED)
    return [[each.node.metadata["path"], each.node.get_content(), each.node.metadata["year"]] for each in found]


def llama_async() -> Any:
    retriever = llama_index.HeadworksRetriever(KEY, "handbook", url=URL, settings={"ranking": "keywords"})
    found = asyncio.run(retriever.aretrieve(ASKED))
    return [each.node.metadata["path"] for each in found], found[0].score


def llama_refused() -> Any:
    return llama_index.HeadworksRetriever("hw_no", "handbook", url=URL).retrieve(ASKED)


def haystack_pipeline() -> Any:
    os.environ["HEADWORKS_API_KEY"] = KEY
    year = {"field": "meta.year", "operator": "==", "value": 2024}
    key = Secret.from_env_var("HEADWORKS_API_KEY")
    pipeline = Pipeline()
    pipeline.add_component("retriever", haystack.HeadworksRetriever(key, "handbook", url=URL, filters=year))
    stored = Pipeline.from_dict(pipeline.to_dict(), allowed_modules=["headworks.adapters.*"])
    more = {"operator": "NOT", "conditions": [{"field": "meta.path", "operator": "in", "value": ["x.md"]}]}
    found = stored.run({"retriever": {"query": ASKED, "top_k": 1, "filters": more}})["retriever"]["documents"]
    return [[each.meta["path"], each.content, each.meta["year"]] for each in found], KEY in json.dumps(stored.to_dict())


def haystack_operator() -> Any:
    retriever = haystack.HeadworksRetriever(Secret.from_token(KEY), "handbook", url=URL)
    return retriever.run(ASKED, {"field": "meta.year", "operator": "~", "value": 1})


CHECKS: tuple[Callable[[], Any], ...] = (llama_sync, llama_async, llama_refused, haystack_pipeline, haystack_operator)


def main() -> None:
    """All of them."""
    saw = {}
    for check in CHECKS:
        try:
            saw[check.__name__] = check()
        except Exception as error:  # noqa: BLE001 -- what was raised is what was seen
            saw[check.__name__] = {"raised": type(error).__name__, "said": str(error)}
    print(json.dumps(saw))


if __name__ == "__main__":
    main()

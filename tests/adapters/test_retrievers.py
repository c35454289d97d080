"""Retrievers of other frameworks against a running server: LangChain here, LlamaIndex and Haystack in a process."""

from __future__ import annotations

import asyncio
import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
from langchain_core.output_parsers import StrOutputParser
from langchain_core.runnables import RunnableLambda
from running_server import Server

from headworks.adapters.langchain import HeadworksRetriever
from headworks.adapters.searching import SearchFailed, Searching

LEAVE = "Parental leave is twelve weeks, paid in full."
ASKED = "how many weeks is parental leave"
SCRIPT = Path(__file__).parents[1] / "clients" / "python" / "retriever_clients.py"


@pytest.fixture(scope="module")
def shelf(server: Server) -> Server:
    own = server.as_tenant("adapters")
    own.apply({"collections/handbook.yaml": "readers: [everyone]\n"})
    own.hand_in("handbook", "leave.md", f"---\nyear: 2024\n---\n# Leave\n\n{LEAVE}\n")
    own.hand_in("handbook", "old.md", "---\nyear: 2001\n---\n# Leave\n\nParental leave was four weeks.\n")
    assert own.worked_on("handbook")["failed"] == []
    return own


def retriever(shelf: Server, **more: Any) -> HeadworksRetriever:
    return HeadworksRetriever(key=shelf.admin_key, url=shelf.url, collection="handbook", **more)  # type: ignore[arg-type]


def test_langchain_finds_filters_and_stands_in_a_chain(shelf: Server) -> None:
    found = retriever(shelf, k=1, filter="year = 2024").invoke(ASKED)
    assert [(each.metadata["path"], each.metadata["year"]) for each in found] == [("leave.md", 2024)]
    assert LEAVE in found[0].page_content
    assert found[0].metadata["score"] > 0
    chain = retriever(shelf, settings={"ranking": "keywords"}) | RunnableLambda(lambda found: found[0].page_content)
    assert "leave" in (chain | StrOutputParser()).invoke(ASKED)
    later = asyncio.run(retriever(shelf, filter={"type": "lt", "key": "year", "value": 2010}).ainvoke(ASKED))
    assert {each.metadata["path"] for each in later} == {"old.md"}
    assert shelf.admin_key not in repr(retriever(shelf))


def test_a_refusal_is_told_in_the_server_s_words(shelf: Server) -> None:
    with pytest.raises(SearchFailed, match="no collection `handbok`") as caught:
        Searching(shelf.admin_key, "handbok", shelf.url).search(ASKED, 3)
    assert (caught.value.status, caught.value.code) == (404, "not_found")
    with pytest.raises(SearchFailed, match="can't be reached") as caught:
        Searching("key", "handbook", "http://127.0.0.1:9").search(ASKED, 3)
    assert caught.value.status is None
    assert "secret" not in repr(Searching("secret", "handbook"))


def test_llama_index_and_haystack_find_the_same(shelf: Server, clients_python: Path) -> None:
    environ = {"HEADWORKS_TEST_URL": shelf.url, "HEADWORKS_TEST_KEY": shelf.admin_key, "PATH": "/usr/bin:/bin"}
    done = subprocess.run(
        [str(clients_python), str(SCRIPT)], env=environ, capture_output=True, text=True, timeout=240, check=False
    )
    assert done.returncode == 0, done.stderr
    saw = json.loads(done.stdout.splitlines()[-1])
    (path, text, year), *_ = saw["llama_sync"]
    assert (path, year) == ("leave.md", 2024)
    assert LEAVE in text
    assert saw["llama_async"][0][0] in {"leave.md", "old.md"}
    assert saw["llama_async"][1] > 0
    assert saw["llama_refused"]["raised"] == "SearchFailed"
    (documents, is_key_told) = saw["haystack_pipeline"]
    assert [(path, LEAVE in text, year) for path, text, year in documents] == [("leave.md", True, 2024)]
    assert not is_key_told
    assert saw["haystack_operator"]["raised"] == "ValueError"

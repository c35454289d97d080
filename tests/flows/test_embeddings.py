"""Vectors of the built-in model through the clients that people use: `openai`, asynchronous too, and LangChain."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

import httpx
import openai
import pytest
from langchain_openai import OpenAIEmbeddings
from running_server import Server

from headworks.providers.minilm import MiniLM

MODEL = "builtin/minilm"
DIMENSION = 384
TEXTS = [
    "The plan pays for twenty visits of physical therapy.",
    "Physiotherapy is covered for up to twenty sessions.",
    "The parking garage opens at seven.",
]

pytestmark = pytest.mark.skipif(not MiniLM().is_installed, reason="the weights are not installed: script/bootstrap")


@pytest.fixture
def client(server: Server) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=f"{server.url}/v1", api_key=server.admin_key, max_retries=0) as made:
        yield made


def cosine(one: Sequence[float], other: Sequence[float]) -> float:
    return sum(a * b for a, b in zip(one, other, strict=True)) / (math.hypot(*one) * math.hypot(*other))


def test_the_clients_own_encoding_gives_the_same_numbers_as_plain_ones(client: openai.OpenAI) -> None:
    """The client asks for base64 unless it is told otherwise, and unpacks it."""
    packed = client.embeddings.create(model=MODEL, input=TEXTS)
    plain = client.embeddings.create(model=MODEL, input=TEXTS, encoding_format="float")
    assert [each.index for each in packed.data] == [0, 1, 2]
    assert {len(each.embedding) for each in packed.data} == {DIMENSION}
    for one, other in zip(packed.data, plain.data, strict=True):
        assert one.embedding == pytest.approx(other.embedding, abs=1e-7)
        assert math.hypot(*one.embedding) == pytest.approx(1, abs=1e-4)
    assert packed.usage.prompt_tokens == packed.usage.total_tokens > 0


def test_what_means_the_same_lies_close(client: openai.OpenAI) -> None:
    therapy, same, parking = (each.embedding for each in client.embeddings.create(model=MODEL, input=TEXTS).data)
    assert cosine(therapy, same) > cosine(therapy, parking) + 0.3


def test_a_text_has_one_vector_whatever_it_is_sent_with(client: openai.OpenAI) -> None:
    (alone,) = client.embeddings.create(model=MODEL, input=TEXTS[0]).data
    among = client.embeddings.create(model=MODEL, input=[*reversed(TEXTS), "x" * 5000]).data
    assert cosine(alone.embedding, among[2].embedding) > 0.999


def test_vectors_are_asked_for_under_the_key_and_recorded(server: Server, client: openai.OpenAI) -> None:
    made: Any = client.embeddings.with_raw_response.create(model=MODEL, input=TEXTS)
    row = server.trace(made.headers["x-headworks-trace"])["usage"]
    assert (row["surface"], row["provider"], row["model"], row["status"]) == ("embeddings", "builtin", "minilm", 200)
    assert (row["cost_micro_usd"], row["output_tokens"]) == (0, 0)
    member = server.key_of("embeds-nothing")
    with pytest.raises(openai.PermissionDeniedError, match="lacks the permission `model:call`"):
        client.with_options(api_key=member).embeddings.create(model=MODEL, input="x")


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"input": [[1, 2, 3]]}, "Send texts, not numbers of tokens"),
        ({"input": []}, "1 to 2048 texts"),
        ({"input": ["a"] * 2049}, "1 to 2048 texts"),
        ({"input": ""}, "none of them empty"),
        ({"input": "a", "dimensions": 100}, f"vectors of {DIMENSION} numbers"),
        ({"input": "a", "model": "builtin/minilmm"}, "There is no model `builtin/minilmm`"),
        ({"input": "a", "model": "builtin/extractive"}, "does not serve embeddings"),
    ],
)
def test_what_can_not_be_embedded_is_said(client: openai.OpenAI, more: dict[str, Any], said: str) -> None:
    with pytest.raises((openai.BadRequestError, openai.NotFoundError)) as caught:
        client.embeddings.create(**{"model": MODEL, **more})
    assert said in str(caught.value)


async def test_the_asynchronous_client_gets_the_same_vectors(server: Server, client: openai.OpenAI) -> None:
    here = [each.embedding for each in client.embeddings.create(model=MODEL, input=TEXTS).data]
    async with openai.AsyncOpenAI(base_url=f"{server.url}/v1", api_key=server.admin_key, max_retries=0) as other:
        there = [each.embedding for each in (await other.embeddings.create(model=MODEL, input=TEXTS)).data]
    assert there == here


async def test_langchain_embeds_documents_and_queries(server: Server) -> None:
    async with httpx.AsyncClient() as web:
        embeddings = OpenAIEmbeddings(
            base_url=f"{server.url}/v1",
            api_key=server.admin_key,  # type: ignore[arg-type]  # a str will do
            model=MODEL,
            check_embedding_ctx_length=False,
            http_async_client=web,
            max_retries=0,
        )
        documents = await embeddings.aembed_documents(TEXTS)
        query = await embeddings.aembed_query("How many visits of physical therapy are paid?")
    nearest = max(range(len(TEXTS)), key=lambda place: cosine(query, documents[place]))
    assert nearest == 0
    assert {len(each) for each in documents} == {DIMENSION}

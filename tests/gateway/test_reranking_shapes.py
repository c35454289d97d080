"""`/v1/rerank` to servers that speak of it in words of their own: asked in theirs, answered in Cohere's and Jina's."""

from __future__ import annotations

import json
from typing import Any

import pytest
from running_gateway import World

from headworks.testing.provider import SimulatedProvider
from headworks.testing.replies import Reply

DOCUMENTS = ["Bern.", {"text": "Paris is in France."}, "Berlin is in Germany."]
TEXTS = ["Bern.", "Paris is in France.", "Berlin is in Germany."]
TEI = b'[{"index":1,"score":0.98},{"index":2,"score":0.5},{"index":0,"score":1e-07}]'
SGLANG = (
    b'[{"score":1e-07,"document":null,"index":0,"meta_info":{"id":"a","prompt_tokens":7}},'
    b'{"score":0.98,"document":null,"index":1,"meta_info":{"prompt_tokens":9}},'
    b'{"score":0.5,"document":null,"index":2,"meta_info":{"prompt_tokens":8}}]'
)
DATA = (
    b'{"object":"list","data":[{"relevance_score":0.98,"index":1},{"relevance_score":0.5,"index":2},'
    b'{"relevance_score":1e-07,"index":0}],"model":"ranker","usage":{"total_tokens":24}}'
)
ASKED: dict[str, tuple[str, dict[str, Any]]] = {
    "tei": ("/rerank", {"query": "capital", "texts": TEXTS}),
    "sglang": (
        "/v1/rerank",
        {"model": "m", "query": "capital", "documents": TEXTS, "return_documents": False, "top_n": 2},
    ),
    "voyage": (
        "/v1/rerank",
        {"model": "m", "query": "capital", "documents": TEXTS, "return_documents": False, "top_k": 2},
    ),
    "fireworks": (
        "/v1/rerank",
        {"model": "m", "query": "capital", "documents": TEXTS, "return_documents": False, "top_n": 2},
    ),
}
ANSWERED = {"tei": TEI, "sglang": SGLANG, "voyage": DATA, "fireworks": DATA}


def rank(world: World, path: str = "/v1/rerank", **body: Any) -> Any:
    return world.post({"query": "capital", "documents": DOCUMENTS} | body, path)


@pytest.mark.parametrize("path", ["/v1/rerank", "/v2/rerank"])
@pytest.mark.parametrize("kind", ASKED)
def test_each_server_is_asked_in_its_words_and_answers_in_ours(
    world: World, provider: SimulatedProvider, kind: str, path: str
) -> None:
    provider.will(Reply.raw(ANSWERED[kind]))
    answer = rank(world, path, model=f"{kind}/m", top_n=2, return_documents=True)
    assert answer.status_code == 200, answer.text
    assert answer.json()["results"] == [
        {"index": 1, "relevance_score": 0.98, "document": {"text": "Paris is in France."}},
        {"index": 2, "relevance_score": 0.5, "document": {"text": "Berlin is in Germany."}},
    ]
    wanted_path, wanted = ASKED[kind]
    assert (provider.last.path, provider.last.json) == (wanted_path, wanted)
    row = world.records.row()
    tokens = None if kind == "tei" else 24
    assert (row.surface, row.provider, row.model, row.input_tokens) == ("rerank", kind, "m", tokens)
    assert answer.json()["model"] == ("m" if kind in {"tei", "sglang"} else "ranker")
    assert answer.json().get("usage") == (tokens and {"prompt_tokens": 24, "total_tokens": 24})


@pytest.mark.parametrize("kind", ASKED)
def test_scores_go_through_as_they_were_written_and_documents_only_when_asked_for(
    world: World, provider: SimulatedProvider, kind: str
) -> None:
    provider.will(Reply.raw(ANSWERED[kind]))
    answer = rank(world, model=f"{kind}/m")
    assert [each["index"] for each in answer.json()["results"]] == [1, 2, 0]
    assert b'{"index":0,"relevance_score":1e-07}' in answer.content
    assert b"document" not in answer.content


@pytest.mark.parametrize(
    ("kind", "more"),
    [("tei", {"raw_scores": True, "truncate": True}), ("voyage", {"truncation": False}), ("sglang", {"instruct": "x"})],
)
def test_a_server_s_own_fields_go_on(
    world: World, provider: SimulatedProvider, kind: str, more: dict[str, Any]
) -> None:
    provider.will(Reply.raw(ANSWERED[kind]))
    assert rank(world, model=f"{kind}/m", **more).status_code == 200
    assert more.items() <= provider.last.json.items()


@pytest.mark.parametrize(
    ("body", "param", "said"),
    [
        ({"max_tokens_per_doc": 100}, "max_tokens_per_doc", "no word for it"),
        ({"documents": ["x", {"image": "https://example.com/a.png"}]}, "documents[1]", "ranks texts only"),
        ({"top_n": 0}, "top_n", "at least 1"),
        ({"query": {"image": "x"}}, None, "`$.query`"),
    ],
)
def test_what_a_server_can_t_be_told_is_named(
    world: World, provider: SimulatedProvider, body: dict[str, Any], param: str | None, said: str
) -> None:
    answer = rank(world, model="tei/m", **body)
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, param)
    assert said in answer.json()["error"]["message"]
    assert not provider.seen


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("tei", b'[{"index":3,"score":0.5}]'),
        ("tei", b'[{"index":0,"score":0.5},{"index":0,"score":0.4}]'),
        ("tei", b'[{"index":0}]'),
        ("tei", b'[{"index":0,"score":"high"}]'),
        ("sglang", b'[{"score":0.5'),
        ("voyage", b'{"data": [{"relevance_score": 1}]}'),
        ("voyage", b'{"data": "x"}'),
        ("voyage", b"{}"),
        ("tei", b"{}"),
    ],
)
def test_what_is_no_ranking_of_the_documents_is_no_answer(
    world: World, provider: SimulatedProvider, kind: str, body: bytes
) -> None:
    provider.will(Reply.raw(body))
    answer = rank(world, model=f"{kind}/m")
    assert (answer.status_code, answer.json()["error"]["code"]) == (502, "upstream_not_an_answer")


@pytest.mark.parametrize(
    ("kind", "status", "body"),
    [
        ("tei", 413, {"error": "`inputs` must have less than 512 tokens.", "error_type": "Validation"}),
        ("voyage", 400, {"detail": "Model m is not supported."}),
        ("sglang", 400, {"object": "error", "message": "no", "code": 400}),
    ],
)
def test_an_error_is_told_in_the_server_s_words(
    world: World, provider: SimulatedProvider, kind: str, status: int, body: dict[str, Any]
) -> None:
    provider.will(Reply.json(body, status))
    answer = rank(world, model=f"{kind}/m")
    assert (answer.status_code, answer.json()) == (status, body)


def test_a_route_goes_on_to_a_server_of_another_shape(world: World, provider: SimulatedProvider) -> None:
    provider.will(Reply.json({"error": "Model is overloaded", "error_type": "Overloaded"}, 429), Reply.raw(SGLANG))
    answer = rank(world, model="ranked-apart", top_n=1)
    assert json.loads(answer.content)["results"] == [{"index": 1, "relevance_score": 0.98}]
    assert [seen.path for seen in provider.seen] == ["/rerank", "/v1/rerank"]

"""Models for everyone inside: recorded under their purpose, on the caller's trace."""

from __future__ import annotations

import pytest
from running_gateway import World

from headworks.errors import Forbidden, InvalidRequest, NotFound, UpstreamError
from headworks.testing.provider import SimulatedProvider
from headworks.testing.replies import Reply, completion, streamed
from headworks.types.identity import Principal
from headworks.types.ids import TraceId, new_id
from headworks.types.models import Completion, Embeddings, Message, ModelCall, Prompt, Purpose, Relevances

PROMPT = Prompt((Message("user", "Rewrite this."),))


def call(world: World, model: str, purpose: Purpose = "rewrite", **more: object) -> ModelCall:
    return ModelCall(world.admin, model, purpose, **more)  # type: ignore[arg-type]


def complete(world: World, asked: ModelCall) -> Completion:
    answer = world.run(world.gateway.models.complete(asked, PROMPT))
    assert isinstance(answer, Completion)
    return answer


def embed(world: World, asked: ModelCall, *texts: str) -> Embeddings:
    answer = world.run(world.gateway.models.embed(asked, texts))
    assert isinstance(answer, Embeddings)
    return answer


def test_a_completion_is_recorded_under_its_purpose(world: World, provider: SimulatedProvider) -> None:
    provider.will(Reply.json(completion("Rewritten.")))
    trace = TraceId(new_id())
    answer = complete(world, call(world, "outside", trace=trace, parameters={"temperature": 0, "max_tokens": 9}))
    assert (answer.text, answer.finish_reason, answer.usage.input_tokens) == ("Rewritten.", "stop", 10)
    assert provider.last.json == {
        "messages": [{"role": "user", "content": "Rewrite this."}],
        "temperature": 0,
        "model": "m1",
        "max_completion_tokens": 9,
    }
    row = world.records.row()
    assert (row.purpose, row.surface, row.trace_id, row.status) == ("rewrite", "internal", trace, 200)
    assert row.request_id != trace


def test_it_falls_back_like_any_other(world: World, provider: SimulatedProvider, other: SimulatedProvider) -> None:
    provider.will(Reply.error(500))
    other.will(Reply.json(completion("Here.")))
    assert complete(world, call(world, "pair")).text == "Here."
    assert world.records.row().attempts == 2


def test_an_answer_without_an_end_is_an_error(world: World, provider: SimulatedProvider) -> None:
    provider.will(Reply.json(completion("Half", None)))
    with pytest.raises(UpstreamError, match="the answer is not whole"):
        complete(world, call(world, "outside"))
    assert world.records.row().error_code == "upstream_not_an_answer"


def test_only_an_answer_needs_the_permission_to_call_models(world: World, provider: SimulatedProvider) -> None:
    reader = Principal(world.admin.tenant, world.admin.id, "reader", "user", frozenset({"feature:call"}))
    provider.will(Reply.json(completion("ok")))
    assert world.run(world.gateway.models.complete(ModelCall(reader, "outside", "guard"), PROMPT)).text == "ok"
    with pytest.raises(Forbidden, match="model:call"):
        world.run(world.gateway.models.complete(ModelCall(reader, "outside", "answer"), PROMPT))


def test_features_are_not_called_from_inside(world: World) -> None:
    with pytest.raises(NotFound, match="is a feature"):
        complete(world, call(world, "bare"))
    with pytest.raises(NotFound, match="no model or feature"):
        complete(world, call(world, "nothing"))


def test_texts_are_embedded_here(world: World) -> None:
    made = embed(world, call(world, "builtin/minilm", "embed_ingest"), "odd", "even")
    assert [list(each) for each in made.vectors] == [[1.0, 0.0], [0.0, 1.0]]
    assert made.model_digest == "sha256:tiny"
    row = world.records.row()
    assert (row.purpose, row.input_tokens, row.cost_micro_usd, row.model) == ("embed_ingest", 2, 0, "minilm")


def test_texts_are_embedded_elsewhere(world: World, provider: SimulatedProvider) -> None:
    rows = [{"index": 1, "embedding": [0, 2]}, {"index": 0, "embedding": [3, 4]}]
    provider.will(Reply.json({"data": rows, "usage": {"prompt_tokens": 5}}))
    made = embed(world, call(world, "outside", "embed_query"), "a", "b")
    assert [list(each) for each in made.vectors] == [[0.6, 0.8], [0.0, 1.0]]
    assert made.model_digest.startswith("sha256:")
    assert world.records.row().input_tokens == 5


@pytest.mark.parametrize("data", [[], [{"index": 0, "embedding": "x"}], [{"index": 1, "embedding": [1.0]}]])
def test_embeddings_that_do_not_fit_are_an_error(world: World, provider: SimulatedProvider, data: list[object]) -> None:
    provider.will(Reply.json({"data": data}))
    with pytest.raises(UpstreamError, match="answered with"):
        embed(world, call(world, "outside", "embed_query"), "a")


def test_nothing_is_nothing_to_embed(world: World) -> None:
    with pytest.raises(InvalidRequest):
        embed(world, call(world, "builtin/minilm", "embed_query"))


def test_a_stream_is_never_asked_for_inside(world: World, provider: SimulatedProvider) -> None:
    provider.will(Reply.json(completion("ok")), Reply.events(streamed("ok")))
    complete(world, call(world, "outside"))
    assert "stream" not in provider.last.json


def rerank(world: World, asked: ModelCall, *texts: str) -> list[float]:
    answer = world.run(world.gateway.models.rerank(asked, "capital", texts))
    assert isinstance(answer, Relevances)
    return list(answer.scores)


def test_a_ranking_is_scores_in_the_order_of_the_texts_under_its_purpose(
    world: World, provider: SimulatedProvider
) -> None:
    results = [{"index": 1, "relevance_score": 0.9}, {"index": 0, "relevance_score": 0.1}]
    provider.will(Reply.json({"results": results, "usage": {"total_tokens": 12}}))
    assert rerank(world, call(world, "jina/jina-reranker", "rerank"), "Paris", "Berlin", "left out") == [0.1, 0.9, -0.9]
    assert provider.last.path == "/v1/rerank"
    assert provider.last.json == {
        "query": "capital",
        "documents": ["Paris", "Berlin", "left out"],
        "model": "jina-reranker",
    }
    row = world.records.row()
    assert (row.purpose, row.surface, row.input_tokens, row.status) == ("rerank", "internal", 12, 200)


def test_an_answer_that_ranks_nothing_or_something_else_is_an_error(world: World, provider: SimulatedProvider) -> None:
    for results in ([], [{"index": 5, "relevance_score": 1.0}], [{"index": 0}]):
        provider.will(Reply.json({"results": results}))
        with pytest.raises(UpstreamError, match="jina/jina-reranker"):
            rerank(world, call(world, "jina/jina-reranker", "rerank"), "Paris", "Berlin")
    with pytest.raises(InvalidRequest, match="nothing to rerank"):
        rerank(world, call(world, "jina/jina-reranker", "rerank"))

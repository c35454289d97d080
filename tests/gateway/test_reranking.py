"""`/v1/rerank` and `/v1/moderations`: byte for byte to who serves them, counted by what the provider says."""

from __future__ import annotations

from typing import Any

import openai
import pytest
from running_gateway import World

from headworks.providers.prices import Rates
from headworks.testing.provider import SimulatedProvider
from headworks.testing.replies import Reply
from headworks.types.models import Usage

DOCUMENTS = ["Paris is in France.", {"text": "Berlin is in Germany."}]
COHERE = (
    b'{"id":"r1", "results":[{"index":0,"relevance_score":0.98}],'
    b'"meta":{"api_version":{"version":"2"},"billed_units":{"search_units":2}}}'
)
JINA = (
    b'{"model":"m","usage":{"total_tokens":815,"prompt_tokens":815},'
    b'"results":[{"index":0,"relevance_score":1e-3,"document":{"text":"Paris"}}], "x":12345678901234567890}'
)


def rank(world: World, path: str = "/v1/rerank", **body: Any) -> Any:
    return world.post({"query": "capital", "documents": DOCUMENTS} | body, path)


@pytest.mark.parametrize("path", ["/v1/rerank", "/v2/rerank"])
def test_a_request_for_cohere_goes_to_its_own_path_and_its_search_units_are_no_tokens(
    world: World, provider: SimulatedProvider, path: str
) -> None:
    provider.will(Reply.raw(COHERE))
    answer = rank(world, path, model="cohere/rerank-v3.5", top_n=1)
    assert (answer.status_code, answer.content) == (200, COHERE)
    assert provider.last.path == "/v2/rerank"
    assert provider.last.json == {
        "query": "capital",
        "documents": DOCUMENTS,
        "model": "rerank-v3.5",
        "top_n": 1,
    }
    row = world.records.row()
    assert (row.surface, row.provider, row.model, row.status) == ("rerank", "cohere", "rerank-v3.5", 200)
    assert (row.input_tokens, row.output_tokens, row.cost_micro_usd, row.is_estimated) == (None, None, None, False)


def test_jina_s_answer_arrives_byte_for_byte_and_its_tokens_are_counted(
    world: World, provider: SimulatedProvider
) -> None:
    provider.will(Reply.raw(JINA))
    answer = rank(world, model="jina/jina-reranker", return_documents=True)
    assert answer.content == JINA
    assert provider.last.path == "/v1/rerank"
    row = world.records.row()
    assert (row.input_tokens, row.output_tokens) == (815, 0)


def test_a_route_reranks_elsewhere_when_the_first_provider_is_down(world: World, provider: SimulatedProvider) -> None:
    provider.will(Reply.json({"message": "overloaded"}, 503), Reply.raw(JINA))
    answer = rank(world, model="ranked")
    assert answer.content == JINA
    assert [seen.path for seen in provider.seen] == ["/v2/rerank", "/v1/rerank"]


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (422, {"detail": "documents: too many"}),
        (400, {"message": "invalid request: top_n"}),
        (400, {"error": {"message": "no", "type": "invalid_request_error", "param": None, "code": None}}),
    ],
)
def test_an_error_of_each_provider_is_passed_on(
    world: World, provider: SimulatedProvider, status: int, body: dict[str, Any]
) -> None:
    provider.will(Reply.json(body, status))
    answer = rank(world, model="jina/jina-reranker")
    assert (answer.status_code, answer.json()) == (status, body)
    assert world.records.row().cost_micro_usd is None


@pytest.mark.parametrize(
    ("body", "param", "said"),
    [
        ({"model": "outside"}, "model", "does not serve rerank"),
        ({"model": "builtin/minilm"}, "model", "does not serve rerank"),
        ({"model": "jina/m", "documents": []}, "documents", "`documents` is empty"),
        ({"model": "jina/m", "documents": "x"}, "documents", "`documents` must be an array"),
        ({"model": "jina/m", "query": 1}, "query", "`query` must be a text or an object"),
        ({}, "model", "`model` is required"),
    ],
)
def test_a_wrong_request_is_named(world: World, body: dict[str, Any], param: str, said: str) -> None:
    answer = rank(world, **body)
    error = answer.json()["error"]
    assert (answer.status_code, error["param"]) == (400, param)
    assert said in error["message"]


def test_who_only_reranks_does_not_chat(world: World) -> None:
    answer = world.post({"model": "jina/m", "messages": [{"role": "user", "content": "x"}]})
    assert answer.status_code == 400
    assert "`jina` does not serve chat" in answer.json()["error"]["message"]
    messages = {"model": "jina/m", "max_tokens": 9, "messages": [{"role": "user", "content": "x"}]}
    assert world.post(messages, "/v1/messages").status_code == 400


def test_a_200_without_results_is_no_answer(world: World, provider: SimulatedProvider) -> None:
    provider.will(Reply.json({"ok": True}))
    answer = rank(world, model="jina/m")
    assert (answer.status_code, answer.json()["error"]["code"]) == (502, "upstream_not_an_answer")


def test_the_openai_client_moderates(world: World, provider: SimulatedProvider) -> None:
    flags = {"flagged": True, "categories": {"violence": True}, "category_scores": {"violence": 0.9}}
    provider.will(Reply.json({"id": "modr-1", "model": "omni-moderation-latest", "results": [flags]}))
    answer = world.client().moderations.create(model="outside/omni-moderation-latest", input="I will hurt them.")
    assert answer.results[0].flagged
    assert provider.last.path == "/v1/moderations"
    assert provider.last.json == {"model": "omni-moderation-latest", "input": "I will hurt them."}
    row = world.records.row()
    assert (row.surface, row.input_tokens, row.cost_micro_usd, row.is_estimated) == ("moderations", None, None, False)


def test_mistral_s_moderation_says_its_tokens(world: World, provider: SimulatedProvider) -> None:
    body = b'{"id":"m","results":[{"categories":{"pii":false}}],"usage":{"prompt_tokens":12,"total_tokens":12}}'
    provider.will(Reply.raw(body))
    answer = world.post({"model": "silent/mistral-moderation-latest", "input": ["x"]}, "/v1/moderations")
    assert answer.content == body
    assert world.records.row().input_tokens == 12


@pytest.mark.parametrize("body", [{"input": "x"}, {"input": "x", "model": None}, {"model": "", "input": "x"}])
@pytest.mark.parametrize("name", ["moderating", "outside/omni-moderation-latest"])
def test_a_moderation_without_a_model_goes_to_the_only_one(
    world: World, provider: SimulatedProvider, name: str, body: dict[str, Any]
) -> None:
    key = world.key(models=(name, "priced", "outside/gpt-4o-mini"))
    world.settle()
    provider.will(Reply.json({"id": "modr-1", "results": [{"flagged": False}]}))
    answer = world.post(body, "/v1/moderations", key)
    assert (answer.status_code, answer.json()["results"]) == (200, [{"flagged": False}])
    assert provider.last.json == {"input": "x", "model": "omni-moderation-latest"}
    assert world.records.row().asked_model == name


def test_several_models_that_moderate_are_listed(world: World) -> None:
    with pytest.raises(openai.BadRequestError, match="`model` is required: 2 models") as refused:
        world.client().moderations.create(input="x")
    assert (refused.value.param, refused.value.code) == ("model", "missing_field")
    assert "Name one of: moderating, moderating-twice." in refused.value.message


def test_where_no_model_is_known_to_moderate_one_has_to_be_named(world: World, provider: SimulatedProvider) -> None:
    key = world.key(models=("priced", "silent/mistral-moderation-latest"))
    world.settle()
    with pytest.raises(openai.BadRequestError, match="`model` is required: no models"):
        world.client(key).moderations.create(input="x")
    assert not provider.seen


def test_who_moderates_is_asked_for_a_key_first(world: World) -> None:
    with pytest.raises(openai.AuthenticationError):
        world.client("hw_nobody").moderations.create(input="x")


def test_nothing_else_goes_without_a_model(world: World) -> None:
    answer = world.post({"query": "capital", "documents": DOCUMENTS}, "/v1/rerank")
    assert (answer.status_code, answer.json()["error"]["message"]) == (400, "`model` is required.")


def test_what_is_paid_by_the_call_costs_as_many_calls_as_are_counted() -> None:
    by_call = Rates(0, request=2_000)
    assert by_call.cost_micro_usd(Usage(calls=3)) == 6_000
    assert by_call.cost_micro_usd(Usage()) is None
    assert Rates(150_000, request=2_000).cost_micro_usd(Usage(calls=3)) is None, "its tokens have to be paid, too"

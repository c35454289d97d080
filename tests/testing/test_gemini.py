"""The simulated Gemini API says what Google's own client reads, and refuses what Google refuses."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from google import genai
from google.genai import errors, types

from headworks.testing import gemini_replies as replies
from headworks.testing.gemini import SimulatedGemini
from headworks.testing.replies import Reply

RULES = [
    {"when": "Hello?", "answer": "Hi there."},
    {"when": "slow", "answer": "one two", "delay_s": 0.01, "token_delay_s": 0.01},
    {"when": "cut", "answer": "one two three", "cut_after": 1},
    {"when": "busy", "status": 429, "retry_after_s": 7, "answer": "Quota exceeded."},
    {"when": "long", "answer": "no end", "finish_reason": "length"},
]
SIGNATURE = "QUJD+/8="


@pytest.fixture
def gemini() -> Iterator[SimulatedGemini]:
    with SimulatedGemini(script=RULES) as running:
        yield running


@pytest.fixture
def client(gemini: SimulatedGemini) -> Iterator[genai.Client]:
    made = genai.Client(api_key="any", http_options=types.HttpOptions(base_url=gemini.origin))
    yield made
    made.close()


def strictly(value: dict[str, Any]) -> types.GenerateContentResponse:
    """As Google's own type has it, which forbids members that it does not know."""
    return types.GenerateContentResponse.model_validate(value)


def test_it_answers_by_its_script(gemini: SimulatedGemini, client: genai.Client) -> None:
    answer = client.models.generate_content(model="gemini-simulated", contents="Hello?")
    assert answer.text == "Hi there."
    assert answer.candidates is not None
    assert answer.candidates[0].finish_reason is types.FinishReason.STOP
    assert answer.usage_metadata is not None
    assert answer.usage_metadata.prompt_token_count == 1
    assert gemini.last.path == "/v1/models/gemini-simulated:generateContent"
    assert gemini.last.headers["x-goog-api-key"] == "any"
    long = client.models.generate_content(model="m", contents="long")
    assert long.candidates is not None
    assert long.candidates[0].finish_reason is types.FinishReason.MAX_TOKENS


def test_it_streams_by_its_script(gemini: SimulatedGemini, client: genai.Client) -> None:
    told = list(client.models.generate_content_stream(model="m", contents="slow"))
    assert "".join(each.text or "" for each in told) == "one two"
    assert [bool(each.candidates and each.candidates[0].finish_reason) for each in told] == [False, True]
    assert gemini.last.path == "/v1/models/m:streamGenerateContent?alt=sse"
    echoed = client.models.generate_content_stream(model="m", contents="Say this.")
    assert "".join(each.text or "" for each in echoed) == "Say this."


@pytest.mark.filterwarnings("ignore:Inheritance class AiohttpClientSession")  # Google's client does that
async def test_it_answers_who_waits_for_nothing_else(gemini: SimulatedGemini) -> None:
    made = genai.Client(api_key="any", http_options=types.HttpOptions(base_url=gemini.origin))
    async with made.aio as client:
        assert (await client.models.generate_content(model="m", contents="Hello?")).text == "Hi there."
        told = await client.models.generate_content_stream(model="m", contents="Hello?")
        assert "".join([each.text or "" async for each in told]) == "Hi there."
    made.close()


def test_the_clients_own_types_read_every_kind_of_answer(gemini: SimulatedGemini, client: genai.Client) -> None:
    parts = [
        replies.thought("Let me see.", signature=SIGNATURE),
        replies.text("Here:"),
        replies.picture("iVBORw0KGgo="),
        replies.call("look", {"at": [1, None, {"deep": True}]}, signature=SIGNATURE),
        replies.call("look", {}, id="given"),
    ]
    gemini.will(Reply.json(replies.answer(*parts, counts=replies.usage(10, 5, thoughts=7, cached=3))))
    read = client.models.generate_content(model="m", contents="x")
    wanted = strictly(replies.answer(*parts, counts=replies.usage(10, 5, thoughts=7, cached=3)))
    about_the_client = {"sdk_http_response", "automatic_function_calling_history"}
    assert read.model_dump(exclude=about_the_client) == wanted.model_dump(exclude=about_the_client)
    assert [found.name for found in read.function_calls or ()] == ["look", "look"]
    assert read.candidates is not None
    assert read.candidates[0].content is not None
    assert read.candidates[0].content.parts is not None
    assert read.candidates[0].content.parts[0].thought_signature == b"ABC\xfb\xff"
    gemini.will(replies.stream(*parts))
    told = list(client.models.generate_content_stream(model="m", contents="x"))
    assert len(told) == len(parts)


@pytest.mark.parametrize("word", [reason.value for reason in types.FinishReason])
def test_the_clients_own_types_know_every_end(word: str) -> None:
    (candidate,) = strictly(replies.answer(finish_reason=word)).candidates or ()
    assert candidate.finish_reason is types.FinishReason(word)
    for chunk in replies.chunks(replies.text("a"), replies.text("b"), finish_reason=word):
        strictly(chunk)


@pytest.mark.parametrize("word", [reason.value for reason in types.BlockedReason])
def test_the_clients_own_types_know_every_block(client: genai.Client, gemini: SimulatedGemini, word: str) -> None:
    gemini.will(Reply.json(replies.blocked(word, "Not this.")))
    read = client.models.generate_content(model="m", contents="x")
    assert read.candidates is None
    assert read.prompt_feedback is not None
    assert read.prompt_feedback.block_reason is types.BlockedReason(word)
    strictly(replies.blocked(word, "Not this."))


def test_errors_are_those_that_the_client_raises(gemini: SimulatedGemini, client: genai.Client) -> None:
    with pytest.raises(errors.ClientError, match="Quota exceeded") as refused:
        client.models.generate_content(model="m", contents="busy")
    assert (refused.value.code, refused.value.status) == (429, "RESOURCE_EXHAUSTED")
    details = refused.value.details["error"]["details"]
    assert details == [{"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "7s"}]
    gemini.will(replies.failure(400, "No such key.", reason="API_KEY_INVALID"))
    with pytest.raises(errors.ClientError, match="API_KEY_INVALID"):
        client.models.generate_content(model="m", contents="x")
    gemini.will(replies.failure(503))
    with pytest.raises(errors.ServerError, match="UNAVAILABLE"):
        client.models.generate_content(model="m", contents="x")
    gemini.will(replies.events([replies.answer(replies.text("a"), finish_reason=None), replies.error(503)]))
    with pytest.raises(errors.APIError, match="UNAVAILABLE"):
        list(client.models.generate_content_stream(model="m", contents="x"))


def test_it_breaks_off(gemini: SimulatedGemini) -> None:
    body = {"contents": [{"parts": [{"text": "cut"}]}]}
    headers = {"x-goog-api-key": "any"}
    with pytest.raises(httpx.RemoteProtocolError):
        httpx.post(f"{gemini.url}/models/m:streamGenerateContent?alt=sse", json=body, headers=headers)
    assert gemini.last.wait_until_ended() == "cut"
    with pytest.raises(httpx.RemoteProtocolError):
        httpx.post(f"{gemini.url}/models/m:generateContent", json=body, headers=headers)


def test_it_embeds_counts_and_lists(client: genai.Client) -> None:
    made = client.models.embed_content(model="e", contents=["a", "a", "b"])
    assert made.embeddings is not None
    vectors = [each.values for each in made.embeddings]
    assert vectors[0] == vectors[1] != vectors[2]
    small = client.models.embed_content(
        model="e", contents="a", config=types.EmbedContentConfig(output_dimensionality=3)
    )
    assert small.embeddings is not None
    assert len(small.embeddings[0].values or ()) == 3
    assert client.models.count_tokens(model="m", contents="one two three").total_tokens == 3
    assert [each.name for each in client.models.list()] == ["models/gemini-simulated"]


CALL = {"role": "model", "parts": [{"functionCall": {"name": "f", "args": {}}}]}
RESULT = {"role": "user", "parts": [{"functionResponse": {"name": "f", "response": {"output": "1"}}}]}
ASKED = {"role": "user", "parts": [{"text": "Hello?"}]}


@pytest.mark.parametrize(
    ("model", "body", "complaint"),
    [
        ("m", {}, "contents is not specified"),
        ("m", {"contents": [ASKED], "messages": []}, 'Unknown name "messages"'),
        ("m", {"contents": [{"role": "assistant", "parts": [{"text": "x"}]}]}, "valid role"),
        ("m", {"contents": [{"role": "user", "parts": []}]}, "must not be empty"),
        ("m", {"contents": [ASKED, CALL, ASKED]}, "function response parts"),
        ("m", {"contents": [ASKED, RESULT]}, "function response parts"),
        ("gemini-3-pro", {"contents": [ASKED, CALL, RESULT]}, "missing a thought_signature"),
        ("m", {"contents": "x"}, "Invalid JSON payload"),
    ],
)
def test_it_refuses_what_google_refuses(
    gemini: SimulatedGemini, model: str, body: dict[str, Any], complaint: str
) -> None:
    answer = httpx.post(f"{gemini.url}/models/{model}:generateContent", json=body, headers={"x-goog-api-key": "k"})
    assert answer.status_code == 400
    assert complaint in answer.json()["error"]["message"]


def test_it_lets_nobody_in_without_a_key(gemini: SimulatedGemini) -> None:
    answer = httpx.post(f"{gemini.url}/models/m:generateContent?key=any", json={"contents": [ASKED]})
    assert (answer.status_code, answer.json()["error"]["status"]) == (403, "PERMISSION_DENIED")
    headers = {"x-goog-api-key": "k"}
    assert httpx.post(f"{gemini.url}/models/m:paint", json={}, headers=headers).status_code == 404
    assert httpx.get(f"{gemini.origin}/v2/models", headers=headers).status_code == 404
    without_events = httpx.post(
        f"{gemini.url}/models/m:streamGenerateContent", json={"contents": [ASKED]}, headers=headers
    )
    assert [strictly(each).text for each in without_events.json()] == ["Hi", " there."]

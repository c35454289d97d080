"""Google's own client and Bedrock's requests, byte for byte to targets that speak their format."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import httpx
import pytest
from google import genai
from google.genai import errors
from google.genai.types import HttpOptions
from running_gateway import World

from headworks.formats.converse.format import CONVERSE
from headworks.formats.neutral import Failed, Grown
from headworks.gateway.passthrough.vendors import GOOGLE
from headworks.testing import bedrock_replies, gemini_replies
from headworks.testing.bedrock import BEARER_TOKEN
from headworks.testing.provider import SimulatedProvider
from headworks.testing.replies import End, Reply

MODEL = "google/gemini-2.5-flash"
CLAUDE = "amazon/anthropic.claude-haiku-4-5-v1:0"
BODY = {"messages": [{"role": "user", "content": [{"text": "Hello?"}]}]}


@pytest.fixture
def google(world: World) -> Iterator[genai.Client]:
    client = genai.Client(api_key=world.admin_key, http_options=HttpOptions(base_url=world.url))
    yield client
    client.close()


def converse(world: World, model: str = CLAUDE, method: str = "converse", body: Any = BODY, key: str = "") -> Any:
    headers = {"authorization": f"Bearer {key or world.admin_key}", "content-type": "application/json"}
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    return httpx.post(f"{world.url}/model/{quote(model, safe='')}/{method}", content=content, headers=headers)


def test_google_s_client_is_answered_byte_for_byte(
    world: World, provider: SimulatedProvider, google: genai.Client
) -> None:
    provider.will(Reply.json(gemini_replies.answer(gemini_replies.text("Hello."), counts=gemini_replies.usage(7, 3))))
    answer = google.models.generate_content(model=MODEL, contents="Hello?")
    assert answer.text == "Hello."
    assert provider.last.path == "/v1/models/gemini-2.5-flash:generateContent"
    assert world.admin_key not in json.dumps(dict(provider.last.headers))
    row = world.records.row()
    assert (row.surface, row.asked_model, row.provider, row.model) == ("gemini", MODEL, "google", "gemini-2.5-flash")
    assert (row.input_tokens, row.output_tokens, row.is_estimated) == (7, 3, False)
    assert row.cost_micro_usd is not None


def test_a_stream_of_google_s_goes_by_and_is_counted(
    world: World, provider: SimulatedProvider, google: genai.Client
) -> None:
    provider.will(gemini_replies.stream(gemini_replies.text("Hel"), gemini_replies.text("lo.")))
    pieces = [each.text for each in google.models.generate_content_stream(model=MODEL, contents="Hello?")]
    assert "".join(piece or "" for piece in pieces) == "Hello."
    assert provider.last.path == "/v1/models/gemini-2.5-flash:streamGenerateContent?alt=sse"
    row = world.records.row()
    assert (row.streamed, row.input_tokens, row.is_estimated) == (True, 10, False)


def test_unknown_members_and_odd_whitespace_survive(world: World, provider: SimulatedProvider) -> None:
    said = b'{"candidates" : [{"content":{"parts":[{"text":"x"}],"role":"model"},"finishReason":"STOP","new":1e-30}] }'
    asked = b'{"contents":[{"parts":[{"text":"a"}]}],  "later":12345678901234567890}'
    provider.will(Reply.raw(said))
    answer = httpx.post(f"{world.url}/v1beta/models/{MODEL}:generateContent?key={world.admin_key}", content=asked)
    assert (answer.status_code, answer.content) == (200, said)
    assert provider.last.body == asked
    assert provider.last.path == "/v1/models/gemini-2.5-flash:generateContent"
    assert world.records.row().is_estimated


def test_counting_costs_nothing(world: World, provider: SimulatedProvider, google: genai.Client) -> None:
    provider.will(Reply.json({"totalTokens": 31}))
    assert google.models.count_tokens(model=MODEL, contents="Hello?").total_tokens == 31
    row = world.records.row()
    assert (row.surface, row.cost_micro_usd, row.input_tokens) == ("count_tokens", 0, None)


@pytest.mark.parametrize(
    ("model", "status", "word"),
    [("outside", 400, "INVALID_ARGUMENT"), ("nowhere", 404, "NOT_FOUND"), ("bare", 400, "INVALID_ARGUMENT")],
)
def test_errors_have_google_s_shape(google: genai.Client, model: str, status: int, word: str) -> None:
    with pytest.raises(errors.ClientError) as error:
        google.models.generate_content(model=model, contents="Hello?")
    assert (error.value.code, error.value.status) == (status, word)


def test_a_wrong_key_and_an_error_of_google_s_are_told_in_its_words(
    world: World, provider: SimulatedProvider, google: genai.Client
) -> None:
    stranger = genai.Client(api_key="hw_nobody", http_options=HttpOptions(base_url=world.url))
    with pytest.raises(errors.ClientError) as error:
        stranger.models.generate_content(model=MODEL, contents="Hello?")
    assert (error.value.code, error.value.status) == (401, "UNAUTHENTICATED")
    stranger.close()
    provider.will(gemini_replies.failure(429, retry_delay_s=7))
    with pytest.raises(errors.ClientError) as error:
        google.models.generate_content(model=MODEL, contents="Hello?")
    assert error.value.status == "RESOURCE_EXHAUSTED"


def test_a_stream_that_is_cut_ends_with_google_s_error(
    world: World, provider: SimulatedProvider, google: genai.Client
) -> None:
    chunks = gemini_replies.chunks(gemini_replies.text("Hel"), gemini_replies.text("lo."))
    provider.will(gemini_replies.events(chunks[:1]))
    with pytest.raises(errors.APIError):
        list(google.models.generate_content_stream(model=MODEL, contents="Hello?"))
    row = world.records.row()
    assert (row.status, row.error_code) == (502, "stream_truncated")


@pytest.mark.parametrize(
    "path",
    [
        f"/v1beta/models/{MODEL}:predict",
        f"/v1beta/models/{MODEL}",
        "/v1beta/models/google/../../files:generateContent",
        "/v1beta/models/google/..%2f..%2ffiles:generateContent",
        "/v1beta/models/:generateContent",
        f"/v1b%65ta/models/{MODEL}:generateContent",
        "/model/amazon%2fm/invoke",
        "/model/amazon%2f..%2fm/converse",
    ],
)
def test_other_paths_lead_nowhere(world: World, provider: SimulatedProvider, path: str) -> None:
    raw = f"POST {path} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {world.admin_key}\r\n"
    answer = world.send(f"{raw}content-length: 2\r\nconnection: close\r\n\r\n{{}}".encode())
    assert answer.startswith(b"HTTP/1.1 404")
    assert not provider.seen


def test_a_stream_without_events_is_refused(world: World) -> None:
    answer = httpx.post(f"{world.url}/v1beta/models/{MODEL}:streamGenerateContent?key={world.admin_key}", content=b"{}")
    assert answer.status_code == 400
    assert "alt=sse" in answer.json()["error"]["message"]


def test_converse_goes_to_bedrock_with_the_account_s_own_token(world: World, provider: SimulatedProvider) -> None:
    provider.will(bedrock_replies.answer(bedrock_replies.text("Hello."), counts=bedrock_replies.usage(7, 3)))
    answer = converse(world)
    assert answer.json()["output"]["message"]["content"] == [{"text": "Hello."}]
    assert provider.last.path == "/v1/model/anthropic.claude-haiku-4-5-v1%3A0/converse"
    assert provider.last.headers["authorization"] == f"Bearer {BEARER_TOKEN}"
    row = world.records.row()
    assert (row.surface, row.provider, row.input_tokens, row.output_tokens) == ("converse", "amazon", 7, 3)


def test_frames_of_bedrock_go_by_and_are_counted(world: World, provider: SimulatedProvider) -> None:
    frames = bedrock_replies.spoken(bedrock_replies.text("Hello there."))
    provider.will(bedrock_replies.frames(*frames))
    answer = converse(world, method="converse-stream")
    assert answer.content == b"".join(frames)
    assert answer.headers["content-type"] == "application/vnd.amazon.eventstream"
    events = CONVERSE.reader().feed(answer.content)
    assert "".join(each.text for each in events if isinstance(each, Grown)) == "Hello there."
    row = world.records.row()
    assert (row.input_tokens, row.output_tokens, row.streamed) == (10, 5, True)


@pytest.mark.parametrize("end", ["clean", "cut"])
def test_frames_that_stop_too_early_end_with_an_exception(world: World, provider: SimulatedProvider, end: End) -> None:
    frames = bedrock_replies.spoken(bedrock_replies.text("Hello there."))
    provider.will(bedrock_replies.frames(*frames[:-2], end=end))
    answer = converse(world, method="converse-stream").content
    sent = b"".join(frames[:-2])
    assert answer.startswith(sent)
    (failed,) = CONVERSE.reader().feed(answer[len(sent) :])
    assert isinstance(failed, Failed)
    assert failed.kind == "modelStreamErrorException"
    row = world.records.row()
    assert (row.status, row.error_code) == (502, "stream_truncated")


def test_a_frame_that_is_cut_ends_as_a_connection_that_is_cut(world: World, provider: SimulatedProvider) -> None:
    frames = bedrock_replies.spoken(bedrock_replies.text("Hello there."))
    provider.will(bedrock_replies.frames(*frames[:2], frames[2][:-5]))
    with pytest.raises(httpx.RemoteProtocolError):
        converse(world, method="converse-stream")
    assert world.records.row().error_code == "stream_truncated"


def test_errors_have_amazon_s_shape(world: World, provider: SimulatedProvider) -> None:
    answer = converse(world, model="outside")
    assert (answer.status_code, answer.headers["x-amzn-errortype"]) == (400, "ValidationException")
    assert "does not serve converse" in answer.json()["message"]
    answer = converse(world, key="hw_nobody")
    assert (answer.status_code, answer.headers["x-amzn-errortype"]) == (401, "UnrecognizedClientException")
    provider.will(bedrock_replies.failure(429, "ThrottlingException", "Slow down."))
    answer = converse(world)
    assert answer.status_code == 429
    assert answer.headers["x-amzn-errortype"].startswith("ThrottlingException")
    assert answer.json()["message"] == "Slow down."
    assert converse(world, body=b"[]").status_code == 400


@pytest.mark.parametrize("model", ["tunedModels/mine", "models/gemini-2.5-pro", "gemini-2.5-pro"])
def test_a_model_s_collection_is_kept(model: str) -> None:
    tail = GOOGLE.tail(model, "generateContent")
    assert tail == f"/{model if '/' in model else 'models/' + model}:generateContent"

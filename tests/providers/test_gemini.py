"""Accounts with Google: addresses, the key, streams, embeddings in OpenAI's format, and counts of tokens."""

from __future__ import annotations

import base64
import json
import struct
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from headworks.errors import InvalidRequest, ModelMissing, Unmapped, UpstreamError, UpstreamRejected, UpstreamTruncated
from headworks.formats.answers import collect
from headworks.formats.gemini.embeddings import MOST_AT_ONCE, read_request
from headworks.formats.gemini.format import GEMINI
from headworks.formats.neutral import Request, TextBlock, Turn
from headworks.providers.contract import Ask
from headworks.providers.gemini import Gemini
from headworks.providers.upstream import Upstream
from headworks.testing import gemini_replies as replies
from headworks.testing.gemini import DIMENSIONS, SimulatedGemini
from headworks.testing.replies import Reply
from headworks.types.workspace import AccountSpec

KEY = {"GEMINI_API_KEY": " AIza-secret\n"}
QUESTION = Request("chat", "gemini-3-pro", [Turn("user", [TextBlock("Hello?")])])
BODY = GEMINI.write_request(QUESTION).body


@pytest.fixture
def server() -> Iterator[SimulatedGemini]:
    with SimulatedGemini(script=[{"when": "Hello?", "answer": "Hi there."}]) as running:
        yield running


@pytest.fixture
async def upstream() -> AsyncIterator[Upstream]:
    made = Upstream()
    yield made
    await made.close()


@pytest.fixture
def provider(server: SimulatedGemini, upstream: Upstream) -> Gemini:
    return Gemini(upstream, KEY, base_url=server.url)


def account(base_url: str | None, variable: str | None = None) -> AccountSpec:
    return AccountSpec("mine", "gemini", base_url, variable, "providers.yaml:1")


def embedding(**members: Any) -> Ask:
    return Ask("embeddings", "gemini-embedding-001", json.dumps({"model": "gemini-embedding-001", **members}).encode())


async def test_an_answer_is_asked_for_at_googles_address(provider: Gemini, server: SimulatedGemini) -> None:
    status, headers, body = await provider.fetch(Ask("gemini", "gemini-3-pro", BODY, ((b"x-trace", b"1"),)))
    assert (status, dict(headers)[b"content-type"]) == (200, b"application/json")
    assert GEMINI.read_answer(body).blocks == [TextBlock("Hi there.")]
    seen = server.last
    assert (seen.method, seen.path) == ("POST", "/v1beta/models/gemini-3-pro:generateContent")
    assert seen.body == BODY
    assert seen.headers["x-goog-api-key"] == "AIza-secret"
    assert (seen.headers["content-type"], seen.headers["x-trace"]) == ("application/json", "1")
    assert "authorization" not in seen.headers


async def test_a_stream_comes_as_events(provider: Gemini, server: SimulatedGemini) -> None:
    answer = await provider.stream(Ask("gemini", "gemini-3-pro", BODY))
    reader = GEMINI.reader()
    events = [event async for piece in answer for event in reader.feed(piece)]
    whole = collect([*events, *reader.end()])
    assert whole is not None
    assert whole.blocks == [TextBlock("Hi there.")]
    assert whole.stopped.reason == "stop"
    assert server.last.path == "/v1beta/models/gemini-3-pro:streamGenerateContent?alt=sse"
    assert "secret" not in server.last.path


async def test_a_stream_that_breaks_off_is_an_error(provider: Gemini, server: SimulatedGemini) -> None:
    server.will(replies.stream(replies.text("Hel"), replies.text("lo"), end="cut"))
    answer = await provider.stream(Ask("gemini", "m", BODY))
    with pytest.raises(UpstreamTruncated):
        async for _ in answer:
            pass


@pytest.mark.parametrize(
    ("model", "path"),
    [
        ("models/gemini-3-pro", "/v1beta/models/gemini-3-pro:generateContent"),
        ("tunedModels/mine-1", "/v1beta/tunedModels/mine-1:generateContent"),
        ("a/b?c#d:e f", "/v1beta/models/a%2Fb%3Fc%23d%3Ae%20f:generateContent"),
        ("../../x\r\ny", "/v1beta/models/..%2F..%2Fx%0D%0Ay:generateContent"),
        ("modèle", "/v1beta/models/mod%C3%A8le:generateContent"),
    ],
)
async def test_a_models_name_never_leaves_its_place(
    provider: Gemini, server: SimulatedGemini, model: str, path: str
) -> None:
    server.will(Reply.json(replies.answer(replies.text("ok"))))
    await provider.fetch(Ask("gemini", model, BODY))
    assert server.last.path == path


def test_the_key_is_found_under_both_its_names() -> None:
    Gemini(Upstream(), {"GOOGLE_API_KEY": "k"}).check("gemini", "m")
    with pytest.raises(ModelMissing, match="GEMINI_API_KEY or GOOGLE_API_KEY is not set"):
        Gemini(Upstream(), {"GEMINI_API_KEY": " "}).check("gemini", "m")
    named = Gemini(Upstream(), {"GEMINI_API_KEY": "k"}, account=account(None, "MY_KEY"))
    with pytest.raises(ModelMissing, match="`mine/m` has no credential: MY_KEY"):
        named.check("embeddings", "m")


async def test_a_usual_key_never_travels_to_an_address_of_a_workspace(
    server: SimulatedGemini, upstream: Upstream
) -> None:
    made = Gemini(upstream, KEY, account=account(server.url))
    made.check("gemini", "m")
    server.will(Reply.json(replies.answer(replies.text("ok"))))
    await made.fetch(Ask("gemini", "m", BODY))
    assert "x-goog-api-key" not in server.last.headers
    theirs = Gemini(upstream, {"MY_KEY": "own"}, account=account(server.url, "MY_KEY"))
    await theirs.fetch(Ask("gemini", "m", BODY))
    assert server.last.headers["x-goog-api-key"] == "own"
    assert not theirs.is_local


def test_a_surface_that_google_does_not_serve_is_named(provider: Gemini) -> None:
    with pytest.raises(InvalidRequest, match="`gemini` does not serve chat"):
        provider.check("chat", "m")
    assert provider.speaks == ("gemini",)


async def test_an_error_status_is_an_answer(provider: Gemini, server: SimulatedGemini) -> None:
    server.will(replies.failure(429, "Quota.", retry_delay_s=7.5), replies.failure(429, "Quota."))
    status, _, body = await provider.fetch(Ask("gemini", "m", BODY))
    failed = GEMINI.read_error(status, body)
    assert failed is not None
    assert (failed.kind, failed.status, failed.retry_after_s) == ("RESOURCE_EXHAUSTED", 429, 7.5)
    answer = await provider.stream(Ask("gemini", "m", BODY))
    assert answer.status == 429
    assert GEMINI.read_error(answer.status, await answer.read(10_000)) is not None


# Counts.


async def test_tokens_are_counted_for_the_whole_request(provider: Gemini, server: SimulatedGemini) -> None:
    request = Request("chat", "m", [Turn("system", [TextBlock("Be brief.")]), Turn("user", [TextBlock("one two")])])
    assert await provider.count_tokens(Ask("gemini", "m", GEMINI.write_request(request).body)) == 4
    assert server.last.path == "/v1beta/models/m:countTokens"
    inner = server.last.json["generateContentRequest"]
    assert inner["model"] == "models/m"
    assert inner["systemInstruction"]["parts"] == [{"text": "Be brief."}]


async def test_a_count_that_is_refused_keeps_googles_answer(provider: Gemini, server: SimulatedGemini) -> None:
    server.will(replies.failure(404, "No such model."), Reply.json({"other": 1}))
    with pytest.raises(UpstreamRejected) as refused:
        await provider.count_tokens(Ask("gemini", "m", BODY))
    assert refused.value.status == 404
    assert b"No such model." in refused.value.body
    with pytest.raises(UpstreamError, match="no count"):
        await provider.count_tokens(Ask("gemini", "m", BODY))


# Embeddings.


async def test_one_text_is_embedded(provider: Gemini, server: SimulatedGemini) -> None:
    status, _, body = await provider.fetch(embedding(input="a", dimensions=3, user="me"))
    answer = json.loads(body)
    assert status == 200
    assert (answer["object"], answer["model"]) == ("list", "gemini-embedding-001")
    assert [(row["object"], row["index"], len(row["embedding"])) for row in answer["data"]] == [("embedding", 0, 3)]
    assert answer["usage"] == {"prompt_tokens": 1, "total_tokens": 1}
    assert server.last.path == "/v1beta/models/gemini-embedding-001:embedContent"
    assert server.last.json == {
        "model": "models/gemini-embedding-001",
        "content": {"parts": [{"text": "a"}]},
        "outputDimensionality": 3,
    }


async def test_base64_is_the_same_vectors(provider: Gemini) -> None:
    _, _, plain = await provider.fetch(embedding(input=["a", "b"], encoding_format="float"))
    _, _, packed = await provider.fetch(embedding(input=["a", "b"], encoding_format="base64"))
    for row, other in zip(json.loads(plain)["data"], json.loads(packed)["data"], strict=True):
        numbers = struct.unpack(f"<{DIMENSIONS}f", base64.b64decode(other["embedding"]))
        assert numbers == pytest.approx(row["embedding"], rel=1e-6)


async def test_many_texts_are_asked_for_in_batches_and_stay_in_order(provider: Gemini, server: SimulatedGemini) -> None:
    texts = [f"text {number}" for number in range(MOST_AT_ONCE + 5)]
    _, _, body = await provider.fetch(embedding(input=texts))
    answer = json.loads(body)
    assert [len(seen.json["requests"]) for seen in server.seen] == [MOST_AT_ONCE, 5]
    assert [row["index"] for row in answer["data"]] == list(range(len(texts)))
    assert answer["usage"]["prompt_tokens"] == len(texts)
    _, _, alone = await provider.fetch(embedding(input=texts[-1]))
    assert json.loads(alone)["data"][0]["embedding"] == answer["data"][-1]["embedding"]


async def test_what_google_has_not_counted_is_not_invented(provider: Gemini, server: SimulatedGemini) -> None:
    server.will(Reply.raw(b'{"embedding": {"values": [0.10000000000000000001, 1e-40]}}'))
    _, _, body = await provider.fetch(embedding(input="a"))
    assert "usage" not in json.loads(body)
    assert b"0.10000000000000000001" in body


@pytest.mark.parametrize(
    "body", [b"{}", b"<html>", b'{"embeddings": []}', b'{"embedding": {"values": "x"}}', b'{"embedding": {}}']
)
async def test_an_answer_without_embeddings_is_an_error(provider: Gemini, server: SimulatedGemini, body: bytes) -> None:
    server.will(Reply.raw(body))
    with pytest.raises(UpstreamError):
        await provider.fetch(embedding(input="a", encoding_format="base64"))


async def test_an_error_of_embeddings_is_told_as_openai_does(provider: Gemini, server: SimulatedGemini) -> None:
    server.will(replies.failure(429, "Quota exceeded.", retry_delay_s=6.2), Reply.html(502))
    status, headers, body = await provider.fetch(embedding(input="a"))
    assert (status, dict(headers)[b"retry-after"]) == (429, b"7")
    assert json.loads(body)["error"] == {
        "message": "Quota exceeded.",
        "type": "rate_limit_error",
        "param": None,
        "code": "RESOURCE_EXHAUSTED",
    }
    status, _, body = await provider.fetch(embedding(input="a"))
    assert (status, body.startswith(b"<html>")) == (502, True)


@pytest.mark.parametrize(
    ("members", "param", "kind"),
    [
        ({"input": [1, 2, 3]}, "input", Unmapped),
        ({"input": [[1, 2], [3]]}, "input", Unmapped),
        ({"input": "a", "task_type": "x"}, "task_type", Unmapped),
        ({"input": []}, "input", InvalidRequest),
        ({}, "input", InvalidRequest),
        ({"input": "a", "dimensions": 0}, "dimensions", InvalidRequest),
        ({"input": "a", "encoding_format": "hex"}, None, InvalidRequest),
    ],
)
async def test_what_google_does_not_embed_is_refused_before_it_is_asked(
    provider: Gemini, server: SimulatedGemini, members: dict[str, Any], param: str | None, kind: type[InvalidRequest]
) -> None:
    with pytest.raises(kind) as refused:
        await provider.fetch(embedding(**members))
    assert refused.value.param == param
    assert not server.seen


async def test_embeddings_are_not_streamed(provider: Gemini) -> None:
    with pytest.raises(InvalidRequest, match="can't be streamed"):
        await provider.stream(embedding(input="a"))


VALUES = st.recursive(st.none() | st.booleans() | st.integers() | st.floats() | st.text(), st.lists, max_leaves=4)
NAMES = st.sampled_from(["input", "dimensions", "encoding_format", "user", "model", "other"])


@settings(suppress_health_check=[HealthCheck.too_slow])
@given(st.dictionaries(NAMES, VALUES) | VALUES)
def test_any_request_for_embeddings_is_read_or_refused(value: Any) -> None:
    try:
        asked = read_request(json.dumps(value).encode())
    except InvalidRequest:
        return
    assert asked.texts

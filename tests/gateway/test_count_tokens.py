"""`/v1/messages/count_tokens`, by Anthropic's own client: counted by whoever can count, else estimated aloud."""

from __future__ import annotations

from typing import Any

import anthropic
import pytest
from running_gateway import World

from headworks.testing.provider import SimulatedProvider
from headworks.testing.replies import Reply

ASKED: Any = [{"role": "user", "content": "How many tokens is this?"}]


@pytest.fixture
def client(world: World) -> anthropic.Anthropic:
    return anthropic.Anthropic(base_url=world.url, api_key=world.admin_key, max_retries=0)


def test_anthropic_counts_its_own_format_by_the_same_bytes(
    world: World, client: anthropic.Anthropic, provider: SimulatedProvider
) -> None:
    provider.will(Reply.json({"input_tokens": 14}, request_id="req_011"))
    counted = client.messages.with_raw_response.count_tokens(model="claude/claude-5", messages=ASKED, system="Be kind.")
    assert counted.parse().input_tokens == 14
    assert counted.headers.get_list("request-id") == ["req_011"]
    assert "x-headworks-estimated" not in counted.headers
    assert provider.last.path == "/v1/messages/count_tokens"
    assert provider.last.json == {"model": "claude-5", "messages": ASKED, "system": "Be kind."}
    assert provider.last.headers["anthropic-version"]
    row = world.records.row()
    assert (row.surface, row.model, row.provider, row.status) == ("count_tokens", "claude-5", "claude", 200)
    assert (row.cost_micro_usd, row.input_tokens, row.attempts) == (0, None, 1)


def test_gemini_counts_what_it_would_be_told(client: anthropic.Anthropic, provider: SimulatedProvider) -> None:
    provider.will(Reply.json({"totalTokens": 9}))
    assert client.messages.count_tokens(model="google/gemini-3", messages=ASKED).input_tokens == 9
    assert provider.last.path == "/v1/models/gemini-3:countTokens"
    told = provider.last.json["generateContentRequest"]
    assert told["contents"] == [{"role": "user", "parts": [{"text": "How many tokens is this?"}]}]


def test_for_others_the_count_is_an_estimate_and_says_so(
    world: World, client: anthropic.Anthropic, provider: SimulatedProvider
) -> None:
    for model in ("outside", "bare", "builtin/simulated"):
        answer = client.messages.with_raw_response.count_tokens(model=model, messages=ASKED)
        assert answer.headers["x-headworks-estimated"] == "true"
        assert answer.headers["request-id"] == answer.headers["x-headworks-trace"]
        assert 10 <= answer.parse().input_tokens <= 60
    assert not provider.seen
    assert {row.cost_micro_usd for row in world.records.rows} == {0}


def test_a_provider_s_refusal_comes_in_anthropic_s_words(
    client: anthropic.Anthropic, provider: SimulatedProvider
) -> None:
    body = {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}, "request_id": "req_1"}
    provider.will(Reply.json(body, 529, request_id="req_1"))
    with pytest.raises(anthropic.APIStatusError) as raised:
        client.messages.count_tokens(model="claude/c", messages=ASKED)
    assert (raised.value.status_code, raised.value.body, raised.value.request_id) == (529, body, "req_1")
    provider.will(Reply.json({"error": {"code": 400, "message": "Too long.", "status": "INVALID_ARGUMENT"}}, 400))
    with pytest.raises(anthropic.BadRequestError, match=r"Too long\."):
        client.messages.count_tokens(model="google/g", messages=ASKED)
    provider.will(Reply.html(503), Reply.json(body, 401), Reply.raw(b"[]"))
    for status in (502, 502, 502):
        with pytest.raises(anthropic.InternalServerError) as failed:
            client.messages.count_tokens(model="claude/c", messages=ASKED)
        assert failed.value.status_code == status


def test_a_count_is_refused_like_a_call(world: World, provider: SimulatedProvider) -> None:
    narrow = world.key(models=["outside"])
    world.settle()
    asked = {"messages": ASKED}
    cases = [
        (asked | {"model": "claude/c"}, narrow, 403, "permission_error"),
        (asked | {"model": "nowhere"}, None, 404, "not_found_error"),
        (asked | {"model": "outside"}, "nonsense", 401, "authentication_error"),
        ({"model": "outside"}, None, 400, "invalid_request_error"),
        ({"model": "outside", "messages": [{"role": "king", "content": "x"}]}, None, 400, "invalid_request_error"),
        (b"{", None, 400, "invalid_request_error"),
        ({"model": "outside", "messages": "x" * (3 << 20)}, None, 413, "request_too_large"),
    ]
    for body, key, status, kind in cases:
        answer = world.post(body, "/v1/messages/count_tokens", key=key)
        told = answer.json()
        assert (answer.status_code, told["type"], told["error"]["type"]) == (status, "error", kind)
        assert told["request_id"] == answer.headers["request-id"]
    assert not provider.seen

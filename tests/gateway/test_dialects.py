"""Responses, Messages and Completions end to end, by the vendors' own clients: plain routes, and features that cite."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import anthropic
import openai
import pytest
from responses_samples import ANSWER
from running_gateway import DOCUMENT, World, passage

from headworks.formats.messages.thoughts import packed
from headworks.formats.neutral import ThinkingBlock
from headworks.testing import anthropic_replies
from headworks.testing.provider import SimulatedProvider
from headworks.testing.replies import Reply, chunk, completion, streamed

TOOL = {"name": "weather", "description": "Of a city.", "input_schema": {"type": "object", "properties": {}}}
COUNTS = {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15}
QUOTE = "Teeth are covered."
ASKED: Any = [{"role": "user", "content": "Teeth?"}]


@pytest.fixture
def gpt(world: World) -> Iterator[Any]:
    with world.client() as client:
        yield client


@pytest.fixture
def claude(world: World) -> Iterator[Any]:
    with anthropic.Anthropic(base_url=world.url, api_key=world.admin_key, max_retries=0) as client:
        yield client


# ── Plain routes ──


def test_messages_are_answered_by_a_chat_provider(world: World, claude: Any, provider: SimulatedProvider) -> None:
    provider.will(Reply.json(completion("Hello.")))
    answer = claude.messages.create(model="outside", max_tokens=50, messages=ASKED, system="Be kind.")
    assert (answer.content[0].text, answer.stop_reason) == ("Hello.", "end_turn")
    assert (answer.usage.input_tokens, answer.usage.output_tokens) == (10, 5)
    assert answer._request_id == str(world.records.row().trace_id)
    assert [each["role"] for each in provider.last.json["messages"]] == ["system", "user"]


def test_messages_are_streamed_by_a_chat_provider(claude: Any, provider: SimulatedProvider) -> None:
    provider.will(Reply.events(streamed("Hel", "lo.", usage=COUNTS, finish_reason="length")))
    with claude.messages.stream(model="outside", max_tokens=50, messages=ASKED) as stream:
        assert "".join(stream.text_stream) == "Hello."
        final = stream.get_final_message()
    assert (final.stop_reason, final.usage.output_tokens) == ("max_tokens", 5)


def test_messages_go_to_anthropic_as_they_are(world: World, claude: Any, provider: SimulatedProvider) -> None:
    body = json.dumps(anthropic_replies.message(anthropic_replies.text("Hello.")), indent=2).encode()
    provider.will(Reply.raw(body, request_id="req_7"))
    sent = b'{"model":"claude/c","max_tokens":5, "messages":[{"role":"user","content":"\\u0048i"}], "x_new":1.50}'
    answer = world.post(sent, "/v1/messages", anthropic_version="2023-06-01")
    assert (answer.content, answer.headers.get_list("request-id")) == (body, ["req_7"])
    assert provider.last.body == sent.replace(b"claude/c", b"c")
    provider.will(anthropic_replies.stream(anthropic_replies.text("Hello.")))
    with claude.messages.stream(model="claude/c", max_tokens=5, messages=ASKED) as stream:
        assert stream.get_final_text() == "Hello."


def test_thoughts_of_another_model_are_kept_from_anthropic(claude: Any, provider: SimulatedProvider) -> None:
    signature = packed(ThinkingBlock("Hm.", "of Google", origin="gemini"), "of Google")
    thought = {"type": "thinking", "thinking": "Hm.", "signature": signature}
    provider.will(Reply.json(anthropic_replies.message(anthropic_replies.text("Hello."))))
    turns = [*ASKED, {"role": "assistant", "content": [thought, {"type": "text", "text": "Yes."}]}, *ASKED]
    answer = claude.messages.create(model="claude/c", max_tokens=5, messages=turns)
    assert answer.content[0].text == "Hello."
    assert b"headworks." not in provider.last.body
    assert provider.last.json["messages"][1]["content"] == [{"type": "text", "text": "Yes."}]


def test_a_call_of_a_tool_reaches_each_client_in_its_shape(gpt: Any, claude: Any, provider: SimulatedProvider) -> None:
    call = {"id": "call_1", "type": "function", "function": {"name": "weather", "arguments": '{"city":"Bern"}'}}
    whole = completion("", "tool_calls")
    whole["choices"][0]["message"] |= {"content": None, "tool_calls": [call]}
    provider.will(Reply.json(whole), Reply.json(whole))
    answer = claude.messages.create(model="silent", max_tokens=50, messages=ASKED, tools=[TOOL])
    assert (answer.stop_reason, answer.content[0].input) == ("tool_use", {"city": "Bern"})
    function = {"type": "function", "name": "weather", "parameters": {"type": "object"}, "strict": False}
    response = gpt.responses.create(model="silent", input="Weather?", tools=[function])
    assert (response.output[0].type, response.output[0].arguments) == ("function_call", '{"city":"Bern"}')


def test_responses_are_answered_by_anthropic(gpt: Any, provider: SimulatedProvider) -> None:
    said = anthropic_replies.text("Hello.")
    provider.will(
        Reply.json(anthropic_replies.message(said, stop_reason="max_tokens")),
        anthropic_replies.stream(said),
    )
    answer = gpt.responses.create(model="claude/c", input="Hi")
    assert (answer.output_text, answer.status, answer.incomplete_details.reason) == (
        "Hello.",
        "incomplete",
        "max_output_tokens",
    )
    *_, last = gpt.responses.create(model="claude/c", input="Hi", stream=True)
    assert (last.type, last.response.output_text) == ("response.completed", "Hello.")


def test_completions_are_answered_by_a_chat_provider(gpt: Any, provider: SimulatedProvider) -> None:
    provider.will(Reply.json(completion("Hello.")), Reply.events(streamed("Hel", "lo.")))
    answer = gpt.completions.create(model="silent", prompt="Say hello.")
    assert (answer.choices[0].text, answer.choices[0].finish_reason) == ("Hello.", "stop")
    texts = [each.choices[0].text for each in gpt.completions.create(model="silent", prompt="Again.", stream=True)]
    assert "".join(texts) == "Hello."


# ── Features ──


@pytest.fixture
def cited(world: World, provider: SimulatedProvider) -> SimulatedProvider:
    world.shelf.passages_of = [passage(1, QUOTE)]
    provider.will(Reply.json(completion("Teeth are covered [1].")))
    return provider


@pytest.fixture
def cited_stream(world: World, provider: SimulatedProvider) -> SimulatedProvider:
    world.shelf.passages_of = [passage(1, QUOTE)]
    provider.will(Reply.events(streamed("Teeth are ", "covered [", "1].", usage=COUNTS)))
    return provider


def url_citation(world: World) -> dict[str, Any]:
    return {
        "type": "url_citation",
        "start_index": 18,
        "end_index": 21,
        "title": "Title 1",
        "url": f"{world.url}/documents/{DOCUMENT}#char=0,{len(QUOTE)}",
    }


def check_annotation(world: World, annotation: Any) -> None:
    told = annotation.model_dump()
    checkable = told.pop("headworks")
    assert told == url_citation(world)
    assert (checkable["quote"], checkable["sha256"], checkable["version"]) == (QUOTE, "sha", 1)


def test_a_feature_cites_in_responses(world: World, gpt: Any, cited: SimulatedProvider) -> None:
    answer = gpt.responses.create(model="claims", input="Teeth?")
    (part,) = answer.output[0].content
    assert part.text == "Teeth are covered [1]."
    check_annotation(world, *part.annotations)
    assert (answer.usage.input_tokens, answer.usage.output_tokens, answer.model) == (10, 5, "claims")
    assert cited.last.path.endswith("/chat/completions")
    assert world.records.row().surface == "responses"


def test_a_feature_cites_in_streamed_responses(world: World, gpt: Any, cited_stream: SimulatedProvider) -> None:
    events = list(gpt.responses.create(model="claims", input="Teeth?", stream=True))
    added = [each for each in events if each.type == "response.output_text.annotation.added"]
    assert added[0].annotation.url == url_citation(world)["url"]
    assert events[-1].type == "response.completed"
    (part,) = events[-1].response.output[0].content
    assert part.text == "Teeth are covered [1]."
    check_annotation(world, *part.annotations)
    assert events[-1].response.usage.total_tokens == 15
    assert cited_stream.last.json["stream"]


def check_char_location(block: Any) -> None:
    (citation,) = block.citations
    assert (citation.type, citation.cited_text, citation.document_title) == ("char_location", QUOTE, "Title 1")
    assert (citation.document_index, citation.start_char_index, citation.end_char_index) == (0, 0, len(QUOTE))


def test_a_feature_cites_in_messages(claude: Any, cited: SimulatedProvider) -> None:
    answer = claude.messages.create(model="claims", max_tokens=50, messages=ASKED)
    assert "".join(block.text for block in answer.content) == "Teeth are covered [1]."
    check_char_location(next(block for block in answer.content if block.citations))
    assert (answer.stop_reason, answer.usage.input_tokens) == ("end_turn", 10)
    assert cited.last.json["max_completion_tokens"] == 50


def test_a_feature_cites_in_streamed_messages(claude: Any, cited_stream: SimulatedProvider) -> None:
    with claude.messages.stream(model="claims", max_tokens=50, messages=ASKED) as stream:
        kinds = {event.delta.type for event in stream if event.type == "content_block_delta"}
        final = stream.get_final_message()
    assert kinds == {"text_delta", "citations_delta"}
    assert "".join(block.text for block in final.content) == "Teeth are covered [1]."
    check_char_location(next(block for block in final.content if block.citations))
    assert (final.stop_reason, final.usage.output_tokens) == ("end_turn", 5)
    assert cited_stream.last.json["stream"]


def test_a_feature_answers_in_completions(gpt: Any, cited: SimulatedProvider) -> None:
    raw = gpt.completions.with_raw_response.create(model="claims", prompt="Teeth?", temperature=0.1)
    assert raw.headers["x-headworks-ignored"] == "temperature, citations"
    answer = raw.parse()
    assert (answer.choices[0].text, answer.choices[0].finish_reason) == ("Teeth are covered [1].", "stop")
    assert cited.last.json["messages"][-1]["role"] == "user"


# ── Ends that are none ──


def error_of(raised: anthropic.APIStatusError) -> Any:
    body: Any = raised.body
    return body["error"]


def test_a_stream_that_breaks_off_is_an_error_in_every_format(
    world: World, gpt: Any, claude: Any, provider: SimulatedProvider
) -> None:
    cut = Reply.events([chunk("Hel", role="assistant")], end="cut")
    for model in ("silent", "bare"):
        provider.will(cut, cut)
        events = gpt.responses.create(model=model, input="Hi", stream=True)
        with pytest.raises(openai.APIError, match="closed the connection"):
            list(events)
        stream = claude.messages.create(model=model, max_tokens=9, messages=ASKED, stream=True)
        with pytest.raises(anthropic.APIStatusError) as raised:
            list(stream)
        assert error_of(raised.value)["type"] == "api_error"
    codes = {row.error_code for row in world.records.rows}
    assert codes <= {"stream_truncated", "upstream_error"}
    assert all(row.input_tokens for row in world.records.rows)


def test_an_error_inside_a_stream_is_told_in_the_caller_s_format(
    gpt: Any, claude: Any, provider: SimulatedProvider
) -> None:
    failed = Reply.events(
        [chunk("Hel", role="assistant"), {"error": {"message": "Broken.", "type": "server_error"}}], gap_s=0.2
    )
    provider.will(failed, failed)
    with pytest.raises(openai.APIError, match="Broken"):
        list(gpt.responses.create(model="silent", input="Hi", stream=True))
    with pytest.raises(anthropic.APIStatusError, match="Broken"):
        list(claude.messages.create(model="silent", max_tokens=9, messages=ASKED, stream=True))


@pytest.mark.parametrize("model", ["silent", "bare"])
def test_the_provider_is_stopped_when_a_client_leaves(
    world: World, gpt: Any, claude: Any, provider: SimulatedProvider, model: str
) -> None:
    endless = Reply.events([chunk("word ", role="assistant"), *[chunk("word ")] * 200], gap_s=0.05)
    provider.will(endless, endless)
    with gpt.responses.create(model=model, input="Hi", stream=True) as stream:
        next(event for event in stream if event.type == "response.output_text.delta")
    with claude.messages.create(model=model, max_tokens=9, messages=ASKED, stream=True) as stream:
        next(event for event in stream if event.type == "content_block_delta")
    assert [seen.wait_until_ended() for seen in provider.seen] == ["abandoned", "abandoned"]
    rows = [world.records.row(1), world.records.row(2)]
    assert {row.status for row in rows} == {499}
    assert all(row.is_estimated and row.input_tokens for row in rows)


# ── Errors ──

BODIES: dict[str, dict[str, Any]] = {
    "/v1/chat/completions": {"messages": ASKED},
    "/v1/completions": {"prompt": "Hi"},
    "/v1/responses": {"input": "Hi"},
    "/v1/messages": {"messages": ASKED, "max_tokens": 5},
}


@pytest.mark.parametrize("path", BODIES)
def test_errors_have_the_format_s_shape_everywhere(world: World, provider: SimulatedProvider, path: str) -> None:
    narrow = world.key(models=["outside"])
    world.settle()
    asked = BODIES[path]
    cases: list[tuple[Any, str | None, int, str]] = [
        (asked | {"model": "silent"}, "nonsense", 401, "authentication_error"),
        (asked | {"model": "silent"}, narrow, 403, "permission_error"),
        (asked | {"model": "nowhere"}, None, 404, "not_found_error"),
        (asked, None, 400, "invalid_request_error"),
        (b"[]", None, 400, "invalid_request_error"),
        (b"\xff", None, 400, "invalid_request_error"),
        (asked | {"model": "x" * (3 << 20)}, None, 413, "request_too_large"),
        (asked | {"model": "down"}, None, 502, "api_error"),
    ]
    for body, key, status, kind in cases:
        answer = world.post(body, path, key=key)
        told = answer.json()
        assert answer.status_code == status, told
        assert told["error"]["message"]
        if path == "/v1/messages":
            assert (told["type"], told["error"]["type"]) == ("error", kind)
            assert told["request_id"] == answer.headers["request-id"] == answer.headers["x-headworks-trace"]
        else:
            assert set(told["error"]) >= {"message", "type", "param", "code"}
    assert not provider.seen


def test_what_we_do_wrong_has_the_format_s_shape(
    world: World, claude: Any, provider: SimulatedProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    provider.will(Reply.json(completion("x")))
    world.records.fails = RuntimeError("a disk that is full")
    with pytest.raises(anthropic.InternalServerError) as raised:
        claude.messages.create(model="silent", max_tokens=5, messages=ASKED)
    assert error_of(raised.value) == {
        "type": "api_error",
        "message": "Something went wrong in the server. Its log says what.",
        "code": "internal_error",
    }
    assert "disk" not in str(raised.value)


def test_a_body_that_is_too_long_is_refused_before_it_is_read(world: World) -> None:
    for path in BODIES:
        head = f"POST {path} HTTP/1.1\r\nhost: x\r\ncontent-length: 99999999\r\nconnection: close\r\n\r\n{{"
        answer = world.send(head.encode())
        assert b" 413 " in answer.partition(b"\r\n")[0]
        told = json.loads(answer.partition(b"\r\n\r\n")[2])
        assert told["error"]["type"] == ("request_too_large" if path == "/v1/messages" else "invalid_request_error")


def test_a_rejection_of_the_provider_is_told_in_the_caller_s_format(claude: Any, provider: SimulatedProvider) -> None:
    provider.will(Reply.error(429, "Slow down.", retry_after="3"), Reply.error(400, "Too long."))
    with pytest.raises(anthropic.RateLimitError, match="Slow down") as limited:
        claude.messages.create(model="silent", max_tokens=5, messages=ASKED)
    assert limited.value.response.headers["retry-after"] == "3"
    assert error_of(limited.value)["type"] == "rate_limit_error"
    with pytest.raises(anthropic.BadRequestError, match="Too long"):
        claude.messages.create(model="silent", max_tokens=5, messages=ASKED)


def test_the_sample_is_a_response(gpt: Any, provider: SimulatedProvider) -> None:
    provider.will(Reply.json(ANSWER))
    assert gpt.responses.create(model="outside", input="Hi").output_text == "In a peaceful grove…"

"""When another target is tried, and what the caller is told when none is left."""

from __future__ import annotations

from typing import Any

import msgspec
import openai
import pytest
from running_gateway import World

from headworks.gateway.failover.chains import Chain
from headworks.gateway.failover.retrying import Pauses, RetryBudget
from headworks.gateway.plans import aim_at, plan_of
from headworks.providers.builtin import Builtin
from headworks.providers.simulated import Simulated
from headworks.testing.provider import SimulatedProvider
from headworks.testing.replies import Reply, chunk, completion, streamed
from headworks.types.failing import Retries
from headworks.types.features import Route, Target, usual_fallback
from headworks.types.ids import Digest

ASK: list[Any] = [{"role": "user", "content": "Hello?"}]
ERROR_EVENT = {"error": {"message": "Overloaded.", "type": "server_error", "param": None, "code": "busy"}}

FAULTS = {
    "429": Reply.error(429),
    "500": Reply.error(500),
    "503 as a web page": Reply.html(503),
    "529": Reply.error(529),
    "a closed connection": Reply.hang_up(),
    "silence": Reply.silence(),
    "a web page with status 200": Reply.html(),
    "half a JSON": Reply.raw(b'{"choices": [{"mess'),
    "an empty body": Reply.raw(b""),
    "an error object with status 200": Reply.json(ERROR_EVENT),
    "JSON that is no answer": Reply.json({"hello": "world"}),
}
STREAM_FAULTS = {
    "429": Reply.error(429),
    "500": Reply.error(500),
    "a closed connection": Reply.hang_up(),
    "silence": Reply.silence(),
    "a web page with status 200": Reply.html(),
    "an error object with status 200": Reply.json(ERROR_EVENT),
    "an answer that is no stream": Reply.json(completion("Whole.")),
    "an error as the first event": Reply.events([ERROR_EVENT]),
    "an error after the role": Reply.events([b": hi\n\n", chunk("", role="assistant"), ERROR_EVENT]),
    "a filter's frame, then an error": Reply.events([{"choices": [], "prompt_filter_results": [1]}, ERROR_EVENT]),
    "a role, then the end": Reply.events([chunk("", role="assistant")]),
    "a role, then a cut": Reply.events([chunk("", role="assistant")], end="cut"),
    "a role, then silence": Reply.events([chunk("", role="assistant")], end="hang"),
    "no event at all": Reply.events([]),
    "events that are no JSON": Reply.events(["oops"]),
}


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS)
@pytest.mark.usefixtures("impatient")
def test_the_next_target_answers_for_a_failing_one(
    world: World, provider: SimulatedProvider, other: SimulatedProvider, fault: Reply
) -> None:
    provider.will(fault, fault)  # a closed connection may have been an old one: that is tried once more
    other.will(Reply.json(completion("From the other.")))
    answer = world.client().chat.completions.create(model="pair", messages=ASK)
    assert answer.choices[0].message.content == "From the other."
    assert (provider.last.json["model"], other.last.json["model"]) == ("m1", "m2")
    row = world.records.row()
    assert (row.provider, row.model, row.status) == ("other", "m2", 200)
    assert row.attempts == len(provider.seen) + len(other.seen)


@pytest.mark.parametrize("fault", STREAM_FAULTS.values(), ids=STREAM_FAULTS)
@pytest.mark.usefixtures("impatient")
def test_the_next_target_streams_as_long_as_nothing_was_said(
    world: World, provider: SimulatedProvider, other: SimulatedProvider, fault: Reply
) -> None:
    reply = Reply.events(streamed("From the other."))
    provider.will(fault, fault)  # a closed connection may have been an old one: that is tried once more
    other.will(reply)
    answer = world.post({"model": "pair", "messages": ASK, "stream": True, "stream_options": {"include_usage": True}})
    assert answer.content == b"".join(reply.pieces)
    assert world.records.row().attempts == len(provider.seen) + len(other.seen)


def test_a_target_that_is_down_is_passed_over(world: World, other: SimulatedProvider) -> None:
    other.will(Reply.json(completion("Here.")))
    answer = world.client().chat.completions.create(model="saved", messages=ASK)
    assert answer.choices[0].message.content == "Here."


def test_a_feature_has_its_route_s_fallback(
    world: World, provider: SimulatedProvider, other: SimulatedProvider
) -> None:
    provider.will(Reply.error(503))
    other.will(Reply.json(completion("Here.")))
    answer = world.client().chat.completions.create(model="switching", messages=ASK)
    assert answer.choices[0].message.content == "Here."
    attempts = [span for span in world.records.spans if span.name == "attempt"]
    assert [(span.attributes["target"], span.status) for span in attempts] == [
        ("outside/m1", "upstream_rejected"),
        ("other/m2", "ok"),
    ]


@pytest.mark.parametrize("status", [400, 404, 413, 422])
def test_what_the_provider_refuses_is_not_tried_elsewhere(
    world: World, provider: SimulatedProvider, other: SimulatedProvider, status: int
) -> None:
    body = {"error": {"message": "Too long.", "type": "invalid_request_error", "param": "messages", "code": "long"}}
    provider.will(Reply.json(body, status, x_request_id="req_9"))
    answer = world.post({"model": "pair", "messages": ASK})
    assert (answer.status_code, answer.json(), answer.headers["x-request-id"]) == (status, body, "req_9")
    assert not other.seen


def test_once_something_was_said_nobody_else_is_asked(
    world: World, provider: SimulatedProvider, other: SimulatedProvider
) -> None:
    provider.will(Reply.events([chunk("Half")], end="cut"))
    answer = world.post({"model": "pair", "messages": ASK, "stream": True})
    assert "Half" in answer.text
    assert "stream_truncated" in answer.text
    assert not other.seen


@pytest.mark.parametrize("is_stream", [True, False])
def test_the_last_error_is_passed_on_as_it_is(world: World, provider: SimulatedProvider, *, is_stream: bool) -> None:
    body = b'{"error": {"message": "Slow down.",  "type":"requests", "param":null, "code":"rate_limit_exceeded"}}'
    headers = {"retry_after": "7", "x_request_id": "req_7", "x_ratelimit_remaining_tokens": "0"}
    provider.will(Reply.raw(body, 429, **headers))
    answer = world.post({"model": "outside", "messages": ASK, "stream": is_stream})
    assert (answer.status_code, answer.content) == (429, body)
    assert {answer.headers[name.replace("_", "-")] for name in headers} == set(headers.values())
    assert answer.headers["x-headworks-release"].startswith("sha256:")
    provider.will(Reply.raw(body, 429, **headers))
    client = world.client()
    with pytest.raises(openai.RateLimitError) as refused:
        client.chat.completions.create(model="outside", messages=ASK)
    assert refused.value.response.headers["retry-after"] == "7"
    assert refused.value.code == "rate_limit_exceeded"


@pytest.mark.parametrize(
    ("fault", "status", "code", "said"),
    [
        (Reply.html(), 502, "upstream_not_an_answer", "text/html that is no answer"),
        (Reply.html(503), 503, "upstream_error", "status 503 and text/html"),
        (Reply.hang_up(), 502, "upstream_error", "closed the connection without an answer"),
        (Reply.silence(), 504, "upstream_timeout", "first byte deadline of 2 s"),
        (Reply.raw(b"{}", 401), 502, "upstream_unauthorized", "yours is fine"),
        (Reply.raw(b'{"choices": [{"mess'), 502, "upstream_not_an_answer", "that is no answer"),
        (Reply(200, {"content-length": "50"}, (b'{"choices":',), end="cut"), 502, "stream_truncated", "in the middle"),
    ],
)
@pytest.mark.parametrize("is_stream", [True, False])
@pytest.mark.usefixtures("impatient")
def test_a_fault_of_the_provider_is_named(
    world: World, provider: SimulatedProvider, fault: Reply, status: int, code: str, said: str, *, is_stream: bool
) -> None:
    provider.will(fault, fault)  # a closed connection may have been an old one: that is tried once more
    answer = world.post({"model": "outside", "messages": ASK, "stream": is_stream})
    error = answer.json()["error"]
    assert answer.status_code == status, error
    assert set(error) == {"message", "type", "param", "code"}
    assert error["code"] == code
    assert said in error["message"]
    assert world.records.row().error_code == code


def test_a_target_is_tried_again_before_another_is_asked(
    world: World, provider: SimulatedProvider, other: SimulatedProvider
) -> None:
    provider.will(Reply.error(503), Reply.error(429, retry_after_ms="20"), Reply.json(completion("At last.")))
    answer = world.post({"model": "trying", "messages": ASK})
    assert answer.json()["choices"][0]["message"]["content"] == "At last."
    assert answer.headers["x-headworks-attempts"] == "3"
    assert (len(provider.seen), len(other.seen), world.records.row().attempts) == (3, 0, 3)


def test_nobody_waits_longer_than_the_route_allows(
    world: World, provider: SimulatedProvider, other: SimulatedProvider
) -> None:
    provider.will(Reply.error(429, retry_after="7"))
    other.will(Reply.error(429, retry_after="9"))
    answer = world.post({"model": "trying", "messages": ASK, "stream": True})
    assert (answer.status_code, answer.headers["retry-after"]) == (429, "9")
    assert (len(provider.seen), len(other.seen), answer.headers["x-headworks-attempts"]) == (1, 1, "2")


def test_an_answer_at_the_first_attempt_says_nothing_of_attempts(world: World, provider: SimulatedProvider) -> None:
    provider.will(Reply.json(completion("ok")))
    assert "x-headworks-attempts" not in world.post({"model": "trying", "messages": ASK}).headers


def test_each_kind_of_failure_leads_where_the_route_says(
    world: World, provider: SimulatedProvider, other: SimulatedProvider
) -> None:
    provider.will(Reply.error(503))
    assert world.post({"model": "widening", "messages": ASK}).status_code == 503
    assert not other.seen
    long = {"message": "Too long.", "type": "invalid_request_error", "param": None, "code": "context_length_exceeded"}
    provider.will(Reply.json({"error": long}, 400))
    other.will(Reply.json(completion("It fits.")))
    answer = world.post({"model": "widening", "messages": ASK})
    assert answer.json()["choices"][0]["message"]["content"] == "It fits."
    assert other.last.json["model"] == "m9"
    assert world.records.row(2).model == "m9"


def test_an_error_in_another_format_is_told_apart_by_the_provider_s_own_words(
    world: World, provider: SimulatedProvider, other: SimulatedProvider
) -> None:
    error = {"type": "error", "error": {"type": "overloaded_error", "message": "Busy."}}
    provider.will(Reply.json(error, 529), Reply.json(error, 529))
    answer = world.post({"model": "claude/m1", "messages": ASK, "max_tokens": 9})
    assert (answer.status_code, answer.json()["error"]["message"]) == (529, "Busy.")
    assert not other.seen


@pytest.mark.parametrize("fault", [Reply.silence(), Reply.events([chunk("", role="assistant")], end="hang")])
def test_a_stream_that_says_nothing_in_time_is_given_up(
    world: World, provider: SimulatedProvider, other: SimulatedProvider, fault: Reply
) -> None:
    provider.will(fault)
    other.will(Reply.events(streamed("From the other.")))
    answer = world.post({"model": "hurried", "messages": ASK, "stream": True})
    assert "From the other." in answer.text.replace('"}', "")
    assert answer.headers["x-headworks-attempts"] == "2"


def test_a_route_s_total_is_for_all_attempts_together(
    world: World, provider: SimulatedProvider, other: SimulatedProvider
) -> None:
    provider.will(Reply.silence())
    answer = world.post({"model": "bounded", "messages": ASK})
    assert (answer.status_code, answer.json()["error"]["code"]) == (504, "upstream_timeout")
    assert not other.seen


def test_a_plan_of_which_few_targets_are_left_is_walked_through_those() -> None:
    targets = tuple(Target("simulated", f"m{number}") for number in range(3))
    fallback = {**usual_fallback(), "context_window": targets[2:]}
    route = Route("r", targets[:2], Digest("sha256:0"), fallback=fallback, retries=Retries(most=1))
    here = Builtin({"simulated": Simulated()}, {})
    aims = tuple(aim_at(target, lambda name: (here, name), lambda *_: None) for target in route.every_target)
    plan = plan_of("r", route, aims, "none")
    assert plan.walked is route
    left = msgspec.structs.replace(plan, aims=aims[1:2]).walked
    assert left.every_target == targets[1:2]
    assert left.retries == route.retries
    assert Chain(left, Pauses(RetryBudget())).first() == 0


def test_the_spans_of_a_feature_say_how_each_attempt_failed(
    world: World, provider: SimulatedProvider, other: SimulatedProvider
) -> None:
    provider.will(Reply.error(503), Reply.html(), Reply.error(404, code="model_not_found"))
    other.will(Reply.json(completion("Here.")))
    answer = world.post({"model": "patient", "messages": ASK})
    assert (answer.status_code, answer.headers["x-headworks-attempts"]) == (200, "4")
    attempts = [span for span in world.records.spans if span.name == "attempt"]
    assert [(span.attributes["target"], span.attributes.get("failure")) for span in attempts] == [
        ("outside/m1", "server_error"),
        ("outside/m1", "invalid_answer"),
        ("outside/m1", "no_model"),
        ("other/m2", None),
    ]
    assert all(span.duration_us > 0 for span in attempts)


def test_a_caller_who_leaves_while_we_wait_stops_the_retries(world: World, provider: SimulatedProvider) -> None:
    provider.will(Reply.error(503, retry_after="2"))
    with pytest.raises(openai.APITimeoutError):
        world.client().with_options(timeout=0.5).chat.completions.create(model="trying", messages=ASK)
    row = world.records.row()
    assert (row.status, row.error_code, row.attempts) == (499, "client_closed", 1)
    assert len(provider.seen) == 1


def test_a_provider_that_is_down_is_named(world: World) -> None:
    answer = world.post({"model": "down", "messages": ASK})
    assert answer.status_code == 502
    assert "127.0.0.1:9" in answer.json()["error"]["message"]


def test_a_missing_credential_is_named(world: World) -> None:
    answer = world.post({"model": "groq/llama-3", "messages": ASK})
    assert answer.status_code == 503
    assert answer.json()["error"]["code"] == "model_missing"
    assert "GROQ_API_KEY is not set" in answer.json()["error"]["message"]


def test_a_kept_alive_connection_that_died_is_no_fault(world: World, provider: SimulatedProvider) -> None:
    for _ in range(3):
        provider.will(Reply.json(completion("ok")))
        assert world.post({"model": "outside", "messages": ASK}).status_code == 200
    assert [row.attempts for row in world.records.rows] == [1, 1, 1]


def test_a_cap_of_the_route_holds_and_is_named(world: World, provider: SimulatedProvider) -> None:
    client = world.client()
    told = {}
    for name, given in [("none", {}), ("lower", {"max_tokens": 10}), ("higher", {"max_completion_tokens": 100})]:
        provider.will(Reply.json(completion("ok")))
        answer = client.chat.completions.with_raw_response.create(model="capped", messages=ASK, temperature=1, **given)
        sent = provider.last.json
        caps = {key: sent[key] for key in ("max_tokens", "max_completion_tokens") if key in sent}
        told[name] = (caps, answer.headers.get("x-headworks-clamped"), sent["temperature"])
    assert told == {
        "none": ({"max_completion_tokens": 50}, None, 0.5),
        "lower": ({"max_tokens": 10}, None, 0.5),
        "higher": ({"max_completion_tokens": 50}, "max_completion_tokens", 0.5),
    }

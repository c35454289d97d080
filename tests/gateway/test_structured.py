"""What callers get from a feature whose answers follow a schema: over HTTP, by real clients, in every format."""

from __future__ import annotations

import json
from typing import Any

import httpx
import openai
import pytest
from running_gateway import World, passage

from headworks.providers.prices import PriceTable
from headworks.testing import anthropic_replies as messages
from headworks.testing.provider import SimulatedProvider
from headworks.testing.replies import Reply, completion, streamed
from headworks.types.models import Usage

ASK: list[Any] = [{"role": "user", "content": "How much?"}]
GOOD = '{"amount": 5, "paid": true}'
WRONG = '{"amount": "s3cret", "paid": true}'
CUT = '{"amount": 5, "pa'
HEADER = "x-headworks-output"
COUNTS = {"prompt_tokens": 7, "completion_tokens": 3, "total_tokens": 10}


def ask(world: World, model: str = "structured", *, stream: bool = False) -> httpx.Response:
    return world.post({"model": model, "messages": ASK, "stream": stream})


def said(answer: httpx.Response) -> str:
    assert answer.status_code == 200, answer.text
    return str(answer.json()["choices"][0]["message"]["content"])


def spans(world: World, name: str) -> list[Any]:
    return [span for span in world.records.spans if span.name == name]


def test_a_good_answer_goes_on_as_the_model_wrote_it(world: World, provider: SimulatedProvider) -> None:
    provider.will(Reply.json(completion(GOOD)))
    with world.client() as client:
        answer = client.chat.completions.with_raw_response.create(model="structured", messages=ASK)
    found = answer.parse()
    assert (found.choices[0].message.content, found.choices[0].finish_reason) == (GOOD, "stop")
    assert HEADER not in answer.headers
    assert "x-headworks-attempts" not in answer.headers
    (span,) = spans(world, "structure")
    assert (span.status, span.attributes) == ("ok", {"answers": 1, "repaired": False, "asked_again": False})


def test_the_provider_is_asked_for_the_schema(world: World, provider: SimulatedProvider) -> None:
    provider.will(Reply.json(completion(GOOD)))
    ask(world)
    wanted = provider.last.json["response_format"]
    assert wanted["type"] == "json_schema"
    assert (wanted["json_schema"]["name"], wanted["json_schema"]["strict"]) == ("claim", False)
    assert list(wanted["json_schema"]["schema"]) == ["type", "required", "additionalProperties", "properties"]


def test_a_callers_own_format_is_refused(world: World, provider: SimulatedProvider) -> None:
    answer = world.post({"model": "structured", "messages": ASK, "response_format": {"type": "json_object"}})
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "fixed_by_feature")
    assert not provider.seen


def test_a_wrapper_is_taken_off(world: World, provider: SimulatedProvider) -> None:
    provider.will(Reply.json(completion(f"```json\n{GOOD}\n```")))
    answer = ask(world)
    assert (said(answer), answer.headers[HEADER]) == (GOOD, "repaired")
    assert world.records.row().attempts == 1


def test_what_does_not_fit_is_asked_for_once_more(world: World, provider: SimulatedProvider) -> None:
    provider.will(Reply.json(completion(WRONG)), Reply.json(completion(GOOD, usage=COUNTS)))
    answer = ask(world)
    assert (said(answer), answer.headers[HEADER]) == (GOOD, "asked-again")
    assert answer.headers["x-headworks-attempts"] == "2"
    first, second = (each.json for each in provider.seen)
    assert second["messages"][: len(first["messages"])] == first["messages"]
    wrong, correction = second["messages"][-2:]
    assert wrong == {"role": "assistant", "content": WRONG}
    assert "$.amount" in correction["content"]
    assert second["response_format"] == first["response_format"]
    assert second["max_completion_tokens"] == first["max_completion_tokens"]


def test_both_answers_are_counted_and_stand_in_the_trace(world: World, provider: SimulatedProvider) -> None:
    provider.will(Reply.json(completion(WRONG)), Reply.json(completion(GOOD, usage=COUNTS)))
    answer = ask(world)
    row = world.records.row()
    assert len(world.records.rows) == 1
    assert (row.status, row.attempts, row.input_tokens, row.output_tokens) == (200, 2, 17, 8)
    assert answer.json()["usage"]["total_tokens"] == 25
    assert not row.is_estimated
    assert [span.status for span in spans(world, "attempt")] == ["ok", "ok"]
    (span,) = spans(world, "structure")
    assert span.attributes == {"answers": 2, "repaired": False, "asked_again": True}
    assert json.loads(world.open_payload(span)) == {"answers": [WRONG, GOOD]}
    assert row.upstream_us is not None
    assert row.upstream_us <= row.total_us


def test_both_answers_are_paid_for(world: World, provider: SimulatedProvider) -> None:
    provider.will(Reply.json(completion(WRONG)), Reply.json(completion(GOOD, usage=COUNTS)))
    ask(world, "structured-priced")
    rates = PriceTable.load().find("openai", "gpt-4o-mini")
    assert rates is not None
    costs = [rates.cost_micro_usd(usage) or 0 for usage in (Usage(10, 5), Usage(7, 3))]
    assert all(costs)
    assert world.records.row().cost_micro_usd == sum(costs)


@pytest.mark.parametrize("stream", [False, True])
def test_what_does_not_fit_twice_is_refused_by_its_places(
    world: World, provider: SimulatedProvider, *, stream: bool
) -> None:
    replies = (
        [Reply.events(streamed(WRONG, usage=COUNTS))] * 2
        if stream
        else [Reply.json(completion(WRONG, usage=COUNTS))] * 2
    )
    provider.will(*replies)
    with world.client() as client, pytest.raises(openai.InternalServerError) as caught:
        client.chat.completions.create(model="structured", messages=ASK, stream=stream)
    error = caught.value
    assert (error.status_code, error.code) == (502, "output_invalid")
    assert "`$.amount`" in error.message
    assert "s3cret" not in error.message
    assert error.response.headers.get_list(HEADER) == ["asked-again"]
    row = world.records.row()
    assert (row.status, row.error_code, row.attempts) == (502, "output_invalid", 2)
    assert (row.input_tokens, row.output_tokens) == (14, 6)
    (span,) = spans(world, "structure")
    assert (span.status, span.attributes) == ("output_invalid", {"answers": 2})


def test_it_is_no_failure_that_switches_targets(
    world: World, provider: SimulatedProvider, other: SimulatedProvider
) -> None:
    provider.will(Reply.json(completion(WRONG)), Reply.json(completion(WRONG)))
    assert ask(world, "structured-pair").json()["error"]["code"] == "output_invalid"
    assert not other.seen


def test_the_second_question_may_go_to_the_next_target(
    world: World, provider: SimulatedProvider, other: SimulatedProvider
) -> None:
    provider.will(Reply.json(completion(WRONG)), Reply.error(503))
    other.will(Reply.json(completion(GOOD)))
    answer = ask(world, "structured-pair")
    assert said(answer) == GOOD
    assert answer.headers["x-headworks-attempts"] == "3"
    row = world.records.row()
    assert (row.attempts, row.provider, row.input_tokens) == (3, "other", 20)


def test_a_second_question_that_fails_fails_the_call_and_costs_the_first(
    world: World, provider: SimulatedProvider
) -> None:
    provider.will(Reply.json(completion(WRONG, usage=COUNTS)), Reply.error(400, "no more"))
    answer = ask(world)
    assert (answer.status_code, answer.json()["error"]["message"]) == (400, "no more")
    row = world.records.row()
    assert (row.status, row.attempts, row.input_tokens, row.output_tokens) == (400, 2, 7, 3)


def test_a_stream_has_the_answer_in_one_piece(world: World, provider: SimulatedProvider) -> None:
    provider.will(Reply.events(streamed(GOOD[:9], GOOD[9:], usage=COUNTS)))
    with world.client() as client:
        stream = client.chat.completions.create(
            model="structured", messages=ASK, stream=True, stream_options={"include_usage": True}
        )
        chunks = list(stream)
    assert [each.choices[0].delta.content for each in chunks if each.choices and each.choices[0].delta.content] == [
        GOOD
    ]
    assert [each.choices[0].finish_reason for each in chunks if each.choices][-1] == "stop"
    assert chunks[-1].usage is not None
    assert chunks[-1].usage.total_tokens == 10


def test_a_stream_starts_once_its_answer_is_good(world: World, provider: SimulatedProvider) -> None:
    provider.will(Reply.events(streamed(WRONG, usage=COUNTS)), Reply.events(streamed(GOOD, usage=COUNTS)))
    answer = ask(world, stream=True)
    assert (answer.status_code, answer.headers[HEADER]) == (200, "asked-again")
    assert "s3cret" not in answer.text
    row = world.records.row()
    assert (row.input_tokens, row.output_tokens, row.streamed) == (14, 6, True)


def test_an_answer_that_was_cut_off_is_not_asked_for_again(world: World, provider: SimulatedProvider) -> None:
    provider.will(Reply.json(completion(CUT, "length")))
    answer = ask(world)
    assert (answer.status_code, answer.json()["error"]["code"]) == (502, "output_invalid")
    assert "cut off at its cap" in answer.json()["error"]["message"]
    assert HEADER not in answer.headers
    assert len(provider.seen) == 1


def test_what_is_cut_off_is_never_repaired(world: World, provider: SimulatedProvider) -> None:
    provider.will(Reply.json(completion(f"```\n{GOOD}\n```", "length")))
    assert ask(world).json()["error"]["code"] == "output_invalid"


def test_a_cut_after_the_last_bracket_loses_nothing_and_the_reason_stays(
    world: World, provider: SimulatedProvider
) -> None:
    provider.will(Reply.json(completion(GOOD, "length")))
    choice = ask(world).json()["choices"][0]
    assert (choice["message"]["content"], choice["finish_reason"]) == (GOOD, "length")


def test_a_second_answer_that_was_cut_off_says_so(world: World, provider: SimulatedProvider) -> None:
    provider.will(Reply.json(completion(WRONG)), Reply.json(completion(CUT, "length")))
    answer = ask(world)
    assert "cut off at its cap" in answer.json()["error"]["message"]
    assert answer.headers[HEADER] == "asked-again"


@pytest.mark.parametrize("stream", [False, True])
def test_citations_count_in_strings_only(world: World, provider: SimulatedProvider, *, stream: bool) -> None:
    world.shelf.passages_of = [passage(1, "The deductible is 500 francs.")]
    text = '{"text": "It is 500 francs [1], not 6 [7].", "ids": [9]}'
    shown = '{"text": "It is 500 francs [1], not 6 .", "ids": [9]}'
    provider.will(Reply.events(streamed(text[:30], text[30:])) if stream else Reply.json(completion(text)))
    answer = ask(world, "structured-cited", stream=stream)
    if stream:
        events = [json.loads(line[6:]) for line in answer.text.split("\n") if line.startswith("data: {")]
        deltas = [each["choices"][0]["delta"] for each in events if each["choices"]]
        assert [each["content"] for each in deltas if each.get("content")] == [shown]
        (note,) = [each for delta in deltas for each in delta.get("annotations", [])]
    else:
        assert said(answer) == shown
        (note,) = answer.json()["choices"][0]["message"]["annotations"]
    place = note["url_citation"]
    assert shown[place["start_index"] : place["end_index"]] == "[1]"


@pytest.mark.parametrize("stream", [False, True])
def test_an_answer_must_fit_without_its_dropped_markers_too(
    world: World, provider: SimulatedProvider, *, stream: bool
) -> None:
    world.shelf.passages_of = [passage(1, "The deductible is 500 francs.")]
    text = '{"text": "[7] francs", "ids": [7]}'
    provider.will(Reply.events(streamed(text)) if stream else Reply.json(completion(text)))
    answer = ask(world, "structured-marked", stream=stream)
    assert (answer.status_code, answer.json()["error"]["code"]) == (502, "output_invalid")
    assert "once its citations were verified" in answer.text


def test_callers_of_messages_and_responses_get_it_in_their_words(world: World, provider: SimulatedProvider) -> None:
    provider.will(*(Reply.json(completion(each)) for each in (WRONG, GOOD, GOOD)))
    body = {"model": "structured", "max_tokens": 100, "messages": ASK}
    answer = world.post(body, "/v1/messages")
    assert answer.headers[HEADER] == "asked-again"
    assert answer.json()["content"][0]["text"] == GOOD
    assert (answer.json()["stop_reason"], answer.json()["usage"]["input_tokens"]) == ("end_turn", 20)
    with world.client() as client:
        response = client.responses.create(model="structured", input="How much?", store=False)
    assert (response.output_text, response.status) == (GOOD, "completed")


def test_callers_of_messages_and_responses_are_refused_in_their_words(
    world: World, provider: SimulatedProvider
) -> None:
    provider.will(*[Reply.json(completion(WRONG))] * 4)
    body = {"model": "structured", "max_tokens": 100, "messages": ASK}
    answer = world.post(body, "/v1/messages")
    assert (answer.status_code, answer.json()["type"]) == (502, "error")
    assert "$.amount" in answer.json()["error"]["message"]
    with world.client() as client, pytest.raises(openai.InternalServerError) as caught:
        client.responses.create(model="structured", input="How much?", store=False)
    assert caught.value.code == "output_invalid"


def test_a_provider_of_another_format_is_asked_in_its_words(world: World, provider: SimulatedProvider) -> None:
    wrong, good = (messages.message(messages.text(each)) for each in (WRONG, GOOD))
    provider.will(Reply.json(wrong), Reply.json(good))
    answer = ask(world, "structured-claude")
    assert (said(answer), answer.headers[HEADER]) == (GOOD, "asked-again")
    first, second = (each.json for each in provider.seen)
    assert first["output_config"]["format"]["type"] == "json_schema"
    assert second["output_config"] == first["output_config"]
    assert second["messages"][-2]["role"] == "assistant"


def test_counts_add_up_where_they_are_known() -> None:
    first = Usage(10, 5, 2, is_estimated=True, service_tier="flex")
    total = first.plus(Usage(7, 3, reasoning_tokens=1, service_tier="default"))
    assert total == Usage(17, 8, 2, is_estimated=True, reasoning_tokens=1, service_tier="default")
    assert Usage().plus(first) == first

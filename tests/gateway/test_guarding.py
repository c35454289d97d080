"""Personal data stays where it is: checked before anything leaves, and never written down."""

from __future__ import annotations

import json
from typing import Any

import pytest
from running_gateway import World, passage

from headworks.testing.provider import SimulatedProvider
from headworks.testing.replies import Reply, completion

MAIL = "jane.doe@example.org"
TURNS: list[Any] = [
    {"role": "user", "content": f"I am {MAIL}."},
    {"role": "assistant", "content": "Hello."},
    {"role": "user", "content": f"Write to {MAIL} and bob@example.org."},
]
CLAUSE = f"Claims go to {MAIL} within 30 days."


def test_the_caller_s_text_is_redacted_before_anything_sees_it(world: World, provider: SimulatedProvider) -> None:
    provider.will(Reply.json(completion("ok")))
    assert world.post({"model": "redacting", "messages": TURNS}).status_code == 200
    assert MAIL not in provider.last.body.decode()
    contents = [each["content"] for each in provider.last.json["messages"]]
    assert "Write to [EMAIL_1] and [EMAIL_2]." in contents[-1]
    assert any("I am [EMAIL_1]" in each or "I am [EMAIL_2]" in each for each in contents)
    assert MAIL not in world.shelf.asked[-1][1]  # retrieval, too


def test_one_value_has_one_placeholder_in_question_history_and_passages(
    world: World, provider: SimulatedProvider
) -> None:
    world.shelf.passages_of = [passage(1, CLAUSE)]
    provider.will(Reply.json(completion("ok")))
    world.post({"model": "redacting", "messages": TURNS[2:]})
    prompt = provider.last.json["messages"][-1]["content"]
    assert "Claims go to [EMAIL_1] within" in prompt
    assert "Write to [EMAIL_1] and [EMAIL_2]." in prompt


def test_passages_are_redacted_for_a_provider_outside_and_cited_from_the_stored_text(
    world: World, provider: SimulatedProvider
) -> None:
    world.shelf.passages_of = [passage(1, CLAUSE)]
    provider.will(Reply.json(completion("Write to the office [1].")))
    answer = world.post({"model": "redacting", "messages": [{"role": "user", "content": "Where?"}]}).json()
    assert MAIL not in provider.last.body.decode()
    (annotation,) = answer["choices"][0]["message"]["annotations"]
    assert annotation["headworks"]["quote"] == CLAUSE


def test_a_provider_on_this_host_sees_passages_as_they_are(world: World, provider: SimulatedProvider) -> None:
    world.shelf.passages_of = [passage(1, CLAUSE)]
    provider.will(Reply.json(completion("ok")))
    world.post({"model": "local", "messages": TURNS[2:]})
    prompt = provider.last.json["messages"][-1]["content"]
    assert CLAUSE in prompt
    assert "Write to [EMAIL_" in prompt  # what the caller wrote is redacted for everybody


@pytest.mark.parametrize("is_stream", [True, False])
def test_a_blocked_text_goes_nowhere(world: World, provider: SimulatedProvider, *, is_stream: bool) -> None:
    answer = world.post({"model": "blocking", "messages": TURNS[2:], "stream": is_stream})
    error = answer.json()["error"]
    assert (answer.status_code, error["code"]) == (422, "guardrail_blocked")
    assert "`pii`" in error["message"]
    assert "email" in error["message"]
    assert MAIL not in answer.text
    assert not provider.seen
    row = world.records.row()
    assert (row.status, row.error_code, row.attempts, row.cost_micro_usd) == (422, "guardrail_blocked", 0, None)


def test_what_holds_no_personal_data_passes(world: World, provider: SimulatedProvider) -> None:
    provider.will(Reply.json(completion("ok")))
    assert world.post({"model": "blocking", "messages": [{"role": "user", "content": "Hello?"}]}).status_code == 200


def test_spans_know_kinds_and_numbers_and_never_the_value(world: World, provider: SimulatedProvider) -> None:
    world.shelf.passages_of = [passage(1, CLAUSE)]
    provider.will(Reply.json(completion(f"Write to {MAIL} [1].")))
    answer = world.post({"model": "redacting", "messages": TURNS}).json()
    assert MAIL in answer["choices"][0]["message"]["content"]
    spans = {span.name: span for span in world.records.spans}
    assert spans["guard_input"].attributes["findings"] == {"email": 3}
    assert spans["guard_passages"].attributes["findings"] == {"email": 1}
    for span in world.records.spans:
        assert MAIL not in json.dumps(span.attributes, default=str)
        if span.payload is not None:
            assert MAIL.encode() not in world.open_payload(span)
            assert b"example.org" not in span.payload

"""Evaluation asks a release as callers do: the same path, recorded apart from traffic."""

from __future__ import annotations

from dataclasses import replace

import pytest
from running_gateway import DOCUMENT, World

from headworks.errors import Forbidden, NotFound
from headworks.testing.provider import SimulatedProvider
from headworks.testing.replies import Reply, completion
from headworks.types.evaluation import Example, Output
from headworks.types.identity import Principal
from headworks.types.models import Message
from headworks.types.retrieval import Passage

PASSAGE = Passage(1, DOCUMENT, 1, "a.md", "A", (), 0, 0, 23, "The limit is 40 visits.", 1.0)


def admin(world: World) -> Principal:
    return world.run(world.gateway.authenticate(world.admin_key))


def ask(world: World, model: str, example: Example, principal: Principal | None = None) -> Output:
    return world.run(world.gateway.answerer.answer(principal or admin(world), model, example))


def test_a_feature_answers_with_what_it_read_and_cited(world: World, provider: SimulatedProvider) -> None:
    world.shelf.passages_of = [PASSAGE]
    provider.will(Reply.json(completion("The limit is 40 visits [1].")))
    said = ask(world, "claims", Example("one", "How many visits?"))
    assert (said.error_code, said.finish_reason) == (None, "stop")
    assert "40 visits" in said.text
    assert said.passages == (PASSAGE,)
    assert [each.document for each in said.citations] == [DOCUMENT]
    assert said.groundedness is not None
    assert said.latency_ms > 0
    row = world.records.row()
    assert (row.surface, row.feature, row.trace_id) == ("experiment", "claims", said.trace)
    assert (said.release, said.input_tokens, said.cost_micro_usd) == (row.release, row.input_tokens, row.cost_micro_usd)


def test_inputs_and_earlier_turns_reach_the_prompt(world: World, provider: SimulatedProvider) -> None:
    provider.will(Reply.json(completion("Yes.")))
    turns = (Message("user", "Before?"), Message("assistant", "Then."))
    ask(world, "typed", Example("one", "And now?", {"plan": "gold"}, ()))
    assert "gold 2026 And now?" in provider.last.json["messages"][-1]["content"]
    provider.will(Reply.json(completion("Yes.")))
    ask(world, "outside", Example("two", "And now?", history=turns))
    assert [each["content"] for each in provider.last.json["messages"]] == ["Before?", "Then.", "And now?"]


def test_a_failure_is_an_output_and_recorded(world: World, provider: SimulatedProvider) -> None:
    provider.will(Reply.raw(b'{"error": {"message": "No."}}', 400))
    said = ask(world, "outside", Example("one", "Hello?"))
    assert (said.text, said.error_code) == ("", world.records.row().error_code)
    assert said.error_message
    row_code = said.error_code
    said = ask(world, "typed", Example("two", "Without its input?"))
    assert said.error_code not in {None, row_code}


def test_what_concerns_every_call_is_raised(world: World) -> None:
    with pytest.raises(NotFound):
        ask(world, "nobody-knows-it", Example("one", "Hello?"))
    with pytest.raises((Forbidden, NotFound)):
        ask(world, "outside", Example("one", "Hello?"), replace(admin(world), permissions=frozenset()))

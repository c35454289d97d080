"""Judges of evaluation ask through the gateway as anybody inside does: with a purpose, a trace and a cost."""

from __future__ import annotations

import json

import pytest
from running_gateway import World

from headworks.evaluation.judges import judging as judges
from headworks.evaluation.scorers.catalogue import make_scorer
from headworks.evaluation.scorers.contract import Surroundings
from headworks.testing.provider import SimulatedProvider
from headworks.testing.replies import Reply, completion
from headworks.types.evaluation import Example, Output, Score
from headworks.types.ids import TraceId, new_id

_VERDICT = {"reason": "All of it stands there.", "verdict": "pass"}


def _score(world: World, trace: TraceId) -> Score:
    settings = {"judge": "builtin/faithfulness", "model": "outside/m1"}
    scorer = make_scorer("faithful", "judge", settings, Surroundings(world.gateway.models))
    output = Output("Twelve weeks [1].", trace=trace)
    found = world.run(scorer.score(world.admin, Example("a", "How long is leave?"), output))
    assert isinstance(found, Score)
    return found


def test_a_judge_is_asked_for_json_by_schema_and_recorded_as_a_judge(
    world: World, provider: SimulatedProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(judges.secrets, "token_hex", lambda _: "0123abcd")
    answer = json.dumps({"word": "0123abcd", "criteria": {"faithful": _VERDICT}})
    provider.will(Reply.json(completion(answer)))
    trace = TraceId(new_id())
    found = _score(world, trace)
    assert (found.value, found.details["cost_micro_usd"]) == (1.0, world.records.row().cost_micro_usd or 0)
    sent = provider.last.json
    assert sent["response_format"]["type"] == "json_schema"
    assert [each["role"] for each in sent["messages"]] == ["system", "user"]
    assert "<answer 0123abcd>\nTwelve weeks [1].\n</answer 0123abcd>" in sent["messages"][1]["content"]
    row = world.records.row()
    assert (row.purpose, row.trace_id, row.status) == ("judge", trace, 200)


def test_a_judge_that_answers_prose_twice_costs_twice_and_is_an_error(
    world: World, provider: SimulatedProvider
) -> None:
    provider.will(Reply.json(completion("Fine.")), Reply.json(completion("Still fine.")))
    found = _score(world, TraceId(new_id()))
    assert (found.error_code, found.details["asked"]) == ("judge_unparsable", 2)
    assert [each["role"] for each in provider.last.json["messages"]] == ["system", "user", "assistant", "user"]
    assert world.records.row(2).purpose == "judge"


def test_a_judge_whose_provider_fails_is_an_error_by_its_code(world: World, provider: SimulatedProvider) -> None:
    provider.will(*[Reply.error(400)] * 3)
    found = _score(world, TraceId(new_id()))
    assert found.is_error
    assert found.error_code is not None
    assert found.error_code.startswith("upstream")

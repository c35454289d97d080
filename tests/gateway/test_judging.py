"""A model judges a share of the answers, after they were given."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest
from running_gateway import World, passage

from headworks.errors import UpstreamError
from headworks.gateway.features import judging
from headworks.gateway.features.judging import AT_ONCE, MOST_WAITING, Judging
from headworks.testing.provider import SimulatedProvider
from headworks.testing.replies import Reply, completion, streamed
from headworks.types.features import JudgeSettings
from headworks.types.models import Completion, Embeddings, ModelCall, Prompt, Usage
from headworks.types.records import Span, UsageRow
from headworks.types.retrieval import Groundedness

FIRST = "The deductible is 500 francs."
SAID = "The deductible is 500 francs [1]. Dogs are welcome at ann@example.org."
GOOD = '{"word": "w", "verdicts": [{"id": 1, "verdict": "supported"}, {"id": 2, "verdict": "not_mentioned"}]}'


@pytest.fixture(autouse=True)
def known_word(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that a scripted judge can repeat it."""
    monkeypatch.setattr(judging, "_word", lambda: "w")


def ask(world: World, provider: SimulatedProvider, model: str = "judged", *, is_stream: bool = False) -> str:
    """Ask for an answer and wait until it is judged. Gives the trace."""
    world.shelf.passages_of = [passage(1, FIRST), passage(2, "Write to bob@example.org.")]
    provider.will(Reply.events(streamed(SAID)) if is_stream else Reply.json(completion(SAID)))
    messages = [{"role": "user", "content": "What is the deductible of ann@example.org?"}]
    answer = world.post({"model": model, "messages": messages, "stream": is_stream})
    assert answer.status_code == 200, answer.text
    world.run(world.gateway.judging.settle())
    return str(answer.headers["x-headworks-trace"])


def span_of(world: World, name: str) -> Span:
    (found,) = [each for each in world.records.spans if each.name == name]
    return found


@pytest.mark.parametrize("is_stream", [True, False])
def test_an_answer_is_judged_on_its_own_trace(
    world: World, provider: SimulatedProvider, other: SimulatedProvider, *, is_stream: bool
) -> None:
    other.will(Reply.json(completion(GOOD)))
    trace = ask(world, provider, is_stream=is_stream)
    span, root = span_of(world, "judge"), span_of(world, "request")
    assert span.attributes == {
        "model": "other/judge", "sample": 1.0, "claims": 2, "outcome": "judged",
        "supported": 1, "contradicted": 0, "not_mentioned": 1, "score": 0.5,
    }  # fmt: skip
    assert (str(span.trace_id), span.parent_id, span.principal_id) == (trace, root.span_id, root.principal_id)
    assert (span.release, span.payload, span.status) == (root.release, None, "ok")
    cite = span_of(world, "cite").attributes
    assert (cite["judge"], cite["judge_sample"]) == ("queued", 1.0)
    (row,) = [each for each in world.records.rows if each.purpose == "judge"]
    assert (str(row.trace_id), row.provider, row.model, row.surface) == (trace, "other", "judge", "internal")


def test_the_judge_gets_statements_and_passages_as_data(
    world: World, provider: SimulatedProvider, other: SimulatedProvider
) -> None:
    other.will(Reply.json(completion(GOOD)))
    ask(world, provider)
    system, user = other.last.json["messages"]
    assert "deductible" not in system["content"]
    asked = json.loads(user["content"])
    assert asked["question"] == "What is the deductible of ann@example.org?"
    assert [each["text"] for each in asked["statements"]] == [
        "The deductible is 500 francs [1].",
        "Dogs are welcome at ann@example.org.",
    ]
    assert asked["passages"][0] == {"number": 1, "text": FIRST}
    assert (other.last.json["temperature"], other.last.json["model"]) == (0, "judge")


def test_personal_data_goes_to_no_judge_where_the_feature_redacts_it(
    world: World, provider: SimulatedProvider, other: SimulatedProvider
) -> None:
    """Not even when the model that answers runs on this host."""
    other.will(Reply.json(completion(GOOD)))
    ask(world, provider, "judged-redacting")
    assert "bob@example.org" in provider.last.body.decode()
    assert "example.org" not in other.last.body.decode()
    assert "[EMAIL_" in other.last.body.decode()
    assert span_of(world, "judge").attributes["outcome"] == "judged"


@pytest.mark.parametrize(
    ("reply", "outcome", "status"),
    [
        (Reply.json(completion("All good!")), "unparsable", "ok"),
        (Reply.json(completion('{"word": "w", "verdicts": []}')), "unparsable", "ok"),
        (Reply.json({"error": {"message": "no"}}, 400), "failed", "upstream_rejected"),
    ],
)
def test_a_judge_that_fails_is_a_result_too(
    world: World, provider: SimulatedProvider, other: SimulatedProvider, reply: Reply, outcome: str, status: str
) -> None:
    other.will(reply)
    ask(world, provider)
    span = span_of(world, "judge")
    assert (span.attributes["outcome"], span.status) == (outcome, status)
    assert "score" not in span.attributes


def test_who_is_not_drawn_is_not_judged(world: World, provider: SimulatedProvider, other: SimulatedProvider) -> None:
    ask(world, provider, "judged-seldom")
    ask(world, provider, "claims")
    seldom, never = [each.attributes for each in world.records.spans if each.name == "cite"]
    assert (seldom["judge"], seldom["judge_sample"]) == ("not_sampled", 0.0)
    assert "judge" not in never
    assert not [each for each in world.records.spans if each.name == "judge"]
    with pytest.raises(TimeoutError):
        other.wait_for_request(timeout_s=0)


# ── The queue ──


class Slow:
    """Models whose judge waits until it is let go."""

    def __init__(self) -> None:
        self.go = asyncio.Event()
        self.asked = 0

    async def complete(self, call: ModelCall, prompt: Prompt) -> Completion:
        del call, prompt
        self.asked += 1
        await self.go.wait()
        return Completion('{"word": "w", "verdicts": [{"id": 1, "verdict": "supported"}]}', "stop", Usage())

    async def embed(self, call: ModelCall, texts: Any) -> Embeddings:
        raise NotImplementedError


class Kept:
    """A recorder of spans."""

    def __init__(self) -> None:
        self.spans: list[Span] = []
        self.fails = False

    def write(self, row: UsageRow, spans: Any = ()) -> None:
        raise NotImplementedError

    def gather(self, row: UsageRow) -> None:
        raise NotImplementedError

    def flush(self) -> None:
        raise NotImplementedError

    def add(self, spans: Any) -> None:
        if self.fails:
            raise UpstreamError("The disk is full.")
        self.spans += spans


def taken(world: World, queue: Judging, text: str = "It is 500 francs.", sample: float = 1.0) -> str:
    """What becomes of an answer."""
    feature = world.gateway.snapshots.current().resolve(world.admin, "claims").feature
    assert feature is not None
    record = _Request()
    return queue.take(
        replace(feature, judge=JudgeSettings("m", sample)),
        world.admin,
        text,
        Groundedness(claims=1, places=((0, len(text)),)),
        [passage(1, FIRST)],
        record,  # type: ignore[arg-type] -- as far as it is looked at
    )


class _Request:
    """A record, as far as judging looks at it."""

    def __init__(self, number: int = 5) -> None:
        trace = UUID(int=number)
        self.row = UsageRow(trace, datetime.now(UTC), trace, trace, "chat", "answer", "claims")
        self.root_id, self.question, self.redact = trace, "?", None


async def test_what_waits_is_bounded_and_what_finds_no_room_is_counted(world: World) -> None:
    models, kept = Slow(), Kept()
    queue = Judging(models, kept)
    said = [taken(world, queue) for _ in range(3)]
    while models.asked < AT_ONCE:
        await asyncio.sleep(0)
    said += [taken(world, queue) for _ in range(MOST_WAITING + 5)]
    assert said.count("dropped") == queue.dropped == 3 + MOST_WAITING + 5 - MOST_WAITING - AT_ONCE
    assert models.asked == AT_ONCE
    models.go.set()
    await queue.settle()
    assert len(kept.spans) == MOST_WAITING + AT_ONCE
    assert {each.attributes["outcome"] for each in kept.spans} == {"judged"}


async def test_at_the_end_what_waits_is_given_up(world: World) -> None:
    models, kept = Slow(), Kept()
    queue = Judging(models, kept)
    for _ in range(10):
        taken(world, queue)
    while models.asked < AT_ONCE:
        await asyncio.sleep(0)
    await queue.stop()
    assert (kept.spans, queue.dropped) == ([], 10 - AT_ONCE)


async def test_a_verdict_that_can_not_be_recorded_stops_nobody(world: World) -> None:
    models, kept = Slow(), Kept()
    models.go.set()
    kept.fails = True
    queue = Judging(models, kept)
    taken(world, queue)
    await queue.settle()
    kept.fails = False
    taken(world, queue)
    await queue.settle()
    assert len(kept.spans) == 1


async def test_what_is_too_long_or_says_nothing_is_not_judged(world: World) -> None:
    queue = Judging(Slow(), Kept())
    assert taken(world, queue, "x" * 60_001) == "too_long"
    assert taken(world, queue, sample=0.0) == "not_sampled"


async def test_the_share_that_is_judged_is_the_share_that_was_named(world: World) -> None:
    queue = Judging(Slow(), Kept())
    feature = world.gateway.snapshots.current().resolve(world.admin, "claims").feature
    assert feature is not None
    some = replace(feature, judge=JudgeSettings("m", 0.2))
    drawn = [queue.wants(some, _Request(number)) for number in range(5_000)]  # type: ignore[arg-type]
    assert 850 < sum(drawn) < 1_150
    assert drawn == [queue.wants(some, _Request(number)) for number in range(5_000)]  # type: ignore[arg-type]

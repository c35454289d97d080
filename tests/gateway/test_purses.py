"""Calls from inside under a purse: the dearest that may come is put aside before a provider is asked."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest
from running_gateway import World

from headworks.errors import CeilingReached, HeadworksError
from headworks.testing.provider import SimulatedProvider
from headworks.testing.replies import Reply, completion
from headworks.types.evaluation import Example, Output
from headworks.types.models import Completion, Message, ModelCall, Prompt
from headworks.types.spending import PURSE

PROMPT = Prompt((Message("user", "How long is leave?"),))


@dataclass
class Counting:
    """A Purse with so much in it, which remembers what was asked of it."""

    left: int = 1_000_000
    holds: list[tuple[int | None, int]] = field(default_factory=list)
    settled: list[tuple[int, int | None]] = field(default_factory=list)

    async def hold(self, worst_micro_usd: int | None, held_micro_usd: int) -> None:
        self.holds.append((worst_micro_usd, held_micro_usd))
        if worst_micro_usd is None or worst_micro_usd > self.left:
            raise CeilingReached("There is no room.")

    def settle(self, held_micro_usd: int, cost_micro_usd: int | None) -> None:
        self.settled.append((held_micro_usd, cost_micro_usd))


def complete(world: World, purse: Counting, route: str, **parameters: object) -> Completion:
    async def asked() -> Completion:
        PURSE.set(purse)
        call = ModelCall(world.admin, route, "judge", parameters=dict(parameters))
        return await world.gateway.models.complete(call, PROMPT)

    found: Completion = world.run(asked())
    return found


def test_what_is_held_covers_what_it_comes_to(world: World, provider: SimulatedProvider) -> None:
    provider.will(Reply.json(completion("Twelve weeks.")))
    purse = Counting()
    said = complete(world, purse, "priced", max_tokens=1000)
    ((worst, before),) = purse.holds
    assert before == 0
    assert worst is not None
    assert 1000 * 0.6 <= worst <= 2 * (1000 * 0.6 + 2000 * 0.15)  # a dearer tier might serve it
    assert purse.settled == [(worst, said.cost_micro_usd)]
    assert 0 < (said.cost_micro_usd or 0) <= worst


def test_without_room_nobody_is_asked_and_no_fallback_is_tried(world: World, provider: SimulatedProvider) -> None:
    purse = Counting(left=10)
    with pytest.raises(CeilingReached):
        complete(world, purse, "priced-pair", max_tokens=1000)
    assert len(purse.holds) == 1
    assert not provider.seen
    assert purse.settled == []


def test_a_second_target_is_held_for_in_place_of_the_first_and_a_failure_is_free(
    world: World, provider: SimulatedProvider, other: SimulatedProvider
) -> None:
    provider.will(Reply.error(503))
    other.will(Reply.json(completion("Twelve weeks.")))
    purse = Counting()
    said = complete(world, purse, "priced-pair", max_tokens=100)
    (first, nothing), (second, before) = purse.holds
    assert (nothing, before) == (0, first)
    assert purse.settled == [(second, said.cost_micro_usd)]
    provider.will(*[Reply.error(503)] * 2)
    other.will(*[Reply.error(503)] * 2)
    failed = Counting()
    with pytest.raises(HeadworksError):
        complete(world, failed, "priced-pair", max_tokens=100)
    assert [cost for _, cost in failed.settled] == [0]


def test_a_model_without_a_price_is_not_asked_under_a_purse(world: World, provider: SimulatedProvider) -> None:
    purse = Counting()
    with pytest.raises(CeilingReached):
        complete(world, purse, "unpriced")
    assert purse.holds == [(None, 0)]
    assert not provider.seen


def test_a_release_that_is_tried_pays_from_the_purse_too(world: World, provider: SimulatedProvider) -> None:
    provider.will(Reply.json(completion('{"amount": 1, "paid": true}')))
    purse = Counting()

    async def tried(purse: Counting) -> Output:
        PURSE.set(purse)
        return await world.gateway.answerer.answer(world.admin, "structured-priced", Example("a", "How much?"))

    output: Output = world.run(tried(purse))
    assert output.error_code is None, output.error_message
    assert [cost for _, cost in purse.settled] == [output.cost_micro_usd]
    with pytest.raises(CeilingReached):
        world.run(tried(Counting(left=1)))

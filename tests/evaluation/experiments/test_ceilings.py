"""A ceiling is never exceeded, whatever is asked at once, and nobody waits for ever."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headworks.errors import CeilingReached
from headworks.evaluation.experiments.ceilings import Ceiling, CellPurse

_CALLS = st.lists(st.tuples(st.integers(0, 60), st.integers(0, 100), st.booleans()), min_size=1, max_size=4)
"""Calls of one cell in their order: the dearest that may come, what comes of it in hundredths, and a second try."""


@given(st.integers(0, 300), st.integers(0, 40), st.lists(_CALLS, min_size=1, max_size=12), st.integers(1, 6))
def test_what_is_spent_never_exceeds_the_ceiling(
    limit: int, spent: int, cells: list[list[tuple[int, int, bool]]], at_once: int
) -> None:
    ceiling = Ceiling(limit, min(spent, limit))
    queue = list(cells)

    async def call(purse: CellPurse, worst: int, share: int, again: bool) -> None:  # noqa: FBT001 -- drawn
        held = 0
        try:
            await purse.hold(worst, 0)
            held = worst
            assert ceiling.spent + ceiling.held <= limit
            await asyncio.sleep(0)
            if again:
                await purse.hold(2 * worst, held)
                held = 2 * worst
            await asyncio.sleep(0)
        finally:
            purse.settle(held, held * share // 100)

    async def take() -> None:
        while queue and not ceiling.is_reached:
            purse = CellPurse(ceiling)
            try:
                for worst, share, again in queue.pop():
                    await call(purse, worst, share, again)
            except CeilingReached:
                assert purse.is_refused

    async def all_of_them() -> None:
        async with asyncio.timeout(60):
            await asyncio.gather(*(take() for _ in range(at_once)))

    asyncio.run(all_of_them())
    assert ceiling.spent <= limit
    assert ceiling.held == 0
    assert not queue or ceiling.is_reached


async def test_a_call_waits_for_room_that_may_come_and_is_refused_where_none_can() -> None:
    ceiling = Ceiling(100, 0)
    first, second = CellPurse(ceiling), CellPurse(ceiling)
    await first.hold(80, 0)
    waiting = asyncio.create_task(second.hold(50, 0))
    await asyncio.sleep(0)
    assert not waiting.done()
    first.settle(80, 10)
    await waiting
    assert (ceiling.spent, ceiling.held) == (10, 50)
    with pytest.raises(
        CeilingReached, match=r"\$0.000010 of \$0.000100 are spent, and one more call might cost \$0.001"
    ):
        await second.hold(1000, 50)
    assert (ceiling.is_reached, second.is_refused, first.is_refused) == (True, True, False)


async def test_without_a_ceiling_everything_goes_and_is_counted() -> None:
    ceiling = Ceiling(None, 0)
    purse = CellPurse(ceiling)
    await purse.hold(None, 0)
    purse.settle(0, 7)
    purse.told(9)
    purse.told(None)
    assert (purse.spent, ceiling.spent, ceiling.is_reached) == (9, 9, False)


async def test_a_price_that_nobody_knows_is_no_price_under_a_ceiling() -> None:
    ceiling = Ceiling(10, 0)
    with pytest.raises(CeilingReached, match="not known"):
        await CellPurse(ceiling).hold(None, 0)
    told = Ceiling(10, 0)
    CellPurse(told).told(None)
    assert told.is_reached


async def test_a_call_whose_cost_nobody_knows_has_cost_what_was_held() -> None:
    ceiling = Ceiling(100, 0)
    purse = CellPurse(ceiling)
    await purse.hold(60, 0)
    purse.settle(60, None)
    assert (ceiling.spent, ceiling.held) == (60, 0)

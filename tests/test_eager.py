"""A coroutine that starts at once: what runs when, and that nothing is lost when it is promoted or cancelled."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from headworks.eager import Signal, in_task, start

Work = Callable[[list[str]], Coroutine[Any, Any, None]]


async def test_it_runs_at_once_and_goes_on_inside_of_set() -> None:
    said: list[str] = []
    signal = Signal()

    async def work() -> None:
        said.append("begun")
        await signal
        said.append("ended")

    start(work())
    assert said == ["begun"]
    signal.set()
    assert said == ["begun", "ended"]


async def test_a_signal_that_is_set_is_not_waited_for() -> None:
    signal, said = Signal(), []
    signal.set()

    async def work() -> None:
        await signal
        said.append("ended")

    start(work())
    assert said == ["ended"]


async def test_what_awaits_anything_else_goes_on_in_a_task() -> None:
    done = asyncio.Event()
    tasks: list[asyncio.Task[Any] | None] = []

    async def work() -> None:
        tasks.append(asyncio.current_task())
        await asyncio.sleep(0.001)
        async with asyncio.timeout(20):
            await asyncio.sleep(0)
        tasks.append(asyncio.current_task())
        done.set()

    start(work())
    await asyncio.wait_for(done.wait(), 20)
    assert tasks[1] is not None
    assert tasks[1] is not tasks[0]


async def test_a_task_can_be_asked_for_before_anything_is_awaited() -> None:
    done = asyncio.Event()

    async def work() -> None:
        await in_task()
        async with asyncio.timeout(20):  # refuses to begin where there is no task
            done.set()
        await in_task()  # there is one already

    start(work())
    await asyncio.wait_for(done.wait(), 20)


async def test_in_a_task_a_signal_is_awaited_like_a_future() -> None:
    signal, said = Signal(), []

    async def work() -> None:
        await in_task()
        await signal
        said.append("ended")

    start(work())
    await asyncio.sleep(0.001)
    signal.set()
    assert said == []  # the task's step is still to come
    await asyncio.sleep(0.001)
    assert said == ["ended"]


async def test_a_signal_can_be_made_ready_again() -> None:
    signal, said = Signal(), []

    async def work() -> None:
        for turn in range(3):
            await signal
            signal.is_set = False
            said.append(turn)

    start(work())
    for expected in ([0], [0, 1], [0, 1, 2]):
        signal.set()
        assert said == expected


async def waits_for_a_signal(said: list[str]) -> None:
    try:
        await Signal()
    finally:
        said.append("cleaned")


async def waits_for_the_loop(said: list[str]) -> None:
    try:
        await asyncio.sleep(60)
    finally:
        said.append("cleaned")


async def asks_for_a_task(said: list[str]) -> None:
    try:
        await in_task()
        await asyncio.sleep(60)
    finally:
        said.append("cleaned")


@pytest.mark.parametrize("turns", [0, 1, 5])
@pytest.mark.parametrize("work", [waits_for_a_signal, waits_for_the_loop, asks_for_a_task])
async def test_cancelled_it_cleans_up_wherever_it_waits(work: Work, turns: int) -> None:
    said: list[str] = []
    run = start(work(said))
    for _ in range(turns):
        await asyncio.sleep(0)
    assert said == []
    run.cancel()
    for _ in range(5):
        await asyncio.sleep(0)
    assert said == ["cleaned"]
    run.cancel()
    assert said == ["cleaned"]


async def test_who_is_cancelled_may_go_on_waiting() -> None:
    first, second, said = Signal(), Signal(), []

    async def work() -> None:
        try:
            await first
        except asyncio.CancelledError:
            said.append("cancelled")
        await second
        said.append("ended")

    run = start(work())
    run.cancel()
    assert said == ["cancelled"]
    first.set()  # nobody waits for it any more
    assert said == ["cancelled"]
    second.set()
    assert said == ["cancelled", "ended"]


async def test_runs_inside_of_each_other_keep_apart() -> None:
    outer, inner, said = Signal(), Signal(), []

    async def within() -> None:
        await inner
        said.append("inner")

    async def work() -> None:
        start(within())
        await outer
        inner.set()
        said.append("outer")
        await in_task()
        said.append("in task")

    start(work())
    outer.set()
    assert said == ["inner", "outer"]
    await asyncio.sleep(0.001)
    assert said == ["inner", "outer", "in task"]


async def test_an_exception_that_nobody_handles_reaches_the_loop() -> None:
    heard: list[dict[str, Any]] = []
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda _, context: heard.append(context))
    signal = Signal()

    async def work() -> None:
        await signal
        raise ValueError("lost")

    start(work())
    signal.set()  # does not raise: whoever sets it is not to blame
    loop.set_exception_handler(None)
    assert [str(each["exception"]) for each in heard] == ["lost"]


async def test_errors_of_what_is_awaited_arrive() -> None:
    said: list[str] = []
    failing: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def work() -> None:
        try:
            await failing
        except ValueError as error:
            said.append(str(error))

    start(work())
    failing.set_exception(ValueError("broken"))
    await asyncio.sleep(0.001)
    assert said == ["broken"]


async def test_who_gives_way_first_thing_has_not_ended() -> None:
    done = asyncio.Event()

    async def work() -> None:
        await asyncio.sleep(0)
        done.set()

    start(work())
    assert not done.is_set()
    await asyncio.wait_for(done.wait(), 20)

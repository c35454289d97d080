"""What is put off to the end of a turn: when it runs, in which order, and that one failure is nobody else's."""

from __future__ import annotations

import asyncio
from typing import Any

import uvloop

from headworks.turns import turn_of


async def _next_turn() -> None:
    """Past the end of this turn: a callback asked for now runs after those that were asked for before."""
    await asyncio.sleep(0)
    await asyncio.sleep(0)


async def test_what_is_put_off_runs_once_after_the_present_callback_in_the_order_of_asking() -> None:
    turn, said = turn_of(asyncio.get_running_loop()), []
    for name in ("a", "b", "c"):
        turn.at_end(lambda name=name: said.append(name))  # type: ignore[misc] # a default binds it now
    assert said == []
    await _next_turn()
    assert said == ["a", "b", "c"]
    await _next_turn()
    assert said == ["a", "b", "c"]


async def test_what_is_put_off_at_the_end_of_a_turn_runs_at_the_end_of_the_next() -> None:
    turn, said = turn_of(asyncio.get_running_loop()), []

    def again() -> None:
        said.append("first")
        turn.at_end(lambda: said.append("second"))

    turn.at_end(again)
    await asyncio.sleep(0)
    assert said == ["first"]
    await _next_turn()
    assert said == ["first", "second"]


async def test_what_fails_is_reported_and_the_others_still_run() -> None:
    loop = asyncio.get_running_loop()
    reported: list[dict[str, Any]] = []
    loop.set_exception_handler(lambda _, context: reported.append(context))
    turn, said = turn_of(loop), []
    turn.at_end(lambda: said.append(1 // 0))
    turn.at_end(lambda: said.append("after"))
    await _next_turn()
    assert said == ["after"]
    assert isinstance(reported[0]["exception"], ZeroDivisionError)


async def test_a_loop_has_one_turn() -> None:
    loop = asyncio.get_running_loop()
    assert turn_of(loop) is turn_of(loop)


def test_sockets_that_are_ready_together_share_a_turn_of_uvloop() -> None:
    """The reason for all this: their handlers run before what any of them has put off."""

    async def two_at_once() -> list[str]:
        import socket

        loop, said = asyncio.get_running_loop(), []
        pairs = [socket.socketpair() for _ in range(2)]

        def ready(number: int) -> None:
            pairs[number][0].recv(1)
            said.append(f"ready {number}")
            turn_of(loop).at_end(lambda: said.append(f"end {number}"))

        for number, (mine, theirs) in enumerate(pairs):
            mine.setblocking(False)
            theirs.send(b"x")
            loop.add_reader(mine, ready, number)
        while len(said) < 4:
            await asyncio.sleep(0.001)
        for mine, theirs in pairs:
            loop.remove_reader(mine)
            mine.close()
            theirs.close()
        return said

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        said = runner.run(two_at_once())
    assert [each.split()[0] for each in said] == ["ready", "ready", "end", "end"]

"""A server that sleeps: it still ends at once, and its date goes on."""

from __future__ import annotations

import asyncio
import signal
from typing import Any

import pytest
import uvicorn

from headworks.server import steady
from headworks.server.steady import SteadyServer


def made() -> SteadyServer:
    async def nothing(scope: Any, receive: Any, send: Any) -> None:
        """No application is asked."""

    return SteadyServer(uvicorn.Config(nothing))


async def test_a_signal_ends_it_in_the_middle_of_its_sleep(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(steady, "_TICK_S", 3600)
    server = made()
    loop = asyncio.create_task(server.main_loop())
    await asyncio.sleep(0.01)
    assert not loop.done()
    server.handle_exit(signal.SIGTERM, None)
    await asyncio.wait_for(loop, 20)


async def test_a_signal_before_it_has_begun_ends_it_at_once() -> None:
    server = made()
    server.handle_exit(signal.SIGTERM, None)
    await asyncio.wait_for(server.main_loop(), 20)


async def test_each_tick_renews_the_date(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(steady, "_TICK_S", 0.001)
    server = made()
    loop = asyncio.create_task(server.main_loop())
    await asyncio.sleep(0)
    first = server.server_state.default_headers
    async with asyncio.timeout(20):
        while server.server_state.default_headers is first:
            await asyncio.sleep(0.001)
    assert first[0][0] == b"date"
    server.handle_exit(signal.SIGTERM, None)
    await asyncio.wait_for(loop, 20)

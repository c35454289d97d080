"""A stream's pieces on their way, however they fall together with whoever waits for them."""

from __future__ import annotations

import asyncio
import math
from types import SimpleNamespace
from typing import Any

import pytest
from chat_samples import DONE, FIRST, chunk

from headworks.formats.chat.format import CHAT
from headworks.formats.sse import Framer
from headworks.gateway.answers.opening import NativeStream
from headworks.gateway.answers.streaming import relay
from headworks.providers.responses import Response

PIECES = [chunk({"content": "one"}), chunk({"content": "two"}), chunk({}, "stop"), DONE]


class Carrier:
    place = "nowhere"

    def abandon(self, response: Response) -> None:
        raise AssertionError(response)

    def resume_reading(self) -> None:
        pass


@pytest.mark.parametrize("at_once", [1, 2, 3, 4])
@pytest.mark.parametrize("has_short_way", [True, False])
async def test_what_comes_before_the_reader_has_woken_is_not_lost(at_once: int, *, has_short_way: bool) -> None:
    answer, seen = Response(Carrier(), whole=False), []
    stream = NativeStream(answer, Framer(), CHAT.watch(), FIRST, None)
    stream.watch.see(FIRST + chunk({"content": "begun"}))
    if has_short_way:
        stream.direct.write, stream.direct.until = (lambda data: seen.append(data) is None), math.inf
    record: Any = SimpleNamespace(heard=0, row=SimpleNamespace(error_code=None), settle=lambda *_, **__: None)

    async def read() -> None:
        nothing: Any = None
        async for each in relay(nothing, stream, record):
            seen.append(each.data)  # noqa: PERF401 -- in between, what goes the short way is seen

    task = asyncio.create_task(read())
    for start in range(0, len(PIECES), at_once):
        while answer.resume is None:
            await asyncio.sleep(0)
        for piece in PIECES[start : start + at_once]:
            answer.pieces.append(piece)
            answer.set()
    answer.finish()
    await task
    assert b"".join(seen) == FIRST + b"".join(PIECES)

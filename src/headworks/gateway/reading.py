"""A started answer read for its text: what a feature's answer, and a call from inside, are made of."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing

from headworks.formats.answers import merged
from headworks.formats.neutral import Counted, Grown, Opened, Stopped, TextBlock
from headworks.gateway.dialects import Dialect
from headworks.gateway.opening import Started
from headworks.gateway.recording import Record
from headworks.gateway.streaming import told, truncated
from headworks.gateway.wire.parts import Finished, Text
from headworks.types.models import Usage


async def read(started: Started, dialect: Dialect, record: Record) -> AsyncGenerator[Text | Finished, None]:
    """Text as it comes, then the end as the provider gave it. Raises UpstreamTruncated where there is none."""
    usage, stopped = Usage(), None
    texts: set[int] = set()
    async with aclosing(told(started, dialect, record)) as events:
        async for event in events:
            match event:
                case Grown() if event.index in texts and event.text:
                    yield Text(event.text)
                case Opened() if isinstance(event.block, TextBlock):
                    texts.add(event.index)
                    if event.block.text:
                        yield Text(event.block.text)
                case Counted():
                    usage = merged(usage, event.usage)
                case Stopped():
                    stopped = event
    if stopped is None:
        raise truncated(started)
    yield Finished(stopped, usage)

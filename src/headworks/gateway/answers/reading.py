"""A started answer read for its text: what a feature's answer, and a call from inside, are made of."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterable
from contextlib import aclosing

from headworks.formats.answers import merged
from headworks.formats.neutral import Counted, Event, Grown, Opened, Stopped, TextBlock
from headworks.gateway.answers.opening import Started
from headworks.gateway.answers.streaming import truncated
from headworks.gateway.answers.translated import told_together
from headworks.gateway.dialects import Dialect
from headworks.gateway.recording import Record
from headworks.gateway.wire.parts import Finished, Text
from headworks.types.models import Usage


async def read(started: Started, dialect: Dialect, record: Record) -> AsyncGenerator[Text | Finished, None]:
    """Text as it comes, then the end as the provider gave it. Raises UpstreamTruncated where there is none."""
    reading = _Reading()
    async with aclosing(told_together(started, dialect, record)) as pieces:
        async for piece in pieces:
            if text := reading.text_of(piece.events):
                yield Text(text)
    if reading.stopped is None:
        raise truncated(started)
    yield Finished(reading.stopped, reading.usage)


class _Reading:
    """What was read so far, but for the text."""

    __slots__ = ("_texts", "stopped", "usage")

    def __init__(self) -> None:
        self._texts: set[int] = set()
        self.stopped: Stopped | None = None
        self.usage = Usage()

    def text_of(self, events: Iterable[Event]) -> str:
        """The text in these events."""
        found: list[str] = []
        for event in events:
            match event:
                case Grown() if event.index in self._texts:
                    found.append(event.text)
                case Opened() if isinstance(event.block, TextBlock):
                    self._texts.add(event.index)
                    found.append(event.block.text)
                case Counted():
                    self.usage = merged(self.usage, event.usage)
                case Stopped():
                    self.stopped = event
        return "".join(found)

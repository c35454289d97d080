"""A started answer in another format than the caller's, on its way: told in neutral words, piece by piece."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterable

from headworks.errors import HeadworksError, UpstreamError
from headworks.formats import answers, neutral
from headworks.formats.neutral import Counted, Failed, Grown, Stopped
from headworks.gateway.dialects import Dialect
from headworks.gateway.lingering import linger
from headworks.gateway.opening import Started, ToldStream, fed
from headworks.gateway.recording import Record
from headworks.gateway.tool_calls import CallWatch
from headworks.gateway.translation import rejected
from headworks.gateway.wire.parts import Told
from headworks.types.models import Usage


async def told_together(started: Started, dialect: Dialect, record: Record) -> AsyncGenerator[Told, None]:
    """What the answer says. Raises UpstreamTruncated where it has no end, UpstreamRejected for an error inside it.

    What has come in one piece is told in one. Nothing follows the end of the answer: it is nobody's concern any more.
    """
    stream = started.told
    if stream is None:
        assert started.answer is not None  # noqa: S101 -- an answer is a stream or whole
        record.settle(started.usage)
        yield Told([*answers.replay(started.answer)])
        return
    noting = _Noting(started, dialect, record)
    reading = _Reading(started, stream)
    try:
        events = stream.held
        while True:
            if said := noting.take(events):
                yield Told(said)
            if noting.has_stopped:
                break
            noting.raise_for(reading.error)
            if reading.is_over:
                return
            events = await reading.more()
        if events is not stream.held:
            await linger(stream.answer)
    finally:
        stream.answer.abort()


class _Reading:
    """The reader's events, piece by piece. `error`: what follows those that were given."""

    __slots__ = ("_pieces", "_started", "_stream", "error", "is_over")

    def __init__(self, started: Started, stream: ToldStream) -> None:
        self._started = started
        self._stream = stream
        self._pieces = aiter(stream.answer)
        self.error: HeadworksError | None = stream.error
        self.is_over = stream.is_over

    async def more(self) -> list[neutral.Event]:
        """Those of the next piece, or the last ones. Raises UpstreamTruncated where the answer has no end."""
        started, reader = self._started, self._stream.reader
        found: list[neutral.Event] = []
        try:
            piece = await anext(self._pieces)
            found.extend(fed(started.aim, started.headers, reader, piece))  # keeps those before one that can't be read
        except StopAsyncIteration:
            self.is_over = True
            found.extend(reader.end())
        except UpstreamError as error:
            self.is_over = True
            try:
                found.extend(reader.end())  # the answer was whole when its stream failed
            except UpstreamError:
                self.error = error
        return found


class _Noting:
    """What is counted and checked on the way. A count holds for all of the answer once its end is told."""

    __slots__ = ("_calls", "_dialect", "_error", "_record", "_started", "_usage", "has_stopped")

    def __init__(self, started: Started, dialect: Dialect, record: Record) -> None:
        self._started = started
        self._dialect = dialect
        self._record = record
        self._calls = CallWatch()
        self._usage: Usage | None = None
        self._error: HeadworksError | None = None
        self.has_stopped = False

    def take(self, events: Iterable[neutral.Event]) -> list[neutral.Event]:
        """Those that go on: up to the end of the answer, or to what is wrong."""
        said: list[neutral.Event] = []
        try:
            for event in events:
                self._note(event)
                said.append(event)
                if self.has_stopped:
                    break
        except HeadworksError as error:
            self._error = error
        return said

    def raise_for(self, error: HeadworksError | None) -> None:
        """Raise what was wrong with the last events, or else what follows them."""
        if self._error is not None:
            raise self._error
        if error is not None:
            raise error

    def _note(self, event: neutral.Event) -> None:
        self._calls.note(event)
        record = self._record
        if isinstance(event, Grown):
            record.heard += 1
        elif isinstance(event, Counted):
            self._usage = event.usage if self._usage is None else answers.merged(self._usage, event.usage)
            record.settle(self._usage, is_last=False)
        elif isinstance(event, Stopped):
            record.settle(self._usage)
            self.has_stopped = True
        elif isinstance(event, Failed):
            raise rejected(self._dialect, event, UpstreamError.status, self._started.shown_headers())

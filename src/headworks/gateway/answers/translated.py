"""A started answer in another format than the caller's, on its way: told in neutral words, piece by piece."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence

from headworks.errors import HeadworksError, UpstreamError, UpstreamTruncated
from headworks.formats import answers, neutral
from headworks.formats.chat.streams import ChatReader
from headworks.formats.messages.reading import MessagesReader
from headworks.formats.neutral import Counted, Failed, Grown, Stopped
from headworks.gateway.answers.lingering import Grace, linger
from headworks.gateway.answers.opening import Started, ToldStream, fed, no_answer
from headworks.gateway.answers.spending import UNREADABLE
from headworks.gateway.answers.tool_calls import CallWatch
from headworks.gateway.dialects import Dialect
from headworks.gateway.recording import Record
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
    pieces = aiter(stream.answer)
    grace: Grace | None = None
    try:
        events: Sequence[neutral.Event] = stream.held
        while True:
            if said := noting.take(events):
                yield Told(said)
            if noting.has_stopped:
                break
            noting.raise_for(reading.error)
            if reading.is_over:
                return
            if grace is None and stream.reader.lacks_only_its_count:
                grace = Grace(stream.answer)
            try:
                piece = await anext(pieces)
            except (StopAsyncIteration, UpstreamError) as end:
                events = reading.ended(end)
            else:
                events = reading.of(piece)
        if events is not stream.held:
            await linger(stream.answer)
    finally:
        if grace is not None:
            grace.cancel()
        stream.answer.abort()


class _Reading:
    """The reader's events, piece by piece. `error`: what follows those that were given."""

    __slots__ = ("_reader", "_started", "error", "is_over")

    def __init__(self, started: Started, stream: ToldStream) -> None:
        self._started = started
        self._reader = stream.reader
        self.error: HeadworksError | None = stream.error
        self.is_over = stream.is_over

    def of(self, piece: bytes) -> list[neutral.Event]:
        """Those of the next piece; with what can't be read, the answer ends."""
        found: list[neutral.Event] = []
        try:
            self._read(piece, found)
        except UpstreamError as error:
            found.extend(self.ended(error))
        return found

    def _read(self, piece: bytes, found: list[neutral.Event]) -> None:
        started, reader = self._started, self._reader
        if not isinstance(reader, (ChatReader, MessagesReader)):
            for event in fed(started.aim, started.headers, reader, piece):
                found.append(event)  # noqa: PERF402 -- one by one, to keep those that come before an error
            return
        try:
            reader.feed_into(piece, found)
        except UpstreamTruncated:
            raise
        except (UpstreamError, *UNREADABLE) as error:
            raise no_answer(started.aim, started.headers, str(error)) from None

    def ended(self, end: StopAsyncIteration | UpstreamError) -> Sequence[neutral.Event]:
        """The last ones. Raises UpstreamTruncated where the stream ends and the answer does not."""
        self.is_over = True
        try:
            return self._reader.end()
        except UpstreamError:
            if not isinstance(end, UpstreamError):
                raise
            self.error = end  # a stream that fails may have told all of the answer before
            return ()


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

    def take(self, events: Sequence[neutral.Event]) -> list[neutral.Event]:
        """Those that go on: up to the end of the answer, or to what is wrong."""
        said: list[neutral.Event] = []
        try:
            for event in events:
                if type(event) is Grown and not self._calls.has_any:
                    self._record.heard += 1
                else:
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

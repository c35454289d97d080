"""A text whose stream is cut off, and the next target that goes on with it, where the route says so.

What the caller has got stays as it came. The next target gets the conversation, that text as the assistant's, and is
asked to go on. What it writes is told under the id and the model that the answer began with, after a comment that says
who goes on. Only plain text of Chat and Messages: for all else the error that cut it off is the end.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterator
from contextlib import aclosing

import msgspec

from headworks.errors import HeadworksError, UpstreamError
from headworks.formats import answers, sse
from headworks.formats.chat.format import CHAT
from headworks.formats.contract import Reader, Writer
from headworks.formats.messages.format import MESSAGES
from headworks.formats.neutral import (
    Aside,
    Closed,
    Counted,
    Event,
    FileBlock,
    Grown,
    Opened,
    Request,
    Signed,
    Started,
    Stopped,
    TextBlock,
    ThinkingBlock,
    Turn,
)
from headworks.gateway.answers import opening
from headworks.gateway.answers.going_on import GoingOn
from headworks.gateway.answers.opening import NativeStream, Onward
from headworks.gateway.answers.spending import UNREADABLE
from headworks.gateway.answers.streaming import relay, told, truncated
from headworks.gateway.calls import Call
from headworks.gateway.recording import Record
from headworks.gateway.wire import parts
from headworks.gateway.wire.parts import Relayed
from headworks.types.models import Usage

SURFACES = frozenset(("chat", "messages"))
"""Where text can be gone on with."""
LABEL = b": x-headworks-continued: %b\n\n"
"""An SSE comment, which clients pass over."""
_BYTES_PER_TOKEN = 4
_NOT_PLAIN = frozenset(
    ("audio", "container", "function_call", "functions", "mcp_servers", "modalities", "prediction", "store")
) | {"web_search_options"}
"""Fields of a request whose answer is more than text, or is kept by the provider that was asked."""


class _Cut(Exception):
    """The provider has reported an error inside its stream: `rest` are its bytes, which the caller has not got.

    `good` stood before it in the same piece, and is not lost.
    """

    def __init__(self, error: UpstreamError, good: bytes, rest: bytes) -> None:
        super().__init__()
        self.error = error
        self.good = good
        self.rest = rest


class _Said:
    """The answer as far as the caller has it."""

    def __init__(self) -> None:
        self.started = Started()
        self.texts: list[str] = []
        self.open: int | None = None
        """The text block that is not complete."""
        self.blocks = 0
        self.is_plain = True

    @property
    def text(self) -> str:
        return "".join(self.texts)

    @property
    def tokens(self) -> int:
        """As well as they can be told."""
        return max(len(self.texts), len(self.text.encode()) // _BYTES_PER_TOKEN)

    def note(self, event: Event) -> None:
        """An event that the caller has got."""
        match event:
            case Started():
                self.started = Started(event.id, event.model, event.created)
            case Opened(block=TextBlock(is_refusal=False, citations=())) if self.open is None:
                self.open = event.index
                self.blocks = max(self.blocks, event.index + 1)
                self.texts += [event.block.text] if isinstance(event.block, TextBlock) and event.block.text else []
            case Grown() if event.index == self.open:
                self.texts.append(event.text)
            case Closed() if event.index == self.open:
                self.open = None
            case Counted():
                pass
            case Aside() if not event.kind.startswith("delta."):
                pass
            case _:
                self.is_plain = False


async def continued(
    started: opening.Started, onward: Onward, call: Call, record: Record
) -> AsyncGenerator[parts.Event, None]:
    """The events of an answer, whoever writes its end. Raises what cut it off where nobody can go on."""
    flow = _Flow(call, record)
    events = flow.begun(started) if started.native is None else flow.relayed(started, started.native, onward)
    while True:
        cut: UpstreamError | None = None
        good = rest = b""
        try:
            async with aclosing(events):
                async for event in events:
                    yield event
        except _Cut as found:
            cut, good, rest = found.error, found.good, found.rest
        except UpstreamError as found:
            cut = found
        if cut is None:
            return
        if good:
            yield Relayed(good)
        following = await flow.next(cut, onward)
        if following is None:
            if not rest:
                raise cut
            record.row.error_code = UpstreamError.code
            yield Relayed(rest, is_last=True)
            return
        record.row.error_code = None
        record.row.continuations += 1
        yield Relayed(LABEL % " ".join(following.aim.target.name.split()).encode("ascii", "replace"))
        events = flow.further(following)


class _Flow:
    """One answer on its way through the targets that tell it."""

    def __init__(self, call: Call, record: Record) -> None:
        self._call = call
        self._record = record
        self._said = _Said()
        self._kept: list[bytes] = []
        """The provider's bytes that were relayed, as long as they were not read."""
        self._writer: Writer | None = None
        """What writes the caller's stream, where its beginning was relayed; else that is not our business."""
        self._last = b""

    async def begun(self, started: opening.Started) -> AsyncGenerator[parts.Event, None]:
        """The events of the first target, which speaks another format."""
        async with aclosing(told(started, self._call.dialect, self._record)) as events:
            async for event in events:
                self._said.note(event)
                yield event

    async def relayed(
        self, started: opening.Started, stream: NativeStream, onward: Onward
    ) -> AsyncGenerator[parts.Event, None]:
        """The bytes of the first target. Raises _Cut for an error inside them, if somebody may be able to go on."""
        watch = stream.watch
        is_lost = False
        async with aclosing(relay(started, stream, self._record)) as relayed:
            async for part in relayed:
                if watch.has_failed and not watch.is_finished and not is_lost:
                    self._give_up(started, part.data, onward)
                    is_lost = True
                self._kept.append(part.data)
                yield part

    def _give_up(self, started: opening.Started, data: bytes, onward: Onward) -> None:
        """Raises _Cut for the error in these bytes where somebody may be able to go on."""
        good, rest = self._parted(data)
        self._kept.append(good)
        error = opening.failed_first(self._call.dialect, started.headers, rest)
        if onward.leads_on(error) and self._asking() is not None:
            raise _Cut(error, good, rest)

    async def next(self, cut: UpstreamError, onward: Onward) -> opening.Started | None:
        """The answer of a target that goes on; None: there is none."""
        asking = self._asking()
        if asking is None or not onward.leads_on(cut):
            return None
        return await onward.go_on(cut, asking)

    async def further(self, started: opening.Started) -> AsyncGenerator[parts.Event, None]:
        """What the target has to add, told as if it had begun."""
        telling = _Telling(started, self._said, self._record.spent)
        async with aclosing(told(started, self._call.dialect, self._record)) as events:
            async for event in events:
                for each in telling.of(event):
                    self._said.note(each)
                    if self._writer is None:
                        yield each
                    elif isinstance(each, Stopped):
                        self._last += self._writer.write(each) + self._writer.end()
                    elif data := self._writer.write(each):
                        yield Relayed(data)
        if self._writer is not None:
            yield Relayed(self._last, is_last=True)

    def _asking(self) -> GoingOn | None:
        """What the next target is asked; None: what the caller has is not plain text, or is all that was wanted."""
        call = self._call
        try:
            self._read_kept()
            request = call.neutral
        except (HeadworksError, *UNREADABLE):
            return None
        said = self._said
        if not said.is_plain or not said.text.strip() or not call.relays:
            return None
        if not all(map(_is_plain, (request, *self._fixed()))):
            return None
        if request.max_output is not None and said.tokens >= request.max_output:
            return None
        return GoingOn(call, said.text, said.tokens)

    def _fixed(self) -> list[Request]:
        """What the route adds to the request for its targets."""
        aims = self._record.plan.aims if self._record.plan is not None else ()
        return [aim.fixed for aim in aims if aim.fixed is not None]

    def _read_kept(self) -> None:
        """Read what was relayed so far; the writer that goes on has written all of it, as it were."""
        if not self._kept:
            return
        dialect = self._call.dialect
        reader: Reader = MESSAGES.reader() if dialect.format is MESSAGES else CHAT.reader()
        events = reader.feed(b"".join(self._kept))
        self._kept.clear()
        assert dialect.format is not None  # noqa: S101 -- as above
        self._writer = dialect.format.writer(self._call.echoed)
        for event in events:
            self._said.note(event)
            if isinstance(event, (Opened, Grown, Closed)):
                self._writer.write(event)
            elif isinstance(event, Started):
                self._writer.write(self._said.started)

    def _parted(self, data: bytes) -> tuple[bytes, bytes]:
        """What comes before the event that reports an error, and the rest."""
        assert self._call.dialect.format is not None  # noqa: S101 -- as above
        probe = self._call.dialect.format.watch()
        probe.has_begun = True
        size = 0
        for event in sse.split(data):
            probe.see(event)
            if probe.has_failed:
                break
            size += len(event)
        return data[:size], data[size:]


class _Telling:
    """The events of a target that goes on, as those of the answer that it goes on with.

    Its thoughts are its own and are left out: there is no place for them inside a text.
    """

    def __init__(self, started: opening.Started, said: _Said, spent: Usage) -> None:
        self._started = started
        self._said = said
        self._spent = spent
        self._usage = Usage()
        self._places: dict[int, int] = {}
        self._thoughts: set[int] = set()

    def of(self, event: Event) -> Iterator[Event]:
        """What the caller is told. Raises UpstreamTruncated for what is no text."""
        match event:
            case Started():
                pass
            case Opened(block=TextBlock(is_refusal=False, citations=())):
                yield from self._open(event)
            case Opened(block=ThinkingBlock()):
                self._thoughts.add(event.index)
            case Grown() | Closed() if event.index in self._places:
                yield msgspec.structs.replace(event, index=self._places[event.index])
            case Grown() | Closed() | Signed() if event.index in self._thoughts:
                pass
            case Counted():
                self._usage = answers.merged(self._usage, event.usage)
                yield Counted(self._spent.plus(self._usage))
            case Stopped():
                if self._said.open is not None:
                    yield Closed(self._said.open)
                yield Stopped(event.reason, event.word, event.sequence)
            case Aside():
                pass
            case _:
                raise truncated(self._started)

    def _open(self, event: Opened) -> Iterator[Event]:
        block, said = event.block, self._said
        if said.open is None:
            self._places[event.index] = said.blocks
            yield Opened(said.blocks, block)
        else:
            self._places[event.index] = said.open
            if isinstance(block, TextBlock) and block.text:
                yield Grown(said.open, block.text)


def _is_plain(request: Request) -> bool:
    """Whether the answer to it is one plain text."""
    wants_text = request.output_format is None or request.output_format.kind == "text"
    is_one = request.choices in {None, 1} and not request.logprobs
    if request.tools or request.tool_choice is not None or not wants_text or not is_one:
        return False
    if not request.turns or request.turns[-1].role != "user" or not _NOT_PLAIN.isdisjoint(request.ext):
        return False
    return not any(map(_wants_citations, request.turns))


def _wants_citations(turn: Turn) -> bool:
    return any(isinstance(block, FileBlock) and block.wants_citations for block in turn.blocks)

"""The beginning of an answer: judged until it has something to say, or is found to be an error or no answer at all."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import suppress
from typing import Protocol

import msgspec

from headworks.errors import HeadworksError, UpstreamError, UpstreamRejected, UpstreamTruncated
from headworks.formats import neutral
from headworks.formats.chat.watching import ChatWatch
from headworks.formats.contract import Reader, Spoken, Watch
from headworks.formats.converse.format import Converse
from headworks.formats.neutral import TextBlock, ThinkingBlock, ToolCallBlock
from headworks.formats.responses.format import RESPONSES
from headworks.formats.sse import Framer, data_of, split
from headworks.gateway.answers.outgoing import Outgoing
from headworks.gateway.answers.spending import UNREADABLE, counted_in, keep_count, keep_told
from headworks.gateway.answers.tool_calls import RelayedCalls, check_calls, check_relayed
from headworks.gateway.dialects import Dialect
from headworks.gateway.plans import Aim
from headworks.gateway.recording import Record
from headworks.gateway.translation import Way, rejected, says_something
from headworks.gateway.wire.parts import Direct
from headworks.providers import contract as provider_contract
from headworks.providers.contract import Ask
from headworks.providers.responses import RESENT, Headers
from headworks.types.ids import new_id
from headworks.types.models import Usage

_MAX_ERROR_BYTES = 1024 * 1024
_HELD_EVENTS = 64
_HELD_BYTES = 256 * 1024
_BYTES_PER_TOKEN = 4
_REFUSED_US = 401
_STREAMS = frozenset(("text/event-stream", "application/vnd.amazon.eventstream"))


class NativeStream(msgspec.Struct):
    """A stream past its first semantic event, in the caller's format. `held` are the caller's bytes up to there."""

    answer: provider_contract.Answer
    framer: Framer
    watch: Watch
    held: bytes
    calls: RelayedCalls | None
    """None: the format has no tools."""
    direct: Direct = msgspec.field(default_factory=Direct)


class ToldStream(msgspec.Struct):
    """A stream past its first semantic event, in another format. `is_over`: `held` is all of it."""

    answer: provider_contract.Answer
    reader: Reader
    held: list[neutral.Event]
    is_over: bool = False
    error: UpstreamError | None = None
    """What follows the held ones, if that is no event."""


class Onward(Protocol):
    """Who may go on with a text that is cut off. Implemented by gateway.attempts."""

    def leads_on(self, cut: HeadworksError) -> bool:
        """Whether the route goes on after such an error, as far as that can be told without asking anybody."""
        ...

    async def go_on(self, cut: HeadworksError, outgoing: Outgoing) -> Started | None:
        """The answer of the next target that has one; None: there is no other. What was spent stays in the record."""
        ...


class Started(msgspec.Struct):
    """An attempt that has something to say: a whole body, a whole answer in neutral words, or a stream of either.

    `usage` None: a whole answer that nobody has counted.
    """

    aim: Aim
    headers: Headers
    body: bytes = b""
    usage: Usage | None = None
    answer: neutral.Answer | None = None
    native: NativeStream | None = None
    told: ToldStream | None = None
    onward: Onward | None = None
    """For a stream whose route may have another target go on with it."""

    def shown_headers(self) -> dict[str, str]:
        """The provider's headers as text."""
        return _as_text(self.headers)

    def about_tokens(self) -> int:
        """Tokens of output in a whole answer that nobody has counted, rather too many than too few."""
        return _about(len(self.body)) if self.answer is None else _about(sum(map(_size, self.answer.blocks)))


def judged(aim: Aim, dialect: Dialect, status: int, headers: Headers, body: bytes, record: Record) -> Started:
    """A whole answer in the caller's format. Raises UpstreamRejected for an error, UpstreamError for no answer.

    What these count is in the record.
    """
    if status != 200:
        raise _rejected(aim, dialect, None, status, headers, body)
    try:
        if not body.isascii():
            body.decode()
        verdict = dialect.judge(body)
    except UNREADABLE as error:
        raise no_answer(aim, headers, str(error)) from None
    if verdict.kind == "error":
        record.settle(verdict.usage)
        raise UpstreamRejected(UpstreamError.status, body, _as_text(headers))
    if verdict.kind == "nothing":
        record.settle(verdict.usage)
        raise no_answer(aim, headers, "it has nothing that an answer has")
    if dialect.format is not None and dialect.format.calling is not None:
        try:
            check_relayed(dialect.format.calling, body)
        except UpstreamError:
            record.settle(verdict.usage)
            record.heard = _about(len(body))
            raise
    return Started(aim, headers, body, verdict.usage)


def read(
    aim: Aim, dialect: Dialect, spoken: Spoken, status: int, headers: Headers, body: bytes, *, record: Record
) -> Started:
    """A whole answer in another format. As `judged`."""
    if status != 200:
        raise _rejected(aim, dialect, spoken, status, headers, body)
    try:
        if (failed := spoken.read_error(status, body)) is not None:
            record.settle(counted_in(spoken, body))
            raise rejected(dialect, failed, UpstreamError.status, _as_text(headers))
        answer = spoken.read_answer(body)
    except UpstreamRejected:
        raise
    except (UpstreamError, *UNREADABLE) as error:
        record.settle(counted_in(spoken, body))
        raise no_answer(aim, headers, str(error)) from None
    usage = answer.usage if answer.usage.input_tokens is not None else None
    try:
        check_calls(answer)
    except UpstreamError:
        record.settle(usage)
        record.heard = _about(sum(map(_size, answer.blocks)))
        raise
    _name(answer.started, aim, dialect)
    return Started(aim, headers, usage=usage, answer=answer)


def _name(begun: neutral.Started, aim: Aim, dialect: Dialect) -> None:
    """Callers want an id and a model, also where a provider gives none."""
    begun.model = begun.model or aim.target.model
    begun.id = begun.id or f"{dialect.id_prefix}{new_id().hex}"


async def open_stream(aim: Aim, ask: Ask, way: Way, outgoing: Outgoing, record: Record) -> Started:
    """A stream up to its first semantic event. As `judged`; UpstreamTruncated: it ends before there is one."""
    answer, dialect = await aim.provider.stream(ask), outgoing.dialect
    try:
        if answer.status != 200 or _content_type(answer.headers) not in _STREAMS:
            await _refuse(aim, dialect, way.spoken, answer, record)
        if way.spoken is not None:
            return await _told(aim, dialect, way.spoken, answer, record)
        assert dialect.format is not None  # noqa: S101 -- only formats have streams
        watch: Watch = dialect.format.watch(strips_usage=outgoing.strips(aim))
        if isinstance(watch, ChatWatch) and (choices := outgoing.choices(aim)) != 1:
            watch = watch.of_several(choices)
        try:
            return await _opened(aim, dialect, answer, watch)
        except BaseException:
            keep_count(watch.usage, record, is_last=watch.is_terminal)
            raise
    except BaseException as error:
        answer.abort()
        if isinstance(error, UpstreamError):
            error.is_resent = was_resent(answer.headers)
        raise


def was_resent(headers: Headers) -> bool:
    """Whether the request went out twice; see providers.upstream."""
    return bool(headers) and headers[-1] is RESENT


async def _opened(aim: Aim, dialect: Dialect, answer: provider_contract.Answer, watch: Watch) -> Started:
    headers, framer = answer.headers, Framer()
    calling = None if dialect.format is None else dialect.format.calling
    calls = None if calling is None else RelayedCalls(calling)
    held: list[bytes] = []
    size = count = 0
    async for piece in answer:
        events = framer.whole(piece)
        if not events:
            continue
        held.append(_seen(aim, headers, watch, events))
        size += len(events)
        count += events.count(b"data:")
        if watch.has_begun or size > _HELD_BYTES or count > _HELD_EVENTS:
            return Started(aim, headers, native=NativeStream(answer, framer, watch, b"".join(held), calls))
        if watch.has_failed or watch.is_terminal:
            break
    else:
        held.append(_seen(aim, headers, watch, framer.rest))
        if watch.has_begun:
            return Started(aim, headers, native=NativeStream(answer, Framer(), watch, b"".join(held), calls))
    if watch.has_failed:
        raise failed_first(dialect, headers, b"".join(held))
    raise _nothing_said(aim)


async def _told(
    aim: Aim, dialect: Dialect, spoken: Spoken, answer: provider_contract.Answer, record: Record
) -> Started:
    told = ToldStream(answer, spoken.reader(), [])
    try:
        return await _told_from(told, aim, dialect)
    except BaseException:
        keep_told(told.held, record)
        raise


async def _told_from(told: ToldStream, aim: Aim, dialect: Dialect) -> Started:
    answer, reader = told.answer, told.reader
    headers = answer.headers
    try:
        async for piece in answer:
            if _hold(told, aim, dialect, fed(aim, headers, reader, piece)):
                return Started(aim, headers, told=told)
        _hold(told, aim, dialect, reader.end())
    except UpstreamTruncated:
        raise _nothing_said(aim) from None
    told.is_over = True
    return Started(aim, headers, told=told)


def _hold(told: ToldStream, aim: Aim, dialect: Dialect, events: Iterable[neutral.Event]) -> bool:
    """Keep events; whether that is enough. Raises what fails before something is said; later it is kept, too."""
    has_begun = False
    try:
        for event in events:
            if isinstance(event, neutral.Failed) and not has_begun:
                raise rejected(dialect, event, UpstreamError.status, _as_text(told.answer.headers))
            if isinstance(event, neutral.Started):
                _name(event, aim, dialect)
            told.held.append(event)
            has_begun = has_begun or says_something(event)
    except UpstreamError as error:
        if not has_begun:
            raise
        told.error = error
    return has_begun or len(told.held) > _HELD_EVENTS


def fed(aim: Aim, headers: Headers, reader: Reader, piece: bytes) -> Iterator[neutral.Event]:
    """What the reader makes of a piece. Raises UpstreamError for what is no event, UpstreamTruncated for an odd end.

    Event by event, so that what comes before one that can't be read is not lost with it.
    """
    at = 0
    try:
        while at < len(piece):
            end = piece.find(b"\n\n", at) + 2
            end = len(piece) if end == 1 else end
            yield from reader.feed(piece if end - at == len(piece) else piece[at:end])
            at = end
    except UpstreamTruncated:
        raise
    except (UpstreamError, *UNREADABLE) as error:
        raise no_answer(aim, headers, str(error)) from None


def _seen(aim: Aim, headers: Headers, watch: Watch, events: bytes) -> bytes:
    """What the watch gives for the caller. Raises UpstreamError for first events that can't be read."""
    try:
        return watch.see(events)
    except UNREADABLE as error:
        raise no_answer(aim, headers, str(error)) from None


def failed_first(dialect: Dialect, headers: Headers, events: bytes) -> UpstreamRejected:
    """The error that a stream has instead of an answer, as the body of one."""
    if dialect.name == "responses":  # its events have errors in another shape than its bodies
        with suppress(UpstreamError, *UNREADABLE):
            for event in RESPONSES.reader().feed(events):
                if isinstance(event, neutral.Failed):
                    return rejected(dialect, event, UpstreamError.status, _as_text(headers))
    return UpstreamRejected(UpstreamError.status, _error_in(events), _as_text(headers))


def _error_in(events: bytes) -> bytes:
    """The data of the event that reports an error."""
    said = [data_of(event) for event in split(events) if b"error" in event]
    return said[-1] if said else b""


def _nothing_said(aim: Aim) -> UpstreamTruncated:
    return UpstreamTruncated(
        f"The stream of `{aim.target.name}` ended before it had said anything.", next_step="Try again."
    )


async def _refuse(
    aim: Aim, dialect: Dialect, spoken: Spoken | None, answer: provider_contract.Answer, record: Record
) -> None:
    """Raise for what is no stream: an error is passed on, anything else is no answer."""
    body = await answer.read(_MAX_ERROR_BYTES)
    if spoken is None:
        whole = judged(aim, dialect, answer.status, answer.headers, body, record)
    else:
        whole = read(aim, dialect, spoken, answer.status, answer.headers, body, record=record)
    record.settle(whole.usage)
    raise no_answer(aim, answer.headers, "it is not a stream of events")


def _rejected(
    aim: Aim, dialect: Dialect, spoken: Spoken | None, status: int, headers: Headers, body: bytes
) -> HeadworksError:
    """An error status as the provider gave it; in our words where it is about our credential, or not JSON."""
    if status == _REFUSED_US:
        return UpstreamError(
            f"The provider of `{aim.target.name}` refused the server's credential (401).",
            next_step="Whoever runs this server must correct the provider's key; yours is fine.",
            code="upstream_unauthorized",
        )
    if status >= 400:
        if spoken is None and _is_error(dialect, body):
            return UpstreamRejected(status, body, _as_text(headers))
        if spoken is not None and (failed := _error_of(spoken, status, headers, body)) is not None:
            return rejected(dialect, failed, status, _as_text(headers))
    kind = _content_type(headers) or "no content type"
    shape = (
        "an error in its format" if spoken is not None or dialect.surface == "messages" else "an OpenAI-shaped error"
    )
    error = UpstreamError(
        f"The provider of `{aim.target.name}` answered with status {status} and {kind}, not {shape}.",
        next_step="Check the provider's address and status.",
        headers=_as_text(headers),
    )
    if status >= 400:
        error.status = status
    return error


def _is_error(dialect: Dialect, body: bytes) -> bool:
    try:
        return dialect.judge(body).kind == "error"
    except UNREADABLE:
        return False


def _error_of(spoken: Spoken, status: int, headers: Headers, body: bytes) -> neutral.Failed | None:
    try:
        if isinstance(spoken, Converse):  # the kind of its errors stands in a header
            return spoken.read_error(status, body, headers)
        return spoken.read_error(status, body)
    except UNREADABLE:
        return None


def no_answer(aim: Aim, headers: Headers, why: str) -> UpstreamError:
    """The error for what comes from a provider and can't be read."""
    kind = _content_type(headers) or "no content type"
    return UpstreamError(
        f"The provider of `{aim.target.name}` answered with {kind} that is no answer: {why.rstrip('.')}.",
        next_step="Check the provider's address: it may be a web page or a proxy.",
        code="upstream_not_an_answer",
    )


def _about(size: int) -> int:
    """Tokens in so many bytes, rather too many than too few."""
    return -(-size // _BYTES_PER_TOKEN)


def _size(block: neutral.Block) -> int:
    """Bytes of output, about."""
    match block:
        case TextBlock():
            return len(block.text)
        case ThinkingBlock():
            return len(block.text) + sum(map(len, block.summary))
        case ToolCallBlock():
            return len(block.arguments) + len(block.name)
        case _:
            return 0


def _content_type(headers: Headers) -> str:
    return next(
        (
            value.decode("latin-1").partition(";")[0].strip().lower()
            for name, value in headers
            if name == b"content-type"
        ),
        "",
    )


def _as_text(headers: Headers) -> dict[str, str]:
    return {name.decode("latin-1"): value.decode("latin-1") for name, value in headers}

"""Attempts: targets are tried in order until one has something to say; from then on there is no way back."""

from __future__ import annotations

from collections.abc import Coroutine
from typing import Any

import msgspec

from headworks.errors import HeadworksError, ModelMissing, UpstreamError, UpstreamRejected, UpstreamTruncated
from headworks.formats.sse import Framer, data_of, split
from headworks.gateway.outgoing import Outgoing
from headworks.gateway.plans import Aim, Plan
from headworks.gateway.recording import Record
from headworks.gateway.wire.answers import judge
from headworks.gateway.wire.sse import is_error, read_chunk, says_something
from headworks.providers.contract import Answer, Ask
from headworks.providers.http1 import Deadlines
from headworks.providers.responses import Headers
from headworks.types.models import Usage

MAX_ANSWER_BYTES = 64 * 1024 * 1024
_MAX_ERROR_BYTES = 1024 * 1024
_HELD_EVENTS = 64
_HELD_BYTES = 256 * 1024
_OVERLOADED = 429
_REFUSED_US = 401


class OpenStream(msgspec.Struct):
    """A stream past its first semantic event. `held` are the whole events up to there, `framer` has what followed."""

    answer: Answer
    framer: Framer
    held: bytes


class Started(msgspec.Struct):
    """An attempt that has something to say: a whole body, or a stream."""

    aim: Aim
    headers: Headers
    body: bytes = b""
    usage: Usage | None = None
    stream: OpenStream | None = None

    def abort(self) -> None:
        """Stop what the provider still does for it."""
        if self.stream is not None:
            self.stream.answer.abort()


class Attempts:
    """See the module."""

    def __init__(self, deadlines: Deadlines | None = None) -> None:
        self._deadlines = deadlines or Deadlines()

    def start(self, plan: Plan, outgoing: Outgoing, record: Record) -> Coroutine[Any, Any, Started]:
        """The first target's answer that can be given to the caller. Raises the last target's error."""
        if plan.feature is None and len(plan.aims) == 1:
            return self._attempt(plan.aims[0], outgoing, record)
        return self._in_turn(plan, outgoing, record)

    async def _in_turn(self, plan: Plan, outgoing: Outgoing, record: Record) -> Started:
        last = plan.aims[-1]
        for aim in plan.aims:
            try:
                if plan.feature is None:
                    return await self._attempt(aim, outgoing, record)
                with record.span("attempt") as span:
                    span.attributes["target"] = aim.target.name
                    return await self._attempt(aim, outgoing, record)
            except HeadworksError as error:
                if aim is last or not _may_switch(error):
                    raise
        raise AssertionError("a route has at least one target")

    async def _attempt(self, aim: Aim, outgoing: Outgoing, record: Record) -> Started:
        provider = aim.provider
        model = aim.target.model
        provider.check(outgoing.surface, model)
        body = outgoing.body_for(aim)
        ask = Ask(outgoing.surface, model, body, outgoing.forwarded, outgoing.prompt, self._deadlines)
        record.attempt(aim, outgoing)
        if outgoing.streams:
            started = await _open_stream(aim, ask)
            record.answered()
            return started
        return _judged(aim, *await provider.fetch(ask))


def _may_switch(error: HeadworksError) -> bool:
    """Whether another target may do better: not where the provider refused what the caller wrote."""
    if isinstance(error, UpstreamRejected):
        return error.status >= 500 or error.status == _OVERLOADED
    return isinstance(error, (UpstreamError, ModelMissing))


def _judged(aim: Aim, status: int, headers: Headers, body: bytes) -> Started:
    if status != 200:
        raise _rejected(aim, status, headers, body)
    try:
        verdict, usage = judge(body)
    except msgspec.DecodeError as error:
        raise _no_answer(aim, headers, str(error)) from None
    if verdict == "error":
        raise UpstreamRejected(UpstreamError.status, body, _as_text(headers))
    if verdict == "nothing":
        raise _no_answer(aim, headers, "it has neither `choices` nor `data`")
    return Started(aim, headers, body, usage)


async def _open_stream(aim: Aim, ask: Ask) -> Started:
    answer = await aim.provider.stream(ask)
    try:
        return await _opened(aim, answer)
    except BaseException:
        answer.abort()
        raise


async def _opened(aim: Aim, answer: Answer) -> Started:
    headers = answer.headers
    if answer.status != 200:
        raise _rejected(aim, answer.status, headers, await answer.read(_MAX_ERROR_BYTES))
    if not _content_type(headers).startswith("text/event-stream"):
        await _refuse_unstreamed(aim, answer)
    framer = Framer()
    held: list[bytes] = []
    size = count = 0
    async for piece in answer:
        events = framer.whole(piece)
        held.append(events)
        size += len(events)
        for event in split(events):
            count += 1
            if _is_semantic(aim, headers, event):
                return Started(aim, headers, stream=OpenStream(answer, framer, b"".join(held)))
        if count > _HELD_EVENTS or size > _HELD_BYTES:
            return Started(aim, headers, stream=OpenStream(answer, framer, b"".join(held)))
    raise UpstreamTruncated(
        f"The stream of `{aim.target.name}` ended before it had said anything.", next_step="Try again."
    )


def _is_semantic(aim: Aim, headers: Headers, event: bytes) -> bool:
    """Whether the caller's answer starts here. Raises for an error, and for what is no event of an answer."""
    data = data_of(event)
    if not data:
        return False
    if data == b"[DONE]":
        return True
    try:
        chunk = read_chunk(data)
    except msgspec.ValidationError:
        return True  # JSON of a shape that we don't know: not ours to judge
    except msgspec.DecodeError as error:
        raise _no_answer(aim, headers, str(error)) from None
    if is_error(chunk):
        raise UpstreamRejected(UpstreamError.status, data, _as_text(headers))
    return says_something(chunk)


async def _refuse_unstreamed(aim: Aim, answer: Answer) -> None:
    """A 200 that is no stream: an error object in JSON is passed on, anything else is no answer."""
    body = await answer.read(_MAX_ERROR_BYTES)
    try:
        verdict, _ = judge(body)
    except msgspec.DecodeError as error:
        raise _no_answer(aim, answer.headers, str(error)) from None
    if verdict == "error":
        raise UpstreamRejected(UpstreamError.status, body, _as_text(answer.headers))
    raise _no_answer(aim, answer.headers, "it is not a stream of events")


def _rejected(aim: Aim, status: int, headers: Headers, body: bytes) -> HeadworksError:
    """An error status as the provider gave it; in our words where it is about our credential, or not JSON."""
    if status == _REFUSED_US:
        return UpstreamError(
            f"The provider of `{aim.target.name}` refused the server's credential (401).",
            next_step="Whoever runs this server must correct the provider's key; yours is fine.",
            code="upstream_unauthorized",
        )
    try:
        is_ours = judge(body)[0] == "error"
    except msgspec.DecodeError:
        is_ours = False
    if is_ours and status >= 400:
        return UpstreamRejected(status, body, _as_text(headers))
    kind = _content_type(headers) or "no content type"
    error = UpstreamError(
        f"The provider of `{aim.target.name}` answered with status {status} and {kind}, not an OpenAI-shaped error.",
        next_step="Check the provider's address and status.",
        headers=_as_text(headers),
    )
    if status >= 400:
        error.status = status
    return error


def _no_answer(aim: Aim, headers: Headers, why: str) -> UpstreamError:
    kind = _content_type(headers) or "no content type"
    return UpstreamError(
        f"The provider of `{aim.target.name}` answered with {kind} that is no answer: {why.rstrip('.')}.",
        next_step="Check the provider's address: it may be a web page or a proxy.",
        code="upstream_not_an_answer",
    )


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

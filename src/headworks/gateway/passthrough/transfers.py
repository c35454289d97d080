"""What passes through on its way: from a provider's answer to the caller's bytes, or to the error that it is."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Protocol

import msgspec

from headworks.errors import HeadworksError, UpstreamError, UpstreamRejected
from headworks.gateway.answering import RECHECK_S
from headworks.gateway.exchange import AsgiExchange, Scope
from headworks.gateway.wire.headers import Header, passed_on
from headworks.providers.contract import Answer, Carrier, Errand, Surface
from headworks.providers.http1 import Deadlines

SLOW = Deadlines(first_byte_s=300.0, idle_s=120.0)
"""A picture takes minutes, and nothing of it comes before."""
NO_CACHE: Header = (b"cache-control", b"no-store")
_ALSO_PASSED_ON = frozenset((b"content-length", b"content-disposition"))
MAX_ANSWER_BYTES = 64 * 1024 * 1024
_MAX_ERROR_BYTES = 1024 * 1024
_UNAUTHORIZED = 401


class Weight(msgspec.Struct, frozen=True, gc=False):
    """How large a request is, in bytes, to estimate tokens by."""

    size: int


class Hearing(Protocol):
    """Who looks at an answer while it goes by."""

    def hear(self, piece: bytes) -> None:
        """More of it."""
        ...

    def end(self) -> None:
        """No more comes. Raises UpstreamTruncated where something is missing."""
        ...

    @property
    def takes_an_error(self) -> bool:
        """Whether an error of ours can follow what was heard, though it is no stream of lines."""
        ...


class Transfer:
    """One request on its way. `is_cut`: its answer has begun and can't be finished, or explained in its own form."""

    __slots__ = ("exchange", "is_cut", "may_go_on", "scope", "surface")

    def __init__(self, exchange: AsgiExchange, scope: Scope, surface: Surface) -> None:
        self.exchange = exchange
        self.scope = scope
        self.surface = surface
        self.is_cut = False
        self.may_go_on: Callable[[], object] = lambda: None

    def errand(self, body: bytes, deadlines: Deadlines, tail: str, content_type: bytes | None) -> Errand:
        """What the provider is asked."""
        method = self.scope["method"].replace("HEAD", "GET").encode("ascii")
        return Errand(self.surface, method, tail, content_type, body, self.exchange.forwarded, deadlines)

    async def relay(self, answer: Answer, hearing: Hearing | None = None) -> bytes:
        """The answer as it comes, but for its last bytes. Raises UpstreamError where it breaks off."""
        headers = [pair for pair in answer.headers if pair[0] in _ALSO_PASSED_ON]
        is_sized = any(name == b"content-length" for name, _ in headers)
        is_events = value_of(answer.headers, b"content-type").startswith(b"text/event-stream")
        try:
            await self.exchange.start(
                answer.status, [*passed_on(answer.headers), *headers, NO_CACHE, *self.exchange.reply]
            )
            self.is_cut = not is_events
            held, checked_at = b"", time.monotonic()
            async for piece in answer:
                if time.monotonic() - checked_at > RECHECK_S:
                    self.may_go_on()
                    checked_at = time.monotonic()
                if hearing is not None:
                    hearing.hear(piece)
                if not is_sized:
                    await self.exchange.write(piece)
                    continue
                if held:
                    await self.exchange.write(held)
                held = piece  # its end is told by its last bytes, not by what follows them
            if hearing is not None:
                hearing.end()
        except HeadworksError:
            self.is_cut = self.is_cut and (is_sized or hearing is None or not hearing.takes_an_error)
            raise
        else:
            self.is_cut = False
            return held
        finally:
            answer.abort()


async def accepted(carrier: Carrier, errand: Errand, name: str) -> Answer:
    """The provider's answer, if it is none of an error. Raises UpstreamError, with the provider's JSON where it is."""
    answer = await carrier.carry(errand)
    if 200 <= answer.status < 300:
        return answer
    try:
        body = await answer.read(_MAX_ERROR_BYTES)
    finally:
        answer.abort()
    shown = {key.decode("latin-1"): value.decode("latin-1") for key, value in answer.headers}
    if answer.status >= 400 and answer.status != _UNAUTHORIZED and _is_object(body):
        raise UpstreamRejected(answer.status, body, shown)
    raise _refused(name, answer.status, shown)


def _refused(name: str, status: int, headers: Mapping[str, str]) -> UpstreamError:
    """In our words: a refusal of our credential, and what is no error that a client could read."""
    if status == _UNAUTHORIZED:
        return UpstreamError(
            f"The provider of `{name}` refused the server's credential (401).",
            next_step="Whoever runs this server must correct the provider's key; yours is fine.",
            code="upstream_unauthorized",
        )
    return UpstreamError(
        f"The provider of `{name}` answered with status {status}, and no error in JSON.",
        next_step="Check the provider's address and status.",
        headers=headers,
    )


def _is_object(body: bytes) -> bool:
    try:
        return isinstance(msgspec.json.decode(body), dict)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return False


def value_of(headers: list[Header], wanted: bytes) -> bytes:
    """A header's first value, empty where there is none."""
    return next((value.strip() for name, value in headers if name == wanted), b"")

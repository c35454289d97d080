"""How a kind of fault is written down: what the provider does, and what has to become of it. Standard library only."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from faulty_provider import Exchange

Play = Callable[[Any], Awaitable[None]]
How = Literal["answer", "refused", "passed", "failed", "broken"]

NO_ANSWER = "upstream_not_an_answer"
TRUNCATED = "stream_truncated"
TIMEOUT = "upstream_timeout"


@dataclass(frozen=True)
class Expected:
    """What one target's part in the answer has to be.

    `answer`: the caller gets it. `refused`: the caller's own mistake in the provider's words, nobody else is asked.
    `passed`: the next target is asked; the last one's error is told in the provider's words. `failed`: the same in our
    words. `broken`: the caller gets what came before the fault, then an error, and nobody else is asked.
    """

    how: How
    status: int = 200
    code: str | None = None
    """`error.code` where the words are ours; None: the provider's own error, untouched."""
    is_exact: bool = True
    """Whether every token that was sent must arrive: not where the connection is reset under them."""
    switches: bool = True
    """For `failed`: whether the next target is asked."""


def answer() -> Expected:
    return Expected("answer")


def refused(status: int) -> Expected:
    return Expected("refused", status)


def passed(status: int) -> Expected:
    return Expected("passed", status)


def failed(status: int = 502, code: str = "upstream_error", *, switches: bool = True) -> Expected:
    return Expected("failed", status, code, switches=switches)


def broken(code: str | None, *, is_exact: bool = True) -> Expected:
    return Expected("broken", 200, code, is_exact)


@dataclass(frozen=True)
class Kind:
    """One kind of fault. None for `whole` or `stream`: it makes no sense there."""

    name: str
    group: str
    play: Play
    whole: Expected | None
    stream: Expected | None
    embeds: bool
    """Whether it is played to embeddings, too."""
    door: str
    is_seen: bool
    """Whether the provider gets to read the request."""
    only: str
    """The one format of a provider that can fail so; empty: any."""


KINDS: dict[str, Kind] = {}


def kind(
    name: str,
    group: str,
    *,
    whole: Expected | None = None,
    stream: Expected | None = None,
    both: Expected | None = None,
    embeds: bool | None = None,
    door: str = "main",
    is_seen: bool = True,
    only: str = "",
) -> Callable[[Play], Play]:
    """Add a kind to the table. `both` is for whole answers and streams; embeddings get what whole answers get."""
    whole, stream = whole or both, stream or both

    def add(play: Play) -> Play:
        if name in KINDS:
            raise ValueError(name)
        wanted = whole is not None and not only if embeds is None else embeds
        KINDS[name] = Kind(name, group, play, whole, stream, wanted, door, is_seen, only)
        return play

    return add


async def speak(x: Exchange, count: int | None = None) -> None:
    """The beginning of a good stream: head, opening, tokens (all, or so many)."""
    x.head(kind="text/event-stream; charset=utf-8")
    x.payload(x.words.opening())
    for text in x.tokens[:count]:
        await x.token(text)


def conclude(x: Exchange) -> None:
    """The end of a good stream."""
    x.finish()
    x.usage()
    x.terminal()
    x.end()


async def good(x: Exchange, *, framing: str = "", more: tuple[tuple[str, str], ...] = (), version: str = "1.1") -> None:
    """A good answer."""
    if not x.streams:
        body = x.whole()
        x.head(framing=framing or str(len(body)), more=more, version=version)
        x.payload(body)
        x.said_whole()
        x.end()
        return
    x.head(kind="text/event-stream; charset=utf-8", framing=framing or "chunked", more=more, version=version)
    x.payload(x.words.opening())
    for text in x.tokens:
        await x.token(text)
    conclude(x)


def answer_with(x: Exchange, status: int, body: bytes, kind: str | None, *more: tuple[str, str]) -> None:
    """A whole answer that is none."""
    x.head(status, kind, framing=str(len(body)), more=more)
    x.payload(body)


def answer_error(x: Exchange, status: int, *more: tuple[str, str], code: str | None = None) -> None:
    """An error status with the provider's own words."""
    body = x.words.error_body(status, code)
    answer_with(x, status, body, "application/json", *x.error_kind(status), *more)
    x.said(error=body.decode())

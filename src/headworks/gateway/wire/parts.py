"""What comes out of the pipeline: bytes that are relayed, neutral events to be written, or a whole answer at once."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from headworks.formats import neutral
from headworks.formats.neutral import Answer, Stopped
from headworks.gateway.wire.headers import Headers
from headworks.types.models import Usage
from headworks.types.retrieval import Citation, Groundedness


class Whole(msgspec.Struct, frozen=True):
    """An answer that is there at once: the provider's headers that go on, and its bytes, or what it says."""

    headers: Headers
    body: bytes = b""
    answer: Answer | None = None


class Direct(msgspec.Struct):
    """The short way of a stream's bytes to the caller, past all who wait for its next event.

    `write` sends a piece now, or returns False, having done nothing. From `until` on (of time.monotonic) pieces go the
    long way, where it is checked whether the stream may go on.
    """

    write: Callable[[bytes], bool] | None = None
    until: float = 0.0


class Head(msgspec.Struct, frozen=True, gc=False):
    """The first event of all others: an attempt has answered. `headers` are the provider's that go on to the caller."""

    headers: Headers = ()
    direct: Direct | None = None
    """For who can write without waiting."""


class Relayed(msgspec.Struct, frozen=True, gc=False):
    """Bytes for the caller as they are; `is_last`: nothing follows, so it is sent once the record is written."""

    data: bytes
    is_last: bool = False


class Told(msgspec.Struct, frozen=True, gc=False):
    """What came together in another format, in neutral words: written together for the caller."""

    events: list[neutral.Event]


Event = Head | Relayed | Told | neutral.Event


# What a feature's answer is made of, before it is told in neutral words.


class Text(msgspec.Struct, frozen=True, gc=False):
    """A piece of text."""

    text: str


class Quoted(msgspec.Struct, frozen=True, gc=False):
    """A quote that was verified; it belongs to text that was given before."""

    citation: Citation


class Finished(msgspec.Struct, frozen=True):
    """The end, as the provider gave it: the reason is never invented.

    `groundedness` is that of an answer with documents behind it.
    """

    stopped: Stopped
    usage: Usage
    groundedness: Groundedness | None = None


Part = Text | Quoted | Finished

"""What each wire format can do: the same five things, one package per format with a `format.py` that gathers them.

    requests.py   a request: read into neutral words, written from them
    answers.py    a whole answer: judged as bytes, read, written; and errors
    streams.py    a stream: watched as bytes, read, written

A format that is only spoken to providers (gemini, converse) writes requests and reads answers. One that is only heard
from callers reads requests and writes answers. `chat`, `responses` and `messages` do both.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Protocol

import msgspec

from headworks.errors import HeadworksError
from headworks.formats.neutral import Answer, Event, Failed, FormatName, Request
from headworks.types.models import Usage


class Written(msgspec.Struct):
    """A request in another format. `left_out` names hints of the caller's that the format has no word for."""

    body: bytes
    left_out: tuple[str, ...] = ()


class Verdict(msgspec.Struct):
    """What a whole answer is: an answer, an error in the format's shape, or nothing that the format knows."""

    kind: str
    usage: Usage | None = None


class Watch(Protocol):
    """One stream in its own format, looked at while its bytes go by: nothing is parsed that says nothing.

    `see` takes whole events and gives the bytes for the caller, which are the same but for what only we asked for.
    """

    has_begun: bool
    """Something of the answer was said: from here on no other target may take over."""
    is_finished: bool
    """The answer has a finish of its own: it is not cut off."""
    is_terminal: bool
    """The last event of the protocol is there: nothing follows."""
    has_failed: bool
    """The provider has reported an error inside the stream."""
    usage: Usage | None
    heard: int
    """Pieces of output seen, to estimate tokens by when no usage comes."""

    @property
    def ending(self) -> bytes:
        """What ends the protocol for a finished answer whose provider leaves its stream open; empty: nothing may."""
        ...

    def see(self, events: bytes) -> bytes:
        """Whole events in, the bytes for the caller out."""
        ...


class Reader(Protocol):
    """A provider's stream as neutral events. Bytes may be cut anywhere."""

    def feed(self, data: bytes) -> Sequence[Event]:
        """The events that are complete now. Raises UpstreamError for what is no event of the format."""
        ...

    def end(self) -> Sequence[Event]:
        """The connection has ended in order. Raises UpstreamTruncated if the answer has not."""
        ...

    @property
    def lacks_only_its_count(self) -> bool:
        """Whether all of the answer was said, and its end is held back for a count that may still come."""
        ...


class Writer(Protocol):
    """Neutral events as the caller's stream."""

    def write(self, event: Event) -> bytes:
        """The bytes of one event, perhaps none. Raises Unmapped for what the format can't say."""
        ...

    def end(self) -> bytes:
        """What follows the last event: the terminal event of the protocol. Only after a `Stopped`."""
        ...

    def fail(self, error: HeadworksError) -> bytes:
        """An error as the last event of a stream that has begun; never followed by a normal end."""
        ...


class Heard(Protocol):
    """A format that callers speak to us."""

    name: FormatName

    def read_request(self, body: bytes) -> Request:
        """Raises InvalidRequest that names the field."""
        ...

    def write_answer(self, answer: Answer, request: Request | None = None) -> bytes:
        """The JSON form; some formats repeat parts of the request in it. Raises Unmapped."""
        ...

    def writer(self, request: Request) -> Writer:
        """For the stream that answers this request."""
        ...

    def error_body(self, error: HeadworksError | Failed) -> bytes:
        """An error as the format's JSON body."""
        ...


class Spoken(Protocol):
    """A format that providers understand."""

    name: FormatName

    def write_request(self, request: Request) -> Written:
        """Raises Unmapped that names what can't be said."""
        ...

    def read_answer(self, body: bytes) -> Answer:
        """Raises UpstreamError for what is no answer of the format."""
        ...

    def reader(self) -> Reader:
        """For one stream."""
        ...

    def read_error(self, status: int, body: bytes) -> Failed | None:
        """An error body in the format's shape, None for anything else."""
        ...


class Called(NamedTuple):
    """A call of a tool with its arguments as the model wrote them."""

    name: str
    arguments: str


class Calls(Protocol):
    """The calls of tools in one stream, gathered while its bytes go by."""

    def see(self, events: bytes) -> list[Called]:
        """Whole events in; all calls, once the answer has an end after which they are taken for whole."""
        ...


class Calling(Protocol):
    """How a format tells calls of tools, for who looks at bytes. What has a shape that we don't know tells none."""

    mark: bytes
    """What stands in a whole answer, and in a stream no later than where its first call begins, if there is one."""

    def in_answer(self, body: bytes) -> list[Called]:
        """Those of a whole answer, if it does not say itself that it was cut off."""
        ...

    def in_stream(self) -> Calls:
        """For one stream."""
        ...


class Native(Protocol):
    """A format that a caller and a provider may share: bytes go through as they are."""

    name: FormatName
    calling: Calling | None
    """None: it has no tools."""

    def judge(self, body: bytes) -> Verdict:
        """What a whole answer is, without reading more than that. Raises msgspec.DecodeError."""
        ...

    def watch(self, *, strips_usage: bool = False) -> Watch:
        """For one stream; `strips_usage`: only we asked for usage, so the caller does not see it."""
        ...

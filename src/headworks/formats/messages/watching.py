"""A stream in Messages, looked at while its bytes go by: its start, its counts and its end."""

from __future__ import annotations

import re

import msgspec

from headworks.formats import sse
from headworks.formats.messages.usage import UsageObject
from headworks.types.models import Usage

_NAMED = re.compile(rb"(?:^|[\r\n])event: ?(message_start|message_delta|message_stop|error)[ \t]*(?=[\r\n])")
_DELTA = b'"content_block_delta"'
_EMPTY = re.compile(rb'"(?:text|thinking|partial_json)" ?: ?""')


class _Message(msgspec.Struct, gc=False):
    usage: UsageObject | None = None


class _Delta(msgspec.Struct, gc=False):
    stop_reason: str | None = None


class _Event(msgspec.Struct, gc=False):
    message: _Message | None = None
    delta: _Delta | None = None
    usage: UsageObject | None = None


class _Block(msgspec.Struct, gc=False):
    type: str = ""


class _Opening(msgspec.Struct, gc=False):
    content_block: _Block | None = None


_event = msgspec.json.Decoder(_Event).decode
_opening = msgspec.json.Decoder(_Opening).decode


class MessagesWatch:
    """See contract.Watch. Clients read an event by the name in its `event` line, and so does this."""

    ending = b'event: message_stop\ndata: {"type":"message_stop"}\n\n'

    __slots__ = ("_counts", "has_begun", "has_failed", "heard", "is_finished", "is_terminal", "usage")

    def __init__(self) -> None:
        self.has_begun = False
        self.is_finished = False
        self.is_terminal = False
        self.has_failed = False
        self.heard = 0
        self.usage: Usage | None = None
        self._counts: UsageObject | None = None

    def see(self, events: bytes) -> bytes:
        """See contract.Watch: the bytes are never changed, since usage is always the caller's."""
        if not self.has_begun:
            self.has_begun = _begins(events)
        self.heard += events.count(_DELTA)
        if b"message_" in events or b"error" in events:
            self._look(events)
        return events

    def _look(self, events: bytes) -> None:
        if _NAMED.search(events) is None:
            return  # the words stood in some text
        for event in sse.split(events):
            found = _NAMED.search(event)
            if found is None:
                continue
            match found[1]:
                case b"message_stop":
                    self.is_terminal = True
                case b"error":
                    self.has_failed = True
                case name:
                    self._count(sse.data_of(event), is_first=name == b"message_start")

    def _count(self, data: bytes, *, is_first: bool) -> None:
        try:
            told = _event(data)
        except (msgspec.DecodeError, UnicodeDecodeError):
            return  # of a shape that we don't know: not ours to judge
        if told.delta is not None and told.delta.stop_reason is not None:
            self.is_finished = True
        counts = told.message.usage if told.message is not None else told.usage
        if counts is not None:
            self._counts = counts if self._counts is None else self._counts.merged(counts)
            # The first count is made before there is any output.
            self.usage = msgspec.structs.replace(self._counts.as_usage(), is_estimated=is_first)


def _begins(events: bytes) -> bool:
    """Whether something of the answer is in these events: output, the opening of anything but text, or its end."""
    if b"content_block_" not in events and b"message_delta" not in events:
        return False
    return any(map(_says, sse.split(events)))


def _says(event: bytes) -> bool:
    kind = sse.name_of(event).strip()
    if kind == b"content_block_delta":
        return _EMPTY.search(event) is None
    if kind == b"message_delta":
        return True
    if kind != b"content_block_start":
        return False
    try:
        block = _opening(sse.data_of(event)).content_block
    except (msgspec.DecodeError, UnicodeDecodeError):
        return True
    return block is not None and block.type not in {"text", "thinking"}

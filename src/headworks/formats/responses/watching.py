"""A stream of Responses looked at while its bytes go by.

The name of an event stands at the start of a line, where no text of a model can stand: JSON has no raw line ends. So a
search in the bytes tells what kind of events are there, and only the first and the last are read.
"""

from __future__ import annotations

import re

import msgspec

from headworks.formats.responses.members import UNREADABLE, members_of
from headworks.formats.responses.usage import read_usage
from headworks.formats.sse import data_of, split
from headworks.types.models import Usage

_NAME = re.compile(rb'(?:^|\r)(?:event:[ ]?|data:[ ]?\{[ ]?"type":[ ]?")([a-z_.]+)', re.MULTILINE)
_LAST = re.compile(
    rb'(?:^|\r)(?:event:[ ]?|data:[ ]?\{[ ]?"type":[ ]?")(response\.(?:completed|incomplete|failed)|error)\b',
    re.MULTILINE,
)
_NAMED = (b"event:", b'data: {"type":', b'data:{"type":')
_USUAL = b"event: response.output_text.delta\n"
_DELTA = b'.delta"'
_START_UP = frozenset(
    {
        b"response.created",
        b"response.queued",
        b"response.in_progress",
        b"response.content_part.added",
        b"response.reasoning_summary_part.added",
        b"keepalive",
        b"ping",
    }
)
_ADDED = b"response.output_item.added"
_EMPTY_ITEMS = frozenset(("message", "reasoning"))
_ENDS = frozenset((b"response.completed", b"response.incomplete"))
_FAILURES = frozenset((b"response.failed", b"error"))


class _Response(msgspec.Struct, gc=False):
    id: str | None = None
    usage: msgspec.Raw = msgspec.Raw()
    service_tier: msgspec.Raw = msgspec.Raw()


class _Event(msgspec.Struct, gc=False):
    type: str = ""
    response: _Response | None = None


class _Item(msgspec.Struct, frozen=True, gc=False):
    type: str = ""


class _Added(msgspec.Struct, gc=False):
    item: _Item = _Item()


_event = msgspec.json.Decoder(_Event).decode
_added = msgspec.json.Decoder(_Added).decode
_type = msgspec.json.Decoder(str).decode


class ResponsesWatch:
    """One stream. See `formats.contract.Watch`. `response_id` is known from the first event on."""

    ending = b""
    """What says that an answer has finished is the end of the protocol, too."""

    def __init__(self) -> None:
        self.has_begun = False
        self.is_finished = False
        self.is_terminal = False
        self.has_failed = False
        self.usage: Usage | None = None
        self.heard = 0
        self.response_id: str | None = None
        self._is_named = True

    def see(self, events: bytes) -> bytes:
        """Whole events in, the same out, but for what follows a failure: an end there would be taken for good."""
        if self.has_failed:
            return b""
        if self.has_begun and events.startswith(_USUAL) and events.find(b"\n\n") == len(events) - 2:
            self.heard += 1  # one piece of text: nearly all events are
            return events
        if not self.has_begun or not self._is_named or not events.startswith(_NAMED):
            self._look_closely(events)
        elif _LAST.search(events) is not None:
            self._read_each(events)
        self.heard += events.count(_DELTA)
        return _to_failure(events) if self.has_failed else events

    def _look_closely(self, events: bytes) -> None:
        for event in split(events):
            found = _NAME.search(event)
            name = found[1] if found is not None else _name_in(event)
            if found is None and name:
                self._is_named = False  # a provider with a layout of its own: each event has to be read
            self._note(name, event)

    def _read_each(self, events: bytes) -> None:
        for event in split(events):
            found = _LAST.search(event)
            if found is not None:
                self._note(found[1], event)

    def _note(self, name: bytes, event: bytes) -> None:
        if name in _ENDS or name in _FAILURES:
            self.is_terminal = True
            self.is_finished = self.is_finished or name in _ENDS
            self.has_failed = self.has_failed or name in _FAILURES
            self.has_begun = self.has_begun or name in _ENDS
            self._read(event)
        elif not name or name in _START_UP:
            if self.response_id is None and name:
                self._read(event)
        elif name != _ADDED or _says_something(event):
            self.has_begun = True

    def _read(self, event: bytes) -> None:
        """The response's id, and its count if it has one."""
        try:
            response = _event(data_of(event)).response
        except UNREADABLE:
            return
        if response is not None:
            self.response_id = response.id or self.response_id
            self.usage = read_usage(response.usage, response.service_tier) or self.usage


def _to_failure(events: bytes) -> bytes:
    """The events up to the one that reports the failure."""
    kept: list[bytes] = []
    for event in split(events):
        kept.append(event)
        found = _NAME.search(event)
        if (found[1] if found is not None else _name_in(event)) in _FAILURES:
            break
    return b"".join(kept)


def _name_in(event: bytes) -> bytes:
    """The type of an event that is neither named nor has its type first; empty for a comment."""
    try:
        members = members_of(data_of(event))
        return _type(members["type"]).encode()
    except (KeyError, *UNREADABLE):
        return b""


def _says_something(added: bytes) -> bool:
    """Whether an item that has begun is more than an empty place: a call has a name, a search costs."""
    try:
        return _added(data_of(added)).item.type not in _EMPTY_ITEMS
    except UNREADABLE:
        return True

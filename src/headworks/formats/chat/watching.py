"""A stream in its own format, looked at while its bytes go by.

Bytes are relayed, not parsed: a pattern with unescaped quotation marks can't occur inside a JSON string, so a search in
the bytes is enough to know whether an event is worth a closer look.
"""

from __future__ import annotations

import re

import msgspec

from headworks.formats.chat.errors import is_error
from headworks.formats.chat.usage import in_tier, usage_in
from headworks.formats.sse import around, data_of, payloads, split
from headworks.types.models import Usage

_FINISHED = re.compile(rb'"finish_reason"\s*:\s*"')
_DONE = re.compile(rb"(?:\A|[\r\n])data: ?\[DONE\]")
_TAIL = 64
"""Bytes in which the terminal event must stand: nothing comes after it but perhaps a comment."""
_ANY_USAGE = re.compile(rb'"usage"')
_COUNT = re.compile(rb'"usage"(?!\s*:\s*null)')
"""Usage that is not null."""
_NULL_USAGE = re.compile(
    rb',\s*"usage"\s*:\s*null|(?P<head>(?:\A|[\r\n])data:\s*\{)\s*"usage"\s*:\s*null(?=\s*[,}])(?:\s*,)?\s*'
)
"""With the comma before it; as the first member, with the one behind it."""
_EMPTY = frozenset((b"null", b'""', b"[]", b"{}"))


class _Choice(msgspec.Struct, gc=False):
    """One choice of a chunk, of either format: Completions has a `text` where Chat has a `delta`."""

    index: msgspec.Raw = msgspec.Raw(b"0")
    delta: dict[str, msgspec.Raw] | None = None
    text: msgspec.Raw = msgspec.Raw(b'""')
    finish_reason: msgspec.Raw = msgspec.Raw(b"null")


class _Chunk(msgspec.Struct, gc=False):
    choices: list[_Choice] | None = None
    usage: msgspec.Raw = msgspec.Raw()
    error: msgspec.Raw = msgspec.Raw()


class _Outline(msgspec.Struct, gc=False):
    """A chunk of which only these matter."""

    choices: msgspec.Raw = msgspec.Raw()
    usage: msgspec.Raw = msgspec.Raw()
    error: msgspec.Raw = msgspec.Raw()
    service_tier: msgspec.Raw = msgspec.Raw()


_chunk = msgspec.json.Decoder(_Chunk).decode
_outline = msgspec.json.Decoder(_Outline).decode


class ChatWatch:
    """See contract.Watch. Before anything is said each event is read; afterwards only what counts, fails or ends.

    `error` is the JSON of the first event that reports an error. A stream that is terminal and has not begun is empty.
    """

    ending = b"data: [DONE]\n\n"

    __slots__ = (
        "_strips",
        "error",
        "has_begun",
        "has_failed",
        "heard",
        "is_finished",
        "is_terminal",
        "usage",
    )

    def __init__(self, *, strips_usage: bool = False) -> None:
        self._strips = strips_usage
        self.has_begun = False
        self.is_finished = False
        self.is_terminal = False
        self.has_failed = False
        self.usage: Usage | None = None
        self.heard = 0
        self.error = b""

    def of_several(self, choices: int | None) -> SeveralWatch:
        """The same for a stream of so many answers; None: nobody knows of how many."""
        return SeveralWatch(choices, strips_usage=self._strips)

    def see(self, events: bytes) -> bytes:
        """Whole events in, the bytes for the caller out.

        Raises msgspec.DecodeError for what is not JSON, as long as nothing has been said.
        """
        if not self.has_begun:
            self._start(events)
        self.heard += events.count(b"data:") if self.has_begun else 0
        # `find`, because `in` takes longer than all of the search.
        at = events.find(b'"usage"')
        if at >= 0 and (self._strips or _COUNT.search(events, at) is not None):
            events = self._count(events)
        if events.find(b'"error"') >= 0 and not self.has_failed:
            self._look_for_error(events)
        if not self.is_finished and (at := events.find(b'"finish_reason"')) >= 0:
            self.is_finished = _FINISHED.search(events, at) is not None
        if events.find(b"[DONE]", -_TAIL) >= 0 and _DONE.search(events[-_TAIL:]) is not None:
            self.is_terminal = True
        return events

    def _start(self, events: bytes) -> None:
        for data in filter(None, map(data_of, split(events))):
            if data == b"[DONE]":
                return
            try:
                chunk = _chunk(data)
            except msgspec.ValidationError:
                self.has_begun = True  # JSON of a shape that we don't know: not ours to judge
                return
            if is_error(chunk.error):
                return
            if _says_something(chunk):
                self.has_begun = True
                return

    def _count(self, events: bytes) -> bytes:
        """Usage is read and, where only we asked for it, taken out; `null` in the usual layouts costs no reading."""
        if self._strips:
            events = events.replace(b',"usage":null', b"").replace(b', "usage": null', b"")
        told = _ANY_USAGE if self._strips else _COUNT
        if told.search(events) is None:
            return events
        parts: list[bytes] = []
        at = 0
        for start, end in around(told, events):
            parts += (events[at:start], self._count_one(events[start:end]))
            at = end
        return b"".join((*parts, events[at:]))

    def _count_one(self, event: bytes) -> bytes:
        try:
            chunk = _outline(data_of(event))
        except msgspec.DecodeError:
            return event
        usage = usage_in(chunk.usage)
        if usage is None:
            return _NULL_USAGE.sub(rb"\g<head>", event, count=1) if self._strips else event
        self.usage = in_tier(usage, chunk.service_tier)
        return b"" if self._strips and _is_empty(chunk.choices) else event

    def _look_for_error(self, events: bytes) -> None:
        for event in split(events):
            if b'"error"' in event:
                data = data_of(event)
                try:
                    chunk = _outline(data)
                except msgspec.DecodeError:
                    continue
                if is_error(chunk.error):
                    self.has_failed, self.error = True, data
                    return


class SeveralWatch(ChatWatch):
    """A stream that tells several answers at once: finished when each that has begun has its own finish.

    Each event is read for that: these streams are few.
    """

    __slots__ = ("_begun", "_choices", "_ended")

    def __init__(self, choices: int | None, *, strips_usage: bool = False) -> None:
        super().__init__(strips_usage=strips_usage)
        self._choices = choices
        self._begun: set[bytes] = set()
        self._ended: set[bytes] = set()

    @property
    def ending(self) -> bytes:  # type: ignore[override]  # a constant where there is one answer
        """See contract.Watch: only once as many have ended as there have to be."""
        is_whole = self._choices is not None and len(self._ended) >= self._choices
        return ChatWatch.ending if is_whole else b""

    def see(self, events: bytes) -> bytes:
        """See ChatWatch."""
        seen = super().see(events)
        for data in payloads(events):
            try:
                choices = _chunk(data).choices or ()
            except (msgspec.DecodeError, UnicodeDecodeError):
                continue
            self._begun.update(bytes(choice.index) for choice in choices)
            self._ended.update(bytes(choice.index) for choice in choices if bytes(choice.finish_reason)[:1] == b'"')
        self.is_finished = bool(self._begun) and self._begun <= self._ended
        return seen


def _says_something(chunk: _Chunk) -> bool:
    """Whether this is output: text, a call, an end or a count; a role alone or a filter's frame is not."""
    for choice in chunk.choices or ():
        if bytes(choice.finish_reason) != b"null" or bytes(choice.text) not in _EMPTY:
            return True
        delta = choice.delta or {}
        if any(bytes(value) not in _EMPTY for name, value in delta.items() if name != "role"):
            return True
    return not chunk.choices and usage_in(chunk.usage) is not None


def _is_empty(choices: msgspec.Raw) -> bool:
    return bytes(choices).strip(b"[] \t\r\n") in {b"", b"null"}

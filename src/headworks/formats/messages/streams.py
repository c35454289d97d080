"""Neutral events as a stream in Messages: its start, blocks one after another, its last counts, its end."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec

from headworks.errors import HeadworksError, UpstreamError, UpstreamTruncated
from headworks.formats.answers import merged
from headworks.formats.messages import thoughts
from headworks.formats.messages.answers import message_head, write_usage
from headworks.formats.messages.citations import write_citation
from headworks.formats.messages.errors import error_body
from headworks.formats.messages.objects import Members
from headworks.formats.messages.reading import BESIDE
from headworks.formats.messages.saying import say
from headworks.formats.messages.stops import stop_members
from headworks.formats.neutral import (
    Aside,
    Cited,
    Closed,
    Counted,
    Event,
    Ext,
    Failed,
    Grown,
    OpaqueBlock,
    Opened,
    Signed,
    Started,
    Stopped,
    TextBlock,
    ThinkingBlock,
    ToolCallBlock,
)
from headworks.types.models import Usage

BlockEvent = Opened | Grown | Signed | Cited | Closed

_encode = msgspec.json.Encoder().encode
_DELTA = b'event: content_block_delta\ndata: {"type":"content_block_delta","index":%d,"delta":%b}\n\n'
_TEXT = _DELTA.replace(b"%b", b'{"type":"text_delta","text":%b}')
_STOP = b'event: content_block_stop\ndata: {"type":"content_block_stop","index":%d}\n\n'
_TERMINAL = b'event: message_stop\ndata: {"type":"message_stop"}\n\n'
_GROWTH = {
    TextBlock: b'{"type":"text_delta","text":%b}',
    ToolCallBlock: b'{"type":"input_json_delta","partial_json":%b}',
    ThinkingBlock: b'{"type":"thinking_delta","thinking":%b}',
}


class MessagesWriter:
    """See contract.Writer.

    The start waits for what follows it, because it holds the first counts; the stop waits for the last ones. A block
    that opens while another one is open waits until that one is closed: clients read them one after another.
    """

    __slots__ = (
        "_current",
        "_end",
        "_has_begun",
        "_is_own",
        "_is_refused",
        "_note",
        "_number",
        "_started",
        "_thought",
        "_told",
        "_usage",
        "_usage_ext",
        "_waiting",
    )

    def __init__(self) -> None:
        self._started = Started()
        self._end: dict[str, object] | None = None
        self._note: msgspec.Raw | None = None
        self._usage, self._usage_ext = Usage(), Ext()
        self._has_begun = self._is_own = self._is_refused = False
        self._current: Opened | None = None
        self._number = -1
        self._thought: _Thought | None = None
        self._told: dict[int, int] = {}
        self._waiting: dict[int, list[BlockEvent]] = {}

    def write(self, event: Event) -> bytes:
        """See contract.Writer."""
        if type(event) is Grown:
            current = self._current
            if current is not None and current.index == event.index and type(current.block) is TextBlock:
                return _TEXT % (self._number, _encode(event.text))  # as most are
        match event:
            case Grown() | Opened() | Closed() | Cited() | Signed():
                return self._begin() + b"".join(self._block(event))
            case Started():
                self._started, self._is_own = event, event.origin == "messages"
            case Counted():
                self._usage = merged(self._usage, event.usage)
                self._usage_ext = {**self._usage_ext, **event.ext}
            case Stopped():
                self._note = event.note
                self._end = stop_members(event, is_own=self._is_own, is_refused=self._is_refused)
                return self._begin()
            case Failed():
                return _event(b"error", error_body(event))
            case Aside() if event.origin == "messages":
                return self._begin() + _event(event.kind.encode(), bytes(event.raw))
        return b""

    def end(self) -> bytes:
        """See contract.Writer."""
        if self._end is None:
            raise UpstreamTruncated("The answer has no end.", next_step="What came is not the whole; ask again.")
        delta = dict(self._end)
        beside = {name[len(BESIDE) :]: delta.pop(name) for name in list(delta) if name.startswith(BESIDE)}
        if delta.pop("~absent", None) is not None:
            del delta["stop_sequence"]
        usage = write_usage(self._usage, self._usage_ext, is_own=self._is_own)
        body = {"type": "message_delta", "delta": delta, **beside, "usage": usage}
        if self._note is not None:
            body["headworks"] = self._note
        return self._begin() + b"".join(self._close_all()) + _event(b"message_delta", _encode(body)) + _TERMINAL

    def fail(self, error: HeadworksError) -> bytes:
        """See contract.Writer."""
        return _event(b"error", error_body(error))

    def _begin(self) -> bytes:
        if self._has_begun:
            return b""
        self._has_begun = True
        message: dict[str, Any] = {
            **message_head(self._started),
            "content": [],
            "stop_reason": None,
            "stop_sequence": None,
            "usage": write_usage(self._usage, self._usage_ext, is_own=self._is_own),
        }
        if self._is_own:
            message |= self._started.ext
        self._usage_ext = {}  # said; the end says what came later
        return _event(b"message_start", _encode({"type": "message_start", "message": message}))

    def _block(self, event: BlockEvent) -> Iterator[bytes]:
        if event.index in self._told:
            yield self._late(event)
            return
        if self._current is not None and event.index != self._current.index:
            self._waiting.setdefault(event.index, []).append(event)
            return
        yield from self._say(event)
        while self._current is None and self._waiting:
            for later in self._waiting.pop(next(iter(self._waiting))):
                yield from self._say(later)

    def _close_all(self) -> Iterator[bytes]:
        while self._current is not None:
            yield from self._block(Closed(self._current.index))

    def _say(self, event: BlockEvent) -> Iterator[bytes]:
        match event:
            case Opened():
                self._current = event
                self._number += 1
                yield from self._open(event)
            case Grown():
                yield self._grow(event)
            case Cited():
                yield self._cite(event, self._number)
            case Signed():
                yield self._sign(event.signature)
            case Closed():
                if self._thought is not None and (signature := self._thought.signature()):
                    yield self._signed(signature)
                self._told[event.index] = self._number
                self._current = self._thought = None
                yield _STOP % self._number

    def _open(self, event: Opened) -> Iterator[bytes]:
        block = event.block
        match block:
            case TextBlock():
                self._is_refused = self._is_refused or block.is_refusal
                yield self._start(say(msgspec.structs.replace(block, text="", citations=()), is_own=self._is_own))
                if block.text:
                    yield self._grow(Grown(event.index, block.text))
                for citation in block.citations:
                    yield from self._say(Cited(event.index, citation))
            case ToolCallBlock():
                yield self._start(say(msgspec.structs.replace(block, arguments=b""), is_own=self._is_own))
                if block.arguments:
                    yield self._grow(Grown(event.index, block.arguments.decode()))
            case ThinkingBlock() if block.origin != "messages":
                self._thought = _Thought(block)
                yield self._start({"type": "thinking", "thinking": "", "signature": ""})
                if block.text or block.summary:
                    yield self._grow(Grown(event.index, block.text or "\n\n".join(block.summary)))
            case OpaqueBlock() if block.origin == "messages":
                yield from self._open_whole(block)
            case _:
                yield self._start(say(block, is_own=self._is_own))

    def _open_whole(self, block: OpaqueBlock) -> Iterator[bytes]:
        members = Members(block.raw).rest
        given = members.get("input")
        if given is None or bytes(given) == b"{}":
            yield self._start(block.raw)
            return
        yield self._start({**members, "input": {}})
        yield self._delta(_GROWTH[ToolCallBlock] % _encode(bytes(given).decode()))

    def _grow(self, event: Grown) -> bytes:
        opened = self._current
        if opened is None or type(opened.block) not in _GROWTH:
            return b""
        text = event.text if self._thought is None else self._thought.grown(event)
        return self._delta(_GROWTH[type(opened.block)] % _encode(text))

    def _cite(self, event: Cited, number: int) -> bytes:
        citation = write_citation(event.citation, is_own=self._is_own)
        return _DELTA % (number, _encode({"type": "citations_delta", "citation": citation}))

    def _late(self, event: BlockEvent) -> bytes:
        """What comes after the end of its block: some formats cite last, and clients go by the number of the block."""
        if isinstance(event, Cited):
            return self._cite(event, self._told[event.index])
        raise UpstreamError("The provider's stream goes on with a part of the answer that it had ended.")

    def _sign(self, signature: str) -> bytes:
        if self._thought is not None:
            self._thought.signed = signature  # said at the end, with what else has to come back
            return b""
        return self._signed(signature)

    def _signed(self, signature: str) -> bytes:
        return self._delta(_encode({"type": "signature_delta", "signature": signature}))

    def _start(self, block: object) -> bytes:
        body = {"type": "content_block_start", "index": self._number, "content_block": block}
        return _event(b"content_block_start", _encode(body))

    def _delta(self, delta: bytes) -> bytes:
        return _DELTA % (self._number, delta)


class _Thought:
    """A thought of another format while it is told: its text in one, what its own format needs in the signature."""

    __slots__ = ("_block", "_parts", "signed")

    def __init__(self, block: ThinkingBlock) -> None:
        self._block = block
        self._parts = list(block.summary)
        self.signed = block.signature

    def grown(self, event: Grown) -> str:
        """The text to say: parts of a summary stand apart."""
        if event.part is None:
            return event.text
        is_new = event.part >= len(self._parts)
        self._parts.extend([""] * (event.part + 1 - len(self._parts)))
        self._parts[event.part] += event.text
        return f"\n\n{event.text}" if is_new and event.part else event.text

    def signature(self) -> str:
        """See thoughts.packed."""
        return thoughts.packed(msgspec.structs.replace(self._block, summary=tuple(self._parts)), self.signed)


def _event(name: bytes, data: bytes) -> bytes:
    return b"event: %b\ndata: %b\n\n" % (name, data)

"""Neutral events as a stream of chunks for the caller."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
from msgspec.structs import replace

from headworks.errors import HeadworksError, Unmapped, UpstreamTruncated
from headworks.formats.answers import merged
from headworks.formats.chat.answers import OF_MESSAGE, head, several_calls, speaks_of_functions
from headworks.formats.chat.calls import FUNCTION_CALL
from headworks.formats.chat.citations import write_annotation
from headworks.formats.chat.errors import error_event
from headworks.formats.chat.parts import write_part
from headworks.formats.chat.saying import Saying, put_back
from headworks.formats.chat.thoughts import entry_of, needs_entry
from headworks.formats.chat.usage import write_usage
from headworks.formats.chat.words import write_finish
from headworks.formats.neutral import (
    Aside,
    AudioBlock,
    Block,
    Citation,
    Cited,
    Closed,
    Counted,
    Event,
    Ext,
    Failed,
    Grown,
    ImageBlock,
    Opened,
    Request,
    Signed,
    Started,
    Stopped,
    TextBlock,
    ThinkingBlock,
    ToolCallBlock,
)
from headworks.types.models import Usage

DONE = b"data: [DONE]\n\n"
_encode = msgspec.json.encode
_DELTA = "delta."
_GOES_ON = b',"logprobs":null,"finish_reason":null'


class _Open(msgspec.Struct):
    """A block. `begin`: where its text begins in the message; `number`: of a call; -1: the older form."""

    block: Block
    begin: int = 0
    length: int = 0
    number: int = 0
    part: int | None = None
    texts: list[str] = []


class ChatWriter:
    """See contract.Writer. Citations are held back: they go into the last chunk that has content."""

    def __init__(self, request: Request) -> None:
        self._wants_usage = request.wants_usage
        self._old_calls = speaks_of_functions(request)
        self._started: Started | None = None
        self._saying = Saying(None, is_answer=True)
        self._before = self._after = b""
        self._before_text = self._after_text = b""
        self._blocks: dict[int, _Open] = {}
        self._length = 0
        self._calls = 0
        self._cited: list[tuple[int, Citation]] = []
        self._usage, self._usage_ext = Usage(), Ext()
        self._has_stopped = False
        self._writes: dict[type[Event], Callable[[Any], bytes]] = {
            Grown: self._grow,
            Started: self._start,
            Opened: self._open,
            Closed: self._close,
            Signed: self._sign,
            Cited: self._cite,
            Counted: self._count,
            Stopped: self._stop,
            Failed: error_event,
            Aside: self._aside,
        }

    def write(self, event: Event) -> bytes:
        """See contract.Writer. Raises UpstreamError for an end that is none."""
        return self._writes[type(event)](event)

    def end(self) -> bytes:
        """See contract.Writer."""
        if not self._has_stopped or self._started is None:
            raise UpstreamTruncated("The answer has not come to its end.", next_step="Try again.")
        usage = write_usage(self._usage, self._usage_ext if self._saying.is_own else {}) if self._wants_usage else None
        if usage is None:
            return DONE
        chunk = {**self._head(), "choices": [], "usage": usage}
        return b"data: %b\n\n" % _encode(chunk) + DONE

    def fail(self, error: HeadworksError) -> bytes:
        """See contract.Writer."""
        return error_event(error)

    def _start(self, started: Started) -> bytes:
        self._saying = Saying(started.origin, is_answer=True)
        first = head(started, "chat.completion.chunk")
        self._started = replace(started, id=str(first["id"]), created=first["created"])
        self._before = b'data: %b,"choices":[{"index":0,"delta":' % _encode(self._head())[:-1]
        self._after = b"}]%b}\n\n" % (b',"usage":null' if self._wants_usage else b"")
        self._before_text = self._before + b'{"content":'
        self._after_text = b"}" + _GOES_ON + self._after
        return self._chunk({"role": "assistant", "content": "", "refusal": None})

    def _head(self) -> dict[str, object]:
        started = self._started or Started()
        found = head(started, "chat.completion.chunk")
        if self._saying.is_own:
            put_back(found, started.ext)
        return found

    def _begun(self) -> bytes:
        """The first chunk, where nobody has said that the answer starts."""
        return self._start(Started()) if self._started is None else b""

    def _chunk(self, delta: dict[str, object]) -> bytes:
        return b"%b%b%b%b" % (self._before, _encode(delta), _GOES_ON, self._after)

    def _last_chunk(self, delta: dict[str, object], reason: str | None, ext: Ext) -> bytes:
        rest: dict[str, object] = {"logprobs": None, "finish_reason": reason, **ext}
        return b"%b%b,%b%b" % (self._before, _encode(delta), _encode(rest)[1:-1], self._after)

    def _open(self, event: Opened) -> bytes:
        return self._begun() + self._opening(event)

    def _opening(self, event: Opened) -> bytes:
        block = event.block
        opened = self._blocks[event.index] = _Open(block, begin=self._length)
        match block:
            case TextBlock():
                self._cited += [(event.index, citation) for citation in block.citations]
                return self._say(opened, block.text, None) if block.text else b""
            case ThinkingBlock():
                said = block.text or "\n\n".join(block.summary)
                return self._chunk({"reasoning_content": said}) if said else b""
            case ToolCallBlock():
                return self._call(opened, block)
            case ImageBlock():
                return self._chunk({"images": [write_part(block, self._saying, "content")]})
            case AudioBlock():
                audio: dict[str, object] = {"id": block.source.file_id, "data": block.source.data}
                put_back(audio, block.ext)
                return self._chunk({"audio": {name: value for name, value in audio.items() if value is not None}})
            case _:
                raise _no_word(block)

    def _call(self, opened: _Open, block: ToolCallBlock) -> bytes:
        arguments = block.arguments.decode()
        if self._old_calls or FUNCTION_CALL in block.ext:
            if self._calls:
                raise several_calls()
            self._calls, self._old_calls, opened.number = 1, True, -1
            return self._chunk({"function_call": {"name": block.name, "arguments": arguments}})
        opened.number = self._calls
        self._calls += 1
        kind, text = ("custom", "input") if block.is_custom else ("function", "arguments")
        entry: dict[str, object] = {"index": opened.number, "id": block.id, "type": kind}
        entry[kind] = {"name": block.name, text: arguments}
        if block.signature is not None:
            entry["extra_content"] = {"google": {"thought_signature": block.signature}}
        return self._chunk({"tool_calls": [entry]})

    def _grow(self, event: Grown) -> bytes:
        opened = self._blocks[event.index]
        block = opened.block
        if type(block) is TextBlock and not block.is_refusal:  # as most are
            size = len(event.text)
            opened.length += size
            self._length += size
            return b"%b%b%b" % (self._before_text, _encode(event.text), self._after_text)
        return self._say(opened, event.text, event.part)

    def _say(self, opened: _Open, text: str, part: int | None) -> bytes:
        block = opened.block
        match block:
            case TextBlock(is_refusal=True):
                return self._chunk({"refusal": text})
            case TextBlock():
                opened.length += len(text)
                self._length += len(text)
                return self._chunk({"content": text})
            case ThinkingBlock():
                return self._think(opened, text, part)
            case ToolCallBlock():
                if opened.number < 0:
                    return self._chunk({"function_call": {"arguments": text}})
                entry: dict[str, object] = {"index": opened.number}
                entry |= {"custom": {"input": text}} if block.is_custom else {"function": {"arguments": text}}
                return self._chunk({"tool_calls": [entry]})
            case _:
                raise _no_word(block)

    def _think(self, opened: _Open, text: str, part: int | None) -> bytes:
        """Parts of a summary stand one below the other."""
        gap = "\n\n" if part is not None and opened.part is not None and part != opened.part else ""
        opened.texts.append(gap + text)
        opened.part = part
        return self._chunk({"reasoning_content": gap + text})

    def _sign(self, event: Signed) -> bytes:
        opened, signature = self._blocks[event.index], event.signature
        block = opened.block
        if isinstance(block, ThinkingBlock):
            opened.block = replace(block, signature=signature)
        elif isinstance(block, ToolCallBlock):
            entry = {"index": opened.number, "extra_content": {"google": {"thought_signature": signature}}}
            return self._chunk({"tool_calls": [entry]}) if opened.number >= 0 else b""
        return b""

    def _cite(self, event: Cited) -> bytes:
        self._cited.append((event.index, event.citation))
        return b""

    def _count(self, event: Counted) -> bytes:
        self._usage = merged(self._usage, event.usage)
        self._usage_ext |= event.ext
        return b""

    def _close(self, event: Closed) -> bytes:
        """A thought that must be given back is told whole, with its signature, at its end."""
        opened = self._blocks[event.index]
        block = opened.block
        if not isinstance(block, ThinkingBlock):
            return b""
        text = "".join(opened.texts)
        if opened.part is not None:
            block = replace(block, summary=(*block.summary, *text.split("\n\n")))
        else:
            block = replace(block, text=block.text + text)
        return self._chunk({"thinking_blocks": [entry_of(block)]}) if needs_entry(block) else b""

    def _stop(self, stopped: Stopped) -> bytes:
        word = write_finish(stopped, is_own=self._saying.is_own)
        self._has_stopped = True
        own = stopped.ext if self._saying.is_own else {}
        delta: dict[str, object] = {
            name.removeprefix(OF_MESSAGE): raw for name, raw in own.items() if name.startswith(OF_MESSAGE)
        }
        choice = {name: raw for name, raw in own.items() if not name.startswith((OF_MESSAGE, "~"))}
        if self._old_calls and self._calls and word == "tool_calls":
            word = "function_call"
        said = self._begun() + self._annotations()
        last = self._last_chunk(delta, word, choice)
        if stopped.note is not None:
            last = b'%b,"headworks":%b}\n\n' % (last.removesuffix(b"}\n\n"), bytes(stopped.note))
        return said + last

    def _annotations(self) -> bytes:
        if not self._cited:
            return b""
        found = []
        for index, citation in self._cited:
            opened = self._blocks[index]
            found.append(write_annotation(citation, opened.begin, opened.length))
        return self._chunk({"content": "", "annotations": found})

    def _aside(self, event: Aside) -> bytes:
        """What only this format says goes through; a sign of life becomes a comment."""
        if event.kind == "ping":
            return b": ping\n\n"
        if event.origin != "chat":
            return b""
        if event.kind.startswith(_DELTA):
            return self._begun() + self._chunk({event.kind.removeprefix(_DELTA): event.raw})
        if event.kind.startswith("choice."):
            return self._begun() + self._last_chunk({}, None, {event.kind.removeprefix("choice."): event.raw})
        return b"data: %b\n\n" % bytes(event.raw) if event.kind == "frame" else b""


def _no_word(block: Block) -> Unmapped:
    kind = getattr(block, "kind", type(block).__name__)
    return Unmapped(
        f"The answer has a block of the kind `{kind}`, for which Chat Completions has no word.",
        param="tools",
        next_step="Leave out the tool that makes it, or ask in the provider's own format.",
    )

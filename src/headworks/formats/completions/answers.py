"""Answers in Completions, whole and in chunks: a text and why it stopped, and nothing else."""

from __future__ import annotations

import time
from uuid import uuid4

import msgspec

from headworks.errors import HeadworksError, Unmapped, UpstreamTruncated
from headworks.formats.answers import merged
from headworks.formats.chat.errors import error_event
from headworks.formats.chat.usage import write_usage
from headworks.formats.chat.words import write_finish
from headworks.formats.neutral import (
    Answer,
    Aside,
    Block,
    Cited,
    Counted,
    Event,
    Failed,
    Grown,
    Opened,
    Request,
    Started,
    Stopped,
    TextBlock,
    ThinkingBlock,
    ToolCallBlock,
)
from headworks.types.models import Usage

_encode = msgspec.json.encode
_WORDS = frozenset(("stop", "length", "content_filter"))


def write_answer(answer: Answer) -> bytes:
    """The JSON form. Raises Unmapped for what is no text, UpstreamError for an end that is none."""
    text = "".join(_text_of(block) for block in answer.blocks)
    body = _head(answer.started)
    body["choices"] = [_choice(text, _finish(answer.stopped))]
    body["usage"] = write_usage(answer.usage, {})
    if answer.stopped.note is not None:
        body["headworks"] = answer.stopped.note
    return _encode(body)


class CompletionWriter:
    """See contract.Writer."""

    def __init__(self, request: Request) -> None:
        self._wants_usage = request.wants_usage
        self._head: dict[str, object] | None = None
        self._silent: set[int] = set()
        self._usage = Usage()
        self._has_stopped = False

    def write(self, event: Event) -> bytes:
        """See contract.Writer. Raises UpstreamError for an end that is none."""
        if isinstance(event, Grown):
            return b"" if event.index in self._silent else self._chunk(event.text, None)
        if isinstance(event, Stopped):
            word = _finish(event)
            self._has_stopped = True
            return self._chunk("", word, event.note)
        if isinstance(event, Opened):
            text = _text_of(event.block)
            if isinstance(event.block, ThinkingBlock):
                self._silent.add(event.index)
            return self._chunk(text, None) if text else b""
        if isinstance(event, Failed):
            return error_event(event)
        self._note(event)
        return b": ping\n\n" if isinstance(event, Aside) and event.kind == "ping" else b""

    def end(self) -> bytes:
        """See contract.Writer."""
        if not self._has_stopped:
            raise UpstreamTruncated("The answer has not come to its end.", next_step="Try again.")
        usage = write_usage(self._usage, {}) if self._wants_usage else None
        if usage is None:
            return b"data: [DONE]\n\n"
        return b"data: %b\n\ndata: [DONE]\n\n" % _encode({**(self._head or {}), "choices": [], "usage": usage})

    def fail(self, error: HeadworksError) -> bytes:
        """See contract.Writer."""
        return error_event(error)

    def _note(self, event: Event) -> None:
        if isinstance(event, Started):
            self._head = _head(event)
        elif isinstance(event, Counted):
            self._usage = merged(self._usage, event.usage)
        elif isinstance(event, Cited):
            raise _no_word("citations")

    def _chunk(self, text: str, reason: str | None, note: msgspec.Raw | None = None) -> bytes:
        self._head = head = self._head or _head(Started())
        beside: dict[str, object] = {"usage": None} if self._wants_usage else {}
        if note is not None:
            beside["headworks"] = note
        return b"data: %b\n\n" % _encode({**head, "choices": [_choice(text, reason)], **beside})


def _choice(text: str, reason: str | None) -> dict[str, object]:
    return {"text": text, "index": 0, "logprobs": None, "finish_reason": reason}


def _text_of(block: Block) -> str:
    """Thoughts are not shown: Completions has never shown any."""
    if isinstance(block, ThinkingBlock):
        return ""
    if not isinstance(block, TextBlock):
        raise _no_word("a call of a tool" if isinstance(block, ToolCallBlock) else "something that is no text")
    if block.citations:
        raise _no_word("citations")
    return block.text


def _finish(stopped: Stopped) -> str:
    word = write_finish(stopped, is_own=False)
    if word not in _WORDS:
        raise _no_word("calls of tools")
    return word


def _no_word(what: str) -> Unmapped:
    return Unmapped(
        f"The answer has {what}, for which Completions has no word.",
        param="model",
        next_step="Ask by Chat Completions.",
    )


def _head(started: Started) -> dict[str, object]:
    created = started.created if started.created is not None else int(time.time())
    made = started.id or f"cmpl-{uuid4().hex}"
    return {"id": made, "object": "text_completion", "created": created, "model": started.model}

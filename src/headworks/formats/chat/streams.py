"""A provider's stream as neutral events, from its `chunks` and `pieces`; `watching` and `writing` have the rest."""

from __future__ import annotations

from base64 import b64decode, b64encode
from binascii import Error as BadBase64
from collections.abc import Sequence

import msgspec
from msgspec.structs import replace

from headworks.errors import UpstreamTruncated
from headworks.formats.chat.answers import one_choice, sequence_in
from headworks.formats.chat.chunks import AudioDelta, Choice, Chunk, Delta, Extras, read_chunk, read_text
from headworks.formats.chat.citations import read_annotation
from headworks.formats.chat.errors import failed, is_error
from headworks.formats.chat.members import NO_RAW, Misread, is_null, starts
from headworks.formats.chat.parts import read_part
from headworks.formats.chat.pieces import CallPieces
from headworks.formats.chat.thoughts import read_entry
from headworks.formats.chat.usage import in_tier, read_usage
from headworks.formats.chat.words import read_finish
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
    Grown,
    Opened,
    Signed,
    Source,
    Started,
    Stopped,
    TextBlock,
    ThinkingBlock,
)
from headworks.formats.sse import Framer, data_of, payloads
from headworks.formats.unmapped import note_bag

_BLOCKS: dict[str, Block] = {
    "text": TextBlock(""),
    "refusal": TextBlock("", is_refusal=True),
    "thinking": ThinkingBlock(origin="chat"),
}
_rows = msgspec.json.Decoder(dict[str, list[msgspec.Raw] | None]).decode


class ChatReader:
    """See contract.Reader. The end of an answer is told once its usage is, or can't come any more."""

    def __init__(self) -> None:
        self._framer = Framer()
        self._events: list[Event] = []
        self._blocks = 0
        self._open: tuple[str, int] | None = None
        self._texts: list[tuple[int, int]] = []
        """Of each text block: its index, and where in the whole text it begins."""
        self._length = 0
        self._has_thought = False
        self._calls = CallPieces(self._allot, self._say)
        self._sound: list[AudioDelta] = []
        self._logprobs: dict[str, list[msgspec.Raw] | None] = {}
        self._has_started = False
        self._counted: msgspec.Raw = NO_RAW
        self._tier: msgspec.Raw = NO_RAW
        self._stopped: Stopped | None = None
        self._is_over = False

    def feed(self, data: bytes) -> Sequence[Event]:
        """See contract.Reader. Raises Unmapped for a stream of several choices."""
        events: list[Event] = []
        self.feed_into(data, events)
        return events

    def feed_into(self, data: bytes, events: list[Event]) -> None:
        """As `feed`, into a list that keeps what comes before something that can't be read."""
        self._events = events
        for said in payloads(self._framer.whole(data)):
            self._take(said)

    def end(self) -> Sequence[Event]:
        """See contract.Reader: an event without an empty line after it is still one, if it can be read."""
        events = self._events = []
        if rest := data_of(self._framer.rest):
            try:
                msgspec.json.decode(rest, type=msgspec.Raw)
            except (msgspec.DecodeError, RecursionError):
                if rest != b"[DONE]" and not self._is_over:
                    raise _truncated() from None
            self._take(rest)
        if not self._is_over:
            self._finish()
        return events

    @property
    def lacks_only_its_count(self) -> bool:
        """See contract.Reader."""
        return self._stopped is not None and not self._is_over

    def _take(self, data: bytes) -> None:
        if self._is_over:
            return
        if self._open is not None and self._open[0] == "text" and (said := read_text(data)) is not None:
            text, tier = said
            if text:
                self._events.append(Grown(self._open[1], text))
                self._length += len(text)
            if tier is not NO_RAW:
                self._note_tier(tier)
            return
        if data == b"[DONE]":
            self._finish()
            return
        try:
            chunk, extras = read_chunk(data)
            self._read(chunk, extras, data)
        except Misread as error:
            raise error.as_answer() from None
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise Misread(f"can't be read: {error}").as_answer() from None

    def _read(self, chunk: Chunk, extras: Extras, data: bytes) -> None:
        if chunk.service_tier is not NO_RAW:
            self._note_tier(chunk.service_tier)
        if is_error(chunk.error):
            self._is_over = True
            self._say(failed(chunk.error, None, data))
            return
        if chunk.choices:
            if len(chunk.choices) > 1 or chunk.choices[0].index:
                raise one_choice()
            self._start(chunk, extras)
            self._choose(chunk.choices[0], extras)
        elif not starts(chunk.usage, b"{"):
            self._say(Aside("chat", "frame", msgspec.Raw(data)))
            return
        self._count(chunk.usage)
        if not chunk.choices and self._stopped is not None:
            self._finish()

    def _note_tier(self, tier: msgspec.Raw) -> None:
        if starts(tier, b'"'):
            self._tier = tier

    def _start(self, chunk: Chunk, extras: Extras) -> None:
        note_bag("chat", extras.chunk)
        if self._has_started:
            for name, raw in extras.chunk.items():
                self._say(Aside("chat", name, raw))
            return
        self._has_started = True
        ext = dict(extras.chunk)
        for name in ("system_fingerprint", "service_tier"):
            if len(raw := getattr(chunk, name)):
                ext[name] = raw
        self._calls.answer_id = chunk.id or ""
        self._say(Started(chunk.id or "", chunk.model or "", chunk.created, ext, "chat"))

    def _choose(self, choice: Choice, extras: Extras) -> None:
        delta = choice.delta
        if delta is not None:
            self._add(delta)
        note_bag("chat", extras.delta, "choices.delta")
        note_bag("chat", extras.choice, "choices")
        for name, raw in extras.delta.items():
            self._say(Aside("chat", f"delta.{name}", raw))
        if not is_null(choice.logprobs):
            self._note_logprobs(choice.logprobs)
        if choice.finish_reason is not None:
            self._stop(choice, extras.choice)
        else:
            for name, raw in extras.choice.items():
                self._say(Aside("chat", f"choice.{name}", raw))

    def _add(self, delta: Delta) -> None:
        thought = delta.reasoning_content or delta.reasoning
        if thought:
            self._has_thought = True
            self._grow("thinking", thought)
        if delta.thinking_blocks:
            self._think(delta.thinking_blocks)
        if delta.content:
            self._grow("text", delta.content)
        if delta.refusal:
            self._grow("refusal", delta.refusal)
        if delta.annotations:
            self._cite(delta.annotations)
        if delta.tool_calls:
            self._close()
            for call in delta.tool_calls:
                self._calls.take(call)
        if delta.function_call is not None:
            self._close()
            self._calls.take_old(delta.function_call)
        if delta.audio is not None:
            self._sound.append(delta.audio)
        for raw in delta.images or ():
            self._whole(read_part(raw))

    def _grow(self, kind: str, text: str) -> None:
        if self._open is None or self._open[0] != kind:
            self._calls.pause()
            self._close()
            index = self._allot()
            self._open = (kind, index)
            self._say(Opened(index, replace(_BLOCKS[kind])))
            if kind == "text":
                self._texts.append((index, self._length))
        self._say(Grown(self._open[1], text))
        if kind == "text":
            self._length += len(text)

    def _think(self, entries: list[msgspec.Raw]) -> None:
        """Entries repeat what `reasoning_content` says, and add what it can't."""
        for raw in entries:
            entry = read_entry(raw)
            if entry.redacted is not None and not entry.text:
                self._whole(entry)
                continue
            if entry.text and not self._has_thought:
                self._grow("thinking", entry.text)
            if entry.signature and self._open is not None and self._open[0] == "thinking":
                self._say(Signed(self._open[1], entry.signature))
                self._close()

    def _cite(self, annotations: list[msgspec.Raw]) -> None:
        if not self._texts:
            self._grow("text", "")
        for raw in annotations:
            citation = read_annotation(raw)
            index, begin = self._text_at(citation)
            if begin and citation.start is not None and citation.end is not None:
                citation = replace(citation, start=citation.start - begin, end=citation.end - begin)
            self._say(Cited(index, citation))

    def _text_at(self, citation: Citation) -> tuple[int, int]:
        """The text block that a citation stands in, and where that begins."""
        found = self._texts[0]
        for each in self._texts:
            if citation.start is not None and each[1] <= citation.start:
                found = each
        return found

    def _whole(self, block: Block) -> None:
        """A block that comes in one piece."""
        self._calls.pause()
        self._close()
        index = self._allot()
        self._say(Opened(index, block))
        self._say(Closed(index))

    def _note_logprobs(self, raw: msgspec.Raw) -> None:
        for name, rows in _rows(raw).items():
            before = self._logprobs.get(name)
            self._logprobs[name] = [*(before or ()), *rows] if rows is not None else before

    def _count(self, raw: msgspec.Raw) -> None:
        if not starts(raw, b"{") or bytes(raw) == bytes(self._counted):
            return
        self._counted = raw
        usage, ext = read_usage(raw)
        note_bag("chat", ext, "usage")
        self._say(Counted(in_tier(usage, self._tier), ext))

    def _stop(self, choice: Choice, extras: Ext) -> None:
        self._close()
        self._calls.finish()
        ext = dict(extras)
        if len(choice.stop_reason):
            ext["stop_reason"] = choice.stop_reason
        if self._logprobs:
            ext["logprobs"] = msgspec.Raw(msgspec.json.encode(self._logprobs))
        word = choice.finish_reason or ""
        self._stopped = Stopped(read_finish(word), word, sequence_in(ext), ext)

    def _finish(self) -> None:
        """Nothing more can come. Raises UpstreamTruncated if there was no reason to stop."""
        if self._stopped is None:
            raise _truncated()
        self._is_over = True
        self._close()
        self._calls.finish()
        if self._sound:  # its last piece, when it expires, comes after the reason
            self._whole(_audio(self._sound))
        self._say(self._stopped)

    def _close(self) -> None:
        if self._open is not None:
            self._say(Closed(self._open[1]))
            self._open = None

    def _allot(self) -> int:
        self._blocks += 1
        return self._blocks - 1

    def _say(self, event: Event) -> None:
        self._events.append(event)


def _audio(pieces: list[AudioDelta]) -> AudioBlock:
    """Sound from its pieces, each of which is base64 by itself. Raises UpstreamError."""
    try:
        data = b"".join(b64decode(piece.data, validate=True) for piece in pieces if piece.data)
    except BadBase64:
        raise Misread("is no base64", ".choices[0].delta.audio.data").as_answer() from None
    ext: Ext = {}
    transcript = "".join(piece.transcript or "" for piece in pieces)
    expires = next((piece.expires_at for piece in pieces if piece.expires_at is not None), None)
    if transcript:
        ext["transcript"] = msgspec.Raw(msgspec.json.encode(transcript))
    if expires is not None:
        ext["expires_at"] = msgspec.Raw(b"%d" % expires)
    made = next((piece.id for piece in pieces if piece.id), None)
    return AudioBlock(Source(data=b64encode(data).decode(), file_id=made), ext=ext)


def _truncated() -> UpstreamTruncated:
    return UpstreamTruncated(
        "The stream ended without a finish reason: the answer is not whole.", next_step="Try again."
    )

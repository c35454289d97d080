"""One answer of Gemini as neutral events: the parts of a stream as they come, or of a whole response at once."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import msgspec

from headworks.errors import UpstreamError, UpstreamTruncated
from headworks.formats import answers, sse
from headworks.formats.gemini.answers import REASONS, Candidate, Chunk, failed, is_said, read_error, usage_of
from headworks.formats.gemini.citing import Source, citation_of
from headworks.formats.gemini.parts import Blocks
from headworks.formats.neutral import Answer, Cited, Counted, Event, Ext, Started, Stopped, StopReason
from headworks.formats.unmapped import Reading, note
from headworks.types.models import Usage

_decode: Reading[Chunk] = Reading("gemini", Chunk, strict=False)
_UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
_BRACKETS = (b"{", b"[")


def read_answer(body: bytes) -> Answer:
    """See contract.Spoken. An error in the place of an answer is no answer."""
    telling = Telling()
    try:
        events = [*telling.read(_decode(body)), *telling.conclude()]
    except _UNREADABLE as error:
        raise _unreadable("answer", error) from None
    answer = answers.collect(events)
    if answer is None:
        raise UpstreamError("The provider answered with an error in the place of an answer.")
    return answer


class Reader:
    """A stream of server-sent events (`alt=sse`); see contract.Reader."""

    __slots__ = ("_framer", "_telling")

    def __init__(self) -> None:
        self._framer = sse.Framer()
        self._telling = Telling()

    def feed(self, data: bytes) -> list[Event]:
        """See contract.Reader."""
        whole = self._framer.whole(data)
        return [found for event in sse.split(whole) for found in self._event(event)] if whole else []

    def end(self) -> list[Event]:
        """See contract.Reader. The last event may lack its empty line."""
        rest = self._framer.rest
        try:
            last = self._event(rest + b"\n\n") if rest.strip() else []
        except UpstreamError:  # cut in its middle, perhaps after an end that was named too early
            raise _truncated("ended inside of an event") from None
        return [*last, *self._telling.conclude()]

    @property
    def lacks_only_its_count(self) -> bool:
        """See contract.Reader: some models say in every chunk that they stop, so nothing but the end is one."""
        return False

    def _event(self, event: bytes) -> list[Event]:
        data = sse.data_of(event)
        if not data:
            return self._bare(event.strip())
        try:
            return list(self._telling.read(_decode(data)))
        except _UNREADABLE as error:
            raise _unreadable("stream", error) from None

    def _bare(self, text: bytes) -> list[Event]:
        """What is no event: a comment, or an error that Google writes into the stream as it is."""
        found = read_error(0, text) if text.startswith(_BRACKETS) else None
        if found is None:
            return []
        self._telling.has_failed = True
        found.status = found.status or None
        return [found]


class Telling:
    """What the chunks of one answer say. The end waits for the stream's own: some models name it in every chunk."""

    __slots__ = ("_blocks", "_cited", "_ext", "_finish", "_id", "_usage", "has_failed")

    def __init__(self) -> None:
        self.has_failed = False
        self._id: str | None = None
        self._blocks = Blocks()
        self._usage: Usage | None = None
        self._finish: tuple[str, StopReason] | None = None
        self._ext: Ext = {}
        self._cited: set[tuple[str | None, int | None]] = set()

    def read(self, chunk: Chunk) -> Iterator[Event]:
        """The events of one chunk. Raises msgspec.DecodeError, UpstreamError."""
        if is_said(chunk.error):
            self.has_failed = True
            yield failed(chunk.error)
            return
        if self._id is None:
            self._id = chunk.response_id or ""
            yield Started(self._id, chunk.model_version or "", origin="gemini")
        if chunk.usage_metadata is not None and (usage := usage_of(chunk.usage_metadata)) != self._usage:
            self._usage = usage
            yield Counted(usage)
        feedback = chunk.prompt_feedback
        if feedback is not None and feedback.block_reason:
            self._end(feedback.block_reason, "content_filter", feedback.block_reason_message)
        for candidate in chunk.candidates or ():
            if not candidate.index:
                yield from self._candidate(candidate, self._id)

    def conclude(self) -> Iterator[Event]:
        """The end. Raises UpstreamTruncated if the model has named none."""
        if self.has_failed:
            return
        if self._finish is None:
            raise _truncated("ended without a finish reason")
        word, reason = self._finish
        if self._blocks.has_open_call:
            reason = "malformed_tool_call"
        elif reason == "stop" and self._blocks.calls:
            reason = "tool_calls"
        yield from self._blocks.close()
        yield Stopped(reason, word, ext=self._ext)

    def _candidate(self, candidate: Candidate, response_id: str) -> Iterator[Event]:
        if candidate.content is not None:
            for raw in candidate.content.parts or ():
                yield from self._blocks.read(raw, response_id)
        if candidate.citation_metadata is not None:
            yield from self._cite(candidate.citation_metadata.all)
        for name in ("grounding_metadata", "url_context_metadata"):
            said: msgspec.Raw = getattr(candidate, name)
            if is_said(said):
                self._ext[name] = said
                note("gemini", f"candidates.{name}")
        if candidate.finish_reason:
            self._end(candidate.finish_reason, REASONS.get(candidate.finish_reason, "error"), candidate.finish_message)

    def _end(self, word: str, reason: StopReason, message: str | None) -> None:
        """Note why it ended; what is no good end is not taken back by a later good one."""
        if self._finish is None or self._finish[1] == "stop":
            self._finish = (word, reason)
        if message:
            self._ext["finish_message"] = msgspec.Raw(msgspec.json.encode(message))

    def _cite(self, sources: Iterable[Source]) -> Iterator[Event]:
        """Each source once, at the text that may still grow: what is no longer open can't be cited any more."""
        found = self._blocks.open_text
        if found is None:
            return
        index, text = found
        for source in sources:
            key = (source.uri, source.start_index)
            if key not in self._cited:
                self._cited.add(key)
                yield Cited(index, citation_of(source, text))


def _truncated(how: str) -> UpstreamTruncated:
    return UpstreamTruncated(f"The provider's answer {how}, so it is not whole.", next_step="Ask again.")


def _unreadable(what: str, error: Exception) -> UpstreamError:
    said = str(error)[:200].rstrip(".") if isinstance(error, msgspec.DecodeError) else "it is no readable text"
    return UpstreamError(f"The provider's {what} is not one of Gemini: {said}.", next_step="Check the target.")

"""Citations in an answer that is JSON: markers count in its strings only, so that a list of numbers stays one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from headworks.gateway.contract import CitationStream, Piece
from headworks.guardrails.service import strings_apart
from headworks.types.retrieval import Citation, Groundedness, together


@dataclass(frozen=True, slots=True)
class _Plain:
    """Text that no marker can stand in."""

    text: str


class CitingJson:
    """A CitationStream for a JSON text: each string is an answer of its own, all else goes through as it is.

    `stream` is asked for another one for each string. Nothing comes out before `finish`: strings are told apart in the
    whole.
    """

    def __init__(self, stream: CitationStream) -> None:
        self._stream = stream
        self._fed: list[str] = []
        self._measured: list[tuple[int, Groundedness]] = []
        self.dropped = 0
        """See CitationStream."""
        self.unknown = 0
        """See CitationStream."""

    @property
    def groundedness(self) -> Groundedness:
        """See CitationStream: of all strings together."""
        return together(self._measured)

    def again(self) -> CitingJson:
        """See CitationStream."""
        return CitingJson(self._stream)

    async def feed(self, text: str) -> Sequence[Piece | Citation]:
        """Nothing yet."""
        self._fed.append(text)
        return ()

    async def finish(self) -> Sequence[Piece | Citation]:
        """All of it. Places of markers count the characters of the text that comes out."""
        out: list[Piece | Citation] = []
        shown = 0
        for text, is_string in strings_apart("".join(self._fed)):
            start = shown
            ready = await self._cited(text, start) if is_string else (_Plain(text),)
            for each in ready:
                if isinstance(each, Citation):
                    out.append(
                        replace(each, marker_start=each.marker_start + start, marker_end=each.marker_end + start)
                    )
                else:
                    out.append(each)
                    shown += len(each.text)
        return out

    async def _cited(self, text: str, start: int) -> Sequence[Piece | Citation]:
        stream = self._stream.again()
        ready = [*await stream.feed(text), *await stream.finish()]
        self.dropped += stream.dropped
        self.unknown += stream.unknown
        self._measured.append((start, stream.groundedness))
        return ready

"""Citations in an answer that is JSON: markers count in its strings only, so that a list of numbers stays one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from headworks.gateway.contract import CitationStream, Piece
from headworks.guardrails.service import strings_apart
from headworks.types.retrieval import Citation


@dataclass(frozen=True, slots=True)
class _Plain:
    """Text that no marker can stand in."""

    text: str


class CitingJson:
    """A CitationStream for a JSON text: each string is an answer of its own, all else goes through as it is.

    `open_stream` gives a stream for one string. Nothing comes out before `finish`: strings are told apart in the whole.
    """

    def __init__(self, open_stream: Callable[[], CitationStream]) -> None:
        self._open_stream = open_stream
        self._fed: list[str] = []
        self.dropped = 0
        """See CitationStream."""
        self.unknown = 0
        """See CitationStream."""

    async def feed(self, text: str) -> Sequence[Piece | Citation]:
        """Nothing yet."""
        self._fed.append(text)
        return ()

    async def finish(self) -> Sequence[Piece | Citation]:
        """All of it. Places of markers count the characters of the text that comes out."""
        out: list[Piece | Citation] = []
        shown = 0
        for text, is_string in strings_apart("".join(self._fed)):
            ready = await self._cited(text) if is_string and "[" in text else (_Plain(text),)
            start = shown
            for each in ready:
                if isinstance(each, Citation):
                    out.append(
                        replace(each, marker_start=each.marker_start + start, marker_end=each.marker_end + start)
                    )
                else:
                    out.append(each)
                    shown += len(each.text)
        return out

    async def _cited(self, text: str) -> Sequence[Piece | Citation]:
        stream = self._open_stream()
        ready = [*await stream.feed(text), *await stream.finish()]
        self.dropped += stream.dropped
        self.unknown += stream.unknown
        return ready

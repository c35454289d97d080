"""Sources that Gemini names because it has quoted them at length, as citations of our text."""

from __future__ import annotations

import msgspec

from headworks.formats.neutral import Citation


class Source(msgspec.Struct, rename="camel", gc=False):
    """One quoted source; its indices are bytes of the answer's text in UTF-8. The last two have no word elsewhere."""

    start_index: int | None = None
    end_index: int | None = None
    uri: str | None = None
    title: str | None = None
    license: msgspec.Raw = msgspec.Raw(b"null")
    publication_date: msgspec.Raw = msgspec.Raw(b"null")


class Sources(msgspec.Struct, rename="camel"):
    """The Gemini API and the Agent Platform have two names for one list."""

    citations: list[Source] | None = None
    citation_sources: list[Source] | None = None

    @property
    def all(self) -> list[Source]:
        """All of them."""
        return [*(self.citations or ()), *(self.citation_sources or ())]


def citation_of(source: Source, text: str) -> Citation:
    """The citation, with its claim's place in characters of `text`."""
    written = text.encode()
    start = None if source.end_index is None else _characters(written, source.start_index or 0)
    end = None if source.end_index is None else _characters(written, source.end_index)
    return Citation(title=source.title or "", url=source.uri or "", start=start, end=end, kind="citation_metadata")


def _characters(written: bytes, count: int) -> int:
    return len(written[: max(count, 0)].decode(errors="ignore"))

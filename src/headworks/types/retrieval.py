"""What retrieval finds, and what an answer cites."""

from __future__ import annotations

from dataclasses import dataclass

from headworks.types.ids import DocumentId


@dataclass(frozen=True, slots=True)
class Passage:
    """A chunk as it is shown to a model: its text, where it stands, and its number in the prompt (from 1).

    `start` and `end` are characters into the stored text of that version of the document; `text` is that very slice.
    """

    number: int
    document: DocumentId
    version: int
    path: str
    title: str
    section: tuple[str, ...]
    chunk: int
    start: int
    end: int
    text: str
    score: float


@dataclass(frozen=True, slots=True)
class Citation:
    """A quote that was re-read under the caller's rights and matches the stored text byte for byte.

    `start` and `end` are characters into the stored text of that version; `marker_start` and `marker_end` are
    characters into the answer's text; `sha256` is of the quote's UTF-8 bytes; `support` is how well it covers the
    claim (0 to 1).
    """

    number: int
    document: DocumentId
    version: int
    path: str
    title: str
    section: tuple[str, ...]
    start: int
    end: int
    quote: str
    sha256: str
    support: float
    marker_start: int
    marker_end: int

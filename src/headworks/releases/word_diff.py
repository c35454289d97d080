"""What changed in a text, word by word: lines are matched first, and words inside lines that differ."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

Op = Literal["same", "added", "removed"]
_WORDS = re.compile(r"\w+|\s+|[^\w\s]")
_MOST_WORDS = 3_000
"""Of one side of a block of lines: above, whole blocks are shown, for the time grows with the square."""
_MOST_LINES = 5_000


@dataclass(frozen=True, slots=True)
class Piece:
    """A run of text that stayed, came or went."""

    op: Op
    text: str


def word_diff(before: str, after: str) -> tuple[Piece, ...]:
    """The pieces in order: `same` and `removed` together are `before`, `same` and `added` together are `after`."""
    old, new = before.splitlines(keepends=True), after.splitlines(keepends=True)
    if max(len(old), len(new)) > _MOST_LINES:
        return tuple(_joined(_replaced(before, after)))
    pieces: list[Piece] = []
    for kind, a, b, c, d in difflib.SequenceMatcher(None, old, new, autojunk=False).get_opcodes():
        if kind == "equal":
            pieces.append(Piece("same", "".join(old[a:b])))
        else:
            pieces += _block("".join(old[a:b]), "".join(new[c:d]))
    return tuple(_joined(pieces))


def _block(before: str, after: str) -> Iterator[Piece]:
    old, new = _WORDS.findall(before), _WORDS.findall(after)
    if max(len(old), len(new)) > _MOST_WORDS:
        yield from _replaced(before, after)
        return
    for kind, a, b, c, d in difflib.SequenceMatcher(None, old, new, autojunk=False).get_opcodes():
        if kind == "equal":
            yield Piece("same", "".join(old[a:b]))
        else:
            yield from _replaced("".join(old[a:b]), "".join(new[c:d]))


def _replaced(before: str, after: str) -> Iterator[Piece]:
    if before:
        yield Piece("removed", before)
    if after:
        yield Piece("added", after)


def _joined(pieces: Iterator[Piece] | Sequence[Piece]) -> Iterator[Piece]:
    """Neighbours of one kind as one."""
    last: Piece | None = None
    for piece in pieces:
        if last is not None and last.op == piece.op:
            last = Piece(last.op, last.text + piece.text)
        else:
            if last is not None:
                yield last
            last = piece
    if last is not None:
        yield last

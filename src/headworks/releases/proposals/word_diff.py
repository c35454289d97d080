"""What changed in a text, word by word: lines are matched first, and words inside lines that differ."""

from __future__ import annotations

import difflib
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

Op = Literal["same", "added", "removed"]
_WORDS = re.compile(r"\w+[ \t]*|[^\w\s][ \t]*|\s+")
_MOST_STEPS = 30_000_000
"""Of comparing two texts, about a second: what would take more is shown as whole blocks."""


@dataclass(frozen=True, slots=True)
class Piece:
    """A run of text that stayed, came or went."""

    op: Op
    text: str


def word_diff(before: str, after: str) -> tuple[Piece, ...]:
    """The pieces in order: `same` and `removed` together are `before`, `same` and `added` together are `after`."""
    steps = _Steps()
    pieces: list[Piece] = []
    for piece, *changed in steps.compared(before.splitlines(keepends=True), after.splitlines(keepends=True)):
        if piece is not None:
            pieces.append(piece)
            continue
        for word, *others in steps.compared(*(_WORDS.findall(each) for each in changed)):
            pieces += [word] if word is not None else _replaced(*others)
    return tuple(_joined(pieces))


class _Steps:
    """What comparing may still cost: with words or lines that stand there often, it grows with the cube."""

    def __init__(self) -> None:
        self._left = _MOST_STEPS

    def compared(self, old: Sequence[str], new: Sequence[str]) -> Iterator[tuple[Piece | None, str, str]]:
        """What is the same, as a piece; or None, what was there and what is."""
        most = min(len(old), len(new))
        first = next((at for at in range(most) if old[at] != new[at]), most)
        most -= first
        last = next((at for at in range(most) if old[-1 - at] != new[-1 - at]), most)
        yield Piece("same", "".join(old[:first])), "", ""
        yield from self._between(old[first : len(old) - last], new[first : len(new) - last])
        yield Piece("same", "".join(old[len(old) - last :])), "", ""

    def _between(self, old: Sequence[str], new: Sequence[str]) -> Iterator[tuple[Piece | None, str, str]]:
        often = Counter(new)
        pairs = sum(often[each] for each in old)
        cost = (pairs + len(old)) * min(len(old), len(new))
        if cost > self._left:
            yield None, "".join(old), "".join(new)
            return
        self._left -= cost
        for kind, a, b, c, d in difflib.SequenceMatcher(None, old, new, autojunk=False).get_opcodes():
            before, after = "".join(old[a:b]), "".join(new[c:d])
            yield (Piece("same", before), "", "") if kind == "equal" else (None, before, after)


def _replaced(before: str, after: str) -> Iterator[Piece]:
    if before:
        yield Piece("removed", before)
    if after:
        yield Piece("added", after)


def _joined(pieces: Iterator[Piece] | Sequence[Piece]) -> Iterator[Piece]:
    """Neighbours of one kind as one."""
    last: Piece | None = None
    for piece in pieces:
        if not piece.text:
            continue
        if last is not None and last.op == piece.op:
            last = Piece(last.op, last.text + piece.text)
        else:
            if last is not None:
                yield last
            last = piece
    if last is not None:
        yield last

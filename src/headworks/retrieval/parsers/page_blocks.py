"""The blocks of a web page, and which of them are what it says: not the menus that stand on every other page, too."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

from headworks.retrieval.parsers.grids import Row

_FEWEST_IN_MAIN = 100
"""Characters: a `main` with fewer is one that a script was to fill."""
_MENU_LINKS = 6
"""At least, in blocks one after the other: fewer are as good as a sentence."""
_LINKED = 0.8
"""Of a block's characters: it is a link, or several."""


@dataclass(slots=True)
class Block:
    """A paragraph, an item, a heading (with a level) or a table (with rows), and what stands before it."""

    level: int
    text: str
    separator: str = "\n\n"
    rows: list[Row] | None = None
    header_rows: int | None = None
    links: int = 0
    linked: int = 0
    """Characters, without spaces, that are links."""
    in_main: bool = False

    @property
    def words(self) -> str:
        """All that it says, where it can't have lines of its own."""
        return self.text if self.rows is None else " ".join(cell for row in self.rows for cell in row if cell)


def said(blocks: Sequence[Block]) -> Sequence[Block]:
    """What a page says, without what it has around: by its `main` where it has one, and without menus.

    A menu is six links or more with hardly a word between them. Where most of a page is that, it is what the page says.
    """
    inside = [each for each in blocks if each.in_main]
    if _length(inside) >= _FEWEST_IN_MAIN:
        blocks = [each for each in blocks if each.in_main or each.level == 1]
    kept: list[Block] = []
    for is_linked, run in groupby(blocks, _is_linked):
        group = list(run)
        if not is_linked or sum(each.links for each in group) < _MENU_LINKS:
            kept += group
    return kept if 2 * _length(kept) >= _length(blocks) else blocks


def _is_linked(block: Block) -> bool:
    return block.level == 0 and block.linked >= _LINKED * _length([block]) > 0


def _length(blocks: Sequence[Block]) -> int:
    return sum(len("".join(each.words.split())) for each in blocks)

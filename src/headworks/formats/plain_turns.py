"""Turns that are one text and nothing else, as most are: for writers that have a short way for them."""

from __future__ import annotations

from headworks.formats.neutral import TextBlock, Turn

_SAME_AS_TEXT = frozenset(("~content", "~list"))
"""Marks of a text that stood in a list."""


def only_text(turn: Turn) -> str | None:
    """The text that is all of a turn; None where it says more, or nothing."""
    if len(turn.blocks) != 1 or turn.name is not None or (turn.ext and not turn.ext.keys() <= _SAME_AS_TEXT):
        return None
    block = turn.blocks[0]
    if type(block) is not TextBlock or block.is_refusal or block.citations or block.cache is not None or block.ext:
        return None
    return block.text or None

"""Numbers with their words, for messages."""

from __future__ import annotations


def counted(number: int, one: str, several: str = "") -> str:
    """A number with what it counts: `1 file`, `2 files`; `counted(1, "file waits", "files wait")` is `1 file waits`."""
    return f"{number:,} {one if number == 1 else several or f'{one}s'}"

"""Patterns of paths: `*` and `?` stay within a folder, `**` goes through any number of them. Linear in the path.

A pattern is an automaton whose states are bits of a number: every way through it is followed at once, so no pattern
that somebody writes takes longer for the many ways in which it could match. Steps that were taken are remembered.
"""

from __future__ import annotations

import functools
import re
from collections import defaultdict

_WILD = re.compile(r"(\*\*/|\*\*|\*|\?)")
_MOST_STEPS = 8_192
"""That are remembered of one pattern."""


class PathPattern:
    """One pattern. A state is how much of it has matched; `folders` are two: before a folder, and within its name."""

    def __init__(self, pattern: str) -> None:
        self._characters: dict[str, int] = defaultdict(int)
        self._one = self._name = self._deep = self._folders = self._within = 0
        size = 0
        for part in _WILD.split(pattern):
            here = 1 << size
            if part == "**/":
                self._folders |= here
                self._within |= here << 1
                size += 2
            elif part in {"**", "*", "?"}:
                self._deep |= here * (part == "**")
                self._name |= here * (part == "*")
                self._one |= here * (part == "?")
                size += 1
            else:
                for place, character in enumerate(part, size):
                    self._characters[character] |= 1 << place
                size += len(part)
        self._end = 1 << size
        self._steps: dict[tuple[int, str], int] = {}

    def matches(self, path: str) -> bool:
        """Whether the whole path does."""
        states = self._skipped(1)
        for character in path:
            step = (states, character)
            following = self._steps.get(step)
            if following is None:
                following = self._after(states, character)
                if len(self._steps) >= _MOST_STEPS:
                    self._steps.clear()
                self._steps[step] = following
            if not following:
                return False
            states = following
        return bool(states & self._end)

    def _after(self, states: int, character: str) -> int:
        found = (states & self._characters.get(character, 0)) << 1 | states & self._deep
        if character == "/":
            found |= states & self._folders | (states & self._within) >> 1
        else:
            found |= (states & (self._one | self._folders)) << 1 | states & (self._name | self._within)
        return self._skipped(found)

    def _skipped(self, states: int) -> int:
        """With what can be left out: `*`, `**` and `**/` may stand for nothing."""
        while True:
            more = states | (states & (self._name | self._deep)) << 1 | (states & self._folders) << 2
            if more == states:
                return states
            states = more


@functools.lru_cache(maxsize=1024)
def compiled(pattern: str) -> PathPattern:
    """The pattern, made once."""
    return PathPattern(pattern)

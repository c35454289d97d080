"""What the demo prints while it goes: calm lines for people, nothing for scripts."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from headworks.cli.answers import Answer, listed
from headworks.cli.terminal import paint, visible, width, wrapped

_INDENT = "    "


class Teller:
    """Prints for people; with `is_quiet` nothing."""

    def __init__(self, *, is_quiet: bool) -> None:
        self._is_quiet = is_quiet
        self._steps = 0
        self._column = 0

    def title(self, text: str) -> None:
        """The first line."""
        self._print(paint(text, "bold"))

    def step(self, text: str) -> None:
        """A new part of the story."""
        self._steps += 1
        self._print(f"\n{paint(f'{self._steps}  {text}', 'bold')}")

    def say(self, *texts: str) -> None:
        """A paragraph below the step."""
        for text in texts:
            self._print(wrapped(visible(text), _INDENT))

    def lines(self, lines: Sequence[str], style: str = "") -> None:
        """Lines as they are: code, addresses, drawings."""
        for line in lines:
            self._print(f"{_INDENT}{paint(line, style) if style else line}")

    def question(self, text: str, origin: str = "") -> None:
        """A question before its answer."""
        self._print()
        self._print(wrapped(f"▸ {visible(text)}", _INDENT))
        if origin:
            self._print(paint(f"{_INDENT}  ({visible(origin)})", "dim"))
        self._column = 0

    def piece(self, text: str) -> None:
        """A piece of an answer as it comes, broken between words where a line would be too long."""
        if self._is_quiet:
            return
        room = width() - len(_INDENT) - 2
        for line_number, line in enumerate(visible(text).split("\n")):
            if line_number:
                sys.stdout.write("\n")
                self._column = 0
            for word in _words(line):
                if self._column and self._column + len(word.rstrip()) > room:
                    sys.stdout.write("\n")
                    self._column = 0
                shown = word if self._column else word.lstrip()
                if shown and not self._column:
                    sys.stdout.write(f"{_INDENT}  ")
                sys.stdout.write(shown)
                self._column += len(shown)
        sys.stdout.flush()

    def citations(self, answer: Answer) -> None:
        """The numbered citations below an answer."""
        if self._is_quiet:
            return
        self._column = 0
        self._print()
        if answer.citations:
            self._print()
            self._print("\n".join(f"{_INDENT}{line}" for line in listed(answer.citations).splitlines()))
        else:
            self._print(f"{_INDENT}  {paint('(no citation)', 'dim')}")

    def _print(self, text: str = "") -> None:
        if not self._is_quiet:
            print(text, flush=True)


def _words(line: str) -> list[str]:
    """The line in words, each with the blanks before it."""
    words: list[str] = []
    for part in line.split(" "):
        words.append(part if not words else f" {part}")
    return words

"""What the demo prints while it goes: calm lines for people, nothing for scripts."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from headworks.cli.answers import Answer, listed
from headworks.cli.terminal import paint, visible, width, wrapped

_INDENT = "    "
_ITEM_STARTS = "-*•#|"


class Teller:
    """Prints for people; with `is_quiet` nothing."""

    def __init__(self, *, is_quiet: bool) -> None:
        self._is_quiet = is_quiet
        self._steps = 0
        self._flow = Flow(f"{_INDENT}  ")

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

    def piece(self, text: str) -> None:
        """A piece of an answer as it comes."""
        if not self._is_quiet:
            self._flow.write(visible(text))

    def citations(self, answer: Answer) -> None:
        """The numbered citations below an answer."""
        if self._is_quiet:
            return
        self._flow.end()
        if answer.citations:
            self._print()
            self._print(listed(answer.citations, f"{_INDENT}  "))
        else:
            self._print(f"{_INDENT}  {paint('(no citation)', 'dim')}")

    def _print(self, text: str = "") -> None:
        if not self._is_quiet:
            print(text, flush=True)


class Flow:
    """Text that comes in pieces, indented and broken between words where a line would be too long.

    A single line end inside a paragraph is a blank, as in Markdown, so that lines of a page are not lines here.
    """

    def __init__(self, indent: str) -> None:
        self._indent = indent
        self._column = 0
        self._word = ""
        self._line_ends = 0

    def write(self, text: str) -> None:
        """Show what of the text is complete words."""
        for character in text:
            if character == "\n":
                self._flush_word()
                self._line_ends += 1
            elif character == " ":
                self._flush_word()
            else:
                self._begin_word(character)
                self._word += character
        sys.stdout.flush()

    def end(self) -> None:
        """Show the rest and end the line."""
        self._flush_word()
        self._line_ends = 0
        if self._column:
            self._break()

    def _begin_word(self, character: str) -> None:
        """Where line ends came before: two part paragraphs, one parts the items of a list."""
        if self._word or not self._line_ends:
            return
        if self._column and (self._line_ends > 1 or character in _ITEM_STARTS):
            self._break()
            if self._line_ends > 1:
                self._break()
        self._line_ends = 0

    def _flush_word(self) -> None:
        if not self._word:
            return
        room = width() - len(self._indent)
        if self._column and self._column + 1 + len(self._word) > room:
            self._break()
        before = " " if self._column else self._indent
        sys.stdout.write(f"{before}{self._word}")
        self._column += len(self._word) + (1 if self._column else 0)
        self._word = ""

    def _break(self) -> None:
        sys.stdout.write("\n")
        self._column = 0

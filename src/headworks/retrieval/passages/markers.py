"""The markers of an answer, found while it streams, and the claim that each of them stands for. Pure functions."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from headworks.retrieval.passages.sentences import sentences

# ── Markers in a stream ───────────────────────────────────────────────────────────────────────────────────────────────

MARKER = re.compile(r"\[ ?[1-9][0-9]{0,2}(?: ?[,;] ?[1-9][0-9]{0,2})* ?\]")
"""What counts as a marker: passage numbers from 1 to 999 in brackets, in ASCII digits as the prompt has them."""
_MAY_BECOME_MARKER = re.compile(r"\[ ?(?:[1-9][0-9]{0,2}(?: ?[,;] ?[1-9][0-9]{0,2})*(?: ?[,;] ?| )?)?")
_LONGEST_MARKER = 40
_NUMBER = re.compile(r"[0-9]+")
_PLAIN = re.compile(r"[^\[`\\\n]+")
"""Characters that open nothing and close nothing."""


@dataclass(frozen=True, slots=True)
class Marker:
    """`[1]` or `[1, 2]` in an answer: `start` and `end` are characters of the whole text that was fed."""

    numbers: tuple[int, ...]
    start: int
    end: int
    raw: str


class MarkerScanner:
    """Parts a streamed answer into text and markers; however it is split, the result is the same.

    Left alone, as text: what stands in code (between backticks or fences), links `[1](…)`, definitions `[1]: …` at the
    start of a line, escaped brackets, numbers from 1,000 on and 0. Never holds back more than what may still become a
    marker, and the one character after it.
    """

    def __init__(self) -> None:
        self._position = 0  # of the next character of the input
        self._held = ""  # begins with "[", may become a marker
        self._held_first = False  # nothing but space stands before it on its line
        self._previous = ""
        self._line_is_blank = True
        self._run = 0  # backticks in a row, not yet judged
        self._run_first = False
        self._inline = 0  # length of the run that opened the code we are in
        self._fence = 0

    def feed(self, piece: str) -> list[str | Marker]:
        """What is certain after this piece: text (never empty) and markers, in order."""
        out: list[str | Marker] = []
        text: list[str] = []
        at = 0
        while at < len(piece):
            if not self._held and (plain := _PLAIN.match(piece, at)):
                text.append(plain[0])
                self._pass(plain[0])
                at = plain.end()
                continue
            self._take(piece[at], text, out)
            at += 1
        _flush(text, out)
        return out

    def _pass(self, plain: str) -> None:
        """Goes over characters that are nothing but text."""
        self._judge_run()
        self._line_is_blank = self._line_is_blank and plain.isspace()
        self._previous = plain[-1]
        self._position += len(plain)

    def _take(self, character: str, text: list[str], out: list[str | Marker]) -> None:
        if not self._held or self._release(character, text, out):
            if self._opens(character):
                self._held, self._held_first = "[", self._line_is_blank
            else:
                text.append(character)
            self._note(character)
        self._position += 1

    def finish(self) -> list[str | Marker]:
        """What was held back, now that nothing follows."""
        out: list[str | Marker] = []
        held, self._held = self._held, ""
        if held:
            out.append(self._marker(held) if MARKER.fullmatch(held) else held)
        return out

    def _release(self, character: str, text: list[str], out: list[str | Marker]) -> bool:
        """Judges what is held by the next character: False when it belongs to it and stays held, too."""
        held = self._held
        if held[-1] == "]":
            is_link = character == "(" or (character == ":" and self._held_first)
            if is_link:
                text.append(held)
            else:
                _flush(text, out)
                out.append(self._marker(held))
        elif len(held) < _LONGEST_MARKER and (
            MARKER.fullmatch(held + character) or _MAY_BECOME_MARKER.fullmatch(held + character)
        ):
            self._held += character
            return False
        else:
            text.append(held)
        self._previous, self._line_is_blank, self._held = held[-1], False, ""
        return True

    def _marker(self, raw: str) -> Marker:
        numbers = tuple(dict.fromkeys(int(found) for found in _NUMBER.findall(raw)))
        return Marker(numbers, self._position - len(raw), self._position, raw)

    def _opens(self, character: str) -> bool:
        if character != "[" or self._previous == "\\":
            return False
        self._judge_run()
        return not (self._inline or self._fence)

    def _note(self, character: str) -> None:
        """Keeps track of code and of the line's start."""
        if character == "`":
            if not self._run:
                self._run_first = self._line_is_blank
            self._run += 1
        else:
            self._judge_run()
        if character == "\n":
            self._inline = 0  # an open backtick that nothing closes must not swallow the rest of the answer
            self._line_is_blank = True
        elif not character.isspace():
            self._line_is_blank = False
        self._previous = character

    def _judge_run(self) -> None:
        run, self._run = self._run, 0
        if not run:
            return
        if self._fence:
            self._fence = 0 if self._run_first and run >= self._fence else self._fence
        elif self._inline:
            self._inline = 0 if run == self._inline else self._inline
        elif self._run_first and run >= 3:
            self._fence = run
        else:
            self._inline = run


def _flush(text: list[str], out: list[str | Marker]) -> None:
    if text:
        out.append("".join(text))
        text.clear()


# ── What a marker stands for ──────────────────────────────────────────────────────────────────────────────────────────

_LOOK_BACK = 4_000
"""Characters of an answer before a marker in which its sentence is looked for."""
_FILLER = re.compile(r"(?:[\W_]|\b(?:and|or|see|also)\b)*+", re.IGNORECASE)
_LIST_NUMBER = re.compile(r"\A\s*(?:\d{1,2}[.)]|[-*+•])\s+")
_LETTER = re.compile(r"[^\W\d_]")
_PLACEHOLDER = re.compile(r"\[[A-Z]+(?:_[A-Z]+)*_\d+\]")
"""What a guardrail shows a model instead of personal data, as `[EMAIL_1]`: the stored text has the value itself."""


class Claims:
    """What the markers of an answer stand for, while it comes. Keeps no more of it than it may look back at.

    `says_something` tells whether a text has any content of its own.
    """

    def __init__(self, says_something: Callable[[str], object]) -> None:
        self._says_something = says_something
        self._text = ""
        self._base = 0  # of the whole answer, where `_text` begins
        self._last: Marker | None = None
        self._claim = ""

    def feed(self, piece: str) -> None:
        """More of the answer. Ask for the claims of its markers before the next piece."""
        if len(self._text) > 4 * _LOOK_BACK:
            self._base += len(self._text) - _LOOK_BACK
            self._text = self._text[-_LOOK_BACK:]
        self._text += piece

    def of(self, marker: Marker) -> str:
        """The claim that the next marker supports: its sentence up to it, or the part of it since the marker before.

        Markers with nothing between them (`[1][2]`, `[1] and [3]`) stand for the same claim. Empty when nothing is
        claimed.
        """
        end, last = marker.start - self._base, self._last
        begin = 0 if last is None else max(0, last.end - self._base)
        self._last = marker
        if last is None or not _FILLER.fullmatch(self._text, begin, end):
            earliest = max(0, end - _LOOK_BACK)
            claim = _last_sentence(self._text, max(earliest, begin), end)
            self._claim = claim if self._says_something(claim) else _last_sentence(self._text, earliest, end)
        return self._claim


def _last_sentence(text: str, start: int, end: int) -> str:
    found = sentences(text, start, end)
    if not found:
        return ""
    first = len(found) - 1
    while first and not _LETTER.search(text, found[first].start, found[-1].end):
        first -= 1  # what stands there ends something, as the last cell of a row that is quoted: `| 1 |”`
    return bare(text[found[first].start : found[-1].end])


def bare(sentence: str) -> str:
    """A sentence without its markers, its list number, and what a guardrail put into it."""
    return _LIST_NUMBER.sub("", _PLACEHOLDER.sub(" ", MARKER.sub(" ", sentence))).strip(" \t\r\n,;:")

"""From markers in an answer to quotes in its passages: pure functions, no storage, no rights.

A model marks what it takes from passage n with `[n]`. `MarkerScanner` finds the markers while the answer streams,
`claim_before` is what a marker stands for, `best_quote` the sentences of the passage that cover the claim best. Reading
the quote again under the caller's rights, and comparing it byte for byte, is the caller's part.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from math import log

from headworks.retrieval.passages.lexical import STOP_WORDS, stem, tokens
from headworks.retrieval.passages.sentences import Sentence, sentences

SUPPORT_FLOOR = 0.5
"""A citation below it is dropped as unsupported. Fixed by its meaning, not tuned on any data: at 0.5 the quote holds as
much of what the claim says (by weight of its words) as it lacks, and a number that the quote does not hold halves the
support, so that a wrong number always falls below."""

# ── Markers in a stream ───────────────────────────────────────────────────────────────────────────────────────────────

MARKER = re.compile(r"\[ ?[1-9]\d{0,2}(?: ?[,;] ?[1-9]\d{0,2})* ?\]")
"""What counts as a marker: passage numbers from 1 to 999 in brackets."""
_MAY_BECOME_MARKER = re.compile(r"\[ ?(?:[1-9]\d{0,2}(?: ?[,;] ?[1-9]\d{0,2})*(?: ?[,;] ?| )?)?")
_LONGEST_MARKER = 40
_NUMBER = re.compile(r"\d+")


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
        for character in piece:
            if self._held and not self._release(character, text, out):
                self._position += 1
                continue
            if self._opens(character):
                self._held, self._held_first = "[", self._line_is_blank
            else:
                text.append(character)
            self._note(character)
            self._position += 1
        _flush(text, out)
        return out

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
_FILLER = re.compile(r"(?:[\W_]|\b(?:and|or|see|also)\b)*", re.IGNORECASE)
_LIST_NUMBER = re.compile(r"\A\s*(?:\d{1,2}[.)]|[-*+•])\s+")
_LETTER = re.compile(r"[^\W\d_]")
_PLACEHOLDER = re.compile(r"\[[A-Z]+(?:_[A-Z]+)*_\d+\]")
"""What a guardrail shows a model instead of personal data, as `[EMAIL_1]`: the stored text has the value itself."""


def claim_before(text: str, marker: Marker, earlier: Sequence[Marker] = ()) -> str:
    """The claim that a marker supports: its sentence up to it, or the part of it since the marker before.

    Markers with nothing between them (`[1][2]`, `[1] and [3]`) stand for the same claim. `earlier` are the markers
    before this one, in order. Empty when nothing is claimed.
    """
    end, floor = marker.start, max(0, marker.start - _LOOK_BACK)
    for before in reversed(earlier):
        if before.end <= floor:
            break
        if not _FILLER.fullmatch(text, before.end, end):
            floor = before.end
            break
        end = before.start
    claim = _last_sentence(text, floor, end)
    if not content(claim):
        claim = _last_sentence(text, max(0, end - _LOOK_BACK), end)
    return claim


def _last_sentence(text: str, start: int, end: int) -> str:
    found = sentences(text, start, end)
    if not found:
        return ""
    first = len(found) - 1
    while first and not _LETTER.search(text, found[first].start, found[-1].end):
        first -= 1  # what stands there ends something, as the last cell of a row that is quoted: `| 1 |”`
    claim = _PLACEHOLDER.sub(" ", MARKER.sub(" ", text[found[first].start : found[-1].end]))
    return _LIST_NUMBER.sub("", claim).strip(" \t\r\n,;:")


# ── Words that count, and how much ────────────────────────────────────────────────────────────────────────────────────

_NUMBER_WORDS = {
    word: str(value)
    for value, word in enumerate(
        "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen".split()  # noqa: SIM905 -- counted by place
    )
} | {"twenty": "20", "thirty": "30", "forty": "40", "fifty": "50", "sixty": "60", "ninety": "90"}
# What answers say about themselves, not about the matter.
_TALK = frozenset({"accord", "document", "passag", "provid", "sourc", "state", "therefor", "yes"})


def content(text: str, language: str = "en") -> list[str]:
    """The content words of a text as they are compared: stemmed, number words as digits, in order, with repetitions."""
    stop = STOP_WORDS.get(language, frozenset())
    kept = [_NUMBER_WORDS.get(token, token) for token in tokens(text) if token not in stop]
    return [word for word in stem(kept, language) if word not in _TALK]


class WordWeights:
    """Inverse document frequencies of content words over the passages at hand: 1 + ln((N + 1) / (df + 1)).

    A word in no passage weighs as much as one in a single passage: it may be the model's own wording.
    """

    def __init__(self, passages: Iterable[str], language: str = "en") -> None:
        self.language = language
        frequencies: Counter[str] = Counter()
        number = 0
        for passage in passages:
            number += 1
            frequencies.update(set(content(passage, language)))
        self._weights = {word: 1 + log((number + 1) / (found + 1)) for word, found in frequencies.items()}
        self._unseen = 1 + log((max(number, 1) + 1) / 2)

    def of(self, word: str) -> float:
        """The weight of a word as `content` gives it; at least 1."""
        return self._weights.get(word, self._unseen)

    def sum(self, words: Iterable[str]) -> float:
        """The weight of several words together."""
        return sum(map(self.of, words))


# ── The quote that covers a claim best ────────────────────────────────────────────────────────────────────────────────

_MOST_SENTENCES = 3
_PRICE_OF_A_SENTENCE = 0.05
"""A longer quote must cover this much more of the claim for each sentence that it adds."""
_BY_CONTEXT = 0.5
"""What a word of the claim counts that stands only in the passage's title or headings."""
_UNKNOWN_NAME = 0.75
_MISSING_NUMBER = 0.5
_NAME = re.compile(r"(?<=[\w,;)] )[A-Z][\w'’-]*")
_DIGITS = re.compile(r"\d+(?:\.\d+)*")
_DIGIT_ONE = re.compile(r"(?<!\d)1(?!\d)")
_FULL_HOUR = re.compile(r"(\d{1,2}):00")


@dataclass(frozen=True, slots=True)
class Quote:
    """One to three adjacent sentences of a passage: characters of the passage's text, and the support for the claim."""

    start: int
    end: int
    support: float
    """0 to 1: the weight of the claim's content words that the quote holds, lowered for missing numbers and names."""


def best_quote(claim: str, passage: str, weights: WordWeights, context: str = "") -> Quote | None:
    """The adjacent sentences of a passage that cover the claim best, shorter ones first; None if neither says anything.

    `context` is the passage's title and headings: their words count in part, since the sentences below take them as
    said.
    """
    wanted = set(content(claim, weights.language))
    found = sentences(passage)
    headings = " ".join([context, *(passage[each.start : each.end] for each in found if each.kind == "heading")])
    told = set(content(headings, weights.language))
    body = [each for each in found if each.kind != "heading"] or found
    if not wanted or not body:
        return None
    held = [set(content(passage[each.start : each.end], weights.language)) for each in body]
    total = weights.sum(wanted)
    best: tuple[float, int, int] | None = None
    for first, last in _windows(passage, body):
        inside = wanted & set[str]().union(*held[first : last + 1])
        covered = weights.sum(inside) + _BY_CONTEXT * weights.sum((wanted & told) - inside)
        value = covered / total - _PRICE_OF_A_SENTENCE * (last - first)
        if best is None or value > best[0] + 1e-9:
            best = (value, first, last)
    if best is None:
        return None
    value, first, last = best
    start, end = body[first].start, body[last].end
    support = value + _PRICE_OF_A_SENTENCE * (last - first)
    support *= _checks(claim, passage[start:end], f"{headings}\n{passage}", headings)
    return Quote(start, end, round(min(1.0, support), 4))


def _windows(passage: str, body: Sequence[Sentence]) -> Iterator[tuple[int, int]]:
    """First and last of each run of up to three sentences with no heading or rule between them."""
    for first in range(len(body)):
        for last in range(first, min(first + _MOST_SENTENCES, len(body))):
            if last > first and passage[body[last - 1].end : body[last].cut].strip():
                break
            yield first, last


def _checks(claim: str, quote: str, passage: str, headings: str) -> float:
    factor = 1.0
    wanted = numbers(claim)
    if not _DIGIT_ONE.search(claim):
        wanted.discard("1")  # "one of the plans" counts nothing
    if wanted - numbers(quote) - numbers(headings):
        factor *= _MISSING_NUMBER
    names = {name.casefold() for found in _NAME.findall(claim) for name in tokens(found)}
    if not names <= set(tokens(passage)):
        factor *= _UNKNOWN_NAME
    return factor


def numbers(text: str) -> set[str]:
    """The numbers of a text in one form: "1,500.00" is "1500", "two" is "2", "8:00" is "8", "V2.1.4" is "2.1.4"."""
    found: set[str] = set()
    for token in tokens(text):
        if token in _NUMBER_WORDS:
            found.add(_NUMBER_WORDS[token])
        elif any(map(str.isdigit, token)):
            hour = _FULL_HOUR.match(token)
            found.update(map(_plain_number, [hour[1]] if hour else _DIGITS.findall(token)))
    return found


def _plain_number(digits: str) -> str:
    if digits.count(".") > 1:
        return digits
    whole, _, part = digits.partition(".")
    whole, part = whole.lstrip("0") or "0", part.rstrip("0")
    return f"{whole}.{part}" if part else whole

"""What JavaScript does otherwise than Python with texts, numbers and patterns: promptfoo's verdicts hang on it."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from decimal import Decimal

from headworks.evaluation.scorers.checks import WrongCheck, as_written, compiled

_SPACES = "\\t\\n\\v\\f\\r \u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000\ufeff"
_NO_SPACES = (
    "\\x00-\\x08\\x0e-\\x1f!-\u009f\u00a1-\u167f\u1681-\u1fff\u200b-\u2027\u202a-\u202e\u2030-\u205e\u2060-\u2fff"
    "\u3001-\ufefe\uff00-\U0010ffff"
)
_LINE_ENDS = "\\n\\r\u2028\u2029"
_CONTROLS = {"t": "\\t", "n": "\\n", "v": "\\v", "f": "\\f", "r": "\\r", "0": "\\x00"}
_TOKEN = re.compile(
    r"\\u(?P<high>[dD][89abAB][0-9a-fA-F]{2})\\u(?P<low>[dD][c-fC-F][0-9a-fA-F]{2})|\\u(?P<four>[0-9a-fA-F]{4})|"
    r"\\x(?P<two>[0-9a-fA-F]{2})|\\c(?P<control>[A-Za-z])|\\(?P<escaped>.)|"
    r"(?P<quantifier>(?:[*+?]|\{\d+(?:,\d*)?\})\??)|\(\?(?P<group><?[=!]|:|<(?P<name>[A-Za-z_]\w*)>|.?)|(?P<plain>.)",
    re.DOTALL,
)
_EVERYTHING = re.compile(r"(?:\\s\\S|\\S\\s)\]")
_OF_RE2 = re.compile(
    r"(?P<space>\\s)|(?P<name>\(\?P<)|\\[dDwWbBtnrfv]|\\x[0-9a-fA-F]{2}|\\[^A-Za-z0-9]|\(\?(?=[:<])|"
    r"(?P<foreign>\\|\(\?|\[:|\[\^?\])|.",
    re.DOTALL,
)
_RE2_SPACES = "\\t\\n\\f\\r "
_PUNCTUATION = frozenset("^$\\.*+?()[]{}|/-")


def as_text(value: object) -> str:
    """A value where a text is wanted: `String(value)`, with nothing for null."""
    if value is None:
        return ""
    if isinstance(value, list | tuple):
        return ",".join(map(as_text, value))
    return "[object Object]" if isinstance(value, Mapping) else as_written(value)


def is_true(value: object) -> bool:
    """Whether it is true in a condition: empty lists and objects are."""
    if isinstance(value, list | tuple | Mapping):
        return True
    return bool(value) and not (isinstance(value, float) and math.isnan(value))


def number(value: str) -> float | None:
    """`Number(value)` of a decimal number; None for what is none."""
    text = value.strip()
    if not re.fullmatch(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?", text):
        return None
    return float(Decimal(text))


def as_re2(pattern: str) -> str:
    """The pattern of a `new RegExp(pattern)` for RE2, with the same matches; beyond 16 bits `.` takes one character.

    Characters stand in it as they are, so that JavaScript, too, reads what is written. Raises WrongCheck for
    look-around, back-references, and what is no pattern in JavaScript.
    """
    written = "".join(_Translation(pattern))
    compiled(written)
    return written


def from_re2(pattern: str) -> str | None:
    """A pattern of RE2 for JavaScript, with the same matches; None where it says what JavaScript does not."""
    written, is_class = "", False
    for found in _OF_RE2.finditer(pattern):
        each = found[0]
        if found["foreign"]:
            return None
        if found["space"]:
            each = _RE2_SPACES if is_class else f"[{_RE2_SPACES}]"
        elif found["name"]:
            each = "(?<"
        elif each == "." and not is_class:
            each = "[^\\n]"
        is_class = found[0] == "[" or (is_class and found[0] != "]")
        written += each
    try:
        as_re2(written)
    except WrongCheck:
        return None
    return written


def _written(each: str) -> str:
    if ord(each) < ord(" ") or each == "\x7f":
        return f"\\x{ord(each):02x}"
    return f"\\{each}" if each in _PUNCTUATION else each


class _Translation:
    def __init__(self, pattern: str) -> None:
        self._pattern = pattern
        self._at = 0
        self._is_class = False
        self._class_holds_set = False
        self._can_repeat = False

    def __iter__(self) -> Iterator[str]:
        while self._at < len(self._pattern):
            if self._is_class or self._pattern[self._at] == "[":
                yield from self._class()
                continue
            found = self._next()
            yield self._outside(found)

    def _next(self) -> re.Match[str]:
        found = _TOKEN.match(self._pattern, self._at)
        if found is None:
            raise WrongCheck("its pattern ends within an escape")
        self._at = found.end()
        return found

    def _outside(self, found: re.Match[str]) -> str:
        if found["quantifier"]:
            if not self._can_repeat:
                raise WrongCheck("its pattern repeats nothing, or what can't be repeated")
            self._can_repeat = False
            return found[0]
        if found[0].startswith("(?"):
            self._can_repeat = False
            return self._group(found)
        plain = found["plain"]
        self._can_repeat = plain not in {"^", "$", "|", "("} and found["escaped"] not in {"b", "B"}
        if plain is not None:
            self._refuse_pairs(plain)
            return {".": f"[^{_LINE_ENDS}]", "{": "\\{", "}": "\\}", "]": "\\]"}.get(plain, plain)
        return self._escape(found)

    def _group(self, found: re.Match[str]) -> str:
        if found["group"] == ":":
            return "(?:"
        if found["name"]:
            return f"(?<{found['name']}>"
        if found["group"] in {"=", "!", "<=", "<!"}:
            raise WrongCheck("its pattern looks around, which RE2 does not")
        raise WrongCheck("its pattern has a group that JavaScript does not know")

    def _escape(self, found: re.Match[str]) -> str:
        code = found["four"] or found["two"]
        if found["high"]:
            code = f"{0x10000 + ((int(found['high'], 16) - 0xD800) << 10) + int(found['low'], 16) - 0xDC00:x}"
            self._refuse_pairs(chr(int(code, 16)))
        elif code and 0xD800 <= int(code, 16) <= 0xDFFF:
            raise WrongCheck("its pattern names half a character")
        elif found["control"]:
            code = f"{ord(found['control']) % 32:x}"
        return _written(chr(int(code, 16))) if code else self._letter(found["escaped"])

    def _letter(self, letter: str) -> str:
        if letter in "sS":
            self._class_holds_set = True
            if self._is_class:
                return _SPACES if letter == "s" else _NO_SPACES
            return f"[{'' if letter == 's' else '^'}{_SPACES}]"
        if letter in "dDwW":
            self._class_holds_set = True
            return f"\\{letter}"
        if letter == "b" or (letter == "B" and not self._is_class):
            return "\\x08" if self._is_class else f"\\{letter}"
        followed = self._pattern[self._at : self._at + 1]
        if letter in _CONTROLS and not (letter == "0" and followed.isdigit()):
            return _CONTROLS[letter]
        if letter == "c" or letter.isdigit() or (letter == "k" and "(?<" in self._pattern):
            raise WrongCheck("its pattern refers back, which RE2 does not, or escapes nothing")
        return f"\\{letter}" if letter in _PUNCTUATION else letter

    def _class(self) -> Iterator[str]:
        """From `[` to `]`."""
        if not self._is_class:
            self._is_class, self._at = True, self._at + 1
            is_negated = self._pattern[self._at : self._at + 1] == "^"
            self._at += is_negated
            if self._pattern[self._at : self._at + 1] == "]":
                self._is_class, self._can_repeat, self._at = False, True, self._at + 1
                yield "[\\d\\D]" if is_negated else "[^\\d\\D]"
                return
            if everything := _EVERYTHING.match(self._pattern, self._at):
                self._is_class, self._can_repeat, self._at = False, True, everything.end()
                yield "[^\\d\\D]" if is_negated else "[\\d\\D]"
                return
            yield "[^" if is_negated else "["
        before_set = False
        while self._at < len(self._pattern):
            if self._pattern[self._at] == "]":
                self._is_class, self._can_repeat, self._at = False, True, self._at + 1
                yield "]"
                return
            self._class_holds_set = False
            written = self._member()
            if written == "-" and (before_set or self._sets_next()):
                written = "\\-"  # beside a set it is no range
            before_set = self._class_holds_set
            yield written
        raise WrongCheck("its pattern has a class that nobody closed")

    def _sets_next(self) -> bool:
        return re.match(r"\\[dDwWsS]", self._pattern[self._at :]) is not None

    def _member(self) -> str:
        each = self._pattern[self._at]
        if each == "\\":
            return self._escape(self._next())
        self._at += 1
        if ord(each) > 0xFFFF:
            raise WrongCheck("its pattern has a character beyond 16 bits in a class")
        return f"\\{each}" if each in "[^&~" else each

    def _refuse_pairs(self, each: str) -> None:
        if ord(each) > 0xFFFF and self._pattern[self._at : self._at + 1] in {"*", "+", "?", "{"}:
            raise WrongCheck("its pattern repeats a character beyond 16 bits, of which JavaScript repeats the half")

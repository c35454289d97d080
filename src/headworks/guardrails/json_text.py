"""JSON as a model wrote it: read strictly, and repaired only where nothing has to be guessed.

What may go are wrappers: a byte order mark and space around the text, a Markdown fence, a comma before a closing
bracket. Nothing is added and no content is left out. What is not closed was cut off, and is never repaired.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from math import isinf
from typing import Any, NoReturn

MAX_CHARACTERS = 1_000_000
DEEPEST = 100
"""Levels of objects and lists in each other."""

_BOM = "\ufeff"
_TOKEN = re.compile(r'"(?:[^"\\\x00-\x1f]|\\.)*"|[\[\]{}:,]|[^\s"\[\]{}:,]+|[ \t\r\n]+|.', re.DOTALL)
_STRING_OR_BRACKET = re.compile(r'"(?:[^"\\]|\\.)*"|[\[\]{}]', re.DOTALL)
_HALF_PAIR = re.compile(r"\\u[dD][89a-fA-F]")
_LANGUAGE = re.compile(r"[\w+.-]{0,20}")
_NO_VALUE_BEFORE = frozenset(("", "[", "{", ",", ":"))


class NotJson(ValueError):
    """The text is no JSON, or none that everybody reads alike. The message quotes nothing of it; lines count from 1."""

    def __init__(self, message: str, line: int = 1) -> None:
        super().__init__(message)
        self.line = line


@dataclass(frozen=True, slots=True)
class JsonRead:
    """A text that is JSON, with its value; `was_repaired`: wrappers were taken off."""

    text: str
    value: Any
    was_repaired: bool


def read_json(text: str) -> Any:  # noqa: ANN401 -- any JSON value
    """The value of a JSON text, strictly: no `NaN`, no member twice, no half of a character, at most 100 levels.

    Raises NotJson.
    """
    if len(text) > MAX_CHARACTERS:
        raise NotJson(f"has more than {MAX_CHARACTERS:,} characters")
    _check_depth(text)
    try:
        value = json.loads(text, object_pairs_hook=_members, parse_float=_number, parse_constant=_no_number)
        text.encode()
        if _HALF_PAIR.search(text):
            json.dumps(value, ensure_ascii=False).encode()
    except json.JSONDecodeError as error:
        raise NotJson(_in_words(error, text), error.lineno) from None
    except UnicodeEncodeError:
        raise NotJson("holds half of a surrogate pair") from None
    except NotJson:
        raise
    except ValueError:  # Python's own limit on digits
        raise NotJson("holds a number with too many digits") from None
    return value


def read_repaired(text: str) -> JsonRead:
    """A JSON text as it is, or without its wrappers where it is none. Raises NotJson for everything else."""
    try:
        return JsonRead(text, read_json(text), was_repaired=False)
    except NotJson:
        bare = _without_trailing_commas(_unwrapped(text)) if len(text) <= MAX_CHARACTERS else text
        if bare == text:
            raise
    return JsonRead(bare, read_json(bare), was_repaired=True)


def tool_arguments_are_whole(arguments: bytes | str) -> bool:
    """Whether a tool may be called with them: one JSON object as the model wrote it, nothing repaired, no member twice.

    Empty arguments are not whole either: whether the format means "none" by it is for its codec to say.
    """
    try:
        text = arguments if isinstance(arguments, str) else arguments.decode()
        return isinstance(read_json(text), dict)
    except (NotJson, UnicodeDecodeError):
        return False


def strings_apart(text: str) -> Iterator[tuple[str, bool]]:
    """A JSON text in parts: what stands between the quotes of a value that is a string (True), and all the rest.

    Names of members belong to the rest. The parts joined are the text.
    """
    tokens: list[str] = _TOKEN.findall(text)
    following = ""  # the next token that is no space, seen from the end
    is_value = [False] * len(tokens)
    for index in range(len(tokens) - 1, -1, -1):
        is_value[index] = tokens[index][0] == '"' and following != ":"
        following = following if tokens[index].isspace() else tokens[index]
    rest = ""
    for token, is_string in zip(tokens, is_value, strict=True):
        if is_string and len(token) > 2:
            yield rest + '"', False
            yield token[1:-1], True
            rest = '"'
        else:
            rest += token
    if rest:
        yield rest, False


def _unwrapped(text: str) -> str:
    """Without space, byte order mark and fence around it."""
    bare = text.strip().removeprefix(_BOM).strip()
    mark = bare[:1]
    width = len(bare) - len(bare.lstrip(mark)) if mark in {"`", "~"} else 0
    if width < 3:
        return bare
    language, newline, body = bare[width:].partition("\n")
    if newline and _LANGUAGE.fullmatch(language.strip()) and body.endswith(mark * width):
        return body[:-width].strip().removeprefix(_BOM)
    return bare


def _without_trailing_commas(text: str) -> str:
    """Without each comma that stands between a value and a closing bracket."""
    kept: list[str] = []
    before, comma = "", -1
    for piece in _TOKEN.findall(text):
        if piece == '"':  # a string that nothing closes: what follows can't be told apart
            return text
        kept.append(piece)
        if piece.isspace():
            continue
        if piece in {"]", "}"} and comma >= 0:
            kept[comma] = ""
        comma = len(kept) - 1 if piece == "," and before not in _NO_VALUE_BEFORE else -1
        before = piece
    return "".join(kept)


def _check_depth(text: str) -> None:
    if text.count("[") + text.count("{") <= DEEPEST:
        return
    depth = 0
    for piece in _STRING_OR_BRACKET.findall(text):
        depth += 1 if piece in {"[", "{"} else -1 if piece in {"]", "}"} else 0
        if depth > DEEPEST:
            raise NotJson(f"is nested more than {DEEPEST} levels deep")


def _members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) < len(pairs):
        raise NotJson("names a member of an object twice")
    return members


def _number(text: str) -> float:
    number = float(text)
    if isinf(number):
        raise NotJson("holds a number that is too large")
    return number


def _no_number(_: str) -> NoReturn:
    raise NotJson("holds `NaN` or `Infinity`, which are not JSON")


def _in_words(error: json.JSONDecodeError, text: str) -> str:
    if not text.strip():
        return "is empty"
    place = f"line {error.lineno}, column {error.colno}"
    if error.pos >= len(text.rstrip()) or error.msg.startswith("Unterminated"):
        return f"ends before it is complete ({place})"
    if error.msg == "Extra data":
        return f"goes on after its end ({place})"
    return f"is no JSON: {error.msg[0].lower()}{error.msg[1:].removesuffix(' at')} ({place})"

"""Plain text, and everything that is best kept as it stands: reStructuredText, JSON, YAML, logs, source code."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace

from headworks.retrieval.parsers.building import finished, one_line, title_from
from headworks.retrieval.parsers.characters import decoded
from headworks.retrieval.parsers.contract import Heading, ParsedDocument

_LONGEST_HEADING = 100
_UNDERLINES = "=-~^\"'*+#:._`"
_UNDERLINE = re.compile(r"([=\-~^\"'*+#:._`])\1{2,}")
_NUMBERED = re.compile(r"(\d{1,2}(?:\.\d{1,3})*)\.?\s+[^\W\d_]")


def parse(name: str, data: bytes) -> ParsedDocument:
    """See contract.Parser."""
    text = decoded(data)
    headings = tuple(headings_by_layout(text))
    first = next((line.strip() for line in text.split("\n", 40) if line.strip()), "")
    title = headings[0].text if headings and headings[0].text == one_line(first) else title_from(name)
    return finished(ParsedDocument(text, title, headings, "text/plain"))


def parse_verbatim(name: str, data: bytes) -> ParsedDocument:
    """As `parse`, for formats whose lines mean something else than prose: no headings are looked for."""
    return finished(ParsedDocument(decoded(data), title_from(name), (), "text/plain"))


def headings_by_layout(text: str) -> Iterator[Heading]:
    """Headings that are recognised by their look: underlined, or numbered or in capitals between blank lines.

    Underlined ones get their level by the order in which the underlining characters first appear, as in
    reStructuredText; numbered ones by their depth.
    """
    lines = list(_lines(text))
    seen: list[str] = []
    for place, (start, line) in enumerate(lines):
        stripped = line.strip()
        if not stripped or len(stripped) > _LONGEST_HEADING:
            continue
        before = lines[place - 1][1].strip() if place else ""
        after = lines[place + 1][1].strip() if place + 1 < len(lines) else ""
        end = start + len(line.rstrip())
        if _is_underlined(stripped, after) and (not before or _UNDERLINE.fullmatch(before)):
            if after[0] not in seen:
                seen.append(after[0])
            yield Heading(seen.index(after[0]) + 1, one_line(stripped), start, end)
        elif not before and not after and (level := _level(stripped)) and not _in_list(lines, place, level):
            yield Heading(level, one_line(stripped), start, end)


def with_numbered_headings(document: ParsedDocument) -> ParsedDocument:
    """The document with its numbered lines as headings, where no more than its title is marked as one."""
    if len(document.headings) > 1:
        return document
    below = document.headings[0].level if document.headings else 0
    found = [
        replace(heading, level=heading.level + below)
        for heading in headings_by_layout(document.text)
        if _NUMBERED.match(heading.text) and all(heading.start != each.start for each in document.headings)
    ]
    return replace(document, headings=tuple(sorted((*document.headings, *found), key=lambda each: each.start)))


def _in_list(lines: list[tuple[int, str]], place: int, level: int) -> bool:
    """Whether a numbered line is an item among others of its depth, with no text between them, and no heading."""
    if not _NUMBERED.match(lines[place][1].strip()):
        return False
    near = (lines[place - 2][1] if place >= 2 else "", lines[place + 2][1] if place + 2 < len(lines) else "")
    return any(_level(line.strip()) == level and _NUMBERED.match(line.strip()) for line in near if line.strip())


def _lines(text: str) -> Iterator[tuple[int, str]]:
    at = 0
    for line in text.split("\n"):
        yield at, line
        at += len(line) + 1


def _is_underlined(line: str, after: str) -> bool:
    is_rule = _UNDERLINE.fullmatch(line) is not None
    return not is_rule and _UNDERLINE.fullmatch(after) is not None and len(after) >= min(len(line), 4)


def _level(line: str) -> int:
    """Of a line between blank lines: 0 when it is no heading."""
    if line[-1] in ".,;:!?…":
        return 0
    numbered = _NUMBERED.match(line)
    if numbered:
        return numbered[1].count(".") + 1
    letters = [character for character in line if character.isalpha()]
    return 1 if len(letters) >= 4 and all(map(str.isupper, letters)) else 0

"""Markdown, kept as it stands (only its line ends are normalised), with its headings and tables."""

from __future__ import annotations

import html
import re
from collections.abc import Iterator

from headworks.retrieval.parsers.building import finished, one_line, title_from
from headworks.retrieval.parsers.characters import decoded
from headworks.retrieval.parsers.contract import Heading, ParsedDocument, Table
from headworks.retrieval.parsers.facts import front_matter

_FRONT_MATTER = re.compile(r"---[ \t]*\n(.*?)\n(?:---|\.\.\.)[ \t]*(?:\n|$)", re.DOTALL)
_FRONT_TITLE = re.compile(r"^title:[ \t]*(.+?)[ \t]*$", re.MULTILINE)
_FENCE = re.compile(r" {0,3}(`{3,}|~{3,})([^\n]*)")
_ATX = re.compile(r" {0,3}(#{1,6})(?:[ \t]+(.*?))?(?:[ \t]+#+)?[ \t]*")
_SETEXT = re.compile(r" {0,3}(=+|-+)[ \t]*")
_NO_PARAGRAPH = re.compile(r"\s*(?:[-*+>|#]|\d+[.)]\s|<!--|={3,}|-{3,})| {4}|\t")
_LINK = re.compile(r"!?\[([^\]\n]*)\]\([^)\n]*\)|!?\[([^\]\n]*)\]\[[^\]\n]*\]")
_MARKUP = re.compile(r"(?<!\\)(?:\*{1,3}|`+|(?<!\w)_{1,3}|_{1,3}(?!\w))|</?[A-Za-z][^<>]*>|\{#[^}]*\}\s*$")
_TABLE_RULE = re.compile(r" {0,3}(?=[^|]*\||\s*\|)\|?[ \t]*:?-+:?[ \t]*(?:\|[ \t]*:?-+:?[ \t]*)*\|?[ \t]*")
_CELL_END = re.compile(r"(?<!\\)\|")
_ESCAPE = re.compile(r"\\([!-/:-@\[-`{-~])")


def parse(name: str, data: bytes) -> ParsedDocument:
    """See contract.Parser."""
    text = decoded(data)
    headings = tuple(headings_of(text))
    outermost = min((heading.level for heading in headings), default=0)
    title = _front_title(text) or next((each.text for each in headings if each.level == outermost), "")
    front = _FRONT_MATTER.match(text)
    facts = front_matter(front[1]) if front else {}
    tables = tuple(tables_of(text))
    return finished(
        ParsedDocument(text, title or title_from(name), headings, "text/markdown", tables=tables, metadata=facts)
    )


def headings_of(text: str) -> Iterator[Heading]:
    """The headings outside code, comments and front matter: `# …`, and lines underlined with `===` or `---`."""
    scanner = _Scanner()
    for at, line in _lines(text):
        heading = scanner.heading(at, line)
        if heading is not None:
            yield heading


def tables_of(text: str) -> Iterator[Table]:
    """The tables outside code, comments and front matter: a header, a rule of as many columns, and rows."""
    scanner = _Scanner()
    header: tuple[int, str] | None = None
    found: Table | None = None
    for at, line in _lines(text):
        scanner.heading(at, line)
        is_row = scanner.is_open and bool(line.strip()) and not (line.startswith(("    ", "\t")) and found is None)
        if found is not None and is_row and ("|" in line or not _NO_PARAGRAPH.match(line)):
            found = Table(found.start, at + len(line.rstrip()), found.header_end)
            continue
        if found is not None:
            yield found
            found = None
        if is_row and header is not None and _is_rule_of(line, header[1]):
            start = header[0]
            found = Table(start, at + len(line.rstrip()), start + len(header[1].rstrip()))
        header = (at, line) if is_row and "|" in line else None
    if found is not None:
        yield found


def _is_rule_of(line: str, header: str) -> bool:
    return bool(_TABLE_RULE.fullmatch(line)) and _columns(line) == _columns(header)


def _columns(line: str) -> int:
    return len(_CELL_END.findall(line.strip().strip("|"))) + 1


def _lines(text: str) -> Iterator[tuple[int, str]]:
    """Start and text of each line below the front matter."""
    front = _FRONT_MATTER.match(text)
    at = front.end() if front else 0
    for line in text[at:].split("\n"):
        yield at, line
        at += len(line) + 1


class _Scanner:
    """Goes through the lines of a text and knows where no heading can be."""

    def __init__(self) -> None:
        self._fence = ""
        self._in_comment = False
        self._paragraph: tuple[int, str] | None = None
        """Start and text of a paragraph's first line, while it is the only one: an underline makes it a heading."""
        self._may_begin = True

    @property
    def is_open(self) -> bool:
        """Whether the last line was neither code nor a comment."""
        return not self._fence and not self._in_comment

    def heading(self, at: int, line: str) -> Heading | None:
        """The heading that ends with this line, which starts there."""
        opening = _FENCE.match(line)
        if self._fence:
            if opening and opening[1].startswith(self._fence) and not opening[2].strip():
                self._fence = ""
            return None
        if self._in_comment or line.lstrip().startswith("<!--"):
            self._in_comment = "-->" not in line
        elif opening and not (opening[1][0] == "`" and "`" in opening[2]):
            self._fence = opening[1]
        else:
            found = self._marked(at, line) or self._underlined(at, line)
            if found is None:
                self._note_paragraph(at, line)
                return None
            self._paragraph, self._may_begin = None, True
            return found
        self._paragraph, self._may_begin = None, True
        return None

    @staticmethod
    def _marked(at: int, line: str) -> Heading | None:
        found = _ATX.fullmatch(line)
        words = plain_words(found[2] or "") if found else ""
        return Heading(len(found[1]), words, at, at + len(line)) if found and words else None

    def _underlined(self, at: int, line: str) -> Heading | None:
        found = _SETEXT.fullmatch(line) if self._paragraph else None
        if self._paragraph is None or found is None:
            return None
        start, first = self._paragraph
        words = plain_words(first)
        return Heading(1 if found[1][0] == "=" else 2, words, start, at + len(line)) if words else None

    def _note_paragraph(self, at: int, line: str) -> None:
        breaks = not line.strip() or bool(_NO_PARAGRAPH.match(line))
        self._paragraph = (at, line) if self._may_begin and not breaks else None
        self._may_begin = breaks


def plain_words(markdown: str) -> str:
    """Inline Markdown without its marks: what a reader sees of a heading."""
    text = _LINK.sub(lambda found: found[1] or found[2] or "", markdown)
    return one_line(_ESCAPE.sub(r"\1", html.unescape(_MARKUP.sub("", text))))


def _front_title(text: str) -> str:
    front = _FRONT_MATTER.match(text)
    found = _FRONT_TITLE.search(front[1]) if front else None
    return one_line(found[1].strip("\"'")) if found else ""

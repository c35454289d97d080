"""Markdown, kept as it stands (only its line ends are normalised), with its headings."""

from __future__ import annotations

import html
import re
from collections.abc import Iterator

from headworks.retrieval.parsers.building import decoded, finished, one_line, title_from
from headworks.retrieval.parsers.contract import Heading, ParsedDocument

_FRONT_MATTER = re.compile(r"---[ \t]*\n(.*?)\n(?:---|\.\.\.)[ \t]*(?:\n|$)", re.DOTALL)
_FRONT_TITLE = re.compile(r"^title:[ \t]*(.+?)[ \t]*$", re.MULTILINE)
_FENCE = re.compile(r" {0,3}(`{3,}|~{3,})([^\n]*)")
_ATX = re.compile(r" {0,3}(#{1,6})(?:[ \t]+(.*?))?(?:[ \t]+#+)?[ \t]*")
_SETEXT = re.compile(r" {0,3}(=+|-+)[ \t]*")
_NO_PARAGRAPH = re.compile(r"\s*(?:[-*+>|#]|\d+[.)]\s|<!--|={3,}|-{3,})| {4}|\t")
_LINK = re.compile(r"!?\[([^\]\n]*)\]\([^)\n]*\)|!?\[([^\]\n]*)\]\[[^\]\n]*\]")
_MARKUP = re.compile(r"(?<!\\)(?:\*{1,3}|`+|(?<!\w)_{1,3}|_{1,3}(?!\w))|</?[A-Za-z][^<>]*>|\{#[^}]*\}\s*$")
_ESCAPE = re.compile(r"\\([!-/:-@\[-`{-~])")


def parse(name: str, data: bytes) -> ParsedDocument:
    """See contract.Parser."""
    text = decoded(data)
    headings = tuple(headings_of(text))
    outermost = min((heading.level for heading in headings), default=0)
    title = _front_title(text) or next((each.text for each in headings if each.level == outermost), "")
    return finished(ParsedDocument(text, title or title_from(name), headings, "text/markdown"))


def headings_of(text: str) -> Iterator[Heading]:
    """The headings outside code, comments and front matter: `# …`, and lines underlined with `===` or `---`."""
    front = _FRONT_MATTER.match(text)
    at = front.end() if front else 0
    fence = ""
    in_comment = False
    paragraph: tuple[int, int] | None = None
    """Start and end of a paragraph's first line, while it is the only one: an underline makes it a heading."""
    alone = True
    for line in text[at:].split("\n"):
        start, end = at, at + len(line)
        at = end + 1
        opening = _FENCE.match(line)
        if fence:
            fence = "" if opening and opening[1].startswith(fence) and not opening[2].strip() else fence
        elif in_comment or line.lstrip().startswith("<!--"):
            in_comment = "-->" not in line
            paragraph = None
        elif opening and not (opening[1][0] == "`" and "`" in opening[2]):
            fence, paragraph = opening[1], None
        elif (atx := _ATX.fullmatch(line)) and (words := plain_words(atx[2] or "")):
            yield Heading(len(atx[1]), words, start, end)
            paragraph = None
        elif paragraph and (setext := _SETEXT.fullmatch(line)) and (words := plain_words(text[slice(*paragraph)])):
            yield Heading(1 if setext[1][0] == "=" else 2, words, paragraph[0], end)
            paragraph = None
        else:
            breaks = not line.strip() or bool(_NO_PARAGRAPH.match(line))
            paragraph = (start, end) if alone and not breaks else None
            alone = breaks
            continue
        alone = True


def plain_words(markdown: str) -> str:
    """Inline Markdown without its marks: what a reader sees of a heading."""
    text = _LINK.sub(lambda found: found[1] or found[2] or "", markdown)
    return one_line(_ESCAPE.sub(r"\1", html.unescape(_MARKUP.sub("", text))))


def _front_title(text: str) -> str:
    front = _FRONT_MATTER.match(text)
    found = _FRONT_TITLE.search(front[1]) if front else None
    return one_line(found[1].strip("\"'")) if found else ""

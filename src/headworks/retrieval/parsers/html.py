"""HTML as a reader sees it: headings, paragraphs, lists and tables; no scripts, menus or hidden elements."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, field, replace
from html.parser import HTMLParser

from headworks.retrieval.parsers.building import TextBuilder
from headworks.retrieval.parsers.characters import decoded
from headworks.retrieval.parsers.contract import ParsedDocument
from headworks.retrieval.parsers.facts import page_fact
from headworks.retrieval.parsers.grids import Cell, spelled_out, write_table
from headworks.retrieval.parsers.page_blocks import Block, said

_CHARSET = re.compile(
    rb"<meta[^>]{0,200}charset\s*=\s*[\"']?\s*([\w-]{1,40})|<\?xml[^>]{0,100}encoding=[\"']([\w-]{1,40})"
)
_VOID = frozenset(
    ["area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source", "track", "wbr"]
)
_NEVER_SHOWN = frozenset(
    ["script", "style", "template", "noscript", "svg", "math", "iframe", "object", "canvas", "audio", "video", "head"]
)
_AROUND = frozenset(["nav", "footer", "form", "button", "select", "dialog", "menu"])
"""Shown, but no part of what the page says."""
_ROLES_AROUND = frozenset(["navigation", "banner", "contentinfo", "search", "dialog", "menu", "menubar", "toolbar"])
_BLOCKS = frozenset(
    """address article aside blockquote body caption center dd details div dl dt fieldset figcaption figure footer form
    header hr html legend li main menu nav ol p pre section summary table tbody td tfoot th thead tr ul
    h1 h2 h3 h4 h5 h6""".split()  # noqa: SIM905 -- read as a table
)
_HEADINGS = {f"h{level}": level for level in range(1, 7)}
_CLOSED_BY = {
    "li": ("li",),
    "dt": ("dt", "dd"),
    "dd": ("dt", "dd"),
    "tr": ("tr", "td", "th"),
    "td": ("td", "th"),
    "th": ("td", "th"),
    "option": ("option",),
}
"""Elements whose start ends an open neighbour of the given kinds, as HTML lets authors leave out the end tag."""
_BARRIERS = frozenset(["ul", "ol", "dl", "table", "select"])
_PERMALINKS = frozenset(["#", "¶", "§", "🔗"])
_DISPLAY_NONE = re.compile(r"display\s*:\s*none|visibility\s*:\s*hidden", re.IGNORECASE)
_WIDEST_SPAN = 1000
"""Columns or rows, as browsers have it for columns."""
_SPACE = re.compile(r"\s+")


def parse(name: str, data: bytes) -> ParsedDocument:
    """See contract.Parser."""
    return page_of(name, decoded(data, declared_encoding(data)), "text/html")


def declared_encoding(data: bytes) -> str | None:
    """The encoding that a page names in its first 2,048 bytes."""
    found = _CHARSET.search(data[:2048])
    return (found[1] or found[2]).decode("ascii") if found else None


def page_of(name: str, markup: str, media_type: str) -> ParsedDocument:
    """The document in a page's markup."""
    builder = TextBuilder()
    facts: dict[str, str] = {}
    title = read_into(builder, markup, facts)
    return replace(builder.finish(name, media_type, title), metadata=facts)


def read_into(builder: TextBuilder, markup: str, facts: dict[str, str] | None = None) -> str:
    """Adds what a page shows to a document, and to `facts` what it says of itself; gives the page's title.

    With `facts` it is a page of a site, and what stands around its main part is left out.

    A menu or form that is opened and never closed would swallow the rest of the page: then nothing but what is never
    shown is left out.
    """
    reader = _Reader(leaves_out_around=True)
    reader.read(markup)
    if reader.lost:
        reader = _Reader(leaves_out_around=False)
        reader.read(markup)
    for block in reader.blocks if facts is None else said(reader.blocks):
        if block.rows is not None:
            write_table(builder, block.rows, block.header_rows)
        elif block.level:
            builder.heading(block.level, block.text)
        else:
            builder.block(block.text, separator=block.separator)
    if facts is not None:
        facts.update(reversed(reader.facts))  # the first of a name
    return reader.title


@dataclass(slots=True)
class _Open:
    tag: str
    dropped: bool
    """It or an element around it is not shown."""
    is_around: bool = False
    """It is shown, and no part of what the page says."""
    is_main: bool = False
    number: int = 0
    """Of an ordered list: of its last item."""


@dataclass(slots=True)
class _Cell:
    is_header: bool
    rows: int
    columns: int
    blocks: list[Block] = field(default_factory=list)

    def whole(self) -> Cell:
        return Cell(" ".join(block.words for block in self.blocks), self.rows, self.columns, self.is_header)


class _Reader(HTMLParser):
    """Collects blocks from the events of the standard library's parser."""

    def __init__(self, *, leaves_out_around: bool) -> None:
        super().__init__(convert_charrefs=True)
        self._leaves_out_around = leaves_out_around
        self._stack: list[_Open] = []
        self._open: Counter[str] = Counter()  # the tags on the stack
        self._text: list[str] = []
        self._tables: list[list[list[_Cell]]] = []  # those that are open, by row
        self._prefix = ""
        self._separator = "\n\n"
        self._in_title = False
        self._mains = 0  # that are open
        self._in_link = False
        self._links = self._linked = 0  # of the block
        self.blocks: list[Block] = []
        self.title = ""
        self.facts: list[tuple[str, str]] = []
        self.lost = False

    def read(self, markup: str) -> None:
        """Reads a whole page."""
        self.feed(markup)
        self.close()
        self.lost = self._leaves_out_around and any(each.is_around for each in self._stack)
        self._flush()
        while self._tables:
            self._end_table()

    # ── Events ──

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        attributes = dict(attrs)
        if tag in _VOID:
            self._void(tag, attributes)
            return
        self._close_neighbours(tag)
        if tag in _BLOCKS:
            self._flush()
        if tag == "title" and not self.title and not self._open["svg"]:
            self._in_title = True
        self._push(tag, attributes)
        if tag == "li" and not self._dropped:
            self._prefix = self._bullet()
        elif tag == "a" and not self._dropped:
            self._in_link = bool(attributes.get("href"))
            self._links += self._in_link
        else:
            self._begin_cell(tag, attributes)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in _VOID:
            self.handle_endtag(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag == "title":
            self._in_title = False
        self._in_link = self._in_link and tag != "a"
        if not self._open[tag]:
            return
        if tag in _BLOCKS:
            self._flush(_HEADINGS.get(tag, 0))
        while self._stack:
            ended = self._stack.pop()
            self._open[ended.tag] -= 1
            self._mains -= ended.is_main
            if ended.tag == "table":
                self._end_table()
            if ended.tag == tag:
                break

    def handle_data(self, data: str) -> None:
        if self._in_title:
            self.title += data
        elif not self._dropped and not (self._in_link and data.strip() in _PERMALINKS):
            self._linked += len("".join(data.split())) if self._in_link else 0
            self._text.append(data if self._open["pre"] else data.replace("\n", " "))

    # ── Parts ──

    @property
    def _dropped(self) -> bool:
        return bool(self._stack) and self._stack[-1].dropped

    def _push(self, tag: str, attributes: dict[str, str | None]) -> None:
        """Opens an element."""
        role = (attributes.get("role") or "").strip().lower()
        is_around, is_main = tag in _AROUND or role in _ROLES_AROUND, tag == "main" or role == "main"
        within = self._dropped and tag not in {"body", "head"}  # a head that is not closed ends with the body's start
        left_out = tag in _NEVER_SHOWN or (is_around and self._leaves_out_around)
        self._stack.append(_Open(tag, within or left_out or _is_hidden(attributes), is_around, is_main))
        self._open[tag] += 1
        self._mains += is_main

    def _begin_cell(self, tag: str, attributes: dict[str, str | None]) -> None:
        """Opens a table, a row or a cell; a row or cell outside any table is only a block."""
        if tag == "table":
            self._tables.append([])
        elif tag == "tr" and self._tables:
            self._tables[-1].append([])
        elif tag in {"td", "th"} and self._tables and self._tables[-1]:
            is_header = tag == "th" or self._open["thead"] > 0
            rows, columns = _span(attributes, "rowspan"), _span(attributes, "colspan")
            self._tables[-1][-1].append(_Cell(is_header, rows, columns))

    def _void(self, tag: str, attributes: dict[str, str | None]) -> None:
        if tag == "meta" and (fact := page_fact(attributes)):
            self.facts.append(fact)
        if self._dropped:
            return
        if tag == "br":
            self._text.append("\n")
        elif tag == "hr":
            self._flush()
        elif tag == "img" and (alt := (attributes.get("alt") or "").strip()):
            self._text.append(f" {alt} ")

    def _close_neighbours(self, tag: str) -> None:
        if tag in _BLOCKS and self._stack and self._stack[-1].tag == "p":
            self.handle_endtag("p")
        ended = _CLOSED_BY.get(tag, ())
        if not any(self._open[each] for each in ended):
            return
        for place in range(len(self._stack) - 1, -1, -1):
            open_tag = self._stack[place].tag
            if open_tag in ended:
                self.handle_endtag(open_tag)
                return
            if open_tag in _BARRIERS:
                return

    def _bullet(self) -> str:
        for around in reversed(self._stack):
            if around.tag == "ol":
                around.number += 1
                return f"{around.number}. "
            if around.tag in {"ul", "menu"}:
                break
        return "- "

    def _flush(self, level: int = 0) -> None:
        """Ends a block: into the table's cell when there is one, else to the blocks."""
        text = "".join(self._text)
        self._text.clear()
        if not self._open["pre"]:
            text = "\n".join(_SPACE.sub(" ", line).strip() for line in text.split("\n"))
        links, linked = self._links, self._linked and self._linked + len(self._prefix.strip())  # a bullet is its item's
        self._links, self._linked, self._in_link = 0, 0, False
        if not text.strip():
            return
        blocks = self._place()
        separator = "\n" if self._prefix and blocks and self._separator == "\n" else "\n\n"
        text = self._prefix + text.strip("\n")
        blocks.append(Block(level, text, separator, links=links, linked=linked, in_main=self._mains > 0))
        self._separator = "\n" if self._prefix or self._open["li"] else "\n\n"
        self._prefix = ""

    def _place(self) -> list[Block]:
        """Where a block belongs: to the innermost cell that is open, else to the page."""
        cells = (table[-1][-1] for table in reversed(self._tables) if table and table[-1])
        cell = next(cells, None)
        return self.blocks if cell is None else cell.blocks

    def _end_table(self) -> None:
        """A table becomes a block; one that only arranges the page becomes the blocks within it."""
        table = self._tables.pop()
        cells = [cell for row in table for cell in row]
        place = self._place()
        if _arranges(table):
            place.extend(block for cell in cells for block in cell.blocks)
        elif any(cell.blocks for cell in cells):
            marked = next((at for at, row in enumerate(table) if not all(cell.is_header for cell in row)), len(table))
            rows = spelled_out([[cell.whole() for cell in row] for row in table])
            head = marked if 0 < marked < len(table) else None
            said_here = [block for cell in cells for block in cell.blocks]
            links, linked = sum(each.links for each in said_here), sum(each.linked for each in said_here)
            is_main = any(each.in_main for each in said_here)
            place.append(Block(0, "", rows=rows, header_rows=head, links=links, linked=linked, in_main=is_main))


def _arranges(table: list[list[_Cell]]) -> bool:
    """Whether a table is a layout: of one column, or with headings or other tables in its cells."""
    cells = [cell for row in table for cell in row if not cell.is_header]
    inner = any(block.level or block.rows is not None for cell in cells for block in cell.blocks)
    return inner or max((sum(bool(cell.blocks) for cell in row) for row in table), default=0) <= 1


def _span(attributes: dict[str, str | None], name: str) -> int:
    given = (attributes.get(name) or "").strip()
    return min(int(given), _WIDEST_SPAN) if given.isascii() and given.isdigit() and len(given) < 6 else 1


def _is_hidden(attributes: dict[str, str | None]) -> bool:
    return (
        "hidden" in attributes
        or (attributes.get("aria-hidden") or "").lower() == "true"
        or bool(_DISPLAY_NONE.search(attributes.get("style") or ""))
    )

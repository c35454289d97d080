"""The lines and tables of pages as one text: paragraphs by where lines stand, headings by the size of their type."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from itertools import pairwise

from headworks.retrieval.parsers.building import Place, TextBuilder, clean
from headworks.retrieval.parsers.contract import ParsedDocument
from headworks.retrieval.parsers.grids import names_columns, table_lines
from headworks.retrieval.parsers.pdf.page import Line
from headworks.retrieval.parsers.pdf.tables import Grid
from headworks.retrieval.parsers.plain import with_numbered_headings

_MARGIN = 0.08
"""Of the page's height: where running headers and footers stand."""
_HEADING_SIZE = 1.12
"""Of the size of the body's type."""
_SAME_SIZE = 0.96
_LONGEST_HEADING = 150
_PARAGRAPH_GAP = 1.3
"""Of the usual distance between lines."""
_SOFT_HYPHEN = re.compile("[\ufffe\x02\u00ad]$")
_DIGITS = re.compile(r"\d+")
_BULLET = re.compile(r"[-*•‣◦▪●·–]\s|\(?(?:\d{1,2}|[a-z])[.)]\s")


def document_of(name: str, media_type: str, title: str, pages: Sequence[Sequence[Line | Grid]]) -> ParsedDocument:
    """The document that pages make, without their running headers; raises DocumentUnreadable `empty`."""
    builder = TextBuilder()
    _write(builder, _without_furniture(pages))
    return with_numbered_headings(builder.finish(name, media_type, title))


def _without_furniture(pages: Sequence[Sequence[Line | Grid]]) -> list[Line | Grid]:
    """All lines but those that stand in the margins of most pages and differ by their numbers only."""
    seen: Counter[str] = Counter()
    for page in pages:
        seen.update({_DIGITS.sub("#", line.text) for line in page if isinstance(line, Line) and _in_margin(line)})
    often = max(2, 0.6 * len(pages))
    repeated = {text for text, times in seen.items() if times >= often}
    return [
        each
        for page in pages
        for each in page
        if not (isinstance(each, Line) and _in_margin(each) and _DIGITS.sub("#", each.text) in repeated)
    ]


def _in_margin(line: Line) -> bool:
    return not _MARGIN < line.height_share < 1 - _MARGIN


def _write(builder: TextBuilder, content: Sequence[Line | Grid]) -> None:
    lines = [each for each in content if isinstance(each, Line)]
    levels = iter(_levels(lines))
    step = _usual_step(lines)
    paragraph: list[Line] = []
    heads = page = 0
    for each in content:
        level = next(levels) if isinstance(each, Line) else 0
        if paragraph and (isinstance(each, Grid) or _ends(paragraph[-1], each, level, step)):
            _flush(builder, paragraph, heads)
        if not paragraph:
            for _ in range(_page_of(each) - page):
                builder.page()
            page = max(page, _page_of(each))
        if isinstance(each, Grid):
            builder.table(table_lines(each.rows), int(names_columns(each.rows)), places=each.places)
        else:
            paragraph.append(each)
            heads = level
    if paragraph:
        _flush(builder, paragraph, heads)


def _page_of(content: Line | Grid) -> int:
    return content.page if isinstance(content, Grid) else content.place.page


def _usual_step(lines: Sequence[Line]) -> float:
    """The distance between lines of a paragraph: of all distances the lower quartile, since paragraphs stand apart."""
    gaps = [
        other.place.y0 - one.place.y0
        for one, other in pairwise(lines)
        if one.size == other.size and one.place.y0 < other.place.y0
    ]
    return sorted(gaps)[len(gaps) // 4] if gaps else 1.0


def _levels(lines: Sequence[Line]) -> list[int]:
    """The level of each line as a heading, 0 for text: the larger the type the higher, bold text of its own last."""
    weights: Counter[float] = Counter()
    for line in lines:
        weights[line.size] += len(line.text)
    least = _HEADING_SIZE * (weights.most_common(1)[0][0] if weights else 1.0)
    bold_counts = sum(line.is_bold for line in lines) * 3 < len(lines)
    steps = _steps({line.size for line in lines if _can_head(line) and line.size >= least})
    return [_level(line, steps, least, bold_counts=bold_counts) for line in lines]


def _steps(sizes: set[float]) -> list[float]:
    """Sizes of type from the largest on; those that differ by less than 4 % are one."""
    steps: list[float] = []
    for size in sorted(sizes, reverse=True):
        if not steps or size < _SAME_SIZE * steps[-1]:
            steps.append(size)
    return steps


def _level(line: Line, steps: Sequence[float], least: float, *, bold_counts: bool) -> int:
    if not _can_head(line):
        return 0
    if line.size >= least:
        return min(6, next(place for place, size in enumerate(steps, 1) if line.size >= _SAME_SIZE * size))
    stands_out = bold_counts and line.is_bold and len(line.text) <= _LONGEST_HEADING // 2
    return min(6, len(steps) + 1) if stands_out else 0


def _can_head(line: Line) -> bool:
    return (
        len(line.text) <= _LONGEST_HEADING
        and line.text[-1] not in ".;,"
        and any(map(str.isalpha, line.text))
        and not line.text.startswith(("•", "-", "–"))
    )


def _ends(before: Line, line: Line, level: int, step: float) -> bool:
    """Whether a paragraph ends between two lines."""
    if abs(before.size - line.size) > 0.08 * before.size or before.is_bold != line.is_bold or _BULLET.match(line.text):
        return True
    gap = line.place.y0 - before.place.y0
    if before.place.page != line.place.page or gap < 0:  # a new page or column: the sentence may go on
        return level > 0 or not line.text[0].islower() or before.text[-1] in ".!?:"
    return gap > _PARAGRAPH_GAP * step


def _flush(builder: TextBuilder, paragraph: list[Line], level: int) -> None:
    text = ""
    places: list[Place] = []
    for line in paragraph:
        words = clean(line.text)
        joined = _SOFT_HYPHEN.sub("", text)
        if joined != text:
            # The rest of the word stands with its beginning: on the line of the text that began before.
            text = joined + words
            if places[-1].page == line.place.page:
                places[-1] = places[-1].around(line.place)
        else:
            text = f"{text}\n{words}" if text else words
            places.append(line.place)
    text = _SOFT_HYPHEN.sub("-", text)
    if level:
        builder.heading(level, text, places=places)
    else:
        builder.block(text, separator="\n" if _BULLET.match(text) else "\n\n", places=places)
    paragraph.clear()

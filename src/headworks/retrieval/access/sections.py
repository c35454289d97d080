"""Sections of documents with readers of their own: which they are, and the text without them. Pure functions.

A section is what stands under a heading, with the headings below it, up to the next heading of its level or of one
further out. Each that a rule of the collection's file matches becomes a document of its own, so that what is asked when
something is read is asked of it, too; of the file's own text nothing is left of it.
"""

from __future__ import annotations

import functools
import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import PurePosixPath
from typing import Any
from uuid import UUID

from headworks.retrieval.access.readers import matches
from headworks.retrieval.parsers.contract import Heading, ParsedDocument
from headworks.types.ids import PrincipalId

_LONGEST_NAME = 200
_BETWEEN = " › "


@dataclass(frozen=True, slots=True)
class SectionRule:
    """Sections of the documents that match, under a heading that matches: read by these, closed to those."""

    documents: str
    heading: str
    readers: tuple[PrincipalId, ...]
    denied: tuple[PrincipalId, ...]

    @property
    def name(self) -> str:
        """As it is shown, and as the sections that it has cut off name it."""
        return f"`{self.heading}` in `{self.documents}`"


@dataclass(frozen=True, slots=True)
class Section:
    """One that was cut off. `name` are its headings from the outermost on; no two of a document have the same."""

    name: str
    rule: SectionRule
    parsed: ParsedDocument


@dataclass(frozen=True, slots=True)
class Span:
    """The characters from `start` to `end` of a text; `rule` None: they stay."""

    start: int
    end: int
    rule: SectionRule | None = None
    names: tuple[str, ...] = ()


def rules_at(path: str, rules: Sequence[SectionRule]) -> tuple[SectionRule, ...]:
    """Those that hold for the documents at this path, in their order."""
    return tuple(each for each in rules if matches(each.documents, path))


def split(path: str, parsed: ParsedDocument, rules: Sequence[SectionRule]) -> tuple[ParsedDocument, list[Section]]:
    """The document without the sections that a rule cuts off, and those."""
    spans = spans_of(parsed, rules_at(path, rules))
    if all(span.rule is None for span in spans):
        return parsed, []
    cut = [span for span in spans if span.rule is not None]
    title = parsed.title
    removed = {_plain(heading.text) for heading in parsed.headings for span in cut if _is_in(heading, span)}
    if any(each.startswith(_plain(title)) for each in removed):
        title = PurePosixPath(path).stem  # the title was taken from what is not everybody's
    sections: list[Section] = []
    taken: set[str] = set()
    for span in cut:
        assert span.rule is not None  # noqa: S101 -- only such are in the list
        name = _free(_BETWEEN.join(span.names), taken)
        part = replace(_only(parsed, [span]), title=f"{title}{_BETWEEN}{span.names[-1]}")
        sections.append(Section(name, span.rule, part))
    rest = _only(parsed, [span for span in spans if span.rule is None])
    return replace(rest, title=title), sections


def spans_of(parsed: ParsedDocument, rules: Sequence[SectionRule]) -> list[Span]:
    """The whole text in order, each character once. The outermost heading that matches takes all below it along."""
    found: list[Span] = []
    above: list[Heading] = []
    at = 0
    for number, heading in enumerate(parsed.headings):
        if heading.start < at:
            continue  # below one that has been cut off
        above = [each for each in above if each.level < heading.level]
        above.append(heading)
        rule = next((each for each in rules if _heading_matches(each.heading, heading.text)), None)
        if rule is None:
            continue
        following = (each.start for each in parsed.headings[number + 1 :] if each.level <= heading.level)
        end = next(following, len(parsed.text))
        if heading.start > at:
            found.append(Span(at, heading.start))
        found.append(Span(heading.start, end, rule, tuple(_shown(each.text) for each in above)))
        at = end
    if at < len(parsed.text) or not found:
        found.append(Span(at, len(parsed.text)))
    return found


def _only(parsed: ParsedDocument, spans: Sequence[Span]) -> ParsedDocument:
    """The document of these spans alone. What it says of its places is moved; a page keeps its number."""
    text = "".join(parsed.text[span.start : span.end] for span in spans)
    is_whole_end = bool(spans) and spans[-1].end == len(parsed.text)
    if not is_whole_end:
        text = text.rstrip()  # what followed is gone, and so is the space before it

    def moved(offset: int) -> int:
        before = sum(max(0, min(offset, span.end) - span.start) for span in spans)
        return min(before, len(text))

    def is_kept(start: int, end: int) -> bool:
        return any(span.start <= start and end <= span.end for span in spans)

    return replace(
        parsed,
        text=text,
        headings=tuple(
            replace(each, start=moved(each.start), end=moved(each.end))
            for each in parsed.headings
            if is_kept(each.start, each.end)
        ),
        pages=tuple(moved(each) for each in parsed.pages),
        boxes=tuple(
            replace(each, start=moved(each.start), end=moved(each.end))
            for each in parsed.boxes
            if is_kept(each.start, each.end)
        ),
        tables=tuple(
            replace(each, start=moved(each.start), end=moved(each.end), header_end=moved(each.header_end))
            for each in parsed.tables
            if is_kept(each.start, each.end)
        ),
    )


def without_text(parsed: ParsedDocument) -> ParsedDocument:
    """The same with nothing in it: there are no words in what it says."""
    return replace(parsed, text="", headings=(), pages=(), boxes=(), tables=())


def read_rules(settings: Mapping[str, Any]) -> list[SectionRule]:
    """The rules of a collection's settings as they are stored."""
    return [
        SectionRule(each["documents"], each["heading"], _ids(each["readers"]), _ids(each["denied"]))
        for each in settings.get("sections", ())
    ]


def write_rules(rules: Sequence[SectionRule]) -> list[dict[str, Any]]:
    """What `read_rules` reads."""
    return [
        {
            "documents": each.documents,
            "heading": each.heading,
            "readers": [str(reader) for reader in each.readers],
            "denied": [str(denied) for denied in each.denied],
        }
        for each in rules
    ]


def _ids(found: Sequence[str]) -> tuple[PrincipalId, ...]:
    return tuple(PrincipalId(UUID(each)) for each in found)


def _is_in(heading: Heading, span: Span) -> bool:
    return span.start <= heading.start < span.end


def _shown(text: str) -> str:
    """A heading on one line, as long as a name may be."""
    printable = "".join(each if each.isprintable() else " " for each in unicodedata.normalize("NFC", text))
    return " ".join(printable.split())[:_LONGEST_NAME] or "untitled"


def _free(name: str, taken: set[str]) -> str:
    wanted, number = name[:_LONGEST_NAME], 1
    while wanted in taken:
        number += 1
        wanted = f"{name[:_LONGEST_NAME]} ({number})"
    taken.add(wanted)
    return wanted


def _plain(text: str) -> str:
    """As headings are compared: in NFKC, with single spaces, without case."""
    return " ".join(unicodedata.normalize("NFKC", text).split()).casefold()


def _heading_matches(pattern: str, text: str) -> bool:
    return _compiled(pattern).fullmatch(_plain(text)) is not None


@functools.lru_cache(maxsize=1024)
def _compiled(pattern: str) -> re.Pattern[str]:
    """What stands between two `*` is taken where it is found first: the time grows with a heading, not its cube."""
    first, *others = (re.escape(each).replace(r"\?", ".") for each in _plain(pattern).split("*"))
    rest = "".join(f"(?>.*?{each})" for each in others[:-1])
    return re.compile(first + rest + (f".*{others[-1]}" if others else ""), re.DOTALL)

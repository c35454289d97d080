"""An answer of a feature as it streams in, with its citations."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import groupby

from headworks.cli.client import Client
from headworks.cli.json_values import JsonObject
from headworks.cli.terminal import one_line, paint, width, wrapped

TRACE_HEADER = "x-headworks-trace"
RELEASE_HEADER = "x-headworks-release"
NOTICE_HEADER = "x-headworks-notice"


@dataclass(frozen=True, slots=True)
class Cited:
    """A quote of a document, and the number by which the answer refers to it."""

    number: str
    document: str
    title: str
    section: tuple[str, ...]
    start: int
    end: int
    quote: str
    url: str
    page: int | None = None
    stale: str = ""

    def as_json(self) -> JsonObject:
        """As scripts see it."""
        said = {name: getattr(self, name) for name in ("document", "title", "start", "end", "quote")}
        said |= {} if self.page is None else {"page": self.page}
        return said | ({"stale": self.stale} if self.stale else {})


@dataclass(slots=True)
class Answer:
    """What came; complete once `ask` has returned it."""

    text: str = ""
    citations: list[Cited] = field(default_factory=list)
    trace: str | None = None
    release: str | None = None
    grounding: JsonObject = field(default_factory=dict)
    """How well it stands on its documents; empty where none were read for it."""
    notice: str = ""
    """`break-glass` where the release is live past the rules."""

    def take(self, chunk: JsonObject) -> str:
        """Add a chunk of OpenAI's stream; gives its new text."""
        news = ""
        for choice in chunk.get("choices", ()):
            delta = choice.get("delta") or {}
            news += delta.get("content") or ""
            self.text += delta.get("content") or ""
            for each in delta.get("annotations") or ():
                self.note(each)
        self.grounding = (chunk.get("headworks") or {}).get("grounding") or self.grounding
        return news

    def note(self, annotation: JsonObject) -> None:
        """Add an annotation if it is a citation of ours."""
        if annotation.get("type") != "url_citation" or "headworks" not in annotation:
            return
        web, own = annotation["url_citation"], annotation["headworks"]
        marker = self.text[web["start_index"] : web["end_index"]]
        number = "".join(character for character in marker if character.isdigit()) or str(len(self.citations) + 1)
        self.citations.append(
            Cited(
                number,
                str(own["document"]),
                web.get("title") or "",
                tuple(own.get("section") or ()),
                own["start"],
                own["end"],
                own["quote"],
                web.get("url") or "",
                own.get("page"),
                own.get("stale") or "",
            )
        )

    def as_json(self) -> JsonObject:
        """As scripts see it."""
        citations = [each.as_json() for each in self.citations]
        said = {"answer": self.text, "citations": citations, "trace": self.trace, "release": self.release}
        said |= {"notice": self.notice} if self.notice else {}
        return said | ({"grounding": self.grounding} if self.grounding else {})


def ask(client: Client, feature: str, question: str, seen: Callable[[str], None] = lambda _: None) -> Answer:
    """Ask a feature; `seen` gets each piece of text as it comes. Raises what the server refuses with."""
    body = {"model": feature, "messages": [{"role": "user", "content": question}], "stream": True}
    events = client.events("/v1/chat/completions", body)
    answer = Answer(trace=events.headers.get(TRACE_HEADER), release=events.headers.get(RELEASE_HEADER))
    answer.notice = events.headers.get(NOTICE_HEADER, "")
    for chunk in events.data:
        if news := answer.take(chunk):
            seen(news)
    return answer


def place_in(title: str, section: Sequence[str]) -> str:
    """A document and the section in it; a title that is its outermost heading is said once."""
    inner = section[1:] if section and section[0] == title else section
    return " — ".join(part for part in (title, " › ".join(inner)) if part)


def listed(citations: Sequence[Cited], indent: str = "  ") -> str:
    """Numbered citations for people: document and section, and below them each quote."""
    lines: list[str] = []
    placed = groupby(citations, lambda each: (each.number, each.title, each.section, each.page))
    for (number, title, section, page), group in placed:
        head = place_in(title, section) + (f", page {page}" if page is not None else "")
        lines.append(f"{indent}{paint(f'[{number}]', 'cyan')} {paint(one_line(head, width() - 12), 'bold')}")
        told = list(group)
        if stale := told[0].stale:
            lines.append(f"{indent}    {paint(f'May be out of date: {one_line(stale, 2 * width())}', 'yellow')}")
        quotes = (f"“{one_line(each.quote, 4 * width())}”" for each in told)
        lines += [paint(wrapped(quote, f"{indent}    "), "dim") for quote in quotes]
    return "\n".join(lines)

"""A feature's answer in neutral words, from which each format's writer makes its own shape, citations included."""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator
from contextlib import aclosing

import msgspec

from headworks.formats import neutral
from headworks.formats.neutral import Cited, Closed, Counted, Grown, Opened, Started, Stopped, TextBlock
from headworks.gateway.calls import Call
from headworks.gateway.wire.parts import Event, Part, Quoted, Text
from headworks.types.retrieval import Citation, Groundedness

_KIND = "url_citation"


async def as_events(parts: AsyncGenerator[Part, None], call: Call, base_url: str) -> AsyncGenerator[Event, None]:
    """One text block with its citations, for which Completions alone has no word, and how well the answer is grounded.

    `base_url` is this server's, where documents can be opened.
    """
    yield Started(f"{call.dialect.id_prefix}{call.trace.hex}", call.model, int(time.time()))
    yield Opened(0, TextBlock(""))
    documents: dict[str, int] = {}
    cites = call.format != "completions"
    async with aclosing(parts):
        async for part in parts:
            if isinstance(part, Text):
                yield Grown(0, part.text)
            elif isinstance(part, Quoted):
                if cites:
                    yield Cited(0, _citation(part.citation, documents, base_url))
            else:
                yield Closed(0)
                yield Counted(part.usage)
                yield part.stopped if part.groundedness is None else _noted(part.stopped, part.groundedness)


def _citation(citation: Citation, documents: dict[str, int], base_url: str) -> neutral.Citation:
    """The marker, the place of the quote, and beside them what it takes to check it."""
    document = str(citation.document)
    checkable: dict[str, object] = {
        "document": document,
        "version": citation.version,
        "section": list(citation.section),
        "start": citation.start,
        "end": citation.end,
        "quote": citation.quote,
        "sha256": citation.sha256,
        "support": citation.support,
    }
    if citation.page is not None:
        checkable["page"] = citation.page
    if citation.areas:
        checkable["boxes"] = [[each.page, each.x0, each.y0, each.x1, each.y1] for each in citation.areas]
    if citation.stale:
        checkable["stale"] = citation.stale
    return neutral.Citation(
        quote=citation.quote,
        title=citation.title,
        url=f"{base_url}/documents/{document}#char={citation.start},{citation.end}",
        start=citation.marker_start,
        end=citation.marker_end,
        document=document,
        document_index=documents.setdefault(document, len(documents)),
        document_start=citation.start,
        document_end=citation.end,
        kind=_KIND,
        ext={"headworks": msgspec.Raw(msgspec.json.encode(checkable))},
    )


def _noted(stopped: Stopped, groundedness: Groundedness) -> Stopped:
    """The end, with what we measured of the answer."""
    doubts = [
        {"start": each.start, "end": each.end, "cited": each.is_cited, "support": each.support}
        | ({"missing": each.missing} if each.missing else {})
        for each in groundedness.doubts
    ]
    said = {"grounding": {**groundedness.counts(), "doubts": doubts}}
    return msgspec.structs.replace(stopped, note=msgspec.Raw(msgspec.json.encode(said)))

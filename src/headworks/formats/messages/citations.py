"""Citations: Anthropic's five kinds in neutral words, and ours as `char_location`."""

from __future__ import annotations

import msgspec

from headworks.formats.messages.objects import Members, integer, text
from headworks.formats.neutral import Citation


def read_citation(raw: msgspec.Raw, at: str) -> Citation:
    """One citation; what stood there is kept whole, and is what `write_citation` gives back."""
    members = Members(raw, at)
    kind = members.need("type", text)
    ours = {"~citation": raw}
    title = members.take("document_title", text) or members.take("title", text) or ""
    return Citation(
        quote=members.take("cited_text", text) or "",
        title=title,
        url=members.take("url", text) or "",
        document_index=members.take("document_index", integer),
        document_start=members.take("start_char_index", integer),
        document_end=members.take("end_char_index", integer),
        kind=kind,
        ext=ours,
    )


def write_citation(citation: Citation, *, is_own: bool) -> object:
    """A citation as Messages says it: as it stood, else by characters of a document, else by its address."""
    if is_own and "~citation" in citation.ext:
        return citation.ext["~citation"]
    if citation.document_index is None and citation.url and citation.document_start is None:
        return {
            "type": "web_search_result_location",
            "cited_text": citation.quote,
            "encrypted_index": "",
            "title": citation.title or None,
            "url": citation.url,
        }
    start = citation.document_start or 0
    end = start + len(citation.quote) if citation.document_end is None else citation.document_end
    said = {
        "type": "char_location",
        "cited_text": citation.quote,
        "document_index": citation.document_index or 0,
        "document_title": citation.title or None,
        "start_char_index": start,
        "end_char_index": end,
    }
    # Beside the members that Anthropic knows: what it takes to check a quote.
    return said | {"headworks": citation.ext["headworks"]} if "headworks" in citation.ext else said

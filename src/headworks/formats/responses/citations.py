"""Annotations of an `output_text`, and citations."""

from __future__ import annotations

import msgspec
from msgspec import UNSET, UnsetType

from headworks.formats.neutral import Citation, Ext
from headworks.formats.responses.members import Shape, given, put_back, raw_of, same

_URL, _FILE = "url_citation", "file_citation"
_WRITTEN = "~raw"
"""An annotation that our words would not write in the same way."""
_CHECK = "headworks"
"""What it takes to check a quote; beside the members that OpenAI knows."""


class _Annotation(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    type: str
    url: str = ""
    title: str = ""
    start_index: int | UnsetType = UNSET
    end_index: int | UnsetType = UNSET
    file_id: str | UnsetType = UNSET
    filename: str = ""
    index: msgspec.Raw | UnsetType = UNSET


_annotation = Shape(_Annotation)


class _Check(msgspec.Struct, gc=False):
    quote: str = ""


_check = msgspec.json.Decoder(_Check).decode


def read_annotation(raw: msgspec.Raw) -> Citation:
    """A citation. Raises Misread."""
    said, rest = _annotation.read(raw)
    if said.index is not UNSET:
        rest["index"] = said.index
    citation = Citation(
        quote=_quote_of(rest),
        title=said.title or said.filename,
        url=said.url,
        start=given(said.start_index),
        end=given(said.end_index),
        document=given(said.file_id),
        kind=said.type,
        ext=rest,
    )
    if not same(raw, _own(citation)):
        rest[_WRITTEN] = raw
    return citation


def write_annotation(citation: Citation, *, is_own: bool, text_length: int = 0) -> object:
    """An annotation: as it was read where it is `is_own`, else by what OpenAI's clients know.

    `text_length`, in characters, is the end of a citation that stands for all of its text.
    """
    if is_own and citation.kind:
        return citation.ext.get(_WRITTEN) or _own(citation)
    checked = citation.ext.get(_CHECK)
    extra: dict[str, object] = {} if checked is None else {_CHECK: checked}
    if checked is None and citation.quote:
        places = {"document": citation.document, "start": citation.document_start, "end": citation.document_end}
        extra = {_CHECK: {"quote": citation.quote} | {name: at for name, at in places.items() if at is not None}}
    if not citation.url:
        return {
            "type": _FILE,
            "file_id": citation.document or "",
            "filename": citation.title,
            "index": citation.document_index or 0,
            **extra,
        }
    return {
        "type": _URL,
        "start_index": citation.start or 0,
        "end_index": text_length if citation.end is None else citation.end,
        "url": citation.url,
        "title": citation.title,
        **extra,
    }


def _own(citation: Citation) -> dict[str, object]:
    """As OpenAI writes it; other kinds by the members that they have."""
    written: dict[str, object] = {"type": citation.kind}
    if citation.kind == _URL:
        written |= {"url": citation.url, "title": citation.title}
    elif citation.document is not None:
        written["file_id"] = citation.document
        if citation.title:
            written["filename"] = citation.title
    if citation.start is not None:
        written["start_index"] = citation.start
    if citation.end is not None:
        written["end_index"] = citation.end
    return put_back(written, citation.ext)


def _quote_of(rest: Ext) -> str:
    if (checked := rest.get(_CHECK)) is None:
        return ""
    try:
        return _check(checked).quote
    except msgspec.DecodeError:
        return ""


def as_raw(citation: Citation, *, is_own: bool, text_length: int) -> msgspec.Raw:
    """An annotation as JSON text."""
    return raw_of(write_annotation(citation, is_own=is_own, text_length=text_length))

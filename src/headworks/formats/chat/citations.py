"""Annotations: a `url_citation`, with our proof of the quote beside it as `headworks`."""

from __future__ import annotations

import msgspec

from headworks.formats.chat.members import Misread, Shape, kind_of, starts, under
from headworks.formats.chat.saying import put_back
from headworks.formats.neutral import Citation

_KIND = "url_citation"


class _Place(msgspec.Struct, gc=False, forbid_unknown_fields=True):
    url: str = ""
    title: str = ""
    start_index: int | None = None
    end_index: int | None = None


class _Annotation(msgspec.Struct, forbid_unknown_fields=True):
    type: str
    url_citation: msgspec.Raw


class _Proof(msgspec.Struct, gc=False):
    """What we say of a quote, as far as other formats have words for it."""

    document: str | None = None
    start: int | None = None
    end: int | None = None
    quote: str = ""


_ANNOTATION = Shape(_Annotation)
_PLACE = Shape(_Place)
_proof = msgspec.json.Decoder(_Proof).decode


def read_annotation(raw: msgspec.Raw) -> Citation:
    """One annotation; another type than ours to know stays whole in the bag. Raises Misread."""
    if kind_of(raw) != _KIND:
        return Citation(kind=kind_of(raw), ext={"annotation": raw})
    found, rest = _ANNOTATION.read(raw)
    try:
        place, inner = _PLACE.read(found.url_citation)
    except Misread as error:
        raise error.within(".url_citation") from None
    proof = _Proof()
    if "headworks" in rest and starts(rest["headworks"], b"{"):
        try:
            proof = _proof(rest["headworks"])
        except msgspec.ValidationError:
            proof = _Proof()  # not of our making: it stays in the bag all the same
    return Citation(
        quote=proof.quote,
        title=place.title,
        url=place.url,
        start=place.start_index,
        end=place.end_index,
        document=proof.document,
        document_start=proof.start,
        document_end=proof.end,
        kind=_KIND,
        ext=rest | under("url_citation", inner),
    )


def write_annotation(citation: Citation, at: int, length: int) -> object:
    """One annotation of a text that begins at character `at` of the message and has `length` characters."""
    if "annotation" in citation.ext:
        return citation.ext["annotation"]
    ext = citation.ext if citation.kind in {_KIND, ""} else {}
    place: dict[str, object] = {
        "start_index": at + (citation.start or 0),
        "end_index": at + (length if citation.end is None else citation.end),
        "title": citation.title,
        "url": citation.url,
    }
    found: dict[str, object] = {"type": _KIND, _KIND: place}
    put_back(found, ext)
    if "headworks" not in found and (proof := _proof_of(citation)):
        found["headworks"] = proof
    return found


def _proof_of(citation: Citation) -> dict[str, object]:
    """What the citation says beyond a place in the message, where it says anything."""
    said = {
        "document": citation.document,
        "document_index": citation.document_index,
        "start": citation.document_start,
        "end": citation.document_end,
        "quote": citation.quote or None,
    }
    return {name: value for name, value in said.items() if value is not None}

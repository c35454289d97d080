"""Reranking as some servers speak it: the request of Cohere and Jina in their words, and their answer in its shape.

    tei      texts in, a bare list of scores out; it has no model and no limit
    sglang   Cohere's request, a bare list out
    voyage   `top_k` in, `data` out
    data     Cohere's request, `data` out

Scores go through as they were written, the best first. Documents are those of the request, given back when asked for.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Literal

import msgspec

from headworks.errors import InvalidRequest, UpstreamError

Shape = Literal["tei", "sglang", "voyage", "data"]

_OURS: Final = frozenset(("model", "query", "documents", "top_n", "return_documents"))
_OWN: Final[Mapping[Shape, frozenset[str]]] = {
    "tei": frozenset(("raw_scores", "truncate", "truncation_direction")),
    "sglang": frozenset(("instruct",)),
    "voyage": frozenset(("truncation",)),
}
"""What else each takes. Where nothing stands, whatever the caller says goes on."""
_UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)


class _Text(msgspec.Struct):
    text: str


class _Asked(msgspec.Struct):
    query: str
    documents: list[msgspec.Raw]
    model: str = ""
    top_n: int | None = None
    return_documents: bool | None = None


class _Meta(msgspec.Struct):
    prompt_tokens: int | None = None


class _Row(msgspec.Struct):
    index: int
    score: msgspec.Raw = msgspec.Raw()
    relevance_score: msgspec.Raw = msgspec.Raw()
    meta_info: _Meta | None = None


class _Usage(msgspec.Struct):
    total_tokens: int | None = None
    prompt_tokens: int | None = None


class _Listed(msgspec.Struct):
    data: list[_Row]
    model: str | None = None
    usage: _Usage | None = None


class _Result(msgspec.Struct, omit_defaults=True):
    index: int
    relevance_score: msgspec.Raw
    document: _Text | None = None


class _Counts(msgspec.Struct):
    prompt_tokens: int
    total_tokens: int


class _Told(msgspec.Struct, omit_defaults=True):
    results: list[_Result]
    model: str
    usage: _Counts | None = None


_encode = msgspec.json.encode
_asked = msgspec.json.Decoder(_Asked).decode
_members = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_document = msgspec.json.Decoder(str | _Text).decode
_rows = msgspec.json.Decoder(list[_Row]).decode
_listed = msgspec.json.Decoder(_Listed).decode
_number = msgspec.json.Decoder(float).decode


class Reranking:
    """One request: `body` is for the server, `told` makes of its answer what the caller reads."""

    def __init__(self, shape: Shape, body: bytes) -> None:
        """Raises InvalidRequest that names what the server has no word for."""
        self._shape = shape
        self._asked = _read(body)
        texts = [_text(at, raw) for at, raw in enumerate(self._asked.documents)]
        self._texts = texts if self._asked.return_documents else None
        self.body = _written(shape, self._asked, texts, _members(body))

    def told(self, body: bytes) -> bytes:
        """A whole answer; what is an error goes on as it is. Raises UpstreamError for what is no answer."""
        try:
            if self._shape in {"tei", "sglang"} and not body.lstrip().startswith(b"["):
                return body
            if self._shape in {"tei", "sglang"}:
                found = _Listed(_rows(body))
            elif b'"data"' not in body:
                return body
            else:
                found = _listed(body)
            return _encode(self._answer(found))
        except _UNREADABLE as error:
            raise _no_answer(str(error)) from None

    def _answer(self, found: _Listed) -> _Told:
        scored = [(row, row.relevance_score if bytes(row.relevance_score) else row.score) for row in found.data]
        known = range(len(self._asked.documents))
        if len({row.index for row, _ in scored}) != len(scored) or any(row.index not in known for row, _ in scored):
            raise _no_answer("its results are not of the documents that were sent")
        scored.sort(key=lambda each: -_number(each[1]))
        best = scored if self._asked.top_n is None else scored[: self._asked.top_n]
        results = [_Result(row.index, score, self._returned(row.index)) for row, score in best]
        return _Told(results, found.model or self._asked.model, _counts(found))

    def _returned(self, index: int) -> _Text | None:
        return None if self._texts is None else _Text(self._texts[index])


def _read(body: bytes) -> _Asked:
    try:
        asked = _asked(body)
    except _UNREADABLE as error:
        raise InvalidRequest(f"The request can't be read as one to rerank: {error}.") from None
    if asked.top_n is not None and asked.top_n < 1:
        raise InvalidRequest("`top_n` must be at least 1.", param="top_n")
    return asked


def _text(at: int, raw: msgspec.Raw) -> str:
    try:
        found = _document(raw)
    except _UNREADABLE:
        raise InvalidRequest(
            f"`documents[{at}]` is neither a text nor an object with a `text`, and the target ranks texts only.",
            param=f"documents[{at}]",
        ) from None
    return found if isinstance(found, str) else found.text


def _written(shape: Shape, asked: _Asked, texts: list[str], members: Mapping[str, msgspec.Raw]) -> bytes:
    own = _OWN.get(shape)
    more = {name: value for name, value in members.items() if name not in _OURS}
    for name in more:
        if own is not None and name not in own:
            raise InvalidRequest(f"`{name}`: the target has no word for it.", param=name)
    if shape == "tei":
        return _encode({"query": asked.query, "texts": texts, **more})
    limit = {} if asked.top_n is None else {"top_k" if shape == "voyage" else "top_n": asked.top_n}
    said = {"model": asked.model, "query": asked.query, "documents": texts, "return_documents": False}
    return _encode({**said, **limit, **more})


def _counts(found: _Listed) -> _Counts | None:
    """Tokens, where they are said: of all, or of each document."""
    if found.usage is not None:
        total = found.usage.total_tokens if found.usage.total_tokens is not None else found.usage.prompt_tokens
        return None if total is None else _Counts(total, total)
    each = [row.meta_info.prompt_tokens for row in found.data if row.meta_info is not None]
    counted = [tokens for tokens in each if tokens is not None]
    return _Counts(sum(counted), sum(counted)) if counted and len(counted) == len(found.data) else None


def _no_answer(why: str) -> UpstreamError:
    return UpstreamError(
        f"The provider's answer holds no ranking: {why.rstrip('.')}.",
        next_step="Check the provider's address and kind.",
        code="upstream_not_an_answer",
    )

"""HTTP of retrieval, under `/api`: search, documents, handing in. Lists are `{"rows": […]}`, errors in OpenAI's shape.

What a caller may read is decided by the readers' lists alone; permissions only say which kinds of request it may make.
"""

from __future__ import annotations

import json
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Request, Response
from fastapi import Path as OfPath
from fastapi import Query as OfAddress
from pydantic import BaseModel, ConfigDict, Field

from headworks.errors import InvalidRequest
from headworks.identity.routes import declare, require
from headworks.retrieval.contract import (
    DocumentAt,
    DocumentView,
    Explanation,
    Item,
    Progress,
    Sync,
)
from headworks.retrieval.ingestion.batches import router as batch_routes
from headworks.retrieval.ingestion.ingest import UPLOAD, HandedIn, too_large
from headworks.retrieval.lifecycle.routes import router as lifecycle_routes
from headworks.retrieval.searching.bodies import FoundRows, Query
from headworks.retrieval.service import Retrieval
from headworks.retrieval.sources.asking import SourceView
from headworks.types.identity import Principal

router = APIRouter(tags=["retrieval"])
router.include_router(lifecycle_routes)
router.include_router(batch_routes)

_MOST_CHARACTERS = 1 << 31
_MOST_PAGES = 1_000_000
_READ, _WRITE, _EXPLAIN = "collection:read", "collection:write", "reader:explain"
Reader = Annotated[Principal, require(_READ, or_as=True)]
Writer = Annotated[Principal, require(_WRITE)]
Explainer = Annotated[Principal, require(_EXPLAIN)]

Place = Annotated[int | None, OfAddress(ge=0, le=_MOST_CHARACTERS)]
PageNumber = Annotated[int, OfPath(ge=1, le=_MOST_PAGES)]

_ACCEPTED = 202
_MOST_READERS = 200
_LONGEST_METADATA = 32 << 10
_ANY_SIZE = 1 << 40
"""Of the framework; `max_file_mb` is our own limit."""


class _Body(BaseModel):
    """What callers send: unknown fields are errors."""

    model_config = ConfigDict(extra="forbid", strict=True)


class Upload(_Body):
    """`?path=policies/claims.md&metadata={"year":2024}`: of a file that is handed in.

    `readers` are names, parted by commas; empty: nobody; `*`: as the collection; left out: as it was, for a new
    document as the collection. `deny`: whom it is closed to whatever list admits them; left out: as it was. `metadata`
    is a JSON object, for filters; left out: as it was.
    """

    path: str
    sync: str | None = None
    source: str = UPLOAD
    readers: str | None = None
    deny: str | None = None
    metadata: str | None = Field(default=None, max_length=_LONGEST_METADATA)


class Source(_Body):
    """`{"source": "folder:/srv/handbook"}`: what vanishes from the same source is removed."""

    source: str


class Seen(_Body):
    """`{"seen": ["a.md", "b/c.md"]}`: every path that the source has now."""

    seen: list[str] = Field(max_length=1_000_000)


class Sources(BaseModel):
    """The sources of a collection, by name."""

    rows: list[SourceView]


class Question(_Body):
    """`{"document": "policies/claims.md", "principal": "jane", "collection": "handbook"}`; collection optional."""

    document: str
    principal: str
    collection: str | None = None


class Paths(_Body):
    """`{"paths": ["policies/claims.md"]}`: at most 1,000, as documents were handed in."""

    paths: list[str]


class DocumentRows(BaseModel):
    """The documents among the asked ones that the caller may read, by path."""

    rows: list[DocumentAt]


class ReadableCollection(BaseModel):
    """A collection with how many of its documents the caller may read.

    Not its epoch, which moves with documents of which the caller must not even know.
    """

    name: str
    description: str
    documents: int


class Collections(BaseModel):
    """The collections that the caller may read."""

    rows: list[ReadableCollection]


def _retrieval(request: Request) -> Retrieval:
    found: Retrieval = request.app.state.retrieval
    return found


@router.post("/api/search", openapi_extra=declare(_READ, None, "search"))
async def search(request: Request, body: Query, caller: Reader) -> FoundRows:
    """The passages of a collection that come closest to a query, of what the caller may read."""
    found = await _retrieval(request).search(
        caller, body.collection, body.query, body.k, ranking=body.ranking, wanted=body.wanted()
    )
    return FoundRows.of(found)


@router.get("/api/collections", openapi_extra=declare(_READ, None))
async def list_collections(request: Request, caller: Reader) -> Collections:
    """The collections that the caller may read, with how many of their documents."""
    found = await _retrieval(request).list_collections(caller)
    return Collections(
        rows=[
            ReadableCollection(name=each.name, description=each.description, documents=each.documents) for each in found
        ]
    )


@router.post("/api/collections/{name}/documents/find", openapi_extra=declare(_READ, None))
async def find_documents(request: Request, name: str, body: Paths, caller: Reader) -> DocumentRows:
    """The ids of documents by their paths. One that the caller may not read is not there."""
    return DocumentRows(rows=await _retrieval(request).find_documents(caller, name, body.paths))


@router.get("/api/documents/{document}", openapi_extra=declare(_READ, None))
async def document(
    request: Request, document: str, caller: Reader, start: Place = None, end: Place = None
) -> DocumentView:
    """A document's stored text and headings. One that the caller may not read is not there.

    With `start` and `end`, characters of the text, also the page that they begin on, and where they stand there.
    """
    place = None if start is None else (start, start if end is None else end)
    return await _retrieval(request).document(caller, _named(document), place)


@router.get(
    "/api/documents/{document}/pages/{page}",
    openapi_extra=declare(_READ, None),
    response_class=Response,
    responses={200: {"content": {"image/png": {}}, "description": "The page, drawn at up to 144 dots in an inch."}},
)
async def page(request: Request, document: str, page: PageNumber, caller: Reader) -> Response:
    """A page (from 1) of a PDF as it is printed, as a picture. A document that the caller may not read is not there.

    `x-headworks-page-size` is its width and height in points, as the boxes of citations count; `x-headworks-pages` how
    many the document has. Where the original is not kept, or holds what is kept apart, there are no pictures.
    """
    drawn = await _retrieval(request).page(caller, _named(document), page)
    size = {"x-headworks-page-size": f"{drawn.width:g} {drawn.height:g}", "x-headworks-pages": str(drawn.pages)}
    return Response(drawn.png, media_type="image/png", headers=size)


def _named(document: str) -> UUID:
    """The id; of what is none, one that nothing has."""
    try:
        return UUID(document)
    except ValueError:
        return UUID(int=0)


@router.put(
    "/api/collections/{name}/documents",
    status_code=_ACCEPTED,
    max_body_size=_ANY_SIZE,
    openapi_extra=declare(_WRITE, None, "upload"),
)
async def hand_in(
    request: Request,
    name: str,
    caller: Writer,
    upload: Annotated[Upload, OfAddress()],
) -> Item:
    """Hand in one file, as the raw body: 202 when it is stored and will be worked on.

    With the header `Idempotency-Key` the same one again is the same hand-in, for 30 days: nothing is stored twice.
    """
    names = None if upload.readers is None else _names("readers", upload.readers)
    denied = None if upload.deny is None else _names("deny", upload.deny)
    said = None if upload.metadata is None else _metadata(upload.metadata)
    data = await _body(request, _retrieval(request).ingestion.max_file_bytes)
    kind = request.headers.get("content-type", "")
    key = request.headers.get("idempotency-key", "")
    file = HandedIn(upload.path, data, kind, names, upload.sync, upload.source, said, denied, key)
    return await _retrieval(request).hand_in(caller, name, file)


def _metadata(given: str) -> dict[str, Any]:
    """What is said of a document; its keys and values are checked when it is stored."""
    try:
        found = json.loads(given)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise InvalidRequest(
            "`metadata` is no JSON object.",
            next_step='Like `metadata={"year": 2024}`, percent-encoded.',
            param="metadata",
        )
    return found


def _names(param: str, given: str) -> list[str]:
    """Names that are parted by commas. Too many are refused: of deny entries none may be left out."""
    names = [each.strip() for each in given.split(",") if each.strip()]
    if len(names) > _MOST_READERS:
        raise InvalidRequest(
            f"`{param}` names {len(names)} principals, at most {_MOST_READERS} at once.",
            next_step="Make a group of them, and name that.",
            param=param,
        )
    return names


async def _body(request: Request, limit: int) -> bytes:
    """The whole body, or BodyTooLarge as soon as it is known to be."""
    length = request.headers.get("content-length", "")
    if length.isdigit() and int(length) > limit:
        raise too_large(limit)
    data = bytearray()
    async for part in request.stream():
        data += part
        if len(data) > limit:
            raise too_large(limit)
    return bytes(data)


@router.post("/api/collections/{name}/syncs", status_code=201, openapi_extra=declare(_WRITE, None))
async def begin_sync(request: Request, name: str, body: Source, caller: Writer) -> Sync:
    """Begin a pass over a source. `known`: what need not be handed in again, with its SHA-256."""
    return await _retrieval(request).begin_sync(caller, name, body.source)


@router.post("/api/collections/{name}/syncs/{sync}/finish", openapi_extra=declare(_WRITE, None))
async def finish_sync(request: Request, name: str, sync: str, body: Seen, caller: Writer) -> Progress:
    """End a pass: what of the source was not seen vanishes at once."""
    return await _retrieval(request).finish_sync(caller, sync, body.seen, collection=name)


@router.get("/api/collections/{name}/syncs/{sync}", openapi_extra=declare(_WRITE, None))
async def progress(request: Request, name: str, sync: str, caller: Writer) -> Progress:
    """How far a sync of the caller's is, and which files failed."""
    return await _retrieval(request).progress(caller, collection=name, sync=sync)


@router.post("/api/collections/{name}/sources/sync", status_code=_ACCEPTED, openapi_extra=declare(_WRITE, None))
async def sync_sources(request: Request, name: str, caller: Writer, *, allow_deletions: bool = False) -> Sources:
    """Ask for a sync of every source of the collection's file: 202 when it will be done, without waiting for it.

    `allow_deletions`: what the last sync has held back, because too many documents were gone, may go.
    """
    return Sources(rows=await _retrieval(request).sync_sources(caller, name, confirms_deletions=allow_deletions))


@router.get("/api/collections/{name}/sources", openapi_extra=declare(_WRITE, None))
async def list_sources(request: Request, name: str, caller: Writer) -> Sources:
    """The sources of the collection's file: how far their syncs are, and what failed by name."""
    return Sources(rows=await _retrieval(request).list_sources(caller, name))


@router.get("/api/collections/{name}/progress", openapi_extra=declare(_WRITE, None))
async def progress_of_all(request: Request, name: str, caller: Writer) -> Progress:
    """How far everything is that the caller handed in to a collection."""
    return await _retrieval(request).progress(caller, collection=name)


@router.post("/api/readers/explain", openapi_extra=declare(_EXPLAIN, "reader.explain"))
async def explain(request: Request, body: Question, caller: Explainer) -> Explanation:
    """Why somebody may or may not read a document, named by its path or id."""
    return await _retrieval(request).explain(caller, body.collection, body.document, body.principal)

"""HTTP of the life of documents, under `/api`: failures, versions, health, erasure, legal holds, durable work."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Request
from fastapi import Query as OfAddress
from pydantic import BaseModel, ConfigDict, Field

from headworks.errors import InvalidRequest, NotFound
from headworks.identity.routes import declare, require
from headworks.jobs.control import RunView
from headworks.retrieval.ingestion.ingest import UPLOAD
from headworks.retrieval.lifecycle.erasure import Receipt
from headworks.retrieval.lifecycle.failures import MOST_PATHS, FailedItem, Retried
from headworks.retrieval.lifecycle.health import Health
from headworks.retrieval.lifecycle.history import Version
from headworks.retrieval.lifecycle.holds import Hold, HoldKind
from headworks.retrieval.lifecycle.service import LifeCycle
from headworks.retrieval.lifecycle.work import LaneMoved, RunTold, WorkView
from headworks.types.identity import Principal

router = APIRouter(tags=["life cycle"])

_READ, _WRITE, _ERASE, _AUDIT = "collection:read", "collection:write", "data:erase", "audit:read"
_SEE_JOBS, _MOVE_JOBS = "job:read", "job:write"
Reader = Annotated[Principal, require(_READ)]
Writer = Annotated[Principal, require(_WRITE)]
Eraser = Annotated[Principal, require(_ERASE)]
Auditor = Annotated[Principal, require(_ERASE, _AUDIT)]
Watcher = Annotated[Principal, require(_SEE_JOBS)]
Mover = Annotated[Principal, require(_MOVE_JOBS)]


class _Body(BaseModel):
    """What callers send: unknown fields are errors."""

    model_config = ConfigDict(extra="forbid", strict=True)


class Failed(BaseModel):
    """Files that could not be taken, by path."""

    rows: list[FailedItem]


class Retry(_Body):
    """`{"codes": ["needs_ocr"]}`, `{"paths": ["a.pdf"]}`, or `{}`: all that failed."""

    codes: list[str] | None = Field(default=None, max_length=100)
    paths: list[str] | None = Field(default=None, max_length=MOST_PATHS)


class Gone(_Body):
    """`{"paths": ["drafts/old.md"], "source": "upload"}`: what is to vanish. `null` is whatever was handed in."""

    paths: list[str] = Field(max_length=MOST_PATHS)
    source: str | None = UPLOAD


class Vanished(BaseModel):
    """How many documents, or files that waited to become one, vanished."""

    vanished: int


class Versions(BaseModel):
    """The versions of a document, the newest first."""

    rows: list[Version]


class VersionText(BaseModel):
    """The stored text of a version."""

    version: int
    text: str


class Purge(_Body):
    """`{"at_once": true}`: also what has not been kept for as long as the collection's file says."""

    at_once: bool = False


class Receipts(BaseModel):
    """Receipts of what was removed for good, the newest first."""

    rows: list[Receipt]


class Erase(_Body):
    """`{"document": "…", "reason": "…"}` by its id, or by its path and `collection`; or `{"person": "jane", …}`.

    `with_documents`: also what the person handed in. `labels`: what callers named the person by as end user. `reason`
    stands on the receipt, for good: no names.
    """

    document: str | None = None
    collection: str | None = None
    person: str | None = None
    with_documents: bool = False
    labels: list[str] = Field(default_factory=list, max_length=100)
    reason: str


class Place(_Body):
    """`{"kind": "document", "name": "policies/claims.md", "collection": "handbook", "reason": "case 2026-17"}`."""

    kind: HoldKind
    name: str
    reason: str
    collection: str | None = None


class Holds(BaseModel):
    """Legal holds, the oldest first."""

    rows: list[Hold]


class Lane(_Body):
    """`{"lane": "handbook"}`: the ingestion of a collection; `handbook/website`: the syncs of one of its sources."""

    lane: str


def _lifecycle(request: Request) -> LifeCycle:
    found: LifeCycle = request.app.state.retrieval.lifecycle
    return found


_LISTED = {noun: f"`headworks {noun} list` shows them." for noun in ("hold", "receipt")}


def _uuid(value: str, noun: str) -> UUID:
    try:
        return UUID(value)
    except ValueError:
        raise NotFound(f"There is no such {noun}.", next_step=_LISTED.get(noun, ""), param=noun) from None


# ── Failures, and deletion by path ──


@router.get("/api/collections/{name}/failed", openapi_extra=declare(_WRITE, None))
async def list_failed(request: Request, name: str, caller: Writer) -> Failed:
    """What could not be taken: what the caller handed in, and of the file's sources; all for who may erase."""
    return Failed(rows=await _lifecycle(request).failures.listed(caller, name))


@router.post("/api/collections/{name}/failed/retry", status_code=202, openapi_extra=declare(_WRITE, None))
async def retry_failed(request: Request, name: str, body: Retry, caller: Writer) -> Retried:
    """Try again what failed, from the originals that were kept; sources are asked again for theirs."""
    return await _lifecycle(request).failures.retry(caller, name, body.codes, body.paths)


@router.post("/api/collections/{name}/documents/delete", openapi_extra=declare(_WRITE, None))
async def delete_documents(request: Request, name: str, body: Gone, caller: Writer) -> Vanished:
    """Let documents vanish by their paths, at once; they are purged later. Paths that are not there are left out."""
    return Vanished(vanished=await _lifecycle(request).failures.delete(caller, name, body.source, body.paths))


# ── Versions and health ──


@router.get("/api/documents/{document}/versions", openapi_extra=declare(_READ, None))
async def list_versions(request: Request, document: str, caller: Reader) -> Versions:
    """Who brought which version of a document when. What the caller may not read, or could not then, is not there."""
    return Versions(rows=await _lifecycle(request).history.versions(caller, _uuid(document, "document")))


@router.get("/api/documents/{document}/versions/{version}", openapi_extra=declare(_WRITE, None))
async def read_version(request: Request, document: str, version: int, caller: Writer) -> VersionText:
    """The text of a version, until it is purged, for who could read it then and may read the document now."""
    text = await _lifecycle(request).history.text(caller, _uuid(document, "document"), version)
    return VersionText(version=version, text=text)


@router.get("/api/collections/{name}/health", openapi_extra=declare(_WRITE, None))
async def health(request: Request, name: str, caller: Writer) -> Health:
    """How a collection is, in numbers: what waits, failed, is stale or can't be opened, and what to do about it."""
    return await _lifecycle(request).checkup.health(caller, name)


# ── Removing for good ──


@router.post("/api/collections/{name}/purge", openapi_extra=declare(_ERASE, "data.purge"))
async def purge(request: Request, name: str, body: Purge, caller: Eraser) -> Receipts:
    """Remove for good what vanished or was replaced long enough ago. What a legal hold stands on stays."""
    return Receipts(rows=await _lifecycle(request).erasure.purge_all(caller, name, at_once=body.at_once))


@router.post("/api/erasures", openapi_extra=declare(_ERASE, "data.erase"))
async def erase(request: Request, body: Erase, caller: Eraser) -> Receipt:
    """Remove a document, or what is of a person, for good and at once. 409 `legal_hold` where a hold stands on it."""
    erasure = _lifecycle(request).erasure
    if (body.document is None) == (body.person is None):
        raise InvalidRequest("Either `document` or `person` is to be erased.", param="document")
    if body.document is not None:
        return await erasure.erase_document(caller, body.collection, body.document, body.reason)
    return await erasure.erase_person(
        caller, body.person or "", body.reason, with_documents=body.with_documents, labels=body.labels
    )


@router.get("/api/receipts", openapi_extra=declare("data:erase|audit:read", None))
async def list_receipts(
    request: Request, caller: Auditor, limit: Annotated[int, OfAddress(ge=1, le=1_000)] = 100
) -> Receipts:
    """What was removed for good: ids, hashes and numbers, never text, paths or names."""
    return Receipts(rows=await _lifecycle(request).erasure.receipts(caller, limit=limit))


@router.get("/api/receipts/{receipt}", openapi_extra=declare("data:erase|audit:read", None))
async def show_receipt(request: Request, receipt: str, caller: Auditor) -> Receipt:
    """One receipt."""
    for found in await _lifecycle(request).erasure.receipts(caller, _uuid(receipt, "receipt")):
        return found
    raise NotFound("There is no such receipt.", next_step=_LISTED["receipt"], param="receipt")


@router.post("/api/holds", status_code=201, openapi_extra=declare(_ERASE, "hold.place"))
async def place_hold(request: Request, body: Place, caller: Eraser) -> Hold:
    """Let nothing of a document, a collection or a person be purged or erased until the hold is released."""
    return await _lifecycle(request).holds.place(caller, body.kind, body.name, body.reason, body.collection)


@router.get("/api/holds", openapi_extra=declare("data:erase|audit:read", None))
async def list_holds(request: Request, caller: Auditor) -> Holds:
    """The legal holds of the tenant."""
    return Holds(rows=await _lifecycle(request).holds.listed(caller))


@router.delete("/api/holds/{hold}", openapi_extra=declare(_ERASE, "hold.release"))
async def release_hold(request: Request, hold: str, caller: Eraser) -> Hold:
    """Release a legal hold, and see what it was."""
    return await _lifecycle(request).holds.release(caller, _uuid(hold, "hold"))


# ── Durable work ──


@router.get("/api/jobs", openapi_extra=declare(_SEE_JOBS, None))
async def list_jobs(request: Request, caller: Watcher, *, every: bool = False) -> WorkView:
    """What runs, waits, is paused, failed or died, by lane; `every`: also what is over."""
    return await _lifecycle(request).work.listed(caller, every=every)


@router.get("/api/jobs/{run}", openapi_extra=declare(_SEE_JOBS, None))
async def show_job(request: Request, run: str, caller: Watcher) -> RunTold:
    """A run with its last steps."""
    return await _lifecycle(request).work.show(caller, run)


@router.post("/api/jobs/pause", openapi_extra=declare(_MOVE_JOBS, "job.pause"))
async def pause_lane(request: Request, body: Lane, caller: Mover) -> LaneMoved:
    """Let nothing more run in a lane until it is resumed, also after a restart. A step that runs ends first."""
    return await _lifecycle(request).work.pause(caller, body.lane)


@router.post("/api/jobs/resume", openapi_extra=declare(_MOVE_JOBS, "job.resume"))
async def resume_lane(request: Request, body: Lane, caller: Mover) -> LaneMoved:
    """Go on where the lane was paused."""
    return await _lifecycle(request).work.resume(caller, body.lane)


@router.post("/api/jobs/{run}/cancel", openapi_extra=declare(_MOVE_JOBS, "job.cancel"))
async def cancel_job(request: Request, run: str, caller: Mover) -> RunView:
    """End a run after its step; of a sync, the whole sync: nothing is removed by it."""
    return await _lifecycle(request).work.cancel(caller, run)


@router.post("/api/jobs/{run}/retry", openapi_extra=declare(_MOVE_JOBS, "job.retry"))
async def retry_job(request: Request, run: str, caller: Mover) -> RunView:
    """Try a run again that failed, died or was cancelled."""
    return await _lifecycle(request).work.retry(caller, run)

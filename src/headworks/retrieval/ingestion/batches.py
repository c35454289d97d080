"""Many small files in one request: each is taken or refused by itself, and told so in the same order."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import APIRouter, Request
from pydantic import BaseModel, ConfigDict, Field

from headworks.errors import HeadworksError, InvalidRequest
from headworks.identity.routes import declare, require
from headworks.retrieval.contract import Item
from headworks.retrieval.ingestion.ingest import UPLOAD, HandedIn, Ingestion
from headworks.types.identity import Principal
from headworks.types.storable import storable

router = APIRouter(tags=["retrieval"])
Writer = Annotated[Principal, require("collection:write")]

MOST_FILES = 1_000
MOST_BYTES = 64 << 20
_MOST_NAMES = 200
_STORED_AT_ONCE = 50
_BYTES_AT_ONCE = 1 << 20


class File(BaseModel):
    """`{"path": "a.md", "text": "# A"}`, or `base64` of its bytes; the rest as of `PUT …/documents`, lists as lists.

    `idempotency_key`: the same one again is the same hand-in, for 30 days.
    """

    model_config = ConfigDict(extra="forbid", strict=True)

    path: str
    text: str | None = None
    base64: str | None = None
    media_type: str = Field(default="", max_length=200)
    readers: list[str] | None = Field(default=None, max_length=_MOST_NAMES)
    deny: list[str] | None = Field(default=None, max_length=_MOST_NAMES)
    metadata: dict[str, Any] | None = None
    idempotency_key: str = Field(default="", max_length=200)


class Batch(BaseModel):
    """`{"files": [{"path": "a.md", "text": "# A"}], "source": "wiki"}`; at most 1,000 files and 64 MB."""

    model_config = ConfigDict(extra="forbid", strict=True)

    files: list[File] = Field(max_length=MOST_FILES)
    source: str = UPLOAD
    sync: str | None = None


@dataclass(frozen=True, slots=True)
class Refused:
    """Why a file was not taken; `code` as of any other error."""

    code: str
    message: str


@dataclass(frozen=True, slots=True)
class Result:
    """What became of a file: `item` and its state when it is stored, else `error`."""

    path: str
    item: str | None
    state: str
    error: Refused | None


class BatchResults(BaseModel):
    """One for each file, in the order in which they came; `taken` of them are stored."""

    taken: int
    rows: list[Result]


@router.post(
    "/api/collections/{name}/documents/batch",
    status_code=202,
    max_body_size=MOST_BYTES,
    openapi_extra=declare("collection:write", None, "upload"),
)
async def hand_in_batch(request: Request, name: str, body: Batch, caller: Writer) -> BatchResults:
    """Hand in many small files: 202 with a result for each, also when some or all of them were refused."""
    ingestion: Ingestion = request.app.state.retrieval.ingestion
    rows = await hand_in_all(ingestion, caller, name, body)
    return BatchResults(taken=sum(row.error is None for row in rows), rows=rows)


async def hand_in_all(ingestion: Ingestion, principal: Principal, collection: str, batch: Batch) -> list[Result]:
    """Some at a time in one transaction. Raises NotFound for a collection that is not there."""
    await ingestion.check(principal, collection)
    results: list[Result] = []
    for some in _in_parts(batch.files):
        read = [_read(batch, file) for file in some]
        good = [each for each in read if isinstance(each, HandedIn)]
        stored = iter(await ingestion.hand_in_several(principal, collection, good))
        outcomes = [next(stored) if isinstance(each, HandedIn) else each for each in read]
        results += [_result(file, outcome) for file, outcome in zip(some, outcomes, strict=True)]
    return results


def _in_parts(files: Sequence[File]) -> Iterator[list[File]]:
    """A few at a time, so that nobody waits long for a lock; one with a key of its own, which is a lock, alone."""
    part: list[File] = []
    size = 0
    for file in files:
        length = _BYTES_AT_ONCE if file.idempotency_key else len(file.text or file.base64 or "")
        if part and (len(part) == _STORED_AT_ONCE or size + length > _BYTES_AT_ONCE):
            yield part
            part, size = [], 0
        part.append(file)
        size += length
    if part:
        yield part


def _read(batch: Batch, file: File) -> HandedIn | HeadworksError:
    try:
        return _as_handed_in(batch, file)
    except HeadworksError as error:
        return error


def _result(file: File, outcome: Item | HeadworksError) -> Result:
    if isinstance(outcome, HeadworksError):
        return Result(storable(file.path), None, "refused", Refused(outcome.code, storable(str(outcome))))
    return Result(file.path, outcome.id, outcome.state, None)


def _as_handed_in(batch: Batch, file: File) -> HandedIn:
    if (file.text is None) == (file.base64 is None):
        raise InvalidRequest("A file has either `text` or `base64`.", param="files")
    if file.base64 is None:
        data = (file.text or "").encode(errors="replace")
    else:
        try:
            data = base64.b64decode(file.base64, validate=True)
        except (binascii.Error, ValueError):
            raise InvalidRequest("What stands in `base64` is not base64.", param="files") from None
    return HandedIn(
        file.path, data, file.media_type or ("text/plain" if file.text is not None else ""), file.readers, batch.sync,
        batch.source, file.metadata, file.deny, file.idempotency_key,
    )  # fmt: skip

"""HTTP of traces, under `/api`."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Query, Request
from pydantic import BaseModel

from headworks.identity.routes import declare, require
from headworks.observability.service import Traces
from headworks.types.identity import Principal

router = APIRouter(tags=["traces"])

Viewer = Annotated[Principal, require("trace:own", "trace:read")]
_PERMISSION = "trace:own|trace:read"


class SpanBody(BaseModel):
    """One stage; times in microseconds, `offset_us` from the start of the trace."""

    span: UUID
    parent: UUID | None
    name: str
    offset_us: int
    duration_us: int
    status: str
    attributes: dict[str, Any]
    payload: Any = None
    withheld: bool
    """The payload may hold text of a document that the viewer can't read now."""


class TraceBody(BaseModel):
    """A request: its usage row, the calls that it caused, its spans."""

    trace: UUID
    arrived_at: datetime
    usage: dict[str, Any]
    calls: list[dict[str, Any]]
    spans: list[SpanBody]


def _traces(request: Request) -> Traces:
    found: Traces = request.app.state.traces
    return found


@router.get("/api/traces", openapi_extra=declare(_PERMISSION, None))
async def tail(
    request: Request,
    caller: Viewer,
    most: Annotated[int, Query(ge=1, le=1000)] = 50,
    hours: Annotated[int, Query(ge=1, le=24 * 90)] = 24,
    *,
    internal: bool = False,
) -> dict[str, list[dict[str, Any]]]:
    """The newest requests: the caller's own, everybody's with `trace:read`; `internal` adds what they caused."""
    return {"rows": await _traces(request).tail(caller, most=most, hours=hours, internal=internal)}


@router.get("/api/traces/{trace}", openapi_extra=declare(_PERMISSION, None))
async def show(request: Request, trace: UUID, caller: Viewer) -> TraceBody:
    """One request with its stages."""
    view = await _traces(request).show(caller, trace)
    return TraceBody(
        trace=view.trace,
        arrived_at=view.arrived_at,
        usage=view.usage,
        calls=list(view.calls),
        spans=[
            SpanBody(
                span=each.span,
                parent=each.parent,
                name=each.name,
                offset_us=each.offset_us,
                duration_us=each.duration_us,
                status=each.status,
                attributes=each.attributes,
                payload=each.payload,
                withheld=each.is_withheld,
            )
            for each in view.spans
        ],
    )

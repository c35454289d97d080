"""Traces, as others may ask for them: always under the rights of who looks, at the moment of looking."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import orjson

from headworks.errors import Forbidden, NotFound
from headworks.storage import queries
from headworks.storage.pool import Database
from headworks.storage.sealing import Keyring
from headworks.types.identity import Principal

_SQL = queries.load(__package__)


@dataclass(frozen=True, slots=True)
class SpanView:
    """One stage. `offset_us` counts from the start of the trace; `is_withheld`: the payload is not for this viewer."""

    span: UUID
    parent: UUID | None
    name: str
    offset_us: int
    duration_us: int
    status: str
    attributes: dict[str, Any]
    payload: Any
    is_withheld: bool


@dataclass(frozen=True, slots=True)
class TraceView:
    """A request: the usage row of its answer, those of the calls that it caused, and its spans in order."""

    trace: UUID
    arrived_at: datetime
    usage: dict[str, Any]
    calls: tuple[dict[str, Any], ...]
    spans: tuple[SpanView, ...]


class Traces:
    """What was recorded."""

    def __init__(self, db: Database, keyring: Keyring) -> None:
        self._db = db
        self._keyring = keyring

    async def tail(
        self, principal: Principal, *, most: int = 50, hours: int = 24, internal: bool = False
    ) -> list[dict[str, Any]]:
        """The newest usage rows: the caller's own, everybody's with `trace:read`."""
        async with self._db.tx(principal) as tx:
            rows = await tx.fetch_all(_SQL["tail"], most=most, hours=hours, internal=internal, **_scope(principal))
        return [row._asdict() for row in rows]

    async def show(self, principal: Principal, trace: UUID) -> TraceView:
        """One trace. NotFound when there is none, and when it is somebody else's: the two read the same."""
        await self._keyring.ensure(self._db, principal.tenant)
        scope = {"trace": trace, **_scope(principal)}
        async with self._db.tx(principal) as tx:
            usage = [row._asdict() for row in await tx.fetch_all(_SQL["usage_of_trace"], **scope)]
            spans = await tx.fetch_all(_SQL["spans_of_trace"], **scope)
        # Calls that a request causes are recorded before it is: without its own row the trace is not whole yet.
        answer = next((row for row in usage if row["request_id"] == trace), None)
        if answer is None:
            raise NotFound(f"There is no trace {trace} that you may see.", next_step="Records arrive within a second.")
        start = min([span.started_at for span in spans], default=answer["arrived_at"])
        return TraceView(
            trace,
            answer["arrived_at"],
            answer,
            tuple(row for row in usage if row is not answer),
            tuple(self._view(principal, span, start) for span in spans),
        )

    def _view(self, principal: Principal, row: Any, start: datetime) -> SpanView:  # noqa: ANN401 -- a row
        payload = None
        if row.payload is not None:
            payload = orjson.loads(self._keyring.open(principal.tenant, "span.payload", row.span_id, row.payload))
        return SpanView(
            row.span_id,
            row.parent_id,
            row.name,
            round((row.started_at - start).total_seconds() * 1e6),
            row.duration_us,
            row.status,
            row.attributes,
            payload,
            not row.is_readable,
        )


def _scope(principal: Principal) -> dict[str, object]:
    everybody = principal.may("trace:read")
    if not everybody and not principal.may("trace:own"):
        raise Forbidden("Traces need the permission `trace:own` or `trace:read`.")
    return {"tenant": principal.tenant, "principal": principal.id, "everybody": everybody}

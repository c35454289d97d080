"""What is written down about each call: one usage row, and spans for a feature's stages."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec


class UsageRow(msgspec.Struct, array_like=True, gc=False):
    """One call of a model, as the journal and the table `usage` keep it: in this order, encoded by one call.

    Times are microseconds of the stage, money is micro-dollars; `cost_micro_usd` None: no price is known.
    `arrived_at` knows its time zone, and is written in UTC.
    """

    tenant_id: UUID
    arrived_at: datetime
    request_id: UUID
    trace_id: UUID
    surface: str
    purpose: str
    asked_model: str
    status: int = 0
    streamed: bool = False
    total_us: int = 0
    principal_id: UUID | None = None
    key_id: UUID | None = None
    feature: str | None = None
    channel: str | None = None
    release: str | None = None
    provider: str | None = None
    model: str | None = None
    error_code: str | None = None
    attempts: int = 1
    input_tokens: int | None = None
    cached_input_tokens: int | None = None
    output_tokens: int | None = None
    is_estimated: bool = False
    cost_micro_usd: int | None = None
    price_version: str | None = None
    end_user: str | None = None
    admit_us: int | None = None
    retrieval_us: int | None = None
    render_us: int | None = None
    first_byte_us: int | None = None
    upstream_us: int | None = None
    cache_write_tokens: int | None = None
    cache_write_1h_tokens: int | None = None
    reasoning_tokens: int | None = None
    audio_input_tokens: int | None = None
    audio_output_tokens: int | None = None
    service_tier: str | None = None
    continuations: int = 0
    """How often another target went on with the text of one whose stream was cut off."""


@dataclass(slots=True)
class Span:
    """One stage of a feature's request.

    `payload` is sealed before it leaves the process; `documents` are those whose text the payload may hold, so that
    it is shown only to who may read them all. `attributes` never hold text of users or documents. Times: `arrived_at`
    and `started_at` know their time zone, `duration_us` is microseconds.
    """

    tenant_id: UUID
    arrived_at: datetime
    trace_id: UUID
    span_id: UUID
    name: str
    started_at: datetime
    parent_id: UUID | None = None
    principal_id: UUID | None = None
    key_id: UUID | None = None
    duration_us: int = 0
    status: str = "ok"
    release: str | None = None
    input_tokens: int | None = None
    output_tokens: int | None = None
    cost_micro_usd: int | None = None
    attributes: dict[str, Any] = field(default_factory=dict)
    documents: list[UUID] = field(default_factory=list)
    payload: bytes | None = None

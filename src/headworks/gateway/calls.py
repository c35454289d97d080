"""A call as it came in, and what the caller is told beside the answer."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import msgspec

from headworks.gateway.wire.bodies import Body
from headworks.gateway.wire.headers import Header
from headworks.providers.contract import Surface
from headworks.types.identity import Principal
from headworks.types.models import Message, Purpose


class Asked(msgspec.Struct, kw_only=True):
    """What is asked, on which trace: what a record begins with. `started_ns` is of time.perf_counter_ns."""

    surface: str
    model: str
    trace: UUID
    arrived_at: float
    started_ns: int
    purpose: Purpose = "answer"
    streams: bool = False
    end_user: str | None = None


class Call(Asked, kw_only=True):
    """One request from outside.

    `wants_usage`: the caller asked for usage in the stream. `caller`: somebody signed in, who has no key here.
    `forwarded` are headers that go on to the provider. `reply` are headers of ours for the answer, whatever becomes of
    it; steps of the pipeline add to it.
    """

    surface: Surface
    token: str
    body: Body
    reply: list[Header]
    wants_usage: bool = False
    caller: Principal | None = None
    forwarded: tuple[Header, ...] = ()


class Question(msgspec.Struct, frozen=True):
    """What a feature is asked, once the caller's request is read and checked.

    `text` is the last user message, `history` the turns before it, `inputs` the others with their defaults,
    `max_output` tokens: the feature's own cap or the caller's lower one. `system` and `extra` are what
    the feature accepts beside.
    """

    text: str
    history: tuple[Message, ...] = ()
    inputs: dict[str, Any] = msgspec.field(default_factory=dict)
    max_output: int = 0
    system: tuple[Message, ...] = ()
    extra: dict[str, Any] = msgspec.field(default_factory=dict)
    numbering: Any = None
    """The guardrail's placeholders, so that passages get the same for the same value."""

"""A call as it came in, and what the caller is told beside the answer."""

from __future__ import annotations

import time
from typing import Any
from uuid import UUID

import msgspec

from headworks.gateway.wire.bodies import Body
from headworks.gateway.wire.headers import Header
from headworks.providers.contract import Surface
from headworks.types.identity import Principal
from headworks.types.ids import new_id
from headworks.types.models import Message, Purpose


class Asked(msgspec.Struct, frozen=True, gc=False):
    """Who asks what, on which trace: what a record begins with. `started_ns` is of time.perf_counter_ns."""

    principal: Principal
    surface: str
    model: str
    trace: UUID
    arrived_at: float
    started_ns: int
    purpose: Purpose = "answer"
    streams: bool = False
    end_user: str | None = None


class Call(msgspec.Struct):
    """One request from outside.

    `wants_usage`: the caller asked for usage in the stream. `caller`: somebody signed in, who has no key
    here. `forwarded` are headers that go on to the provider. `reply`
    are headers of ours for the answer, whatever becomes of it; steps of the pipeline add to it.
    """

    surface: Surface
    token: str
    model: str
    body: Body
    streams: bool = False
    wants_usage: bool = False
    end_user: str | None = None
    caller: Principal | None = None
    forwarded: tuple[Header, ...] = ()
    trace: UUID = msgspec.field(default_factory=new_id)
    arrived_at: float = msgspec.field(default_factory=time.time)
    started_ns: int = msgspec.field(default_factory=time.perf_counter_ns)
    reply: list[Header] = msgspec.field(default_factory=list)

    def asked_by(self, principal: Principal) -> Asked:
        """Who asks what, for the record."""
        return Asked(
            principal,
            self.surface,
            self.model,
            self.trace,
            self.arrived_at,
            self.started_ns,
            streams=self.streams,
            end_user=self.end_user,
        )


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

"""A call as it came in, and what the caller is told beside the answer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol
from uuid import UUID

import msgspec

from headworks.formats.contract import Spoken
from headworks.formats.messages.format import MESSAGES
from headworks.formats.neutral import FormatName, Request
from headworks.formats.responses.format import RESPONSES
from headworks.gateway.dialects import Dialect
from headworks.gateway.plans import Aim, Bound, Plan
from headworks.gateway.translation import aimed
from headworks.gateway.wire.bodies import Body
from headworks.gateway.wire.headers import Header
from headworks.providers.contract import Surface
from headworks.types.identity import Principal, ShownKey
from headworks.types.models import Message, Prompt, Purpose
from headworks.types.retrieval import Passage

_IGNORED = b"x-headworks-ignored"


class _Begun(msgspec.Struct):
    """What every request has; apart, so that it can be given by position, which costs a third."""

    surface: str
    model: str
    trace: UUID
    arrived_at: float
    started_ns: int
    """Of time.perf_counter_ns."""


class Asked(_Begun, kw_only=True):
    """What is asked, on which trace: what a record begins with."""

    purpose: Purpose = "answer"
    streams: bool = False
    end_user: str | None = None
    gathers: bool = False
    """Whether its answer waits for the records of its turn to be written together."""
    request: UUID | None = None
    """None: the request is the trace's own."""


class Keeping(Protocol):
    """What a call has to do with stored responses. Implemented by gateway.stored.keeping."""

    async def follow(self, principal: Principal, plan: Plan, call: Call) -> Plan:
        """Bring in the response that the call follows: the plan of those who can. Raises NotFound, InvalidRequest."""
        ...

    @property
    def documents(self) -> Sequence[UUID]:
        """What the request, and so its answer, may quote as far as it is known."""
        ...

    def reads(self, passages: Sequence[Passage]) -> None:
        """What the answer may quote."""
        ...

    def answered_by(self, plan: Plan, aim: Aim) -> None:
        """A target has something to say."""
        ...

    def see(self, events: bytes) -> None:
        """Whole events of a stream that goes to the caller as it came."""
        ...

    async def finish(self, body: bytes | None) -> None:
        """All but the last byte of the answer is said; `body` is the response, where it has ended as it should."""
        ...


class Call(Asked):
    """One request from outside; for a plain route it is the `outgoing.Outgoing`, too: it goes on as it came.

    `wants_usage`: the caller asked for usage in the stream. `caller`: somebody signed in, who has no key here.
    `forwarded` are headers that go on to the provider. `reply` are headers of ours for the answer, whatever becomes of
    it; steps of the pipeline add to it. `keeping` is there for calls of `/v1/responses`.
    """

    surface: Surface
    dialect: Dialect
    format: FormatName | None
    """The dialect's; None: bytes that only pass through."""
    key: ShownKey
    body: Body
    reply: list[Header]
    wants_usage: bool = False
    caller: Principal | None = None
    forwarded: tuple[Header, ...] = ()
    prompt: Prompt | None = None
    relays: bool = True
    keeping: Keeping | None = None
    _neutral: Request | None = None
    _follows: msgspec.Raw | None = None

    @property
    def size(self) -> int:
        """Bytes of the request, to estimate tokens by."""
        return self.body.size

    @property
    def neutral(self) -> Request:
        """What is asked, in neutral words. Raises InvalidRequest that names the field."""
        if self._neutral is None:
            assert self.dialect.format is not None  # noqa: S101 -- only formats are translated
            self.body.refuse_repeated()
            self._neutral = self.dialect.format.read_request(self.body.raw)
        return self._neutral

    @property
    def echoed(self) -> Request:
        """What an answer repeats of the request."""
        request = self.neutral
        if self._follows is None:
            return request
        return msgspec.structs.replace(request, ext={**request.ext, "previous_response_id": self._follows})

    def rewrite(self, request: Request | None = None) -> None:
        """From now on the caller's bytes go nowhere, but what they say, or `request` in its place, read and written."""
        if request is not None:
            self._follows = self.neutral.ext.get("previous_response_id")
            self._neutral = request
        self.relays = False

    def let_go(self) -> None:
        """The answer is the provider's own, and comes: what was asked is not needed for it."""
        self.body.let_go()
        self._neutral = self.prompt = None

    def neutral_for(self, aim: Aim) -> Request:
        """The same for one target."""
        return aimed(self.neutral, aim.provider, aim.target.model, aim.cap, aim.fixed)

    def strips(self, aim: Aim) -> bool:
        """Whether only we have asked for usage in the stream."""
        return self.dialect.asks_usage and not self.wants_usage and aim.provider.takes_stream_options

    def choices(self, aim: Aim) -> int | None:
        """See Outgoing."""
        asked = aim.changes.get("n", self.body.members.get("n", b"1"))
        if self.surface == "completions" and bytes(self.body.members["prompt"]).startswith(b"["):
            return None  # texts, each with its own answers, or the tokens of one
        raw = bytes(asked)
        return int(raw) if raw.isdigit() else 1 if raw == b"null" else None

    def bound(self, aim: Aim) -> Bound | None:
        """See Outgoing: what is asked from outside is paid from no purse."""

    def body_for(self, aim: Aim) -> bytes:
        """The caller's bytes; model, fixed parameters and the wish for usage are spliced in."""
        if not self.relays:
            spoken: Spoken = MESSAGES if self.dialect.format is MESSAGES else RESPONSES
            written = spoken.write_request(self.neutral_for(aim))
            self.leave_out(written.left_out)
            return written.body
        changes = aim.changes
        if self.streams and self.strips(aim):
            changes = aim.streaming_changes
            options = self.body.section("stream_options")
            if options is not None:
                changes = {**changes, "stream_options": options.spliced({"include_usage": b"true"})}
        if aim.cap is not None:
            changes = {**changes, **self._capped(aim, aim.cap)}
        return self.body.spliced(changes)

    def leave_out(self, names: Sequence[str]) -> None:
        """Say what was left out: hints of the caller's that the target's format has no word for, and the like."""
        if not names:
            return
        said = [name.encode("ascii", "replace") for name in names]
        for at, (header, value) in enumerate(self.reply):
            if header == _IGNORED:
                before = value.split(b", ")
                self.reply[at] = (header, b", ".join((*before, *(each for each in said if each not in before))))
                return
        self.reply.append((_IGNORED, b", ".join(said)))

    def tell(self, name: bytes, value: str) -> None:
        """A header of ours for the answer, once."""
        if all(name != given for given, _ in self.reply):
            self.reply.append((name, value.encode("ascii", "replace")))

    def _capped(self, aim: Aim, cap: int) -> dict[str, bytes]:
        """The route's cap, unless the caller's own is lower; in the caller's own field, or the target's."""
        caps = self.dialect.caps
        asked = [(name, given) for name in caps if (given := self.body.count(name)) is not None]
        if not asked:
            if not caps:
                return {}
            return {aim.provider.cap_field if aim.provider.cap_field in caps else caps[0]: b"%d" % cap}
        over = {name: b"%d" % cap for name, given in asked if given > cap}
        if over:
            self.tell(b"x-headworks-clamped", ", ".join(over))
        return over


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
    conversation: str = "messages"
    """What the caller calls the field that the turns stand in."""

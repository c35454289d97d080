"""The record of one request: a usage row on every exit, and spans for a feature's stages."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from types import TracebackType
from typing import Protocol, Self
from uuid import UUID

import msgspec

from headworks.errors import HeadworksError
from headworks.gateway.calls import Asked
from headworks.gateway.contract import Recorder
from headworks.gateway.plans import Aim, Plan
from headworks.providers.contract import UNCOUNTED
from headworks.providers.prices import Rates
from headworks.storage.sealing import Keyring
from headworks.types.identity import Principal
from headworks.types.ids import new_id
from headworks.types.models import Usage
from headworks.types.records import Span, UsageRow
from headworks.types.spending import Purse

CLIENT_CLOSED = 499
_BYTES_PER_TOKEN = 4
_MOST_TOKENS = 2**31 - 1
"""Beyond it, and below nought, a provider has not counted."""


class Sized(Protocol):
    """What is sent, as far as a record wants to know; an Outgoing is one."""

    @property
    def size(self) -> int:
        """Bytes of text, to estimate tokens by."""
        ...


class Record(msgspec.Struct):
    """Open while a request is under way; written when it is left, whatever happened."""

    _asked: Asked
    _recorder: Recorder
    _keyring: Keyring
    row: UsageRow
    plan: Plan | None = None
    aim: Aim | None = None
    heard: int = 0
    """Tokens of output seen so far, as well as they can be counted without parsing."""
    spans: list[Span] = []
    redact: Callable[[object], object] | None = None
    """Set by the guardrail: what a payload passes before it is kept."""
    question: str = ""
    """What was asked, where somebody will judge the answer."""
    followed: Sequence[UUID] = ()
    """Documents that the conversation before may quote: so may whatever is kept of this request."""
    _usage: Usage | None = None
    _is_partial: bool = False
    _outgoing: Sized | None = None
    _attempt_ns: int = 0
    _root: Span | None = None
    _stays_open: bool = False
    _spent: Usage | None = None
    _spent_micro_usd: int | None = None
    _waited_us: int = 0
    _purse: Purse | None = None
    _held_micro_usd: int = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if error is None and self._stays_open:
            self._stays_open = False
            return
        row, now_ns = self.row, time.perf_counter_ns()
        row.total_us = (now_ns - self._asked.started_ns) // 1000
        if error is None:
            row.status = 200
        else:
            row.status, row.error_code = _outcome(error)
        if row.upstream_us is None and self._attempt_ns:
            row.upstream_us = self._waited_us + (now_ns - self._attempt_ns) // 1000
            if row.first_byte_us is None and error is None:
                row.first_byte_us = row.upstream_us  # an answer that came whole
        self._settle()
        if self._purse is not None:
            self._pay(self._purse)
        if self._root is not None:
            self._close_root(self._root)
        if self._asked.gathers and not self.spans and row.status != CLIENT_CLOSED:  # then nobody is answered
            self._recorder.gather(row)
        else:
            self._recorder.write(row, self.spans)

    def keep_open(self) -> None:
        """Whoever enters the record again will write it; the next exit without an error does not."""
        self._stays_open = True

    def follow(self, plan: Plan) -> None:
        """What the name stands for is known."""
        self.plan = plan
        row = self.row
        row.release = plan.release
        row.admit_us = (time.perf_counter_ns() - self._asked.started_ns) // 1000
        if plan.feature is not None:
            row.feature = plan.feature.name
            row.channel = plan.feature.channel
            self._root = self._span("request", None)

    async def hold(self, purse: Purse, worst_micro_usd: int | None) -> None:
        """Room in a purse for another attempt, beside what earlier ones have cost. Raises CeilingReached."""
        total = None if worst_micro_usd is None else worst_micro_usd + (self._spent_micro_usd or 0)
        await purse.hold(total, self._held_micro_usd)
        self._purse, self._held_micro_usd = purse, total or 0

    def _pay(self, purse: Purse) -> None:
        cost = self.row.cost_micro_usd
        if cost is None and self.row.status >= 400:
            cost = 0  # a refused attempt costs nothing
        held, self._purse, self._held_micro_usd = self._held_micro_usd, None, 0
        purse.settle(held, cost)

    def errand(self, account: str) -> None:
        """A request goes to a provider that is about no model."""
        self._attempt_ns = time.perf_counter_ns()
        self.row.attempts += 1
        self.row.provider = account

    def attempt(self, aim: Aim, outgoing: Sized | None) -> None:
        """A request goes to a provider; None: its size says nothing of tokens."""
        self.aim = aim
        self._attempt_ns = time.perf_counter_ns()
        self._outgoing = outgoing
        row = self.row
        row.attempts += 1
        row.provider = aim.target.provider
        row.model = aim.target.model

    def answered(self) -> None:
        """The attempt has something to say."""
        self.row.first_byte_us = (time.perf_counter_ns() - self._attempt_ns) // 1000

    def settle(self, usage: Usage | None, *, is_last: bool = True) -> None:
        """What the provider says that it counted; not `is_last`: before the end of the answer."""
        self._is_partial = not is_last
        if usage is None:
            return
        counted = usage.input_tokens
        is_counted = usage.calls is not None if counted is None else 0 <= counted <= _MOST_TOKENS
        if is_counted and 0 <= (usage.output_tokens or 0) <= _MOST_TOKENS:
            self._usage = usage

    @property
    def spent(self) -> Usage:
        """What earlier attempts have cost that this request is paid for, too."""
        return self._spent or Usage()

    def start_over(self) -> None:
        """The answer is used up and another will be asked for: what it has cost stays, and the next comes on top."""
        self._waited_us += (time.perf_counter_ns() - self._attempt_ns) // 1000
        self._settle()
        row = self.row
        self._spent = Usage(**{name: getattr(row, name) for name in Usage.__struct_fields__ if name != "calls"})
        self._spent_micro_usd = row.cost_micro_usd
        self.aim, self._usage, self.heard, self._is_partial = None, None, 0, False

    def failed(self) -> None:
        """The attempt has failed and another follows: what was counted or heard of it is paid for, and stays."""
        if self._usage is not None or self.heard:
            self.start_over()

    @contextmanager
    def span(self, name: str) -> Iterator[Span]:
        """A stage of a feature; plain routes have none. Set its attributes while it is open."""
        span = self._span(name, self._root)
        started_ns = time.perf_counter_ns()
        try:
            yield span
        except BaseException as error:
            _, span.status = _outcome(error)
            raise
        finally:
            span.duration_us = (time.perf_counter_ns() - started_ns) // 1000
            self.spans.append(span)

    def keep(self, span: Span, payload: object, documents: Sequence[UUID] = ()) -> None:
        """Give a span its payload, sealed, and the documents whose text it may hold."""
        span.documents = sorted({*span.documents, *documents, *self.followed})
        if self._keyring.knows(span.tenant_id):
            text = msgspec.json.encode(payload if self.redact is None else self.redact(payload))
            span.payload = self._keyring.seal(span.tenant_id, "span.payload", span.span_id, text)

    @property
    def root_id(self) -> UUID | None:
        """Of the span of the request itself; a plain route has none."""
        return None if self._root is None else self._root.span_id

    def keep_answer(self, payload: object, documents: Sequence[UUID]) -> None:
        """The answer itself, on the request's own span."""
        if self._root is not None:
            self.keep(self._root, payload, documents)

    def _settle(self) -> None:
        row, aim, usage = self.row, self.aim, self._usage
        if aim is None:
            return
        if usage is None:
            if not self.heard and row.status >= 400 and row.status != CLIENT_CLOSED:
                return  # a refused attempt costs nothing
            if row.surface in UNCOUNTED:
                usage = Usage(calls=1, is_estimated=row.status >= 400)
        if usage is None:
            usage = Usage(self._size() // _BYTES_PER_TOKEN, self.heard, None, is_estimated=True)
        elif usage.input_tokens is not None and self._is_behind(usage):
            output = max(self.heard, usage.output_tokens or 0)
            usage = msgspec.structs.replace(usage, output_tokens=output, is_estimated=True)
        row.input_tokens = usage.input_tokens
        row.output_tokens = usage.output_tokens
        row.cached_input_tokens = usage.cached_input_tokens
        row.cache_write_tokens = usage.cache_write_tokens
        row.cache_write_1h_tokens = usage.cache_write_1h_tokens
        row.reasoning_tokens = usage.reasoning_tokens
        row.audio_input_tokens = usage.audio_input_tokens
        row.audio_output_tokens = usage.audio_output_tokens
        row.service_tier = usage.service_tier
        row.is_estimated = usage.is_estimated
        row.cost_micro_usd = None
        if aim.rates is not None and self.plan is not None:
            row.cost_micro_usd = _cost_micro_usd(aim.rates, usage)
            row.price_version = self.plan.price_version
        if self._spent is not None:
            self._add_spent(self._spent)

    def _add_spent(self, spent: Usage) -> None:
        """On top of what the row has of the last answer."""
        row = self.row
        for name in _ADDED:
            before, now = getattr(spent, name), getattr(row, name)
            if before is not None:
                setattr(row, name, before + (now or 0))
        row.is_estimated = row.is_estimated or spent.is_estimated
        if self._spent_micro_usd is not None:
            row.cost_micro_usd = self._spent_micro_usd + (row.cost_micro_usd or 0)

    def _is_behind(self, usage: Usage) -> bool:
        """Whether there may be output that the count does not have in it."""
        if usage.is_estimated or usage.output_tokens is None:
            return True
        return self._is_partial and usage.output_tokens < self.heard

    def _size(self) -> int:
        return 0 if self._outgoing is None else self._outgoing.size

    def _close_root(self, root: Span) -> None:
        row = self.row
        root.duration_us = row.total_us
        root.status = row.error_code or "ok"
        root.input_tokens, root.output_tokens, root.cost_micro_usd = (
            row.input_tokens,
            row.output_tokens,
            row.cost_micro_usd,
        )
        self.spans.append(root)

    def _span(self, name: str, parent: Span | None) -> Span:
        row = self.row
        return Span(
            tenant_id=row.tenant_id,
            arrived_at=row.arrived_at,
            trace_id=row.trace_id,
            span_id=new_id(),
            parent_id=parent.span_id if parent else None,
            principal_id=row.principal_id,
            key_id=row.key_id,
            name=name,
            started_at=row.arrived_at if parent is None else datetime.now(UTC),
            release=row.release,
        )


_ADDED = tuple(name for name in Usage.__struct_fields__ if name.endswith("_tokens"))


def _cost_micro_usd(rates: Rates, usage: Usage) -> int | None:
    """Of what was counted, and of the calls beyond the first."""
    cost = rates.cost_micro_usd(usage)
    if usage.calls and usage.input_tokens is not None and cost is not None:
        cost += (usage.calls - 1) * rates.request
    return cost


def _outcome(error: BaseException) -> tuple[int, str]:
    """HTTP status and error code of how a request failed."""
    if isinstance(error, HeadworksError):
        return error.status, error.code
    if isinstance(error, (asyncio.CancelledError, GeneratorExit)):
        return CLIENT_CLOSED, "client_closed"
    return 500, "internal_error"


class Ledger:
    """Opens the record of each request."""

    def __init__(self, recorder: Recorder, keyring: Keyring) -> None:
        self._recorder = recorder
        self._keyring = keyring

    def open(self, asked: Asked, principal: Principal) -> Record:
        """Enter it before anything is decided, so that a refusal is recorded too."""
        row = UsageRow(
            principal.tenant,
            datetime.fromtimestamp(asked.arrived_at, UTC),
            asked.request or asked.trace,
            asked.trace,
            asked.surface,
            asked.purpose,
            asked.model,
            streamed=asked.streams,
            principal_id=principal.id,
            key_id=principal.key,
            end_user=asked.end_user,
            attempts=0,
        )
        return Record(asked, self._recorder, self._keyring, row)

"""How many tokens a request has, for `/v1/messages/count_tokens`: counted by the target's provider, or estimated.

The first target is asked, as it is the one that the request itself would go to. Anthropic, Gemini and Bedrock count;
for all others, and for features, whose prompt is theirs, a token is taken for four bytes. Counts cost nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Protocol, runtime_checkable

import msgspec

from headworks.errors import UpstreamRejected
from headworks.formats.contract import Spoken
from headworks.formats.converse.format import CONVERSE
from headworks.formats.gemini.format import GEMINI
from headworks.formats.messages.format import MESSAGES
from headworks.formats.neutral import FormatName
from headworks.gateway.admission import Admission
from headworks.gateway.calls import Call
from headworks.gateway.dialects import Dialect
from headworks.gateway.plans import Aim
from headworks.gateway.recording import Ledger, Record
from headworks.gateway.refused import refusal
from headworks.gateway.snapshots import Snapshots
from headworks.gateway.translation import aimed
from headworks.gateway.wire.headers import passed_on
from headworks.policy.service import admit
from headworks.providers.contract import PATIENT, Ask
from headworks.providers.http1 import Deadlines

ESTIMATED: Final = (b"x-headworks-estimated", b"true")
_BYTES_PER_TOKEN = 4
_COUNTED_IN: Mapping[FormatName, Spoken] = {"gemini": GEMINI, "converse": CONVERSE}

COUNT_DIALECT = Dialect(
    surface="count_tokens",
    path="/v1/messages/count_tokens",
    format=MESSAGES,
    fields=(("messages", b"[", "an array"),),
    can_stream=False,
    judge=MESSAGES.judge,
    error_body=MESSAGES.error_body,
    error_event=MESSAGES.error_body,
)


@runtime_checkable
class _Counter(Protocol):
    """A provider that counts requests in its own format."""

    async def count_tokens(self, ask: Ask) -> int:
        """Raises UpstreamRejected with the provider's own words."""
        ...


class Counting:
    """See the module."""

    def __init__(
        self, snapshots: Snapshots, admission: Admission, ledger: Ledger, deadlines: Deadlines | None = None
    ) -> None:
        self._snapshots = snapshots
        self._admission = admission
        self._ledger = ledger
        self._deadlines = deadlines or PATIENT

    async def count(self, call: Call) -> int:
        """The tokens; where they are estimated, the answer's headers say so."""
        view = self._snapshots.current()
        now = self._snapshots.now()
        principal = view.find_caller(call, now) or await self._admission.authenticate(view, call.key, now)
        with self._ledger.open(call, principal) as record:
            record.row.cost_micro_usd = 0
            plan = view.find_plan(principal, call.model) or await self._admission.resolve(view, principal, call.model)
            admit(principal, permission=plan.permission, model_name=call.model)
            record.follow(plan)
            call.reply.append(plan.header)
            request = MESSAGES.read_count_request(call.body.raw)  # refused alike, whoever counts
            tokens: int | None = None
            if plan.feature is None:
                aim = plan.aims[0]
                spoken = _COUNTED_IN.get(aim.provider.speaks[0]) if aim.provider.speaks else None
                if "messages" in aim.provider.speaks:
                    tokens = await self._by_its_own(aim, call, record)
                elif spoken is not None and isinstance(aim.provider, _Counter):
                    told = aimed(request, aim.provider, aim.target.model, None, None)
                    tokens = await self._by_another(aim, call, spoken, spoken.write_request(told).body, record)
            if tokens is None:
                call.reply.append(ESTIMATED)
                tokens = max(1, call.size // _BYTES_PER_TOKEN)
            return tokens

    async def _by_its_own(self, aim: Aim, call: Call, record: Record) -> int:
        """By a provider that counts this very format."""
        aim.provider.check("count_tokens", aim.target.model)
        body = call.body.spliced({"model": msgspec.json.encode(aim.target.model)})
        _note(aim, record)
        status, headers, answer = await aim.provider.fetch(
            Ask("count_tokens", aim.target.model, body, call.forwarded, deadlines=self._deadlines)
        )
        if status != 200:
            shown = {name.decode("latin-1"): value.decode("latin-1") for name, value in headers}
            raise refusal(aim.target.name, call.dialect, MESSAGES, status, shown, answer)
        call.reply.extend(passed_on(headers, with_type=False))
        return MESSAGES.read_count(answer)

    async def _by_another(self, aim: Aim, call: Call, spoken: Spoken, body: bytes, record: Record) -> int:
        """By a provider that counts what it was told in its own format."""
        provider = aim.provider
        assert isinstance(provider, _Counter)  # noqa: S101 -- who calls has looked
        surface = provider.speaks[0]
        provider.check(surface, aim.target.model)
        _note(aim, record)
        try:
            return await provider.count_tokens(Ask(surface, aim.target.model, body, deadlines=self._deadlines))
        except UpstreamRejected as error:
            raise refusal(aim.target.name, call.dialect, spoken, error.status, error.headers, error.body) from None


def _note(aim: Aim, record: Record) -> None:
    record.row.attempts += 1
    record.row.provider = aim.target.provider
    record.row.model = aim.target.model

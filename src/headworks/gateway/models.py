"""Models for everyone inside: admitted, attempted and recorded as any other call, under its own purpose."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence

import msgspec

from headworks.errors import InvalidRequest, NotFound, UpstreamError
from headworks.gateway.answers.attempts import Attempts
from headworks.gateway.answers.opening import Started
from headworks.gateway.answers.outgoing import Composed, Outgoing, Ranked, Texts
from headworks.gateway.answers.reading import read
from headworks.gateway.calls import Asked
from headworks.gateway.dialects import CHAT_DIALECT
from headworks.gateway.plans import CAPS, Aim, Plan
from headworks.gateway.recording import Ledger, Record
from headworks.gateway.snapshots import Snapshots
from headworks.gateway.wire.parts import Finished, Text
from headworks.policy.service import admit
from headworks.providers.contract import Embedder
from headworks.types.ids import Digest, new_id
from headworks.types.models import Completion, Embeddings, ModelCall, Prompt, Relevances, Usage

_SURFACE = "internal"


class _Row(msgspec.Struct, gc=False):
    index: int
    embedding: list[float]


class _Answer(msgspec.Struct):
    data: list[_Row]


class _Result(msgspec.Struct, gc=False):
    index: int
    relevance_score: float


class _Results(msgspec.Struct):
    results: list[_Result] = []
    data: list[_Result] = []


class GatewayModels:
    """types.models.Models. It triggers no guardrail, retrieval or tool: texts come checked."""

    def __init__(self, snapshots: Snapshots, ledger: Ledger, attempts: Attempts) -> None:
        self._snapshots = snapshots
        self._ledger = ledger
        self._attempts = attempts

    async def complete(self, call: ModelCall, prompt: Prompt) -> Completion:
        """See types.models.Models."""
        with self._open(call) as record:
            plan = self._plan(call, record)
            cap = next((value for name in CAPS if isinstance(value := call.parameters.get(name), int)), None)
            extra = {name: value for name, value in call.parameters.items() if name not in CAPS}
            outgoing = Composed(None, prompt, cap or plan.default_max_output, extra)
            started = await self._attempts.start(plan, outgoing, record)
            texts: list[str] = []
            end: Finished | None = None
            async for part in read(started, CHAT_DIALECT, record):
                if isinstance(part, Text):
                    texts.append(part.text)
                else:
                    end = part
            assert end is not None  # noqa: S101 -- read ends with it or raises
        reason = end.stopped.word or end.stopped.reason
        return Completion("".join(texts), reason, end.usage, record.row.cost_micro_usd)

    async def embed(self, call: ModelCall, texts: Sequence[str]) -> Embeddings:
        """See types.models.Models."""
        if not texts:
            raise InvalidRequest("There is nothing to embed.")
        with self._open(call) as record:
            plan = self._plan(call, record)
            outgoing = Texts(list(texts))
            aim = plan.aims[0]
            if isinstance(aim.provider, Embedder):
                return await _embedded_here(aim, aim.provider, outgoing, record)
            started = await self._attempts.start(plan, outgoing, record)
            record.settle(started.usage)
            return Embeddings(_vectors(started, len(texts)), str(plan.release), started.usage or Usage())

    async def rerank(self, call: ModelCall, query: str, texts: Sequence[str]) -> Relevances:
        """See types.models.Models."""
        if not texts:
            raise InvalidRequest("There is nothing to rerank.")
        with self._open(call) as record:
            plan = self._plan(call, record)
            started = await self._attempts.start(plan, Ranked(query, list(texts)), record)
            record.settle(started.usage)
            return Relevances(_scores(started, len(texts)), started.usage or Usage())

    def _open(self, call: ModelCall) -> Record:
        asked = Asked(
            surface=_SURFACE,
            model=call.model,
            trace=call.trace or new_id(),
            arrived_at=time.time(),
            started_ns=time.perf_counter_ns(),
            purpose=call.purpose,
            request=new_id() if call.trace else None,  # a call on nobody's trace is its own
        )
        return self._ledger.open(asked, call.principal)

    def _plan(self, call: ModelCall, record: Record) -> Plan:
        """A route or `provider/model`. Only an answer needs a permission: the rest is part of what was admitted."""
        plan = self._snapshots.current().resolve(call.principal, call.model)
        if plan.feature is not None:
            raise NotFound(
                f"`{call.model}` is a feature; only routes and models are called from inside.", param="model"
            )
        if call.purpose == "answer":
            admit(call.principal, permission=plan.permission, model_name=call.model)
        record.follow(plan)
        if call.release is not None:
            record.row.release = Digest(call.release)
        return plan


async def _embedded_here(aim: Aim, embedder: Embedder, outgoing: Outgoing, record: Record) -> Embeddings:
    """In this process, without a detour through JSON."""
    assert isinstance(outgoing, Texts)  # noqa: S101 -- made by embed
    aim.provider.check("embeddings", aim.target.model)
    record.attempt(aim, outgoing)
    vectors, digest, tokens = await embedder.vectors(aim.target.model, outgoing.texts)
    record.answered()
    usage = Usage(tokens, 0)
    record.settle(usage)
    return Embeddings(vectors, digest, usage)


def _vectors(started: Started, wanted: int) -> list[list[float]]:
    name = started.aim.target.name
    try:
        rows = sorted(msgspec.json.decode(started.body, type=_Answer).data, key=lambda row: row.index)
    except msgspec.DecodeError as error:
        raise UpstreamError(f"`{name}` answered with embeddings that can't be read: {error}.") from None
    if [row.index for row in rows] != list(range(wanted)):
        raise UpstreamError(f"`{name}` answered with {len(rows)} embeddings for {wanted} texts.")
    return [_unit(row.embedding) for row in rows]


def _scores(started: Started, wanted: int) -> list[float]:
    """A score for each text; what the answer leaves out is below what it has."""
    name = started.aim.target.name
    try:
        found = msgspec.json.decode(started.body, type=_Results)
    except msgspec.DecodeError as error:
        raise UpstreamError(f"`{name}` answered with a ranking that can't be read: {error}.") from None
    scores = {row.index: row.relevance_score for row in found.results or found.data}
    if not scores or not scores.keys() <= set(range(wanted)) or not all(map(math.isfinite, scores.values())):
        raise UpstreamError(f"`{name}` answered with no ranking of the {wanted} texts.")
    least = min(scores.values())
    return [scores.get(place, least - 1) for place in range(wanted)]


def _unit(vector: list[float]) -> list[float]:
    length = sum(each * each for each in vector) ** 0.5
    return [each / length for each in vector] if length else vector

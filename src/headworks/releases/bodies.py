"""What the routes of releases answer, and how it is made from what the services give."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict
from datetime import datetime
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from headworks.releases.channels import Moved
from headworks.releases.evidence.store import Attested, SigningKey
from headworks.releases.promotion.history import MoveRow
from headworks.releases.promotion.rules import Block, Condition, Standing
from headworks.releases.proposals.behaviour import BehaviourDiff, FlippedExample


class Asked(BaseModel):
    """What callers send: unknown fields are errors."""

    model_config = ConfigDict(extra="forbid", strict=True)


class WantedDecision(Asked):
    """One's word on a digest, or on every one that a proposal brings now."""

    decision: Literal["approve", "object", "withdraw"] = "approve"
    as_expert: bool = False
    comment: str = Field(default="", max_length=2000)


class ConditionBody(BaseModel):
    """One part of the rule for `prod`, and whether it is met."""

    rule: str
    met: bool
    message: str
    next_step: str


class MovedBody(BaseModel):
    """A channel that was moved, or a gate that was attached (`channel` is `gate`)."""

    feature: str
    channel: str
    before: str | None
    after: str
    way: str
    ungated: bool


class MoveBody(BaseModel):
    """One entry of the log."""

    channel: str
    from_digest: str | None = Field(serialization_alias="from")
    to_digest: str = Field(serialization_alias="to")
    way: str
    ungated: bool
    reason: str
    proposal: int | None
    by: str
    at: datetime


class BlockBody(BaseModel):
    """An incident that stops promotions; `digest` null: of every release of the feature."""

    id: str
    digest: str | None
    reason: str
    by: str
    at: datetime


class LogBody(BaseModel):
    """All moves of a feature's channels, oldest first, and the blocks in force."""

    moves: list[MoveBody]
    blocks: list[BlockBody]


class AttestationBody(BaseModel):
    """A signed statement, verified just now. `problem` says why it counts for nothing."""

    id: str
    digest: str
    predicate_type: str
    predicate: dict[str, Any] | None
    by: str | None
    at: datetime
    key_id: str
    own: bool
    problem: str | None


class StandingBody(BaseModel):
    """How a release or gate stands on its way to `prod`."""

    feature: str
    digest: str
    kind: str
    risk: str
    live: str | None
    gate: str | None
    dataset: str | None
    conditions: list[ConditionBody]
    attestations: list[AttestationBody]
    behaviour: BehaviourBody | None = None


class FlipBody(BaseModel):
    """One example that base and candidate answer differently, and the metrics that say so."""

    example: str
    metrics: list[str]
    base_trace: str | None
    trace: str | None


class ModeBody(BaseModel):
    """The examples of one failure mode that pass now, and those that fail now."""

    mode: str
    fixed: list[FlipBody]
    broken: list[FlipBody]


class BehaviourBody(BaseModel):
    """What a release does otherwise than `base`; `current`: base is what is live now."""

    base: str
    dataset: str | None
    examples: int
    fixed: int
    broken: int
    modes: list[ModeBody]
    current: bool
    at: datetime


class KeyBody(BaseModel):
    """A key that signs, signed or is trusted; `public` is in hexadecimal digits."""

    id: str
    public: str
    own: bool
    created_at: datetime
    retired_at: datetime | None


StandingBody.model_rebuild()


def moved_body(moved: Moved) -> MovedBody:
    """A move as JSON shows it."""
    return MovedBody(
        feature=moved.feature,
        channel=moved.channel,
        before=moved.before,
        after=moved.after,
        way=moved.way,
        ungated=moved.is_ungated,
    )


def log_body(moves: list[MoveRow], blocks: list[Block]) -> LogBody:
    """A log as JSON shows it."""
    return LogBody(
        moves=[
            MoveBody(
                channel=each.channel,
                from_digest=each.from_digest,
                to_digest=each.to_digest,
                way=each.way,
                ungated=each.ungated,
                reason=each.reason,
                proposal=each.proposal,
                by=each.moved_by,
                at=each.moved_at,
            )
            for each in moves
        ],
        blocks=[
            BlockBody(id=each.id, digest=each.digest, reason=each.reason, by=each.by, at=each.at) for each in blocks
        ],
    )


def attestation_body(attested: Attested) -> AttestationBody:
    """An attestation as JSON shows it."""
    statement = attested.statement
    return AttestationBody(
        id=str(attested.id),
        digest=attested.digest,
        predicate_type=attested.predicate_type,
        predicate=None if statement is None else dict(statement.predicate),
        by=None if statement is None else statement.by_name,
        at=attested.made_at,
        key_id=attested.key_id,
        own=attested.is_own,
        problem=attested.problem,
    )


def standing_body(
    standing: Standing, conditions: tuple[Condition, ...], behaviour: BehaviourDiff | None = None
) -> StandingBody:
    """A standing as JSON shows it."""
    return StandingBody(
        feature=standing.feature,
        digest=standing.digest,
        kind=standing.kind,
        risk=standing.tier,
        live=standing.live,
        gate=standing.gate.digest if standing.gate else None,
        dataset=standing.gate.dataset if standing.gate else None,
        conditions=[
            ConditionBody(rule=each.rule, met=each.is_met, message=each.message, next_step=each.next_step)
            for each in conditions
        ],
        attestations=[attestation_body(each) for each in standing.attested],
        behaviour=None if behaviour is None else _behaviour_body(behaviour),
    )


def _behaviour_body(behaviour: BehaviourDiff) -> BehaviourBody:
    def flips(found: Iterable[FlippedExample]) -> list[FlipBody]:
        return [FlipBody(**asdict(each)) for each in found]

    return BehaviourBody(
        base=behaviour.base,
        dataset=behaviour.dataset,
        examples=behaviour.examples,
        fixed=behaviour.fixed,
        broken=behaviour.broken,
        modes=[
            ModeBody(mode=each.mode, fixed=flips(each.fixed), broken=flips(each.broken)) for each in behaviour.modes
        ],
        current=behaviour.is_current,
        at=behaviour.made_at,
    )


def key_body(key: SigningKey) -> KeyBody:
    """A signing key as JSON shows it: never its private half."""
    return KeyBody(
        id=key.id, public=key.public.hex(), own=key.is_own, created_at=key.created_at, retired_at=key.retired_at
    )

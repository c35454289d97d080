"""The rule of what may reach `prod`: pure, and said condition by condition, met or not.

What judges a release is what is attached to the live channel, never what the release brings along: neither its gate nor
its own word on how risky it is. An approval is of one digest, under one gate; none counts of who proposed it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from headworks.releases.channels import Kind
from headworks.releases.evidence.attestations import APPROVAL, VERDICT, Approval, Verdict
from headworks.releases.evidence.store import Attested
from headworks.types.features import RiskTier
from headworks.types.ids import Digest, PrincipalId

EVIDENCE_LASTS = timedelta(days=30)
"""Older verdicts and approvals count no longer: models behind the same name change."""
APPROVALS: Mapping[RiskTier, int] = {"low": 1, "medium": 1, "high": 2}
TIERS: tuple[RiskTier, ...] = ("low", "medium", "high")


@dataclass(frozen=True, slots=True)
class Gate:
    """What judges a feature's releases: its bundle's digest, and that of its golden files."""

    digest: Digest
    dataset: str | None


@dataclass(frozen=True, slots=True)
class Block:
    """An incident that stops promotions. `digest` None: of every release of the feature."""

    id: str
    digest: Digest | None
    reason: str
    by: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Left:
    """That a digest was live, and somebody rolled back from it."""

    by: str
    at: datetime
    reason: str


@dataclass(frozen=True, slots=True)
class Standing:
    """Everything that the rule looks at, as it is in one transaction."""

    feature: str
    digest: Digest
    live: Digest | None
    tier: RiskTier
    gate: Gate | None
    now: datetime
    kind: Kind = "feature"
    attested: Sequence[Attested] = ()
    of_live: Sequence[Attested] = ()
    """What is attested about the live release."""
    authors: frozenset[PrincipalId] = frozenset()
    """Who made or proposed the digest."""
    is_anonymous: bool = False
    """Whether only service accounts did: then nobody knows whose work it is, nor who may not approve it."""
    blocks: Sequence[Block] = ()
    left: Left | None = None


@dataclass(frozen=True, slots=True)
class Condition:
    """One part of the rule, and whether it is met."""

    rule: str
    is_met: bool
    message: str
    next_step: str = ""


def dearest(tiers: Sequence[RiskTier | None]) -> RiskTier:
    """The highest of some risk tiers; None is none."""
    known = [TIERS.index(each) for each in tiers if each is not None]
    return TIERS[max(known, default=0)]


def judge(standing: Standing) -> tuple[Condition, ...]:
    """Every condition for `prod`, in the order in which people ask."""
    conditions = [_unbroken((*standing.attested, *standing.of_live)), _unblocked(standing)]
    if standing.kind == "gate":
        conditions += [_rejudged(standing), *_approvals(standing)]
    elif standing.gate is not None:
        conditions += [_verdict(standing, standing.gate), *_approvals(standing)]
    elif standing.tier == "low":
        conditions.append(Condition("gate", is_met=True, message="Its risk is low and it has no gate: *ungated*."))
        conditions += _objections(standing.attested)
    else:
        conditions.append(
            Condition(
                "gate",
                is_met=False,
                message=f"Its risk is {standing.tier} and no gate judges it.",
                next_step="Write `evals/gate.yaml` and apply it: the first gate of a feature is attached at once.",
            )
        )
        conditions += _approvals(standing)
    return tuple(conditions)


def said_against(attested: Sequence[Attested]) -> Condition | None:
    """What is attested that stops a release wherever it goes: a forgery, or an objection; None of nothing."""
    found = [_unbroken(attested), *_objections(attested)]
    return next((each for each in found if not each.is_met), None)


def decisions(attested: Sequence[Attested]) -> dict[PrincipalId, tuple[Attested, Approval]]:
    """Everybody's last word on the digest. An objection stands until it is withdrawn; an approval ages."""
    last: dict[PrincipalId, tuple[Attested, Approval]] = {}
    for each in attested:
        if not each.counts or each.statement is None or each.predicate_type != APPROVAL:
            continue
        words = each.statement.words
        if isinstance(words, Approval):
            last[each.statement.by] = (each, words)
    return last


def _is_current(standing: Standing, attested: Attested) -> bool:
    if standing.left is not None and attested.made_at <= standing.left.at:
        return False
    return standing.now - attested.made_at <= EVIDENCE_LASTS


def _unbroken(attested: Sequence[Attested]) -> Condition:
    broken = [each for each in attested if each.problem is not None]
    if not broken:
        return Condition("signatures", is_met=True, message="Every attestation verifies.")
    first = broken[0]
    return Condition(
        "signatures",
        is_met=False,
        message=f"The attestation {first.id} ({first.predicate_type}) does not verify: {first.problem}.",
        next_step="Somebody may have forged it: look at `headworks release verify`, and find out before you go on.",
    )


def _unblocked(standing: Standing) -> Condition:
    if not standing.blocks:
        return Condition("incidents", is_met=True, message="No incident blocks it.")
    first = standing.blocks[0]
    return Condition(
        "incidents",
        is_met=False,
        message=f"{first.by} blocked it at {_minute(first.at)}: {first.reason}",
        next_step=f"Once that is over: `headworks release unblock {first.id}`.",
    )


def _verdict(standing: Standing, gate: Gate) -> Condition:
    found = [
        (each, words)
        for each in standing.attested
        if each.counts and each.statement and each.predicate_type == VERDICT
        for words in [each.statement.words]
        if isinstance(words, Verdict)
    ]
    of_gate = [(each, words) for each, words in found if words.gate == gate.digest]
    if not of_gate:
        other = " by another gate than the one attached to `prod`, which does not count" if found else ""
        was = "It was judged" if found else "The gate has not judged this digest"
        return _unmet(f"{was}{other}.")
    each, words = of_gate[-1]
    problem = _why_stale(standing, gate, each, words)
    if problem:
        return _unmet(f"The verdict {words.verdict} of {_minute(each.made_at)} is stale: {problem}.")
    if words.verdict == "PASS":
        return Condition("gate", is_met=True, message=f"The gate said PASS at {_minute(each.made_at)}.")
    more = f" It asks for {words.needed} more judgements." if words.needed else ""
    return _unmet(f"The gate said {words.verdict} at {_minute(each.made_at)}. {words.summary}{more}".strip())


def _unmet(message: str) -> Condition:
    return Condition("gate", is_met=False, message=message, next_step="Run the gate on this very digest.")


def _why_stale(standing: Standing, gate: Gate, attested: Attested, words: Verdict) -> str | None:
    if standing.now - attested.made_at > EVIDENCE_LASTS:
        return f"it is older than {EVIDENCE_LASTS.days} days"
    if words.dataset != gate.dataset:
        return "the golden set has changed since"
    if words.base is not None and words.base != standing.live:
        return "it compares with a release that is no longer live"
    if words.compares and words.base is None and standing.live is not None:
        return "it compares with nothing, and something is live now"
    if standing.left is not None and attested.made_at <= standing.left.at:
        return f"{standing.left.by} rolled back from this release since"
    return None


def _rejudged(standing: Standing) -> Condition:
    if standing.live is None:
        return Condition("live release", is_met=True, message="Nothing is live that it would have to judge first.")
    said = [
        (each, words)
        for each in standing.of_live
        if each.counts and each.statement
        for words in [each.statement.words]
        if isinstance(words, Verdict) and words.gate == standing.digest
    ]
    if not said:
        return Condition(
            "live release",
            is_met=False,
            message="The new gate has not judged the live release yet.",
            next_step="Run the new gate on the live release: its verdict is shown to who approves.",
        )
    each, words = said[-1]
    message = f"The new gate said {words.verdict} of the live release at {_minute(each.made_at)}. {words.summary}"
    return Condition("live release", is_met=True, message=message.strip())


def _approvals(standing: Standing) -> list[Condition]:
    attached = standing.gate.digest if standing.gate else None
    said = decisions(standing.attested)
    good = {
        who: words
        for who, (each, words) in said.items()
        if words.decision == "approve"
        and words.gate == attached
        and who not in standing.authors
        and _is_current(standing, each)
    }
    wanted = APPROVALS[standing.tier]
    conditions = [] if not standing.is_anonymous else [_of_nobody(standing)]
    by = ", ".join(sorted(each.statement.by_name for who in good if (each := said[who][0]).statement)) or "nobody"
    conditions.append(
        Condition(
            "approvals",
            len(good) >= wanted,
            f"{len(good)} of {wanted} for {standing.tier} risk: {by}.",
            "" if len(good) >= wanted else "Somebody who did not propose it approves it: `headworks release approve`.",
        )
    )
    if standing.tier == "high":
        has_expert = any(words.is_expert for words in good.values())
        conditions.append(
            Condition(
                "expert",
                has_expert,
                "The principal domain expert approves."
                if has_expert
                else "The principal domain expert has not approved.",
                "" if has_expert else "Who has `release:expert` runs `headworks release approve … --as-expert`.",
            )
        )
    return conditions + _objections(standing.attested)


def _of_nobody(standing: Standing) -> Condition:
    named = "--gate" if standing.kind == "gate" else "--feature"
    return Condition(
        "author",
        is_met=False,
        message="A service account made it, so nobody knows whose work it is.",
        next_step=f"Whose it is runs `headworks release propose {named} {standing.feature} --title …`; others approve.",
    )


def _objections(attested: Sequence[Attested]) -> list[Condition]:
    names = sorted(
        each.statement.by_name
        for each, words in decisions(attested).values()
        if words.decision == "object" and each.statement
    )
    if not names:
        return []
    verb = "objects" if len(names) == 1 else "object"
    step = "Talk, and have it withdrawn."
    return [Condition("objections", is_met=False, message=f"{', '.join(names)} {verb}.", next_step=step)]


def _minute(at: datetime) -> str:
    return at.strftime("%Y-%m-%d %H:%M UTC")

"""Channels: pointers to releases, moved by compare-and-swap, and the rule of who may be moved where."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from headworks.types.features import RiskTier
from headworks.types.ids import Digest

ChannelName = Literal["prod", "canary", "staging"]
Way = Literal["apply", "promote", "rollback", "break_glass"]
"""How a pointer came to where it points."""
Kind = Literal["feature", "gate"]
"""What a bundle is: what is called, or what judges it."""


PROD: ChannelName = "prod"


@dataclass(frozen=True, slots=True)
class Order:
    """A move that is wanted. `expected` is what the channel points at now, as far as who orders knows.

    `glass`: past the rule; then `reason` is not empty.
    """

    feature: str
    digest: Digest
    expected: Digest | None
    channel: ChannelName = PROD
    reason: str = ""
    glass: bool = False
    proposal: int | None = None


@dataclass(frozen=True, slots=True)
class Moved:
    """What became of an order."""

    feature: str
    channel: str
    before: Digest | None
    after: Digest
    way: Way
    is_ungated: bool


@dataclass(frozen=True, slots=True)
class Placement:
    """Where `apply` puts a release. `is_ungated`: it reaches prod without a gate, which is recorded."""

    channel: ChannelName
    is_ungated: bool
    reason: str


def placement(
    tier: RiskTier, *, has_gate: bool, is_blocked: bool = False, is_left: bool = False, against: str = ""
) -> Placement:
    """`prod` only while the feature is of low risk and has no gate; else `staging`.

    `tier` is the dearest of what was and what is to be; `is_left`: somebody rolled back from this very release;
    `against`: what is attested against it.
    """
    if has_gate:
        return Placement("staging", is_ungated=False, reason="it has a gate")
    if tier != "low":
        return Placement("staging", is_ungated=False, reason=f"its risk is {tier}")
    if is_blocked:
        return Placement("staging", is_ungated=False, reason="an incident blocks it")
    if is_left:
        return Placement("staging", is_ungated=False, reason="it was rolled back from; promote it if it is good again")
    if against:
        return Placement("staging", is_ungated=False, reason=against)
    return Placement("prod", is_ungated=True, reason="its risk is low and it has no gate")

"""Channels: pointers to releases, moved by compare-and-swap, and the rule of who may be moved where."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from headworks.types.workspace import FeatureSpec

ChannelName = Literal["prod", "canary", "staging"]
Way = Literal["apply", "promote", "rollback", "break_glass"]
"""How a pointer came to where it points."""
Kind = Literal["feature", "gate"]
"""What a bundle is: what is called, or what judges it."""


@dataclass(frozen=True, slots=True)
class Placement:
    """Where `apply` puts a release. `is_ungated`: it reaches prod without a gate, which is recorded."""

    channel: ChannelName
    is_ungated: bool
    reason: str


def placement(feature: FeatureSpec) -> Placement:
    """`prod` only while the feature is of low risk and has no gate; else `staging`."""
    if feature.has_gate:
        return Placement("staging", is_ungated=False, reason="it has a gate, and gates are not built yet")
    if feature.risk != "low":
        return Placement("staging", is_ungated=False, reason=f"its risk is {feature.risk}, and gates are not built yet")
    return Placement("prod", is_ungated=True, reason="its risk is low and it has no gate")

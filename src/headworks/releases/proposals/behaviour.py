"""What a release does otherwise than the live one: examples that flipped, grouped by failure mode. Pure.

A comparison has a flip for each metric; people count examples, so that each is counted and named once.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from headworks.releases.evidence.attestations import COMPARISON, Comparison, Flip
from headworks.releases.evidence.store import Attested
from headworks.types.ids import Digest

UNNAMED = "(no failure mode)"


@dataclass(frozen=True, slots=True)
class FlippedExample:
    """An example that flipped one way, by these metrics."""

    example: str
    metrics: tuple[str, ...]
    base_trace: str | None
    trace: str | None


@dataclass(frozen=True, slots=True)
class ModeFlips:
    """The examples of one failure mode that pass now (`fixed`), and those that fail now (`broken`)."""

    mode: str
    fixed: tuple[FlippedExample, ...]
    broken: tuple[FlippedExample, ...]


@dataclass(frozen=True, slots=True)
class BehaviourDiff:
    """One comparison of a candidate with `base`, in examples. `is_current`: base is what is live now."""

    base: str
    dataset: str | None
    examples: int
    fixed: int
    broken: int
    modes: tuple[ModeFlips, ...]
    is_current: bool
    made_at: datetime


def behaviour_diff(attested: Sequence[Attested], live: Digest | None) -> BehaviourDiff | None:
    """From the newest comparison that counts, of the live release if there is one; None where nobody compared."""
    found = [
        (each, words)
        for each in attested
        if each.counts and each.statement is not None and each.predicate_type == COMPARISON
        for words in [each.statement.words]
        if isinstance(words, Comparison)
    ]
    if not found:
        return None
    current = [pair for pair in found if pair[1].base == live]
    attestation, words = (current or found)[-1]
    return BehaviourDiff(
        base=words.base,
        dataset=words.dataset,
        examples=words.examples,
        fixed=len(_once(filter(_is_fixed, words.flips))),
        broken=len(_once(filter(_is_broken, words.flips))),
        modes=_grouped(words.flips),
        is_current=bool(current),
        made_at=attestation.made_at,
    )


def _grouped(flips: Sequence[Flip]) -> tuple[ModeFlips, ...]:
    """An example with several modes stands in each; those that broke most come first."""
    modes: dict[str, list[Flip]] = {}
    for each in flips:
        for mode in each.modes or (UNNAMED,):
            modes.setdefault(mode, []).append(each)
    grouped = [
        ModeFlips(mode, _once(filter(_is_fixed, found)), _once(filter(_is_broken, found)))
        for mode, found in modes.items()
    ]
    return tuple(sorted(grouped, key=lambda each: (-len(each.broken), -len(each.fixed), each.mode)))


def _once(flips: Iterable[Flip]) -> tuple[FlippedExample, ...]:
    """Each example once; its traces are the same for every metric."""
    found: dict[str, list[Flip]] = {}
    for each in flips:
        found.setdefault(each.example, []).append(each)
    return tuple(
        FlippedExample(name, tuple(each.metric for each in same if each.metric), same[0].base_trace, same[0].trace)
        for name, same in found.items()
    )


def _is_fixed(flip: Flip) -> bool:
    return flip.before == "fail" and flip.after == "pass"


def _is_broken(flip: Flip) -> bool:
    return flip.before == "pass" and flip.after == "fail"

"""What a release does otherwise than the live one: examples that flipped, grouped by failure mode. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from headworks.releases.evidence.attestations import COMPARISON, Comparison, Flip
from headworks.releases.evidence.store import Attested
from headworks.types.ids import Digest

UNNAMED = "(no failure mode)"


@dataclass(frozen=True, slots=True)
class ModeFlips:
    """The examples of one failure mode that pass now (`fixed`), and those that fail now (`broken`)."""

    mode: str
    fixed: tuple[Flip, ...]
    broken: tuple[Flip, ...]


@dataclass(frozen=True, slots=True)
class BehaviourDiff:
    """One comparison of a candidate with `base`. `is_current`: base is what is live now."""

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
        fixed=sum(_is_fixed(each) for each in words.flips),
        broken=sum(_is_broken(each) for each in words.flips),
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
        ModeFlips(
            mode,
            tuple(each for each in found if _is_fixed(each)),
            tuple(each for each in found if _is_broken(each)),
        )
        for mode, found in modes.items()
    ]
    return tuple(sorted(grouped, key=lambda each: (-len(each.broken), -len(each.fixed), each.mode)))


def _is_fixed(flip: Flip) -> bool:
    return flip.before == "fail" and flip.after == "pass"


def _is_broken(flip: Flip) -> bool:
    return flip.before == "pass" and flip.after == "fail"

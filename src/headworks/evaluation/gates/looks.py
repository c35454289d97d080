"""How much of its error rate a gate may spend on this look. Pure.

Two ways to get green by trying again are shut:

* *The same candidate again.* The gate declares its looks; O'Brien and Fleming's spending gives each its level, so that
  all together err with probability alpha at most. Looks at more or other examples count too: who adds some because a
  verdict was INCONCLUSIVE looks a second time. Reading the same results again is the same look. So is coming back
  with judgements that a verdict on these very answers had to wait for: it could be no PASS, and what waited was not
  tested. A look beyond the declared ones shows nothing. Where looks were declared otherwise before, a look has what is
  left of the error rate: levels that add up to alpha err with alpha at most, however the looks depend on each other.
* *The same idea under another digest.* Candidates are counted against what they are compared with: the feature, its
  golden files and the live release. The j-th one that is judged there is tested at alpha / j². Each is wrong with
  probability alpha at most, and however many edits of a bad release somebody tries, one of them passes with probability
  1.65 alpha at most (the sum of 1 / j² is π² / 6). This count begins anew when another release is live, or when the
  golden files change, which is a proposal of its own that somebody else approves. The live release itself, judged by a
  gate that is to be attached, is no candidate.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from headworks.statistics.spending import Look, obrien_fleming
from headworks.types.ids import Digest

_NOTHING = Digest("")


@dataclass(frozen=True, slots=True)
class PastLook:
    """A look that was taken: at which candidate, and at which results."""

    candidate: Digest
    golden: Digest
    """Of the golden files."""
    answers: Digest
    """Digest of what both sides answered and how that was scored."""
    results: Digest
    """Digest of that and of what people said: of all that was looked at."""
    look: int
    attempt: int
    alpha: float
    waits: bool = False
    """Whether a line waited for people."""


@dataclass(frozen=True, slots=True)
class Sight:
    """What is to be looked at now; see PastLook."""

    candidate: Digest
    golden: Digest
    answers: Digest
    results: Digest
    live: Digest = _NOTHING
    """The release that is live; empty: none is."""


@dataclass(frozen=True, slots=True)
class NextLook:
    """Which look this is. `alpha` None: the declared ones, or their error rate, are used up."""

    look: int
    attempt: int
    """The how-manieth candidate this is against the same base and examples."""
    alpha: float | None
    is_repeated: bool = False
    """Whether these very results were looked at before."""
    next_alpha: float | None = None
    """The level of the look after it; None: it is the last at this release."""


def next_look(past: Sequence[PastLook], sight: Sight, declared: int, alpha: float) -> NextLook:
    """From the looks that were taken with the same feature while the same release was live."""
    own = [each for each in past if each.candidate == sight.candidate]
    others = {each.candidate for each in past if each.golden == sight.golden} - {sight.candidate, sight.live}
    attempt = own[0].attempt if own else 1 if sight.candidate == sight.live else len(others) + 1
    levels = {each.look: each.alpha for each in own}
    plan = obrien_fleming(declared, alpha / attempt**2)
    last = max(levels, default=0)
    newest = [each for each in own if each.look == last]
    seen = next((each for each in own if each.results == sight.results), None)
    if seen is None and newest and all(each.waits and each.answers == sight.answers for each in newest):
        look, level = last, newest[0].alpha
    elif seen is None:
        look, level = last + 1, _level(plan, list(levels.values()))
    else:
        look, level = seen.look, seen.alpha
    after = _level(plan, [*(levels[each] for each in range(1, look)), level]) if level else 0.0
    return NextLook(look, attempt, level or None, seen is not None, after or None)


def _level(plan: Sequence[Look], taken: Sequence[float]) -> float:
    """Of the look after those taken, at these levels; 0 where there is none, or nothing left for it."""
    if len(taken) >= len(plan):
        return 0.0
    look = plan[len(taken)]
    as_planned = all(math.isclose(each.alpha, level) for each, level in zip(plan, taken, strict=False))
    return look.alpha if as_planned else max(0.0, look.spent - sum(taken))

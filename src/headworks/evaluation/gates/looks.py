"""How much of its error rate a gate may spend on this look. Pure.

Two ways to get green by trying again are shut:

* *The same candidate again.* The gate declares its looks; O'Brien and Fleming's spending gives each its level, so that
  all together err with probability alpha at most. Reading the same results again is the same look. So is coming back
  with judgements that a verdict on these very answers had to wait for: it could be no PASS, and what waited was not
  tested. A look beyond the declared ones shows nothing.
* *The same idea under another digest.* Candidates are counted against what they are compared with: the feature, its
  golden files and the live release. The j-th one that is judged there is tested at alpha / j². Each is wrong with
  probability alpha at most, and however many edits of a bad release somebody tries, one of them passes with probability
  1.65 alpha at most (the sum of 1 / j² is π² / 6). The count begins anew when another release is live, or when the
  golden files change, which is a proposal of its own that somebody else approves. The live release itself, judged by a
  gate that is to be attached, is no candidate.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from headworks.statistics.spending import obrien_fleming
from headworks.types.ids import Digest

_NOTHING = Digest("")


@dataclass(frozen=True, slots=True)
class PastLook:
    """A look that was taken: at which candidate, and at which results."""

    candidate: Digest
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
    answers: Digest
    results: Digest
    live: Digest = _NOTHING
    """The release that is live; empty: none is."""


@dataclass(frozen=True, slots=True)
class NextLook:
    """Which look this is. `alpha` None: the declared ones are used up."""

    look: int
    attempt: int
    """The how-manieth candidate this is against the same base and examples."""
    alpha: float | None
    is_repeated: bool = False
    """Whether these very results were looked at before."""


def next_look(past: Sequence[PastLook], sight: Sight, declared: int, alpha: float) -> NextLook:
    """From the looks that were taken with the same feature and golden files while the same release was live."""
    own = [each for each in past if each.candidate == sight.candidate]
    for each in own:
        if each.results == sight.results:
            return NextLook(each.look, each.attempt, each.alpha, is_repeated=True)
    last = max((each.look for each in own), default=0)
    newest = [each for each in own if each.look == last]
    if newest and all(each.waits and each.answers == sight.answers for each in newest):
        return NextLook(last, newest[0].attempt, newest[0].alpha)
    others = {each.candidate for each in past} - {sight.candidate, sight.live}
    attempt = own[0].attempt if own else 1 if sight.candidate == sight.live else len(others) + 1
    if last >= declared:
        return NextLook(last + 1, attempt, None)
    return NextLook(last + 1, attempt, obrien_fleming(declared, alpha / attempt**2)[last].alpha)

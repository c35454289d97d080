"""How much of a text's words, in their order, stand in a reference: BLEU and GLEU of one answer, as promptfoo has them.

Words are what stands between spaces, in small letters. Runs of 1 to 4 words are counted, each at most as often as the
reference has it; of several references the best counts.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Sequence

SPACE = re.compile(r"[\t-\r \u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000\ufeff]+")
"""What JavaScript takes for space between words."""
_LONGEST_RUN = 4
_NEXT_TO_NOTHING = 1e-7
"""Stands for a share of 0, whose logarithm there is not."""
_Runs = Counter[tuple[str, ...]]


def bleu(text: str, references: Sequence[str]) -> float:
    """Papineni et al. 2002, of one sentence: shares of runs that are in a reference, their geometric mean.

    An answer shorter than the reference nearest in length is worth less. Lengths of runs that it is too short for do
    not count; an empty one is worth nothing.
    """
    words, wanted = _words(text), [_words(each) for each in references]
    if words == [""]:
        return 0.0
    shares = []
    for length in range(1, min(_LONGEST_RUN, len(words)) + 1):
        runs = _runs(words, length)
        shared = max((runs & _runs(each, length)).total() for each in wanted)
        shares.append(shared / runs.total() or _NEXT_TO_NOTHING)
    nearest = min((len(each) for each in wanted), key=lambda size: (abs(size - len(words)), size))
    brevity = 1.0 if len(words) > nearest else math.exp(1 - nearest / len(words))
    return brevity * math.exp(sum(1 / len(shares) * math.log(each) for each in shares))


def gleu(text: str, references: Sequence[str]) -> float:
    """Wu et al. 2016: the share of its runs that a reference has, or of the reference's that it has: the lesser one.

    Points at the ends of words do not count.
    """
    words = [each.rstrip(".") for each in _words(text)]
    return max(_gleu(words, [each.rstrip(".") for each in _words(reference)]) for reference in references)


def _gleu(words: Sequence[str], wanted: Sequence[str]) -> float:
    mine, theirs = _all_runs(words), _all_runs(wanted)
    return (mine & theirs).total() / max(mine.total(), theirs.total())


def _words(text: str) -> list[str]:
    return [each for each in SPACE.split(text.lower()) if each] or [""]


def _runs(words: Sequence[str], length: int) -> _Runs:
    return Counter(tuple(words[at : at + length]) for at in range(len(words) - length + 1))


def _all_runs(words: Sequence[str]) -> _Runs:
    found: _Runs = Counter()
    for length in range(1, _LONGEST_RUN + 1):
        found += _runs(words, length)
    return found

"""Several answers to one example, and whether it passes each time."""

from __future__ import annotations

import math

from headworks.statistics.observations import require


def pass_all(passes: int, repeats: int, k: int) -> float:
    """The probability that k answers all pass, from how many of the repeats passed: C(passes, k) / C(repeats, k).

    Unbiased (Yao et al. 2024, arXiv 2406.12045), where (passes / repeats) ** k is too high. InvalidRequest for k above
    the repeats.
    """
    message = f"{passes} passes of {repeats} say nothing about {k} in a row."
    require(0 <= passes <= repeats and 1 <= k <= repeats, "k", message, f"Repeat each example at least {k} times.")
    return math.comb(passes, k) / math.comb(repeats, k)

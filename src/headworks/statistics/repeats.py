"""Several answers to one example, and whether it passes each time."""

from __future__ import annotations

import math

from headworks.errors import InvalidRequest


def pass_all(passes: int, repeats: int, k: int) -> float:
    """The probability that k answers all pass, from how many of the repeats passed: C(passes, k) / C(repeats, k).

    Unbiased (Yao et al. 2024, arXiv 2406.12045), where (passes / repeats) ** k is too high. InvalidRequest for k above
    the repeats.
    """
    if not (0 <= passes <= repeats and 1 <= k <= repeats):
        raise InvalidRequest(
            f"{passes} passes of {repeats} say nothing about {k} in a row.",
            next_step=f"Repeat each example at least {k} times.",
            param="k",
        )
    return math.comb(passes, k) / math.comb(repeats, k)


def pass_any(passes: int, repeats: int, k: int) -> float:
    """The probability that at least one of k answers passes, unbiased (Chen et al. 2021, arXiv 2107.03374)."""
    return 1.0 - pass_all(repeats - passes, repeats, k)

"""Writes oracles.json: what libraries that are too heavy to depend on answer to a few small inputs.

In an environment of its own with `ppi-python`, `evalica` and `inspect-ai`: python tests/statistics/record_oracles.py
"""

from __future__ import annotations

import json
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from random import Random
from typing import Any

import evalica
import numpy as np
import pandas as pd
from inspect_ai.scorer import SampleScore, Score, stderr
from ppi_py import ppi_mean_ci, ppi_mean_pointestimate


def judge_correction(random: Random) -> dict[str, Any]:
    """Labels, the judge on the same, the judge on more; 90 % intervals with the judge's weight fixed and tuned."""
    truth = [float(random.random() < 0.8) for _ in range(240)]
    judge = [each if random.random() < 0.85 else 1 - each for each in truth]
    labels, judged, rest = truth[:60], judge[:60], judge[60:]
    arrays = (np.array(labels), np.array(judged), np.array(rest))
    found = {"labels": labels, "judged": judged, "rest": rest}
    for name, weight in (("fixed", 1.0), ("half", 0.5), ("tuned", None)):
        low, high = ppi_mean_ci(*arrays, alpha=0.1, lam=weight)
        value = ppi_mean_pointestimate(*arrays, lam=weight)
        found[name] = [float(np.ravel(each)[0]) for each in (value, low, high)]
    return found


def agreement(random: Random) -> dict[str, Any]:
    """Units by raters, with missing verdicts; alpha by level."""
    units = [[_verdict(random, random.randint(1, 4)) for _ in range(3)] for _ in range(40)]
    frame = pd.DataFrame(units, dtype="float64").T
    found: dict[str, Any] = {"units": units}
    for level in ("nominal", "ordinal", "interval"):
        found[level] = float(evalica.alpha(frame, distance=level).alpha)
    return found


def _verdict(random: Random, base: int) -> int | None:
    if random.random() < 0.15:
        return None
    return base if random.random() < 0.7 else random.randint(1, 4)


def clustered_error(random: Random) -> dict[str, Any]:
    """Scores, their clusters, and the standard error of the mean."""
    clusters = [f"document {random.randint(1, 12)}" for _ in range(50)]
    scores = [random.random() + 0.1 * (len(each) - 9) for each in clusters]
    samples = [
        SampleScore(score=Score(value=score), sample_metadata={"document": cluster})
        for score, cluster in zip(scores, clusters, strict=True)
    ]
    error: Callable[[Any], Any] = stderr(cluster="document")
    return {"scores": scores, "clusters": clusters, "standard_error": float(error(samples))}


def main() -> None:
    random = Random(7)  # noqa: S311 - examples, no secrets
    found = {
        "made_by": "tests/statistics/record_oracles.py",
        "versions": {name: version(name) for name in ("ppi-python", "evalica", "inspect-ai")},
        "judge_correction": [judge_correction(random) for _ in range(5)],
        "agreement": agreement(random),
        "clustered_error": clustered_error(random),
    }
    Path(__file__).with_name("oracles.json").write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()

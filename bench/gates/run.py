"""How often gates are wrong: ours, and the usual rules on the same draws.

    python bench/gates/run.py [--replications 20000] [--processes 2] [--json]

1. A candidate that is worse by exactly the margin, in each design: how often does it pass? At most 5.5 %.
2. An equal candidate, with the number of examples or judgements that is asked for, from the truth and by a gate from
   its own data (`asking.py`): at least 78 %.
3. The canary's e-process: alarms without a change over 10,000 requests per arm, and how soon 5 → 10 % is seen.
4. PandaLM's test set, where HEADWORKS_TEST_DATA (../shared/data) has it: how often the corrected 95 % interval from 100
   of its 999 human judgements covers what all of them say. At least 94 %.

Exit status 1 if a bar is missed.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import sys
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
from asking import from_pilot, from_truth
from designs import DESIGNS, Design, draw
from rules import USUAL, passes

from headworks.statistics.estimates import SHARES
from headworks.statistics.judge_correction import corrected_mean
from headworks.statistics.sequential import block_log_evidence

_SEED = 20_261_123
_ERRORS, _POWER, _ALARMS, _SOON, _COVERED = 0.055, 0.78, 0.05, 600, 0.94
_PANDALM = Path(os.environ.get("HEADWORKS_TEST_DATA", "../shared/data")) / "judged" / "pandalm"
_ASKED = {
    "alone, 100": (100, 40),
    "alone, rare, 50": (50,),
    "alone, rare, 100": (100,),
    "100 clusters of 4": (100, 20),
    "40 clusters of 4, rare": (40,),
    "60 clusters of 10": (60, 15),
    "60 clusters of 4, graded": (60, 15),
    "judge, 100 of 400": (400,),
    "lenient judge, 100 of 1000": (1000,),
    "lenient judge, rare, 100 of 1000": (1000,),
    "lenient judge, 50 of 200 clusters of 4": (200,),
}
"""Designs, and how many clusters the gates have that ask."""


def errors(design: Design, replications: int) -> list[float | None]:
    """The share of candidates at the margin that pass: by our gate, and by each usual rule; None where it has none."""
    random = np.random.default_rng([_SEED, DESIGNS.index(design)])
    passed = np.zeros(1 + len(USUAL))
    for _ in range(replications):
        codes, scores = draw(design, -design.margin, random)
        ours, usual = passes(design, codes, scores, random)
        passed += [ours, *usual]
    return [None if math.isnan(each) else each / replications for each in passed.tolist()]


def first_alarms(rates: tuple[float, float], replays: int, requests: int = 10_000, block: int = 10) -> np.ndarray:
    """Requests per arm until the e-process alarms, infinite where it does not; shape (replays,)."""
    random = np.random.default_rng([_SEED, int(rates[1] * 1000)])
    seen, evidence = np.zeros((2, replays)), np.zeros(replays)
    found = np.full(replays, np.inf)
    for n in range(0, requests, block):
        failures = random.binomial(block, np.array(rates)[:, None], (2, replays))
        size = np.array(block)
        evidence += block_log_evidence(tuple(seen), (np.array(n), np.array(n)), tuple(failures), (size, size))
        found[(evidence >= math.log(20)) & np.isinf(found)] = n + block
        seen += failures
    return found


def coverage(draws: int) -> tuple[float, float]:
    """The share of draws of 100 judgements whose interval covers what all say, and what each judgement is worth."""
    people = json.loads((_PANDALM / "testset-v1.json").read_text())
    model = json.loads((_PANDALM / "gpt-3.5-turbo-testset-v1.json").read_text())
    truth = np.array([float(sum(row[f"annotator{each}"] == 1 for each in (1, 2, 3)) >= 2) for row in people])
    judge = np.array([float(row["gpt_result"] == "1") for row in model])
    random, covered, gains = np.random.default_rng(_SEED), 0, 0.0
    for _ in range(draws):
        labels: list[float | None] = [None] * truth.size
        for place in random.choice(truth.size, 100, replace=False):
            labels[place] = float(truth[place])
        found = corrected_mean(judge, labels, limits=SHARES)
        covered += float(truth.mean()) in found.estimate.interval()
        gains += found.gain
    return covered / draws, gains / draws


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--replications", type=int, default=20_000)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    asked = [each for each in DESIGNS if each.name in _ASKED]
    with ProcessPoolExecutor(options.processes) as pool:
        wrong = [pool.submit(errors, each, options.replications) for each in DESIGNS]
        many = max(200, options.replications // 10)
        shown = {f"{each.name}: from the truth": pool.submit(from_truth, each, many, _SEED) for each in asked}
        for each in asked:
            for clusters in _ASKED[each.name]:
                name = f"{each.name}: from a gate with {clusters} {'clusters' if each.size > 1 else 'examples'}"
                shown[name] = pool.submit(from_pilot, replace(each, clusters=clusters), many, _SEED)
        quiet = {
            rate: pool.submit(first_alarms, (rate, rate), max(200, options.replications // 5))
            for rate in (0.01, 0.05, 0.2)
        }
        soon = pool.submit(first_alarms, (0.05, 0.10), 1000)
        covered = pool.submit(coverage, max(200, options.replications // 5)) if _PANDALM.exists() else None
        found = {
            "replications": options.replications,
            "errors": {
                each.name: dict(zip(("ours", *USUAL), job.result(), strict=True))
                for each, job in zip(DESIGNS, wrong, strict=True)
            },
            "power": {name: job.result() for name, job in shown.items()},
            "false alarms": {rate: float(np.isfinite(job.result()).mean()) for rate, job in quiet.items()},
            "requests until 5 to 10 % is seen": float(np.median(soon.result())),
            "covered, worth": None if covered is None else covered.result(),
        }
    print(json.dumps(found, indent=1) if options.json else _table(found))
    return 0 if _holds(found) else 1


def _holds(found: dict) -> bool:
    return (
        all(each["ours"] <= _ERRORS for each in found["errors"].values())
        and all(share >= _POWER for _, share in found["power"].values())
        and all(each <= _ALARMS for each in found["false alarms"].values())
        and found["requests until 5 to 10 % is seen"] <= _SOON
        and (found["covered, worth"] is None or found["covered, worth"][0] >= _COVERED)
    )


def _table(found: dict) -> str:
    lines = [
        f"| worse by the margin: passes, % of {found['replications']:,} | ours | {' | '.join(USUAL)} |",
        f"|{'---|' * (2 + len(USUAL))}",
    ]
    for name, shares in found["errors"].items():
        cells = ("" if each is None else f"{100 * each:.1f}" for each in shares.values())
        lines.append(f"| {name} | {' | '.join(cells)} |")
    lines += ["", "| equal: passes with what is asked for | n (median) | % |", "|---|---|---|"]
    lines += [f"| {name} | {n:,} | {100 * share:.1f} |" for name, (n, share) in found["power"].items()]
    lines += [
        "",
        *(
            f"alarms without a change at {rate:.0%}: {100 * share:.1f} %"
            for rate, share in found["false alarms"].items()
        ),
    ]
    lines.append(f"median requests per arm until 5 → 10 % is seen: {found['requests until 5 to 10 % is seen']:.0f}")
    if found["covered, worth"] is None:
        lines.append(f"PandaLM: not measured, there is no {_PANDALM}")
    else:
        covered, worth = found["covered, worth"]
        lines.append(f"PandaLM: 100 judgements cover what all say in {100 * covered:.1f} %, each is worth {worth:.2f}")
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())

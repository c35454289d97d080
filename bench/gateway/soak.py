"""Memory over very many requests: sampled every few seconds, with the slope of a line through the samples.

The server's is its anonymous memory. PostgreSQL has a row of its own, shared buffers included: it grows until the
records have filled them, which is no leak.
"""

from __future__ import annotations

import math
import statistics
import sys
from dataclasses import dataclass
from pathlib import Path

from processes import anonymous_kib, is_postgres, pss_kib
from rig import System, measure
from windows import Row

_SETTLING = 0.2
"""The share of the requests before the first sample that counts: caches and buffers fill."""
_SAMPLE_S = 5


@dataclass(frozen=True, slots=True)
class Sample:
    requests: int
    own_kib: int
    database_kib: int


def soak(system: System, wanted: int, connections: int, folder: Path) -> list[Sample]:
    """A sample every few seconds until so many requests are answered, or until it is interrupted."""
    samples = [_sample(system, 0)]
    try:
        while samples[-1].requests < wanted:
            seen = measure(system, _SAMPLE_S, connections, folder)
            samples.append(_sample(system, samples[-1].requests + seen.units))
            now = samples[-1]
            print(
                f"{now.requests:>9} of {wanted} requests: {now.own_kib / 1024:.1f} MiB, and "
                f"{now.database_kib / 1024:.1f} MiB of PostgreSQL",
                file=sys.stderr,
            )
    except KeyboardInterrupt:
        print("interrupted; what was seen so far:", file=sys.stderr)
    return samples


def _sample(system: System, requests: int) -> Sample:
    pids = system.processes()
    database = {pid for pid in pids if is_postgres(pid)}
    return Sample(requests, anonymous_kib(pids - database), pss_kib(database))


def summary(name: str, samples: list[Sample]) -> list[Row]:
    """The slope in KiB per 100,000 requests, and its 95 % interval: flat where that holds 0."""
    done = samples[-1].requests
    counted = [sample for sample in samples if sample.requests >= done * _SETTLING]
    rows: list[Row] = []
    for part, of in (("the server", lambda s: s.own_kib), ("PostgreSQL", lambda s: s.database_kib)):
        row: Row = {"system": f"{name}: {part}", "requests": done, "samples": len(counted)}
        row |= {"mib_first": round(of(samples[0]) / 1024, 1), "mib_last": round(of(samples[-1]) / 1024, 1)}
        if len(counted) > 3:
            slope, half = _line([s.requests / 100_000 for s in counted], [float(of(s)) for s in counted])
            row |= {"kib_per_100k": round(slope, 1), "from": round(slope - half, 1), "to": round(slope + half, 1)}
        rows.append(row)
    return rows


def _line(x: list[float], y: list[float]) -> tuple[float, float]:
    """Slope of the least squares, and half of its 95 % interval."""
    slope, start = statistics.linear_regression(x, y)
    freedom = len(x) - 2
    mean = statistics.fmean(x)
    spread = sum((each - mean) ** 2 for each in x)
    left = sum((b - start - slope * a) ** 2 for a, b in zip(x, y, strict=True))
    return slope, _student(freedom) * math.sqrt(left / freedom / spread)


def _student(freedom: int) -> float:
    """Student's t at 97.5 %, by its expansion around the normal quantile."""
    z = statistics.NormalDist().inv_cdf(0.975)
    return z + (z**3 + z) / (4 * freedom) + (5 * z**5 + 16 * z**3 + 3 * z) / (96 * freedom**2)

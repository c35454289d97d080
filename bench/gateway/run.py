"""CPU per proxied request of the gateway, as a multiple of nginx doing the same hop in the same run.

    python bench/gateway/run.py            # the product: key check, route, usage, cost and record on
    python bench/gateway/run.py --bare     # the hop alone in our parts, with uvicorn's protocol and with ours

All on loopback: the system under test on core 0; the provider (nginx with a fixed answer) and the clients (wrk, 32
connections) on core 1. CPU is user and system time of all processes of the system. Windows of the systems alternate,
the figure is the median; trust the ratios, not the microseconds.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from rig import (
    MODEL,
    SYSTEM_CORE,
    System,
    Window,
    free_port,
    measure,
    probe,
    prompt,
    provider,
    require,
    started,
    wait_for,
    yardstick,
)

_HERE = Path(__file__).parent
_OURS = "headworks.server.http_protocol:OneWriteProtocol"


@contextmanager
def bare(name: str, protocol: str, folder: Path, to: int, *options: str) -> Iterator[System]:
    port = free_port()
    command = [
        sys.executable,
        str(_HERE / "bare_app.py"),
        f"--port={port}",
        f"--provider={to}",
        f"--protocol={protocol}",
    ]
    log = folder / f"{name.replace(' ', '-')}.log"
    with started([*command, *options], SYSTEM_CORE, log=log) as process:
        wait_for(f"http://127.0.0.1:{port}/v1/models", process)
        yield System(name, process.pid, f"http://127.0.0.1:{port}/v1/chat/completions", prompt(MODEL))


def compare(
    systems: list[System], rounds: int, seconds: float, connections: int, folder: Path
) -> dict[str, list[Window]]:
    """Windows of the systems in turn, after a warm-up of each."""
    for system in systems:
        probe(system)
        measure(system, 3, connections, folder)
    windows: dict[str, list[Window]] = {system.name: [] for system in systems}
    for turn in range(rounds):
        for system in systems:
            windows[system.name].append(measure(system, seconds, connections, folder))
        print(f"round {turn + 1} of {rounds}", file=sys.stderr)
    return windows


def summary(windows: dict[str, list[Window]]) -> list[dict[str, float | str]]:
    """Per system: medians, and the median of the ratios to nginx's window of the same round."""
    base = windows["nginx"]
    rows: list[dict[str, float | str]] = []
    for name, seen in windows.items():
        rows.append(
            {
                "system": name,
                "cpu_us": round(statistics.median(w.total_us for w in seen), 1),
                "cpu_us_min": round(min(w.total_us for w in seen), 1),
                "cpu_us_max": round(max(w.total_us for w in seen), 1),
                "x_nginx": round(
                    statistics.median(w.total_us / n.total_us for w, n in zip(seen, base, strict=True)), 2
                ),
                "x_nginx_without_database": round(
                    statistics.median(w.own_us / n.total_us for w, n in zip(seen, base, strict=True)), 2
                ),
                "requests_per_s": round(statistics.median(w.requests / w.seconds for w in seen)),
                "pss_mib": round(statistics.median(w.pss_mib for w in seen), 1),
            }
        )
    return rows


def table(rows: list[dict[str, float | str]]) -> str:
    head = list(rows[0])
    cells = [[str(row[name]) for name in head] for row in rows]
    widths = [max(len(row[i]) for row in [head, *cells]) for i in range(len(head))]
    return "\n".join("  ".join(text.rjust(w) for text, w in zip(row, widths, strict=True)) for row in [head, *cells])


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--bare", action="store_true", help="the hop alone, without the product")
    options.add_argument("--rounds", type=int, default=5)
    options.add_argument("--seconds", type=float, default=2.5)
    options.add_argument("--connections", type=int, default=32)
    options.add_argument("--json", action="store_true", help="print JSON instead of a table")
    chosen = options.parse_args()
    require("nginx", "wrk", "taskset")
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="hw-bench-")))
        to = stack.enter_context(provider(folder))
        systems = [stack.enter_context(yardstick(folder, to))]
        if chosen.bare:
            systems.append(stack.enter_context(bare("uvicorn's protocol", "httptools", folder, to)))
            systems.append(stack.enter_context(bare("our protocol", _OURS, folder, to)))
            systems.append(stack.enter_context(bare("its short way", _OURS, folder, to, "--short-way")))
        else:
            from product import product

            systems.append(stack.enter_context(product(folder, to)))
        rows = summary(compare(systems, chosen.rounds, int(chosen.seconds + 0.5), chosen.connections, folder))
    print(json.dumps(rows, indent=1) if chosen.json else table(rows))


if __name__ == "__main__":
    main()

"""The gateway beside nginx doing the same hop in the same run: CPU, latency, memory.

    python bench/gateway/run.py                      # CPU of the plain hop: key check, route, usage, cost and record on
    python bench/gateway/run.py --all                # every table below
    python bench/gateway/run.py --prompt-kb 300      # with a large prompt
    python bench/gateway/run.py --stream             # CPU per chunk: 10 ms apart, and at once
    python bench/gateway/run.py --translate          # between Chat Completions and Messages
    python bench/gateway/run.py --latency            # added p50 and p99 at 50 requests a second
    python bench/gateway/run.py --streams 5000       # memory of each open stream, and failures
    python bench/gateway/run.py --soak 1000000       # slope of the memory; Ctrl-C shows what was seen so far
    python bench/gateway/run.py --bare               # the hop alone in our parts
    python bench/gateway/run.py --peers --venvs DIR  # other gateways beside it, installed into DIR (plain hop, large
                                                     # prompt, streams and latency)

All on loopback: the system under test on core 0; the provider and the clients (wrk, 32 connections) on core 1. CPU is
user and system time of all processes of the system. Windows of the systems alternate, the figure is the median; trust
the ratios, not the microseconds. Several options give several tables.
"""

from __future__ import annotations

import argparse
import json
import signal
import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import modes
from modes import Effort
from rig import Failed, allow_open_files, require
from windows import Row, table

_ALL = {"prompt_kb": 300, "stream": True, "translate": True, "latency": True, "streams": 5000, "bare": True}
_PER_S = 50
_GAP_MS = 10
_SPARE_FILES = 500
_Mode = tuple[str, Callable[[], list[Row]]]


def _options() -> argparse.Namespace:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--plain", action="store_true", help="the plain hop; what is done if nothing else is asked")
    options.add_argument("--prompt-kb", type=int, metavar="KB")
    options.add_argument("--stream", action="store_true")
    options.add_argument("--translate", action="store_true")
    options.add_argument("--latency", action="store_true")
    options.add_argument("--streams", type=int, metavar="COUNT")
    options.add_argument("--soak", type=int, metavar="REQUESTS")
    options.add_argument("--bare", action="store_true")
    options.add_argument("--all", action="store_true", help="everything but the soak and the peers")
    options.add_argument("--peers", action="store_true", help="needs --venvs")
    options.add_argument("--venvs", type=Path, metavar="DIR", help="where other gateways are installed, and stay")
    options.add_argument("--rounds", type=int, default=5)
    options.add_argument("--seconds", type=int, default=3, help="of one window (--latency: four times that)")
    options.add_argument("--connections", type=int, default=32)
    options.add_argument("--json", action="store_true", help="print JSON instead of tables")
    chosen = options.parse_args()
    if chosen.peers and not chosen.venvs:
        options.error("--peers needs --venvs DIR")
    if chosen.all:
        vars(chosen).update({name: vars(chosen)[name] or value for name, value in _ALL.items()})
    if chosen.all or not any(vars(chosen)[name] for name in (*_ALL, "soak")):
        chosen.plain = True
    return chosen


def _chosen(chosen: argparse.Namespace) -> Iterator[_Mode]:
    effort = Effort(chosen.rounds, chosen.seconds, chosen.connections, chosen.venvs if chosen.peers else None)
    slow = Effort(chosen.rounds, chosen.seconds * 4, 1, effort.venvs)
    if chosen.plain:
        yield "plain hop, 1 KB prompt", partial(modes.hop, effort)
    if chosen.prompt_kb:
        yield f"plain hop, {chosen.prompt_kb} KB prompt", partial(modes.hop, effort, chosen.prompt_kb)
    if chosen.stream:
        yield f"streams, chunks {_GAP_MS} ms apart", partial(modes.chunks, effort, _GAP_MS)
        yield "streams, chunks at once", partial(modes.chunks, effort, 0)
    if chosen.translate:
        yield "translation", partial(modes.translation, effort)
    if chosen.latency:
        yield f"latency at {_PER_S} requests a second", partial(modes.low_rate, slow, _PER_S)
    if chosen.streams:
        yield f"{chosen.streams} open streams", partial(modes.many_streams, chosen.streams)
    if chosen.bare:
        yield "the bare hop", partial(modes.bare, effort)
    if chosen.soak:
        yield f"{chosen.soak} requests", partial(modes.long_run, effort, chosen.soak)


def main() -> None:
    chosen = _options()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("error: ended by SIGTERM"))  # what was started is ended
    found: dict[str, list[Row]] = {}
    try:
        require("nginx", "wrk", "taskset")
        allow_open_files(2 * (chosen.streams or 0) + _SPARE_FILES)
        for title, look in _chosen(chosen):
            print(f"# {title}", file=sys.stderr)
            found[title] = look()
            if not chosen.json:
                print(f"\n{title}\n{table(found[title])}", flush=True)
    except Failed as error:
        sys.exit(f"error: {error}")
    finally:
        if chosen.json:
            print(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()

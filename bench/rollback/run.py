"""How long after a rollback the release that was rolled back from still answers, on a server with several workers.

    script/bench rollback [--rounds 8] [--workers 2]

The feature is that of examples/prior-authorisation. Each round changes a word of its prompt, moves `prod` past the rule
(no gate is waited for), waits until every worker answers by it, rolls back, and asks again and again, each time over a
connection of its own, until forty answers in a row come from the release before. The limit is five seconds.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2] / "tests" / "support"))

from running_server import Server, eventually, start_server, write_workspace

LIMIT_S = 5.0
IN_A_ROW = 40
FEATURE = "prior-authorisation"
WORKSPACE = Path(__file__).parents[2] / "examples" / "prior-authorisation" / "workspace"
PROMPT = "features/prior-authorisation/prompts/review.prompty"


def release(server: Server, words: str, live: str | None) -> str:
    """Make a release whose prompt ends in these words live past the rule; its digest."""
    files = {str(each.relative_to(WORKSPACE)): each.read_text() for each in WORKSPACE.rglob("*") if each.is_file()}
    files[PROMPT] += f"\n{words}\n"
    digest = str(server.apply(files)["features"][0]["digest"])
    order = {"feature": FEATURE, "digest": digest, "expected": live, "break_glass": True, "reason": "a measurement"}
    server.must("POST", "/api/releases/promote", order)
    eventually(lambda: all(answered_by(server) == digest for _ in range(IN_A_ROW)), 120)
    return digest


def answered_by(server: Server) -> str:
    return str(server.ask(FEATURE, "Request PA-26-0101.")[2]["x-headworks-release"])


def one_round(server: Server, number: int, live: str) -> tuple[float, float]:
    """Seconds until the rollback was acknowledged, and until the last answer of the release that it left."""
    left = release(server, f"Round {number}.", live)
    began = last = time.monotonic()
    server.must("POST", "/api/releases/rollback", {"feature": FEATURE})
    acknowledged = time.monotonic() - began
    good = 0
    while good < IN_A_ROW:
        good += 1
        if answered_by(server) == left:
            good, last = 0, time.monotonic()
    return acknowledged, max(last - began, acknowledged)


def main() -> int:
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--rounds", type=int, default=8)
    options.add_argument("--workers", type=int, default=2)
    given = options.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="headworks-rollback-"))
    folder.chmod(0o711)
    server = start_server(folder, write_workspace(folder / "workspace"), "--workers", str(given.workers))
    try:
        server.must("POST", "/api/groups", {"name": "special-investigations"})
        live = release(server, "The first.", None)
        rounds = [one_round(server, number, live) for number in range(given.rounds)]
    finally:
        server.stop()
    for acknowledged, gone in rounds:
        print(f"acknowledged after {acknowledged:.3f} s, gone from all workers after {gone:.3f} s")
    worst = max(gone for _, gone in rounds)
    print(f"worst of {given.rounds}: {worst:.3f} s, {worst / LIMIT_S:.2f} of the limit of {LIMIT_S:g} s")
    return 0 if worst <= LIMIT_S else 1


if __name__ == "__main__":
    sys.exit(main())

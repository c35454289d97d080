"""Memory of the whole tree of processes after the first cited answer and a minute of quiet, one worker.

    python bench/gateway/peak_memory.py [--documents DIR] [--quiet SECONDS] [--json]

PSS from /proc/PID/smaps_rollup: each shared page divided by its users. The bar is 250 MB.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from processes import command, pss_kib, tree
from product import headworks, up
from rig import Failed

_ROOT = Path(__file__).parents[2]
_BAR_MIB = 250_000_000 / 1024 / 1024
_QUESTION = "What does the plan cover?"


def run(*arguments: object, env: dict[str, str]) -> str:
    """A command of the product; exits with what it complained of."""
    done = subprocess.run(
        headworks(*arguments), env={**os.environ, **env}, capture_output=True, text=True, timeout=600, check=False
    )
    if done.returncode:
        sys.exit(f"error: headworks {arguments[0]}: {done.stderr or done.stdout}")
    return done.stdout


def measure(folder: Path, documents: Path, question: str, quiet_s: float) -> list[tuple[float, str]]:
    """MiB and command of each process."""
    home = folder / "product"
    home.mkdir()
    run("init", home, env={})
    with up(home, home / "workspace", home / "headworks.toml", {}) as (pid, ready):
        env = {"HEADWORKS_URL": ready["url"], "HEADWORKS_API_KEY": ready["admin_key"]}
        run("ingest", "documents", documents, "--json", env=env)
        answer = json.loads(run("ask", "assistant", question, "--json", env=env))
        if not answer["citations"]:
            sys.exit(f"error: the answer has no citation, so it is not the one meant: {answer}")
        time.sleep(quiet_s)
        return sorted(((pss_kib({each}) / 1024, command(each)) for each in tree(pid)), reverse=True)


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--documents", type=Path, default=_ROOT / "examples" / "health-plan")
    options.add_argument("--question", default=_QUESTION)
    options.add_argument("--quiet", type=float, default=60, help="seconds")
    options.add_argument("--json", action="store_true", help="print JSON instead of a table")
    chosen = options.parse_args()
    with tempfile.TemporaryDirectory(prefix="hw-bench-") as folder:
        try:
            found = measure(Path(folder), chosen.documents, chosen.question, chosen.quiet)
        except Failed as error:
            sys.exit(f"error: {error}")
    total = sum(mib for mib, _ in found)
    if chosen.json:
        rows = [{"pss_mib": round(mib, 1), "command": text} for mib, text in found]
        print(json.dumps({"pss_mib": round(total, 1), "bar_mib": round(_BAR_MIB, 1), "processes": rows}, indent=1))
        return
    for mib, text in found:
        print(f"{mib:8.1f} MiB  {text[:100]}")
    print(f"{total:8.1f} MiB  in all; the bar is {_BAR_MIB:.0f} MiB")


if __name__ == "__main__":
    main()

"""Asks the real promptfoo what it says of verdicts.yaml, and writes verdicts.json.

    npm install --ignore-scripts --omit=optional promptfoo@0.121.20 @libsql/linux-x64-gnu    # in some other folder
    python tests/evaluation/exchange/promptfoo/record.py FOLDER/node_modules/.bin/promptfoo

Nothing leaves the machine: the echo provider answers, and telemetry, updates and remote generation are off.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).parent
QUIET = {
    "PROMPTFOO_DISABLE_TELEMETRY": "1",
    "PROMPTFOO_DISABLE_UPDATE": "1",
    "PROMPTFOO_DISABLE_REMOTE_GENERATION": "1",
    "PROMPTFOO_DISABLE_SHARING": "1",
}


def asked(cli: str, config: Path, folder: Path) -> list[dict[str, object]]:
    """For each test, in the order of the file: its answer, and whether it passed."""
    out = folder / "out.json"
    command = [cli, "eval", "-c", str(config), "-o", str(out), "--no-cache", "--no-write", "--no-table"]
    environ = {**os.environ, **QUIET, "PROMPTFOO_CONFIG_DIR": str(folder)}
    subprocess.run(command, env=environ, timeout=300, check=False, capture_output=True)  # it exits 100 where tests fail
    results = json.loads(out.read_text())["results"]["results"]
    results.sort(key=lambda each: each["testIdx"])
    return [{"said": each["response"]["output"], "passed": each["success"]} for each in results]


def main() -> None:
    """The recording."""
    with tempfile.TemporaryDirectory() as folder:
        found = asked(sys.argv[1], HERE / "verdicts.yaml", Path(folder))
    version = subprocess.run([sys.argv[1], "--version"], env={**os.environ, **QUIET}, capture_output=True, check=True)
    recorded = {"promptfoo": version.stdout.decode().strip().splitlines()[-1], "results": found}
    (HERE / "verdicts.json").write_text(json.dumps(recorded, indent=1, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()

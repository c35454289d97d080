"""Asks the real promptfoo what it says, and writes it down: of configurations of ours, and of promptfoo's examples.

    npm install --ignore-scripts --omit=optional promptfoo@0.121.20 @libsql/linux-x64-gnu    # in some other folder
    python tests/evaluation/exchange/promptfoo/record.py FOLDER/node_modules/.bin/promptfoo [EXAMPLES]

EXAMPLES is a folder with configurations of promptfoo's repository (`examples/`, `test/smoke/fixtures/`); none of their
text is written down, only its SHA-256, the types of assertions and the verdicts. Whatever provider they name, the echo
provider answers; nothing leaves the machine: telemetry, updates and remote generation are off.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
OURS = (HERE / "verdicts.yaml", HERE / "shared" / "config.yaml")
"""Each with its answers and verdicts in verdicts.json beside it."""
QUIET = {
    "PROMPTFOO_DISABLE_TELEMETRY": "1",
    "PROMPTFOO_DISABLE_UPDATE": "1",
    "PROMPTFOO_DISABLE_REMOTE_GENERATION": "1",
    "PROMPTFOO_DISABLE_SHARING": "1",
}
_PROVIDERS = re.compile(r"^(providers|targets):.*?(?=^\S|\Z)", re.MULTILINE | re.DOTALL)


def results(cli: str, config: Path, folder: Path) -> list[dict[str, Any]]:
    """promptfoo's own results, by test and then by prompt."""
    out = folder / "out.json"
    out.unlink(missing_ok=True)
    command = [cli, "eval", "-c", str(config), "-o", str(out), "--no-cache", "--no-write", "--no-table"]
    environ = {**os.environ, **QUIET, "PROMPTFOO_CONFIG_DIR": str(folder)}
    done = subprocess.run(command, env=environ, timeout=300, check=False, capture_output=True, cwd=config.parent)
    if not out.exists():  # it exits 100 where tests fail
        raise ValueError(done.stdout.decode()[-2000:] + done.stderr.decode()[-2000:])
    found: list[dict[str, Any]] = json.loads(out.read_text())["results"]["results"]
    return sorted(found, key=lambda each: (each["testIdx"], each["promptIdx"]))


def asked(cli: str, config: Path, folder: Path) -> list[dict[str, object]]:
    """For each test, in the order of the file: its answer, and whether it passed."""
    return [{"said": each["response"]["output"], "passed": each["success"]} for each in results(cli, config, folder)]


def examples(folder: Path) -> Iterator[Path]:
    """The configurations below a folder, in the order of their paths."""
    for path in sorted(folder.rglob("*")):
        if path.suffix in {".yaml", ".yml", ".json"} and re.search(
            r"^\"?prompts|^ +\"prompts", path.read_text(), re.MULTILINE
        ):
            yield path


def of_example(cli: str, path: Path, folder: Path) -> list[dict[str, Any]]:
    """promptfoo's results for an example that the echo provider answers."""
    text = path.read_text()
    if path.suffix == ".json":
        config = json.dumps(json.loads(text) | {"providers": ["echo"]})
    else:
        config = _PROVIDERS.sub("", text) + "\nproviders: [echo]\n"
    copy = path.with_name(f"echoed-{path.name}")
    copy.write_text(config)
    try:
        return results(cli, copy, folder)
    finally:
        copy.unlink()


def summary(path: Path, root: Path, found: list[dict[str, Any]] | str) -> dict[str, Any]:
    """What is kept of an example: verdicts, or why there are none."""
    head = {"config": path.relative_to(root).as_posix(), "sha256": hashlib.sha256(path.read_bytes()).hexdigest()}
    if isinstance(found, str):
        return head | {"refused": found}
    return head | {"results": [_result(each) for each in found]}


def _result(result: dict[str, Any]) -> dict[str, Any]:
    graded = result.get("gradingResult") or {}
    parts = [each for each in graded.get("componentResults") or [] if each.get("assertion")]
    return {
        "test": result["testIdx"],
        "passed": result["success"],
        "score": result["score"],
        "assertions": [[each["assertion"]["type"], each["pass"]] for each in parts],
        **({"error": True} if result.get("error") and not parts else {}),
    }


def main() -> None:
    """The recordings."""
    cli = str(Path(sys.argv[1]).resolve())
    version = subprocess.run([cli, "--version"], env={**os.environ, **QUIET}, capture_output=True, check=True)
    name = version.stdout.decode().strip().splitlines()[-1]
    with tempfile.TemporaryDirectory() as folder:
        for path in OURS:
            lines = ",\n".join(json.dumps(each, ensure_ascii=False) for each in asked(cli, path, Path(folder)))
            path.with_name("verdicts.json").write_text(f'{{"promptfoo": "{name}", "results": [\n{lines}\n]}}\n')
        if len(sys.argv) > 2:
            rows = [_summarised(cli, each, Path(sys.argv[2]), Path(folder)) for each in examples(Path(sys.argv[2]))]
            lines = ",\n".join(json.dumps(each) for each in rows)
            (HERE / "examples.json").write_text(f'{{"promptfoo": "{name}", "examples": [\n{lines}\n]}}\n')


def _summarised(cli: str, path: Path, root: Path, folder: Path) -> dict[str, Any]:
    try:
        return summary(path, root, of_example(cli, path, folder))
    except ValueError as error:
        return summary(path, root, str(error).strip().splitlines()[-1][:200] if str(error).strip() else "no result")


if __name__ == "__main__":
    main()

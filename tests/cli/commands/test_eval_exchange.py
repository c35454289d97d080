"""Suites of other tools on the command line: files in, files out, and what is lost on standard error."""

from __future__ import annotations

from pathlib import Path
from typing import Any

CONFIG = "prompts: [file://prompts/ask.txt]\nproviders: [echo]\ntests: [file://cases/one.csv, file://cases/gone.yaml]\n"


def test_files_beside_a_configuration_are_found_in_its_folders(cli: Any, tmp_path: Path) -> None:
    for path, text in {
        "suite/promptfooconfig.yaml": CONFIG,
        "suite/prompts/ask.txt": "Of {{topic}}?",
        "suite/cases/one.csv": "topic,__expected,__expected2\nleave,contains: weeks,fn:output.length\n",
    }.items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(text)
    feature = tmp_path / "feature"
    given = str(tmp_path / "suite" / "promptfooconfig.yaml")
    done = cli("eval", "import", given, "--from", "promptfoo", "--out", str(feature))
    assert "lost: tests: `cases/gone.yaml` is not among the files that were given" in done.stderr
    assert "lost: test 1: `javascript`: it is code and is not run" in done.stderr
    assert '"question": "Of leave?"' in (feature / "golden" / "imported.jsonl").read_text()
    again = cli("eval", "import", given, "--from", "promptfoo", "--out", str(feature), check=False)
    assert "is there already" in again.stderr
    out = tmp_path / "back.yaml"
    assert cli("eval", "export", str(feature), "--to", "promptfoo", "--out", str(out)).stdout == f"wrote {out}\n"
    assert "value: weeks" in out.read_text()


def test_what_can_not_be_exported_is_refused(cli: Any, tmp_path: Path) -> None:
    out = str(tmp_path / "out")
    assert "is no folder" in cli("eval", "export", "nowhere", "--to", "promptfoo", "--out", out, check=False).stderr
    assert "Known: promptfoo" in cli("eval", "export", str(tmp_path), "--to", "x", "--out", out, check=False).stderr
    done = cli("eval", "export", "an-id", "--to", "inspect", "--out", out, check=False)
    assert done.returncode != 0
    assert not Path(out).exists()

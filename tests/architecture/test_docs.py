from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_the_generated_pages_are_up_to_date() -> None:
    done = subprocess.run(
        [sys.executable, ROOT / "script" / "generate_docs.py", "--check"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_setting_says_what_it_is_or_speaks_for_itself() -> None:
    page = (ROOT / "docs" / "reference" / "settings.md").read_text()
    assert page.count("\n| `") >= 15


def test_links_of_the_docs_lead_somewhere() -> None:
    broken = []
    for page in [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "examples").rglob("README.md")]:
        targets = re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", page.read_text())
        missing = [target for target in targets if "://" not in target and not (page.parent / target).exists()]
        broken.extend(f"{page.relative_to(ROOT)}: {target}" for target in missing)
    assert broken == []

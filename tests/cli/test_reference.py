from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

from headworks.cli.main import Commands
from headworks.cli.reference import commands_page

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "cli.md"


def test_the_page_is_up_to_date() -> None:
    assert PAGE.read_text() == commands_page(), "run script/docs"


def test_the_module_prints_it() -> None:
    done = subprocess.run([sys.executable, "-m", "headworks.cli.reference"], capture_output=True, text=True, check=True)
    assert done.stdout == commands_page()


def test_every_command_has_its_section() -> None:
    page = commands_page()
    for name in Commands.entries:
        assert f"\n## headworks {name}\n" in page
    for inner in ("key create", "grant take-back", "trace show", "models install"):
        assert f"\n## headworks {inner}\n" in page


def test_help_speaks_of_arguments_in_words_and_not_in_types() -> None:
    odd = re.compile(r"<(str|int|float|list|path|file|dir)|\{[A-Z]|<=x|[a-z]\.\.\.$|\(\d+\)\]")
    assert [line for line in commands_page().splitlines() if odd.search(line)] == []

"""Every command that a page shows is one: its name, its options, and how many words it takes."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer.main
from typer import _click as click  # as in cli/main.py
from typer.core import TyperGroup

from headworks.cli.main import app

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
PAGES += sorted((ROOT / "examples").glob("*/README.md"))
GENERATED = "cli.md"
_BLOCK = re.compile(r"^ *```(\w*)\n(.*?)^ *```", re.MULTILINE | re.DOTALL)
_SHELLS = {"", "bash", "console", "sh"}
_SPAN = re.compile(r"`headworks ([a-z-]+(?: [^`|…]+)?)`")
_COMMAND = re.compile(r"(?:^|[|&;(] *)\s*(?:\$ )?headworks ([^|&;)]*)", re.MULTILINE)


def shown(page: Path) -> Iterator[list[str]]:
    """The words after `headworks` of each command in a page's blocks and sentences."""
    text = page.read_text()
    for block in (content for language, content in _BLOCK.findall(text) if language in _SHELLS):
        for line in re.sub(r"\\\n", " ", block).splitlines():
            if found := _COMMAND.search(line):
                yield shlex.split(line[found.start(1) :].split(" | ")[0], comments=True)
    for span in _SPAN.findall(_BLOCK.sub("", text)):
        yield shlex.split(span)


def check(words: list[str]) -> str:
    """What is wrong with a command; nothing where it could be called."""
    command: click.Command = typer.main.get_command(app)
    context = click.Context(command, info_name="headworks")
    left = [word.strip("[]") for word in words if word != "…"]
    while isinstance(command, TyperGroup) and left and not left[0].startswith("-"):
        inner = command.get_command(context, left[0])
        if inner is None:
            return f"`{left[0]}` is no command of {context.command_path}"
        context = click.Context(inner, info_name=left.pop(0), parent=context)
        command = inner
    try:
        command.make_parser(context).parse_args(left)
    except click.ClickException as error:
        return error.format_message()
    return ""


@pytest.mark.parametrize("page", [page for page in PAGES if page.name != GENERATED], ids=lambda page: page.name)
def test_commands_of_a_page_are_commands(page: Path) -> None:
    wrong = {" ".join(words): said for words in shown(page) if (said := check(words))}
    assert wrong == {}


def test_what_is_no_command_is_found() -> None:
    assert check(["releese", "list"]) == "`releese` is no command of headworks"
    assert "--tilte" in check(["release", "propose", "--tilte", "x"])
    assert "requires" in check(["release", "propose", "--title"])
    assert not check(["release", "propose", "workspace", "--title", "x"])

"""docs/reference/cli.md, written from the commands themselves: `python -m headworks.cli.reference` prints it."""

from __future__ import annotations

from collections.abc import Iterator

import typer.main
from typer import _click as click  # typer carries its own click, and names of its types are not exported
from typer.core import TyperGroup

from headworks.cli.main import app

_WIDTH = 100
_HEAD = """# Commands

What `headworks … --help` says. Written by `script/docs`.

Results go to standard output, notes, progress and errors to standard error. With `--json` a command prints one JSON
value, or one on each line for what streams, and nothing else.

Exit status: 0 done; 1 refused, or something failed; 2 wrong usage, or the server can't start; 130 interrupted. `diff`
has that of diff(1).

Commands that talk to a server find it by `--url` and `--key`, else by `HEADWORKS_URL` and `HEADWORKS_API_KEY`, else
(the address only, never the key) by the data folder of the server that was started here.
"""


def commands_page() -> str:
    """The whole page."""
    root = typer.main.get_command(app)
    parts = [_HEAD]
    for path, help_text in _pages(root, _context(root, "headworks", None)):
        parts.append(f"## {path}\n\n```text\n{help_text}\n```\n")
    return "\n".join(parts)


def _pages(command: click.Command, context: click.Context) -> Iterator[tuple[str, str]]:
    """Each command's path with its help, a group before its own."""
    lines = (line.rstrip() for line in command.get_help(context).splitlines())
    yield context.command_path, "\n".join(lines)
    if isinstance(command, TyperGroup):
        for name in command.list_commands(context):
            inner = command.get_command(context, name)
            if inner is not None:
                yield from _pages(inner, _context(inner, name, context))


def _context(command: click.Command, name: str, parent: click.Context | None) -> click.Context:
    return click.Context(command, info_name=name, parent=parent, terminal_width=_WIDTH, **command.context_settings)


if __name__ == "__main__":
    print(commands_page(), end="")

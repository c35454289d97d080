"""Commands whose modules are imported when they are called, so that help and completion cost next to nothing."""

from __future__ import annotations

import importlib
from collections.abc import Iterator, Mapping, MutableMapping
from dataclasses import dataclass
from typing import Any, ClassVar

import typer
import typer.main
from typer import _click as click  # typer carries its own click, and names of its types are not exported
from typer.core import TyperGroup


@dataclass(frozen=True, slots=True)
class Entry:
    """A command of the program: the module whose `app` it is, and its line in the list of commands."""

    module: str
    help: str


def new_app(help_text: str | None = None) -> typer.Typer:
    """A Typer without rich help, pretty exceptions and completion options; with a text it is a group of commands."""
    return typer.Typer(
        help=help_text,
        no_args_is_help=help_text is not None,
        add_completion=False,
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["--help", "-h"], "max_content_width": 100},
    )


class LazyCommands(MutableMapping[str, click.Command]):
    """All commands by name; reading one imports its module."""

    def __init__(self, entries: Mapping[str, Entry]) -> None:
        self._entries = entries
        self._loaded: dict[str, click.Command] = {}

    def __getitem__(self, name: str) -> click.Command:
        if name not in self._loaded:
            command = typer.main.get_command(importlib.import_module(self._entries[name].module).app)
            command.name = name
            self._loaded[name] = command
        return self._loaded[name]

    def __setitem__(self, name: str, command: click.Command) -> None:
        self._loaded[name] = command

    def __delitem__(self, name: str) -> None:
        del self._loaded[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._entries)

    def __len__(self) -> int:
        return len(self._entries)

    def __contains__(self, name: object) -> bool:
        return name in self._entries


class LazyGroup(TyperGroup):
    """A group whose subclass names its commands in `entries`."""

    entries: ClassVar[Mapping[str, Entry]] = {}

    def __init__(self, **settings: Any) -> None:  # noqa: ANN401 -- whatever Typer hands on
        super().__init__(**{**settings, "commands": None})
        self.commands = LazyCommands(self.entries)

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The names, in the order of the table."""
        del ctx
        return list(self.entries)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The list of commands, without importing one."""
        del ctx
        with formatter.section("Commands"):
            formatter.write_dl([(name, entry.help) for name, entry in self.entries.items()])

"""Commands whose modules are imported when they are called, so that help costs next to nothing; and how help reads."""

from __future__ import annotations

import importlib
import re
from collections.abc import Callable, Iterator, Mapping, MutableMapping
from dataclasses import dataclass
from typing import Any, ClassVar

import typer
import typer.main
from typer import _click as click  # typer carries its own click, and names of its types are not exported
from typer.core import TyperArgument, TyperCommand, TyperGroup


@dataclass(frozen=True, slots=True)
class Entry:
    """A command of the program: the module whose `app` it is, and its line in the list of commands."""

    module: str
    help: str


_TYPE = re.compile(r"<[^<>]*>$")
_RANGE = re.compile(r"([\d.]+)<=x<=([\d.]+)")
_LEAST = re.compile(r"x>=([\d.]+)")


def _placeholder(name: re.Match[str]) -> str:
    return "N" if name[0].startswith(("<int", "<float")) else "TEXT"


def _plain(text: str) -> str:
    """A parameter's help with its range in words."""
    return _LEAST.sub(r"\1 or more", _RANGE.sub(r"\1 to \2", text))


class PlainCommand(TyperCommand):
    """A command whose help names its arguments as its text does: `FILE`, not `{FILE} <path>`."""

    def collect_usage_pieces(self, ctx: click.Context) -> list[str]:
        """The words after the command's name: what may be left out in brackets, what may be repeated with dots."""
        pieces = [self.options_metavar] if self.options_metavar else []
        for each in self.get_params(ctx):
            if isinstance(each, TyperArgument):
                name = each.display_name_raw.removesuffix("…") + ("…" if each.nargs != 1 else "")
                pieces.append(name if each.required else f"[{name}]")
        return pieces

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The tables of arguments and options, without the names of Python's types."""
        rows: dict[str, list[tuple[str, str]]] = {"Arguments": [], "Options": []}
        for each in self.get_params(ctx):
            record = each.get_help_record(ctx)
            if record is not None and isinstance(each, TyperArgument):
                rows["Arguments"].append((each.display_name_raw, _plain(record[1].replace("  [required]", ""))))
            elif record is not None:
                rows["Options"].append((_TYPE.sub(_placeholder, record[0]), _plain(record[1])))
        for title, table in rows.items():
            if table:
                with formatter.section(title):
                    formatter.write_dl(table)


class PlainGroup(TyperGroup):
    """A group that lists each command with its whole first sentence."""

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The list of commands."""
        found = [(name, self.get_command(ctx, name)) for name in self.list_commands(ctx)]
        with formatter.section("Commands"):
            formatter.write_dl([(name, _first_sentence(each.help or "")) for name, each in found if each is not None])


def _first_sentence(text: str) -> str:
    paragraph = " ".join(text.partition("\n\n")[0].split())
    sentence, dot, _ = paragraph.partition(". ")
    return sentence + dot.strip()


class _App(typer.Typer):
    """A Typer whose commands are `PlainCommand`s."""

    def command(
        self,
        name: str | None = None,
        *,
        cls: type[TyperCommand] | None = None,
        **settings: Any,  # noqa: ANN401 -- as Typer
    ) -> Callable[[Any], Any]:
        return super().command(name, cls=cls or PlainCommand, **settings)


def new_app(help_text: str | None = None) -> typer.Typer:
    """A Typer without rich help, pretty exceptions and completion options; with a text it is a group of commands."""
    return _App(
        cls=PlainGroup,
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

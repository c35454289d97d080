from __future__ import annotations

import importlib
import sys

import pytest
import typer.main

from headworks.cli.lazy import Entry, LazyCommands
from headworks.cli.main import Commands, app


def test_a_module_is_imported_when_its_command_is_wanted() -> None:
    name = "headworks.cli.commands.grant"
    sys.modules.pop(name, None)
    commands = LazyCommands({"grant": Entry(name, "Lend.")})
    assert list(commands) == ["grant"]
    assert len(commands) == 1
    assert "grant" in commands
    assert name not in sys.modules
    assert commands["grant"].name == "grant"
    assert name in sys.modules
    assert commands["grant"] is commands["grant"]


def test_an_unknown_command_is_not_there() -> None:
    with pytest.raises(KeyError):
        LazyCommands({})["x"]


def test_commands_can_be_put_in_and_taken_out() -> None:
    commands = LazyCommands({"grant": Entry("headworks.cli.commands.grant", "Lend.")})
    other = typer.main.get_command(app)
    commands["grant"] = other
    assert commands["grant"] is other
    del commands["grant"]
    assert commands["grant"] is not other


@pytest.mark.parametrize(("name", "entry"), Commands.entries.items())
def test_each_entry_leads_to_an_app(name: str, entry: Entry) -> None:
    assert entry.help.endswith(".")
    command = typer.main.get_command(importlib.import_module(entry.module).app)
    assert command.help

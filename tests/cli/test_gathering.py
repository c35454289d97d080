from __future__ import annotations

import inspect
from dataclasses import dataclass, field
from typing import Annotated

import typer
from typer.testing import CliRunner

from headworks.cli.gathering import gathered


@dataclass(frozen=True)
class Chosen:
    """What can be chosen."""

    size: Annotated[int, typer.Option("--size", "-s", help="How large.")]
    words: Annotated[list[str] | None, typer.Option("--with")] = None
    colours: list[str] = field(default_factory=lambda: ["red"])


@gathered
def paint(name: str, *, chosen: Chosen, loud: bool = False) -> str:
    """Paints."""
    return f"{name} {chosen.size} {chosen.words} {chosen.colours} {loud}"


def test_the_fields_of_a_dataclass_are_parameters_of_the_command() -> None:
    assert paint.__doc__ == "Paints."
    parameters = inspect.signature(paint).parameters
    assert list(parameters) == ["name", "size", "words", "colours", "loud"]
    assert parameters["size"].default is inspect.Parameter.empty
    assert parameters["colours"].default == ["red"]
    assert paint("wall", size=3) == "wall 3 None ['red'] False"
    assert paint("wall", size=3, words=["x"], loud=True) == "wall 3 ['x'] ['red'] True"


def test_typer_reads_them_as_options() -> None:
    app = typer.Typer(rich_markup_mode=None)

    @app.command()
    @gathered
    def show(*, chosen: Chosen, loud: bool = False) -> None:
        print(chosen.size, chosen.words, loud)

    assert CliRunner().invoke(app, ["-s", "3", "--with", "a", "--with", "b", "--loud"]).output == "3 ['a', 'b'] True\n"
    assert CliRunner().invoke(app, []).exit_code == 2

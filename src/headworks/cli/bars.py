"""Moving bars on a terminal; apart, because rich takes a tenth of a second to import."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn


class DrawnBar:
    """One bar."""

    def __init__(self, drawing: Progress, title: str) -> None:
        self._drawing = drawing
        self._task = drawing.add_task(title, total=None, detail="")

    def update(self, done: int, total: int, detail: str = "") -> None:
        """Show how far it is."""
        self._drawing.update(self._task, completed=done, total=total, detail=detail)


class DrawnBars:
    """All bars of one display."""

    def __init__(self, drawing: Progress) -> None:
        self._drawing = drawing

    def start(self, title: str) -> DrawnBar:
        """A bar below those that are there."""
        return DrawnBar(self._drawing, title)


@contextmanager
def drawn_bars() -> Iterator[DrawnBars]:
    """Bars on standard error while the body runs."""
    columns = (
        TextColumn("    {task.description}", markup=False),
        BarColumn(bar_width=30),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("{task.fields[detail]}", markup=False, style="dim"),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as drawing:
        yield DrawnBars(drawing)

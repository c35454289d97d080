"""Reads labelled.txt: texts with the places that have to be found."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

_MARK = re.compile("«(?P<kind>[a-z_]+):(?P<value>[^»]+)»")


@dataclass(frozen=True, slots=True)
class Example:
    text: str
    spans: tuple[tuple[str, int, int], ...]
    """Kind, start and end."""


def read_examples() -> list[Example]:
    lines = Path(__file__).with_suffix(".txt").read_text(encoding="utf-8").splitlines()
    return [_example(line.replace("¦", "")) for line in lines if line.strip() and not line.startswith("#")]


def _example(line: str) -> Example:
    text, spans, position = "", [], 0
    line = line.replace("\\u00a0", "\u00a0")
    for mark in _MARK.finditer(line):
        text += line[position : mark.start()]
        spans.append((mark["kind"], len(text), len(text) + len(mark["value"])))
        text += mark["value"]
        position = mark.end()
    return Example(text + line[position:], tuple(spans))

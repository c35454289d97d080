"""What the doctor says of one thing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Literal

from headworks.cli.json_values import JsonObject
from headworks.errors import HeadworksError

State = Literal["ok", "note", "to do"]


@dataclass(frozen=True, slots=True)
class Finding:
    """`ok`, `note` (works, and you may want to know) or `to do` (something will not work until it is done)."""

    what: str
    state: State
    detail: str
    next_step: str = ""

    def as_json(self) -> JsonObject:
        """As scripts see it."""
        return asdict(self)


def checked(what: str, check: Callable[[], str]) -> Finding:
    """`ok` with what the check says, or `to do` with the error that it raises."""
    try:
        return Finding(what, "ok", check())
    except HeadworksError as error:
        return Finding(what, "to do", error.message, error.next_step)

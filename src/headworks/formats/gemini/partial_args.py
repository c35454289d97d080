"""Arguments of a call that come value by value, each with the path of its place: put together again.

Google's Agent Platform streams them so when it is asked to; the Gemini API gives calls whole.
"""

from __future__ import annotations

import itertools
import re
from typing import Any

import msgspec

from headworks.errors import UpstreamError

_STEP = re.compile(r"\.([^.\[\]]+)|\[(\d{1,6})\]|\['((?:[^'\\]|\\.)*)'\]|\[\"((?:[^\"\\]|\\.)*)\"\]")
_ESCAPED = re.compile(r"\\(.)")
_MOST_ITEMS = 10_000
_NULL = msgspec.Raw(b"null")


class PartialArg(msgspec.Struct, rename="camel"):
    """One value, or a piece of a text, at `json_path`."""

    json_path: str = ""
    string_value: str | None = None
    number_value: msgspec.Raw = _NULL
    bool_value: bool | None = None

    @property
    def value(self) -> str | bool | msgspec.Raw:
        """What it says, perhaps null."""
        if self.string_value is not None:
            return self.string_value
        return self.number_value if self.bool_value is None else self.bool_value


class Arguments:
    """The object so far."""

    def __init__(self) -> None:
        self._root: dict[str, Any] = {}

    def add(self, piece: PartialArg) -> None:
        """One more value; texts at the same place are joined. Raises UpstreamError for a path that leads nowhere."""
        steps = _steps(piece.json_path)
        place: Any = self._root
        for step, following in itertools.pairwise(steps):
            place = _entered(place, step, [] if isinstance(following, int) else {})
        _set(place, steps[-1], piece.value)

    def text(self) -> str:
        """As JSON."""
        return msgspec.json.encode(self._root).decode()


def _steps(path: str) -> list[str | int]:
    steps: list[str | int] = []
    at = 1
    while path.startswith("$") and at < len(path) and (found := _STEP.match(path, at)):
        at = found.end()
        name = found[1] if found[1] is not None else found[3] if found[3] is not None else found[4]
        steps.append(int(found[2]) if found[2] is not None else _ESCAPED.sub(r"\1", name))
    if not steps or at != len(path) or isinstance(steps[0], int):
        raise _lost()
    return steps


def _entered(place: Any, step: str | int, empty: Any) -> Any:  # noqa: ANN401 -- any JSON value
    """The object or list at a step, made when it is not there."""
    if _at(place, step) is None:
        _put(place, step, empty)
    return _at(place, step)


def _set(place: Any, step: str | int, value: Any) -> None:  # noqa: ANN401 -- any JSON value
    before = _at(place, step)
    _put(place, step, before + value if isinstance(before, str) and isinstance(value, str) else value)


def _at(place: Any, step: str | int) -> Any:  # noqa: ANN401 -- any JSON value
    if isinstance(place, dict) and isinstance(step, str):
        return place.get(step)
    if isinstance(place, list) and isinstance(step, int):
        return place[step] if step < len(place) else None
    raise _lost()


def _put(place: Any, step: Any, value: Any) -> None:  # noqa: ANN401 -- any JSON value
    if isinstance(place, list):
        if step >= _MOST_ITEMS:
            raise _lost()
        place += [None] * (step + 1 - len(place))
    place[step] = value


def _lost() -> UpstreamError:
    return UpstreamError("The provider streamed an argument of a tool call without saying where it belongs.")

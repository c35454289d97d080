"""What callers call the things that Gemini has no word for: hints are left out and named, the rest is refused."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import msgspec

from headworks.errors import InvalidRequest, Unmapped
from headworks.formats.hints import HINTS
from headworks.formats.neutral import Ext, FormatName, Request

_COMMON: Mapping[str, str] = {
    "choices": "n",
    "end_user": "user",
    "effort": "reasoning_effort",
    "max_output": "max_completion_tokens",
    "output_format": "response_format",
    "output_name": "response_format.json_schema.name",
    "output_description": "response_format.json_schema.description",
    "summary": "reasoning.summary",
    "turns": "messages",
}
_NAMES: Mapping[FormatName, Mapping[str, str]] = {
    "responses": {
        "effort": "reasoning.effort",
        "max_output": "max_output_tokens",
        "output_format": "text.format",
        "output_name": "text.format.name",
        "output_description": "text.format.description",
        "turns": "input",
        "verbosity": "text.verbosity",
    },
    "messages": {
        "effort": "output_config.effort",
        "end_user": "metadata.user_id",
        "max_output": "max_tokens",
        "output_format": "output_config.format",
        "output_name": "output_config.format.name",
        "output_description": "output_config.format.description",
        "parallel_tool_calls": "tool_choice.disable_parallel_tool_use",
        "stop": "stop_sequences",
    },
    "completions": {"max_output": "max_tokens", "turns": "prompt"},
}

_TURN_HINTS = frozenset(("caller", "id", "logprobs", "phase", "status"))
"""Of a turn or a block that a provider wrote, and the caller sends back; besides those of formats/hints.py."""
_DEFAULTS: Mapping[str, Sequence[Any]] = {
    "background": (False,),
    "best_of": (1,),
    "echo": (False,),
    "include": (["reasoning.encrypted_content"],),
    "modalities": (["text"],),
    "truncation": ("disabled",),
}
"""Values that only say what happens anyway."""


class Wording:
    """The request that is being written: the caller's names for its fields, and what was left out of it."""

    __slots__ = ("_first", "_hints", "left_out", "origin")

    def __init__(self, request: Request) -> None:
        self.origin = request.origin
        self.left_out: list[str] = []
        self._hints = HINTS.get(request.origin, frozenset())
        leading = (number for number, turn in enumerate(request.turns) if turn.role not in {"system", "developer"})
        self._first = next(leading, len(request.turns)) if request.origin == "messages" else 0

    def field(self, word: str) -> str:
        """A neutral word as the caller writes it."""
        return _NAMES.get(self.origin, {}).get(word) or _COMMON.get(word, word)

    def turn(self, number: int) -> str:
        """Where the caller wrote a turn, as exactly as its format lets us know."""
        name = self.field("turns")
        if name != "messages":
            return name
        return f"messages[{number - self._first}]" if number >= self._first else "system"

    def leave_out(self, param: str) -> None:
        """A hint of the caller's is not carried; named once."""
        if param not in self.left_out:
            self.left_out.append(param)

    def refuse(self, param: str, why: str) -> Unmapped:
        """The error for a field that can't be honoured."""
        return Unmapped(
            f"`{param}` can't be honoured by a Gemini model: {why}.",
            param=param,
            next_step="Leave it out, or name a model of another provider.",
        )

    def wrong(self, param: str, what: str) -> InvalidRequest:
        """The error for a field that is wrong whoever answers."""
        return InvalidRequest(f"`{param}` {what}.", param=param)

    def settle(self, ext: Ext) -> None:
        """Look at the members of a request that have no neutral word. Raises Unmapped for the first that matters."""
        for name in _said(ext):
            if name not in self._hints:
                raise self.refuse(name, "its API has no such parameter")
            self.leave_out(name)

    def settle_at(self, place: str, ext: Ext) -> None:
        """As `settle`, for those of a turn, a block or a tool that stands at `place`."""
        for name in _said(ext):
            if name not in _TURN_HINTS and name not in self._hints:
                raise self.refuse(f"{place}.{name}", "its API has no such member")
            self.leave_out(f"{place}.{name}")


def _said(ext: Ext) -> Iterator[str]:
    """The members that say something: neither nothing nor what happens anyway."""
    for name, raw in ext.items():
        if name.startswith("~"):
            continue
        value = msgspec.json.decode(raw)
        if value is not None and value not in ([], {}) and value not in _DEFAULTS.get(name, ()):
            yield name

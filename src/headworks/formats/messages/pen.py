"""What writes a request: it knows where it comes from, refuses what can't be said, and notes what is left out."""

from __future__ import annotations

from typing import NoReturn

from headworks.errors import Unmapped
from headworks.formats.hints import HINTS
from headworks.formats.messages.objects import is_null, restore
from headworks.formats.neutral import Ext, FormatName

_FIELDS: dict[FormatName, dict[str, str]] = {
    "chat": {
        "turns": "messages",
        "max_output": "max_completion_tokens",
        "output_format": "response_format",
        "reasoning": "reasoning_effort",
        "end_user": "user",
    },
    "responses": {
        "turns": "input",
        "max_output": "max_output_tokens",
        "output_format": "text.format",
        "verbosity": "text.verbosity",
        "end_user": "user",
    },
    "completions": {"turns": "prompt", "max_output": "max_tokens", "end_user": "user"},
    "messages": {"turns": "messages", "max_output": "max_tokens", "end_user": "metadata.user_id"},
}
"""What a neutral word is called by the caller, where it is called otherwise."""


class Pen:
    """For one request of the format `origin`."""

    __slots__ = ("is_own", "left_out", "origin")

    def __init__(self, origin: FormatName) -> None:
        self.origin = origin
        self.is_own = origin == "messages"
        self.left_out: list[str] = []

    def field(self, word: str) -> str:
        """A neutral word's name in the caller's format."""
        return _FIELDS.get(self.origin, {}).get(word, word)

    def refuse(self, at: str, because: str = "") -> NoReturn:
        """Raise Unmapped."""
        why = f": {because}" if because else ""
        raise Unmapped(
            f"Anthropic's Messages can't say `{at}`{why}.",
            param=at,
            next_step="Leave it out, or choose a target that has it.",
        )

    def leave_out(self, at: str) -> None:
        """A hint that has no word."""
        if at not in self.left_out:
            self.left_out.append(at)

    def bag(self, target: dict[str, object], ext: Ext, at: str) -> dict[str, object]:
        """What stood beside the words at that place: put back in its own format, refused in ours."""
        if not ext:
            return target
        if self.is_own:
            return restore(target, ext)
        for name, raw in ext.items():
            if name.startswith("~") or is_null(raw):
                continue
            if name not in HINTS.get(self.origin, ()):
                self.refuse(f"{at}.{name}")
            self.leave_out(f"{at}.{name}")
        return target

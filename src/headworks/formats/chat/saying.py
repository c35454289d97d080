"""What writes a request: it knows whose words these are, refuses what can't be said, and notes what it leaves out."""

from __future__ import annotations

import msgspec

from headworks.errors import Unmapped
from headworks.formats.chat.members import given_back, is_null
from headworks.formats.hints import HINTS
from headworks.formats.neutral import Ext, FormatName

_FIELDS: dict[FormatName, dict[str, str]] = {
    "responses": {"messages": "input", "response_format": "text.format", "reasoning_effort": "reasoning.effort"},
    "completions": {"messages": "prompt"},
    "messages": {"response_format": "output_config.format", "reasoning_effort": "thinking", "user": "metadata.user_id"},
}
"""What a field of ours is called by the caller, where it is called otherwise."""


class Saying:
    """For one request, or one answer, that was read from the format `origin`.

    `accepts`: members beyond OpenAI's that the target is known to understand. What an answer of another format has in
    its bags is not for our callers; what a request has there must not be lost.
    """

    __slots__ = ("_left_out", "accepts", "hints", "is_answer", "is_own", "origin")

    def __init__(
        self, origin: FormatName | None, accepts: frozenset[str] = frozenset(), *, is_answer: bool = False
    ) -> None:
        self.origin = origin
        self.is_own = origin == "chat"
        self.accepts = accepts
        self.hints = HINTS.get(origin, frozenset()) if origin else frozenset()
        self.is_answer = is_answer
        self._left_out: dict[str, None] = {}

    @property
    def left_out(self) -> tuple[str, ...]:
        """The hints that have no word here."""
        return tuple(self._left_out)

    def field(self, name: str) -> str:
        """A field of ours as the caller calls it."""
        return _FIELDS.get(self.origin, {}).get(name, name) if self.origin else name

    def leave_out(self, name: str) -> None:
        """A hint."""
        self._left_out[name] = None

    def refused(self, at: str, why: str = "") -> Unmapped:
        """The error for what stands at `at`, the caller's own name for it."""
        because = f": {why}" if why else ""
        return Unmapped(
            f"Chat Completions has no word for `{at}`{because}.",
            param=at,
            next_step="Leave it out, or choose a target that understands it.",
        )

    def bag(self, target: dict[str, object], ext: Ext, at: str) -> None:
        """What has no word: put back into its own format, refused or left out in ours."""
        if not ext:
            return
        if self.is_own:
            put_back(target, ext)
        if self.is_own or self.is_answer:
            return
        for name, raw in ext.items():
            if name.startswith("~") or is_null(raw):
                continue
            where = f"{at}.{given_back(name)}" if at else given_back(name)
            if name not in self.hints:
                raise self.refused(where)
            self.leave_out(where)


def put_back(target: dict[str, object], ext: Ext) -> None:
    """Members go where they were read from: `image_url.format` into the object `image_url`, if there is one."""
    for name, raw in ext.items():
        if name.startswith("~"):
            if name.startswith(USUAL):
                target[name.removeprefix(USUAL)] = raw
            continue
        head, dot, tail = name.partition(".")
        inner = target.get(head) if dot else None
        if isinstance(inner, dict):
            inner[given_back(tail)] = raw
        else:
            target.setdefault(given_back(name), raw)


MARK = msgspec.Raw(b"true")
USUAL = "~="
"""Before the name of a member that says only what would hold without it: its own format gets it back."""

"""What writes a request for Converse: it refuses what can't be said, notes what is left out, and knows the model."""

from __future__ import annotations

import re
from typing import Any, NoReturn

import msgspec

from headworks.errors import Unmapped
from headworks.formats.hints import HINTS
from headworks.formats.messages import pen
from headworks.formats.messages.objects import is_null
from headworks.formats.neutral import Ext, Request

_USUAL: dict[str, tuple[Any, ...]] = {
    "annotations": ([],),
    "background": (False,),
    "best_of": (1,),
    "caller": ({"type": "direct"},),
    "echo": (False,),
    "logit_bias": ({},),
    "modalities": (["text"],),
    "tool_calls": ([],),
    "truncation": ("disabled",),
}
"""What holds anyway: members that may be left away when they say this."""
_LABELS = frozenset(("id", "status"))
"""Of a turn or a block that a provider wrote, and the caller sends back."""
_PROFILE = re.compile(r"^(us|eu|apac|jp|au|ca|sa|us-gov|global)\.")


class Pen(pen.Pen):
    """For one request. `family` is who made the model (`anthropic`, `amazon`, …), empty where its name does not say."""

    __slots__ = ("document_names", "family", "model")

    def __init__(self, request: Request) -> None:
        super().__init__(request.origin)
        self.document_names: set[str] = set()
        self.model = _PROFILE.sub("", request.model.rpartition("/")[2])
        self.family = self.model.partition(".")[0] if "." in self.model else ""

    @property
    def is_claude(self) -> bool:
        """Anthropic's words are understood: also where an inference profile's name does not tell its model."""
        return self.family in {"anthropic", ""}

    def refuse(self, at: str, because: str = "") -> NoReturn:
        """Raise Unmapped."""
        why = f": {because}" if because else ""
        raise Unmapped(
            f"Bedrock's Converse can't say `{at}`{why}.",
            param=at,
            next_step="Leave it out, or choose a target that has it.",
        )

    def bag(self, target: dict[str, object], ext: Ext, at: str) -> dict[str, object]:
        """What stood beside the words at that place: hints are left out, the rest is refused."""
        hints = HINTS.get(self.origin, frozenset()) | _LABELS
        for name, raw in ext.items():
            if name.startswith("~") or is_null(raw):
                continue
            if name in _USUAL and msgspec.json.decode(raw) in _USUAL[name]:
                continue
            place = f"{at}.{name}" if at else name
            if name not in hints:
                self.refuse(place)
            self.leave_out(place)
        return target

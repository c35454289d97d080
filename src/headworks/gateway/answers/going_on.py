"""What a target is asked that goes on with another's text: the caller's request, and two turns more."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from headworks.formats.neutral import FormatName, Request, TextBlock, Turn
from headworks.gateway.calls import Call
from headworks.gateway.dialects import Dialect
from headworks.gateway.plans import WITH_USAGE, Aim, Bound
from headworks.gateway.wire.headers import Header
from headworks.providers.contract import Surface
from headworks.types.models import Prompt

WORDS = (
    "Your last message was cut off by a technical fault. Go on with it from the very character where it stops: write "
    "only what follows, don't repeat any of it, and say nothing about this. If a blank belongs there, begin with it."
)
"""Said as the user: hardly any model still takes an assistant's message at the end for one to be completed."""
_encode = msgspec.json.encode


class GoingOn:
    """See outgoing.Outgoing. The cap on output is lower by what is written already."""

    def __init__(self, call: Call, text: str, used: int) -> None:
        """`used` are tokens."""
        self.surface: Surface = call.surface
        self.dialect: Dialect = call.dialect
        self.format: FormatName | None = call.format
        self.relays = False
        self.streams = True
        self.forwarded: tuple[Header, ...] = call.forwarded
        self.prompt: Prompt | None = None
        self._call = call
        self._text = text
        self._used = used

    @property
    def size(self) -> int:
        """See Outgoing."""
        return self._call.size + len(self._text) + len(WORDS)

    def body_for(self, aim: Aim) -> bytes:
        """See Outgoing: the caller's bytes, with what must change spliced in."""
        changes: dict[str, bytes] = {**aim.changes, "messages": self._messages(), **self._caps(aim)}
        if self.dialect.asks_usage and aim.provider.takes_stream_options:
            changes["stream_options"] = WITH_USAGE
        return self._call.body.spliced(changes)

    def neutral_for(self, aim: Aim) -> Request:
        """See Outgoing."""
        request = self._call.neutral_for(aim)
        request.turns = [
            *request.turns,
            Turn("assistant", [TextBlock(self._text)]),
            Turn("user", [TextBlock(WORDS)]),
        ]
        if request.max_output is not None:
            request.max_output = self._left(request.max_output)
        return request

    def leave_out(self, names: Sequence[str]) -> None:
        """See Outgoing: the headers have gone."""

    def tell(self, name: bytes, value: str) -> None:
        """See Outgoing: as above."""

    def strips(self, aim: Aim) -> bool:  # noqa: ARG002 -- the answer is read
        """See Outgoing."""
        return False

    def choices(self, aim: Aim) -> int | None:  # noqa: ARG002 -- only one can be gone on with
        """See Outgoing."""
        return 1

    def bound(self, aim: Aim) -> Bound | None:
        """See Outgoing: what is asked from outside is paid from no purse."""

    def _messages(self) -> bytes:
        """The caller's array with two elements more. It is not empty: that was checked when it came."""
        given = bytes(self._call.body.members["messages"]).rstrip()
        more = [{"role": "assistant", "content": self._text}, {"role": "user", "content": WORDS}]
        return b"%b,%b" % (given[:-1], _encode(more)[1:])

    def _caps(self, aim: Aim) -> Mapping[str, bytes]:
        body, names = self._call.body, self.dialect.caps
        asked = {name: given for name in names if (given := body.count(name)) is not None}
        if aim.cap is not None:
            usual = aim.provider.cap_field if aim.provider.cap_field in names else names[0]
            asked = {name: min(given, aim.cap) for name, given in asked.items()} or {usual: aim.cap}
        return {name: b"%d" % self._left(cap) for name, cap in asked.items()}

    def _left(self, cap: int) -> int:
        return max(1, cap - self._used)

"""What is sent to a provider: the caller's own bytes with splices, or a feature's rendered prompt."""

from __future__ import annotations

from typing import Any, Protocol

import msgspec

from headworks.gateway.calls import Call
from headworks.gateway.plans import CAPS, WITH_USAGE, Aim
from headworks.gateway.wire.bodies import Body
from headworks.gateway.wire.headers import Header
from headworks.providers.contract import Surface
from headworks.types.models import Prompt


class Outgoing(Protocol):
    """One request to a provider, whichever target it goes to. `size` is bytes of text, to estimate tokens by."""

    surface: Surface
    streams: bool
    forwarded: tuple[Header, ...]
    prompt: Prompt | None

    def body_for(self, aim: Aim) -> bytes:
        """The JSON for that target."""
        ...

    @property
    def size(self) -> int:
        """Bytes of the request."""
        ...


class Forwarded:
    """A plain route's: the caller's bytes; model, fixed parameters and the wish for usage are spliced in."""

    __slots__ = ("_call", "forwarded", "prompt", "streams", "surface")

    def __init__(self, call: Call) -> None:
        self._call = call
        self.surface = call.surface
        self.streams = call.streams
        self.forwarded = call.forwarded
        self.prompt: Prompt | None = None

    @property
    def size(self) -> int:
        """See Outgoing."""
        return len(self._call.body.raw)

    def body_for(self, aim: Aim) -> bytes:
        """See Outgoing."""
        body = self._call.body
        changes = aim.changes
        if self.streams and not self._call.wants_usage and aim.provider.takes_stream_options:
            changes = aim.streaming_changes
            options = body.section("stream_options")
            if options is not None:
                changes = {**changes, "stream_options": options.spliced({"include_usage": b"true"})}
        if aim.cap is not None:
            changes = {**changes, **self._capped(aim, aim.cap)}
        return body.spliced(changes)

    def _capped(self, aim: Aim, cap: int) -> dict[str, bytes]:
        """The route's cap, unless the caller's own is lower; in the caller's own field, or the target's."""
        asked = [(name, given) for name in CAPS if (given := self._call.body.count(name)) is not None]
        if not asked:
            return {aim.provider.cap_field: b"%d" % cap}
        over = {name: b"%d" % cap for name, given in asked if given > cap}
        if over:
            tell(self._call, b"x-headworks-clamped", ", ".join(over))
        return over


class Composed:
    """A feature's: its messages, the route's parameters and a cap on the output."""

    def __init__(self, call: Call | None, prompt: Prompt, max_output: int, extra: dict[str, Any] | None = None) -> None:
        """`call` is None for calls from inside. `extra` are fields that the feature accepts from the caller."""
        self.surface: Surface = "chat"
        self.streams = call is not None and call.streams
        self.forwarded = call.forwarded if call else ()
        self.prompt: Prompt | None = prompt
        self._messages = [{"role": each.role, "content": each.content} for each in prompt.messages]
        self._max_output = max_output
        self._extra = extra or {}

    @property
    def size(self) -> int:
        """See Outgoing."""
        return sum(len(each["content"]) for each in self._messages)

    def body_for(self, aim: Aim) -> bytes:
        """See Outgoing."""
        cap = self._max_output if aim.cap is None else min(aim.cap, self._max_output)
        body = Body.read(msgspec.json.encode({"messages": self._messages, **self._extra}))
        changes = {**aim.changes, aim.provider.cap_field: b"%d" % cap}
        if self.streams:
            changes["stream"] = b"true"
            if aim.provider.takes_stream_options:
                changes["stream_options"] = WITH_USAGE
        return body.spliced(changes)


class Texts:
    """Texts to embed, asked for from inside."""

    def __init__(self, texts: list[str]) -> None:
        self.surface: Surface = "embeddings"
        self.streams = False
        self.forwarded: tuple[Header, ...] = ()
        self.prompt: Prompt | None = None
        self.texts = texts

    @property
    def size(self) -> int:
        """See Outgoing."""
        return sum(map(len, self.texts))

    def body_for(self, aim: Aim) -> bytes:
        """See Outgoing."""
        body = Body.read(msgspec.json.encode({"input": self.texts, "encoding_format": "float"}))
        return body.spliced(aim.changes)


def tell(call: Call, name: bytes, value: str) -> None:
    """A header of ours for the answer, once."""
    if all(name != given for given, _ in call.reply):
        call.reply.append((name, value.encode("ascii", "replace")))

"""What is sent to a provider beside a caller's own bytes: a rendered prompt, texts to embed."""

from __future__ import annotations

from typing import Any, Protocol

import msgspec

from headworks.gateway.calls import Call
from headworks.gateway.plans import WITH_USAGE, Aim
from headworks.gateway.wire.bodies import Body
from headworks.gateway.wire.headers import Header
from headworks.providers.contract import Surface
from headworks.types.models import Prompt


class Outgoing(Protocol):
    """One request to a provider, whichever target it goes to; a plain route's `Call` is one."""

    @property
    def surface(self) -> Surface:
        """What is asked for."""
        ...

    @property
    def streams(self) -> bool:
        """Whether the answer is to come in pieces."""
        ...

    @property
    def forwarded(self) -> tuple[Header, ...]:
        """Headers of the caller's that go on."""
        ...

    @property
    def prompt(self) -> Prompt | None:
        """What a feature rendered."""
        ...

    @property
    def size(self) -> int:
        """Bytes of text, to estimate tokens by."""
        ...

    def body_for(self, aim: Aim) -> bytes:
        """The JSON for that target."""
        ...


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

"""What is sent to a provider beside a caller's own bytes: a rendered prompt, texts to embed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Protocol

import msgspec

from headworks.errors import InvalidRequest
from headworks.formats.chat.format import CHAT
from headworks.formats.neutral import FormatName, Request
from headworks.gateway.calls import Call
from headworks.gateway.dialects import CHAT_DIALECT, EMBEDDINGS_DIALECT, RERANK_DIALECT, Dialect
from headworks.gateway.plans import WITH_USAGE, Aim, Bound
from headworks.gateway.wire.bodies import Body
from headworks.gateway.wire.headers import Header
from headworks.providers.contract import Surface
from headworks.types.models import Message, Prompt


class Outgoing(Protocol):
    """One request to a provider, whichever target it goes to; a plain route's `Call` is one."""

    @property
    def surface(self) -> Surface:
        """What is asked for, where the target knows the format."""
        ...

    @property
    def dialect(self) -> Dialect:
        """What the caller speaks, for errors."""
        ...

    @property
    def format(self) -> FormatName | None:
        """The format of `body_for`; None: it can't be translated."""
        ...

    @property
    def relays(self) -> bool:
        """Whether an answer in this format goes to the caller byte for byte, and is not read."""
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
        """The JSON for that target, where it knows the format."""
        ...

    def neutral_for(self, aim: Aim) -> Request:
        """The request in neutral words, for a target that does not. Raises InvalidRequest."""
        ...

    def leave_out(self, names: Sequence[str]) -> None:
        """Hints that the target's format has no word for."""
        ...

    def tell(self, name: bytes, value: str) -> None:
        """A header of ours for the caller."""
        ...

    def strips(self, aim: Aim) -> bool:
        """Whether usage in the stream is for us alone."""
        ...

    def choices(self, aim: Aim) -> int | None:
        """How many answers the stream tells at once; None: nobody can say."""
        ...

    def bound(self, aim: Aim) -> Bound | None:
        """What the answer may come to at most; None: nobody can say."""
        ...


class Composed:
    """A feature's: its messages, the route's parameters and a cap on the output."""

    def __init__(self, call: Call | None, prompt: Prompt, max_output: int, extra: dict[str, Any] | None = None) -> None:
        """`call` is None for calls from inside. `extra` are fields that the feature accepts from the caller."""
        self.surface: Surface = "chat"
        self.dialect = CHAT_DIALECT if call is None else call.dialect
        self.format: FormatName | None = "chat"
        self.relays = False
        self.streams = call is not None and call.streams
        self.forwarded = call.forwarded if call else ()
        self.prompt: Prompt | None = prompt
        self.rendered = prompt
        self._call = call
        self._messages = [{"role": each.role, "content": each.content} for each in prompt.messages]
        self._max_output = max_output
        self._extra = extra or {}

    def asking(self, messages: tuple[Message, ...]) -> Composed:
        """The same with other messages."""
        return Composed(self._call, replace(self.rendered, messages=messages), self._max_output, self._extra)

    @property
    def size(self) -> int:
        """See Outgoing."""
        return sum(len(each["content"]) for each in self._messages)

    def body_for(self, aim: Aim) -> bytes:
        """See Outgoing."""
        body = Body.read(msgspec.json.encode({"messages": self._messages, **self._extra}))
        changes = {**aim.changes, aim.provider.cap_field: b"%d" % self._cap(aim)}
        if self.streams:
            changes["stream"] = b"true"
            if aim.provider.takes_stream_options:
                changes["stream_options"] = WITH_USAGE
        return body.spliced(changes)

    def neutral_for(self, aim: Aim) -> Request:
        """See Outgoing."""
        return CHAT.read_request(self.body_for(aim))

    def leave_out(self, names: Sequence[str]) -> None:
        """See Outgoing: they are the feature's own, and nobody's to be told."""

    def tell(self, name: bytes, value: str) -> None:
        """See Outgoing."""
        if self._call is not None:
            self._call.tell(name, value)

    def strips(self, aim: Aim) -> bool:  # noqa: ARG002 -- as above
        """See Outgoing."""
        return False

    def choices(self, aim: Aim) -> int | None:  # noqa: ARG002 -- as above
        """See Outgoing."""
        return 1

    def bound(self, aim: Aim) -> Bound | None:
        """See Outgoing."""
        answers = {**self._extra, **aim.target.parameters}.get("n", 1)
        return Bound(self._cap(aim) * answers) if isinstance(answers, int) else None

    def _cap(self, aim: Aim) -> int:
        return self._max_output if aim.cap is None else min(aim.cap, self._max_output)


class Texts:
    """Texts to embed, asked for from inside."""

    def __init__(self, texts: list[str]) -> None:
        self.surface: Surface = "embeddings"
        self.dialect = EMBEDDINGS_DIALECT
        self.format: FormatName | None = None
        self.relays = True
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

    def neutral_for(self, aim: Aim) -> Request:  # noqa: ARG002 -- as above
        """See Outgoing."""
        raise InvalidRequest("Embeddings are asked for in one format only.")

    def leave_out(self, names: Sequence[str]) -> None:
        """See Outgoing."""

    def tell(self, name: bytes, value: str) -> None:
        """See Outgoing: nobody outside has asked."""

    def strips(self, aim: Aim) -> bool:  # noqa: ARG002 -- as above
        """See Outgoing."""
        return False

    def choices(self, aim: Aim) -> int | None:  # noqa: ARG002 -- as above
        """See Outgoing."""
        return 1

    def bound(self, aim: Aim) -> Bound | None:  # noqa: ARG002 -- as above
        """See Outgoing: none is charged as more calls than it has texts."""
        return Bound(0, max(1, len(self.texts)))


class Ranked(Texts):
    """Texts to put in order by how well they fit a query, asked for from inside."""

    def __init__(self, query: str, texts: list[str]) -> None:
        super().__init__(texts)
        self.surface = "rerank"
        self.dialect = RERANK_DIALECT
        self._query = query

    @property
    def size(self) -> int:
        """See Outgoing."""
        return len(self._query) * len(self.texts) + sum(map(len, self.texts))

    def body_for(self, aim: Aim) -> bytes:
        """See Outgoing."""
        body = Body.read(msgspec.json.encode({"query": self._query, "documents": self.texts}))
        return body.spliced(aim.changes)

    def neutral_for(self, aim: Aim) -> Request:  # noqa: ARG002 -- as above
        """See Outgoing."""
        raise InvalidRequest("Reranking is asked for in one format only.")

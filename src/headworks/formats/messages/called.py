"""Calls of tools in Messages' bytes: a whole answer tells their input as JSON, a stream as pieces of text."""

from __future__ import annotations

import msgspec

from headworks.formats.contract import Called
from headworks.formats.sse import payloads

_GOOD_ENDS = frozenset(("tool_use", "end_turn", "stop_sequence"))


class _Block(msgspec.Struct, gc=False):
    type: str = ""
    name: str = ""


class _Delta(msgspec.Struct, gc=False):
    partial_json: str | None = None
    stop_reason: str | None = None


class _Event(msgspec.Struct, gc=False):
    index: int = 0
    content_block: _Block | None = None
    delta: _Delta | None = None


_read = msgspec.json.Decoder(_Event).decode


class MessagesCalled:
    """See contract.Calling."""

    mark = b'"tool_use"'

    def in_answer(self, body: bytes) -> list[Called]:  # noqa: ARG002 -- as the module says
        """See contract.Calling: whole as the answer is."""
        return []

    def in_stream(self) -> MessagesCalls:
        """See contract.Calling."""
        return MessagesCalls()


class MessagesCalls:
    """See contract.Calls."""

    def __init__(self) -> None:
        self._names: dict[int, str] = {}
        self._pieces: dict[int, list[str]] = {}

    def see(self, events: bytes) -> list[Called]:
        """See contract.Calls."""
        has_ended = False
        for data in payloads(events):
            try:
                event = _read(data)
            except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
                continue  # of a shape that we don't know: not ours to judge
            block, delta = event.content_block, event.delta
            if block is not None and block.type == "tool_use":
                self._names[event.index], self._pieces[event.index] = block.name, []
            elif delta is not None and delta.partial_json is not None:
                if event.index in self._pieces:
                    self._pieces[event.index].append(delta.partial_json)
            elif delta is not None and delta.stop_reason in _GOOD_ENDS:
                has_ended = True
        if not has_ended:
            return []
        return [Called(self._names[index], "".join(pieces)) for index, pieces in self._pieces.items()]

"""Calls of tools in Responses' bytes that go by: the last event of a stream repeats them, as a whole answer has."""

from __future__ import annotations

import msgspec

from headworks.formats.contract import Called
from headworks.formats.sse import payloads


class _Item(msgspec.Struct, gc=False):
    type: str = ""
    name: str | None = None
    arguments: str | None = None
    status: str | None = None


class _Response(msgspec.Struct, gc=False):
    status: str | None = None
    output: list[_Item] | None = None

    def calls(self) -> list[Called]:
        """Of a response that is complete."""
        if self.status not in {"completed", None}:
            return []
        return [
            Called(item.name or "", item.arguments or "")
            for item in self.output or ()
            if item.type == "function_call" and item.status in {"completed", None}
        ]


class _Event(msgspec.Struct, gc=False):
    type: str = ""
    response: _Response | None = None


_read = msgspec.json.Decoder(_Response).decode
_read_event = msgspec.json.Decoder(_Event).decode


class ResponsesCalled:
    """See contract.Calling and contract.Calls: nothing is kept from one event to the next."""

    mark = b'"function_call"'

    def in_answer(self, body: bytes) -> list[Called]:
        """See contract.Calling."""
        try:
            return _read(body).calls()
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return []  # of a shape that we don't know: not ours to judge

    def in_stream(self) -> ResponsesCalled:
        """See contract.Calling."""
        return self

    def see(self, events: bytes) -> list[Called]:
        """See contract.Calls."""
        found: list[Called] = []
        for data in payloads(events):
            try:
                event = _read_event(data)
            except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
                continue
            if event.type == "response.completed" and event.response is not None:
                found += event.response.calls()
        return found

"""Calls of tools in Chat's bytes that go by: just their arguments, and whether the answer says that they are whole."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from headworks.formats.contract import Called
from headworks.formats.sse import payloads

_GOOD_ENDS = frozenset(("tool_calls", "function_call", "stop"))


class _Function(msgspec.Struct, gc=False):
    name: str | None = None
    arguments: str | None = None


class _Call(msgspec.Struct, gc=False):
    index: int | None = None
    id: str | None = None
    function: _Function | None = None


class _Said(msgspec.Struct, gc=False):
    tool_calls: list[_Call] | None = None
    function_call: _Function | None = None


class _Choice(msgspec.Struct, gc=False):
    index: int = 0
    message: _Said | None = None
    delta: _Said | None = None
    finish_reason: str | None = None


class _Answer(msgspec.Struct, gc=False):
    choices: list[_Choice] | None = None


_read = msgspec.json.Decoder(_Answer).decode


class ChatCalled:
    """See contract.Calling."""

    mark = b'"arguments"'

    def in_answer(self, body: bytes) -> list[Called]:
        """See contract.Calling."""
        said = [each.message for each in _choices(body) if each.message and each.finish_reason in _GOOD_ENDS]
        functions = [each.function_call for each in said]
        functions += [call.function for each in said for call in each.tool_calls or ()]
        return [Called(each.name or "", each.arguments or "") for each in functions if each is not None]

    def in_stream(self) -> ChatCalls:
        """See contract.Calling."""
        return ChatCalls()


class ChatCalls:
    """See contract.Calls."""

    def __init__(self) -> None:
        self._of_choice: dict[int, _Pieces] = {}

    def see(self, events: bytes) -> list[Called]:
        """See contract.Calls."""
        found: list[Called] = []
        for data in payloads(events):
            for choice in _choices(data):
                pieces = self._of_choice.setdefault(choice.index, _Pieces())
                if choice.delta is not None:
                    pieces.add(choice.delta)
                if choice.finish_reason in _GOOD_ENDS:
                    found += [Called(each.name, "".join(each.arguments)) for each in pieces.calls]
        return found


class _Growing(msgspec.Struct):
    id: str
    name: str = ""
    arguments: list[str] = []


class _Pieces:
    """The calls of one choice."""

    def __init__(self) -> None:
        self.calls: list[_Growing] = []
        self._by_key: dict[int | str, _Growing] = {}

    def add(self, delta: _Said) -> None:
        """What one event says of them."""
        for call in delta.tool_calls or ():
            if call.function is not None:
                self._grow(self._call_of(call), call.function)
        if delta.function_call is not None:
            self._grow(self._by_key.get("function_call") or self._begin("function_call", ""), delta.function_call)

    def _call_of(self, call: _Call) -> _Growing:
        """By index; some give none, or the same for all, and a new id then means a new call."""
        key: int | str | None = call.index if call.index is not None else call.id or None
        known = self._by_key.get(key) if key is not None else self.calls[-1] if self.calls else None
        if known is not None and not (call.id and known.id and call.id != known.id):
            return known
        return self._begin(len(self.calls) if key is None else key, call.id or "")

    def _begin(self, key: int | str, call_id: str) -> _Growing:
        call = self._by_key[key] = _Growing(call_id)
        self.calls.append(call)
        return call

    @staticmethod
    def _grow(call: _Growing, function: _Function) -> None:
        call.name = call.name or function.name or ""
        call.arguments.append(function.arguments or "")


def _choices(data: bytes) -> Iterable[_Choice]:
    try:
        return _read(data).choices or ()
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return ()  # of a shape that we don't know: not ours to judge

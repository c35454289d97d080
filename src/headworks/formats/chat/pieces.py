"""Calls of tools as they come in pieces: put in order, one after the other, whatever order the pieces come in."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

import msgspec

from headworks.errors import UpstreamError
from headworks.formats.chat.answers import made_id
from headworks.formats.chat.calls import FUNCTION_CALL, signature_in
from headworks.formats.chat.chunks import CallDelta, FunctionDelta
from headworks.formats.chat.saying import MARK
from headworks.formats.neutral import Closed, Event, Ext, Grown, Opened, Signed, ToolCallBlock

_OLD = "function_call"


class _Call:
    """One call. `block` is its index once it is open."""

    __slots__ = ("block", "id", "is_closed", "is_custom", "name", "pieces", "signature")

    def __init__(self, call_id: str, *, is_custom: bool) -> None:
        self.id = call_id
        self.name = ""
        self.is_custom = is_custom
        self.pieces: list[str] = []
        self.signature: str | None = None
        self.block: int | None = None
        self.is_closed = False

    @property
    def is_complete(self) -> bool:
        """Whether nothing need follow, if another call has begun."""
        if self.is_custom:
            return True
        try:
            msgspec.json.decode("".join(self.pieces), type=msgspec.Raw)
        except msgspec.DecodeError:
            return False
        return True


class CallPieces:
    """All calls of one answer. `allot` gives the index of the next block, `say` takes an event."""

    __slots__ = ("_allot", "_by_key", "_count", "_last", "_now", "_say", "_waiting", "answer_id")

    def __init__(self, allot: Callable[[], int], say: Callable[[Event], None]) -> None:
        self._allot = allot
        self._say = say
        self._by_key: dict[int | str, _Call] = {}
        self._waiting: deque[_Call] = deque()
        self._now: _Call | None = None
        self._last: _Call | None = None
        self._count = 0
        self.answer_id = ""

    def take(self, delta: CallDelta) -> None:
        """One entry of `tool_calls`. Raises UpstreamError for a piece of a call that was complete."""
        call = self._call_of(delta)
        if delta.custom is not None:
            name, piece = delta.custom.name, delta.custom.input
        else:
            function = delta.function or FunctionDelta()
            name, piece = function.name, function.arguments
        call.name = call.name or name or ""
        signature = signature_in(delta.extra_content)
        if signature is not None:
            call.signature = signature
            if call.block is not None:
                self._say(Signed(call.block, signature))
        self._add(call, piece or "")

    def take_old(self, delta: FunctionDelta) -> None:
        """A piece of the older `function_call`."""
        call = self._by_key.get(_OLD) or self._begin(_OLD, "", is_custom=False)
        call.name = call.name or delta.name or ""
        self._add(call, delta.arguments or "")

    def pause(self) -> None:
        """Something else is said: the open call is complete."""
        self._close()

    def finish(self) -> None:
        """The answer stops: what waits is opened and closed. Raises UpstreamError for a call without a name."""
        self._close()
        while self._waiting:
            self._open(self._waiting.popleft())
            self._close()

    def _call_of(self, delta: CallDelta) -> _Call:
        """By index; some give none, or the same for all, and a new id then means a new call."""
        key: int | str | None = delta.index if delta.index is not None else delta.id or None
        known = self._last if key is None else self._by_key.get(key)
        if known is not None and not (delta.id and delta.id != known.id and not self._is_made(known)):
            return known
        return self._begin(self._count if key is None else key, delta.id or "", is_custom=delta.type == "custom")

    def _is_made(self, call: _Call) -> bool:
        return call.id.startswith(made_id(self.answer_id, 0)[:-1])

    def _begin(self, key: int | str, call_id: str, *, is_custom: bool) -> _Call:
        call = _Call(call_id or made_id(self.answer_id, self._count), is_custom=is_custom)
        self._count += 1
        self._by_key[key] = self._last = call
        self._waiting.append(call)
        return call

    def _add(self, call: _Call, piece: str) -> None:
        if call.is_closed:
            if piece.strip():
                raise UpstreamError(
                    "The provider sent pieces of a tool call after another had begun.",
                    next_step="Try again.",
                    code="malformed_tool_call",
                )
            return
        if piece:
            call.pieces.append(piece)
        if piece and call is self._now and call.block is not None:
            self._say(Grown(call.block, piece))
        while self._waiting and self._waiting[0].name and (self._now is None or self._now.is_complete):
            self._open(self._waiting.popleft())

    def _open(self, call: _Call) -> None:
        self._close()
        if not call.name:
            raise UpstreamError(
                "The provider sent a tool call without a name.", next_step="Try again.", code="malformed_tool_call"
            )
        call.block = self._allot()
        ext: Ext = {FUNCTION_CALL: MARK} if self._by_key.get(_OLD) is call else {}
        block = ToolCallBlock(call.id, call.name, b"", call.is_custom, call.signature, ext=ext)
        self._say(Opened(call.block, block))
        if call.pieces:
            self._say(Grown(call.block, "".join(call.pieces)))
        self._now = call

    def _close(self) -> None:
        if self._now is not None and self._now.block is not None:
            self._now.is_closed = True
            self._say(Closed(self._now.block))
            self._now = None

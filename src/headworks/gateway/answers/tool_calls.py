"""Calls of tools in an answer: whole, or the answer is an error."""

from __future__ import annotations

from headworks.errors import UpstreamError
from headworks.formats.contract import Calling, Calls
from headworks.formats.neutral import Answer, Event, Grown, Opened, Stopped, ToolCallBlock
from headworks.formats.sse import split
from headworks.guardrails.service import tool_arguments_are_whole

_GOOD_ENDS = frozenset(("tool_calls", "stop", "stop_sequence"))
"""After any other end nobody takes the calls for whole: the reason says that they were cut off."""


class CallWatch:
    """Sees the events of one stream that is told in other words."""

    def __init__(self) -> None:
        self.has_any = False
        """Whether a call is among them: text is not looked at before."""
        self._arguments: dict[int, list[str]] = {}
        self._names: dict[int, str] = {}

    def note(self, event: Event) -> None:
        """An event that goes on. Raises UpstreamError (`malformed_tool_call`) at an end that is none."""
        if isinstance(event, Grown):
            if event.index in self._arguments:
                self._arguments[event.index].append(event.text)
        elif isinstance(event, Opened):
            if isinstance(event.block, ToolCallBlock) and not event.block.is_custom:
                self._arguments[event.index] = [event.block.arguments.decode()]
                self._names[event.index] = event.block.name
                self.has_any = True
        elif isinstance(event, Stopped) and event.reason in _GOOD_ENDS:
            for index, pieces in self._arguments.items():
                _check(self._names[index], "".join(pieces))


def check_calls(answer: Answer) -> None:
    """The same for a whole answer."""
    if answer.stopped.reason in _GOOD_ENDS:
        for block in answer.blocks:
            if isinstance(block, ToolCallBlock) and not block.is_custom:
                _check(block.name, block.arguments)


class RelayedCalls:
    """The same for one stream whose bytes go on as they came."""

    __slots__ = ("_calling", "_calls", "fault")

    def __init__(self, calling: Calling) -> None:
        self._calling = calling
        self._calls: Calls | None = None
        self.fault: UpstreamError | None = None
        """Why nothing goes on any more."""

    def are_in(self, events: bytes) -> bool:
        """Whether there are any in what was seen, or may be in these events."""
        return self._calls is not None or events.find(self._calling.mark) >= 0

    def passed(self, events: bytes) -> bytes:
        """Those of these events that may go on: up to an end that is none; what follows is only heard for its count."""
        if self.fault is not None:
            return b""
        if not self.are_in(events):
            return events
        self._calls = self._calls or self._calling.in_stream()
        said: list[bytes] = []
        for event in split(events):
            try:
                for name, arguments in self._calls.see(event):
                    _check(name, arguments)
            except UpstreamError as error:
                self.fault = error
                return b"".join(said)
            said.append(event)
        return events


def check_relayed(calling: Calling, body: bytes) -> None:
    """The same for a whole answer whose bytes go on as they came."""
    if body.find(calling.mark) >= 0:
        for name, arguments in calling.in_answer(body):
            _check(name, arguments)


def _check(name: str, arguments: bytes | str) -> None:
    """Nothing at all is how most providers, OpenAI among them, write a call of a tool that takes nothing."""
    if arguments.strip() and not tool_arguments_are_whole(arguments):
        raise UpstreamError(
            f"The model called `{name[:64]}` with arguments that are no whole JSON object.",
            next_step="Don't run the tool; ask again.",
            code="malformed_tool_call",
        )

"""Calls of tools in an answer that is told in other words: whole, or the answer is an error."""

from __future__ import annotations

from headworks.errors import UpstreamError
from headworks.formats.neutral import Answer, Event, Grown, Opened, Stopped, ToolCallBlock
from headworks.guardrails.service import tool_arguments_are_whole

_GOOD_ENDS = frozenset(("tool_calls", "stop", "stop_sequence"))
"""After any other end nobody takes the calls for whole: the reason says that they were cut off."""


class CallWatch:
    """Sees the events of one stream."""

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


def _check(name: str, arguments: bytes | str) -> None:
    """Nothing at all is how most providers, OpenAI among them, write a call of a tool that takes nothing."""
    if arguments.strip() and not tool_arguments_are_whole(arguments):
        raise UpstreamError(
            f"The model called `{name[:64]}` with arguments that are no whole JSON object.",
            next_step="Don't run the tool; ask again.",
            code="malformed_tool_call",
        )

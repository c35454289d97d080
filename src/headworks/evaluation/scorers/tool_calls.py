"""Tools that were called, against those expected: `tool_calls`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, cast

from headworks.evaluation.scorers.contract import PlainMeasure, ScorerKind, Surroundings, passed
from headworks.strict_yaml import Section
from headworks.types.evaluation import Example, Output, Score, ToolUse

Arguments = Literal["subset", "exact", "any"]


@dataclass(frozen=True)
class ToolCalls(PlainMeasure):
    """All expected tools were called, with the expected arguments; none is expected: none may be called.

    `arguments`: `subset` (each expected one is there with its value), `exact`, or `any`. With `order` they were called
    in that order. With `others: false` nothing else was called.
    """

    arguments: Arguments
    in_order: bool
    may_call_others: bool

    @property
    def settings(self) -> Mapping[str, Any]:
        """See Measure."""
        return {"arguments": self.arguments, "order": self.in_order, "others": self.may_call_others}

    def measure(self, example: Example, output: Output) -> Score:
        """See PlainMeasure."""
        called, wanted = output.tool_uses, example.expected_tools
        missing = self._missing_in_order(called, wanted) if self.in_order else self._missing(called, wanted)
        if missing:
            return passed(
                is_passed=False, reason=f"Not called as expected: {', '.join(each.name for each in missing)}."
            )
        if not self.may_call_others and len(called) > len(wanted):
            return passed(is_passed=False, reason=f"{len(called)} calls, {len(wanted)} expected.")
        return passed(is_passed=True)

    def _missing_in_order(self, called: Sequence[ToolUse], wanted: Sequence[ToolUse]) -> Sequence[ToolUse]:
        at = 0
        for use in called:
            if at < len(wanted) and self._fits(use, wanted[at]):
                at += 1
        return wanted[at:]

    def _missing(self, called: Sequence[ToolUse], wanted: Sequence[ToolUse]) -> list[ToolUse]:
        """What is left when each call is matched with one expected tool, as many as can be."""
        taken_by: dict[int, int] = {}

        def place(one: int, tried: set[int]) -> bool:
            for at, use in enumerate(called):
                if at in tried or not self._fits(use, wanted[one]):
                    continue
                tried.add(at)
                if at not in taken_by or place(taken_by[at], tried):
                    taken_by[at] = one
                    return True
            return False

        return [each for one, each in enumerate(wanted) if not place(one, set())]

    def _fits(self, use: ToolUse, wanted: ToolUse) -> bool:
        if use.name != wanted.name or self.arguments == "any":
            return use.name == wanted.name
        if self.arguments == "exact":
            return _same(use.arguments, wanted.arguments)
        return _holds(use.arguments, wanted.arguments)


def _same(found: Any, wanted: Any) -> bool:  # noqa: ANN401 -- JSON values
    return _holds(found, wanted) and _holds(wanted, found)


def _holds(found: Any, wanted: Any) -> bool:  # noqa: ANN401 -- JSON values
    """Whether all of `wanted` is in `found`; lists are equal in length and place."""
    if isinstance(wanted, Mapping):
        return isinstance(found, Mapping) and all(key in found and _holds(found[key], wanted[key]) for key in wanted)
    if isinstance(wanted, list | tuple):
        return isinstance(found, list | tuple) and len(found) == len(wanted) and all(map(_holds, found, wanted))
    return isinstance(found, bool) == isinstance(wanted, bool) and bool(found == wanted)


def _read(section: Section, surroundings: Surroundings) -> ToolCalls:
    del surroundings
    return ToolCalls(
        cast("Arguments", section.choice("arguments", ("subset", "exact", "any"), "subset")),
        section.flag("order", default=False),
        section.flag("others", default=True),
    )


KINDS = (ScorerKind("tool_calls", _read, "The expected tools were called, with the expected arguments."),)

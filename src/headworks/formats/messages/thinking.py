"""How much to think, in Anthropic's words.

    effort        adaptive models        models with a budget only
    none          thinking disabled      thinking disabled
    minimal, low  effort low             1,024 (minimal), 2,048 (low) tokens
    medium        effort medium          8,192
    high          effort high            16,384
    xhigh         effort xhigh           32,768
    max           effort max             65,536

Models up to Claude 4.5 only take a budget, later ones only an effort with adaptive thinking. A budget is at most half
of the output, and never under the 1,024 tokens that Anthropic wants: where there is no room for it, the effort is left
out and named.
"""

from __future__ import annotations

import re
from typing import Any

from headworks.formats.messages.pen import Pen
from headworks.formats.neutral import Reasoning, Request, ThinkingBlock, ToolCallBlock

BUDGETS = {"minimal": 1024, "low": 2048, "medium": 8192, "high": 16384, "xhigh": 32768, "max": 65536}
_EFFORTS = {name: "low" if name == "minimal" else name for name in BUDGETS}
_LEAST = 1024
_BUDGET_ONLY = re.compile(r"claude-(3|(opus|sonnet|haiku)-4(-[015](?!\d)|-20|@|$))")


def takes_budget(model: str) -> bool:
    """Whether a model of this name knows budgets and no adaptive thinking."""
    return _BUDGET_ONLY.search(model) is not None


def write_thinking(pen: Pen, request: Request, max_tokens: int | None) -> dict[str, Any]:
    """The members `thinking` and `effort` of a request, each only where something is said."""
    asked = request.reasoning
    if asked is None:
        return {}
    if pen.is_own or _is_native(asked):
        return _native(asked)
    if asked.effort is None:
        if asked.summary or asked.shows_text is not None:
            pen.leave_out(f"{pen.field('reasoning')}.summary")
        return {}
    if asked.effort == "none":
        return {"thinking": {"type": "disabled"}}
    if asked.effort not in BUDGETS:
        pen.refuse(pen.field("reasoning"), f"there is no effort `{asked.effort[:40]}`")
    said = _by_budget(asked, request, max_tokens) if takes_budget(request.model) else _by_effort(asked, request)
    if "thinking" not in said:
        pen.leave_out(pen.field("reasoning"))
    elif request.temperature not in {None, 1}:
        pen.refuse("temperature", "it is fixed at 1 where the model thinks")
    return said


def _is_native(asked: Reasoning) -> bool:
    return asked.budget_tokens is not None or asked.is_adaptive or asked.enabled is False


def _native(asked: Reasoning) -> dict[str, Any]:
    said: dict[str, Any] = {}
    if asked.enabled is False:
        said["thinking"] = {"type": "disabled"}
    elif asked.is_adaptive:
        said["thinking"] = {"type": "adaptive", **_display(asked)}
    elif asked.budget_tokens is not None:
        said["thinking"] = {"type": "enabled", "budget_tokens": asked.budget_tokens, **_display(asked)}
    if asked.effort is not None:
        said["effort"] = asked.effort
    return said


def _by_effort(asked: Reasoning, request: Request) -> dict[str, Any]:
    said: dict[str, Any] = {"effort": _EFFORTS[asked.effort or ""]}
    if not _is_forced(request):
        said["thinking"] = {"type": "adaptive", **_display(asked)}
    return said


def _by_budget(asked: Reasoning, request: Request, max_tokens: int | None) -> dict[str, Any]:
    budget = BUDGETS[asked.effort or ""]
    if max_tokens is not None:
        budget = min(budget, max_tokens // 2)
    if budget < _LEAST or _is_forced(request) or _is_amid_tools(request):
        return {}
    return {"thinking": {"type": "enabled", "budget_tokens": budget, **_display(asked)}}


def _display(asked: Reasoning) -> dict[str, str]:
    if asked.shows_text is False:
        return {"display": "omitted"}
    return {"display": "summarized"} if asked.shows_text or asked.summary else {}


def _is_forced(request: Request) -> bool:
    """A tool has to be called: Anthropic does not think before that."""
    return request.tool_choice is not None and request.tool_choice.mode in {"required", "named"}


def _is_amid_tools(request: Request) -> bool:
    """The last call of a tool came without the thought that Anthropic wants back with it."""
    for turn in reversed(request.turns):
        if turn.role == "assistant":
            is_thought = any(isinstance(each, ThinkingBlock) and each.origin == "messages" for each in turn.blocks)
            return not is_thought and any(isinstance(each, ToolCallBlock) for each in turn.blocks)
    return False

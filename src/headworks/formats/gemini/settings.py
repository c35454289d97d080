"""The part of a request that is not conversation: tools, how they are called, and how the answer is made."""

from __future__ import annotations

import re

import msgspec

from headworks.formats.gemini.fields import Wording
from headworks.formats.gemini.shapes import (
    DeclaredTools,
    FunctionCallingConfig,
    FunctionDeclaration,
    GenerationConfig,
    ThinkingConfig,
    ToolConfig,
)
from headworks.formats.neutral import OutputFormat, Reasoning, Request, Tool

_MOST_STOPS = 5
_SEEDS = range(-(2**31), 2**31)
_LEVELS = {"minimal": "MINIMAL", "low": "LOW", "medium": "MEDIUM", "high": "HIGH", "xhigh": "XHIGH"}
_BUDGETS = {"minimal": 1024, "low": 1024, "medium": 8192, "high": 24576}
"""What Google's own OpenAI-compatible surface makes of `reasoning_effort`, for models that take a budget."""
_TAKES_BUDGET = re.compile(r"gemini-2\.|robotics-er-1")
_TIERS = {"default": "standard", "standard_only": "standard", "standard": "standard"} | {
    name: name for name in ("flex", "priority")
}


def tools(request: Request, wording: Wording) -> list[DeclaredTools | msgspec.Raw] | None:
    """All functions in one entry, and Google's own tools as they stood."""
    declared: list[FunctionDeclaration] = []
    written: list[DeclaredTools | msgspec.Raw] = []
    for number, tool in enumerate(request.tools):
        if tool.raw is not None and tool.origin == "gemini":
            written.append(tool.raw)
        else:
            declared.append(_declaration(tool, f"tools[{number}]", wording))
    if declared:
        written.insert(0, DeclaredTools(declared))
    return written or None


def _declaration(tool: Tool, place: str, wording: Wording) -> FunctionDeclaration:
    if tool.is_custom or tool.raw is not None:
        raise wording.refuse(place, "it takes functions only, with a JSON schema of their arguments")
    if tool.cache is not None:
        wording.leave_out(f"{place}.cache_control")
    wording.settle_at(place, tool.ext)
    return FunctionDeclaration(tool.name, tool.description, tool.parameters)


def tool_config(request: Request, wording: Wording) -> ToolConfig | None:
    """Which tools may or must be called."""
    if request.parallel_tool_calls is False:
        raise wording.refuse(wording.field("parallel_tool_calls"), "it may always call several tools at once")
    choice = request.tool_choice
    mode = choice.mode if choice else "auto"
    is_strict = any(tool.strict for tool in request.tools)
    if choice is None or mode == "auto":
        return _called("VALIDATED") if is_strict else None
    if mode == "none":
        return _called("NONE") if request.tools else None
    if mode == "required":
        return _called("ANY")
    if mode == "named":
        return _called("ANY", [choice.name or ""])
    return _called("ANY" if choice.is_required else "VALIDATED", list(choice.names))


def _called(mode: str, names: list[str] | None = None) -> ToolConfig:
    return ToolConfig(msgspec.convert({"mode": mode, "allowedFunctionNames": names}, FunctionCallingConfig))


def service_tier(request: Request, wording: Wording) -> str | None:
    """Google's name of the tier."""
    given = request.service_tier
    if given is None:
        return None
    if given == "auto":
        wording.leave_out("service_tier")
        return None
    if given not in _TIERS:
        raise wording.refuse("service_tier", f"it has no tier {given!r}")
    return _TIERS[given]


def generation(request: Request, wording: Wording) -> GenerationConfig | None:
    """How the answer is made; None where the caller said nothing about it."""
    _check(request, wording)
    config = GenerationConfig(
        candidate_count=request.choices,
        max_output_tokens=request.max_output,
        temperature=request.temperature,
        top_p=request.top_p,
        top_k=request.top_k,
        stop_sequences=list(request.stop) or None,
        seed=request.seed,
        presence_penalty=request.presence_penalty,
        frequency_penalty=request.frequency_penalty,
        thinking_config=_thinking(request, request.reasoning, wording) if request.reasoning else None,
    )
    if request.output_format is not None:
        _set_output(config, request.output_format, wording)
    return None if config == GenerationConfig() else config


def _check(request: Request, wording: Wording) -> None:
    if request.choices is not None and request.choices != 1:
        raise wording.refuse(wording.field("choices"), "we ask it for one answer at a time")
    if len(request.stop) > _MOST_STOPS:
        raise wording.refuse(wording.field("stop"), f"it takes at most {_MOST_STOPS} stop sequences")
    if request.seed is not None and request.seed not in _SEEDS:
        raise wording.refuse("seed", "it takes whole numbers of 32 bits")
    if request.verbosity not in {None, "medium"}:
        raise wording.refuse(wording.field("verbosity"), "it has no such setting")
    if request.verbosity:
        wording.leave_out(wording.field("verbosity"))
    if request.logprobs or request.top_logprobs:
        raise wording.refuse("logprobs" if request.logprobs else "top_logprobs", "its answer is given without them")
    if request.end_user is not None:
        wording.leave_out(wording.field("end_user"))


def _set_output(config: GenerationConfig, wanted: OutputFormat, wording: Wording) -> None:
    if wanted.kind == "text":
        return
    config.response_mime_type = "application/json"
    if wanted.kind == "json_schema":
        config.response_json_schema = wanted.schema
    for value, word in ((wanted.name, "output_name"), (wanted.description, "output_description")):
        if value is not None:
            wording.leave_out(wording.field(word))


def _thinking(request: Request, wanted: Reasoning, wording: Wording) -> ThinkingConfig | None:
    """A budget where one was given or the model knows nothing else, otherwise a level."""
    shows = wanted.shows_text
    if shows is None and (wanted.summary not in {None, "none"} or (request.origin == "messages" and wanted.enabled)):
        shows = True
    if wanted.summary in {"concise", "detailed"}:
        wording.leave_out(wording.field("summary"))
    config = ThinkingConfig(include_thoughts=shows or None)
    effort = wanted.effort
    if wanted.enabled is False or effort == "none":
        config.thinking_budget = 0
    elif wanted.budget_tokens is not None:
        config.thinking_budget = wanted.budget_tokens
        if effort is not None:
            wording.leave_out(wording.field("effort"))
    elif effort is not None:
        _set_effort(config, request.model, effort, wording)
    elif wanted.is_adaptive:
        config.thinking_budget = -1
    return None if config == ThinkingConfig() else config


def _set_effort(config: ThinkingConfig, model: str, effort: str, wording: Wording) -> None:
    takes_budget = _TAKES_BUDGET.search(model) is not None
    if effort not in (_BUDGETS if takes_budget else _LEVELS):
        raise wording.refuse(wording.field("effort"), f"it has no effort {effort!r}")
    if takes_budget:
        config.thinking_budget = _BUDGETS[effort]
    else:
        config.thinking_level = _LEVELS[effort]

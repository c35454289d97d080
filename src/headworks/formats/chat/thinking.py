"""How much to think: `reasoning_effort`, and the objects of those who have more to say; read, and written."""

from __future__ import annotations

import msgspec

from headworks.formats.chat.members import Misread, is_null, starts
from headworks.formats.chat.saying import Saying
from headworks.formats.neutral import Ext, Reasoning


class _Effort(msgspec.Struct, gc=False, forbid_unknown_fields=True):
    """OpenRouter's `reasoning`."""

    effort: str | None = None
    max_tokens: int | None = None
    enabled: bool | None = None
    exclude: bool | None = None


class _Thinking(msgspec.Struct, gc=False, forbid_unknown_fields=True):
    """`thinking`, as LiteLLM, DeepSeek and GLM take it over from Anthropic."""

    type: str
    budget_tokens: int | None = None


_effort = msgspec.json.Decoder(_Effort).decode
_thinking = msgspec.json.Decoder(_Thinking).decode
_EFFORTS = ((2048, "low"), (8192, "medium"))
"""Tokens up to which a budget is that effort; beyond it is `high`."""


def read_reasoning(effort: str | None, reasoning: msgspec.Raw, thinking: msgspec.Raw, ext: Ext) -> Reasoning | None:
    """What is said in one of the three ways, the first of them before the others. Raises Misread."""
    found = Reasoning(effort) if effort is not None else None
    for name, raw, read in (("reasoning", reasoning, _from_effort), ("thinking", thinking, _from_thinking)):
        if is_null(raw):
            continue
        if not starts(raw, b"{"):
            raise Misread("must be an object", f".{name}")
        said = read(raw) if found is None else None
        ext[name if said is None else f"~{name}"] = raw
        found = found or said
    return found


def write_reasoning(body: dict[str, object], reasoning: Reasoning | None, ext: Ext, saying: Saying) -> None:
    """The same way in its own format; else `reasoning_effort`, which a budget of tokens comes close to."""
    if reasoning is None:
        return
    if saying.is_own:
        for name, read in (("reasoning", _from_effort), ("thinking", _from_thinking)):
            if f"~{name}" in ext and read(ext[f"~{name}"]) == reasoning:
                body[name] = ext[f"~{name}"]
                return
    if reasoning.effort is not None:
        body["reasoning_effort"] = "xhigh" if reasoning.effort == "max" and not saying.is_own else reasoning.effort
    elif reasoning.enabled is False:
        body["reasoning_effort"] = "none"
    elif reasoning.budget_tokens is not None:
        body["reasoning_effort"] = next((word for most, word in _EFFORTS if reasoning.budget_tokens <= most), "high")
    if reasoning.budget_tokens is not None:
        saying.leave_out(f"{saying.field('reasoning_effort')}.budget_tokens")
    if reasoning.summary is not None:
        saying.leave_out("reasoning.summary")


def _from_effort(raw: msgspec.Raw) -> Reasoning | None:
    try:
        found = _effort(raw)
    except msgspec.ValidationError:
        return None
    shows_text = None if found.exclude is None else not found.exclude
    return Reasoning(found.effort, found.max_tokens, found.enabled, shows_text=shows_text)


def _from_thinking(raw: msgspec.Raw) -> Reasoning | None:
    try:
        found = _thinking(raw)
    except msgspec.ValidationError:
        return None
    if found.type not in {"enabled", "disabled", "adaptive"}:
        return None
    enabled = None if found.type == "adaptive" else found.type == "enabled"
    return Reasoning(None, found.budget_tokens, enabled, is_adaptive=found.type == "adaptive")

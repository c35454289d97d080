"""How the answer is made: limits, sampling, thinking, and the shape of the output."""

from __future__ import annotations

from typing import Any

from headworks.errors import InvalidRequest
from headworks.formats.converse.pen import Pen
from headworks.formats.messages.thinking import write_thinking
from headworks.formats.neutral import Reasoning, Request

_TIERS = frozenset(("default", "flex", "priority", "reserved"))
_TOP_K = {"": "top_k", "anthropic": "top_k", "cohere": "k", "deepseek": "top_k", "mistral": "top_k", "qwen": "top_k"}
_NOVA_EFFORTS = frozenset(("low", "medium", "high"))


def inference(pen: Pen, request: Request) -> dict[str, Any]:
    """`inferenceConfig`. Raises Unmapped for sampling that Converse does not know."""
    _check(pen, request)
    config = {
        "maxTokens": request.max_output,
        "temperature": request.temperature,
        "topP": request.top_p,
        "stopSequences": list(request.stop) or None,
    }
    return {name: value for name, value in config.items() if value is not None}


def _check(pen: Pen, request: Request) -> None:
    if request.temperature is not None and request.temperature > 1:
        pen.refuse("temperature", "it goes from 0 to 1")
    for name in ("presence_penalty", "frequency_penalty", "logprobs"):
        if getattr(request, name):
            pen.refuse(name)
    for name in ("seed", "top_logprobs"):
        if getattr(request, name) is not None:
            pen.refuse(name)
    if request.choices not in {None, 1}:
        pen.refuse("n", "there is one answer to a request")
    if request.verbosity not in {None, "medium"}:
        pen.refuse(pen.field("verbosity"))
    if request.end_user is not None:
        pen.leave_out(pen.field("end_user"))


def top_k(pen: Pen, request: Request) -> dict[str, Any]:
    """Among the model's own fields, in its own word."""
    if request.top_k is None:
        return {}
    if pen.model.startswith("amazon.nova"):
        return {"inferenceConfig": {"topK": request.top_k}}
    word = _TOP_K.get(pen.family)
    if word is None:
        pen.refuse("top_k", "this model has no such setting")
    return {word: request.top_k}


def service_tier(pen: Pen, request: Request) -> dict[str, Any] | None:
    """The tier; None where the caller leaves it open."""
    if request.service_tier in {None, "auto"}:
        return None
    if request.service_tier not in _TIERS:
        pen.refuse("service_tier", f"it has no tier `{str(request.service_tier)[:40]}`")
    return {"type": request.service_tier}


def output(pen: Pen, request: Request) -> dict[str, Any]:
    """`outputConfig` without the effort."""
    wanted = request.output_format
    if wanted is None or wanted.kind == "text":
        return {}
    at = pen.field("output_format")
    if wanted.kind == "json":
        pen.refuse(at, "JSON of any shape; give a schema")
    if wanted.schema is None:
        raise InvalidRequest(f"`{at}` has no schema.", param=at)
    said = {"schema": bytes(wanted.schema).decode()}
    for name in ("name", "description"):
        if value := getattr(wanted, name):
            said[name] = value
    return {"textFormat": {"type": "json_schema", "structure": {"jsonSchema": said}}}


def reasoning(pen: Pen, request: Request) -> tuple[dict[str, Any], str | None]:
    """How much to think: members of the model's own fields, and Converse's `effort`. Each family has its words."""
    asked = request.reasoning
    if asked is None:
        return {}, None
    if pen.is_claude:
        said = write_thinking(pen, request, request.max_output)
        effort = said.pop("effort", None)
        return said, effort
    at = pen.field("reasoning")
    if asked.summary or asked.shows_text is not None:
        pen.leave_out(f"{at}.summary")
    if asked.budget_tokens is not None and asked.effort is None:
        pen.refuse(at, "this model takes no budget of tokens for its thoughts")
    effort = "none" if asked.enabled is False else asked.effort
    if effort is None:
        if asked.is_adaptive:
            pen.leave_out(at)
        return {}, None
    return _by_effort(pen, asked, effort, at), None


def _by_effort(pen: Pen, asked: Reasoning, effort: str, at: str) -> dict[str, Any]:
    if pen.model.startswith("amazon.nova"):
        if effort == "none":
            return {"reasoningConfig": {"type": "disabled"}}
        if effort not in _NOVA_EFFORTS:
            pen.refuse(at, "it thinks with low, medium or high effort")
        return {"reasoningConfig": {"type": "enabled", "maxReasoningEffort": effort}}
    if pen.family == "openai" and asked.enabled is not False:
        return {"reasoning_effort": effort}
    if pen.family == "qwen" and effort != "none":
        return {"reasoning_config": effort}
    if asked.enabled is False and pen.family not in {"openai", "qwen"}:
        pen.leave_out(at)  # most models have no thoughts to switch off
        return {}
    return pen.refuse(at, "this model has no such setting")

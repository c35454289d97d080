"""What of another format's request Messages can't say: refused by name, unless it changes no answer."""

from __future__ import annotations

from typing import Any

import msgspec

from headworks.formats.hints import HINTS
from headworks.formats.messages.objects import is_null
from headworks.formats.messages.pen import Pen
from headworks.formats.neutral import Request

_USUAL: dict[str, tuple[Any, ...]] = {
    "background": (False,),
    "best_of": (1,),
    "echo": (False,),
    "logit_bias": ({},),
    "modalities": (["text"],),
    "truncation": ("disabled",),
}
"""What holds anyway: members that may be left away when they say this."""

_TIERS = frozenset((None, "auto", "default"))


def check(pen: Pen, request: Request) -> None:
    """Raises Unmapped; notes hints."""
    _check_sampling(pen, request)
    _check_output(pen, request)
    _check_tools(pen, request)
    for name, raw in request.ext.items():
        if name.startswith("~") or is_null(raw):
            continue
        if name in HINTS.get(pen.origin, ()):
            pen.leave_out(name)
        elif name not in _USUAL or msgspec.json.decode(raw) not in _USUAL[name]:
            pen.refuse(name)


def is_said(schema: msgspec.Raw | None) -> bool:
    """Whether a tool's parameters are given: Anthropic wants a schema of an object also where there are none."""
    if schema is None:
        return False
    return len(schema) > len(b"null") or msgspec.json.decode(schema) not in (None, {})


def _check_sampling(pen: Pen, request: Request) -> None:
    if request.temperature is not None and request.temperature > 1:
        pen.refuse("temperature", "it goes from 0 to 1")
    for name in ("presence_penalty", "frequency_penalty"):
        if getattr(request, name):
            pen.refuse(name)
    for name in ("seed", "top_logprobs"):
        if getattr(request, name) is not None:
            pen.refuse(name)
    if request.logprobs:
        pen.refuse("logprobs")
    if request.choices not in {None, 1}:
        pen.refuse(pen.field("n"), "there is one answer to a request")
    if request.service_tier not in _TIERS:
        pen.refuse("service_tier", "it has `auto` and `default`")


def _check_output(pen: Pen, request: Request) -> None:
    wanted = request.output_format
    if wanted is not None and wanted.kind == "json":
        pen.refuse(pen.field("output_format"), "JSON of any shape; give a schema")
    if request.verbosity not in {None, "medium"}:
        pen.refuse(pen.field("verbosity"))


def _check_tools(pen: Pen, request: Request) -> None:
    choice = request.tool_choice
    if choice is None:
        return
    if choice.mode == "allowed":
        pen.refuse("tool_choice", "it takes all tools, one, or none")
    if not request.tools and choice.mode in {"required", "named"}:
        pen.refuse("tool_choice", "there are no tools")

"""Between the format of the caller and that of the target: the same bytes where they share one, neutral words else."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from headworks.errors import UpstreamRejected
from headworks.formats.chat.format import CHAT, Chat
from headworks.formats.contract import Spoken
from headworks.formats.converse.format import CONVERSE
from headworks.formats.gemini.format import GEMINI
from headworks.formats.messages.format import MESSAGES
from headworks.formats.neutral import (
    Cited,
    Event,
    Failed,
    FormatName,
    Grown,
    Opened,
    Request,
    Signed,
    Stopped,
    TextBlock,
    ThinkingBlock,
)
from headworks.formats.responses.format import RESPONSES
from headworks.gateway.dialects import Dialect
from headworks.gateway.failover.failures import failure_of
from headworks.providers.contract import Provider, Surface

_SPOKEN: Mapping[FormatName, Spoken] = {
    "responses": RESPONSES,
    "messages": MESSAGES,
    "gemini": GEMINI,
    "converse": CONVERSE,
}
_CHATS = {cap: Chat(cap=cap) for cap in ("max_tokens", "max_completion_tokens")}
_FIXABLE = (
    "temperature",
    "top_p",
    "top_k",
    "seed",
    "presence_penalty",
    "frequency_penalty",
    "logprobs",
    "top_logprobs",
    "output_format",
    "reasoning",
    "verbosity",
    "service_tier",
    "parallel_tool_calls",
)
"""What a route may set for its target."""


class Way(msgspec.Struct, frozen=True):
    """How a provider is asked: on which surface, and by which format its answer is read.

    `spoken` None: the caller's own format, whose bytes are relayed. `is_own`: the request's bytes are in the target's
    format already.
    """

    surface: Surface
    spoken: Spoken | None
    is_own: bool


def way_to(provider: Provider, surface: Surface, name: FormatName | None, *, relays: bool) -> Way:
    """The way for a request in the format `name` (None: bytes that only pass through)."""
    if name is None or name in provider.speaks or not provider.speaks:  # who speaks none refuses the surface itself
        return Way(surface, None if relays else _spoken(provider, name), is_own=True)
    other = provider.speaks[0]
    return Way(other, _spoken(provider, other), is_own=False)


def fixed_by(parameters: Mapping[str, object]) -> Request | None:
    """A route's parameters for a target, in neutral words; None: there are none."""
    named = {name: value for name, value in parameters.items() if name not in {"max_tokens", "max_completion_tokens"}}
    if not named:
        return None
    asked = {"model": "-", "messages": [{"role": "user", "content": "-"}], **named}
    return CHAT.read_request(msgspec.json.encode(asked))


def aimed(request: Request, provider: Provider, model: str, cap: int | None, fixed: Request | None) -> Request:
    """The request for one target: its model, the route's cap and the route's parameters; usage is always wanted."""
    limit = request.max_output if cap is None else min(cap, request.max_output or cap)
    wants_usage = request.stream and provider.takes_stream_options
    aimed = msgspec.structs.replace(request, model=model, max_output=limit, wants_usage=wants_usage)
    if fixed is not None:
        for name in _FIXABLE:
            if (value := getattr(fixed, name)) is not None:
                setattr(aimed, name, value)
        if fixed.stop:
            aimed.stop = fixed.stop
    return aimed


def says_something(event: Event) -> bool:
    """Whether this is output: text, a thought, a call, an end; that a text will begin is none."""
    if isinstance(event, Grown):
        return bool(event.text)
    if isinstance(event, Opened):
        return not isinstance(event.block, (TextBlock, ThinkingBlock)) or bool(event.block.text)
    return isinstance(event, (Stopped, Cited, Signed))


def rejected(dialect: Dialect, failed: Failed, status: int, headers: Mapping[str, str]) -> UpstreamRejected:
    """A provider's error in the caller's format."""
    known = failed.status if failed.status is not None and failed.status >= 400 else status
    given = dict(headers)
    if failed.retry_after_s is not None and "retry-after" not in given:
        given["retry-after"] = f"{failed.retry_after_s:g}"
    own = failed.origin is not None and failed.origin == dialect.name
    body = dialect.error_body(failed if own else _without_raw(failed, known))
    error = UpstreamRejected(known, body, given, failure_of(failed, status))
    error.message = failed.message or error.message  # where a stream has begun, there is no place for the body
    return error


def _without_raw(failed: Failed, status: int) -> Failed:
    return msgspec.structs.replace(failed, raw=None, status=status)


def _spoken(provider: Provider, name: FormatName | None) -> Spoken | None:
    if name == "chat":
        return _CHATS[provider.cap_field]
    return None if name is None else _SPOKEN.get(name)

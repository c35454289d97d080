"""What was counted: `usage` of a response, inclusive as ours."""

from __future__ import annotations

import msgspec

from headworks.formats.neutral import Ext
from headworks.formats.responses.members import NULL, UNREADABLE, is_null, starts, text_of
from headworks.types.models import Usage

_SHAPE = "~usage"
"""In the bag of a count: `usage` as it was."""


class _Written(msgspec.Struct, gc=False):
    ttl_30m_tokens: int | None = None
    ttl_12h_tokens: int | None = None


class _Input(msgspec.Struct, gc=False):
    cached_tokens: int | None = None
    cache_write_tokens: int | None = None
    cache_write_tokens_details: _Written | None = None


class _Output(msgspec.Struct, gc=False):
    reasoning_tokens: int | None = None


class _Usage(msgspec.Struct, gc=False):
    input_tokens: int | None = None
    output_tokens: int | None = None
    input_tokens_details: _Input | None = None
    output_tokens_details: _Output | None = None


_decode = msgspec.json.Decoder(_Usage).decode


def read_usage(raw: msgspec.Raw | bytes, tier: msgspec.Raw = NULL) -> Usage | None:
    """The count, None where there is none, or none that can be read: it is then estimated.

    `tier` is the `service_tier` that stands beside it.
    """
    if is_null(msgspec.Raw(raw)):
        return None
    try:
        said = _decode(raw)
    except UNREADABLE:
        return None
    inputs, outputs = said.input_tokens_details or _Input(), said.output_tokens_details or _Output()
    short, long = inputs.cache_write_tokens, None
    if inputs.cache_write_tokens_details is not None:
        # What is kept for half a day is what our words know as the longer of two lifetimes.
        short = inputs.cache_write_tokens_details.ttl_30m_tokens
        long = inputs.cache_write_tokens_details.ttl_12h_tokens
    return Usage(
        said.input_tokens,
        said.output_tokens,
        inputs.cached_tokens,
        cache_write_tokens=short,
        cache_write_1h_tokens=long,
        reasoning_tokens=outputs.reasoning_tokens,
        service_tier=text_of(tier) if starts(tier, b'"') else None,
    )


def usage_shape(raw: msgspec.Raw) -> Ext:
    """For the bag of a count."""
    return {} if is_null(raw) else {_SHAPE: raw}


def write_usage(usage: Usage, ext: Ext) -> object:
    """`usage` of a response: as it was read, or all members that the format requires; null where nothing is known."""
    kept = ext.get(_SHAPE)
    if kept is not None and read_usage(kept) == msgspec.structs.replace(usage, service_tier=None):
        return kept
    if usage.input_tokens is None or usage.output_tokens is None:
        return None
    written = (usage.cache_write_tokens or 0) + (usage.cache_write_1h_tokens or 0)
    return {
        "input_tokens": usage.input_tokens,
        "input_tokens_details": {"cached_tokens": usage.cached_input_tokens or 0, "cache_write_tokens": written},
        "output_tokens": usage.output_tokens,
        "output_tokens_details": {"reasoning_tokens": usage.reasoning_tokens or 0},
        "total_tokens": usage.input_tokens + usage.output_tokens,
    }

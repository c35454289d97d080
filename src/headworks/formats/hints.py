"""Hints: members whose absence changes no answer. Each codec says it of the members that only its own format has.

The writer of another format leaves these out and names them in `Written.left_out`; any other member that it does not
know is refused by name. Blocks and tools have hints as well, by the same names.
"""

from __future__ import annotations

from collections.abc import Mapping

from headworks.formats.neutral import FormatName

HINTS: Mapping[FormatName, frozenset[str]] = {
    "chat": frozenset(
        {
            "annotations",
            "cache_control",
            "metadata",
            "prediction",
            "prompt_cache_key",
            "prompt_cache_options",
            "prompt_cache_retention",
            "reasoning_details",
            "safety_identifier",
            "store",
            "stream_options",
        }
    ),
    "messages": frozenset(
        {
            "cache_control",
            "context_management",
            "defer_loading",
            "diagnostics",
            "eager_input_streaming",
            "metadata",
            "speed",
        }
    ),
    "responses": frozenset(
        {
            "detail",
            "image",
            "include",
            "logprobs",
            "max_tool_calls",
            "message.phase",
            "metadata",
            "phase",
            "prompt_cache_breakpoint",
            "prompt_cache_key",
            "prompt_cache_options",
            "prompt_cache_retention",
            "safety_identifier",
            "store",
            "stream_options",
            "truncation",
        }
    ),
}

"""What a caller may set of a feature, in the words of each format: what is its own, and what the feature fixes."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from headworks.formats.neutral import FormatName


class Terms(msgspec.Struct, frozen=True, kw_only=True):
    """One format's. `conversation`, `system` and `output_format` are where the caller writes these.

    `own` belongs to the caller, `fixed` are members with what a feature must `accept` for them, `unanswerable` stand
    for text that nobody but the provider of an earlier answer has.
    """

    conversation: str
    system: str = ""
    output_format: str = ""
    own: frozenset[str]
    fixed: Mapping[str, str] = {}
    unanswerable: tuple[str, ...] = ()

    @property
    def known(self) -> frozenset[str]:
        """All members that are not ignored."""
        return self.own | self.fixed.keys() | {self.system, self.output_format.partition(".")[0], *self.unanswerable}


_EVERYWHERE = frozenset(("model", "inputs", "stream", "metadata"))
_TOOLS = dict.fromkeys(("tools", "tool_choice", "parallel_tool_calls"), "tools")

TERMS: Mapping[FormatName, Terms] = {
    "chat": Terms(
        conversation="messages",
        output_format="response_format",
        own=_EVERYWHERE | {"messages", "stream_options", "user", "max_tokens", "max_completion_tokens", "n"},
        fixed=_TOOLS | {"functions": "tools", "function_call": "tools", "response_format": "response_format"},
    ),
    "completions": Terms(
        conversation="prompt",
        own=_EVERYWHERE | {"prompt", "stream_options", "user", "max_tokens", "n"},
    ),
    "responses": Terms(
        conversation="input",
        system="instructions",
        output_format="text.format",
        own=_EVERYWHERE | {"input", "user", "safety_identifier", "max_output_tokens", "store"},
        fixed=_TOOLS | {"max_tool_calls": "tools"},
        unanswerable=("previous_response_id", "conversation", "prompt"),
    ),
    "messages": Terms(
        conversation="messages",
        system="system",
        output_format="output_config.format",
        own=_EVERYWHERE | {"messages", "max_tokens"},
        fixed=_TOOLS | {"mcp_servers": "tools", "container": "tools", "output_format": "response_format"},
    ),
}
"""By the caller's format."""

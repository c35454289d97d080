"""Why an answer stopped: the words of Chat Completions, and of those who speak it with words of their own."""

from __future__ import annotations

from headworks.errors import UpstreamError
from headworks.formats.neutral import Stopped, StopReason

_READ: dict[str, StopReason] = {
    "stop": "stop",
    "length": "length",
    "tool_calls": "tool_calls",
    "function_call": "tool_calls",
    "content_filter": "content_filter",
    # TGI, vLLM, Mistral, DeepSeek, GLM, OpenRouter, Gemini's and Anthropic's words behind a compatible face
    "eos": "stop",
    "eos_token": "stop",
    "end_turn": "stop",
    "stop_sequence": "stop_sequence",
    "max_tokens": "length",
    "model_length": "context_window",
    "model_context_window_exceeded": "context_window",
    "tool_use": "tool_calls",
    "safety": "content_filter",
    "recitation": "content_filter",
    "sensitive": "content_filter",
    "refusal": "refusal",
    "pause_turn": "pause",
    "malformed_function_call": "malformed_tool_call",
    "malformed_tool_call": "malformed_tool_call",
    "insufficient_system_resource": "error",
    "network_error": "error",
    "abort": "error",
    "error": "error",
}
_WRITTEN: dict[StopReason, str] = {
    "stop": "stop",
    "stop_sequence": "stop",
    "length": "length",
    "context_window": "length",
    "tool_calls": "tool_calls",
    "content_filter": "content_filter",
    "refusal": "content_filter",
}


def read_finish(word: str) -> StopReason:
    """The reason that a provider's word means; a word that nobody knows is an error, never a good end."""
    return _READ.get(word) or _READ.get(word.lower(), "error")


def write_finish(stopped: Stopped, *, is_own: bool) -> str:
    """`finish_reason`: the word itself where it was read from this format.

    Raises UpstreamError for an end that this format has no word for, because the answer is not whole.
    """
    word = _WRITTEN.get(stopped.reason)
    if word is None:
        said = stopped.word or stopped.reason
        raise UpstreamError(
            f"The provider ended the answer with `{said}`: it is not whole.",
            next_step="Try again.",
            code="upstream_error" if stopped.reason == "error" else stopped.reason,
        )
    return stopped.word if is_own and stopped.word else word

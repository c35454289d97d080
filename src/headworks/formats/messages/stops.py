"""Why an answer ended: Anthropic's words and ours."""

from __future__ import annotations

from headworks.errors import UpstreamError
from headworks.formats.neutral import Ext, Stopped, StopReason

_REASONS: dict[str, StopReason] = {
    "end_turn": "stop",
    "max_tokens": "length",
    "stop_sequence": "stop_sequence",
    "tool_use": "tool_calls",
    "pause_turn": "pause",
    "refusal": "refusal",
    "model_context_window_exceeded": "context_window",
}
_WORDS: dict[StopReason, str] = {reason: word for word, reason in _REASONS.items()} | {"content_filter": "refusal"}


def read_stop(word: str, sequence: str | None, ext: Ext) -> Stopped:
    """In our words; one that we don't know is `error`, and its own writer gives it back."""
    return Stopped(_REASONS.get(word, "error"), word, sequence, ext)


def write_stop(stopped: Stopped, *, is_own: bool, is_refused: bool) -> str:
    """Anthropic's word. `is_refused`: the text was a refusal. Raises UpstreamError for an end that is none."""
    if is_own and stopped.reason == "error":
        return stopped.word
    if is_refused and stopped.reason == "stop":
        return "refusal"
    word = _WORDS.get(stopped.reason)
    if word is None:
        what = "wrote a call of a tool that can't be read" if stopped.reason == "malformed_tool_call" else "failed"
        raise UpstreamError(
            f"The provider's model {what} (it said `{stopped.word[:60]}`).", next_step="Try again, or another model."
        )
    return word


def stop_members(stopped: Stopped, *, is_own: bool, is_refused: bool) -> dict[str, object]:
    """`stop_reason` and `stop_sequence`, and what else was said with them."""
    said: dict[str, object] = {
        "stop_reason": write_stop(stopped, is_own=is_own, is_refused=is_refused),
        "stop_sequence": stopped.sequence,
    }
    return said | stopped.ext if is_own else said

"""Turns written as messages: a tool's result is a message of its own; calls and thoughts stand beside the text."""

from __future__ import annotations

from itertools import groupby

from headworks.formats.chat.calls import FUNCTION_CALL, as_it_was_written, write_call, write_function_call
from headworks.formats.chat.parts import write_cache, write_part, written_annotations
from headworks.formats.chat.saying import MARK, Saying, put_back
from headworks.formats.chat.thoughts import write_thoughts
from headworks.formats.neutral import (
    AudioBlock,
    Block,
    Ext,
    TextBlock,
    ThinkingBlock,
    ToolCallBlock,
    ToolResultBlock,
    Turn,
)

_PLAIN_TEXT = {"type", "text"}


def write_turns(turns: list[Turn], saying: Saying) -> list[dict[str, object]]:
    """The messages. Raises Unmapped."""
    field = saying.field("messages")
    skipped = 0
    if saying.origin == "messages":  # whose `system` is a field of its own
        skipped = next((at for at, turn in enumerate(turns) if turn.role != "system"), 0)
    found: list[dict[str, object]] = []
    for index, turn in enumerate(turns):
        at = f"{field}[{index - skipped}]" if index >= skipped else "system"
        if turn.role == "assistant":
            found.append(_assistant(turn, saying, at))
        elif len(turn.blocks) == 1 and isinstance(turn.blocks[0], TextBlock):
            found.append(_plain(turn, turn.blocks, saying, at))
        else:
            found += _mixed(turn, saying, at)
    return found


def _mixed(turn: Turn, saying: Saying, at: str) -> list[dict[str, object]]:
    """A turn that may have results of tools among its blocks."""
    found: list[dict[str, object]] = []
    for is_result, group in groupby(turn.blocks, lambda block: isinstance(block, ToolResultBlock)):
        blocks = list(group)
        if is_result:
            found += [_result(each, saying, at) for each in blocks if isinstance(each, ToolResultBlock)]
        else:
            found.append(_plain(turn, blocks, saying, at))
    return found or [_plain(turn, [], saying, at)]


def _plain(turn: Turn, blocks: list[Block], saying: Saying, at: str) -> dict[str, object]:
    message: dict[str, object] = {"role": turn.role, "content": _content(blocks, turn.ext, saying, at)}
    if turn.name is not None:
        message["name"] = turn.name
    _mark_message(message, blocks, turn.ext, saying)
    saying.bag(message, turn.ext, at)
    return message


def _result(block: ToolResultBlock, saying: Saying, at: str) -> dict[str, object]:
    if block.is_error:
        saying.leave_out(f"{at}.is_error")
    if not saying.is_own and any(not isinstance(each, TextBlock) for each in block.content):
        raise saying.refused(f"{at}.content", "a tool's result is text only")
    message: dict[str, object] = {"role": "tool"}
    if saying.is_own and "~role" in block.ext:
        message = {"role": "function", "name": block.name}
    else:
        message["tool_call_id"] = block.id
        if saying.is_own and block.name is not None:
            message["name"] = block.name
    if block.content or message["role"] == "tool":
        message["content"] = _content(list(block.content), block.ext, saying, at)
    if block.cache is not None:
        if saying.is_own or "cache_control" in saying.accepts:
            message["cache_control"] = write_cache(block.cache)
        else:
            saying.leave_out("cache_control")
    saying.bag(message, block.ext, at)
    return message


def _assistant(turn: Turn, saying: Saying, at: str) -> dict[str, object]:
    message = assistant_message(turn.blocks, turn.ext, saying, at)
    if turn.name is not None:
        message["name"] = turn.name
    _mark_message(message, turn.blocks, turn.ext, saying)
    saying.bag(message, turn.ext, at)
    return message


def assistant_message(blocks: list[Block], ext: Ext, saying: Saying, at: str) -> dict[str, object]:
    """What the model said, as one message, without its bag; pictures and sound that it made are the caller's to add."""
    message: dict[str, object] = {"role": "assistant"}
    said, refusals = _said_and_refused(blocks, is_own=saying.is_own)
    if said or not saying.is_own:
        message["content"] = _content(said, ext, saying, at) if said else None
    elif "~content" in ext:
        message["content"] = [] if ext["~content"] is MARK else ""
    if refusals:
        message["refusal"] = "".join(refusals)
    _annotate(message, [block for block in said if isinstance(block, TextBlock)], ext, saying, at)
    _add_calls(message, [block for block in blocks if isinstance(block, ToolCallBlock)], ext, saying, at)
    _add_thoughts(message, [block for block in blocks if isinstance(block, ThinkingBlock)], ext, saying, at)
    for block in blocks:
        if isinstance(block, AudioBlock):
            _add_audio(message, block, saying, at)
    return message


def _said_and_refused(blocks: list[Block], *, is_own: bool) -> tuple[list[Block], list[str]]:
    said: list[Block] = []
    refusals: list[str] = []
    for block in blocks:
        if isinstance(block, TextBlock):
            if block.is_refusal and "~part" not in block.ext:
                refusals.append(block.text)
            elif block.text or is_own:  # some formats refuse an empty text, and it says nothing
                said.append(block)
        elif not isinstance(block, (ThinkingBlock, ToolCallBlock, AudioBlock)):
            said.append(block)
    return said, refusals


def _content(blocks: list[Block], ext: Ext, saying: Saying, at: str) -> object:
    """A string where it is one text that says no more; else a list of parts."""
    as_list = saying.is_own and ext.get("~content") is MARK
    of_message = saying.is_own and "~cache_control" in ext
    if not as_list and (text := _one_text(blocks, saying, keeps_cache=of_message)) is not None:
        return text
    parts = [write_part(block, saying, f"{at}.content[{index}]") for index, block in enumerate(blocks)]
    if of_message and isinstance(parts[-1], dict):
        parts[-1].pop("cache_control", None)
    if not saying.is_own and len(parts) == 1 and isinstance(parts[0], dict) and parts[0].keys() == _PLAIN_TEXT:
        return parts[0]["text"]
    return parts


def _one_text(blocks: list[Block], saying: Saying, *, keeps_cache: bool) -> str | None:
    """`keeps_cache`: a marker stands elsewhere."""
    if not blocks:
        return ""
    first = blocks[0]
    if isinstance(first, TextBlock) and len(blocks) == 1 and not (first.is_refusal or first.ext):
        is_marked = first.cache is not None and not keeps_cache
        return None if is_marked and not saying.is_answer else first.text
    texts = [block.text for block in blocks if isinstance(block, TextBlock)] if saying.is_answer else []
    return "".join(texts) if len(texts) == len(blocks) else None


def _mark_message(message: dict[str, object], blocks: list[Block], ext: Ext, saying: Saying) -> None:
    """A cache marker that was the message's own."""
    if saying.is_own and "~cache_control" in ext:
        cache = next((each.cache for each in reversed(blocks) if isinstance(each, TextBlock) and each.cache), None)
        if cache is not None:
            message["cache_control"] = write_cache(cache)


def _annotate(message: dict[str, object], texts: list[TextBlock], ext: Ext, saying: Saying, at: str) -> None:
    if any(block.citations for block in texts):
        if saying.is_own or saying.is_answer:
            message["annotations"] = written_annotations(texts)
        else:
            saying.leave_out(f"{at}.citations")
    elif saying.is_own and "~annotations" in ext:
        message["annotations"] = []


def _add_calls(message: dict[str, object], calls: list[ToolCallBlock], ext: Ext, saying: Saying, at: str) -> None:
    entries: list[object] = []
    for call in calls:
        if FUNCTION_CALL in call.ext:
            message["function_call"] = write_function_call(call)
            continue
        if call.cache is not None:
            saying.leave_out("cache_control")
        entry = write_call(call)
        if saying.is_own:
            as_it_was_written(entry, call.ext)
        saying.bag(entry, call.ext, f"{at}.tool_calls")
        entries.append(entry)
    if entries or (saying.is_own and "~tool_calls" in ext):
        message["tool_calls"] = entries


def _add_thoughts(message: dict[str, object], thoughts: list[ThinkingBlock], ext: Ext, saying: Saying, at: str) -> None:
    """Thoughts go back only to the format that made them; a model of another one has no use for them."""
    if not (saying.is_own or saying.is_answer):
        if any(each.origin != "chat" for each in thoughts):
            saying.leave_out(f"{at}.thinking")
        thoughts = [each for each in thoughts if each.origin == "chat"]
    write_thoughts(message, thoughts, ext, is_own=saying.is_own)


def _add_audio(message: dict[str, object], block: AudioBlock, saying: Saying, at: str) -> None:
    """Sound that the model made: in a request by its id, in an answer whole."""
    audio: dict[str, object] = {}
    if block.source.file_id is not None:
        audio["id"] = block.source.file_id
    elif not saying.is_answer:
        raise saying.refused(f"{at}.audio", "sound that a model made is named by its id")
    if saying.is_answer and block.source.data is not None:
        audio["data"] = block.source.data
    put_back(audio, block.ext)
    message["audio"] = audio

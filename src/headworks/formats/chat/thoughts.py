"""Reasoning beside a message: `reasoning_content`, OpenRouter's `reasoning`, LiteLLM's `thinking_blocks`.

A thought that has to be given back with its signature can't stand in a text: it is an entry of `thinking_blocks`, in
Anthropic's own shape, with `origin`, `id` and `summary` beside it where it comes from another format.
"""

from __future__ import annotations

import msgspec

from headworks.formats.chat.members import Misread, Shape
from headworks.formats.chat.saying import MARK, put_back
from headworks.formats.neutral import Ext, FormatName, ThinkingBlock


class _Entry(msgspec.Struct, forbid_unknown_fields=True):
    type: str
    thinking: str | None = None
    signature: str | None = None
    data: str | None = None
    origin: FormatName | None = None
    id: str | None = None
    summary: tuple[str, ...] = ()


_ENTRY = Shape(_Entry)
_NAMES = ("reasoning_content", "reasoning")
_KINDS = frozenset(("thinking", "redacted_thinking"))


def read_thoughts(
    entries: list[msgspec.Raw] | None, content: str | None, reasoning: str | None, ext: Ext
) -> list[ThinkingBlock]:
    """The thoughts of one message; `ext` takes how they were written. Raises Misread."""
    if entries is not None:
        thoughts = _read_entries(entries)
        text = "".join(thought.text for thought in thoughts)
        for name, said in zip(_NAMES, (content, reasoning), strict=True):
            if said is not None:
                ext[f"~{name}"] = MARK if said == text else msgspec.Raw(msgspec.json.encode(said))
        ext["~thinking_blocks"] = MARK
        return thoughts
    said = reasoning if content is None else content
    if said is None:
        return []
    if reasoning is not None:
        ext["~reasoning"] = MARK if reasoning == said else msgspec.Raw(msgspec.json.encode(reasoning))
        if content is not None:
            ext["~reasoning_content"] = MARK
    return [ThinkingBlock(said, origin="chat")]


def write_thoughts(target: dict[str, object], thoughts: list[ThinkingBlock], ext: Ext, *, is_own: bool) -> None:
    """The members for a message's thoughts; `ext` says how its own format wrote them."""
    has_entries = any(map(needs_entry, thoughts)) or (is_own and "~thinking_blocks" in ext)
    if has_entries:
        target["thinking_blocks"] = [entry_of(each) for each in thoughts]
    names = [name for name in _NAMES if f"~{name}" in ext] if is_own else []
    if not names and thoughts and not (is_own and has_entries):
        names = ["reasoning_content"]
    text = "".join(map(text_of, thoughts))
    for name in names:
        said = ext.get(f"~{name}", MARK)
        if said is not MARK:
            target[name] = said
        elif text or is_own:
            target[name] = text


def needs_entry(thought: ThinkingBlock) -> bool:
    """Whether there is more to give back than a text."""
    return bool(thought.signature or thought.redacted or thought.id or thought.summary)


def text_of(thought: ThinkingBlock) -> str:
    """What can be shown of it: the thought, or else the parts of its summary."""
    return thought.text or "\n\n".join(thought.summary)


def entry_of(thought: ThinkingBlock) -> dict[str, object]:
    """One entry of `thinking_blocks`."""
    entry: dict[str, object]
    if thought.redacted is not None and not thought.text and thought.origin in {None, "messages"}:
        entry = {"type": "redacted_thinking", "data": thought.redacted}
    else:
        entry = {"type": "thinking", "thinking": thought.text}
        if thought.redacted is not None:
            entry["data"] = thought.redacted
    if thought.signature is not None:
        entry["signature"] = thought.signature
    if thought.origin not in {None, "messages", "chat"}:
        entry["origin"] = thought.origin
    if thought.id is not None:
        entry["id"] = thought.id
    if thought.summary:
        entry["summary"] = thought.summary
    put_back(entry, thought.ext)
    return entry


def _read_entries(entries: list[msgspec.Raw]) -> list[ThinkingBlock]:
    found: list[ThinkingBlock] = []
    for at, raw in enumerate(entries):
        try:
            found.append(read_entry(raw))
        except Misread as error:
            raise error.within(f".thinking_blocks[{at}]") from None
    return found


def read_entry(raw: msgspec.Raw) -> ThinkingBlock:
    """One entry of `thinking_blocks`. Raises Misread."""
    entry, rest = _ENTRY.read(raw)
    if entry.type not in _KINDS:
        raise Misread(f"must be one of {', '.join(sorted(_KINDS))}", ".type", "invalid_value")
    origin = entry.origin or "messages"
    return ThinkingBlock(entry.thinking or "", entry.signature, entry.data, entry.id, entry.summary, origin, rest)

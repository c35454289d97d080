"""Messages of all roles, read into turns and written from them. Results of tools stand in turns of the user."""

from __future__ import annotations

from operator import attrgetter
from typing import Literal

import msgspec

from headworks.formats.chat.calls import (
    read_call,
    read_function_call,
)
from headworks.formats.chat.citations import read_annotation
from headworks.formats.chat.members import NO_RAW, NULL, Misread, Shape, is_null
from headworks.formats.chat.parts import read_cache, read_part
from headworks.formats.chat.saying import MARK
from headworks.formats.chat.thoughts import read_thoughts
from headworks.formats.neutral import (
    AudioBlock,
    Block,
    Ext,
    Role,
    Source,
    TextBlock,
    ToolCallBlock,
    ToolResultBlock,
    Turn,
)


class Message(msgspec.Struct, forbid_unknown_fields=True):
    """One message as it stands."""

    role: str
    content: str | list[msgspec.Raw] | None = None
    name: str | None = None
    refusal: str | None = None
    tool_calls: list[msgspec.Raw] | None = None
    function_call: msgspec.Raw = NO_RAW
    tool_call_id: str | None = None
    reasoning_content: str | None = None
    reasoning: str | None = None
    thinking_blocks: list[msgspec.Raw] | None = None
    audio: msgspec.Raw = NO_RAW
    annotations: list[msgspec.Raw] | None = None
    cache_control: msgspec.Raw = NO_RAW


class _AudioId(msgspec.Struct, gc=False, forbid_unknown_fields=True):
    id: str


class _Plain(msgspec.Struct, gc=False, forbid_unknown_fields=True):
    """Most messages are like this: all of them are read at once."""

    role: Role
    content: str


class _Function(msgspec.Struct, gc=False, forbid_unknown_fields=True):
    name: str
    arguments: str


class _Call(msgspec.Struct, gc=False, forbid_unknown_fields=True):
    id: str
    type: Literal["function"]
    function: _Function


class _Usual(msgspec.Struct, gc=False, forbid_unknown_fields=True):
    """A message of a conversation with tools."""

    role: Role | Literal["tool"]
    content: str | msgspec.UnsetType | None = msgspec.UNSET
    tool_calls: list[_Call] | msgspec.UnsetType = msgspec.UNSET
    tool_call_id: str | msgspec.UnsetType = msgspec.UNSET


MESSAGE = Shape(Message)
_AUDIO_ID = Shape(_AudioId)
_plain = msgspec.json.Decoder(list[_Plain]).decode
_usual = msgspec.json.Decoder(_Usual).decode
_each = msgspec.json.Decoder(list[msgspec.Raw]).decode
_PLAIN: dict[str, Role] = {"user": "user", "system": "system", "developer": "developer"}
_ONLY_ASSISTANTS = (
    "refusal",
    "tool_calls",
    "reasoning_content",
    "reasoning",
    "thinking_blocks",
    "annotations",
    "function_call",
    "audio",
)
_only_assistants = attrgetter(*_ONLY_ASSISTANTS)
_NOTHING_OF_IT = _only_assistants(Message(""))


def read_messages(raw: msgspec.Raw) -> list[Turn]:
    """The turns of `messages`. Raises Misread."""
    try:
        plain = _plain(raw)
    except msgspec.ValidationError:
        return _read_each(raw)
    turns: list[Turn] = []
    for message in plain:
        if not message.content and message.role == "assistant":
            return _read_each(raw)
        turns.append(Turn(message.role, [TextBlock(message.content)]))
    if not turns:
        raise Misread("is empty", ".messages", "missing_field")
    return turns


def _read_each(raw: msgspec.Raw) -> list[Turn]:
    """Where one of them says more than a role and a text, or is wrong."""
    try:
        raws = _each(raw)
    except msgspec.ValidationError as error:
        raise Misread.of(error).within(".messages") from None
    if not raws:
        raise Misread("is empty", ".messages", "missing_field")
    return MessageReader().read(raws)


class MessageReader:
    """Reads one request's messages, in order: a result is bound to its call."""

    __slots__ = ("_at", "_custom", "_function_call", "_turns")

    def __init__(self) -> None:
        self._turns: list[Turn] = []
        self._custom: set[str] = set()
        self._function_call = ""
        self._at = 0

    def read(self, raws: list[msgspec.Raw], *, is_careful: bool = False) -> list[Turn]:
        """The turns. Raises Misread. `is_careful`: nothing is read at once; what comes of it is the same."""
        try:
            for self._at, raw in enumerate(raws):
                if is_careful or not self._take_usual(raw):
                    message, ext = MESSAGE.read(raw)
                    self._take(message, ext)
        except Misread as error:
            raise error.within(f"messages[{self._at}]") from None
        return self._turns

    def _take_usual(self, raw: msgspec.Raw) -> bool:
        """Whether it was one that says no more than most."""
        try:
            message = _usual(raw)
        except msgspec.ValidationError:
            return False
        role, content, calls = message.role, message.content, message.tool_calls
        if role == "assistant":
            return message.tool_call_id is msgspec.UNSET and self._take_answer(content, calls)
        if not isinstance(content, str) or calls is not msgspec.UNSET:
            return False
        made = message.tool_call_id
        if role == "tool" and made is not msgspec.UNSET:
            self._add_result(ToolResultBlock(made, (TextBlock(content),), is_custom=made in self._custom))
            return True
        if role == "tool" or made is not msgspec.UNSET:
            return False
        self._turns.append(Turn(role, [TextBlock(content)]))
        return True

    def _take_answer(self, content: str | msgspec.UnsetType | None, calls: list[_Call] | msgspec.UnsetType) -> bool:
        if content == "" or calls == [] or not (content or calls):
            return False
        blocks: list[Block] = [TextBlock(content)] if isinstance(content, str) else []
        try:
            blocks += [
                ToolCallBlock(call.id, call.function.name, call.function.arguments.encode()) for call in calls or ()
            ]
        except UnicodeEncodeError:
            return False
        turn = Turn("assistant", blocks)
        if content is None:
            turn.ext["content"] = NULL
        self._turns.append(turn)
        return True

    def _take(self, message: Message, ext: Ext) -> None:
        role = message.role
        if role == "assistant":
            self._turns.append(self._assistant(message, ext))
        elif role in {"tool", "function"}:
            self._result(message, ext)
        elif role in _PLAIN:
            _refuse_foreign(message, "tool_call_id")
            if message.content is None:
                raise Misread("is required", ".content", "missing_field")
            blocks = read_content(message, ext)
            self._turns.append(Turn(_PLAIN[role], blocks, message.name, ext))
        else:
            raise Misread("must be a role that Chat Completions knows", ".role", "invalid_value")

    def _assistant(self, message: Message, ext: Ext) -> Turn:
        if message.tool_call_id is not None:
            raise Misread("belongs to a message of a tool", ".tool_call_id", "invalid_value")
        blocks = assistant_blocks(message, ext)
        if not is_null(message.audio):
            audio, rest = _read_audio_id(message.audio)
            blocks.append(AudioBlock(Source(file_id=audio.id), ext=rest))
        calls = read_calls(message)
        if not is_null(message.function_call):
            self._function_call = f"call_{self._at}"
            calls.append(read_function_call(message.function_call, self._function_call))
        if message.tool_calls is not None and not message.tool_calls:
            ext["~tool_calls"] = MARK
        self._custom.update(call.id for call in calls if call.is_custom)
        blocks += calls
        return Turn("assistant", blocks, message.name, ext)

    def _result(self, message: Message, ext: Ext) -> None:
        _refuse_foreign(message)
        made = message.tool_call_id
        if message.role == "function":
            if message.name is None:
                raise Misread("is required", ".name", "missing_field")
            ext["~role"] = MARK
            if made is not None:
                raise Misread("belongs to a message of a tool", ".tool_call_id", "invalid_value")
            made = self._function_call or "call_0"
        elif made is None:
            raise Misread("is required", ".tool_call_id", "missing_field")
        if message.content is None and message.role == "tool":
            raise Misread("is required", ".content", "missing_field")
        cache = read_cache(message.cache_control, ext)
        content = tuple(_content(message.content, ext))
        result = ToolResultBlock(made, content, message.name, None, made in self._custom, cache, ext)
        self._add_result(result)

    def _add_result(self, result: ToolResultBlock) -> None:
        last = self._turns[-1] if self._turns else None
        if last is not None and last.role == "user" and last.blocks and isinstance(last.blocks[-1], ToolResultBlock):
            last.blocks.append(result)
        else:
            self._turns.append(Turn("user", [result]))


def _refuse_foreign(message: Message, *more: str) -> None:
    if _only_assistants(message) == _NOTHING_OF_IT and (not more or message.tool_call_id is None):
        return
    for name in (*_ONLY_ASSISTANTS, *more):
        value = getattr(message, name)
        if value is not None and not (isinstance(value, msgspec.Raw) and is_null(value)):
            raise Misread(f"can't stand in a message of role `{message.role}`", f".{name}", "invalid_value")


def read_content(message: Message, ext: Ext) -> list[Block]:
    """The blocks of a message's content; a cache marker of the message is its last block's. Raises Misread."""
    blocks = _content(message.content, ext)
    cache = read_cache(message.cache_control, ext)
    if cache is not None:
        last = blocks[-1] if blocks else None
        if isinstance(last, TextBlock) and last.cache is None:
            last.cache = cache
            ext["~cache_control"] = MARK
        else:
            ext["cache_control"] = message.cache_control
    return blocks


def _content(content: str | list[msgspec.Raw] | None, ext: Ext) -> list[Block]:
    if content is None:
        return []
    if isinstance(content, str):
        return [TextBlock(content)]
    ext["~content"] = MARK
    blocks: list[Block] = []
    for at, raw in enumerate(content):
        try:
            blocks.append(read_part(raw))
        except Misread as error:
            raise error.within(f".content[{at}]") from None
    return blocks


def assistant_blocks(message: Message, ext: Ext) -> list[Block]:
    """Thoughts, text with its citations, and a refusal; calls and sound are the caller's to add. Raises Misread."""
    thoughts = read_thoughts(message.thinking_blocks, message.reasoning_content, message.reasoning, ext)
    blocks: list[Block] = [*thoughts]
    if message.content == "":
        ext["~content"] = msgspec.Raw(b'""')
    else:
        blocks += read_content(message, ext)
    if message.annotations is not None:
        _cite(blocks, message.annotations, ext)
    if message.refusal is not None:
        blocks.append(TextBlock(message.refusal, is_refusal=True))
    return blocks


def _cite(blocks: list[Block], annotations: list[msgspec.Raw], ext: Ext) -> None:
    texts = [block for block in blocks if isinstance(block, TextBlock)]
    if not annotations:
        ext["~annotations"] = MARK
        return
    found = []
    for at, raw in enumerate(annotations):
        try:
            found.append(read_annotation(raw))
        except Misread as error:
            raise error.within(f".annotations[{at}]") from None
    if not texts:
        texts = [TextBlock("")]
        blocks += texts
    texts[0].citations = tuple(found)


def read_calls(message: Message) -> list[ToolCallBlock]:
    """The entries of `tool_calls`. Raises Misread."""
    found: list[ToolCallBlock] = []
    for at, raw in enumerate(message.tool_calls or ()):
        try:
            found.append(read_call(raw))
        except Misread as error:
            raise error.within(f".tool_calls[{at}]") from None
    return found


def _read_audio_id(raw: msgspec.Raw) -> tuple[_AudioId, Ext]:
    try:
        return _AUDIO_ID.read(raw)
    except Misread as error:
        raise error.within(".audio") from None

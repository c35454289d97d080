"""The parts of an answer, whole or as they come, as blocks: each part goes on with a block or begins one."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from headworks.errors import UpstreamError
from headworks.formats.gemini.partial_args import Arguments, PartialArg
from headworks.formats.gemini.signatures import made_id, marked, signed_id
from headworks.formats.neutral import (
    AudioBlock,
    Block,
    Closed,
    Event,
    FileBlock,
    Grown,
    ImageBlock,
    OpaqueBlock,
    Opened,
    Signed,
    Source,
    TextBlock,
    ThinkingBlock,
    ToolCallBlock,
)
from headworks.formats.unmapped import Reading

_NOTHING = msgspec.Raw(b"null")
_NO_KIND = frozenset(("thought", "thoughtSignature", "partMetadata", "text"))


class _Blob(msgspec.Struct, rename="camel", gc=False):
    mime_type: str = ""
    data: str = ""
    display_name: str | None = None


class _Call(msgspec.Struct, rename="camel"):
    name: str | None = None
    id: str | None = None
    args: msgspec.Raw = msgspec.Raw(b"null")
    partial_args: list[PartialArg] | None = None
    will_continue: bool | None = None


class _Part(msgspec.Struct, rename="camel"):
    text: str | None = None
    thought: bool | None = None
    thought_signature: str | None = None
    function_call: _Call | None = None
    inline_data: _Blob | None = None
    # What only says more of what stands beside it.
    audio_metadata: msgspec.Raw = _NOTHING
    document_metadata: msgspec.Raw = _NOTHING
    media_processing: msgspec.Raw = _NOTHING
    part_metadata: msgspec.Raw = _NOTHING
    speech_metadata: msgspec.Raw = _NOTHING
    spreadsheet_metadata: msgspec.Raw = _NOTHING
    # What stands alone, as an OpaqueBlock.
    code_execution_result: msgspec.Raw = _NOTHING
    executable_code: msgspec.Raw = _NOTHING
    file_data: msgspec.Raw = _NOTHING
    function_response: msgspec.Raw = _NOTHING
    media_resolution: msgspec.Raw = _NOTHING
    tool_call: msgspec.Raw = _NOTHING
    tool_response: msgspec.Raw = _NOTHING
    video_metadata: msgspec.Raw = _NOTHING


_decode: Reading[_Part] = Reading("gemini", _Part, "candidates.content.parts")
_members = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode


class Blocks:
    """The blocks of one answer. Texts in a row are one block, and so are thoughts; all else stands alone."""

    __slots__ = ("_arguments", "_next", "_open", "_texts", "calls")

    def __init__(self) -> None:
        self.calls = 0
        self._texts: list[str] = []
        self._next = 0
        self._open: type[TextBlock | ThinkingBlock | ToolCallBlock] | None = None
        self._arguments: Arguments | None = None

    @property
    def open_text(self) -> tuple[int, str] | None:
        """The text block that may still grow: its index, and what it says so far."""
        return (self._next - 1, "".join(self._texts)) if self._open is TextBlock else None

    @property
    def has_open_call(self) -> bool:
        """Whether the rest of a call's arguments is still to come."""
        return self._open is ToolCallBlock

    def read(self, raw: msgspec.Raw, response_id: str) -> Iterator[Event]:
        """The events that one part makes. Raises msgspec.DecodeError, UpstreamError."""
        part = _decode(raw)
        if part.function_call is not None:
            yield from self._call(part.function_call, part.thought_signature, response_id)
        elif part.inline_data is not None:
            yield from self._alone(_media(part.inline_data), part.thought_signature)
        elif part.text is None and (kind := next((name for name in _members(raw) if name not in _NO_KIND), "")):
            yield from self._alone(OpaqueBlock("gemini", kind, raw), None)
        elif part.thought:
            yield from self._thought(part.text or "", part.thought_signature)
        else:
            yield from self._text(part.text or "", part.thought_signature)

    def close(self) -> Iterator[Event]:
        """The end of the block that is open, if one is."""
        if self._open is not None:
            self._open = None
            yield Closed(self._next - 1)

    def _begin(self, block: Block) -> Iterator[Event]:
        yield from self.close()
        yield Opened(self._next, block)
        self._next += 1

    def _alone(self, block: Block, signature: str | None) -> Iterator[Event]:
        yield from self._begin(block)
        yield Closed(self._next - 1)
        yield from self._signature(signature)

    def _text(self, text: str, signature: str | None) -> Iterator[Event]:
        if text:
            if self._open is not TextBlock:
                yield from self._begin(TextBlock(""))
                self._open = TextBlock
                self._texts = []
            self._texts.append(text)
            yield Grown(self._next - 1, text)
        yield from self._signature(signature)

    def _thought(self, text: str, signature: str | None) -> Iterator[Event]:
        if text:
            if self._open is not ThinkingBlock:
                yield from self._begin(ThinkingBlock(origin="gemini"))
                self._open = ThinkingBlock
            yield Grown(self._next - 1, text)
        if signature and self._open is ThinkingBlock:
            yield Signed(self._next - 1, marked(signature))
            yield from self.close()
        else:
            yield from self._signature(signature)

    def _signature(self, signature: str | None) -> Iterator[Event]:
        """What signs something that is no thought and no call, as a thought without words."""
        if signature:
            yield from self._begin(ThinkingBlock(origin="gemini"))
            yield Signed(self._next - 1, marked(signature))
            yield Closed(self._next - 1)

    def _call(self, call: _Call, signature: str | None, response_id: str) -> Iterator[Event]:
        if self._arguments is not None and not call.name:
            yield from self._go_on(self._arguments, call)
            return
        if not call.name:
            raise UpstreamError("The provider called a tool without naming it.")
        own_id = call.id or made_id(response_id, self.calls)
        self.calls += 1
        yield from self._begin(ToolCallBlock(signed_id(own_id, signature), call.name, b""))
        if call.will_continue or call.partial_args:
            self._open, self._arguments = ToolCallBlock, Arguments()
            yield from self._go_on(self._arguments, call)
            return
        yield Grown(self._next - 1, _whole(call.args))
        yield Closed(self._next - 1)

    def _go_on(self, arguments: Arguments, call: _Call) -> Iterator[Event]:
        """More of the arguments; they are told once they are whole, because their text is not known before."""
        for piece in call.partial_args or ():
            arguments.add(piece)
        if not call.will_continue:
            yield Grown(self._next - 1, arguments.text())
            self._arguments = None
            yield from self.close()


def _whole(args: msgspec.Raw) -> str:
    text = bytes(args).decode()
    if text == "null":
        return "{}"
    if not text.startswith("{"):
        raise UpstreamError("The provider called a tool with arguments that are no JSON object.")
    return text


def _media(blob: _Blob) -> Block:
    source = Source(media_type=blob.mime_type or None, data=blob.data)
    family, _, encoding = blob.mime_type.partition("/")
    if family == "image":
        return ImageBlock(source)
    if family == "audio":
        return AudioBlock(source, encoding=encoding or None)
    return FileBlock(source, name=blob.display_name)

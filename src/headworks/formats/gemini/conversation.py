"""The turns of a request as Gemini's contents."""

from __future__ import annotations

import msgspec

from headworks.formats.gemini.fields import Wording
from headworks.formats.gemini.media import placed
from headworks.formats.gemini.shapes import Content, FunctionCall, FunctionResponse, MediaPart, Part
from headworks.formats.gemini.signatures import ANY_SIGNATURE, split_id, unmarked
from headworks.formats.neutral import (
    AudioBlock,
    Block,
    FileBlock,
    ImageBlock,
    OpaqueBlock,
    TextBlock,
    ThinkingBlock,
    ToolCallBlock,
    ToolResultBlock,
    Turn,
)

_Common = TextBlock | ImageBlock | AudioBlock | FileBlock | ToolCallBlock | ToolResultBlock

_object = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode


class Conversation:
    """The turns so far. Google wants the calls of one answer in one turn, and so their results."""

    def __init__(self, wording: Wording) -> None:
        self.system: list[Part | msgspec.Raw] = []
        self.contents: list[Content] = []
        self._wording = wording
        self._tools: dict[str, str] = {}

    def add(self, number: int, turn: Turn) -> None:
        """One more turn. Raises Unmapped or InvalidRequest that names what can't be said."""
        place = self._wording.turn(number)
        if turn.name is not None:
            self._wording.leave_out(f"{place}.name")
        self._wording.settle_at(place, turn.ext)
        if turn.role in {"system", "developer"}:
            self._add_system(turn, place)
            return
        inside = f"{place}.content"
        parts = [part for block in turn.blocks if (part := self._part(block, inside)) is not None]
        if parts:
            self._append(Content(parts, "model" if turn.role == "assistant" else "user"))

    def sign_foreign_calls(self) -> None:
        """The first call of each turn gets the signature for calls of other models, where none of them has one."""
        for content in self.contents:
            calls = [part for part in content.parts if isinstance(part, Part) and part.function_call]
            if calls and not any(part.thought_signature for part in calls):
                calls[0].thought_signature = ANY_SIGNATURE

    def _append(self, content: Content) -> None:
        last = self.contents[-1] if self.contents else None
        if last is None or last.role != content.role:
            self.contents.append(content)
        elif content.role == "model" or (_is_result(last.parts[-1]) and _is_result(content.parts[0])):
            last.parts += content.parts
        else:
            self.contents.append(content)

    def _add_system(self, turn: Turn, place: str) -> None:
        """There is one instruction, before all turns."""
        if self.contents:
            raise self._wording.refuse(place, "its system instruction stands before the conversation, never inside")
        for block in turn.blocks:
            if not isinstance(block, TextBlock):
                raise self._wording.refuse(place, "its system instruction is text")
            self.system.append(self._text(block, place))

    def _part(self, block: Block, place: str) -> Part | msgspec.Raw | None:
        match block:
            case TextBlock():
                return self._text(block, place)
            case ToolCallBlock():
                return self._call(block, place)
            case ToolResultBlock():
                return self._result(block, place)
            case ThinkingBlock():
                return self._thought(block, place)
            case OpaqueBlock():
                if block.origin == "gemini":
                    return block.raw
                raise self._wording.refuse(place, f"it knows no `{block.kind}`")
            case _:
                return self._media(block, place)

    def _settle(self, block: _Common, at: str) -> None:
        if block.cache is not None:
            self._wording.leave_out(f"{at}.cache_control")
        if block.ext:
            self._wording.settle_at(at, block.ext)

    def _text(self, block: TextBlock, place: str) -> Part:
        self._settle(block, place)
        if block.citations:
            self._wording.leave_out(f"{place}.citations")
        return Part(text=block.text)

    def _media(self, block: ImageBlock | AudioBlock | FileBlock, place: str) -> Part:
        self._settle(block, place)
        if isinstance(block, FileBlock) and block.text is not None:
            return Part(text=block.text)
        inline, elsewhere = placed(block, place, self._wording)
        return Part(inline_data=inline, file_data=elsewhere)

    def _thought(self, block: ThinkingBlock, place: str) -> Part | None:
        """Gemini's own thoughts go back to it; another model's are no part of the conversation."""
        signature = unmarked(block.signature, is_ours=block.origin == "gemini")
        if signature is None and block.origin != "gemini":
            self._wording.leave_out(f"{place}.thinking")
            return None
        text = block.text or "\n\n".join(block.summary)
        return Part(text=text, thought=True if text else None, thought_signature=signature)

    def _call(self, block: ToolCallBlock, place: str) -> Part:
        self._settle(block, place)
        if block.is_custom:
            raise self._wording.refuse(place, "it has no calls of custom tools")
        own_id, signature = split_id(block.id)
        self._tools[own_id] = block.name
        call = FunctionCall(block.name, self._arguments(block, place), own_id or None)
        return Part(function_call=call, thought_signature=block.signature or signature)

    def _arguments(self, block: ToolCallBlock, place: str) -> msgspec.Raw:
        text = block.arguments.strip() or b"{}"
        try:
            _object(text)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            raise self._wording.wrong(
                place, f"holds a call of `{block.name}` whose arguments are no JSON object"
            ) from None
        return msgspec.Raw(text)

    def _result(self, block: ToolResultBlock, place: str) -> Part:
        self._settle(block, place)
        if block.is_custom:
            raise self._wording.refuse(place, "it has no results of custom tools")
        own_id, _ = split_id(block.id)
        name = block.name or self._tools.get(own_id)
        if name is None:
            raise self._wording.wrong(place, "answers a tool call that no earlier message has made")
        texts, media = self._said(block, place)
        output = texts[0] if len(texts) == 1 else texts or ""
        response = {"error" if block.is_error else "output": output}
        return Part(function_response=FunctionResponse(name, response, own_id or None, media or None))

    def _said(self, block: ToolResultBlock, place: str) -> tuple[list[str], list[MediaPart]]:
        """What a tool gave, as texts and as media."""
        texts: list[str] = []
        media: list[MediaPart] = []
        for piece in block.content:
            match piece:
                case TextBlock():
                    texts.append(self._text(piece, place).text or "")
                case ImageBlock() | AudioBlock() | FileBlock():
                    part = self._media(piece, place)
                    if part.text is not None:
                        texts.append(part.text)
                    else:
                        media.append(MediaPart(part.inline_data, part.file_data))
                case _:
                    raise self._wording.refuse(place, "a tool's result is text, pictures or files")
        return texts, media


def _is_result(part: Part | msgspec.Raw) -> bool:
    return isinstance(part, Part) and part.function_response is not None

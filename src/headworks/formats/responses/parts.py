"""Parts of a message's content, and of a tool's output: texts, refusals, images, files, sound."""

from __future__ import annotations

import re
from collections.abc import Callable

import msgspec
from msgspec import UNSET, UnsetType

from headworks.errors import Unmapped
from headworks.formats.neutral import (
    AudioBlock,
    Block,
    Cache,
    Citation,
    Ext,
    FileBlock,
    ImageBlock,
    OpaqueBlock,
    Source,
    TextBlock,
)
from headworks.formats.responses.citations import read_annotation, write_annotation
from headworks.formats.responses.members import (
    MARK,
    UNREADABLE,
    Misread,
    Shape,
    given,
    is_null,
    put_back,
    raw_of,
    same,
    text_of,
)

_KIND_SHAPE = "~type"
"""The part's type, where another was to be expected from the role."""
_BARE_SHAPE = "~bare"
"""An `output_text` without `annotations`."""
_BREAKPOINT = {"mode": "explicit"}
_DATA_URL = re.compile(r"data:([^;,]+);base64,([A-Za-z0-9+/=_-]*)", re.ASCII)

INPUT, OUTPUT, REFUSAL = "input_text", "output_text", "refusal"


class _Kind(msgspec.Struct, gc=False):
    type: str


class _Text(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    type: str
    text: str
    annotations: list[msgspec.Raw] | UnsetType = UNSET
    prompt_cache_breakpoint: msgspec.Raw | UnsetType = UNSET


class _Refusal(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    type: str
    refusal: str


class _Image(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    type: str
    image_url: str | UnsetType = UNSET
    file_id: str | UnsetType = UNSET
    detail: str | UnsetType = UNSET
    prompt_cache_breakpoint: msgspec.Raw | UnsetType = UNSET


class _File(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    type: str
    file_data: str | UnsetType = UNSET
    file_url: str | UnsetType = UNSET
    file_id: str | UnsetType = UNSET
    filename: str | UnsetType = UNSET
    prompt_cache_breakpoint: msgspec.Raw | UnsetType = UNSET


class _Sound(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    data: str
    format: str


class _Audio(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    type: str
    input_audio: _Sound


_kind = msgspec.json.Decoder(_Kind).decode
_text, _refusal, _audio = Shape(_Text), Shape(_Refusal), Shape(_Audio)
_image, _file = Shape(_Image), Shape(_File)


def read_part(raw: msgspec.Raw, usual: str) -> Block:
    """One part; `usual` is the type of a text in this place. Raises Misread."""
    try:
        kind = _kind(raw).type
    except UNREADABLE as error:
        raise Misread.of(error) from None
    read = _READERS.get(kind)
    block = read(raw) if read is not None else None
    if block is None:
        return OpaqueBlock("responses", kind, raw)
    if isinstance(block, TextBlock) and kind not in {usual, REFUSAL}:
        block.ext[_KIND_SHAPE] = raw_of(kind)
    return block


def _read_text(raw: msgspec.Raw) -> Block:
    said, ext = _text.read(raw)
    citations: list[Citation] = []
    for at, each in enumerate(given(said.annotations) or ()):
        try:
            citations.append(read_annotation(each))
        except Misread as error:
            raise error.within(f".annotations[{at}]") from None
    if said.type == OUTPUT and said.annotations is UNSET:
        ext[_BARE_SHAPE] = MARK
    elif said.type != OUTPUT and said.annotations is not UNSET:
        ext["annotations"] = raw_of(said.annotations)
        citations = []
    cache = _read_cache(said.prompt_cache_breakpoint, ext)
    return TextBlock(said.text, citations=tuple(citations), cache=cache, ext=ext)


def _read_refusal(raw: msgspec.Raw) -> Block:
    said, ext = _refusal.read(raw)
    return TextBlock(said.refusal, is_refusal=True, ext=ext)


def _read_image(raw: msgspec.Raw) -> Block | None:
    said, ext = _image.read(raw)
    if (said.image_url is UNSET) == (said.file_id is UNSET):
        return None
    cache = _read_cache(said.prompt_cache_breakpoint, ext)
    source = _read_source(None, given(said.image_url), given(said.file_id))
    return ImageBlock(source, given(said.detail), cache, ext)


def _read_file(raw: msgspec.Raw) -> Block | None:
    said, ext = _file.read(raw)
    if sum(each is not UNSET for each in (said.file_data, said.file_url, said.file_id)) != 1:
        return None
    cache = _read_cache(said.prompt_cache_breakpoint, ext)
    source = _read_source(given(said.file_data), given(said.file_url), given(said.file_id))
    return FileBlock(source, given(said.filename), cache=cache, ext=ext)


def _read_audio(raw: msgspec.Raw) -> Block | None:
    said, ext = _audio.read(raw)
    return AudioBlock(Source(data=said.input_audio.data), said.input_audio.format, ext=ext)


_READERS: dict[str, Callable[[msgspec.Raw], Block | None]] = {
    INPUT: _read_text,
    OUTPUT: _read_text,
    REFUSAL: _read_refusal,
    "input_image": _read_image,
    "input_file": _read_file,
    "input_audio": _read_audio,
}


def _read_source(data: str | None, url: str | None, file_id: str | None) -> Source:
    found = _DATA_URL.fullmatch(data or url or "")
    if found is not None:
        return Source(media_type=found[1], data=found[2])
    return Source(data=data, url=url, file_id=file_id)


def _read_cache(raw: msgspec.Raw | UnsetType, ext: Ext) -> Cache | None:
    """A breakpoint; what it says beyond that it is one stays beside, as a hint."""
    if raw is UNSET:
        return None
    if is_null(raw):
        ext["prompt_cache_breakpoint"] = raw
        return None
    if not same(raw, _BREAKPOINT):
        ext["prompt_cache_breakpoint"] = raw
    return Cache()


class PartWriter:
    """Blocks as parts. `is_own`: they were read from this format. `left_out` gathers the hints that have no word."""

    def __init__(self, *, is_own: bool, left_out: set[str]) -> None:
        self.is_own = is_own
        self.left_out = left_out

    def write(self, block: Block, usual: str) -> object:
        """One part, a text as the type `usual`. Raises Unmapped."""
        match block:
            case TextBlock():
                written = self._text(block, usual)
            case ImageBlock():
                written = _written_image(block, is_own=self.is_own)
            case FileBlock():
                written = self._file(block)
            case AudioBlock() if self.is_own:
                sound = {"data": block.source.data, "format": block.encoding}
                written = {"type": "input_audio", "input_audio": sound}
            case OpaqueBlock() if block.origin == "responses":
                return block.raw
            case _:
                kind = (
                    block.kind if isinstance(block, OpaqueBlock) else type(block).__name__.removesuffix("Block").lower()
                )
                raise Unmapped(f"Responses has no word for `{kind}` in this place.", param=kind)
        if block.cache is not None:
            written["prompt_cache_breakpoint"] = _BREAKPOINT
            if block.cache.lifetime is not None:
                self.left_out.add("cache_control.ttl")
        if not self.is_own:
            return written
        return put_back(written, {name: raw for name, raw in block.ext.items() if not name.startswith("message.")})

    def _text(self, block: TextBlock, usual: str) -> dict[str, object]:
        if block.is_refusal:
            return {"type": REFUSAL, "refusal": block.text}
        kind = text_of(block.ext[_KIND_SHAPE]) if _KIND_SHAPE in block.ext else usual
        written: dict[str, object] = {"type": kind, "text": block.text}
        if kind == OUTPUT and _BARE_SHAPE not in block.ext:
            size = len(block.text)
            cited = [write_annotation(each, is_own=self.is_own, text_length=size) for each in block.citations]
            written["annotations"] = cited
        elif block.citations:
            self.left_out.add("citations")
        return written

    def _file(self, block: FileBlock) -> dict[str, object]:
        if block.wants_citations:
            raise Unmapped("Responses can't cite from a document that is sent along.", param="citations")
        if block.context is not None:
            raise Unmapped("Responses has no word for the context of a document.", param="context")
        written: dict[str, object] = {"type": "input_file"}
        if block.name is not None:
            written["filename"] = block.name
        if block.text is not None:
            return {"type": INPUT, "text": block.text if block.name is None else f"{block.name}\n\n{block.text}"}
        source = block.source
        if source.data is not None:
            written["file_data"] = _data_url(source)
            if not self.is_own:
                written.setdefault("filename", _file_name(source))
        elif source.url is not None:
            written["file_url"] = source.url
        else:
            written["file_id"] = source.file_id
        return written


def unmapped(block: Block) -> Unmapped:
    """For a block that has no word where it stands."""
    kind = block.kind if isinstance(block, OpaqueBlock) else type(block).__name__.removesuffix("Block").lower()
    return Unmapped(f"Responses has no word for `{kind}` in this place.", param=kind)


def _written_image(block: ImageBlock, *, is_own: bool) -> dict[str, object]:
    written: dict[str, object] = {"type": "input_image"}
    source = block.source
    if source.file_id is not None:
        written["file_id"] = source.file_id
    else:
        written["image_url"] = source.url if source.data is None else _data_url(source)
    if block.detail is not None:
        written["detail"] = block.detail
    elif not is_own:
        written["detail"] = "auto"
    return written


def _data_url(source: Source) -> str:
    return source.data or "" if source.media_type is None else f"data:{source.media_type};base64,{source.data}"


def _file_name(source: Source) -> str:
    """A provider wants a name to tell the type by."""
    ending = (source.media_type or "application/pdf").partition("/")[2]
    return f"document.{'txt' if ending == 'plain' else ending}"

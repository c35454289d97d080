"""Parts of a message's content: text, images, sound, files, refusals; read, and written."""

from __future__ import annotations

from typing import Any

import msgspec

from headworks.formats.chat.citations import write_annotation
from headworks.formats.chat.members import NO_RAW, Misread, Shape, is_null, is_said_null, kind_of, under
from headworks.formats.chat.saying import MARK, Saying
from headworks.formats.neutral import (
    AudioBlock,
    Block,
    Cache,
    Ext,
    FileBlock,
    ImageBlock,
    OpaqueBlock,
    Source,
    TextBlock,
    ThinkingBlock,
)

_ENCODINGS = {"wav": "audio/wav", "mp3": "audio/mpeg"}
_MEDIA = {"audio/wav": "wav", "audio/x-wav": "wav", "audio/mpeg": "mp3", "audio/mp3": "mp3"}
_BREAKPOINT = msgspec.Raw(b'{"mode":"explicit"}')


class _Part(msgspec.Struct, forbid_unknown_fields=True, tag_field="type", kw_only=True):
    cache_control: msgspec.Raw = NO_RAW
    prompt_cache_breakpoint: msgspec.Raw = NO_RAW


class _Text(_Part, tag="text"):
    text: str


class _Refusal(_Part, tag="refusal"):
    refusal: str


class _Image(_Part, tag="image_url"):
    image_url: msgspec.Raw


class _Audio(_Part, tag="input_audio"):
    input_audio: msgspec.Raw


class _File(_Part, tag="file"):
    file: msgspec.Raw


class _ImageUrl(msgspec.Struct, gc=False, forbid_unknown_fields=True):
    url: str
    detail: str | None = None


class _InputAudio(msgspec.Struct, gc=False, forbid_unknown_fields=True):
    data: str
    format: str


class _FileObject(msgspec.Struct, gc=False, forbid_unknown_fields=True):
    file_data: str | None = None
    file_id: str | None = None
    filename: str | None = None


class _CacheControl(msgspec.Struct, gc=False, forbid_unknown_fields=True):
    type: str
    ttl: str | None = None


_Known = _Text | _Refusal | _Image | _Audio | _File
_known = msgspec.json.Decoder(_Known).decode
_SHAPES: dict[str, Shape[Any]] = {
    "text": Shape(_Text),
    "refusal": Shape(_Refusal),
    "image_url": Shape(_Image),
    "input_audio": Shape(_Audio),
    "file": Shape(_File),
}
_IMAGE_URL, _INPUT_AUDIO, _FILE = Shape(_ImageUrl), Shape(_InputAudio), Shape(_FileObject)
_CACHE_CONTROL = Shape(_CacheControl)
_CACHES = {None: Cache(), "5m": Cache("5m"), "1h": Cache("1h")}


def read_part(raw: msgspec.Raw) -> Block:
    """One part; a type that we don't know stays as it stood. Raises Misread."""
    try:
        part = _known(raw)
    except msgspec.ValidationError:
        return _read_unusual(raw)
    if is_said_null(part.cache_control) or is_said_null(part.prompt_cache_breakpoint):
        return _read_unusual(raw)
    return _block(part, {})


def _read_unusual(raw: msgspec.Raw) -> Block:
    """Another type, or a member that we don't know."""
    kind = kind_of(raw)
    shape = _SHAPES.get(kind)
    if shape is None:
        return OpaqueBlock("chat", kind, raw)
    part, rest = shape.read(raw)
    return _block(part, rest)


def read_cache(raw: msgspec.Raw, ext: Ext) -> Cache | None:
    """A `cache_control` marker; one that says more than its lifetime goes into the bag."""
    if is_null(raw):
        return None
    try:
        found, rest = _CACHE_CONTROL.read(raw)
    except Misread as error:
        raise error.within(".cache_control") from None
    cache = _CACHES.get(found.ttl)
    if rest or cache is None or found.type != "ephemeral":
        ext["cache_control"] = raw
        return None
    return cache


def write_cache(cache: Cache) -> dict[str, object]:
    """`cache_control`, as those write it who translate Chat Completions for Anthropic."""
    return {"type": "ephemeral"} if cache.lifetime is None else {"type": "ephemeral", "ttl": cache.lifetime}


def _block(part: _Known, ext: Ext) -> Block:
    cache = read_cache(part.cache_control, ext)
    if not is_null(part.prompt_cache_breakpoint):
        ext["~prompt_cache_breakpoint"] = part.prompt_cache_breakpoint
        if cache is not None:
            ext["~cache_control"] = MARK
        cache = cache or Cache()
    match part:
        case _Text():
            return TextBlock(part.text, cache=cache, ext=ext)
        case _Refusal():
            return TextBlock(part.refusal, is_refusal=True, cache=cache, ext={**ext, "~part": MARK})
        case _Image():
            url, rest = _inside(_IMAGE_URL, part.image_url, "image_url")
            return ImageBlock(_source(url.url), url.detail, cache, ext | rest)
        case _Audio():
            sound, rest = _inside(_INPUT_AUDIO, part.input_audio, "input_audio")
            source = Source(_ENCODINGS.get(sound.format, f"audio/{sound.format}"), data=sound.data)
            return AudioBlock(source, sound.format, cache, ext | rest)
        case _File():
            file, rest = _inside(_FILE, part.file, "file")
            return FileBlock(_file_source(file), file.filename, cache=cache, ext=ext | rest)


def _inside(shape: Shape[Any], raw: msgspec.Raw, name: str) -> tuple[Any, Ext]:
    try:
        found, rest = shape.read(raw)
    except Misread as error:
        raise error.within(f".{name}") from None
    return found, under(name, rest)


def _source(url: str) -> Source:
    """A data URL in base64 is data; everything else stays a URL."""
    if url.startswith("data:"):
        head, comma, data = url.partition(",")
        if comma and head.endswith(";base64") and ";" not in head[5:-7]:
            return Source(head[5:-7], data=data)
    return Source(url=url)


def _file_source(file: _FileObject) -> Source:
    said = file.file_data
    if said is None:
        if file.file_id is None:
            raise Misread("needs `file_data` or `file_id`", ".file", "missing_field")
        return Source(file_id=file.file_id)
    if said.startswith(("data:", "https://", "http://")):
        found = _source(said)
        return msgspec.structs.replace(found, file_id=file.file_id) if file.file_id is not None else found
    return Source(data=said, file_id=file.file_id)


def write_part(block: Block, saying: Saying, at: str) -> object:
    """One part. Raises Unmapped; `at` is its place as the caller would write it."""
    if isinstance(block, OpaqueBlock):
        if block.origin != "chat":
            raise saying.refused(f"{at}.{block.kind}")
        return block.raw
    part = _part(block, saying, at)
    if not isinstance(block, ThinkingBlock) and block.cache is not None:
        _mark(part, block.cache, block.ext, saying)
    saying.bag(part, block.ext, at)
    return part


def _part(block: Block, saying: Saying, at: str) -> dict[str, object]:
    match block:
        case TextBlock(is_refusal=True):
            return {"type": "refusal", "refusal": block.text}
        case TextBlock():
            return {"type": "text", "text": block.text}
        case ImageBlock():
            url: dict[str, object] = {"url": _url(block.source, saying, at)}
            if block.detail is not None:
                url["detail"] = block.detail
            return {"type": "image_url", "image_url": url}
        case AudioBlock():
            return {"type": "input_audio", "input_audio": _sound(block, saying, at)}
        case FileBlock():
            return _file(block, saying, at)
        case _:
            raise saying.refused(at, "it can't stand there")


def _mark(part: dict[str, object], cache: Cache, ext: Ext, saying: Saying) -> None:
    """The cache marker, as it was written, or as the target is known to read it."""
    if saying.is_own and "~prompt_cache_breakpoint" in ext:
        part["prompt_cache_breakpoint"] = ext["~prompt_cache_breakpoint"]
        if "~cache_control" in ext:
            part["cache_control"] = write_cache(cache)
    elif saying.is_own or "cache_control" in saying.accepts:
        part["cache_control"] = write_cache(cache)
    elif "prompt_cache_breakpoint" in saying.accepts:
        part["prompt_cache_breakpoint"] = _BREAKPOINT
    else:
        saying.leave_out("cache_control")


def _url(source: Source, saying: Saying, at: str) -> str:
    if source.url is not None:
        return source.url
    if source.data is None:
        raise saying.refused(f"{at}.source.file_id", "a picture needs its data or a URL")
    return f"data:{source.media_type or ''};base64,{source.data}"


def _sound(block: AudioBlock, saying: Saying, at: str) -> dict[str, object]:
    if block.source.data is None:
        raise saying.refused(f"{at}.source", "sound is sent as data")
    encoding = _MEDIA.get(block.source.media_type or "") if block.encoding is None else block.encoding
    if encoding is None:
        raise saying.refused(f"{at}.source.media_type", f"`{block.source.media_type}` is not known")
    return {"data": block.source.data, "format": encoding}


def _file(block: FileBlock, saying: Saying, at: str) -> dict[str, object]:
    if block.wants_citations:
        raise saying.refused(f"{at}.citations", "the model is not asked to cite")
    source = block.source
    if block.text is not None:
        for name, said in (("title", block.name), ("context", block.context)):
            if said is not None:
                saying.leave_out(f"{at}.{name}")
        return {"type": "text", "text": block.text}
    if block.context is not None:
        raise saying.refused(f"{at}.context")
    _check_source(source, saying, at)
    file: dict[str, object] = {}
    if source.url is not None:
        file["file_data"] = source.url
    elif source.data is not None:
        bare = source.media_type is None
        file["file_data"] = source.data if bare else f"data:{source.media_type};base64,{source.data}"
    if source.file_id is not None:
        file["file_id"] = source.file_id
    if block.name is not None:
        file["filename"] = block.name
    return {"type": "file", "file": file}


def _check_source(source: Source, saying: Saying, at: str) -> None:
    if source.file_id is not None and not saying.is_own and saying.origin != "responses":
        raise saying.refused(f"{at}.source.file_id", "the file lies with another provider")
    if source.url is not None and not saying.is_own:
        raise saying.refused(f"{at}.source.url", "a file is sent as data")
    if source.url is None and source.data is None and source.file_id is None:
        raise saying.refused(f"{at}.source", "it is empty")


def written_annotations(texts: list[TextBlock]) -> list[object]:
    """The annotations of a message whose content is these texts, one after the other."""
    found: list[object] = []
    at = 0
    for block in texts:
        found += [write_annotation(citation, at, len(block.text)) for citation in block.citations]
        at += len(block.text)
    return found

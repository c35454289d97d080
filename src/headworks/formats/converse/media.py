"""Pictures, sound and documents: their formats, and where their bytes stand."""

from __future__ import annotations

import re

from headworks.formats.converse.pen import Pen
from headworks.formats.neutral import AudioBlock, FileBlock, ImageBlock, Source

_PICTURES = {"image/png": "png", "image/jpeg": "jpeg", "image/jpg": "jpeg", "image/gif": "gif", "image/webp": "webp"}
_SOUNDS = frozenset(
    "mp3 opus wav aac flac mp4 ogg mkv mka x-aac m4a mpeg mpga pcm webm".split()  # noqa: SIM905 -- reads better
)
_SOUND_TYPES = {
    "audio/x-wav": "wav",
    "audio/wave": "wav",
    "audio/mpeg": "mp3",
    "audio/x-m4a": "m4a",
    "audio/L16": "pcm",
}
_DOCUMENTS = {
    "application/pdf": "pdf",
    "text/csv": "csv",
    "application/msword": "doc",
    "application/vnd.openxmlformats-officedocument.wordprocessingml.document": "docx",
    "application/vnd.ms-excel": "xls",
    "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet": "xlsx",
    "text/html": "html",
    "text/plain": "txt",
    "text/markdown": "md",
}
_OUTSIDE = re.compile(r"[^A-Za-z0-9\s()\[\]-]+|\s{2,}")
_LONGEST_NAME = 200
_ROOM_FOR_A_NUMBER = 8


def image(pen: Pen, block: ImageBlock, at: str) -> dict[str, object]:
    """The inside of an image block."""
    if block.detail not in {None, "auto"}:
        pen.leave_out(f"{at}.detail")
    source = _plain(block.source)
    kind = _PICTURES.get((source.media_type or "").lower()) or _ending(source.url, frozenset(_PICTURES.values()))
    if kind is None:
        pen.refuse(at, _says_no_kind(source, "PNG, JPEG, GIF and WebP pictures"))
    return {"format": kind, "source": _source(pen, source, at)}


def audio(pen: Pen, block: AudioBlock, at: str) -> dict[str, object]:
    """The inside of an audio block."""
    source = _plain(block.source)
    named = (source.media_type or "").lower()
    kind = block.encoding or _SOUND_TYPES.get(named) or named.removeprefix("audio/") or _ending(source.url, _SOUNDS)
    if kind not in _SOUNDS:
        pen.refuse(at, _says_no_kind(source, "sound as WAV, MP3, FLAC and the like"))
    return {"format": kind, "source": _source(pen, source, at)}


def document(pen: Pen, block: FileBlock, at: str) -> dict[str, object]:
    """The inside of a document block. Bedrock wants a name, of few characters and none twice."""
    source = _plain(block.source)
    kinds = frozenset(_DOCUMENTS.values())
    kind = _DOCUMENTS.get((source.media_type or "").lower()) or _ending(block.name or source.url, kinds)
    if block.text is not None:
        said: dict[str, object] = {"format": kind or "txt", "source": {"text": block.text}}
    elif kind is None:
        pen.refuse(at, _says_no_kind(source, "documents as PDF, Office, HTML, CSV and text"))
    else:
        said = {"format": kind, "source": _source(pen, source, at)}
    said["name"] = _name(pen, block.name)
    if block.context is not None:
        said["context"] = block.context
    if block.wants_citations is not None:
        said["citations"] = {"enabled": block.wants_citations}
    return said


def _source(pen: Pen, source: Source, at: str) -> dict[str, object]:
    if source.data is not None:
        return {"bytes": source.data}
    if source.url is not None and source.url.startswith("s3://"):
        return {"s3Location": {"uri": source.url}}
    if source.url is None:
        return pen.refuse(f"{at}.file_id", "the file lies with another provider")
    return pen.refuse(at, "it fetches nothing but S3 objects; send the bytes in base64")


def _plain(source: Source) -> Source:
    """With the bytes of a data URL taken out of it."""
    url = source.url
    if url is None or not url.startswith("data:"):
        return source
    head, _, data = url[len("data:") :].partition(",")
    kind, _, coding = head.partition(";")
    return Source(media_type=kind, data=data) if coding == "base64" else source


def _ending(name: str | None, kinds: frozenset[str]) -> str | None:
    end = (name or "").rpartition(".")[2].lower()
    end = {"jpg": "jpeg", "htm": "html", "markdown": "md"}.get(end, end)
    return end if end in kinds else None


def _says_no_kind(source: Source, takes: str) -> str:
    return f"it takes {takes}, and this is `{(source.media_type or 'of no stated type')[:60]}`"


def _name(pen: Pen, given: str | None) -> str:
    plain = _OUTSIDE.sub(" ", given or "").strip()[: _LONGEST_NAME - _ROOM_FOR_A_NUMBER].strip() or "document"
    plain = re.sub(r"\s+", " ", plain)
    name, number = plain, 1
    while name in pen.document_names:
        number += 1
        name = f"{plain} {number}"
    pen.document_names.add(name)
    return name

"""Pictures, sound and files of a request: in the request itself, or where Google can fetch them."""

from __future__ import annotations

import base64
import mimetypes
from urllib.parse import unquote_to_bytes, urlsplit

from headworks.formats.gemini.fields import Wording
from headworks.formats.gemini.shapes import Blob, FileData
from headworks.formats.neutral import AudioBlock, FileBlock, ImageBlock, Source

_FILES_API = "https://generativelanguage.googleapis.com/v1beta/"
_ENCODINGS = {"mp3": "audio/mpeg", "pcm16": "audio/L16"}

Media = ImageBlock | AudioBlock | FileBlock


def placed(block: Media, place: str, wording: Wording) -> tuple[Blob | None, FileData | None]:
    """The block as inline data, or as an address. Raises Unmapped for what Google could neither read nor reach."""
    _settle(block, place, wording)
    source, kind = _without_data_url(block.source), _media_type(block)
    if source.data is not None:
        kind = source.media_type or kind
        if kind is None:
            raise wording.refuse(place, "it must be told the media type of data")
        return Blob(kind, source.data), None
    if source.url is not None:
        return None, FileData(source.url, kind)
    if source.file_id is not None and source.file_id.startswith("files/"):
        return None, FileData(_FILES_API + source.file_id, kind)
    raise wording.refuse(place, "it can't reach a file that lies with another provider")


def _without_data_url(source: Source) -> Source:
    """A `data:` URL as the data that it is."""
    url = source.url or ""
    if url[:5].lower() != "data:":
        return source
    head, _, data = url[5:].partition(",")
    kind, *rest = head.split(";")
    if "base64" not in rest:
        data = base64.b64encode(unquote_to_bytes(data)).decode()
    return Source(media_type=source.media_type or kind or None, data=data)


def _settle(block: Media, place: str, wording: Wording) -> None:
    match block:
        case ImageBlock() if block.detail not in {None, "auto"}:
            wording.leave_out(f"{place}.detail")
        case FileBlock():
            if block.context is not None:
                raise wording.refuse(f"{place}.context", "it takes no words about a file")
            if block.wants_citations:
                raise wording.refuse(f"{place}.citations", "it does not cite files")
            if block.name is not None:
                wording.leave_out(f"{place}.name")


def _media_type(block: Media) -> str | None:
    """As given, else by the encoding of sound, else by the name's ending; None: Google finds out."""
    if block.source.media_type:
        return block.source.media_type
    if isinstance(block, AudioBlock) and block.encoding:
        return _ENCODINGS.get(block.encoding, f"audio/{block.encoding}")
    name = block.name if isinstance(block, FileBlock) else None
    try:
        path = name or urlsplit(block.source.url or "").path
    except ValueError:  # no address that we can read; Google says so
        return None
    return mimetypes.guess_type(path)[0] if path else None

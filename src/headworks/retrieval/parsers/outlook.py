"""Messages of Outlook (MSG): the text by kreuzberg, which reads every kind of body; what is attached by ourselves."""

from __future__ import annotations

from collections.abc import Iterator

from headworks.errors import DocumentUnreadable
from headworks.retrieval.parsers.building import TextBuilder, one_line
from headworks.retrieval.parsers.characters import decoded
from headworks.retrieval.parsers.compound import Storage, read_compound
from headworks.retrieval.parsers.html import read_into
from headworks.retrieval.parsers.messages import DEEPEST, Attached, Letter, names_of
from headworks.retrieval.parsers.office import binary

MEDIA_TYPE = "application/vnd.ms-outlook"
_ATTACHED = "__attach_version1.0_"
_STREAM = "__substg1.0_"
_NAMES = ("3707", "3704", "3001")
"""Properties: the long name of a file, the short one, the one that is shown."""
_CONTENT, _MESSAGE = f"{_STREAM}37010102", f"{_STREAM}3701000D"
_HEADERS = (("Subject", "0037"), ("From", "0C1A"), ("To", "0E04"), ("Cc", "0E03"))
_TEXT, _HTML = "1000", f"{_STREAM}10130102"


def read(name: str, data: bytes) -> Letter:
    """A message by the bytes of its file. Raises DocumentUnreadable."""
    attached = tuple(_attached(read_compound(data), depth=1))
    builder, title = binary.written(name, data, below_head=names_of(attached))
    return Letter(builder, title, MEDIA_TYPE, attached)


def _attached(message: Storage, depth: int) -> Iterator[Attached]:
    """What lies deeper than is read has a name only."""
    for key in sorted(each for each in message.storages if each.startswith(_ATTACHED)):
        found = message.storages[key]
        name = next(filter(None, (_text(found, each) for each in _NAMES)), "attachment")
        if (inner := found.storages.get(_MESSAGE)) is not None:
            letter = _letter(inner, depth) if depth <= DEEPEST else None
            yield Attached(_text(inner, "0037") or name, b"", letter)
        else:
            yield Attached(name, found.streams.get(_CONTENT, b""))


def _letter(message: Storage, depth: int) -> Letter:
    """A message so deep within a message, whose streams have no file of their own."""
    builder = TextBuilder()
    for header, number in _HEADERS:
        if value := _text(message, number):
            builder.block(f"{header}: {value}", separator="\n")
    attached = tuple(_attached(message, depth + 1))
    builder.block(names_of(attached), separator="\n")
    if text := _characters(message, _TEXT):
        builder.block(text)
    elif html := message.streams.get(_HTML):
        read_into(builder, html.decode("utf-8", "replace"))
    return Letter(builder, _text(message, "0037"), MEDIA_TYPE, attached)


def _text(storage: Storage, number: str) -> str:
    return one_line(_characters(storage, number))


def _characters(storage: Storage, number: str) -> str:
    """A property that is a text: of 16 bits to a character, or in some code page."""
    if (wide := storage.streams.get(f"{_STREAM}{number}001F")) is not None:
        return wide.decode("utf-16-le", "replace").rstrip("\0")
    try:
        return decoded(storage.streams.get(f"{_STREAM}{number}001E", b"").rstrip(b"\0"))
    except DocumentUnreadable:
        return ""

"""E-mail messages with what is attached to them: each attachment is a section of the message, under its file's name.

What can't be read of an attachment is left out and named in the document's metadata as `unread_attachments`; it never
fails the message. All of it has the limits of one file.
"""

from __future__ import annotations

from dataclasses import replace
from time import process_time

from headworks.errors import DocumentUnreadable
from headworks.retrieval.parsers import catalog, mail, outlook
from headworks.retrieval.parsers.building import TextBuilder, one_line
from headworks.retrieval.parsers.contract import ParsedDocument
from headworks.retrieval.parsers.messages import DEEPEST, Attached, Letter

_MOST_READ = 50
_MOST_CHARACTERS = 5_000_000
"""Of all attachments together: a message is never too large for what is attached to it."""
_MOST_CPU_S = 20.0
"""No further attachment is begun after so long."""
_MOST_NAMED = 200
_LONGEST_NAME = 200


def parse(name: str, data: bytes) -> ParsedDocument:
    """See contract.Parser; an EML file, or an MSG file by its extension."""
    letter = _read(name, data)
    builder = letter.builder
    reading = _Reading(builder)
    reading.add(letter, depth=1)
    found = builder.finish(name, letter.media_type, letter.title)
    return replace(found, metadata={"unread_attachments": reading.unread[:_MOST_NAMED]}) if reading.unread else found


def _read(name: str, data: bytes) -> Letter:
    return outlook.read(name, data) if catalog.extension_of(name) == ".msg" else mail.read(name, data)


class _Reading:
    """Adds attachments to a message's text, within limits for all of them together."""

    def __init__(self, builder: TextBuilder) -> None:
        self.unread: list[str] = []
        """Names of those that are not in the text, with the reason's code."""
        self._builder = builder
        self._left = _MOST_READ
        self._characters = _MOST_CHARACTERS
        self._until_s = process_time() + _MOST_CPU_S

    def add(self, letter: Letter, depth: int) -> None:
        """Everything that is attached to a message, as sections that lie so deep."""
        for each in letter.attached:
            try:
                self._add(each, depth)
            except DocumentUnreadable as error:
                self._leave_out(each, error.code)
            except (MemoryError, RecursionError):
                self._leave_out(each, "memory")
            except Exception:  # noqa: BLE001 -- a parser may fail in any way; the attachment is what is wrong
                self._leave_out(each, "corrupt")

    def _add(self, attached: Attached, depth: int) -> None:
        self._left -= 1
        if self._left < 0 or process_time() > self._until_s or depth > DEEPEST:
            raise DocumentUnreadable("There are more, or deeper, attachments than are read.", code="too_large")
        letter = self._inner(attached)
        found = None if letter is None else letter.builder.finish(attached.name, letter.media_type, letter.title)
        document = found or catalog.parse(attached.name, attached.data)
        self._characters -= len(document.text)
        if self._characters < 0:
            raise DocumentUnreadable("The attachments have more text than is read.", code="too_large")
        self._builder.heading(depth, attached.name)
        self._builder.enclose(document, depth)
        if letter is not None:
            self.add(letter, depth + 1)

    @staticmethod
    def _inner(attached: Attached) -> Letter | None:
        """The message that an attachment is, if it is one."""
        if attached.letter is not None:
            return attached.letter
        return _read(attached.name, attached.data) if catalog.extension_of(attached.name) in {".eml", ".msg"} else None

    def _leave_out(self, attached: Attached, code: str) -> None:
        if not attached.is_picture_of_body:
            self.unread.append(f"{one_line(attached.name)[:_LONGEST_NAME]} ({code})")

"""What the parser pool, the zygote and its children say to each other.

Pool to zygote, one message on a socket that keeps them apart: a Task, with two file descriptors (the file's bytes,
and a socket for the answer). Child to pool, on that socket: an Outcome. Zygote to pool, on the same socket, when the
child is gone: the byte `END` and how it ended. Then the socket closes; a socket that closes without it means a dead
zygote.
"""

from __future__ import annotations

import struct

import msgspec

from headworks.errors import DocumentUnreadable
from headworks.retrieval.parsers.catalog import Ocr
from headworks.retrieval.parsers.contract import PagePicture, ParsedDocument

END = struct.Struct("<4si")
"""The last bytes on the answer's socket: `MARK` and the child's wait status, or TIMED_OUT."""
MARK = b"end\n"
TIMED_OUT = -1
ONLY_PAGES = "pages"
"""The zygote's argument when it will only draw."""


class Task(msgspec.Struct, array_like=True):
    """One file, and the limits of its child. With a `page` (from 1) that is drawn; without it the file is parsed."""

    name: str
    memory_bytes: int
    cpu_s: int
    wall_s: float
    output_chars: int
    ocr: Ocr = "off"
    page: int = 0


class Outcome(msgspec.Struct, array_like=True):
    """The document or the picture of a page, or why there is none."""

    document: ParsedDocument | None = None
    code: str = ""
    message: str = ""
    next_step: str = ""
    picture: PagePicture | None = None

    def result(self) -> ParsedDocument:
        """The document; raises DocumentUnreadable with the child's reason."""
        if self.document is None:
            raise self._reason()
        return self.document

    def drawn(self) -> PagePicture:
        """The picture; raises DocumentUnreadable with the child's reason."""
        if self.picture is None:
            raise self._reason()
        return self.picture

    def _reason(self) -> DocumentUnreadable:
        return DocumentUnreadable(self.message, next_step=self.next_step, code=self.code or "crashed")


encode = msgspec.msgpack.Encoder().encode
decode_task = msgspec.msgpack.Decoder(Task).decode
decode_outcome = msgspec.msgpack.Decoder(Outcome).decode


def failure(error: DocumentUnreadable) -> bytes:
    """An Outcome that says what an exception said."""
    return encode(Outcome(None, error.code, error.message, error.next_step))


def success(found: ParsedDocument | PagePicture) -> bytes:
    """An Outcome with what was asked for."""
    return encode(Outcome(picture=found) if isinstance(found, PagePicture) else Outcome(found))


def parts(received: bytes) -> tuple[bytes, int] | None:
    """What a child wrote and how it ended; None when the end is missing, because the zygote died."""
    if len(received) < END.size:
        return None
    mark, status = END.unpack(received[-END.size :])
    return (received[: -END.size], int(status)) if mark == MARK else None

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
from headworks.retrieval.parsers.contract import ParsedDocument

END = struct.Struct("<4si")
"""The last bytes on the answer's socket: `MARK` and the child's wait status, or TIMED_OUT."""
MARK = b"end\n"
TIMED_OUT = -1


class Task(msgspec.Struct, array_like=True):
    """One file to parse, and the limits of its child."""

    name: str
    memory_bytes: int
    cpu_s: int
    wall_s: float
    output_chars: int
    ocr: Ocr = "off"


class Outcome(msgspec.Struct, array_like=True):
    """The document, or why there is none."""

    document: ParsedDocument | None = None
    code: str = ""
    message: str = ""
    next_step: str = ""

    def result(self) -> ParsedDocument:
        """The document; raises DocumentUnreadable with the child's reason."""
        if self.document is None:
            raise DocumentUnreadable(self.message, next_step=self.next_step, code=self.code)
        return self.document


encode = msgspec.msgpack.Encoder().encode
decode_task = msgspec.msgpack.Decoder(Task).decode
decode_outcome = msgspec.msgpack.Decoder(Outcome).decode


def failure(error: DocumentUnreadable) -> bytes:
    """An Outcome that says what an exception said."""
    return encode(Outcome(None, error.code, error.message, error.next_step))


def success(document: ParsedDocument) -> bytes:
    """An Outcome with a document."""
    return encode(Outcome(document))


def parts(received: bytes) -> tuple[bytes, int] | None:
    """What a child wrote and how it ended; None when the end is missing, because the zygote died."""
    if len(received) < END.size:
        return None
    mark, status = END.unpack(received[-END.size :])
    return (received[: -END.size], int(status)) if mark == MARK else None

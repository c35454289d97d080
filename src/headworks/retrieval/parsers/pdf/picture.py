"""One page of a PDF as a picture, for a person who looks where a quote stands. Only for child processes with limits."""

from __future__ import annotations

import struct
import zlib

from headworks.errors import DocumentUnreadable
from headworks.retrieval.parsers.building import one_line
from headworks.retrieval.parsers.contract import PagePicture
from headworks.retrieval.parsers.pdf.page import sheet_of

_FINEST = 2.0
"""Pixels for each point: 144 in an inch."""
_LONGEST_SIDE = 2_200
"""Pixels: pages that are larger than a sheet of paper are drawn coarser."""
_SHORTEST_SIDE = 1.0
"""Points."""
_PNG = b"\x89PNG\r\n\x1a\n"
_RGB_OF_8_BITS = b"\x08\x02\x00\x00\x00"
_UNFILTERED = b"\0"
"""Before each row of pixels: they stand as they are."""


def draw_page(data: bytes, number: int) -> PagePicture:
    """The page `number` (from 1) as viewers show it, rotated and cropped. Raises DocumentUnreadable."""
    import pypdfium2

    try:
        document = pypdfium2.PdfDocument(data)
        pages = len(document)
        if not 1 <= number <= pages:
            return PagePicture(b"", 0.0, 0.0, pages)
        sheet = sheet_of(document[number - 1], number)
        width, height = max(sheet.width, _SHORTEST_SIDE), max(sheet.height, _SHORTEST_SIDE)
        bitmap = sheet.page.render(scale=min(_FINEST, _LONGEST_SIDE / max(width, height)), rev_byteorder=True)
    except pypdfium2.PdfiumError as error:
        raise DocumentUnreadable(f"The page can't be drawn: {one_line(str(error))}", code="corrupt") from None
    pixels = memoryview(bitmap.buffer).cast("B")
    rows = [pixels[at : at + 3 * bitmap.width] for at in range(0, bitmap.stride * bitmap.height, bitmap.stride)]
    return PagePicture(_png(bitmap.width, bitmap.height, rows), round(width, 1), round(height, 1), pages)


def _png(width: int, height: int, rows: list[memoryview]) -> bytes:
    """Rows of red, green and blue as a file."""
    packed = zlib.compress(b"".join(part for row in rows for part in (_UNFILTERED, row)))
    head = struct.pack(">II", width, height) + _RGB_OF_8_BITS
    return _PNG + b"".join(_chunk(*each) for each in ((b"IHDR", head), (b"IDAT", packed), (b"IEND", b"")))


def _chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

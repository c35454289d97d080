"""Text in pictures: photographs, scans, and the pages of a PDF that are pictures. Needs the extra `headworks[ocr]`.

The models come with the package `rapidocr` and nothing is fetched. Words of one row become a line with their places,
so that tables and columns are found as in a PDF with text.
"""

from __future__ import annotations

import io
import logging
import warnings
from collections.abc import Iterator, Sequence
from functools import lru_cache, reduce
from importlib.util import find_spec
from statistics import median
from typing import Any

from headworks.errors import DocumentUnreadable
from headworks.retrieval.parsers.building import Place
from headworks.retrieval.parsers.contract import ParsedDocument
from headworks.retrieval.parsers.pdf.page import Line, Sheet, Word
from headworks.retrieval.parsers.pdf.tables import Grid, with_tables
from headworks.retrieval.parsers.pdf.text import document_of

_MOST_PIXELS = 100_000_000
_MOST_FRAMES = 1_000
_LONGEST_SIDE = 2_000
"""Pixels: what the models look at, and so what a page is drawn with."""
_FINEST = 3.0
"""Pixels for each point of a small page: 216 in an inch."""
_SHORTEST_SIDE = 16
_FEWEST_SURE = 0.7
"""How sure the models must be of a line, from 0 to 1."""
_SAME_ROW = 0.5
"""Of the height of a line: pieces whose middles are nearer are in one row."""
_LARGE = 1.5
"""Of the usual height: lower lines are all of one size, since boxes are as high as their letters happen to be."""


def parse_picture(name: str, data: bytes) -> ParsedDocument:
    """See contract.Parser: the text of a picture, each frame of which is a page. A pixel counts as a point."""
    from PIL import Image, ImageOps, ImageSequence, UnidentifiedImageError

    refuse_missing()
    Image.MAX_IMAGE_PIXELS = None  # asked here, before anything is unpacked
    try:
        with warnings.catch_warnings(action="ignore"), Image.open(io.BytesIO(data)) as picture:
            if picture.width * picture.height > _MOST_PIXELS:
                size = f"{picture.width:,} x {picture.height:,} points"
                raise DocumentUnreadable(
                    f"The picture has {size}, more than {_MOST_PIXELS:,} in all.",
                    next_step="Make it smaller.",
                    code="bomb",
                )
            media_type = Image.MIME.get(picture.format or "", "image/png")
            pages = []
            for number, frame in enumerate(ImageSequence.Iterator(picture), 1):
                if number > _MOST_FRAMES:
                    raise DocumentUnreadable(f"The picture has more than {_MOST_FRAMES:,} pages.", code="too_large")
                pages.append(read(ImageOps.exif_transpose(frame).convert("RGB"), number))
    except (UnidentifiedImageError, OSError, SyntaxError, ValueError) as error:
        raise DocumentUnreadable(f"The picture is damaged ({type(error).__name__}).", code="corrupt") from None
    if not any(pages):
        raise DocumentUnreadable(
            "OCR finds no text in the picture that it is sure of.",
            next_step="A text that is blurred, upside down or on its side is not read.",
            code="empty",
        )
    return document_of(name, media_type, "", pages)


def refuse_missing() -> None:
    """Raises `needs_ocr` where the extra is not installed."""
    if find_spec("rapidocr") is None:
        raise DocumentUnreadable(
            "The collection asks for OCR, but it is not installed here.",
            next_step="`pip install 'headworks[ocr]'` where the server runs, and hand the file in again.",
            code="needs_ocr",
        )


def read_sheet(sheet: Sheet) -> list[Line | Grid]:
    """What stands on a page of a PDF that is a picture."""
    scale = min(_LONGEST_SIDE / max(sheet.width, sheet.height, 1.0), _FINEST)
    drawn = sheet.page.render(scale=scale).to_pil().convert("RGB")
    return read(drawn, sheet.number, scale)


def read(picture: Any, number: int, scale: float = 1.0) -> list[Line | Grid]:  # noqa: ANN401 -- a picture of Pillow's
    """The lines and tables of one page. `scale` is how many pixels of the picture a point has."""
    if min(picture.size) < _SHORTEST_SIDE:
        return []
    shrunk = min(1.0, _LONGEST_SIDE / max(picture.size))
    if shrunk < 1:
        picture = picture.resize((max(1, round(picture.width * shrunk)), max(1, round(picture.height * shrunk))))
    height = picture.height / (scale * shrunk)
    pieces = list(_pieces(picture, number, scale * shrunk))
    usual = median([piece.place.y1 - piece.place.y0 for piece in pieces]) if pieces else 1.0
    return with_tables([_line(row, usual, height) for row in _rows(pieces)], ())


def _pieces(picture: Any, number: int, scale: float) -> Iterator[Word]:  # noqa: ANN401 -- as above
    """The runs of text that the models find, which have no large gaps within them."""
    import numpy as np

    found = _engine()(np.asarray(picture)[:, :, ::-1])  # as OpenCV has it: blue first
    if found.boxes is None or found.txts is None:
        return
    for corners, text, sure in zip(found.boxes, found.txts, found.scores, strict=True):
        if text.strip() and sure >= _FEWEST_SURE:
            across, down = [float(x) / scale for x, _ in corners], [float(y) / scale for _, y in corners]
            edges = (round(each, 1) for each in (min(across), min(down), max(across), max(down)))
            yield Word(text.strip(), Place(number, *edges))


@lru_cache(maxsize=1)
def _engine() -> Any:  # noqa: ANN401 -- rapidocr has no types
    """The models, loaded once in a process, on one core, without a word to the log."""
    import cv2
    from rapidocr import RapidOCR

    logging.getLogger("RapidOCR").setLevel(logging.CRITICAL)
    cv2.setNumThreads(1)
    threads = {f"EngineConfig.onnxruntime.{kind}_op_num_threads": 1 for kind in ("intra", "inter")}
    # Its model that looks for lines upside down takes long upright ones for such, and turns them into nonsense.
    return RapidOCR(params={**threads, "Global.log_level": "critical", "Global.use_cls": False})


def _rows(pieces: Sequence[Word]) -> list[list[Word]]:
    """Pieces side by side as rows, from the top; those of a row from the left."""
    rows: list[list[Word]] = []
    for piece in sorted(pieces, key=lambda each: each.middle[1]):
        last = rows[-1][0] if rows else None
        if last is not None and piece.middle[1] - last.middle[1] <= _SAME_ROW * (last.place.y1 - last.place.y0):
            rows[-1].append(piece)
        else:
            rows.append([piece])
    return [sorted(row, key=lambda piece: piece.place.x0) for row in rows]


def _line(row: Sequence[Word], usual: float, height: float) -> Line:
    place = reduce(Place.around, [piece.place for piece in row])
    tallest = max(piece.place.y1 - piece.place.y0 for piece in row)
    size = tallest if tallest >= _LARGE * usual else usual
    share = 1 - (place.y0 + place.y1) / 2 / (height or 1.0)
    return Line(" ".join(piece.text for piece in row), place, round(size, 1), share, is_bold=False, words=tuple(row))

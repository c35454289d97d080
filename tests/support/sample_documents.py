"""Documents made for a test: real DOCX and PDF files, and ones that are broken on purpose."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Mapping, Sequence
from typing import Any

CONTENT_TYPES = (
    '<?xml version="1.0"?><Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types">'
    '<Default Extension="xml" ContentType="application/xml"/></Types>'
)
WORD = "http://schemas.openxmlformats.org/wordprocessingml/2006/main"


def zipped(entries: Mapping[str, bytes | str], *, store: bool = False) -> bytes:
    """An archive with these entries, in order."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_STORED if store else zipfile.ZIP_DEFLATED) as archive:
        for name, content in entries.items():
            archive.writestr(name, content)
    return out.getvalue()


def raw_docx(body: str, **parts: str) -> bytes:
    """A DOCX with this XML in its body; `styles`, `numbering`, `footnotes` are more parts."""
    document = f'<w:document xmlns:w="{WORD}"><w:body>{body}</w:body></w:document>'
    more = {f"word/{name}.xml": f'<w:{name} xmlns:w="{WORD}">{content}</w:{name}>' for name, content in parts.items()}
    return zipped({"[Content_Types].xml": CONTENT_TYPES, "word/document.xml": document, **more})


def word_document(fill: Any) -> bytes:
    """A DOCX as python-docx writes it, after `fill(document)`."""
    import docx

    document = docx.Document()
    fill(document)
    out = io.BytesIO()
    document.save(out)
    return out.getvalue()


def zip_bomb_docx(megabytes: int = 1100) -> bytes:
    """A small DOCX whose body unpacks to this many megabytes of spaces."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        archive.writestr("[Content_Types].xml", CONTENT_TYPES)
        with archive.open("word/document.xml", "w", force_zip64=True) as body:
            piece = b" " * (1024 * 1024)
            for _ in range(megabytes):
                body.write(piece)
    return out.getvalue()


def pdf(pages: Sequence[Sequence[tuple[float, float, str]]], **options: Any) -> bytes:
    """A PDF of lines: (size of type, points from the top, text) on each page."""
    from reportlab.pdfgen.canvas import Canvas

    out = io.BytesIO()
    canvas = Canvas(out, pagesize=(595, 842), **options)
    for lines in pages:
        for size, top, text in lines:
            canvas.setFont("Helvetica", size)
            canvas.drawString(60, 842 - top, text)
        canvas.showPage()
    canvas.save()
    return out.getvalue()


def flowing_pdf(story: Sequence[tuple[str, str]], **options: Any) -> bytes:
    """A PDF as reports are: (style, text) with the styles Title, Heading1, Heading2, BodyText."""
    from reportlab.lib.styles import getSampleStyleSheet
    from reportlab.platypus import Paragraph, SimpleDocTemplate

    styles = getSampleStyleSheet()
    out = io.BytesIO()
    SimpleDocTemplate(out, **options).build([Paragraph(text, styles[style]) for style, text in story])
    return out.getvalue()


def encrypted_pdf() -> bytes:
    """A PDF that needs a password."""
    from reportlab.lib.pdfencrypt import StandardEncryption

    return flowing_pdf([("BodyText", "secret")], encrypt=StandardEncryption("user", "owner"))


def scanned_pdf(pages: int = 2) -> bytes:
    """A PDF of pictures, as scanners make it."""
    from PIL import Image
    from reportlab.lib.utils import ImageReader
    from reportlab.pdfgen.canvas import Canvas

    picture = ImageReader(Image.new("L", (60, 80), 200))
    out = io.BytesIO()
    canvas = Canvas(out)
    for _ in range(pages):
        canvas.drawImage(picture, 0, 0, 595, 842)
        canvas.showPage()
    canvas.save()
    return out.getvalue()

"""Which parser reads a file: by what it is, as far as its first bytes tell, else by its extension."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterable
from dataclasses import dataclass, replace
from importlib import import_module
from importlib.util import find_spec
from typing import Literal

from headworks.errors import DocumentUnreadable
from headworks.retrieval.parsers.archives import is_ole, refuse_encrypted_office
from headworks.retrieval.parsers.building import clean
from headworks.retrieval.parsers.contract import ParsedDocument, Parser

Ocr = Literal["off", "wanted", "read"]
"""Whether pictures are read: not at all; later, for now they are only found; or now."""
_PDF_FUNCTIONS: dict[Ocr, str] = {"off": "parse", "wanted": "parse_whole", "read": "parse_with_ocr"}


@dataclass(frozen=True, slots=True)
class Format:
    """A kind of file: the module that reads it (its function is `parse` unless named), and its media type."""

    module: str
    media_type: str
    function: str = "parse"
    sniffed: bool = False
    """It is recognised by its first bytes: an extension alone does not make it one."""

    def parser(self) -> Parser:
        """The parser, imported at its first use."""
        found: Parser = getattr(import_module(f"{__package__}.{self.module}"), self.function)
        return found


_TEXT = Format("plain", "text/plain")
_VERBATIM = Format("plain", "text/plain", "parse_verbatim")
_MARKDOWN = Format("markdown", "text/markdown")
_HTML = Format("html", "text/html")
_PDF = Format("pdf.document", "application/pdf", sniffed=True)
_OOXML = "application/vnd.openxmlformats-officedocument"
_DOCX = Format("office.docx", f"{_OOXML}.wordprocessingml.document", sniffed=True)
_PPTX = Format("office.pptx", f"{_OOXML}.presentationml.presentation", sniffed=True)
_XLSX = Format("office.xlsx", f"{_OOXML}.spreadsheetml.sheet", sniffed=True)
_ODT = Format("office.odf", "application/vnd.oasis.opendocument.text", sniffed=True)
_ODS = Format("office.odf", "application/vnd.oasis.opendocument.spreadsheet", sniffed=True)
_EPUB = Format("epub", "application/epub+zip", sniffed=True)
_RTF = Format("office.binary", "application/rtf", sniffed=True)

FORMATS: dict[str, Format] = {
    **dict.fromkeys((".md", ".markdown", ".mdown", ".mkd", ".prompty"), _MARKDOWN),
    **dict.fromkeys((".txt", ".text", ".rst", ".adoc", ".asciidoc"), _TEXT),
    **dict.fromkeys((".html", ".htm", ".xhtml"), _HTML),
    **dict.fromkeys(
        (".json", ".jsonl", ".ndjson", ".yaml", ".yml", ".toml", ".ini", ".cfg", ".log", ".xml"), _VERBATIM
    ),
    **dict.fromkeys((".py", ".js", ".ts", ".java", ".go", ".rs", ".c", ".h", ".cpp", ".cs", ".rb", ".sh"), _VERBATIM),
    **dict.fromkeys((".sql", ".tex", ".css"), _VERBATIM),
    **dict.fromkeys((".csv", ".tsv", ".tab"), Format("tables", "text/csv")),
    ".eml": Format("letters", "message/rfc822"),
    ".pdf": _PDF,
    ".docx": _DOCX,
    ".docm": _DOCX,
    ".pptx": _PPTX,
    ".pptm": _PPTX,
    ".xlsx": _XLSX,
    ".xlsm": _XLSX,
    ".odt": _ODT,
    ".ods": _ODS,
    ".epub": _EPUB,
    ".rtf": _RTF,
    ".doc": Format("office.binary", "application/msword", sniffed=True),
    ".xls": Format("office.binary", "application/vnd.ms-excel", sniffed=True),
    ".ppt": Format("office.binary", "application/vnd.ms-powerpoint", sniffed=True),
    ".msg": Format("letters", "application/vnd.ms-outlook", sniffed=True),
}
"""By lower-case extension."""

PICTURES = {
    extension: Format("pdf.ocr", f"image/{kind}", "parse_picture")
    for kind, extensions in {
        "png": (".png",),
        "jpeg": (".jpg", ".jpeg"),
        "gif": (".gif",),
        "tiff": (".tif", ".tiff"),
        "bmp": (".bmp",),
        "webp": (".webp",),
    }.items()
    for extension in extensions
}
"""By lower-case extension: what only OCR can read."""
_PICTURE_MARKS = (b"\x89PNG", b"\xff\xd8\xff", b"GIF8", b"II*\0", b"MM\0*", b"BM")
_OLE_EXTENSIONS = (".doc", ".xls", ".ppt", ".msg")
_ZIP_PARTS = (("word/document.xml", ".docx"), ("ppt/presentation.xml", ".pptx"), ("xl/workbook.xml", ".xlsx"))


def extension_of(name: str) -> str:
    """The extension of a file's name in lower case, with its dot; empty without one."""
    file = name.replace("\\", "/").rpartition("/")[2]
    stem, dot, extension = file.rpartition(".")
    return f".{extension.lower()}" if dot and stem else ""


def ocr_is_installed() -> bool:
    """Whether the extra is there that reads pictures."""
    return find_spec("rapidocr") is not None


def is_supported(name: str) -> bool:
    """Whether a file of this name can be read, if it holds what its name says; a file without extension may be text."""
    extension = extension_of(name)
    return not extension or extension in FORMATS


def parse(name: str, data: bytes, ocr: Ocr = "off") -> ParsedDocument:
    """The document in a file. Raises DocumentUnreadable; any other exception is the parser's failure.

    It is for child processes (`sandbox.py`): hostile files may take any time and memory.
    """
    if not data:
        raise DocumentUnreadable("The file has no bytes.", code="empty")
    extension = _sniffed(name, data)
    found = FORMATS.get(extension) or PICTURES.get(extension)
    if found is None:
        raise _unsupported(extension)
    if extension in PICTURES:
        _refuse_picture(data, ocr)
    if extension == ".pdf":
        found = replace(found, function=_PDF_FUNCTIONS[ocr])
    return found.parser()(_with_extension(name, extension), data)


def _refuse_picture(data: bytes, ocr: Ocr) -> None:
    if not data.startswith(_PICTURE_MARKS) and data[8:12] != b"WEBP":
        raise DocumentUnreadable("The file is damaged, or no picture at all.", code="corrupt")
    if ocr != "read":
        raise DocumentUnreadable(
            "The file is a picture: what it says must be read by OCR.",
            next_step="Turn OCR on for the collection: `parsing: {ocr: true}`.",
            code="needs_ocr",
        )


def preload(modules: Iterable[str] = ("charset_normalizer", "kreuzberg", "pypdfium2", "pypdfium2.raw")) -> None:
    """Imports every parser and the libraries behind them, so that children forked from here need not."""
    for module in modules:
        import_module(module)
    for each in set(FORMATS.values()):
        each.parser()


def _sniffed(name: str, data: bytes) -> str:
    """The extension that the file should have by its content; its own where the content does not tell."""
    extension = extension_of(name)
    if b"%PDF-" in data[:1024]:
        return ".pdf"
    if data.startswith(b"PK\x03\x04"):
        return _inside_zip(data) or (extension if extension in FORMATS else ".zip")
    if is_ole(data):
        refuse_encrypted_office(data)
        return extension if extension in _OLE_EXTENSIONS else ".doc"
    if data.startswith(b"{\\rtf"):
        return ".rtf"
    known = FORMATS.get(extension)
    if known is not None and known.sniffed:
        raise DocumentUnreadable(f"The file is damaged, or no {extension[1:].upper()} document at all.", code="corrupt")
    if not extension:
        return ".html" if _looks_like_html(data) else ".txt" if _looks_like_text(data) else extension
    return extension


def _inside_zip(data: bytes) -> str:
    """The kind of document that a zip archive is; empty when it is none that is known."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            names = set(archive.namelist())
            for part, extension in _ZIP_PARTS:
                if part in names:
                    return extension
            if "mimetype" in names and archive.getinfo("mimetype").file_size < 200:
                kind = archive.read("mimetype").strip().decode("ascii", "replace")
                return {_ODT.media_type: ".odt", _ODS.media_type: ".ods", _EPUB.media_type: ".epub"}.get(kind, "")
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError, EOFError):
        return ""
    return ""


def _looks_like_html(data: bytes) -> bool:
    head = data[:1024].lstrip().lower()
    return head.startswith((b"<!doctype html", b"<html"))


def _looks_like_text(data: bytes) -> bool:
    head = data[:4096]
    return b"\0" not in head and sum(byte < 9 for byte in head) == 0


def _with_extension(name: str, extension: str) -> str:
    return name if extension_of(name) == extension else f"{name}{extension}"


def _unsupported(extension: str) -> DocumentUnreadable:
    kind = f"`{clean(extension)[:20]}` files" if extension else "files of this kind"
    known = ", ".join(sorted(extension[1:] for extension in FORMATS))
    return DocumentUnreadable(
        f"Headworks has no parser for {kind}.", next_step=f"It reads: {known}.", code="unsupported"
    )

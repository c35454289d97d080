"""Bytes of a text file to its characters."""

from __future__ import annotations

import codecs
import re

from headworks.errors import DocumentUnreadable

_BOMS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),  # before UTF-16, whose mark it begins with
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_STRAY = "headworks-windows-1252"
"""The name of `_as_windows` among the ways to go on after a byte that can't be decoded."""
_CONTROL = re.compile(r"[\x00-\x08\x0e-\x1a\x1c-\x1f\x7f]")
_MOST_CONTROLS = 0.01
"""Of the characters: text has none, files of other kinds have many."""
_ASCII = bytes(range(128))
_WORD = re.compile(rb"[\x80-\xff]{3,}")
"""In Latin script letters above ASCII stand alone or in pairs, in others words are made of them."""
_PADDING = re.compile(rb"([\x80-\xff])\1{3,}")
"""Fixed spaces, dots and lines."""
_OTHER_SCRIPT = re.compile(r"[\u0370-\u1dff\u2e80-\ud7ff\uf900-\uffef\U00010000-\U0003ffff]")
_SAMPLE = 64 * 1024


def decoded(data: bytes, encoding: str | None = None) -> str:
    """The characters of a text file: by its byte order mark, else by `encoding`, else UTF-8, UTF-16 or by its script.

    What is in none of the three is Windows-1252 where it is in Latin script, else what its letters fit best. A file may
    be of UTF-8 here and Windows-1252 there. Line ends become line feeds. Raises DocumentUnreadable `corrupt` when it is
    no text, and `empty` without a byte.
    """
    if not data:
        raise DocumentUnreadable("The file has no bytes.", code="empty")
    text = _characters(data, encoding)
    if "\0" in text or len(_CONTROL.findall(text)) > _MOST_CONTROLS * len(text):
        raise DocumentUnreadable("The file is not text: it holds bytes that no text has.", code="corrupt")
    return text.replace("\r\n", "\n").replace("\r", "\n")


def _characters(data: bytes, encoding: str | None) -> str:
    for mark, name in _BOMS:
        if data.startswith(mark):
            return data[len(mark) :].decode(name, "replace")
    for name in filter(None, (encoding, "utf-8", _utf16_without_mark(data))):
        try:
            text = data.decode(name)
        except (UnicodeDecodeError, LookupError):
            continue
        if "\0" not in text:
            return text
    other = _of_another_script(data)
    return data.decode("utf-8", _STRAY) if other is None else data.decode(other, "replace")


def _as_windows(error: UnicodeError) -> tuple[str, int]:
    """Bytes that are no UTF-8, as the characters that they are in Windows-1252: texts are sometimes of both."""
    if not isinstance(error, UnicodeDecodeError):
        raise error
    return error.object[error.start : error.end].decode("cp1252", "replace"), error.end


codecs.register_error(_STRAY, _as_windows)


def _utf16_without_mark(data: bytes) -> str | None:
    """UTF-16 if nearly every other byte is zero, as it is in Latin text."""
    sample = data[:4096]
    even, odd = sample[::2].count(0), sample[1::2].count(0)
    most = 0.4 * len(sample) / 2
    if odd > most and not even:
        return "utf-16-le"
    return "utf-16-be" if even > most and not odd else None


def _of_another_script(data: bytes) -> str | None:
    """The encoding before Unicode of a text that is neither UTF-8 nor in Latin script, such as Shift JIS or KOI8-R."""
    sample = data if len(data) <= _SAMPLE else data[: data.rfind(b"\n", 0, _SAMPLE) + 1 or _SAMPLE]
    words = _PADDING.sub(b"", sample)
    if 2 * sum(map(len, _WORD.findall(words))) <= len(words.translate(None, _ASCII)) or b"\0" in sample:
        return None
    high = sample.translate(None, _ASCII)
    if 2 * len(sample.decode("utf-8", "ignore").encode().translate(None, _ASCII)) > len(high):
        return None  # most of it is UTF-8
    from charset_normalizer import from_bytes  # 20 ms, for files that are rare

    found = from_bytes(sample).best()
    if found is None:
        return None
    above_ascii = [each for each in str(found) if each > "\x7f"]
    is_other = 2 * len(_OTHER_SCRIPT.findall(str(found))) > len(above_ascii)
    return found.encoding if is_other else None

"""The form of a request with files in it: where the value of `model` stands. Nothing else is read, or copied.

A form is refused where a lenient reader could see other parts, or other names, than we do: the provider must find the
very model that was admitted.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

import msgspec

from headworks.errors import InvalidRequest

_BOUNDARY = re.compile(
    rb"""(?i)multipart/form-data\s*;(?:.*;)?\s*boundary=(?:"([^"\\]{1,70})"|([^\s";,]{1,70}))\s*(?:;.*)?"""
)
_NAME = re.compile(rb'(?i)content-disposition: *form-data; *name=(?:"([^"\\\r\n]*)"|([^\s";\\]+))(;[^\r\n]*)?')
_OTHER_NAME = re.compile(rb"(?i);\s*name\s*\*?\d*\*?\s*=")
_QUOTED = re.compile(rb'"(?:[^"\\]|\\.)*"')
_LONGEST_HEAD = 4096
_LONGEST_NAME = 4 * 512
_MOST_PARTS = 1000
_LINE = b"\r\n"


class Form(msgspec.Struct, frozen=True, gc=False):
    """A form as it was received, and where the value of its `model` begins and ends."""

    raw: bytes
    start: int
    end: int

    @staticmethod
    def read(raw: bytes, content_type: bytes) -> Form:
        """Raises InvalidRequest for what is no form, or none with exactly one `model`."""
        mark = b"--" + _boundary(content_type)
        models = [(start, end) for name, start, end in _parts(raw, mark) if name == b"model"]
        if len(models) != 1:
            raise InvalidRequest(
                "A form needs exactly one part with the name `model`.", param="model", code="missing_field"
            )
        return Form(raw, *models[0])

    @property
    def model(self) -> str:
        """The value of `model`. Raises InvalidRequest where it is none."""
        value = self.raw[self.start : min(self.end, self.start + _LONGEST_NAME)]
        try:
            return value.decode()
        except UnicodeDecodeError:
            raise InvalidRequest("`model` is not UTF-8.", param="model") from None

    def spliced(self, model: str) -> bytes:
        """The same form with another model; all other bytes are as they were."""
        new = model.encode()
        if self.raw[self.start : self.end] == new:
            return self.raw
        view = memoryview(self.raw)
        return b"".join((view[: self.start], new, view[self.end :]))


def is_form(content_type: bytes) -> bool:
    """Whether a body of this type is a form with parts."""
    return content_type.strip().lower().startswith(b"multipart/")


def _boundary(content_type: bytes) -> bytes:
    match = _BOUNDARY.fullmatch(content_type.strip())
    if match is None or content_type.lower().count(b"boundary") > 1:
        raise _broken("its content-type names no boundary that can be read")
    return match[1] or match[2]


def _parts(raw: bytes, mark: bytes) -> Iterator[tuple[bytes, int, int]]:
    """Each part's name, and where its content begins and ends. `mark` is the boundary with its two hyphens."""
    at = 0
    if not raw.startswith(mark):
        raise _broken("it does not begin with its boundary")
    for _ in range(_MOST_PARTS):
        after = at + len(mark)
        if raw[after : after + 2] == b"--":
            if raw[after + 2 : after + 5] not in {b"", _LINE}:
                raise _broken("something follows its end")
            return
        if raw[after : after + 2] != _LINE:
            raise _broken("its boundary stands in the middle of a line")
        start, name = _head(raw, after)
        at = raw.find(mark, start)
        end = at - len(_LINE)
        if end < start or raw[end:at] != _LINE:
            raise _broken("a part has no end")
        yield name, start, end
    raise _broken(f"it has more than {_MOST_PARTS} parts")


def _head(raw: bytes, start: int) -> tuple[int, bytes]:
    """Where the content of a part begins, and the part's name. `start` is behind its boundary."""
    end = raw.find(_LINE + _LINE, start, start + _LONGEST_HEAD)
    if end < 0:
        raise _broken("a part has no head, or a very long one")
    lines = raw[start:end].split(_LINE)[1:]
    dispositions = [line for line in lines if line.lower().startswith(b"content-disposition")]
    match = _NAME.fullmatch(dispositions[0]) if len(dispositions) == 1 else None
    if match is None or _OTHER_NAME.search(_QUOTED.sub(b"", match[3] or b"")):
        raise _broken("a part has no name that can be read")
    if any(line[:1] in {b" ", b"\t", b""} or b"\n" in line or b"\r" in line for line in lines):
        raise _broken("the head of a part can't be read")
    return end + 2 * len(_LINE), match[1] if match[1] is not None else match[2]


def _broken(why: str) -> InvalidRequest:
    return InvalidRequest(f"The form can't be read: {why}.", next_step="Let an HTTP library write it.")

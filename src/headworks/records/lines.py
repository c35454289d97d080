"""Usage rows and spans as lines of PostgreSQL's COPY formats: written once, when the request ends, then only moved.

A record of the journal is the usage lines of requests that ended together, a usage line and span lines, or spans that
came later; the first byte of each line says which. A usage row is a JSON array, and without its brackets a line of CSV
as long as nothing in it is escaped: one call in C, on the path of every request. A row with an odd text is a line of
the text format, as spans are.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import fields
from typing import Any, NamedTuple
from uuid import UUID

import msgspec
import orjson

from headworks.types.records import Span, UsageRow

USAGE = b"["
ODD_USAGE = b"o"
SPAN = b"s"

_ESCAPES = str.maketrans({"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r", "\0": ""})
_MONTH = {USAGE: slice(41, 48), ODD_USAGE: slice(38, 45), SPAN: slice(38, 45)}
"""Where a line says in which month it arrived: behind the tenant's id, which is as long as any other."""
_BITS = {
    **{name: 32 for name in UsageRow.__struct_fields__ if name.endswith("_tokens")},
    **{name: 64 for name in UsageRow.__struct_fields__ if name.endswith(("_us", "_usd"))},
    "duration_us": 64,
    "attempts": 16,
    "continuations": 16,
}
"""Of the columns that hold counts."""
_SPAN_FIELDS = tuple(each.name for each in fields(Span))
_NUL = re.compile(r"(?<!\\)((?:\\\\)*)\\u0000")
"""As JSON writes it: behind an even number of backslashes."""
_BACKSLASH = ord("\\")
_MOST_TEXT = 512
_MOST_LINE = 1500
"""Beyond, a text of the caller's is longer than what is kept of it."""
_encode_lines = msgspec.json.Encoder().encode_lines


def _text(value: str | None) -> str:
    """A text field; what a caller may choose the length of is cut."""
    if value is None:
        return "\\N"
    if value.isascii() and value.isprintable() and "\\" not in value and len(value) <= _MOST_TEXT:
        return value
    # Half of a surrogate pair is no text that PostgreSQL could keep.
    return value[:_MOST_TEXT].encode("utf-8", "replace").decode().translate(_ESCAPES)


def _plain(value: float | UUID | None) -> object:
    return "\\N" if value is None else value


def usage_line(row: UsageRow) -> bytes:
    """One usage row; columns in the order of `stage_usage` in queries.sql."""
    try:
        line = _encode_lines((row,))
    except UnicodeEncodeError:  # half of a surrogate pair
        return _odd_usage_line(row)
    if len(line) > _MOST_LINE or _BACKSLASH in line:
        return _odd_usage_line(row)
    return line


def _odd_usage_line(row: UsageRow) -> bytes:
    """A row with a text that is long, or that JSON has to escape."""
    r = row
    return (
        f"o{r.tenant_id}\t{r.arrived_at.isoformat()}\t{r.request_id}\t{r.trace_id}\t{r.surface}\t{r.purpose}\t"
        f"{_text(r.asked_model)}\t{r.status}\t{'t' if r.streamed else 'f'}\t{r.total_us}\t{_plain(r.principal_id)}\t"
        f"{_plain(r.key_id)}\t{_text(r.feature)}\t{_text(r.channel)}\t{_text(r.release)}\t{_text(r.provider)}\t"
        f"{_text(r.model)}\t{_text(r.error_code)}\t{r.attempts}\t{_plain(r.input_tokens)}\t"
        f"{_plain(r.cached_input_tokens)}\t{_plain(r.output_tokens)}\t{'t' if r.is_estimated else 'f'}\t"
        f"{_plain(r.cost_micro_usd)}\t{_text(r.price_version)}\t{_text(r.end_user)}\t{_plain(r.admit_us)}\t"
        f"{_plain(r.retrieval_us)}\t{_plain(r.render_us)}\t{_plain(r.first_byte_us)}\t{_plain(r.upstream_us)}\t"
        f"{_plain(r.cache_write_tokens)}\t{_plain(r.cache_write_1h_tokens)}\t{_plain(r.reasoning_tokens)}\t"
        f"{_plain(r.audio_input_tokens)}\t{_plain(r.audio_output_tokens)}\t{_text(r.service_tier)}\t"
        f"{r.continuations}\n"
    ).encode()


def span_line(span: Span) -> bytes:
    """One span; columns in the order of `stage_spans` in queries.sql. The payload must be sealed already."""
    s = span
    attributes = _attributes(s.attributes).translate(_ESCAPES)
    documents = "{" + ",".join(str(each) for each in s.documents) + "}"
    payload = "\\N" if s.payload is None else f"\\\\x{s.payload.hex()}"
    return (
        f"s{s.tenant_id}\t{s.arrived_at.isoformat()}\t{s.trace_id}\t{s.span_id}\t{_text(s.name)}\t{s.started_at.isoformat()}\t"
        f"{_plain(s.parent_id)}\t{_plain(s.principal_id)}\t{_plain(s.key_id)}\t{s.duration_us}\t{_text(s.status)}\t"
        f"{_text(s.release)}\t{_plain(s.input_tokens)}\t{_plain(s.output_tokens)}\t{_plain(s.cost_micro_usd)}\t"
        f"{attributes}\t{documents}\t{payload}\n"
    ).encode()


def _attributes(given: dict[str, Any]) -> str:
    """As JSON that PostgreSQL takes: without NUL and halves of surrogate pairs."""
    try:
        text = orjson.dumps(given, default=str, option=orjson.OPT_NON_STR_KEYS).decode()
    except TypeError:  # half of a pair, or a number that is longer than others
        text = json.dumps(given, default=str, ensure_ascii=False).encode("utf-8", "replace").decode()
    return _NUL.sub(r"\1", text) if "\\u0000" in text else text


def within_bounds(record: bytes) -> bytes:
    """A journal record with each number as near as its column holds it; itself where that changes nothing."""
    return b"".join(_within_bounds(line) for line in record.splitlines(keepends=True))


def _within_bounds(line: bytes) -> bytes:
    mark, text = line[:1], line[1:].removesuffix(b"\n")
    if mark == USAGE:
        try:
            values = json.loads(line)
        except ValueError:
            return line
        held = [_nearest(name, value) for name, value in zip(UsageRow.__struct_fields__, values, strict=False)]
        return line if held == values else _encode_lines((held,))
    names = UsageRow.__struct_fields__ if mark == ODD_USAGE else _SPAN_FIELDS
    cells = text.split(b"\t")
    for at, (name, cell) in enumerate(zip(names, cells, strict=False)):
        if name in _BITS and cell.removeprefix(b"-").isdigit():
            cells[at] = b"%d" % _nearest(name, int(cell))
    return mark + b"\t".join(cells) + b"\n"


def _nearest(name: str, value: Any) -> Any:  # noqa: ANN401 -- of any column
    if name not in _BITS or not isinstance(value, int):
        return value
    most = 2 ** (_BITS[name] - 1) - 1
    return max(-most, min(most, value))


class Batch(NamedTuple):
    """Journal records as bodies for COPY: usage as CSV, odd usage and spans as text."""

    usage: bytes
    odd_usage: bytes
    spans: bytes


def requests(record: bytes) -> list[bytes]:
    """A record for each of its requests: a usage line with the spans that follow it."""
    found: list[bytes] = []
    for line in record.splitlines(keepends=True):
        if found and line[:1] == SPAN:
            found[-1] += line
        else:
            found.append(line)
    return found


def split(records: Iterable[bytes]) -> dict[str, Batch]:
    """The lines of many journal records, as COPY takes them, by the month of their arrival (UTC): `2026-11`.

    Requests that ended together stand in the month of the first: there is hardly ever another, and no partition takes
    what is not its own. What is no line of ours stands under something that is no month; ValueError for one with
    another mark.
    """
    found: dict[str, dict[bytes, list[bytes]]] = {}
    for record in records:
        is_plain = record[:1] == USAGE and not (b"\n" + ODD_USAGE in record or b"\n" + SPAN in record)
        for lines in (record,) if is_plain else record.splitlines(keepends=True):
            mark = lines[:1]
            if mark not in _MONTH:
                raise ValueError(f"A line of {len(lines)} bytes has a mark that nobody knows.")
            month = lines[_MONTH[mark]].decode("ascii", "replace")
            if month not in found:
                found[month] = {USAGE: [], ODD_USAGE: [], SPAN: []}
            found[month][mark].append(lines.replace(b"]\n[", b"\n")[1:-2] + b"\n" if mark == USAGE else lines[1:])
    return {
        month: Batch(b"".join(lines[USAGE]), b"".join(lines[ODD_USAGE]), b"".join(lines[SPAN]))
        for month, lines in found.items()
    }

"""Judgements as files: our own JSON lines, and those of others."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields
from types import MappingProxyType
from typing import Any
from uuid import UUID

import msgspec

from headworks.errors import InvalidRequest
from headworks.review.contract import Given, Judgement, Verdict
from headworks.strict_yaml import nearest

Rows = list[tuple[str, Judgement]]

PREFERENCE = "preference"
"""The metric of judgements that say which of two answers is better."""
_PANDALM: Mapping[int, Verdict] = MappingProxyType({0: "tie", 1: "first", 2: "second"})
_KEYS = ("rater", *(each.name for each in fields(Judgement)))
_TOLD = ("kind", "is_blind", "id", "made_at", "replaces", "erased")


def write_judgements(rows: Sequence[Given]) -> bytes:
    """One line a judgement, with its rater; `read_judgements` reads it."""
    lines = [json.dumps(line_of(each), ensure_ascii=False, default=str) for each in rows]
    return "".join(f"{line}\n" for line in lines).encode()


def line_of(given: Given) -> dict[str, Any]:
    """As JSON says it."""
    said = {
        key: value for key, value in msgspec.to_builtins(given.judgement).items() if value not in (None, "", [], {})
    }
    return {
        "id": str(given.id),
        "rater": given.rater,
        "kind": given.kind,
        "is_blind": given.is_blind,
        "made_at": given.made_at.isoformat(),
        **({"erased": True} if given.is_erased else {}),
        **({"withheld": True} if given.is_withheld else {}),
        **said,
    }


def read_judgements(path: str, content: bytes) -> Rows:
    """Our own lines. Raises InvalidRequest with file and line."""
    rows: Rows = []
    for number, raw in enumerate(content.removeprefix(b"\xef\xbb\xbf").split(b"\n"), 1):
        if raw.strip():
            rows.append(_row(f"{path}:{number}", raw))
    return rows


def _row(where: str, raw: bytes) -> tuple[str, Judgement]:
    try:
        said = json.loads(raw)
    except (ValueError, RecursionError):
        raise InvalidRequest(f"{where}: not JSON.", next_step="Each line is one JSON object.") from None
    if not isinstance(said, dict):
        raise InvalidRequest(f"{where}: not a JSON object.")
    if said.get("withheld"):
        raise InvalidRequest(
            f"{where}: what was written of it was withheld from who exported it.",
            next_step="Have it exported by somebody who may read what the answer rests on.",
        )
    for key in said:
        if key not in _KEYS and key not in _TOLD:
            raise InvalidRequest(f"{where}: `{key}` is unknown.", next_step=nearest(key, _KEYS))
    rater = said.get("rater")
    if not isinstance(rater, str):
        raise InvalidRequest(f"{where}: `rater` is missing.", next_step="Name who judged.")
    try:
        plain = {key: value for key, value in said.items() if key in _KEYS and key != "rater"}
        return rater.removeprefix("import:"), msgspec.convert(plain, Judgement)
    except msgspec.ValidationError as error:
        raise InvalidRequest(f"{where}: {error}.") from None


def read_pandalm(path: str, content: bytes) -> Rows:
    """PandaLM's test set: three raters on each pair of answers; 0 is a tie, 1 the first, 2 the second."""
    try:
        pairs = msgspec.json.decode(content, type=list[dict[str, Any]])
        return [
            (f"pandalm/{rater}", Judgement(f"pandalm:{pair['idx']}", PREFERENCE, _PANDALM[pair[rater]]))
            for pair in pairs
            for rater in ("annotator1", "annotator2", "annotator3")
        ]
    except (msgspec.DecodeError, KeyError, TypeError) as error:
        raise InvalidRequest(
            f"{path}: not a test set of PandaLM ({type(error).__name__}).",
            next_step="It is a list of objects with `idx` and `annotator1` to `annotator3`.",
        ) from None


READERS: Mapping[str, Callable[[str, bytes], Rows]] = MappingProxyType(
    {"jsonl": read_judgements, "pandalm": read_pandalm}
)
"""Formats of files by name."""


def parse_trace(value: str | None) -> UUID | None:
    """A trace's id. Raises InvalidRequest."""
    try:
        return None if value is None else UUID(value)
    except ValueError:
        raise InvalidRequest(f"`{value}` is no trace.", param="trace") from None

"""What is known about a document beside its text: checked, and stored so that each value compares as what it is.

A value is text, a number, a truth value, a date, or a list of those. A text in the form of a date is one: it is stored
as `{"at": microseconds since 1970 in UTC, "as": the text}`, so that it compares as a date and is shown as written.
"""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Iterable, Mapping
from typing import Any, NoReturn

import orjson

from headworks.errors import InvalidRequest
from headworks.types.filters import DATE_FACTS, KEY, LARGEST_NUMBER, TEXT_FACTS, Scalar, moment
from headworks.types.storable import UNSTORABLE

MOST_KEYS = 50
MOST_BYTES = 16 << 10
"""Of all keys and values of a document, as JSON."""
LONGEST_TEXT = 1_000
MOST_VALUES = 100
"""In a list."""
OWN_NAMES = (*TEXT_FACTS, *DATE_FACTS)
"""What filters call the document's own facts: no metadata can have these names."""
_NOT_IN_KEYS = re.compile(r"[^\w.-]+")
DAY_US = 86_400_000_000
"""Microseconds of a day."""


def given_metadata(value: object) -> dict[str, Any]:
    """What a caller says of a document, as it is stored. Raises InvalidRequest that names the key."""
    if not isinstance(value, dict):
        _refuse("`metadata` must be a JSON object.")
    if len(value) > MOST_KEYS:
        _refuse(f"`metadata` has {len(value)} keys, at most {MOST_KEYS}.")
    stored = {_given_key(key): _given_value(key, each) for key, each in value.items()}
    if len(orjson.dumps(stored)) > MOST_BYTES:
        _refuse(f"`metadata` has more than {MOST_BYTES >> 10} KB.")
    return stored


def parsed_metadata(found: Mapping[str, Any]) -> dict[str, Any]:
    """What a file says of itself, as it is stored: what can't be is left out, since nobody asked for it."""
    stored: dict[str, Any] = {}
    size = 2
    for name, value in list(found.items())[: 4 * MOST_KEYS]:
        key = unicodedata.normalize("NFC", _NOT_IN_KEYS.sub("_", str(name).strip()))
        kept = _kept(value)
        if kept is None or key in OWN_NAMES or not KEY.fullmatch(key) or len(stored) == MOST_KEYS:
            continue
        size += len(orjson.dumps({key: kept}))
        if size > MOST_BYTES:
            break
        stored[key] = kept
    return stored


def shown(stored: Mapping[str, Any]) -> dict[str, Any]:
    """Metadata as it was written."""
    return {key: [_shown(each) for each in value] if isinstance(value, list) else _shown(value)
            for key, value in stored.items()}  # fmt: skip


def _shown(value: Any) -> Any:  # noqa: ANN401 -- a stored scalar, and what was written
    return value["as"] if isinstance(value, dict) else value


def _given_key(key: object) -> str:
    name = unicodedata.normalize("NFC", key) if isinstance(key, str) else ""
    if not KEY.fullmatch(name):
        _refuse(
            f"`metadata`: {str(key)[:80]!r} can't be a key.",
            "A key begins with a letter and has letters, digits, `_`, `-` and `.`, at most 64.",
        )
    if name in OWN_NAMES:
        _refuse(f"`metadata.{name}` can't be set: it is a fact of the document itself.", "Choose another key.")
    return name


def _given_value(key: str, value: object) -> Any:  # noqa: ANN401 -- as it is stored
    if not isinstance(value, list):
        return _given_scalar(key, value)
    if len(value) > MOST_VALUES:
        _refuse(f"`metadata.{key}` lists {len(value)} values, at most {MOST_VALUES}.")
    return [_given_scalar(key, each) for each in value]


def _given_scalar(key: str, value: object) -> Any:  # noqa: ANN401 -- as it is stored
    if isinstance(value, str):
        if len(value) > LONGEST_TEXT:
            _refuse(f"`metadata.{key}` has {len(value):,} characters, at most {LONGEST_TEXT:,}.")
        if UNSTORABLE.search(value):
            _refuse(f"`metadata.{key}` holds a NUL or half a character.")
    elif not isinstance(value, bool | int | float) or not is_number_storable(value):
        _refuse(
            f"`metadata.{key}` must be text, a number, true or false, a date, or a list of those.",
            "Leave the key out where there is no value.",
        )
    return _stored(value)


def is_number_storable(value: float) -> bool:
    """Whether it is finite, and no larger than what every program reads the same."""
    return math.isfinite(value) and abs(value) <= LARGEST_NUMBER


def _kept(value: object) -> Any:  # noqa: ANN401 -- as it is stored; None: it can't be
    if isinstance(value, list | tuple):
        return [each for each in map(_kept_scalar, _first(value)) if each is not None] or None
    return _kept_scalar(value)


def _first(values: Iterable[object]) -> Iterable[object]:
    return list(values)[:MOST_VALUES]


def _kept_scalar(value: object) -> Any:  # noqa: ANN401 -- as it is stored; None: it can't be
    if isinstance(value, str):
        text = UNSTORABLE.sub("", value).strip()[:LONGEST_TEXT]
        return _stored(text) if text else None
    return value if isinstance(value, bool | int | float) and is_number_storable(value) else None


def _stored(value: Scalar) -> Any:  # noqa: ANN401 -- a scalar, or a date as an object
    if isinstance(value, str):
        text = unicodedata.normalize("NFC", value)
        found = moment(text)
        return text if found is None else {"at": found[0], "as": text}
    return value


def _refuse(what: str, next_step: str = "") -> NoReturn:
    raise InvalidRequest(what, next_step=next_step, param="metadata")

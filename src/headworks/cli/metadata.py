"""Metadata of documents, given as `KEY=VALUE`."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import NoReturn

from headworks.cli.json_values import Json, JsonObject
from headworks.errors import InvalidRequest


def metadata_of(given: Iterable[str] | None) -> JsonObject | None:
    """The object that the API takes; None when the option was not given. Raises InvalidRequest.

    A value is what JSON makes of it (`2024`, `true`, `["a", "b"]`, `"2024"` in quotes), else text as it stands; dates
    are text that the server knows. A key that is given several times has a list of its values.
    """
    if given is None:
        return None
    values: dict[str, list[Json]] = {}
    for each in given:
        key, sign, text = each.partition("=")
        if not sign or not key.strip():
            raise InvalidRequest(
                f"--metadata {each[:100]!r} names no key and value.",
                next_step="Like --metadata year=2024 --metadata department=claims.",
                param="metadata",
            )
        values.setdefault(key.strip(), []).append(_value(text))
    return {key: found[0] if len(found) == 1 else found for key, found in values.items()}


def _value(text: str) -> Json:
    try:
        found = json.loads(text, parse_constant=_no_number)
    except ValueError:
        return text
    return text if found is None else found


def _no_number(name: str) -> NoReturn:
    raise ValueError(name)

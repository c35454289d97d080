"""JSON, YAML and front matter as other tools write them: lenient, as theirs are."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from headworks.errors import InvalidRequest

FRONT = re.compile(r"\A---[ \t]*\r?\n(.*?)^---[ \t]*$\r?\n?", re.MULTILINE | re.DOTALL)


def json_of(text: str) -> Any:  # noqa: ANN401 -- any JSON
    """Raises InvalidRequest for no JSON."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        raise InvalidRequest("The file is no JSON.") from None


def json_lines(text: str) -> list[Any]:
    """One JSON value, or several, one a line."""
    whole = json_or_none(text)
    if whole is not None:
        return [whole]
    return [json_of(line) for line in text.split("\n") if line.strip()] or [json_of(text)]


def json_or_none(text: str) -> Any:  # noqa: ANN401 -- any JSON
    """None for no JSON."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def yaml_or_none(text: str) -> Any:  # noqa: ANN401 -- any YAML
    """With texts for dates and the like; None for no YAML."""
    try:
        return _bare(YAML(typ="safe", pure=True).load(io.StringIO(text)))
    except (YAMLError, ValueError, RecursionError):
        return None


def _bare(value: Any) -> Any:  # noqa: ANN401 -- any YAML
    if isinstance(value, Mapping):
        return {str(key): _bare(each) for key, each in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, str | bytes):
        return [_bare(each) for each in value]
    return value if value is None or isinstance(value, bool | int | float | str) else str(value)

"""Variables in promptfoo's templates: `{{ name }}`, `{{ a.b }}` and `{% raw %}`, and nothing that computes."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from headworks.evaluation.scorers.checks import as_written

_PART = re.compile(
    r"\{%-?\s*raw\s*-?%\}(?P<raw>.*?)\{%-?\s*endraw\s*-?%\}|"
    r"\{\{-?\s*(?P<path>[A-Za-z_][A-Za-z0-9_.]*)\s*-?\}\}|(?P<other>\{\{|\{%|\{#)",
    re.DOTALL,
)


class NotPlain(Exception):
    """A template that does more than name variables."""


def filled(template: str, variables: Mapping[str, Any]) -> str:
    """With its variables, an unknown one as nothing. Raises NotPlain for filters, blocks and comments."""

    def put(found: re.Match[str]) -> str:
        if found["other"]:
            raise NotPlain(template)
        if found["path"] is None:
            return found["raw"]
        value: Any = variables
        for step in found["path"].split("."):
            value = value.get(step) if isinstance(value, Mapping) else None
        return "" if value is None else as_written(value)

    return _PART.sub(put, template)

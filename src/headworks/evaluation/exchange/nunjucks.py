"""promptfoo's templates: `{{ name }}`, `{{ a.b[0] }}`, a few filters, `if`, `{% raw %}`; nothing else computes."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from headworks.evaluation.exchange.javascript import as_text, is_true
from headworks.evaluation.scorers.checks import as_written

_PATH = r"[A-Za-z_]\w*(?:\.\w+|\[(?:\d+|'[^']*'|\"[^\"]*\")\])*"
_PART = re.compile(
    r"\{%-?\s*raw\s*-?%\}(?P<raw>.*?)\{%-?\s*endraw\s*-?%\}|\{#.*?#\}|"
    rf"\{{\{{-?\s*(?P<path>{_PATH})(?P<filters>(?:\s*\|\s*\w+)*)\s*-?\}}\}}|"
    rf"\{{%-?\s*(?:(?P<if>if|elif|elseif)\s+(?P<not>not\s+)?(?P<condition>{_PATH})|(?P<else>else)|(?P<end>endif))\s*-?%\}}|"
    r"(?P<other>\{\{|\{%|\{#)",
    re.DOTALL,
)
_PARTIAL = re.compile(r"\{%[^%]*$|\{\{[^}]*$|\{#[^#]*$", re.MULTILINE)
_STEP = re.compile(r"\.(\w+)|\[(\d+)\]|\['([^']*)'\]|\[\"([^\"]*)\"\]")
_TRIMMED = re.compile(r"\{[{%]-|-[%}]\}")


class NotPlain(Exception):
    """A template that does more than is read here."""


def filled(template: str, variables: Mapping[str, Any]) -> str:
    """With its variables, an unknown one as nothing. Raises NotPlain for what is not read here."""
    if "{{" not in template and "{%" not in template and "{#" not in template:
        return template
    if _TRIMMED.search(template):
        raise NotPlain(template)
    return "".join(_Filling(template, variables))


def wrapped(template: str) -> str:
    """A prompt or variable as it is, if a tag in it is not closed on its line: that is no template."""
    is_raw = re.search(r"\{%\s*raw\s*%\}", template) and re.search(r"\{%\s*endraw\s*%\}", template)
    return f"{{% raw %}}{template}{{% endraw %}}" if _PARTIAL.search(template) and not is_raw else template


class _Filling:
    def __init__(self, template: str, variables: Mapping[str, Any]) -> None:
        self._template = template
        self._variables = variables
        self._branches: list[tuple[bool, bool]] = []
        """Of each open `if`: whether this branch is shown, and whether one was already."""

    def __iter__(self) -> Iterator[str]:
        end = 0
        for found in _PART.finditer(self._template):
            yield from self._shown(self._template[end : found.start()])
            if found["other"]:
                raise NotPlain(self._template)
            if found["if"] or found["else"] or found["end"]:
                self._branch(found)
            elif found["raw"] is not None:
                yield from self._shown(found["raw"])
            elif found["path"] is not None and self._is_shown():
                yield self._expression(found["path"], found["filters"])
            end = found.end()
        if self._branches:
            raise NotPlain(self._template)
        yield self._template[end:]

    def _shown(self, text: str) -> Iterator[str]:
        if self._is_shown():
            yield text

    def _is_shown(self) -> bool:
        return all(is_open for is_open, _ in self._branches)

    def _branch(self, found: re.Match[str]) -> None:
        if found["if"] == "if":
            is_open = self._holds(found)
            self._branches.append((is_open, is_open))
            return
        if not self._branches:
            raise NotPlain(self._template)
        _, was_open = self._branches.pop()
        if not found["end"]:
            is_open = not was_open and (bool(found["else"]) or self._holds(found))
            self._branches.append((is_open, was_open or is_open))

    def _holds(self, found: re.Match[str]) -> bool:
        return is_true(self._value(found["condition"])) is not bool(found["not"])

    def _expression(self, path: str, filters: str) -> str:
        value = self._value(path)
        for name in filters.replace(" ", "").split("|")[1:]:
            if name not in _FILTERS or (value is None and name != "dump"):
                raise NotPlain(self._template)
            value = _FILTERS[name](value)
        return as_text(value)

    def _value(self, path: str) -> Any:  # noqa: ANN401 -- any variable
        root = re.match(r"\w+", path)
        name = root[0] if root else path
        if name == "env" and name not in self._variables:
            raise NotPlain(self._template)  # nobody knows the environment of the other tool
        value: Any = self._variables.get(name)
        for step in _STEP.finditer(path[len(name) :]):
            key = next(each for each in step.groups() if each is not None)
            if isinstance(value, Mapping):
                value = value.get(key)
            elif isinstance(value, list) and key.isdigit():
                value = value[int(key)] if int(key) < len(value) else None
            else:
                value = None
        return value


_FILTERS: Mapping[str, Callable[[Any], Any]] = {
    "upper": lambda value: as_text(value).upper(),
    "lower": lambda value: as_text(value).lower(),
    "trim": lambda value: as_text(value).strip(),
    "dump": lambda value: "" if value is None else as_written([value])[1:-1],
    "safe": lambda value: value,
    "length": lambda value: len(value) if isinstance(value, str | list | Mapping) else 0,
}

"""Files of Prompty itself: their model, tools and outputs are taken out and named."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from headworks.errors import InvalidRequest
from headworks.releases.prompts.importing.drafts import Draft
from headworks.releases.prompts.importing.texts import FRONT, yaml_or_none
from headworks.releases.prompts.inputs import KINDS, is_kind, refers

_ABOUT = frozenset(
    ("$schema", "name", "displayName", "description", "version", "authors", "tags", "metadata", "sample", "inputs",
     "template")
)  # fmt: skip
_OF_PROMPTY = {"model": "a route says that", "tools": "a feature says that", "outputs": "`output` in feature.yaml"}
_OTHER_KINDS = {"float": "number", "list": "array", "dict": "object", "bool": "boolean", "int": "integer"}
_JSON_KINDS = frozenset(("string", "integer", "number", "boolean", "array", "object"))
_NOT_TAKEN = frozenset(("image", "file", "audio"))
_REQUIRED = ("required", "is_required", "isRequired")
_ROLE_LINE = re.compile(r"^[ \t]*#?[ \t]*(system|developer|user|assistant)[ \t]*:[ \t]*$", re.MULTILINE | re.IGNORECASE)
_PICTURE = re.compile(r"!\[[^\]]*\]\([^)]+\)")


def read_prompty(text: str, name: str) -> list[Draft]:
    """The one prompt of a file, in version 1 or 2 of the format. Raises InvalidRequest."""
    front = FRONT.match(text)
    settings = (yaml_or_none(front[1]) if front[1].strip() else {}) if front else {}
    if not isinstance(settings, dict) or (front is None and text.startswith("---")):
        raise InvalidRequest("The front matter is no mapping between two lines of `---`.")
    draft = Draft(str(settings.get("name") or name))
    for key in sorted(settings.keys() - _ABOUT):
        draft.lose(f"`{key}`: {_OF_PROMPTY.get(key, 'no word for it here')}")
    body = text[front.end() :] if front else text
    _check_format(settings.get("template"), body)
    if _PICTURE.search(body):
        draft.lose("pictures (`![…](…)`): they stay text")
    for key, said in _entries(settings.get("inputs") or {}).items():
        if _take_input(draft, key, said):
            body = _without_line(body, key)
    _take_sections(draft, body)
    return [draft]


def _entries(raw: Any) -> dict[str, Any]:  # noqa: ANN401 -- any YAML
    """Inputs by name, however they are listed."""
    if isinstance(raw, dict) and isinstance(raw.get("properties"), list | dict):
        raw = raw["properties"]
    if isinstance(raw, list):
        raw = {each["name"]: each for each in raw if isinstance(each, dict) and "name" in each}
    if not isinstance(raw, dict):
        raise InvalidRequest("`inputs` is neither a mapping nor a list of inputs with names.")
    return {str(key): said for key, said in raw.items()}


def _take_input(draft: Draft, key: str, said: Any) -> bool:  # noqa: ANN401 -- any YAML
    """Add an input to the draft, or name it as lost; whether it is the conversation."""
    spec = said if isinstance(said, dict) else {"default": said}
    kind = str(spec.get("kind") or spec.get("type") or "string").lower()
    if kind in _NOT_TAKEN:
        draft.lose(f"the input `{key}`: {kind}s are not taken")
    elif kind == "thread":
        draft.inputs[key] = {"kind": "array", "from": "history"}
    else:
        told = _OTHER_KINDS.get(kind, kind if kind in _JSON_KINDS else "string")
        draft.inputs[key] = _written(draft, key, spec, told if isinstance(said, dict) else _kind_of(said))
    return kind == "thread"


def _written(draft: Draft, key: str, spec: Mapping[str, Any], kind: str) -> dict[str, Any]:
    """An input as our front matter has it."""
    made: dict[str, Any] = {"kind": kind}
    made |= {name: spec[name] for name in ("default", "from") if spec.get(name) is not None}
    if refers(made.get("default")):
        draft.lose(f"the default of `{key}`: it is read from a file or the environment")
        del made["default"]
    return made | ({"required": True} if any(spec.get(word) for word in _REQUIRED) else {})


def _kind_of(value: Any) -> str:  # noqa: ANN401 -- any YAML
    """Of an input that is told by its default alone."""
    return next((each for each in KINDS if value is not None and is_kind(value, each)), "string")


def _without_line(body: str, thread: str) -> str:
    """Earlier turns stand before the last question, wherever the template had them."""
    return re.sub(rf"^[ \t]*\{{\{{\s*{re.escape(thread)}\s*\}}\}}[ \t]*$", "", body, flags=re.MULTILINE)


def _take_sections(draft: Draft, body: str) -> None:
    marks = _ROLE_LINE.split(body)
    if marks[0].strip():
        draft.sections.append(("system", marks[0].strip("\n")))
    draft.sections += [(role.lower(), part.strip("\n")) for role, part in zip(marks[1::2], marks[2::2], strict=True)]


def _check_format(template: Any, body: str) -> None:  # noqa: ANN401 -- any YAML
    """Jinja is read, and of Mustache what says the same there. Raises InvalidRequest."""
    given = template.get("format", template.get("type")) if isinstance(template, dict) else template
    kind = str(given.get("kind") if isinstance(given, dict) else given or "jinja2")
    if kind == "jinja2" or (kind == "mustache" and not re.search(r"\{\{\s*[#^/>!&.{=]|\{[%#]", body)):
        return
    raise InvalidRequest(
        f"The template is written for `{kind[:30]}`, and does more than name variables.",
        next_step="Write it as Jinja: `{% if … %}`, `{% for … %}`, and `template: jinja2`.",
    )

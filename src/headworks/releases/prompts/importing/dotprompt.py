"""Dotprompt: front matter with Picoschema, and Handlebars."""

from __future__ import annotations

import re
from typing import Any

from headworks.errors import InvalidRequest
from headworks.releases.prompts.handlebars import as_jinja
from headworks.releases.prompts.importing.drafts import ROLES, Draft
from headworks.releases.prompts.importing.texts import FRONT, yaml_or_none

_INSTEAD = {"model": "a route says that", "config": "a route says that", "output": "`output` in feature.yaml"}
_KINDS = {"string": "string", "number": "number", "integer": "integer", "boolean": "boolean", "any": "object"}
_ROLE = re.compile(r"\{\{\s*role\s+[\"'](\w+)[\"']\s*\}\}")
_HISTORY = re.compile(r"\{\{\s*history\s*\}\}")


def read_dotprompt(text: str, name: str) -> list[Draft]:
    """The one prompt of a file. Raises InvalidRequest."""
    front = FRONT.match(text)
    settings = yaml_or_none(front[1]) if front and front[1].strip() else {}
    if not isinstance(settings, dict):
        raise InvalidRequest("The front matter is no mapping.")
    draft = Draft(str(settings.get("name") or name))
    for key in sorted(settings.keys() - {"name", "input", "description"}):
        draft.lose(f"`{key}`: {_INSTEAD.get(str(key), 'no word for it here')}")
    given = settings.get("input")
    if isinstance(given, dict):
        _picoschema(draft, given.get("schema"), given.get("default"))
    _take_sections(draft, text[front.end() :] if front else text)
    return [draft]


def _take_sections(draft: Draft, template: str) -> None:
    """What stands before the first role is the user's."""
    before, *marks = _ROLE.split(template)
    for said, part in zip(["user", *marks[::2]], [before, *marks[1::2]], strict=True):
        role = ROLES.get(said)
        if role is None:
            draft.lose(f"the role `{said[:30]}`")
        elif part.strip():
            _take_section(draft, role, part)


def _take_section(draft: Draft, role: str, part: str) -> None:
    written = as_jinja(part, draft.lose)
    if _HISTORY.search(part):
        draft.inputs["history"] = {"kind": "array", "from": "history"}
        written = _HISTORY.sub("", written)
    if written.strip():
        draft.sections.append((role, written.strip("\n")))


def _picoschema(draft: Draft, schema: Any, defaults: Any) -> None:  # noqa: ANN401 -- any YAML
    """Picoschema, or a JSON schema of an object: which inputs there are, and of which kinds."""
    if isinstance(schema, str):
        draft.lose(f"the schema `{schema[:50]}` is registered in code: its inputs are taken as texts")
        return
    defaults = defaults if isinstance(defaults, dict) else {}
    said = schema if isinstance(schema, dict) else {}
    is_json = isinstance(said.get("properties"), dict) and said.get("type", "object") == "object"
    needed = said.get("required") or () if is_json else None
    for key, value in (said["properties"] if is_json else said).items():
        _take_field(draft, str(key), value, is_needed=None if needed is None else key in needed)
    for name, value in defaults.items():
        spec = draft.inputs.setdefault(str(name), {"kind": "string"})
        spec.pop("required", None)
        spec["default"] = value


def _take_field(
    draft: Draft,
    key: str,
    said: Any,  # noqa: ANN401 -- any YAML
    *,
    is_needed: bool | None,
) -> None:
    """One field; Picoschema says in its name what it is, and with `?` that it may be left out."""
    name, _, shape = key.partition("(")
    bare = name.strip().rstrip("?")
    if not bare:
        draft.lose("`(*)`: an input has a name here")
        return
    if shape.startswith("enum") or (isinstance(said, dict) and "enum" in said):
        draft.lose(f"`{bare}`: only some values are allowed, which is not checked here")
    word = str(said.get("type") if isinstance(said, dict) else said).partition(",")[0].strip()
    kind = next((each for each in ("array", "object") if shape.startswith(each) or word == each), "")
    draft.inputs[bare] = {"kind": kind or _KINDS.get(word, "string")}
    if is_needed or (is_needed is None and not name.strip().endswith("?")):
        draft.inputs[bare]["required"] = True

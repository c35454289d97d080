"""promptfoo's prompts: texts, chats and those of a configuration, in Nunjucks."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from headworks.errors import InvalidRequest
from headworks.releases.prompts.importing.drafts import Draft, take_messages
from headworks.releases.prompts.importing.texts import json_or_none, yaml_or_none


def read_promptfoo(text: str, name: str) -> list[Draft]:
    """The prompts of a text, a chat or a configuration. Raises InvalidRequest."""
    value = yaml_or_none(text) if not text.lstrip().startswith(("[", "{%", "{{")) else json_or_none(text)
    if isinstance(value, dict) and "prompts" in value:
        return _configured(value, name)
    if isinstance(value, list):
        draft = Draft(name)
        take_messages(draft, value, lambda each: _nunjucks(draft, each))
        return [draft]
    parts = [part for part in re.split(r"^---[ \t]*$", text, flags=re.MULTILINE) if part.strip()]
    return _numbered([{"raw": part.strip("\n")} for part in parts], name)


def _configured(value: Mapping[str, Any], name: str) -> list[Draft]:
    """Those of a configuration; what else it says is named as lost."""
    prompts = value["prompts"] if isinstance(value["prompts"], list) else [value["prompts"]]
    left = ", ".join(f"`{key}`" for key in sorted(value.keys() - {"prompts", "description"}))
    drafts = _numbered(prompts, name)
    for each in drafts if left else ():
        each.lose(f"{left}: no part of a prompt")
    return drafts


def _numbered(entries: Sequence[Any], name: str) -> list[Draft]:
    """One takes the file's name, several a number each."""
    names = [name] if len(entries) == 1 else [f"{name}-{number}" for number in range(1, len(entries) + 1)]
    return [_entry(each, called) for each, called in zip(entries, names, strict=True)]


def _entry(entry: Any, name: str) -> Draft:  # noqa: ANN401 -- any YAML
    if isinstance(entry, dict):
        name = str(entry.get("label") or entry.get("id") or name)
        entry = entry.get("raw", entry.get("prompt", entry.get("id")))
    if not isinstance(entry, str):
        raise InvalidRequest(f"The prompt `{name[:50]}` holds no text.")
    if entry.startswith("file://") or re.fullmatch(r"[\w./*-]+\.(txt|md|json|ya?ml|js|mjs|cjs|ts|py|j2)(:\w+)?", entry):
        raise InvalidRequest(
            f"`{entry[:100]}` is another file.", next_step="Import that file itself; code can't be imported."
        )
    draft = Draft(name)
    if re.match(r"\s*\[\s*\{\s*\"role\"", entry) and json_or_none(entry) is None:
        draft.lose("messages that are no JSON before they are filled in: they stand as one text")
    value = json_or_none(entry) if entry.lstrip().startswith("[") else None
    if isinstance(value, list):
        take_messages(draft, value, lambda each: _nunjucks(draft, each))
    else:
        draft.sections.append(("user", _nunjucks(draft, entry)))
    return draft


def _nunjucks(draft: Draft, text: str) -> str:
    """Nunjucks is Jinja but for a few filters and the environment's variables."""
    if re.search(r"\{\{-?\s*env\.", text):
        draft.lose("`env.…`: no prompt reads the environment; it is an input named `env`")
    text = re.sub(r"\|\s*dump\b(\([^)]*\))?", "| tojson", text)
    return text.replace("{{ context.vars.", "{{ ").replace("{{context.vars.", "{{")

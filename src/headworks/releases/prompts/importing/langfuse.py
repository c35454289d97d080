"""Langfuse's prompts, as files and as its API lists them: `{{variable}}` and places for messages."""

from __future__ import annotations

import re
from typing import Any

from headworks.errors import InvalidRequest
from headworks.releases.prompts.importing.drafts import Draft, plain, take_messages
from headworks.releases.prompts.importing.texts import json_of

_SIMPLE = re.compile(r"\{\{\s*([^{}]+?)\s*\}\}")


def read_langfuse(text: str, name: str) -> list[Draft]:
    """One prompt, a list of them, or what the API lists. Raises InvalidRequest."""
    value = json_of(text)
    if isinstance(value, dict) and "prompt" not in value and isinstance(value.get("data"), list):
        value = value["data"]  # as its API lists them
    rows = value if isinstance(value, list) else [value]
    return [_langfuse_entry(row, name) for row in rows]


def _langfuse_entry(row: Any, name: str) -> Draft:  # noqa: ANN401 -- any JSON
    if not isinstance(row, dict) or "prompt" not in row:
        raise InvalidRequest("A Langfuse prompt has `name`, `type` and `prompt`.")
    draft = Draft(str(row.get("name") or name))
    for key in ("config", "labels", "tags", "version", "commitMessage"):
        if row.get(key):
            draft.lose(f"`{key}`: {_INSTEAD.get(key, 'there is no word for it in a prompt')}")
    if isinstance(row["prompt"], str):
        draft.sections.append(("user", _mustache(draft, row["prompt"])))
    else:
        take_messages(draft, _without_placeholders(draft, row["prompt"]), lambda each: _mustache(draft, each))
    return draft


_INSTEAD = {
    "config": "a route says which model and how",
    "labels": "channels say what is live",
    "version": "a release has a digest",
}


def _without_placeholders(draft: Draft, messages: Any) -> Any:  # noqa: ANN401 -- any JSON
    if not isinstance(messages, list):
        return messages
    kept = []
    for each in messages:
        if isinstance(each, dict) and each.get("type") == "placeholder":
            draft.lose(
                f"the placeholder `{str(each.get('name'))[:50]}` became the conversation before the last question"
            )
            draft.inputs["history"] = {"kind": "array", "from": "history"}
        else:
            kept.append(each)
    return kept


def _mustache(draft: Draft, text: str) -> str:
    """Langfuse's only construct is `{{variable}}`; whatever else looks like a template is text."""
    out, end = [], 0
    if "@@@langfusePrompt:" in text:
        draft.lose("`@@@langfusePrompt:…@@@`: a prompt is one file here; write the other one's text in its place")
    for found in _SIMPLE.finditer(text):
        if not re.match(r"\w", found[1]):
            continue
        out.append(plain(text[end : found.start()]))
        word = draft.word_for(found[1])
        if word != found[1]:
            draft.lose(f"the variable `{found[1][:50]}` is called `{word[:50]}` now")
        out.append(f"{{{{ {word} }}}}")
        end = found.end()
    return "".join([*out, plain(text[end:])])

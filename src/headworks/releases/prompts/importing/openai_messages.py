"""OpenAI's messages, as chats and as responses have them: plain text, in which nothing is a template."""

from __future__ import annotations

from typing import Any

from headworks.releases.prompts.importing.drafts import Draft, plain, take_messages
from headworks.releases.prompts.importing.texts import json_lines


def read_openai(text: str, name: str) -> list[Draft]:
    """One request, or several, one a line. Raises InvalidRequest."""
    rows = json_lines(text)
    return [_openai_entry(row, f"{name}-{number}" if len(rows) > 1 else name) for number, row in enumerate(rows, 1)]


def _openai_entry(value: Any, name: str) -> Draft:  # noqa: ANN401 -- any JSON
    draft = Draft(name)
    messages = value
    if isinstance(value, dict):
        messages = value.get("messages", value.get("input"))
        for key in sorted(value.keys() - {"messages", "input", "instructions"}):
            draft.lose(f"`{key}`: a route or a feature says that here")
        if isinstance(value.get("instructions"), str):
            draft.sections.append(("system", plain(value["instructions"])))
        if isinstance(messages, str):
            messages = [{"role": "user", "content": messages}]
    take_messages(draft, messages, plain)
    return draft

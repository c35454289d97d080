"""A prompt of another tool on its way to ours: its sections, its inputs, and what was lost."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from headworks.errors import InvalidRequest

ROLES = {"system": "system", "developer": "developer", "user": "user", "assistant": "assistant", "model": "assistant"}
"""What others call who speaks, and what we do."""
_KEYWORDS = frozenset(("and", "or", "not", "in", "is", "if", "else", "true", "false", "none", "loop", "knowledge"))


@dataclass(slots=True)
class Draft:
    """A prompt on its way: roles with templates, inputs by name as front matter shows them, what was lost."""

    name: str
    sections: list[tuple[str, str]] = field(default_factory=list)
    inputs: dict[str, dict[str, Any]] = field(default_factory=dict)
    losses: list[str] = field(default_factory=list)

    words: dict[str, str] = field(default_factory=dict)
    """What variables are called that had names of another kind."""

    def lose(self, what: str) -> None:
        """Name what has no word here, once."""
        if what not in self.losses:
            self.losses.append(what)

    def word_for(self, name: str) -> str:
        """A name that may stand in a template, each its own."""
        word = re.sub(r"\W", "_", name)
        word = word if word.isidentifier() and word not in _KEYWORDS else f"v_{word}"
        while self.words.setdefault(word, name) != name:
            word += "_"
        return word


def plain(text: str) -> str:
    """A text in which nothing is a template."""
    return re.sub(r"\{[{%#]|[%#}]\}", lambda found: f'{{{{ "{found[0]}" }}}}', text)


def take_messages(draft: Draft, messages: Any, written: Callable[[str], str]) -> None:  # noqa: ANN401 -- any JSON
    """Messages with `role` and `content` as sections, each text as `written` has it. Raises InvalidRequest."""
    if not isinstance(messages, list) or not messages:
        raise InvalidRequest("A list of messages with `role` and `content` is expected.")
    for index, each in enumerate(messages):
        if not isinstance(each, dict) or not isinstance(each.get("role"), str):
            raise InvalidRequest(f"`messages[{index}]` has no `role`.", param=f"messages[{index}]")
        role = ROLES.get(each["role"])
        for key in sorted(each.keys() - {"role", "content", "type"}):
            draft.lose(f"messages[{index}].{key}")
        if role is None:
            draft.lose(f"messages[{index}]: the role `{each['role'][:30]}`")
            continue
        text = _text_of(draft, index, each.get("content"))
        if text or isinstance(each.get("content"), str):
            draft.sections.append((role, written(text)))


def _text_of(draft: Draft, index: int, content: Any) -> str:  # noqa: ANN401 -- any JSON
    if isinstance(content, str):
        return content
    if not isinstance(content, list):
        draft.lose(f"messages[{index}].content: no text")
        return ""
    texts = []
    for number, part in enumerate(content):
        if isinstance(part, dict) and isinstance(part.get("text"), str):
            texts.append(part["text"])
        else:
            kind = part.get("type") if isinstance(part, dict) else "part"
            draft.lose(f"messages[{index}].content[{number}]: `{str(kind)[:30]}` is no text")
    return "\n".join(texts)

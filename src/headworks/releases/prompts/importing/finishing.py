"""From a draft to a file of ours: every variable is an input, and one of them is what the user asks."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass

from headworks.errors import InvalidRequest, WorkspaceInvalid
from headworks.releases.prompts.importing.drafts import Draft
from headworks.releases.prompts.templates import parse_prompt, undeclared

QUESTIONS = ("question", "input", "query", "text", "prompt", "message", "user_input")
"""What others call what the user asks; the first one that is there binds to the last user message."""
_VARIABLE = re.compile(r"\{\{-?\s*([A-Za-z_][A-Za-z0-9_]*)")


@dataclass(frozen=True, slots=True)
class Imported:
    """One prompt as a file of ours, and what of it was lost."""

    name: str
    text: str
    losses: tuple[str, ...]


def finished(draft: Draft, question: str | None) -> Imported:
    """The file. Raises InvalidRequest for a `question` that it does not ask for, WorkspaceInvalid for no prompt."""
    if not any(role == "user" for role, _ in draft.sections):
        draft.lose("there was no user message: the caller's question was added as one")
        draft.sections.append(("user", "{{ question }}"))
    body = "\n\n".join(f"{role}:\n{_guarded(text)}" for role, text in draft.sections)
    for each in _variables(body):
        if each not in draft.inputs:
            draft.inputs[each] = {"kind": _kind_in(body, each)}
    _bind_question(draft, question)
    if "{{ question }}" not in body and "question" in draft.inputs and draft.inputs["question"].pop("added", False):
        role, last = draft.sections[-1]
        draft.lose("no variable holds what the user asks: `{{ question }}` was added at the end")
        body += f"\n{'' if role == 'user' and not last else chr(10)}" + (
            "{{ question }}" if role == "user" else "user:\n{{ question }}"
        )
    front = "".join(f"  {name}: {json.dumps(spec, ensure_ascii=False)}\n" for name, spec in draft.inputs.items())
    text = f"---\nname: {json.dumps(draft.name, ensure_ascii=False)}\ninputs:\n{front}---\n{body}\n"
    parse_prompt(f"{draft.name}.prompty", text)
    return Imported(_file_name(draft.name), text, tuple(draft.losses))


def _file_name(name: str) -> str:
    """A name that is a file's in every folder."""
    return re.sub(r"[^\w.-]+", "-", name).strip("-.")[:60] or "prompt"


def _variables(body: str) -> list[str]:
    """What the template names and does not make itself, in its order."""
    try:
        free = undeclared(body)
    except WorkspaceInvalid:
        free = set(_VARIABLE.findall(body))
    return sorted(free, key=lambda name: (found.start() if (found := re.search(rf"\b{name}\b", body)) else 0, name))


def _kind_in(body: str, name: str) -> str:
    """By what the template does with it."""
    if re.search(rf"\bin\s+{name}\s*[%|]", body):
        return "array"
    return "object" if re.search(rf"\b{name}\.\w", body) else "string"


def _bind_question(draft: Draft, question: str | None) -> None:
    if question is not None and question not in draft.inputs:
        raise InvalidRequest(
            f"The prompt has no variable `{question}`.", next_step=f"It has: {', '.join(draft.inputs)}."
        )
    if any(each.get("from") == "question" for each in draft.inputs.values()):
        return
    texts = [name for name, each in draft.inputs.items() if each.get("kind") == "string" and "from" not in each]
    chosen = question or next((name for name in QUESTIONS if name in texts), texts[0] if len(texts) == 1 else None)
    if chosen is None:
        draft.inputs["question"] = {"kind": "string", "from": "question", "added": True}
    else:
        kept = {key: value for key, value in draft.inputs[chosen].items() if key not in {"default", "required"}}
        draft.inputs[chosen] = kept | {"from": "question"}


def _guarded(text: str) -> str:
    """The text with no line that would open a role of its own."""
    return re.sub(
        r"^([ \t]*#?[ \t]*)(system|developer|user|assistant)([ \t]*):([ \t]*)$", r"\1\2\3:{{ '' }}\4", text,
        flags=re.MULTILINE | re.IGNORECASE,
    ).strip("\n")  # fmt: skip

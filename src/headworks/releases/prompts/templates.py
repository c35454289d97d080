"""Prompts: `.prompty` files (Markdown with front matter), rendered with minijinja under a fuel limit.

Inputs are read as Prompty's version 2 writes them (a mapping, or a list with names), and as version 1 does (`type`).

A file is front matter between `---` lines, then sections that start with a line `system:`, `user:` or `assistant:`;
what stands before the first of them is `system`. Roles are split *before* rendering, so no value can open one.

    ---
    name: answer
    inputs:
      question: {kind: string, from: question}
      history:  {kind: array, from: history}      # earlier turns; they are put before the last user section
      passages: {kind: array, from: passages}     # each with number, title, section, text
      tone:     {kind: string, default: plain}    # others come in the call's `inputs`
    ---
    system:
    Answer from the passages …
    user:
    {{ question }}
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any, cast

from minijinja import Environment, TemplateError

from headworks.errors import InvalidRequest, WorkspaceInvalid
from headworks.releases.prompts.inputs import is_kind, read_inputs
from headworks.strict_yaml import nearest, read_yaml
from headworks.types.features import Feature, InputSpec
from headworks.types.models import Message, Prompt, Role
from headworks.types.retrieval import Passage, without_markers
from headworks.types.workspace import PromptFile

FUEL = 200_000
"""Steps of one rendering: thousands of passages fit, an endless loop does not."""
MAX_RENDERED = 4_000_000
"""Characters of one rendered section."""
ALWAYS = {"knowledge"}

_ROLE = re.compile(r"^[ \t]*#?[ \t]*(system|developer|user|assistant)[ \t]*:[ \t]*$", re.MULTILINE | re.IGNORECASE)
_ATTRIBUTED = re.compile(
    r"^[ \t]*(?:system|developer|user|assistant)\[[^\]\n]*\][ \t]*:[ \t]*$", re.MULTILINE | re.IGNORECASE
)
_FOREIGN_TAG = re.compile(r"\{%[-+]?\s*(include|import|extends|from)\b")
_FRONT = re.compile(r"\A---[ \t]*\r?\n(.*?)^---[ \t]*$\r?\n?", re.MULTILINE | re.DOTALL)


def parse_prompt(path: str, text: str) -> PromptFile:
    """A `.prompty` file, checked: its front matter, its roles, its syntax, and that it uses no variable it lacks."""
    text = text.replace("\r\n", "\n")
    front = _FRONT.match(text)
    if front is None:
        raise WorkspaceInvalid(f"{path}:1: front matter between two lines of `---` is missing.")
    inputs = read_inputs(read_yaml(path, front.group(1), first_line=2))
    body_line = text[: front.end()].count("\n") + 1
    template = _without_threads(path, text[front.end() :], inputs)
    known = {each.name for each in inputs} | ALWAYS
    sections = _split(path, template, body_line)
    for _role, body, line in sections:
        _check(path, body, line, known)
    sources = [each.source for each in inputs if each.source]
    for source in sources:
        if sources.count(source) > 1:
            raise WorkspaceInvalid(f"{path}:2: two inputs are `from: {source}`; one is the most.")
    if "question" not in sources:
        raise WorkspaceInvalid(
            f"{path}:2: no input is `from: question`.", next_step="Add `question: {kind: string, from: question}`."
        )
    return PromptFile(path, inputs, template)


def _without_threads(path: str, template: str, inputs: tuple[InputSpec, ...]) -> str:
    """Version 2 writes the place of earlier turns as a variable; they are put before the last user section here."""
    for each in inputs:
        if each.source == "history":
            lone = re.compile(rf"^[ \t]*\{{\{{-?\s*{each.name}\s*-?\}}\}}[ \t]*$", re.MULTILINE)
            last_user = max((mark.start() for mark in _ROLE.finditer(template) if "user" in mark[0].lower()), default=0)
            for found in lone.finditer(template):
                if template[found.end() : last_user].strip():
                    line = template[: found.start()].count("\n") + 1
                    raise WorkspaceInvalid(
                        f"{path}:{line}: `{each.name}` stands elsewhere than right before the last `user:`.",
                        next_step="Earlier turns are put there; remove the line.",
                    )
            template = lone.sub("", template)
    return template


def _split(path: str, template: str, first_line: int) -> list[tuple[Role, str, int]]:
    """(role, text, line of the file it starts at) in order."""
    if attributed := _ATTRIBUTED.search(template):
        line = first_line + template[: attributed.start()].count("\n")
        raise WorkspaceInvalid(f"{path}:{line}: a role takes no attributes here.", next_step="Remove the brackets.")
    marks = list(_ROLE.finditer(template))
    before = template[: marks[0].start()] if marks else template
    sections: list[tuple[Role, str, int]] = [("system", before, first_line)] if before.strip() else []
    for index, mark in enumerate(marks):
        end = marks[index + 1].start() if index + 1 < len(marks) else len(template)
        line = first_line + template[: mark.end()].count("\n")
        sections.append((cast("Role", mark.group(1).lower()), template[mark.end() : end], line))
    if not any(role == "user" for role, _, _ in sections):
        raise WorkspaceInvalid(f"{path}:{first_line}: the template has no `user:` section.")
    return sections


def _environment() -> Environment:
    return Environment(
        undefined_behavior="strict", fuel=FUEL, auto_escape_callback=lambda _: False, keep_trailing_newline=False
    )


def _check(path: str, body: str, line: int, known: set[str]) -> None:
    if foreign := _FOREIGN_TAG.search(body):
        at = line + body[: foreign.start()].count("\n")
        raise WorkspaceInvalid(f"{path}:{at}: `{foreign[1]}` is no part of a prompt: it is one file.")
    environment = _environment()
    try:
        environment.add_template(path, body)
        unknown = environment.undeclared_variables_in_str(body) - known - set(environment.globals)
    except TemplateError as error:
        raise WorkspaceInvalid(f"{path}:{line + (error.line or 1) - 1}: {_short(error)}.") from None
    if unknown:
        name = min(unknown)
        at = next((index for index, text in enumerate(body.split("\n")) if re.search(rf"\b{name}\b", text)), 0)
        raise WorkspaceInvalid(
            f"{path}:{line + at}: the template uses `{name}`, which is no input.", next_step=nearest(name, known)
        )


def undeclared(template: str) -> set[str]:
    """The variables that a template names and does not make itself. Raises WorkspaceInvalid for what is none."""
    environment = _environment()
    try:
        return environment.undeclared_variables_in_str(template) - ALWAYS - set(environment.globals)
    except TemplateError as error:
        raise WorkspaceInvalid(f"{_short(error)}.") from None


def _short(error: TemplateError) -> str:
    return str(error.detail or error.message).split("\n", 1)[0].rstrip(".")


@lru_cache(maxsize=512)
def _compiled(template: str) -> tuple[Environment, tuple[Role, ...]]:
    environment = _environment()
    roles: list[Role] = []
    for index, (role, body, _) in enumerate(_split("prompt", template, 1)):
        environment.add_template(str(index), body)
        roles.append(role)
    return environment, tuple(roles)


def check_inputs(feature: Feature, given: Mapping[str, Any]) -> dict[str, Any]:
    """The caller's `inputs` against the feature's; defaults filled in. Raises InvalidRequest naming the input."""
    own = {each.name: each for each in feature.inputs if each.source is None}
    for name in given:
        if name not in own:
            raise InvalidRequest(
                f"`inputs.{name}`: the feature `{feature.name}` has no such input.",
                next_step=nearest(name, own),
                param=f"inputs.{name}",
            )
    values: dict[str, Any] = {}
    for name, spec in own.items():
        value = given.get(name, spec.default)
        if value is None and spec.is_required:
            raise InvalidRequest(
                f"`inputs.{name}` is required by the feature `{feature.name}`.", param=f"inputs.{name}"
            )
        if value is not None and not is_kind(value, spec.kind):
            raise InvalidRequest(f"`inputs.{name}` must be of kind {spec.kind}.", param=f"inputs.{name}")
        values[name] = "" if value is None and spec.kind == "string" else value
    return values


def render(
    feature: Feature,
    question: str,
    history: Sequence[Message] = (),
    inputs: Mapping[str, Any] | None = None,
    passages: Sequence[Passage] = (),
) -> Prompt:
    """The prompt of one call; earlier turns go before the last user section.

    `inputs` are as `check_inputs` gives them, but that a guardrail may have put a text in the place of any value; None:
    the caller gave none. Raises InvalidRequest for inputs that are missing, and when the template burns its fuel.
    """
    values = {
        **(check_inputs(feature, {}) if inputs is None else inputs),
        "knowledge": [{"name": n, "text": t} for n, t in feature.knowledge],
    }
    for spec in feature.inputs:
        if spec.source == "question":
            values[spec.name] = question
        elif spec.source == "history":
            values[spec.name] = [{"role": each.role, "content": each.content} for each in history]
        elif spec.source == "passages":
            values[spec.name] = [_shown(each) for each in passages]
    environment, roles = _compiled(feature.template)
    messages = [
        Message(role, _render(environment, str(index), values, feature.name)) for index, role in enumerate(roles)
    ]
    if any(spec.source == "history" for spec in feature.inputs):
        last_user = max(index for index, role in enumerate(roles) if role == "user")
        messages[last_user:last_user] = history
    return Prompt(tuple(messages), tuple(passages), question)


def fill(prompt: PromptFile, values: Mapping[str, Any]) -> tuple[Message, ...]:
    """The messages of a prompt that is nobody's feature, such as a judge's; `values` has all that it uses.

    Raises InvalidRequest when the template burns its fuel.
    """
    environment, roles = _compiled(prompt.template)
    return tuple(Message(role, _render(environment, str(at), values, prompt.path)) for at, role in enumerate(roles))


def _shown(passage: Passage) -> dict[str, Any]:
    """What a template may show of it: nothing that the document says looks like a passage's number of ours."""
    return {
        "number": passage.number,
        "title": _on_a_line(passage.title),
        "section": _on_a_line(" › ".join(passage.section)),
        "text": without_markers(passage.text),
    }


def _on_a_line(text: str) -> str:
    return without_markers(" ".join(text.split()))


def _render(environment: Environment, name: str, values: Mapping[str, Any], feature: str) -> str:
    try:
        text = environment.render_template(name, **values).strip("\r\n")
    except TemplateError as error:
        raise InvalidRequest(
            f"The prompt of `{feature}` can't be rendered: {_short(error)}.",
            next_step="Its owner must mend the template; a loop may have used up its steps.",
            code="prompt_failed",
        ) from None
    if len(text) > MAX_RENDERED:
        raise InvalidRequest(
            f"The prompt of `{feature}` is longer than {MAX_RENDERED:,} characters.", code="prompt_failed"
        )
    return text

"""Prompts: `.prompty` files (version 2: Markdown with front matter), rendered with minijinja under a fuel limit.

A file is front matter between `---` lines, then sections that start with a line `system:`, `user:` or `assistant:`.
Roles are split *before* rendering, so no value can open a role of its own.

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
from headworks.releases.reading import Section, nearest, read_yaml
from headworks.types.features import Feature, InputSpec
from headworks.types.models import Message, Prompt, Role
from headworks.types.retrieval import Passage
from headworks.types.workspace import PromptFile

FUEL = 200_000
"""Steps of one rendering: thousands of passages fit, an endless loop does not."""
MAX_RENDERED = 4_000_000
"""Characters of one rendered section."""
KINDS = ("string", "integer", "number", "boolean", "array", "object")
SOURCES = ("question", "history", "passages")
ALWAYS = {"knowledge"}

_ROLE = re.compile(r"^(system|developer|user|assistant):[ \t]*$", re.MULTILINE)
_FRONT = re.compile(r"\A---[ \t]*\r?\n(.*?)^---[ \t]*$\r?\n?", re.MULTILINE | re.DOTALL)


def parse_prompt(path: str, text: str) -> PromptFile:
    """A `.prompty` file, checked: its front matter, its roles, its syntax, and that it uses no variable it lacks."""
    front = _FRONT.match(text)
    if front is None:
        raise WorkspaceInvalid(f"{path}:1: front matter between two lines of `---` is missing.")
    inputs = _inputs(read_yaml(path, front.group(1), first_line=2))
    body_line = text[: front.end()].count("\n") + 1
    template = text[front.end() :]
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


def _inputs(front: Section) -> tuple[InputSpec, ...]:
    for key in ("name", "description", "version", "template", "metadata", "authors", "tags", "sample"):
        front.raw(key)
    front.refuse("model", "tools", "outputs")
    found = []
    for name, section in front.sections("inputs"):
        if not name.isidentifier():
            section.complain(None, f"input {name!r} is no identifier.")
        kind = section.choice("kind", KINDS, "string")
        source = section.choice("from", SOURCES) if section.has("from") else None
        section.text("description", "")
        required = section.flag("required", default=False)
        default = section.raw("default")
        if default is not None and not _is_kind(default, kind):
            section.complain("default", f"the default of input `{name}` is no {kind}.")
        section.finish()
        found.append(InputSpec(name, cast("Any", kind), cast("Any", source), required, default))
    front.finish()
    return tuple(found)


def _split(path: str, template: str, first_line: int) -> list[tuple[Role, str, int]]:
    """(role, text, line of the file it starts at) in order."""
    marks = list(_ROLE.finditer(template))
    if not marks or template[: marks[0].start()].strip():
        raise WorkspaceInvalid(
            f"{path}:{first_line}: the template must start with `system:` or `user:` on a line of its own."
        )
    sections: list[tuple[Role, str, int]] = []
    for index, mark in enumerate(marks):
        end = marks[index + 1].start() if index + 1 < len(marks) else len(template)
        line = first_line + template[: mark.end()].count("\n")
        sections.append((cast("Role", mark.group(1)), template[mark.end() : end], line))
    if not any(role == "user" for role, _, _ in sections):
        raise WorkspaceInvalid(f"{path}:{first_line}: the template has no `user:` section.")
    return sections


def _environment() -> Environment:
    return Environment(
        undefined_behavior="strict", fuel=FUEL, auto_escape_callback=lambda _: False, keep_trailing_newline=False
    )


def _check(path: str, body: str, line: int, known: set[str]) -> None:
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


def _short(error: TemplateError) -> str:
    return str(error.detail or error.message).split("\n", 1)[0].rstrip(".")


def _is_kind(value: object, kind: str) -> bool:
    if kind == "boolean":
        return isinstance(value, bool)
    if isinstance(value, bool):
        return False
    kinds: dict[str, type | tuple[type, ...]] = {
        "string": str, "integer": int, "number": (int, float), "array": list, "object": dict,
    }  # fmt: skip
    return isinstance(value, kinds[kind])


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
        if value is not None and not _is_kind(value, spec.kind):
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


def _shown(passage: Passage) -> dict[str, Any]:
    return {
        "number": passage.number,
        "title": passage.title,
        "section": " › ".join(passage.section),
        "text": passage.text,
    }


def _render(environment: Environment, name: str, values: Mapping[str, Any], feature: str) -> str:
    try:
        text = environment.render_template(name, **values).strip()
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

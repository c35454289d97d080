"""Prompts of other tools as `.prompty` files: what has no word here is named, never dropped in silence. Pure.

Dotprompt (Handlebars, Picoschema), promptfoo (texts, chats, configurations; Nunjucks), Langfuse's prompt JSON
(`{{variable}}`), OpenAI's messages (plain text), and Prompty itself, with a model that belongs into a route.
"""

from __future__ import annotations

import io
import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from headworks.errors import InvalidRequest, WorkspaceInvalid
from headworks.releases.prompts.handlebars import as_jinja
from headworks.releases.prompts.inputs import KINDS, is_kind, refers
from headworks.releases.prompts.templates import parse_prompt, undeclared

FORMATS = ("dotprompt", "promptfoo", "langfuse", "openai", "prompty")
QUESTIONS = ("question", "input", "query", "text", "prompt", "message", "user_input")
"""What others call what the user asks; the first one that is there binds to the last user message."""

_KEYWORDS = frozenset(("and", "or", "not", "in", "is", "if", "else", "true", "false", "none", "loop", "knowledge"))
_VARIABLE = re.compile(r"\{\{-?\s*([A-Za-z_][A-Za-z0-9_]*)")
_SIMPLE = re.compile(r"\{\{\s*([^{}]+?)\s*\}\}")
_ROLES = {"system": "system", "developer": "developer", "user": "user", "assistant": "assistant", "model": "assistant"}
_FRONT = re.compile(r"\A---[ \t]*\r?\n(.*?)^---[ \t]*$\r?\n?", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True, slots=True)
class Imported:
    """One prompt as a file of ours, and what of it was lost."""

    name: str
    text: str
    losses: tuple[str, ...]


@dataclass(slots=True)
class _Draft:
    """A prompt on its way: roles with templates, inputs by name as front matter shows them, what was lost."""

    name: str
    sections: list[tuple[str, str]] = field(default_factory=list)
    inputs: dict[str, dict[str, Any]] = field(default_factory=dict)
    losses: list[str] = field(default_factory=list)

    words: dict[str, str] = field(default_factory=dict)
    """What variables are called that had names of another kind."""

    def lose(self, what: str) -> None:
        if what not in self.losses:
            self.losses.append(what)

    def word_for(self, name: str) -> str:
        """A name that may stand in a template, each its own."""
        word = re.sub(r"\W", "_", name)
        word = word if word.isidentifier() and word not in _KEYWORDS else f"v_{word}"
        while self.words.setdefault(word, name) != name:
            word += "_"
        return word


def import_prompts(text: str, source: str, name: str, question: str | None = None) -> list[Imported]:
    """All prompts of a file. `question` names the variable that holds what the user asks.

    Raises InvalidRequest for a file that is none of its format, WorkspaceInvalid where what comes out is no prompt.
    """
    readers: Mapping[str, Callable[[str, str], list[_Draft]]] = {
        "dotprompt": _dotprompt, "promptfoo": _promptfoo, "langfuse": _langfuse, "openai": _openai, "prompty": _prompty,
    }  # fmt: skip
    if source not in readers:
        raise InvalidRequest(f"Nothing here reads `{source[:50]}`.", next_step=f"Known: {', '.join(FORMATS)}.")
    drafts = readers[source](text.removeprefix("\ufeff").replace("\r\n", "\n"), name)
    if not drafts:
        raise InvalidRequest(f"There is no prompt in this file of {source}.")
    return [_finished(each, question) for each in drafts]


def _finished(draft: _Draft, question: str | None) -> Imported:
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


def _bind_question(draft: _Draft, question: str | None) -> None:
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


def _plain(text: str) -> str:
    """A text in which nothing is a template."""
    return re.sub(r"\{[{%#]|[%#}]\}", lambda found: f'{{{{ "{found[0]}" }}}}', text)


# ── OpenAI ──


def _openai(text: str, name: str) -> list[_Draft]:
    rows = _lines(text)
    return [_openai_entry(row, f"{name}-{number}" if len(rows) > 1 else name) for number, row in enumerate(rows, 1)]


def _openai_entry(value: Any, name: str) -> _Draft:  # noqa: ANN401 -- any JSON
    draft = _Draft(name)
    messages = value
    if isinstance(value, dict):
        messages = value.get("messages", value.get("input"))
        for key in sorted(value.keys() - {"messages", "input", "instructions"}):
            draft.lose(f"`{key}`: a route or a feature says that here")
        if isinstance(value.get("instructions"), str):
            draft.sections.append(("system", _plain(value["instructions"])))
        if isinstance(messages, str):
            messages = [{"role": "user", "content": messages}]
    _take_messages(draft, messages, _plain)
    return draft


def _take_messages(draft: _Draft, messages: Any, written: Callable[[str], str]) -> None:  # noqa: ANN401 -- any JSON
    if not isinstance(messages, list) or not messages:
        raise InvalidRequest("A list of messages with `role` and `content` is expected.")
    for index, each in enumerate(messages):
        if not isinstance(each, dict) or not isinstance(each.get("role"), str):
            raise InvalidRequest(f"`messages[{index}]` has no `role`.", param=f"messages[{index}]")
        role = _ROLES.get(each["role"])
        for key in sorted(each.keys() - {"role", "content", "type"}):
            draft.lose(f"messages[{index}].{key}")
        if role is None:
            draft.lose(f"messages[{index}]: the role `{each['role'][:30]}`")
            continue
        text = _text_of(draft, index, each.get("content"))
        if text or isinstance(each.get("content"), str):
            draft.sections.append((role, written(text)))


def _text_of(draft: _Draft, index: int, content: Any) -> str:  # noqa: ANN401 -- any JSON
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


# ── Langfuse ──


def _langfuse(text: str, name: str) -> list[_Draft]:
    value = _json(text)
    if isinstance(value, dict) and "prompt" not in value and isinstance(value.get("data"), list):
        value = value["data"]  # as its API lists them
    rows = value if isinstance(value, list) else [value]
    return [_langfuse_entry(row, name) for row in rows]


def _langfuse_entry(row: Any, name: str) -> _Draft:  # noqa: ANN401 -- any JSON
    if not isinstance(row, dict) or "prompt" not in row:
        raise InvalidRequest("A Langfuse prompt has `name`, `type` and `prompt`.")
    draft = _Draft(str(row.get("name") or name))
    for key in ("config", "labels", "tags", "version", "commitMessage"):
        if row.get(key):
            draft.lose(f"`{key}`: {_INSTEAD.get(key, 'there is no word for it in a prompt')}")
    if isinstance(row["prompt"], str):
        draft.sections.append(("user", _mustache(draft, row["prompt"])))
    else:
        _take_messages(draft, _without_placeholders(draft, row["prompt"]), lambda each: _mustache(draft, each))
    return draft


_INSTEAD = {
    "config": "a route says which model and how",
    "labels": "channels say what is live",
    "version": "a release has a digest",
}


def _without_placeholders(draft: _Draft, messages: Any) -> Any:  # noqa: ANN401 -- any JSON
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


def _mustache(draft: _Draft, text: str) -> str:
    """Langfuse's only construct is `{{variable}}`; whatever else looks like a template is text."""
    out, end = [], 0
    if "@@@langfusePrompt:" in text:
        draft.lose("`@@@langfusePrompt:…@@@`: a prompt is one file here; write the other one's text in its place")
    for found in _SIMPLE.finditer(text):
        if not re.match(r"\w", found[1]):
            continue
        out.append(_plain(text[end : found.start()]))
        word = draft.word_for(found[1])
        if word != found[1]:
            draft.lose(f"the variable `{found[1][:50]}` is called `{word[:50]}` now")
        out.append(f"{{{{ {word} }}}}")
        end = found.end()
    return "".join([*out, _plain(text[end:])])


# ── promptfoo ──


def _promptfoo(text: str, name: str) -> list[_Draft]:
    value = _yaml(text) if not text.lstrip().startswith(("[", "{%", "{{")) else _maybe_json(text)
    if isinstance(value, dict) and "prompts" in value:
        prompts = value["prompts"] if isinstance(value["prompts"], list) else [value["prompts"]]
        left = ", ".join(f"`{key}`" for key in sorted(value.keys() - {"prompts", "description"}))
        drafts = [_promptfoo_entry(each, f"{name}-{number}" if len(prompts) > 1 else name)
                  for number, each in enumerate(prompts, 1)]  # fmt: skip
        for each in drafts:
            if left:
                each.lose(f"{left}: no part of a prompt")
        return drafts
    if isinstance(value, list):
        draft = _Draft(name)
        _take_messages(draft, value, lambda each: _nunjucks(draft, each))
        return [draft]
    parts = [part for part in re.split(r"^---[ \t]*$", text, flags=re.MULTILINE) if part.strip()]
    return [
        _promptfoo_text(part, f"{name}-{number}" if len(parts) > 1 else name) for number, part in enumerate(parts, 1)
    ]


def _promptfoo_entry(entry: Any, name: str) -> _Draft:  # noqa: ANN401 -- any YAML
    if isinstance(entry, dict):
        name = str(entry.get("label") or entry.get("id") or name)
        entry = entry.get("raw", entry.get("prompt", entry.get("id")))
    if not isinstance(entry, str):
        raise InvalidRequest(f"The prompt `{name[:50]}` holds no text.")
    if entry.startswith("file://") or re.fullmatch(r"[\w./*-]+\.(txt|md|json|ya?ml|js|mjs|cjs|ts|py|j2)(:\w+)?", entry):
        raise InvalidRequest(
            f"`{entry[:100]}` is another file.", next_step="Import that file itself; code can't be imported."
        )
    draft = _Draft(name)
    if re.match(r"\s*\[\s*\{\s*\"role\"", entry) and _maybe_json(entry) is None:
        draft.lose("messages that are no JSON before they are filled in: they stand as one text")
    value = _maybe_json(entry) if entry.lstrip().startswith("[") else None
    if isinstance(value, list):
        _take_messages(draft, value, lambda each: _nunjucks(draft, each))
    else:
        draft.sections.append(("user", _nunjucks(draft, entry)))
    return draft


def _promptfoo_text(text: str, name: str) -> _Draft:
    return _promptfoo_entry({"label": name, "raw": text.strip("\n")}, name)


def _nunjucks(draft: _Draft, text: str) -> str:
    """Nunjucks is Jinja but for a few filters and the environment's variables."""
    if re.search(r"\{\{-?\s*env\.", text):
        draft.lose("`env.…`: no prompt reads the environment; it is an input named `env`")
    text = re.sub(r"\|\s*dump\b(\([^)]*\))?", "| tojson", text)
    return text.replace("{{ context.vars.", "{{ ").replace("{{context.vars.", "{{")


# ── Dotprompt ──


def _dotprompt(text: str, name: str) -> list[_Draft]:
    front = _FRONT.match(text)
    settings = _yaml(front[1]) if front and front[1].strip() else {}
    if not isinstance(settings, dict):
        raise InvalidRequest("The front matter is no mapping.")
    draft = _Draft(str(settings.get("name") or name))
    for key in sorted(settings.keys() - {"name", "input", "description"}):
        instead = {"model": "a route says that", "config": "a route says that", "output": "`output` in feature.yaml"}
        draft.lose(f"`{key}`: {instead.get(str(key), 'no word for it here')}")
    given = settings.get("input")
    given = given if isinstance(given, dict) else {}
    _picoschema(draft, given.get("schema"), given.get("default"))
    template = text[front.end() :] if front else text
    role = "user"
    for index, part in enumerate(re.split(r"\{\{\s*role\s+[\"'](\w+)[\"']\s*\}\}", template)):
        if index % 2:
            role = _ROLES.get(part, "")
            if not role:
                draft.lose(f"the role `{part[:30]}`")
        elif part.strip() and role:
            written = as_jinja(part, draft.lose)
            if "{{history}}" in re.sub(r"\s", "", part):
                draft.inputs["history"] = {"kind": "array", "from": "history"}
                written = re.sub(r"\{\{\s*history\s*\}\}", "", written)
            if written.strip():
                draft.sections.append((role, written.strip("\n")))
    return [draft]


_PICO_KINDS = {"string": "string", "number": "number", "integer": "integer", "boolean": "boolean", "any": "object"}


def _picoschema(draft: _Draft, schema: Any, defaults: Any) -> None:  # noqa: ANN401 -- any YAML
    if isinstance(schema, str):
        draft.lose(f"the schema `{schema[:50]}` is registered in code: its inputs are taken as texts")
        return
    defaults = defaults if isinstance(defaults, dict) else {}
    fields = schema.get("properties", schema) if isinstance(schema, dict) else {}
    for key, said in fields.items():
        name, _, shape = str(key).partition("(")
        kind = "array" if shape.startswith("array") else "object" if shape.startswith("object") else ""
        if shape.startswith("enum"):
            draft.lose(f"`{name}`: only some values are allowed, which is not checked here")
        word = str(said.get("type") if isinstance(said, dict) else said).partition(",")[0].strip()
        spec: dict[str, Any] = {"kind": kind or _PICO_KINDS.get(word, "string")}
        bare = name.strip().rstrip("?")
        if not name.strip().endswith("?") and bare not in defaults:
            spec["required"] = True
        draft.inputs[bare] = spec
    for name, value in defaults.items():
        draft.inputs.setdefault(str(name), {"kind": "string"})["default"] = value


# ── Prompty ──


def _prompty(text: str, name: str) -> list[_Draft]:
    """A file of Prompty itself: its model, tools and outputs are taken out and named."""
    front = _FRONT.match(text)
    settings = (_yaml(front[1]) if front[1].strip() else {}) if front else {}
    if not isinstance(settings, dict) or (front is None and text.startswith("---")):
        raise InvalidRequest("The front matter is no mapping between two lines of `---`.")
    draft = _Draft(str(settings.get("name") or name))
    for key in sorted(settings.keys() - _ABOUT):
        draft.lose(f"`{key}`: {_OF_PROMPTY.get(key, 'no word for it here')}")
    body = text[front.end() :] if front else text
    _check_format(settings.get("template"), body)
    if re.search(r"!\[[^\]]*\]\([^)]+\)", body):
        draft.lose("pictures (`![…](…)`): they stay text")
    raw = settings.get("inputs") or {}
    if isinstance(raw, dict) and isinstance(raw.get("properties"), list | dict):
        raw = raw["properties"]
    entries = (
        {each["name"]: each for each in raw if isinstance(each, dict) and "name" in each}
        if isinstance(raw, list)
        else raw
    )
    if not isinstance(entries, dict):
        raise InvalidRequest("`inputs` is neither a mapping nor a list of inputs with names.")
    for key, said in entries.items():
        spec = said if isinstance(said, dict) else {"default": said}
        kind = str(spec.get("kind") or spec.get("type") or "string").lower()
        if kind in {"thread", "image", "file", "audio"} and kind != "thread":
            draft.lose(f"the input `{key}`: {kind}s are not taken")
            continue
        if kind == "thread":
            draft.inputs[str(key)] = {"kind": "array", "from": "history"}
            body = re.sub(rf"^[ \t]*\{{\{{\s*{re.escape(str(key))}\s*\}}\}}[ \t]*$", "", body, flags=re.MULTILINE)
            continue
        made: dict[str, Any] = {"kind": _OTHER_KINDS.get(kind, kind if kind in _JSON_KINDS else "string")}
        if not isinstance(said, dict):
            made["kind"] = next((each for each in KINDS if said is not None and is_kind(said, each)), "string")
        made |= {name: spec[name] for name in ("default", "from") if spec.get(name) is not None}
        if refers(made.get("default")):
            draft.lose(f"the default of `{key}`: it is read from a file or the environment")
            del made["default"]
        if spec.get("required") or spec.get("is_required") or spec.get("isRequired"):
            made["required"] = True
        draft.inputs[str(key)] = made
    marks = re.split(
        r"^[ \t]*#?[ \t]*(system|developer|user|assistant)[ \t]*:[ \t]*$", body, flags=re.MULTILINE | re.IGNORECASE
    )
    if marks[0].strip():
        draft.sections.append(("system", marks[0].strip("\n")))
    draft.sections += [(role.lower(), part.strip("\n")) for role, part in zip(marks[1::2], marks[2::2], strict=True)]
    return [draft]


_ABOUT = frozenset(
    ("$schema", "name", "displayName", "description", "version", "authors", "tags", "metadata", "sample", "inputs",
     "template")
)  # fmt: skip
_OF_PROMPTY = {"model": "a route says that", "tools": "a feature says that", "outputs": "`output` in feature.yaml"}
_OTHER_KINDS = {"float": "number", "list": "array", "dict": "object", "bool": "boolean", "int": "integer"}


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


_JSON_KINDS = frozenset(("string", "integer", "number", "boolean", "array", "object"))


# ── Files ──


def _json(text: str) -> Any:  # noqa: ANN401 -- any JSON
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        raise InvalidRequest("The file is no JSON.") from None


def _lines(text: str) -> list[Any]:
    """One JSON value, or several, one a line."""
    whole = _maybe_json(text)
    return [whole] if whole is not None else [_json(line) for line in text.split("\n") if line.strip()] or [_json(text)]


def _maybe_json(text: str) -> Any:  # noqa: ANN401 -- any JSON
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def _yaml(text: str) -> Any:  # noqa: ANN401 -- any YAML
    try:
        return _bare(YAML(typ="safe", pure=True).load(io.StringIO(text)))
    except (YAMLError, ValueError, RecursionError):
        return None


def _bare(value: Any) -> Any:  # noqa: ANN401 -- any YAML
    if isinstance(value, Mapping):
        return {str(key): _bare(each) for key, each in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, str | bytes):
        return [_bare(each) for each in value]
    return value if value is None or isinstance(value, bool | int | float | str) else str(value)

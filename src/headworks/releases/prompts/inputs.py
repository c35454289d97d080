"""The front matter of a prompt: its inputs, as versions 1 and 2 of Prompty write them, and what is ours beside them.

Where an input comes from is told by `from`, or, for files that other tools read too, by
`metadata: {headworks: {from: {conversation: history}}}`; an input of the kind `thread` is the history.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, cast

from headworks.strict_yaml import Section, nearest
from headworks.types.features import InputSpec

KINDS = ("string", "integer", "number", "boolean", "array", "object")
SOURCES = ("question", "history", "passages")
_OTHER_KINDS: Mapping[str, str] = {
    "float": "number",
    "list": "array",
    "dict": "object",
    "bool": "boolean",
    "int": "integer",
}
"""What version 1 and its tools write too."""
_REFERENCE = re.compile(r"\$\{(?:env|file):", re.IGNORECASE)
_REFERS = "the default of input `{}` is read from a file or the environment, which no release holds."
_ABOUT = ("$schema", "name", "displayName", "description", "version", "authors", "tags", "sample")


def read_inputs(front: Section) -> tuple[InputSpec, ...]:
    """The inputs of a front matter, all of it checked. Raises WorkspaceInvalid, NotSupportedYet with file and line."""
    for key in _ABOUT:
        front.raw(key)
    front.refuse("model", "tools", "outputs")
    _check_template(front)
    named = _named_sources(front)
    found = []
    for name, entry in _entries(front):
        if not name.isidentifier():
            front.complain("inputs", f"input {name!r} is no identifier.")
        found.append(
            _read(name, entry, named.pop(name, None)) if isinstance(entry, Section) else _short(name, entry, named)
        )
        if not isinstance(entry, Section) and refers(entry):
            front.complain("inputs", _REFERS.format(name), "Write the value itself, or leave it to the caller.")
    if named:
        front.complain("metadata", f"`from` names `{min(named)}`, which is no input.", nearest(min(named), named))
    front.finish()
    return tuple(found)


def _entries(front: Section) -> list[tuple[str, Section | object]]:
    """As a mapping or a list, also below `properties`, where version 2 writes them in its whole form."""
    given = front.raw("inputs")
    nested = given.get("properties") if isinstance(given, dict) else None
    if not isinstance(nested, list) and not (isinstance(nested, dict) and not nested.keys() & {"kind", "type", "from"}):
        return front.named("inputs")
    whole = front.section("inputs")
    assert whole is not None  # noqa: S101 -- `given` is a mapping
    for key in ("examples", "strict"):
        whole.raw(key)
    found = whole.named("properties")
    whole.finish()
    return found


def _read(name: str, section: Section, source: str | None) -> InputSpec:
    section.raw("name")
    word = "kind" if section.has("kind") or not section.has("type") else "type"
    given = section.text(word, "string").lower()
    kind = _OTHER_KINDS.get(given, given)
    if section.has("from"):
        source = section.choice("from", SOURCES)
    if kind == "thread":
        kind, source = "array", "history"
    if kind not in KINDS:
        section.complain(word, f"`inputs.{name}.{word}` is {given!r}.", nearest(given, KINDS))
    section.refuse("json_schema")
    for key in ("description", "title", "sample", "example"):
        section.raw(key)
    required = _is_required(section)
    default = section.raw("default")
    if default is not None and not is_kind(default, kind):
        section.complain("default", f"the default of input `{name}` is no {kind}.")
    if refers(default):
        section.complain("default", _REFERS.format(name), "Write the value itself, or leave it to the caller.")
    section.finish()
    return InputSpec(name, cast("Any", kind), cast("Any", source), required, default)


def _is_required(section: Section) -> bool:
    flags = [section.flag(key, default=False) for key in ("required", "is_required", "isRequired")]
    return any(flags)


def _short(name: str, value: object, named: dict[str, str]) -> InputSpec:
    """`question: Hello` stands for a default, and the kind that it has."""
    kind = next((each for each in KINDS if value is not None and is_kind(value, each)), "string")
    return InputSpec(name, cast("Any", kind), cast("Any", named.pop(name, None)), is_required=False, default=value)


def _named_sources(front: Section) -> dict[str, str]:
    """`metadata.headworks.from`: the source of each input that it names."""
    metadata = front.raw("metadata")
    ours = metadata.get("headworks") if isinstance(metadata, dict) else None
    named = ours.get("from") if isinstance(ours, dict) else None
    if named is None:
        return {}
    if not isinstance(named, dict) or not all(each in SOURCES for each in named.values()):
        front.complain("metadata", f"`metadata.headworks.from` gives each input one of {', '.join(SOURCES)}.")
    return {str(name): str(source) for name, source in named.items()}


def _check_template(front: Section) -> None:
    """Jinja and Prompty's own roles, whatever way they are named."""
    template = front.raw("template")
    words = template if isinstance(template, dict) else {"format": template}
    for key, known in (("format", "jinja2"), ("type", "jinja2"), ("parser", "prompty")):
        word = words.get(key)
        named = word.get("kind") if isinstance(word, dict) else word
        if named is not None and named != known:
            front.complain("template", f"`template.{key}` is {str(named)[:50]!r}, and only {known} is read here.")


def refers(value: object) -> bool:
    """Whether a value of Prompty, or one within it, is `${env:…}` or `${file:…}`."""
    if isinstance(value, Mapping | list):
        return any(map(refers, value.values() if isinstance(value, Mapping) else value))
    return isinstance(value, str) and _REFERENCE.search(value) is not None


def is_kind(value: object, kind: str) -> bool:
    """Whether a value is of a kind of input."""
    if kind == "boolean":
        return isinstance(value, bool)
    if isinstance(value, bool):
        return False
    kinds: dict[str, type | tuple[type, ...]] = {
        "string": str, "integer": int, "number": (int, float), "array": list, "object": dict,
    }  # fmt: skip
    return isinstance(value, kinds[kind])

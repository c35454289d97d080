"""Samples of OpenAI's evals, one JSON object a line: `{"input": [{"role": …, "content": …}], "ideal": "…"}`."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, cast

from headworks.errors import InvalidRequest
from headworks.types.evaluation import Example
from headworks.types.models import Message, Role

_ROLES = ("system", "user", "assistant")
_READ = frozenset(("input", "ideal", "id", "metadata"))
_MOST = 100_000


@dataclass(frozen=True, slots=True)
class ImportedSamples:
    """The examples, and what of the file has no word here."""

    examples: tuple[Example, ...]
    losses: tuple[str, ...]


def import_openai_evals(text: str) -> ImportedSamples:
    """All samples of a file, in its order; those without an id are called by their line. Raises InvalidRequest."""
    examples: dict[str, Example] = {}
    losses: list[str] = []
    for number, line in enumerate(text.removeprefix("\ufeff").split("\n"), 1):
        if not line.strip():
            continue
        example = _example(_object(line, number), number, losses)
        if example.id in examples:
            raise InvalidRequest(f"Line {number}: the id `{example.id}` stands twice.")
        examples[example.id] = example
        if len(examples) > _MOST:
            raise InvalidRequest(f"Line {number}: there are more than {_MOST:,} samples.")
    if not examples:
        raise InvalidRequest("There is no sample in this file.", next_step='A line has "input" and "ideal".')
    return ImportedSamples(tuple(examples.values()), tuple(dict.fromkeys(losses)))


def export_openai_evals(examples: Iterable[Example]) -> tuple[str, tuple[str, ...]]:
    """The lines, and what they could not carry."""
    lines: list[str] = []
    losses: list[str] = []
    for each in examples:
        turns = [{"role": turn.role, "content": turn.content} for turn in each.history]
        turns.append({"role": "user", "content": each.question})
        said: dict[str, Any] = {"id": each.id, "input": turns}
        if each.reference is not None:
            said["ideal"] = _ideal(each.reference)
        if each.tags:
            said["metadata"] = dict(each.tags)
        lost = ("inputs", "context", "expected_tools", "cluster", "failure_modes", "provenance")
        losses += [f"`{name}` is left out: their samples have no place for it" for name in lost if getattr(each, name)]
        lines.append(json.dumps(said, ensure_ascii=False))
    return "".join(f"{line}\n" for line in lines), tuple(dict.fromkeys(losses))


def _ideal(reference: object) -> str | list[str]:
    if isinstance(reference, list) and all(isinstance(each, str) for each in reference):
        return [str(each) for each in reference]
    return reference if isinstance(reference, str) else json.dumps(reference, ensure_ascii=False)


def _object(line: str, number: int) -> dict[str, Any]:
    try:
        said = json.loads(line)
    except (ValueError, RecursionError):
        raise InvalidRequest(f"Line {number}: not JSON.", next_step="Each line is one JSON object.") from None
    if not isinstance(said, dict) or "input" not in said:
        raise InvalidRequest(f"Line {number}: there is no `input`.", next_step='A line has "input" and "ideal".')
    return said


def _example(said: dict[str, Any], number: int, losses: list[str]) -> Example:
    losses += [f"`{key}` is not read" for key in said.keys() - _READ]
    turns = _turns(said["input"], number)
    question = turns.pop().content if turns and turns[-1].role == "user" else ""
    metadata = said.get("metadata")
    tags = {str(key): str(each) for key, each in metadata.items()} if isinstance(metadata, dict) else {}
    name = str(said.get("id") or number)
    return Example(
        id=name, question=question, history=tuple(turns), reference=said.get("ideal"), tags=tags,
        provenance={"openai_evals": f"line {number}"},
    )  # fmt: skip


def _turns(given: object, number: int) -> list[Message]:
    if isinstance(given, str):
        return [Message("user", given)]
    turns = []
    for each in given if isinstance(given, list) else []:
        role = each.get("role") if isinstance(each, dict) else None
        content = each.get("content") if isinstance(each, dict) else None
        if role not in _ROLES or not isinstance(content, str):
            raise InvalidRequest(
                f"Line {number}: a message of `input` has no text, or a role that is not {', '.join(_ROLES)}."
            )
        turns.append(Message(cast("Role", role), content))
    if not turns:
        raise InvalidRequest(f"Line {number}: `input` is neither text nor messages.")
    return turns

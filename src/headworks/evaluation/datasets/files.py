"""Datasets as files: `golden/<name>.jsonl`, one example a line, read strictly and written canonically.

    {"id": "mri-1", "question": "Six weeks of therapy, no red flags: approve?", "reference": "approve",
     "cluster": "lumbar-mri", "tags": {"intent": "imaging", "risk": "medium"}, "split": "test"}

Every complaint starts with `file:line:`. (The example is one line in a file.)
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields
from typing import Any, NoReturn, cast, get_args
from uuid import UUID

from headworks.errors import InvalidRequest, WorkspaceInvalid
from headworks.evaluation.digests import digest_of
from headworks.strict_yaml import nearest
from headworks.types.evaluation import Example, Split, ToolUse
from headworks.types.ids import Digest
from headworks.types.models import Message, Role

MOST_EXAMPLES = 100_000
MOST_BYTES = 256 << 20
_LONGEST_ID = 200
_KEYS = tuple(each.name for each in fields(Example))
_TURN_KEYS = ("role", "content")
_TOOL_KEYS = ("name", "arguments")
_SPLITS: tuple[str, ...] = get_args(Split)
_ROLES: tuple[str, ...] = get_args(Role)
_PLAIN = Example("")


def is_golden(path: str) -> bool:
    """Whether a file of a feature's folder is a dataset."""
    return path.startswith("golden/") and path.endswith(".jsonl")


def read_dataset(path: str, content: bytes) -> list[Example]:
    """The examples of a file, in its order. Raises WorkspaceInvalid, with file and line."""
    return [example for _, example in read_numbered(path, content)]


def read_numbered(path: str, content: bytes) -> list[tuple[int, Example]]:
    """As `read_dataset`, each with its line."""
    if len(content) > MOST_BYTES:
        raise WorkspaceInvalid(f"{path}:1: the file has more than {MOST_BYTES >> 20} MB.")
    examples: list[tuple[int, Example]] = []
    lines_of: dict[str, int] = {}
    for number, raw in enumerate(content.removeprefix(b"\xef\xbb\xbf").split(b"\n"), 1):
        if not raw.strip():
            continue
        line = _Line(f"{path}:{number}")
        example = line.checked(line.example(line.parse(raw)))
        if example.id in lines_of:
            line.complain(f"the id `{example.id}` is also in line {lines_of[example.id]}.", "Each id stands once.")
        lines_of[example.id] = number
        examples.append((number, example))
        if len(examples) > MOST_EXAMPLES:
            line.complain(f"more than {MOST_EXAMPLES:,} examples.", "Split the dataset.")
    if not examples:
        raise WorkspaceInvalid(
            f"{path}:1: there is no example in it.",
            next_step='A line looks like {"id": "leave-1", "question": "How long is leave?", "reference": "12 weeks"}.',
        )
    return examples


def write_dataset(examples: Iterable[Example]) -> bytes:
    """What `read_dataset` reads: one line an example, without what is as usual."""
    lines = [json.dumps(as_json(each), ensure_ascii=False) for each in examples]
    return "".join(f"{line}\n" for line in lines).encode()


def write_foreign(examples: Sequence[Example]) -> bytes:
    """As `write_dataset`, of another tool's samples. Raises InvalidRequest for what no dataset holds, by its number."""
    if not examples:
        raise InvalidRequest("There is no sample in this file.", next_step="Was it cut off, or is it of another kind?")
    for number, each in enumerate(examples, 1):
        try:
            read_dataset("sample", write_dataset([each]))
        except WorkspaceInvalid as error:
            said = error.message.removeprefix("sample:1: ")
            raise InvalidRequest(f"Sample {number} can't be an example: {said}", next_step=error.next_step) from None
    return write_dataset(examples)


def as_json(example: Example) -> dict[str, Any]:
    """An example as its line says it, in the order of its members."""
    said: dict[str, Any] = {"id": example.id}
    for each in fields(Example):
        value = getattr(example, each.name)
        if each.name == "id" or value == getattr(_PLAIN, each.name):
            continue
        match value:
            case tuple() if each.name == "history":
                said["history"] = [{"role": turn.role, "content": turn.content} for turn in example.history]
            case tuple() if each.name == "expected_tools":
                said["expected_tools"] = [
                    {"name": use.name, "arguments": dict(use.arguments)} for use in example.expected_tools
                ]
            case tuple():
                said[each.name] = list(value)
            case Mapping():
                said[each.name] = dict(value)
            case _:
                said[each.name] = value
    return said


def trace_of(example: Example) -> UUID | None:
    """The trace that an example was made of; None: of none."""
    try:
        return UUID(str(example.provenance.get("trace")))
    except ValueError:
        return None


def example_digest(example: Example) -> Digest:
    """Of everything that it says: another digest is another example."""
    return digest_of(as_json(example))


def dataset_digest(examples: Iterable[Example]) -> Digest:
    """Of the examples in the order of their ids: the order of a file's lines says nothing."""
    return digest_of({each.id: example_digest(each) for each in examples})


class _Line:
    """One line of a file, for complaints."""

    def __init__(self, where: str) -> None:
        self._where = where

    def complain(self, what: str, next_step: str = "") -> NoReturn:
        raise WorkspaceInvalid(f"{self._where}: {what}", next_step=next_step)

    def parse(self, raw: bytes) -> dict[str, Any]:
        try:
            said = json.loads(raw.decode(), parse_constant=self._no_constant, object_pairs_hook=self._object)
        except UnicodeDecodeError:
            self.complain("not UTF-8.", "Save the file as UTF-8.")
        except (ValueError, RecursionError) as error:
            place = f" at column {error.colno}: {error.msg}" if isinstance(error, json.JSONDecodeError) else ""
            self.complain(f"not JSON{place}.", "Each line is one JSON object.")
        if not isinstance(said, dict):
            self.complain(
                "not a JSON object.", 'A line looks like {"id": "leave-1", "question": "How long is leave?"}.'
            )
        return said

    def checked(self, example: Example) -> Example:
        """With a digest: JSON in which not every reader sees the same numbers or texts has none."""
        try:
            example_digest(example)
        except (ValueError, RecursionError) as error:
            self.complain(f"it has no canonical form: {error}.", "Write integers beyond 2^53 as texts.")
        return example

    def example(self, said: dict[str, Any]) -> Example:
        self._known(said, _KEYS, "")
        name = said.get("id")
        if not isinstance(name, str) or not name.strip() or len(name) > _LONGEST_ID or not name.isprintable():
            self.complain(f"`id` is no name: 1 to {_LONGEST_ID} printable characters.", "Give each example its own.")
        if not any(said.get(key) for key in ("question", "inputs", "history")):
            self.complain("nothing is asked.", "Say `question`, `inputs` or both.")
        split = said.get("split", _PLAIN.split)
        if split not in _SPLITS:
            self.complain(f"`split` is {split!r}.", nearest(str(split), _SPLITS))
        return Example(
            id=name,
            question=self._text(said, "question"),
            inputs=self._object_of(said, "inputs"),
            history=tuple(self._turn(each, at) for at, each in enumerate(self._list(said, "history"))),
            reference=said.get("reference"),
            context=self._texts(said, "context"),
            expected_tools=tuple(self._tool(each, at) for at, each in enumerate(self._list(said, "expected_tools"))),
            cluster=self._text(said, "cluster") or None,
            tags=self._tags(said),
            failure_modes=self._texts(said, "failure_modes"),
            provenance=self._object_of(said, "provenance"),
            weight=self._weight(said),
            split=cast("Split", split),
        )

    def _known(self, said: Mapping[str, Any], known: tuple[str, ...], inside: str) -> None:
        for key in said:
            if key not in known:
                self.complain(f"`{inside}{key}` is unknown.", nearest(key, known))

    def _text(self, said: Mapping[str, Any], key: str) -> str:
        value = said.get(key, "")
        if not isinstance(value, str):
            self.complain(f"`{key}` must be a text.")
        return value

    def _list(self, said: Mapping[str, Any], key: str) -> list[Any]:
        value = said.get(key, [])
        if not isinstance(value, list):
            self.complain(f"`{key}` must be a list.")
        return value

    def _texts(self, said: Mapping[str, Any], key: str) -> tuple[str, ...]:
        values = self._list(said, key)
        if not all(isinstance(each, str) and each for each in values):
            self.complain(f"`{key}` must be a list of texts.")
        return tuple(values)

    def _object_of(self, said: Mapping[str, Any], key: str) -> dict[str, Any]:
        value = said.get(key, {})
        if not isinstance(value, dict):
            self.complain(f"`{key}` must be an object.")
        return value

    def _tags(self, said: Mapping[str, Any]) -> dict[str, str]:
        tags = self._object_of(said, "tags")
        if not all(isinstance(value, str) and key and value for key, value in tags.items()):
            self.complain("`tags` must be an object of texts.", 'For instance {"intent": "billing", "risk": "high"}.')
        return tags

    def _turn(self, said: Any, at: int) -> Message:  # noqa: ANN401 -- any JSON value
        if not isinstance(said, dict) or not isinstance(said.get("content"), str) or said.get("role") not in _ROLES:
            self.complain(
                f"`history[{at}]` is no turn.", 'A turn looks like {"role": "user", "content": "And for children?"}.'
            )
        self._known(said, _TURN_KEYS, f"history[{at}].")
        return Message(said["role"], said["content"])

    def _tool(self, said: Any, at: int) -> ToolUse:  # noqa: ANN401 -- any JSON value
        if not isinstance(said, dict) or not isinstance(said.get("name"), str) or not said["name"]:
            self.complain(f"`expected_tools[{at}]` names no tool.", 'It looks like {"name": "find", "arguments": {}}.')
        self._known(said, _TOOL_KEYS, f"expected_tools[{at}].")
        return ToolUse(said["name"], self._object_of(said, "arguments"))

    def _weight(self, said: Mapping[str, Any]) -> float:
        weight = said.get("weight", 1.0)
        if not isinstance(weight, (int, float)) or isinstance(weight, bool) or not 0 < weight < math.inf:
            self.complain(f"`weight` is {weight!r}, not a number above 0.")
        return float(weight)

    def _no_constant(self, name: str) -> NoReturn:
        self.complain(f"{name} is no JSON.")

    def _object(self, pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        said = dict(pairs)
        if len(said) < len(pairs):
            twice = next(key for at, (key, _) in enumerate(pairs) if key in {name for name, _ in pairs[:at]})
            self.complain(f"`{twice}` stands twice.", "Keep one of them.")
        return said

"""What the examples of a dataset have in common, and how that differs between two versions."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from headworks.evaluation.datasets.files import as_json, example_digest
from headworks.types.evaluation import Example

_OPEN = frozenset({"inputs", "tags", "provenance"})
_KINDS: Mapping[type, str] = {
    type(None): "null",
    bool: "a truth value",
    int: "a number",
    float: "a number",
    str: "text",
    list: "a list",
    tuple: "a list",
}


@dataclass(frozen=True, slots=True)
class DatasetDiff:
    """How two versions differ: ids of examples, and what became of the members that examples have."""

    added: tuple[str, ...]
    changed: tuple[str, ...]
    removed: tuple[str, ...]
    schema: tuple[str, ...]


def diff(before: Sequence[Example], after: Sequence[Example]) -> DatasetDiff:
    """What was added, changed and removed, by id."""
    old = {each.id: example_digest(each) for each in before}
    new = {each.id: example_digest(each) for each in after}
    return DatasetDiff(
        tuple(sorted(new.keys() - old.keys())),
        tuple(sorted(each for each in new.keys() & old.keys() if new[each] != old[each])),
        tuple(sorted(old.keys() - new.keys())),
        tuple(schema_changes(before, after)),
    )


def schema_changes(before: Sequence[Example], after: Sequence[Example]) -> Iterator[str]:
    """A sentence for each member that came, went, or holds values of another kind."""
    if not before or not after:
        return
    old, new = _schema(before), _schema(after)
    for path in sorted(old.keys() | new.keys()):
        was, now = old.get(path), new.get(path)
        if now is None and was is not None:
            yield f"`{path}` is gone: {was.total()} of {len(before)} examples had it."
        elif was is None and now is not None:
            yield f"`{path}` is new: {now.total()} of {len(after)} examples have it."
        elif was is not None and now is not None and was.keys() != now.keys():
            yield f"`{path}` was {_words(was)}, and is now {_words(now)}."


def _schema(examples: Iterable[Example]) -> dict[str, Counter[str]]:
    found: dict[str, Counter[str]] = {}
    for example in examples:
        for path, kind in _members(example):
            found.setdefault(path, Counter())[kind] += 1
    return found


def _members(example: Example) -> Iterator[tuple[str, str]]:
    for name, value in as_json(example).items():
        if name in _OPEN:
            for inner, each in value.items():
                yield f"{name}.{inner}", _kind(each)
        elif name not in {"id", "split", "weight"}:
            yield name, _kind(value)


def _kind(value: Any) -> str:  # noqa: ANN401 -- any JSON value
    return _KINDS.get(type(value), "an object")


def _words(kinds: Counter[str]) -> str:
    return " or ".join(sorted(kinds))

"""YAML files read strictly: every complaint starts with `file:line:`, unknown keys name their neighbours."""

from __future__ import annotations

import difflib
import io
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NoReturn

from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap, CommentedSeq
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.scalarbool import ScalarBoolean

from headworks.errors import NotSupportedYet, WorkspaceInvalid

_MAX_BYTES = 1_000_000
_MOST_VALUES, _DEEPEST = 20_000, 100


def nearest(name: str, known: Iterable[str]) -> str:
    """`Did you mean …?` with near names, or the list of what is known."""
    names = sorted(known)
    near = difflib.get_close_matches(name, names, n=3, cutoff=0.6)
    if near:
        return f"Did you mean {' or '.join(f'`{each}`' for each in near)}?"
    return f"Known here: {', '.join(names)}." if names else "There are none here yet."


def decode(path: str, content: bytes) -> str:
    """A workspace file as text, or WorkspaceInvalid."""
    if len(content) > _MAX_BYTES:
        raise WorkspaceInvalid(f"{path}:1: the file has more than {_MAX_BYTES:,} bytes.")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise WorkspaceInvalid(f"{path}:{line}: not UTF-8.", next_step="Save the file as UTF-8.") from None


def read_yaml(path: str, text: str, first_line: int = 1) -> Section:
    """The mapping that a YAML file holds. `first_line` is where the text starts in its file (for front matter)."""
    loader = YAML(typ="rt")
    try:
        value = loader.load(io.StringIO(text))
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = first_line + (mark.line if mark else 0)
        raise WorkspaceInvalid(f"{path}:{line}: {error.problem or error.context or 'not YAML'}.") from None
    except (YAMLError, ValueError, RecursionError) as error:
        raise WorkspaceInvalid(f"{path}:{first_line}: not YAML ({type(error).__name__}).") from None
    if value is None:
        value = CommentedMap()
    if not isinstance(value, CommentedMap):
        raise WorkspaceInvalid(f"{path}:{first_line}: a mapping of keys is expected.")
    return Section(path, value, "", first_line - 1)


class Section:
    """One mapping of a file. Take what you know, then call `finish`: what is left is an error with its line."""

    def __init__(self, path: str, values: CommentedMap, label: str, offset: int) -> None:
        self.path = path
        self._values = values
        self._label = label
        self._offset = offset
        self._taken: set[str] = set()

    def where(self, key: str | None = None) -> str:
        """`file:line` of a key, or of the section."""
        marks = self._values.lc
        line = marks.data[key][0] if key is not None and marks.data and key in marks.data else marks.line or 0
        return f"{self.path}:{line + 1 + self._offset}"

    def where_inside(self, key: str | None, path: Sequence[str | int]) -> str:
        """`file:line` of a place in the value of a key (None: in the section), as far as the path leads."""
        node: Any = self._values
        line = node.lc.line or 0
        for step in path if key is None else (key, *path):
            if not isinstance(node, CommentedMap | CommentedSeq) or step not in (node.lc.data or {}):
                break
            line, node = node.lc.data[step][0], node[step]
        return f"{self.path}:{line + 1 + self._offset}"

    def complain(self, key: str | None, what: str, next_step: str = "") -> NoReturn:
        """Raise WorkspaceInvalid at a key."""
        raise WorkspaceInvalid(f"{self.where(key)}: {what}", next_step=next_step)

    def has(self, key: str) -> bool:
        """Whether the key is there at all."""
        return key in self._values

    def keys(self) -> list[str]:
        """All keys as text, in the file's order."""
        return [str(key) for key in self._values]

    def _take(self, key: str) -> Any:  # noqa: ANN401 -- a YAML value
        self._taken.add(key)
        return self._values.get(key)

    def _name(self, key: str) -> str:
        return f"`{self._label}{key}`"

    def text(self, key: str, default: str | None = None) -> str:
        """A string; required when `default` is None."""
        value = self._take(key)
        if value is None:
            if default is None:
                self.complain(None, f"{self._name(key)} is missing.")
            return default
        if not isinstance(value, str):
            self.complain(key, f"{self._name(key)} must be text, not {_kind(value)}.")
        return str(value)

    def whole(self, key: str, default: int, lowest: int, highest: int) -> int:
        """A whole number within bounds."""
        value = self._take(key)
        if value is None:
            return default
        if not isinstance(value, int) or isinstance(value, bool):
            self.complain(key, f"{self._name(key)} must be a whole number, not {_kind(value)}.")
        if not lowest <= value <= highest:
            self.complain(key, f"{self._name(key)} is {value}; it must lie between {lowest} and {highest}.")
        return int(value)

    def number(self, key: str, default: float, lowest: float, highest: float) -> float:
        """A number within bounds."""
        value = self._take(key)
        if value is None:
            return default
        if not isinstance(value, (int, float)) or isinstance(value, bool):
            self.complain(key, f"{self._name(key)} must be a number, not {_kind(value)}.")
        if not lowest <= value <= highest:
            self.complain(key, f"{self._name(key)} is {value}; it must lie between {lowest:g} and {highest:g}.")
        return float(value)

    def flag(self, key: str, *, default: bool) -> bool:
        """True or false."""
        value = self._take(key)
        if value is None:
            return default
        if not isinstance(value, bool):
            self.complain(key, f"{self._name(key)} must be true or false, not {_kind(value)}.")
        return value

    def choice(self, key: str, allowed: Iterable[str], default: str | None = None) -> str:
        """One of the allowed words."""
        value = self.text(key, default)
        allowed = tuple(allowed)
        if value not in allowed:
            self.complain(key, f"{self._name(key)} is {value!r}.", nearest(value, allowed))
        return value

    def names(self, key: str, default: tuple[str, ...] | None = (), like: str = "everyone") -> tuple[str, ...]:
        """A list of names, such as `like`; None as default makes it required."""
        value = self._take(key)
        if value is None:
            if default is None:
                self.complain(None, f"{self._name(key)} is missing.")
            return default
        if not isinstance(value, CommentedSeq) or not all(isinstance(each, str) for each in value):
            self.complain(key, f"{self._name(key)} must be a list of names, like [{like}].")
        return tuple(str(each) for each in value)

    def section(self, key: str) -> Section | None:
        """A nested mapping, or None when the key is absent."""
        value = self._take(key)
        if value is None:
            return None
        return self._nest(key, value)

    def sections(self, key: str) -> list[tuple[str, Section]]:
        """A mapping of names to mappings."""
        outer = self.section(key)
        return [] if outer is None else outer.each()

    def named(self, key: str) -> list[tuple[str, Section | object]]:
        """Mappings by name: a mapping of them, or a list of those that say their `name`; scalars as they are."""
        value = self._take(key)
        if not isinstance(value, CommentedSeq):
            outer = self.section(key)
            found = [] if outer is None else [(name, outer.raw(name)) for name in outer.keys()]  # noqa: SIM118 -- our own
            return [
                (name, self._nest(f"{key}.{name}", self._values[key][name]) if isinstance(plain, dict) else plain)
                for name, plain in found
            ]
        entries = [self._nest(key, each) for each in value]
        return [(entry.text("name"), entry) for entry in entries]

    def each(self) -> list[tuple[str, Section]]:
        """All keys of this section, each a mapping of its own."""
        return [(name, self._nest(name, self._take(name))) for name in self.keys()]

    def items(self, key: str) -> list[Section | str]:
        """A list of mappings or names."""
        value = self._take(key)
        if value is None:
            return []
        if not isinstance(value, CommentedSeq):
            self.complain(key, f"{self._name(key)} must be a list.")
        return [each if isinstance(each, str) else self._nest(key, each) for each in value]

    def raw(self, key: str) -> Any:  # noqa: ANN401 -- plain JSON-like value of a YAML node
        """A value as plain dicts, lists and scalars."""
        return _plain(self._take(key))

    def json(self, key: str) -> Any:  # noqa: ANN401 -- any JSON value
        """As `raw`, and nothing but what JSON can say: no dates, no names that are numbers, no aliases without end."""
        value = self.raw(key) if self._is_json(self._values.get(key), [_MOST_VALUES], _DEEPEST) else None
        if value is None and self._values.get(key) is not None:
            self.complain(
                key, f"{self._name(key)} holds what is no JSON, or too much of it.", "Put dates and such in quotes."
            )
        return value

    def _is_json(self, value: object, left: list[int], depth: int) -> bool:
        left[0] -= 1
        if left[0] < 0 or depth == 0:
            return False
        if isinstance(value, CommentedMap):
            return all(isinstance(key, str) and self._is_json(each, left, depth - 1) for key, each in value.items())
        if isinstance(value, CommentedSeq):
            return all(self._is_json(each, left, depth - 1) for each in value)
        return value is None or isinstance(value, bool | int | float | str)

    def refuse(self, *keys: str) -> None:
        """Refuse keys that are documented but that nothing honours yet."""
        for key in keys:
            if key in self._values:
                self._refuse(key, self._name(key))

    def refuse_value(self, key: str, value: str) -> NoReturn:
        """Refuse one value of a key, documented but honoured by nothing yet."""
        self._refuse(key, f"{self._name(key)}: `{value}`")

    def _refuse(self, key: str, what: str) -> NoReturn:
        raise NotSupportedYet(
            f"{self.where(key)}: {what} is not supported yet.",
            next_step="Remove it: it would be ignored, and a setting that is ignored is worse than none.",
        )

    def finish(self) -> None:
        """Complain about keys that nobody took."""
        for key in self.keys():
            if key not in self._taken:
                self.complain(key, f"unknown key {self._name(key)}.", nearest(key, self._taken))

    def _nest(self, key: str, value: Any) -> Section:  # noqa: ANN401 -- a YAML value
        if not isinstance(value, CommentedMap):
            self.complain(key, f"{self._name(key)} must be a mapping of keys, not {_kind(value)}.")
        return Section(self.path, value, f"{self._label}{key}.", self._offset)


def _kind(value: object) -> str:
    if value is None:
        return "nothing"
    names: Mapping[type, str] = {bool: "a truth value", int: "a number", float: "a number", str: "text"}
    for kind, name in names.items():
        if isinstance(value, kind):
            return name
    return "a list" if isinstance(value, CommentedSeq) else "a mapping" if isinstance(value, CommentedMap) else "that"


def _plain(value: Any) -> Any:  # noqa: ANN401 -- a YAML value
    if isinstance(value, CommentedMap):
        return {str(key): _plain(each) for key, each in value.items()}
    if isinstance(value, CommentedSeq):
        return [_plain(each) for each in value]
    if isinstance(value, ScalarBoolean):  # one with an anchor; it is no bool
        return bool(value)
    for kind in (bool, int, float, str):
        if isinstance(value, kind):
            return kind(value)
    return None

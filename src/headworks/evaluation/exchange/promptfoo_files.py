"""What stands beside a promptfoo configuration, and what is noted while it is read."""

from __future__ import annotations

import io
import json
import posixpath
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date
from fnmatch import fnmatchcase
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from headworks.errors import InvalidRequest

_MOST_BYTES = 8 << 20
_WILD = frozenset("*?[")
_CODE = (".js", ".cjs", ".mjs", ".ts", ".cts", ".mts", ".py", ".rb", ".go")


@dataclass(slots=True)
class Reading:
    """The files by their paths, the templates of assertions, and what was lost so far."""

    files: Mapping[str, bytes]
    templates: Mapping[str, Any]
    losses: list[str] = field(default_factory=list)

    def lose(self, what: str) -> None:
        """Note once what is not carried."""
        if what not in self.losses:
            self.losses.append(what)

    def file(self, reference: str, where: str) -> str | None:
        """The text of `file://path`; None, and noted, where it is not there or is code."""
        path = path_of(reference)
        if path.partition(":")[0].endswith(_CODE):
            self.lose(f"{where}: `{path[:100]}` is code and is not run")
        elif path not in self.files:
            self.lose(f"{where}: `{path[:100]}` is not among the files that were given")
        else:
            return self.files[path].decode("utf-8-sig", "replace")
        return None

    def matching(self, reference: str) -> list[str]:
        """The paths that `file://tests/*.yaml` stands for, in their order; the path itself where it is no pattern."""
        path = path_of(reference)
        if not _WILD & set(path):
            return [path]
        parts = path.count("/")
        return sorted(each for each in self.files if each.count("/") == parts and fnmatchcase(each, path))

    def value(self, reference: str, where: str) -> Any:  # noqa: ANN401 -- a YAML value
        """What a file of YAML, JSON or text says; None, and noted, for another."""
        path = path_of(reference)
        if path.endswith((".json", ".yaml", ".yml")):
            content = self.file(reference, where)
            return None if content is None else read_yaml(content, f"`{path}`")
        if path.endswith(".txt"):
            content = self.file(reference, where)
            return None if content is None else content.strip()
        if not path.partition(":")[0].endswith(_CODE):
            self.lose(f"{where}: `{path[:100]}` is neither YAML, JSON nor text")
            return None
        self.file(reference, where)
        return None


def path_of(reference: str) -> str:
    """A path as the files are called by."""
    return posixpath.normpath(reference.removeprefix("file://"))


def read_yaml(text: str, what: str) -> Any:  # noqa: ANN401 -- a YAML value
    """YAML or JSON, its dates as texts. Raises InvalidRequest."""
    if len(text) > _MOST_BYTES:
        raise InvalidRequest(f"Of promptfoo, {what} has more than {_MOST_BYTES >> 20} MB.")
    try:
        return json.loads(text)  # YAML reads its escapes of characters beyond 16 bits otherwise
    except (ValueError, RecursionError):
        pass
    try:
        return _bare(YAML(typ="safe", pure=True).load(io.StringIO(text)))
    except (YAMLError, ValueError, RecursionError) as error:
        raise InvalidRequest(f"Of promptfoo, {what} is no YAML: {str(error).splitlines()[0]}.") from None


def _bare(value: Any) -> Any:  # noqa: ANN401 -- a YAML value
    if isinstance(value, Mapping):
        return {each if isinstance(each, str) else json.dumps(each, default=str): _bare(inner)
                for each, inner in value.items()}  # fmt: skip
    if isinstance(value, list):
        return [_bare(each) for each in value]
    return value.isoformat() if isinstance(value, date) else value


def mapping(value: object, what: str) -> Mapping[str, Any]:
    """A mapping with texts as keys. Raises InvalidRequest."""
    if not isinstance(value, Mapping):
        raise InvalidRequest(f"Of promptfoo, {what} must be a mapping.")
    return {str(key): each for key, each in value.items()}


def inner(config: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    """A mapping within another; an empty one where there is none."""
    return mapping(config[key], f"`{key}`") if isinstance(config.get(key), Mapping) else {}


def listed(value: object) -> Iterator[Any]:
    """The members of a list, or the one value itself; nothing for nothing."""
    if isinstance(value, list):
        yield from value
    elif value is not None:
        yield value

"""SQL by name: `queries.sql` beside each store, its statements headed `-- name: find_key`."""

from __future__ import annotations

import difflib
import functools
import importlib.resources
import re
from collections.abc import Iterator, Mapping

_HEADING = re.compile(r"^--[ \t]*name:[ \t]*(\S+)[ \t]*$", re.MULTILINE)
_IDENTIFIER = re.compile(r"[a-z][a-z0-9_]*")


class Queries(Mapping[str, str]):
    """The statements of one file, as attributes or by `[]`."""

    def __init__(self, where: str, statements: Mapping[str, str]) -> None:
        self._where = where
        self._statements = dict(statements)

    def __getitem__(self, name: str) -> str:
        if (statement := self._statements.get(name)) is None:
            raise KeyError(self._unknown(name))
        return statement

    def __getattr__(self, name: str) -> str:
        statements: dict[str, str] = self.__dict__.get("_statements", {})
        if name not in statements:
            raise AttributeError(self._unknown(name))
        return statements[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._statements)

    def __len__(self) -> int:
        return len(self._statements)

    def _unknown(self, name: str) -> str:
        near = difflib.get_close_matches(name, self._statements, n=3) or sorted(self._statements)
        return f"{self._where} has no statement named `{name}`; there is: {', '.join(near) or 'none'}"


@functools.cache
def load(package: str, file: str = "queries.sql") -> Queries:
    """The named statements of a file in a package. A `%` that is no parameter is written `%%`, as psycopg wants it.

    Raises ValueError for text before the first name, a name twice or one that is no identifier, an empty statement.
    """
    where = f"{package}/{file}"
    return Queries(where, parse(importlib.resources.files(package).joinpath(file).read_text(encoding="utf-8"), where))


def parse(text: str, where: str) -> dict[str, str]:
    """The statements of such a file's text; see `load`."""
    before, *parts = _HEADING.split(text)
    if _without_comments(before):
        raise ValueError(f"{where}: the first statement has no `-- name:` above it")
    statements: dict[str, str] = {}
    for name, body in zip(parts[::2], parts[1::2], strict=True):
        statement = body.strip().removesuffix(";").rstrip()
        if not _IDENTIFIER.fullmatch(name):
            raise ValueError(f"{where}: `{name}` is no name for a statement: lower case, digits, underscores")
        if name in statements:
            raise ValueError(f"{where}: two statements are named `{name}`")
        if not _without_comments(statement):
            raise ValueError(f"{where}: `{name}` is empty")
        statements[name] = statement
    return statements


def _without_comments(text: str) -> str:
    return re.sub(r"--[^\n]*", "", text).strip()

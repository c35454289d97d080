"""The `search` of a collection's file, and the synonyms beside it: how its passages are ranked."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping

from headworks.errors import WorkspaceInvalid
from headworks.releases.reading import Section, decode, nearest
from headworks.types.search import SearchTuning, Synonyms, TuningError, changed

SYNONYMS = ".synonyms.txt"
"""What follows the collection's name in the name of its file of synonyms."""
_MOST_RULES = 2_000
_MOST_WORDS = 50
_LONGEST_WORD = 100


def read_search(top: Section, collection: str, files: Mapping[str, bytes]) -> SearchTuning:
    """The settings, with the synonyms that stand beside the file. Raises WorkspaceInvalid with file and line."""
    given = top.json("search")
    if given is not None and not isinstance(given, dict):
        top.complain("search", "`search` must be a mapping of keys.")
    path = f"collections/{collection}{SYNONYMS}"
    rules = tuple(read_synonyms(path, files[path])) if path in files else ()
    try:
        return changed(dataclasses.replace(SearchTuning(), synonyms=rules), given or {})
    except TuningError as error:
        where = top.where_inside("search", error.path)
        hint = nearest(error.path[-1], error.known) if error.known else ""
        raise WorkspaceInvalid(f"{where}: {error.message}", next_step=hint) from None


def read_synonyms(path: str, content: bytes) -> Iterator[Synonyms]:
    """Rules out of lines `a, b, c` (each stands for the others) and `a => b, c` (only a for those).

    What follows a `#` is a remark. Raises WorkspaceInvalid with file and line.
    """
    number = 0
    for line, raw in enumerate(decode(path, content).splitlines(), 1):
        said = raw.partition("#")[0].strip()
        if not said:
            continue
        for rule in _rules(f"{path}:{line}", said):
            number += 1
            if number > _MOST_RULES:
                raise WorkspaceInvalid(f"{path}:{line}: more than {_MOST_RULES:,} rules.")
            yield rule


def _rules(where: str, line: str) -> Iterator[Synonyms]:
    left, arrow, right = line.partition("=>")
    words = _words(where, left)
    if arrow:
        others = _words(where, right)
        yield from (Synonyms(word, tuple(others)) for word in words)
        return
    if len(words) < 2:
        raise WorkspaceInvalid(
            f"{where}: a line needs at least two words.", next_step="Like `car, automobile`, or `PTO => paid time off`."
        )
    for word in words:
        yield Synonyms(word, tuple(other for other in words if other != word))


def _words(where: str, said: str) -> list[str]:
    words = list(dict.fromkeys(" ".join(each.split()) for each in said.split(",")))
    if not all(words):
        raise WorkspaceInvalid(f"{where}: there is nothing between two commas.")
    if len(words) > _MOST_WORDS or any(len(each) > _LONGEST_WORD for each in words):
        raise WorkspaceInvalid(f"{where}: at most {_MOST_WORDS} words of {_LONGEST_WORD} characters in a line.")
    return words

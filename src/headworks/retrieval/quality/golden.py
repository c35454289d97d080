"""Golden queries: `collections/<name>.golden.jsonl`, one JSON object a line, read strictly.

    {"query": "how long is an approval valid", "relevant": ["approvals.md"]}
    {"id": "leave-1", "query": "paid leave", "relevant": [
        {"document": "leave.md", "grade": 3, "quote": "twelve weeks"},
        {"document": "pay.md", "section": ["Pay", "Absence"]}], "tags": ["people"], "as": "jane", "cluster": "leave"}

Every complaint starts with `file:line:`. (The second example is one line in a file.)
"""

from __future__ import annotations

import hashlib
import json
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NoReturn

from headworks.errors import WorkspaceInvalid

MOST_QUERIES = 10_000
MOST_BYTES = 16 << 20
LONGEST_QUERY = 8_000
"""Characters: what a search reads of a query."""
HIGHEST_GRADE = 100
_QUERY_KEYS = ("id", "query", "relevant", "tags", "as", "cluster")
_TARGET_KEYS = ("document", "grade", "quote", "section")


@dataclass(frozen=True, slots=True)
class Target:
    """Something that should be found: a document by its path, or what of it.

    `grade` 1 is relevant, more is more so, 0 is judged and not relevant. `quote` is text of the document, up to white
    space; `section` are headings that stand one below the other in the passage's.
    """

    document: str
    grade: int = 1
    quote: str | None = None
    section: tuple[str, ...] = ()

    @property
    def is_whole_document(self) -> bool:
        """Whether any passage of the document will do."""
        return self.quote is None and not self.section


@dataclass(frozen=True, slots=True)
class GoldenQuery:
    """A query and what should be found for it.

    `reader` is who asks (`as` in the file); None: whoever measures. Queries of one `cluster` are variants of the same
    question, and together tell less than as many that have nothing to do with each other; None: one of its own.
    """

    id: str
    query: str
    targets: tuple[Target, ...]
    tags: tuple[str, ...]
    reader: str | None
    line: int
    cluster: str | None = None

    def as_json(self) -> dict[str, Any]:
        """As a line of a golden file says it, with its id."""
        said: dict[str, Any] = {"id": self.id, "query": self.query, "relevant": [_target_json(t) for t in self.targets]}
        if self.tags:
            said["tags"] = list(self.tags)
        if self.reader is not None:
            said["as"] = self.reader
        if self.cluster is not None:
            said["cluster"] = self.cluster
        return said


def read_golden(path: str, content: bytes) -> list[GoldenQuery]:
    """The golden queries of a file, in its order. Raises WorkspaceInvalid, with file and line."""
    if len(content) > MOST_BYTES:
        raise WorkspaceInvalid(f"{path}:1: the file has more than {MOST_BYTES >> 20} MB.")
    queries: list[GoldenQuery] = []
    lines_of: dict[tuple[str, ...], int] = {}
    for number, raw in enumerate(content.removeprefix(b"\xef\xbb\xbf").split(b"\n"), 1):
        if not raw.strip():
            continue
        reading = _Line(f"{path}:{number}")
        made = reading.query(reading.parse(raw), number)
        for key, what in ((("id", made.id), f"id `{made.id}`"), (_asked(made), "query")):
            if key in lines_of:
                reading.complain(f"the {what} is also in line {lines_of[key]}.", "Keep one of them.")
            lines_of[key] = number
        queries.append(made)
        if len(queries) > MOST_QUERIES:
            reading.complain(f"more than {MOST_QUERIES:,} queries.", "Split the file.")
    if not queries:
        raise WorkspaceInvalid(
            f"{path}:1: there is no query in it.",
            next_step='A line looks like {"query": "how long is leave", "relevant": ["people/leave.md"]}.',
        )
    return queries


class _Line:
    """One line of a file, for complaints."""

    def __init__(self, where: str) -> None:
        self._where = where

    def complain(self, what: str, next_step: str = "") -> NoReturn:
        raise WorkspaceInvalid(f"{self._where}: {what}", next_step=next_step)

    def parse(self, raw: bytes) -> Any:  # noqa: ANN401 -- any JSON value
        try:
            return json.loads(raw.decode(), parse_constant=self._no_constant, object_pairs_hook=self._object)
        except UnicodeDecodeError:
            self.complain("not UTF-8.", "Save the file as UTF-8.")
        except (ValueError, RecursionError) as error:
            place = f" at column {error.colno}: {error.msg}" if isinstance(error, json.JSONDecodeError) else ""
            self.complain(f"not JSON{place}.", "Each line is one JSON object.")

    def query(self, given: Any, number: int) -> GoldenQuery:  # noqa: ANN401 -- any JSON value
        entry = self._mapping(given, _QUERY_KEYS, "a golden query")
        text = self._text(entry, "query", LONGEST_QUERY)
        if text is None:
            self.complain("`query` is missing.")
        reader = self._text(entry, "as", 200)
        named = self._text(entry, "id", 200)
        targets = self._targets(entry.get("relevant"))
        cluster = self._text(entry, "cluster", 200)
        return GoldenQuery(named or _usual_id(text, reader), text, targets, self._tags(entry), reader, number, cluster)

    def _targets(self, given: Any) -> tuple[Target, ...]:  # noqa: ANN401 -- any JSON value
        if not isinstance(given, list) or not given:
            self.complain("`relevant` must list at least one document.", 'Like "relevant": ["people/leave.md"].')
        targets = tuple(self._target(each) for each in given)
        wanted = {(each.document, each.quote, each.section) for each in targets}
        if len(wanted) < len(targets):
            self.complain("`relevant` names the same twice.")
        if not any(each.grade for each in targets):
            self.complain("`relevant` holds nothing of a grade above 0, so nothing could be found.")
        return targets

    def _target(self, given: Any) -> Target:  # noqa: ANN401 -- any JSON value
        if isinstance(given, str):
            given = {"document": given}
        entry = self._mapping(given, _TARGET_KEYS, "an entry of `relevant`")
        document = self._text(entry, "document", 4096)
        if document is None:
            self.complain("an entry of `relevant` has no `document`.", "That is the document's path.")
        grade = entry.get("grade", 1)
        if not isinstance(grade, int) or isinstance(grade, bool) or not 0 <= grade <= HIGHEST_GRADE:
            self.complain(f"`grade` must be a whole number from 0 to {HIGHEST_GRADE}.")
        quote, section = self._text(entry, "quote", 20_000), self._section(entry.get("section", []))
        if quote is not None and section:
            self.complain("an entry of `relevant` has both `quote` and `section`.", "Make two entries of it.")
        return Target(unicodedata.normalize("NFC", document), grade, quote, section)

    def _section(self, given: Any) -> tuple[str, ...]:  # noqa: ANN401 -- any JSON value
        headings = [given] if isinstance(given, str) else given
        if not isinstance(headings, list) or not all(isinstance(each, str) and each.strip() for each in headings):
            self.complain("`section` must be a heading, or a list of headings, the outer one first.")
        return tuple(" ".join(each.split()) for each in headings)

    def _tags(self, entry: Mapping[str, Any]) -> tuple[str, ...]:
        tags = entry.get("tags", [])
        if not isinstance(tags, list) or not all(isinstance(each, str) and each.strip() for each in tags):
            self.complain("`tags` must be a list of words.")
        return tuple(dict.fromkeys(each.strip() for each in tags))

    def _mapping(self, given: Any, keys: tuple[str, ...], what: str) -> Mapping[str, Any]:  # noqa: ANN401 -- JSON
        if not isinstance(given, dict):
            self.complain(f"{what} must be a JSON object.")
        for key in given:
            if key not in keys:
                self.complain(f"{what} has no `{key[:100]}`.", f"It may have {', '.join(keys)}.")
        return given

    def _text(self, entry: Mapping[str, Any], key: str, longest: int) -> str | None:
        """The text under a key, None where there is no such key."""
        if key not in entry:
            return None
        value = entry[key]
        if not isinstance(value, str) or not value.strip() or "\0" in value or not _is_whole(value):
            self.complain(f"`{key}` must be text.")
        if len(value) > longest:
            self.complain(f"`{key}` has {len(value):,} characters, at most {longest:,}.")
        return value

    def _object(self, pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        made = dict(pairs)
        if len(made) < len(pairs):
            self.complain("a JSON object has the same key twice.")
        return made

    def _no_constant(self, name: str) -> NoReturn:
        self.complain(f"`{name}` is no JSON.")


def _is_whole(text: str) -> bool:
    """Whether no half of a surrogate pair stands alone, which nothing could send."""
    return not any("\ud800" <= character <= "\udfff" for character in text)


def _asked(query: GoldenQuery) -> tuple[str, ...]:
    """What two lines must not share: the words, however spaced and capitalised, asked as the same reader."""
    words = " ".join(unicodedata.normalize("NFC", query.query).casefold().split())
    return "asked", words, query.reader or ""


def _usual_id(query: str, reader: str | None) -> str:
    """Stays the same when lines move."""
    return "q-" + hashlib.sha256(f"{reader or ''}\0{query}".encode()).hexdigest()[:12]


def _target_json(target: Target) -> dict[str, Any]:
    said: dict[str, Any] = {"document": target.document, "grade": target.grade}
    if target.quote is not None:
        said["quote"] = target.quote
    if target.section:
        said["section"] = list(target.section)
    return said

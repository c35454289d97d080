"""Where the documents are that golden queries name: looked up before anything is measured, as who will ask."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from headworks.cli.client import Client, place
from headworks.cli.json_values import JsonObject
from headworks.errors import WorkspaceInvalid
from headworks.retrieval.quality.golden import GoldenQuery, Target
from headworks.retrieval.quality.ranking import Place, Sought, quote_spans

_AT_ONCE = 500
_MOST_SHOWN = 10


@dataclass(slots=True)
class Library:
    """One collection as one reader sees it. `file` is the golden file, for complaints."""

    client: Client
    collection: str
    file: str
    _rows: dict[str, list[JsonObject]] = field(default_factory=lambda: defaultdict(list))
    _documents: dict[str, JsonObject] = field(default_factory=dict)

    def look_up(self, queries: Sequence[GoldenQuery], *, may_be_missing: bool) -> dict[str, tuple[Sought, ...]]:
        """What each query looks for, by its id. WorkspaceInvalid names all that is not there, with file and line."""
        paths = sorted({target.document for query in queries for target in query.targets})
        for start in range(0, len(paths), _AT_ONCE):
            body = {"paths": paths[start : start + _AT_ONCE]}
            for row in self.client.post(place("collections", self.collection, "documents", "find"), body)["rows"]:
                self._rows[row["path"]].append(row)
        complaints = [] if may_be_missing else list(self._complaints(queries))
        if complaints:
            more = len(complaints) - _MOST_SHOWN
            lines = [*complaints[:_MOST_SHOWN], *([f"… and {more} more."] if more > 0 else [])]
            raise WorkspaceInvalid(
                "\n".join(lines), next_step="Correct the file, or count them as not found with --allow-missing."
            )
        return {query.id: tuple(self._sought(target) for target in query.targets) for query in queries}

    def _complaints(self, queries: Sequence[GoldenQuery]) -> Iterator[str]:
        for query in queries:
            for target in query.targets:
                where = f"{self.file}:{query.line}"
                if not self._rows.get(target.document):
                    reader = f"`{query.reader}`" if query.reader else "this key"
                    what = f"there is no document `{target.document}` in `{self.collection}`"
                    yield f"{where}: {what} that {reader} may read."
                elif target.quote is not None and not any(each.spans for each in self._sought(target).places):
                    yield f"{where}: the quote “{target.quote[:60]}” is not in `{target.document}`."
                elif target.section and not self._has_section(target):
                    yield f"{where}: `{target.document}` has no section {' › '.join(target.section)}."

    def _sought(self, target: Target) -> Sought:
        rows = self._rows.get(target.document, [])
        if target.quote is None:
            return Sought(target, tuple(Place(row["document"], row["version"]) for row in rows))
        documents = [self._document(row["document"]) for row in rows]
        places = (
            Place(each["document"], each["version"], quote_spans(each["text"], target.quote)) for each in documents
        )
        return Sought(target, tuple(places))

    def _has_section(self, target: Target) -> bool:
        documents = [self._document(row["document"]) for row in self._rows[target.document]]
        known = ({" ".join(each["text"].split()) for each in found["headings"]} for found in documents)
        return any(set(target.section) <= headings for headings in known)

    def _document(self, document: str) -> JsonObject:
        if document not in self._documents:
            self._documents[document] = self.client.get(place("documents", document))
        return self._documents[document]


def look_up_all(
    clients: Mapping[str | None, Client],
    queries: Sequence[GoldenQuery],
    collection: str,
    file: str,
    *,
    may_be_missing: bool,
) -> dict[str, tuple[Sought, ...]]:
    """What each query looks for in a collection, as its reader sees it, by the query's id."""
    found: dict[str, tuple[Sought, ...]] = {}
    for reader, client in clients.items():
        asked = [query for query in queries if query.reader == reader]
        found |= Library(client, collection, file).look_up(asked, may_be_missing=may_be_missing)
    return found

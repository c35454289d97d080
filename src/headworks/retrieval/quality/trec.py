"""Judgements as test collections have them (TREC's qrels, BEIR's tables), made into golden queries."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from headworks.errors import WorkspaceInvalid
from headworks.retrieval.quality.golden import HIGHEST_GRADE, LONGEST_QUERY, GoldenQuery, Target

_ID = "{id}"
_TREC_COLUMNS, _BEIR_COLUMNS = 4, 3


@dataclass(frozen=True, slots=True)
class Imported:
    """Golden queries, and how many were left out: without a judgement, and without a relevant document."""

    queries: list[GoldenQuery]
    unjudged: int
    irrelevant: int


def read_qrels(path: str, content: bytes) -> dict[str, dict[str, int]]:
    """Grades by query and document, from TREC's `query iteration document grade` or BEIR's `query document grade`.

    Raises WorkspaceInvalid, with file and line.
    """
    grades: dict[str, dict[str, int]] = {}
    for number, line in _lines(path, content):
        cells = line.split("\t") if "\t" in line else line.split()
        if number == 1 and cells[-1].strip().lower() in {"score", "grade", "relevance"}:
            continue
        if len(cells) not in {_TREC_COLUMNS, _BEIR_COLUMNS}:
            raise WorkspaceInvalid(
                f"{path}:{number}: {len(cells)} columns.",
                next_step="A line is `query 0 document grade`, or `query document grade` with tabs.",
            )
        query, document, grade = cells[0].strip(), cells[-2].strip(), _grade(path, number, cells[-1])
        if document in grades.setdefault(query, {}):
            raise WorkspaceInvalid(f"{path}:{number}: the document `{document}` is judged twice for query `{query}`.")
        grades[query][document] = grade
    return grades


def read_queries(path: str, content: bytes) -> dict[str, str]:
    """Texts by query, from lines `id<tab>text` or BEIR's JSON objects with `_id` and `text`; WorkspaceInvalid."""
    texts: dict[str, str] = {}
    for number, line in _lines(path, content):
        query, text = _query(path, number, line)
        if query in texts:
            raise WorkspaceInvalid(f"{path}:{number}: the query `{query}` is there twice.")
        texts[query] = text[:LONGEST_QUERY]
    return texts


def golden_from(queries: Mapping[str, str], grades: Mapping[str, Mapping[str, int]], naming: str = _ID) -> Imported:
    """Golden queries in the order of `queries`; `naming` makes a document's path of its id, like `{id}.md`.

    Negative grades are 0; what is above 100 is 100. Queries of the same words are one, with the judgements of both.
    """
    if naming.count(_ID) != 1:
        raise WorkspaceInvalid(f"{naming!r} does not say where the id stands.", next_step="Like {id}.md.")
    made: dict[str, GoldenQuery] = {}
    unjudged = irrelevant = 0
    for line, (query, text) in enumerate(queries.items(), 1):
        if query not in grades:
            unjudged += 1
        elif not any(grade > 0 for grade in grades[query].values()):
            irrelevant += 1
        else:
            asked = " ".join(text.casefold().split())
            former = made[asked].targets if asked in made else ()
            name = made[asked].id if asked in made else query
            made[asked] = GoldenQuery(name, text, _merged(former, _targets(grades[query], naming)), (), None, line)
    return Imported(list(made.values()), unjudged, irrelevant)


def _targets(grades: Mapping[str, int], naming: str) -> list[Target]:
    held = {each: min(HIGHEST_GRADE, max(0, grade)) for each, grade in grades.items()}
    return [Target(naming.replace(_ID, each), grade) for each, grade in held.items()]


def _merged(former: Sequence[Target], more: Sequence[Target]) -> tuple[Target, ...]:
    best = {each.document: each for each in former}
    for each in more:
        if each.document not in best or best[each.document].grade < each.grade:
            best[each.document] = each
    return tuple(best.values())


def _lines(path: str, content: bytes) -> Iterator[tuple[int, str]]:
    for number, raw in enumerate(content.removeprefix(b"\xef\xbb\xbf").split(b"\n"), 1):
        try:
            line = raw.decode().rstrip("\r")
        except UnicodeDecodeError:
            raise WorkspaceInvalid(f"{path}:{number}: not UTF-8.", next_step="Save the file as UTF-8.") from None
        if line.strip():
            yield number, line


def _grade(path: str, number: int, cell: str) -> int:
    try:
        return int(cell.strip())
    except ValueError:
        raise WorkspaceInvalid(f"{path}:{number}: {cell.strip()[:40]!r} is no whole number.") from None


def _query(path: str, number: int, line: str) -> tuple[str, str]:
    if line.lstrip().startswith("{"):
        try:
            entry = json.loads(line)
            query, text = str(entry["_id"]), str(entry["text"])
        except (ValueError, KeyError, RecursionError):
            raise WorkspaceInvalid(f"{path}:{number}: no JSON object with `_id` and `text`.") from None
    else:
        query, _, text = line.partition("\t")
    if not query.strip() or not text.strip():
        raise WorkspaceInvalid(
            f"{path}:{number}: no id and text with a tab between them.",
            next_step="Topics in SGML have to be made into lines of `id<tab>text` first.",
        )
    return query.strip(), " ".join(text.split())

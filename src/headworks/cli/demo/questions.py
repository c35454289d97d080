"""Questions found in the documents themselves, as the server keeps them, by who may read them."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import PurePosixPath

from headworks.cli.client import Client, place
from headworks.cli.demo.corpus import Corpus
from headworks.cli.demo.headings import Outline, Question, choose, outline
from headworks.cli.folders import readable_paths
from headworks.cli.json_values import JsonObject
from headworks.errors import HeadworksError, NotFound

_COUNT = 3
_MOST_DOCUMENTS = 12
_CANDIDATES = 8


def find_questions(administrator: Client, corpus: Corpus) -> list[Question]:
    """Three headings of documents that everybody may read; HeadworksError when no document could be read at all."""
    paths = [path for path in readable_paths(corpus.documents) if path != corpus.restricted.document]
    outlines = list(_outlines(administrator, administrator, corpus, paths[:_MOST_DOCUMENTS]))
    if not outlines:
        raise HeadworksError(
            f"No document in {corpus.documents} could be read but the restricted one.",
            next_step="Give questions with --ask, or another folder.",
        )
    return choose(outlines, _COUNT)


def find_restricted_question(member: Client, administrator: Client, corpus: Corpus) -> Question:
    """The corpus's own, else the heading of the restricted document by which its member finds it first."""
    secret = corpus.restricted
    if secret.question:
        return Question(secret.question)
    candidates = choose(list(_outlines(member, administrator, corpus, [secret.document])), _CANDIDATES)
    for candidate in candidates:
        wanted = {"collection": corpus.collection, "query": candidate.text, "k": 1}
        rows = member.post(place("search"), wanted)["rows"]
        if rows and rows[0]["path"] == secret.document:
            return candidate
    return candidates[0] if candidates else Question(PurePosixPath(secret.document).stem, "the document's name")


def _outlines(reader: Client, administrator: Client, corpus: Corpus, paths: Iterable[str]) -> Iterable[Outline]:
    """What a reader sees of these documents; the administrator knows their ids."""
    for path in paths:
        try:
            known = explain(administrator, corpus, path, corpus.restricted.member)
            found = reader.get(place("documents", str(known["document"])))
        except NotFound:
            continue  # it could not be parsed, and ingestion has said so
        headings = [each["text"] for each in found["headings"]]
        # A title says what all of it is about; what stands below a heading answers better.
        yield outline(path, found["text"], [each for each in headings if each != found["title"]] or headings)


def explain(administrator: Client, corpus: Corpus, path: str, principal: str) -> JsonObject:
    """Why somebody may or may not read a document, as only an administrator may ask."""
    wanted = {"collection": corpus.collection, "document": path, "principal": principal}
    found: JsonObject = administrator.post(place("readers", "explain"), wanted)
    return found

"""The `search` of a collection's file, and the synonyms beside it: how its passages are ranked."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Iterator, Mapping

import msgspec

from headworks.errors import WorkspaceInvalid
from headworks.strict_yaml import Section, decode, nearest
from headworks.types.search import SearchTuning, Synonyms, TuningError, changed, models_of
from headworks.types.workspace import CollectionSpec, FeatureSpec

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


def check_search_models(
    collections: Collection[CollectionSpec],
    features: Collection[FeatureSpec],
    routes: Collection[str],
    providers: Collection[str],
) -> None:
    """Whether each model that rewrites or reranks is a route of the workspace, or one of a provider that is known.

    What a feature turns on without naming a model must have one in its collection's file.
    """
    tunings = {each.name: each.search for each in collections}
    for feature in features:
        if feature.retrieval is not None:
            try:
                changed(tunings.get(feature.retrieval.collection, SearchTuning()), feature.retrieval.search)
            except TuningError as error:
                raise WorkspaceInvalid(f"{feature.where}: `retrieval.search`: {error.message}") from None
    named = [(each.where, model) for each in collections for model in models_of(msgspec.to_builtins(each.search))]
    named += [
        (each.where, model)
        for each in features
        for model in models_of(each.retrieval.search if each.retrieval is not None else {})
    ]
    for where, model in named:
        provider, slash, _ = model.partition("/")
        if provider not in providers if slash else model not in routes:
            raise WorkspaceInvalid(
                f"{where}: `search` names the model `{model}`, which is no route and no `provider/model`.",
                next_step=nearest(provider, providers) if slash else nearest(model, routes),
            )


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

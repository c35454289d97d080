"""How a collection is searched: weights, decay, diversity, synonyms, and what models do for it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, NoReturn

import msgspec

from headworks.types.filters import DATE_FACTS, KEY

USUAL_KEYWORD_WEIGHT = 0.5
MOST_QUERIES = 4
"""That a question is taken apart into."""
DEEPEST_RERANK = 100
LONGEST_HALF_LIFE_DAYS = 36_500.0


class TuningError(ValueError):
    """What is wrong with settings of a search; `path` leads there. `known` are the keys that there are beside it."""

    def __init__(self, path: Sequence[str], message: str, known: Sequence[str] = ()) -> None:
        super().__init__(message)
        self.path = tuple(path)
        self.message = message
        self.known = tuple(known)


@dataclass(frozen=True, slots=True)
class Decay:
    """A score is worth half after `half_life_days`, counted from a date of the document; without that date it stays."""

    half_life_days: float
    field: str = "updated_at"


@dataclass(frozen=True, slots=True)
class Synonyms:
    """A question that says `word` also looks for `others`."""

    word: str
    others: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Rewriting:
    """A model (a route or `provider/model`) makes a question of its own out of a conversation, or several of one.

    `queries` is into how many a question may be taken apart; 1: it is not.
    """

    model: str
    condense: bool = True
    queries: int = 1


@dataclass(frozen=True, slots=True)
class Reranking:
    """A model (a route or `provider/model`) puts the best `depth` passages into an order of its own."""

    model: str
    depth: int = 30


@dataclass(frozen=True, slots=True)
class SearchTuning:
    """The `search` of a collection's file. Everything is off but the two legs, until it is measured to be better.

    `keyword_weight` is the share of keywords in the fused score (0 to 1). `per_document` is how many passages of one
    document there may be; `mmr` how much closeness to the question counts against being other than what stands above
    (1: all).
    """

    keyword_weight: float = USUAL_KEYWORD_WEIGHT
    decay: Decay | None = None
    per_document: int | None = None
    mmr: float | None = None
    synonyms: tuple[Synonyms, ...] = ()
    rewrite: Rewriting | None = None
    rerank: Reranking | None = None

    def as_json(self) -> dict[str, Any]:
        """What differs from the usual settings, as it is stored."""
        usual = SearchTuning()
        stored: dict[str, Any] = msgspec.to_builtins(self)
        return {name: value for name, value in stored.items() if getattr(self, name) != getattr(usual, name)}


def stored_tuning(stored: object) -> SearchTuning:
    """Settings out of what `as_json` gave."""
    return msgspec.convert(stored or {}, SearchTuning)


def changed(tuning: SearchTuning, given: Mapping[str, Any]) -> SearchTuning:
    """The settings with others in their place, as a file or a request says them; TuningError for what can't be one.

    `false` turns off what a collection's file turns on. `synonyms` can only be turned off or left as they are.
    """
    _only(given, tuple(_READERS), ())
    found: dict[str, Any] = {name: _READERS[name](value, tuning) for name, value in given.items()}
    return replace(tuning, **found)


def models_of(given: Mapping[str, Any]) -> list[str]:
    """The models that a request's settings name."""
    parts = [given.get("rewrite"), given.get("rerank")]
    return [each["model"] for each in parts if isinstance(each, Mapping) and isinstance(each.get("model"), str)]


def _decay(value: object, _: SearchTuning) -> Decay | None:
    if value is False or value is None:
        return None
    entry = _mapping(value, ("field", "half_life_days"), "decay")
    field = entry.get("field", "updated_at")
    if not isinstance(field, str) or not (field in DATE_FACTS or KEY.fullmatch(field)):
        _fail(("decay", "field"), "`decay.field` must be a key of metadata, or `updated_at` or `created_at`.")
    if "half_life_days" not in entry:
        _fail(("decay",), "`decay` needs `half_life_days`: after so many days a score is worth half.")
    days = _number(entry["half_life_days"], ("decay", "half_life_days"), 0.01, LONGEST_HALF_LIFE_DAYS)
    return Decay(days, field)


def _rewrite(value: object, tuning: SearchTuning) -> Rewriting | None:
    if value is False or value is None:
        return None
    if value is True:
        return tuning.rewrite or _fail(("rewrite",), "`rewrite`: the collection's file names no model for it.")
    entry = _mapping(value, ("model", "condense", "queries"), "rewrite")
    condense = entry.get("condense", True)
    if not isinstance(condense, bool):
        _fail(("rewrite", "condense"), "`rewrite.condense` must be true or false.")
    queries = _whole(entry.get("queries", 1), ("rewrite", "queries"), 1, MOST_QUERIES)
    return Rewriting(_model(entry, "rewrite"), condense, queries)


def _rerank(value: object, tuning: SearchTuning) -> Reranking | None:
    if value is False or value is None:
        return None
    if value is True:
        return tuning.rerank or _fail(("rerank",), "`rerank`: the collection's file names no model for it.")
    entry = _mapping(value, ("model", "depth"), "rerank")
    return Reranking(_model(entry, "rerank"), _whole(entry.get("depth", 30), ("rerank", "depth"), 2, DEEPEST_RERANK))


def _synonyms(value: object, tuning: SearchTuning) -> tuple[Synonyms, ...]:
    if not isinstance(value, bool):
        _fail(("synonyms",), "`synonyms` is true or false: they stand in `collections/<name>.synonyms.txt`.")
    return tuning.synonyms if value else ()


def _per_document(value: object, _: SearchTuning) -> int | None:
    return None if value is None or value is False else _whole(value, ("per_document",), 1, 100)


def _mmr(value: object, _: SearchTuning) -> float | None:
    return None if value is None or value is False else _number(value, ("mmr",), 0, 1)


_READERS = {
    "keyword_weight": lambda value, _: _number(value, ("keyword_weight",), 0, 1),
    "decay": _decay,
    "per_document": _per_document,
    "mmr": _mmr,
    "synonyms": _synonyms,
    "rewrite": _rewrite,
    "rerank": _rerank,
}
SETTINGS = tuple(_READERS)
"""The names of all settings."""


def _mapping(value: object, known: tuple[str, ...], name: str) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        _fail((name,), f"`{name}` must be a mapping of {', '.join(known)}, or false.")
    _only(value, known, (name,))
    return value


def _model(entry: Mapping[str, Any], name: str) -> str:
    model = entry.get("model")
    if not isinstance(model, str) or not 1 <= len(model) <= 200 or not model.isprintable():
        _fail((name, "model"), f"`{name}.model` must name a route or `provider/model`.")
    return model


def _number(value: object, path: tuple[str, ...], low: float, high: float) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        _fail(path, f"`{'.'.join(path)}` must be a number.")
    if not low <= value <= high:
        _fail(path, f"`{'.'.join(path)}` is {value:g}; it must lie between {low:g} and {high:g}.")
    return float(value)


def _whole(value: object, path: tuple[str, ...], low: int, high: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        _fail(path, f"`{'.'.join(path)}` must be a whole number.")
    if not low <= value <= high:
        _fail(path, f"`{'.'.join(path)}` is {value}; it must lie between {low} and {high}.")
    return value


def _only(given: Mapping[str, Any], known: tuple[str, ...], path: tuple[str, ...]) -> None:
    for key in given:
        if key not in known:
            name = ".".join((*path, str(key)[:80]))
            raise TuningError((*path, str(key)), f"unknown key `{name}`.", known)


def _fail(path: Sequence[str], message: str) -> NoReturn:
    raise TuningError(path, message)

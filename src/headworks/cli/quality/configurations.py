"""What a search is asked with, in the settings of `POST /api/search`, and what that is called in tables."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from headworks.cli.json_values import Json, JsonObject
from headworks.errors import InvalidRequest

LEGS = ("hybrid", "keywords", "vectors")
MOST_PASSAGES = 100
_OURS = ("query", "k")


@dataclass(frozen=True, slots=True)
class Configuration:
    """One way to search. `depth` passages are asked for; `more` is whatever else the server takes."""

    collection: str
    ranking: str
    depth: int
    more: tuple[tuple[str, Json], ...] = ()

    @property
    def settings(self) -> JsonObject:
        """By name, as they can be given to a command."""
        return {"collection": self.collection, "ranking": self.ranking, "depth": self.depth, **dict(self.more)}

    def body(self, query: str) -> JsonObject:
        """The request for a query."""
        known: JsonObject = {"collection": self.collection, "ranking": self.ranking, "k": self.depth}
        return {**dict(self.more), **known, "query": query}

    def changed(self, settings: Mapping[str, Json]) -> Configuration:
        """The same with other settings; InvalidRequest for what can't be one."""
        given = {**self.settings, **settings}
        collection, ranking, depth = given.pop("collection"), given.pop("ranking"), given.pop("depth")
        if not isinstance(collection, str) or not collection:
            raise InvalidRequest("`collection` must be a name.")
        if ranking not in LEGS:
            raise InvalidRequest(f"`ranking` is {ranking!r}.", next_step=f"One of {', '.join(LEGS)}.")
        if not isinstance(depth, int) or isinstance(depth, bool) or not 1 <= depth <= MOST_PASSAGES:
            raise InvalidRequest(f"`depth` is {depth!r}, not 1 to {MOST_PASSAGES} passages.")
        return Configuration(collection, ranking, depth, tuple(sorted(given.items())))


def configurations(
    collection: str, settings: Iterable[str], against: Iterable[str] | None, k: int
) -> list[Configuration]:
    """The one that is asked for, and with `against` the other one. InvalidRequest where `k` passages can't be got."""
    first = Configuration(collection, "hybrid", MOST_PASSAGES).changed(read_settings(settings))
    ways = [first] if against is None else [first, first.changed(read_settings(against))]
    for each in ways:
        if each.depth < k:
            raise InvalidRequest(
                f"Cut off at {k}, but only {each.depth} passages are asked for.", next_step=f"Give `--k {each.depth}`."
            )
    return ways


def read_settings(given: Iterable[str]) -> JsonObject:
    """`ranking=keywords`, `depth=20`, or a leg alone; values are JSON, or else text. InvalidRequest for others."""
    settings: JsonObject = {}
    for each in given:
        name, has_value, text = each.partition("=")
        if not has_value and each.strip() not in LEGS:
            raise InvalidRequest(
                f"{each!r} has no value.", next_step=f"Write it as NAME=VALUE; alone stand only {', '.join(LEGS)}."
            )
        if not has_value:
            name, text = "ranking", each
        name = name.strip()
        if name in _OURS or not name:
            raise InvalidRequest(
                f"{each!r} is no setting of a search.",
                next_step="`depth` is how many passages are asked for; --k is where they are cut off.",
            )
        if name in settings:
            raise InvalidRequest(f"`{name}` is given twice.")
        settings[name] = _value(text.strip())
    return settings


def labels(configurations: Iterable[Configuration]) -> list[str]:
    """A name for each: the ranking, and what else differs between them."""
    all_of_them = list(configurations)
    first = all_of_them[0].settings
    names = []
    for each in all_of_them:
        different = {
            name: value
            for name, value in each.settings.items()
            if name != "ranking" and any(other.settings.get(name) != value for other in all_of_them)
        }
        names.append(" ".join([each.ranking, *(f"{name}={_shown(value)}" for name, value in different.items())]))
    if len(all_of_them) > 1 and len(set(names)) < len(names):
        raise InvalidRequest(
            f"Both configurations are the same: {names[0]}.",
            next_step=f"Give --against what differs, like `--against {_other(first['ranking'])}`.",
        )
    return names


def _value(text: str) -> Json:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text


def _shown(value: Json) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _other(ranking: str) -> str:
    return "keywords" if ranking != "keywords" else "hybrid"

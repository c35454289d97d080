"""The tuning of a collection's weight of keywords, for people and for scripts."""

from __future__ import annotations

from collections.abc import Iterator

from headworks.cli.json_values import JsonObject
from headworks.cli.quality.configurations import Configuration
from headworks.cli.quality.running import Asking
from headworks.cli.terminal import Bars, paint, table
from headworks.errors import InvalidRequest
from headworks.retrieval.quality.tuning import GRID, Tuned, tuned


def tune(asking: Asking, base: Configuration, bars: Bars) -> Tuned:
    """Ask all queries as the settings are, and with every weight. InvalidRequest where there are too few."""
    now = asking.run(base, bars.start("as it is"))
    runs = {}
    for weight in GRID:
        way = base.changed({"keyword_weight": weight})
        runs[weight] = asking.run(way, bars.start(f"keyword_weight {weight:g}")).measured
    try:
        return tuned(now.measured, runs)
    except ValueError as error:
        raise InvalidRequest(str(error), next_step="Write more golden queries for the collection.") from None


def as_json(found: Tuned, collection: str, k: int) -> JsonObject:
    """As scripts see it."""
    return {
        "collection": collection,
        "k": k,
        "queries": found.queries,
        "keyword_weight": found.weight,
        "is_better": found.is_better,
        "gain": {"mean": found.gain, "low": found.low, "high": found.high},
        "ndcg": {"now": found.now, **{f"{weight:g}": mean for weight, mean in found.means.items()}},
    }


def lines(found: Tuned, collection: str, k: int) -> Iterator[str]:
    """As people see it."""
    rows = [
        [f"{weight:g}", f"{mean:.4f}{'  best' if weight == found.weight else ''}"]
        for weight, mean in found.means.items()
    ]
    yield table(("keyword_weight", f"nDCG@{k}"), [["as it is", f"{found.now:.4f}"], *rows])
    yield ""
    interval = f"{found.gain:+.4f} [{found.low:+.4f}, {found.high:+.4f}]"
    yield f"Chosen on four fifths of {found.queries} queries and measured on the rest: {interval} against as it is."
    yield ""
    if not found.is_better:
        yield "That can't be told from chance: leave the settings as they are, or write more golden queries."
        return
    yield f"To use it, have this in collections/{collection}.yaml, and apply:"
    yield ""
    yield paint("search:", "cyan")
    yield paint(f"  keyword_weight: {found.weight:g}", "cyan")

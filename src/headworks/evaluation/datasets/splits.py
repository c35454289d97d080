"""The lock on splits: what was trained or tuned on is never tested on, today or after the next edit.

An example keeps the split in which any version had it last, by its id; so do the examples of one cluster.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from headworks.errors import Conflict, InvalidRequest
from headworks.types.evaluation import Example, Split

_SHOWN = 5


@dataclass(frozen=True, slots=True)
class Moved:
    """An example in another split than it was. `by_cluster`: it is new, but others of its cluster were there."""

    id: str
    before: Split
    after: Split
    by_cluster: str | None = None


def check_clusters(examples: Sequence[Example]) -> None:
    """Pass if no cluster has examples in two splits, else InvalidRequest: alike examples on both sides are a leak."""
    split_of: dict[str, Example] = {}
    for each in examples:
        if each.cluster is None:
            continue
        first = split_of.setdefault(each.cluster, each)
        if first.split != each.split:
            raise InvalidRequest(
                f"The cluster `{each.cluster}` lies in two splits: `{first.id}` in {first.split}, `{each.id}` in "
                f"{each.split}.",
                next_step="Put all examples of a cluster into one split.",
                param="split",
                code="cluster_split",
            )


def moved(before: Iterable[Example], after: Iterable[Example]) -> tuple[Moved, ...]:
    """What changed its split. `before`: all examples of all versions, those of older versions first."""
    by_id: dict[str, Split] = {}
    by_cluster: dict[str, Split] = {}
    for each in before:
        by_id[each.id] = each.split
        if each.cluster is not None:
            by_cluster[each.cluster] = each.split
    found = []
    for each in after:
        old = by_id.get(each.id)
        if old is not None:
            if old != each.split:
                found.append(Moved(each.id, old, each.split))
        elif each.cluster is not None and by_cluster.get(each.cluster, each.split) != each.split:
            found.append(Moved(each.id, by_cluster[each.cluster], each.split, each.cluster))
    return tuple(found)


def locked(found: Sequence[Moved]) -> Conflict:
    """The error for examples that moved without a reason."""
    ways = Counter((each.before, each.after) for each in found)
    counts = ", ".join(f"{count} from {before} to {after}" for (before, after), count in sorted(ways.items()))
    names = ", ".join(f"`{each.id}`" for each in found[:_SHOWN])
    more = f" and {len(found) - _SHOWN} more" if len(found) > _SHOWN else ""
    return Conflict(
        f"Examples would move between splits ({counts}): {names}{more}.",
        next_step="Leave them where they were, or unlock with a reason (`--unlock REASON`), which the version keeps.",
        code="split_locked",
        param="split",
    )

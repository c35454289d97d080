"""The lock on splits: what was trained or tuned on is never tested on, today or after the next edit.

An example keeps the split in which any version had it last, by its id; so do the examples of one cluster.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from headworks.errors import Conflict, InvalidRequest
from headworks.types.evaluation import Example, Split

WHOLE_CLUSTERS = "Put all examples of a cluster into one split."
_UNLOCK = "Leave them where they were, or unlock with a reason (`--unlock REASON`), which the version keeps."
_SHOWN = 5


@dataclass(frozen=True, slots=True)
class Moved:
    """An example in another split than it was. `by_cluster`: it is new, but others of its cluster were there."""

    id: str
    before: Split
    after: Split
    by_cluster: str | None = None


def torn_cluster(examples: Iterable[Example]) -> tuple[Example, Example] | None:
    """Two examples of one cluster that lie in two splits, as they follow each other; None where there are none."""
    first_of: dict[str, Example] = {}
    for each in examples:
        if each.cluster is not None:
            first = first_of.setdefault(each.cluster, each)
            if first.split != each.split:
                return first, each
    return None


def check_clusters(examples: Iterable[Example]) -> None:
    """Pass if no cluster has examples in two splits, else InvalidRequest: alike examples on both sides are a leak."""
    if torn := torn_cluster(examples):
        raise InvalidRequest(told_torn(torn), next_step=WHOLE_CLUSTERS, param="split", code="cluster_split")


def told_torn(torn: tuple[Example, Example]) -> str:
    """What is wrong with these two."""
    one, other = torn
    return f"The cluster `{one.cluster}` lies in two splits: `{one.id}` in {one.split}, `{other.id}` in {other.split}."


@dataclass(slots=True)
class Splits:
    """In which split each example, by its id, and each cluster was last."""

    by_id: dict[str, Split] = field(default_factory=dict)
    by_cluster: dict[str, Split] = field(default_factory=dict)

    def add(self, examples: Iterable[Example]) -> None:
        """Later ones count."""
        for each in examples:
            self.by_id[each.id] = each.split
            if each.cluster is not None:
                self.by_cluster[each.cluster] = each.split

    def moved(self, after: Iterable[Example]) -> tuple[Moved, ...]:
        """What changed its split."""
        found = []
        for each in after:
            old = self.by_id.get(each.id)
            if old is not None:
                if old != each.split:
                    found.append(Moved(each.id, old, each.split))
            elif each.cluster is not None and self.by_cluster.get(each.cluster, each.split) != each.split:
                found.append(Moved(each.id, self.by_cluster[each.cluster], each.split, each.cluster))
        return tuple(found)


def moved(before: Iterable[Example], after: Iterable[Example]) -> tuple[Moved, ...]:
    """What changed its split. `before`: all examples of all versions, those of older versions first."""
    known = Splits()
    known.add(before)
    return known.moved(after)


def locked(found: Sequence[Moved], path: str = "", next_step: str = _UNLOCK) -> Conflict:
    """The error for examples that moved without a reason; `path` is of their file."""
    ways = Counter((each.before, each.after) for each in found)
    counts = ", ".join(f"{count} from {before} to {after}" for (before, after), count in sorted(ways.items()))
    names = ", ".join(f"`{each.id}`" for each in found[:_SHOWN])
    more = f" and {len(found) - _SHOWN} more" if len(found) > _SHOWN else ""
    return Conflict(
        f"{path}{': ' if path else ''}Examples would move between splits ({counts}): {names}{more}.",
        next_step=next_step,
        code="split_locked",
        param="split",
    )

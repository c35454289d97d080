"""How much of a source may vanish in one sync: the place of a share that is not mounted is there, and empty."""

from __future__ import annotations

from headworks.retrieval.sources.contract import SourceError

MOST_DELETIONS = 0.5
"""The share of a source's documents that may vanish in one sync, where its file says nothing."""
_FEW = 10
"""So many may vanish whatever their share is, unless they are all."""


class TooManyGone(SourceError):
    """More documents are gone than one sync may take away: none was removed. `gone` is how many."""

    def __init__(self, collection: str, gone: int, here: int, most: float) -> None:
        super().__init__(
            f"{gone:,} of {gone + here:,} documents from here are gone, more than `most_deletions` ({most:.0%}): none "
            "was removed. Look whether the source is whole, e.g. the share mounted. If they are to go: "
            f"headworks ingest {collection} --allow-deletions",
            code="too_many_gone",
            is_lasting=True,
        )
        self.gone = gone


def are_too_many(gone: int, here: int, most: float) -> bool:
    """Whether a sync holds back that finds so many documents gone, and so many there, of old ones and new."""
    return gone > most * (gone + here) and (gone > _FEW or (gone > 1 and not here))

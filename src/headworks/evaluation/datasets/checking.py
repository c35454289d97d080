"""What is wrong with a dataset, found before a gate rests on it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from headworks.evaluation.datasets.duplicates import Duplicate, Leak, leaked_references, near_duplicates
from headworks.types.evaluation import Example


@dataclass(frozen=True, slots=True)
class DatasetCheck:
    """`clusters` counts an example without one as one. A leak makes results look better than they are."""

    examples: int
    clusters: int
    splits: Mapping[str, int]
    duplicates: tuple[Duplicate, ...]
    leaks: tuple[Leak, ...]
    notices: tuple[str, ...]

    @property
    def is_clean(self) -> bool:
        """Whether nothing leaks: near-duplicates inside one split are told, and allowed."""
        return not self.leaks and not any(each.is_leak for each in self.duplicates)


def check(examples: Sequence[Example], told: Mapping[str, bytes]) -> DatasetCheck:
    """Near-duplicates outside of a common cluster, and references that `told` tells.

    `told` are the prompts and knowledge of a feature, by path.
    """
    cluster_of = {each.id: each.cluster for each in examples}
    alike = near_duplicates(examples)
    apart = [each for each in alike if not _are_together(each, cluster_of)]
    clusters = len({each.cluster if each.cluster is not None else f"\0{each.id}" for each in examples})
    return DatasetCheck(
        len(examples),
        clusters,
        dict(Counter(each.split for each in examples)),
        tuple(apart),
        tuple(leaked_references(examples, told)),
        tuple(_notices(examples, clusters, len(alike) - len(apart))),
    )


def _are_together(pair: Duplicate, cluster_of: Mapping[str, str | None]) -> bool:
    return cluster_of[pair.first] is not None and cluster_of[pair.first] == cluster_of[pair.second]


def told_by(files: Mapping[str, bytes], feature: str) -> dict[str, bytes]:
    """Of a workspace's files, those that a feature answers from."""
    folders = (f"features/{feature}/prompts/", f"features/{feature}/knowledge/")
    return {path: content for path, content in files.items() if path.startswith(folders)}


def _notices(examples: Sequence[Example], clusters: int, together: int) -> list[str]:
    found = []
    if together:
        found.append(f"Pairs that are alike within their cluster, as they should be: {together}.")
    if clusters == 1 and len(examples) > 1:
        found.append("All examples are of one cluster: no interval can be given, and no gate can pass.")
    if len(examples) < 30:
        found.append(f"{len(examples)} examples show little: `headworks datasets coverage` says how many are needed.")
    unsaid = sum(each.reference is None for each in examples)
    if unsaid:
        found.append(f"{unsaid} examples have no reference: scorers that compare with one give an error for them.")
    return found

"""Examples that say nearly the same: within a split they count twice, across splits they leak.

MinHash (Broder 1997) over shingles of three words finds candidates, bands of its values keep that near-linear, and the
true share of common shingles (Jaccard) of each candidate decides.
"""

from __future__ import annotations

import hashlib
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any, TypeAlias

import numpy as np

from headworks.types.evaluation import Example

Shingles: TypeAlias = frozenset[int]

NEAR = 0.7
"""From this share of common shingles on, two texts are near-duplicates."""
_WORD = re.compile(r"\w+")
_WORDS = 3
_BANDS, _ROWS = 32, 4  # two texts that share 0.7 are missed with a probability below 0.0002
_MOST_IN_A_BAND = 50
_PRIME = np.uint64((1 << 61) - 1)
_SHORTEST_REFERENCE = 40


@dataclass(frozen=True, slots=True)
class Duplicate:
    """Two examples that are nearly the same; `share` of common shingles is 1 where they are the same words."""

    first: str
    second: str
    share: float
    first_split: str
    second_split: str

    @property
    def is_leak(self) -> bool:
        """Whether they lie in two splits."""
        return self.first_split != self.second_split


@dataclass(frozen=True, slots=True)
class Leak:
    """The reference of an example, told by a file that the feature answers from."""

    example: str
    path: str
    share: float


def near_duplicates(examples: Sequence[Example], least: float = NEAR) -> list[Duplicate]:
    """Pairs of near-duplicate questions with their inputs and history, leaks between splits first."""
    shingles = [shingles_of(asked(each)) for each in examples]
    found = []
    for one, two in sorted(_candidates(shingles)):
        share = common_share(shingles[one], shingles[two])
        if share >= least:
            first, second = examples[one], examples[two]
            found.append(Duplicate(first.id, second.id, share, first.split, second.split))
    return sorted(found, key=lambda each: (not each.is_leak, -each.share, each.first, each.second))


def leaked_references(examples: Sequence[Example], files: Mapping[str, bytes], least: float = 0.8) -> list[Leak]:
    """Where a file tells an example's reference: at least this share of its shingles, for texts of 40 letters or more.

    A reference that is a word, such as `approve`, stands in every prompt and proves nothing.
    """
    told = {path: shingles_of(content.decode(errors="replace")) for path, content in files.items()}
    found = []
    for each in examples:
        text = _flat(each.reference)
        if len(text) < _SHORTEST_REFERENCE:
            continue
        wanted = shingles_of(text)
        for path, has in told.items():
            share = len(wanted & has) / len(wanted)
            if share >= least:
                found.append(Leak(each.id, path, share))
    return sorted(found, key=lambda each: (-each.share, each.example, each.path))


def asked(example: Example) -> str:
    """Everything that an example asks, as one text."""
    turns = " ".join(turn.content for turn in example.history if isinstance(turn.content, str))
    return " ".join(each for each in (turns, example.question, _flat(example.inputs)) if each)


def shingles_of(text: str) -> Shingles:
    """Numbers for each three words in a row, whatever their case and what stands between; of a short text, for all."""
    words = _WORD.findall(text.casefold())
    parts = [words[at : at + _WORDS] for at in range(max(1, len(words) - _WORDS + 1))]
    return frozenset(_number(" ".join(each)) for each in parts)


def common_share(one: Shingles, two: Shingles) -> float:
    """Jaccard's share: of all shingles of both, those in both."""
    return len(one & two) / len(one | two)


def _number(text: str) -> int:
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=4).digest())


def _flat(value: Any) -> str:  # noqa: ANN401 -- any JSON value
    match value:
        case None:
            return ""
        case dict() | Mapping():
            return " ".join(f"{key} {_flat(each)}" for key, each in value.items())
        case list() | tuple():
            return " ".join(_flat(each) for each in value)
        case _:
            return str(value)


def _candidates(shingles: Sequence[Shingles]) -> set[tuple[int, int]]:
    pairs: set[tuple[int, int]] = set()
    for places in _buckets(shingles):
        # Of very many that are alike, each is compared with the first few: that already tells that they are.
        pairs.update(combinations(places[:_MOST_IN_A_BAND], 2))
        pairs.update((places[0], other) for other in places[_MOST_IN_A_BAND:])
    return pairs


def _buckets(shingles: Sequence[Shingles]) -> Iterator[list[int]]:
    signatures = [_signature(each) for each in shingles]
    for band in range(_BANDS):
        buckets: dict[bytes, list[int]] = defaultdict(list)
        for place, signature in enumerate(signatures):
            buckets[signature[band * _ROWS : (band + 1) * _ROWS].tobytes()].append(place)
        yield from (places for places in buckets.values() if len(places) > 1)


def _hashes() -> tuple[Any, Any]:
    draw = np.random.default_rng(20_260_101)
    return draw.integers(1, 1 << 28, _BANDS * _ROWS, np.uint64), draw.integers(0, 1 << 28, _BANDS * _ROWS, np.uint64)


_FACTORS, _OFFSETS = _hashes()


def _signature(shingles: Shingles) -> Any:  # noqa: ANN401 -- an array of shape (128,)
    numbers = np.fromiter(shingles, np.uint64, len(shingles))
    return ((numbers[:, None] * _FACTORS + _OFFSETS) % _PRIME).min(axis=0)

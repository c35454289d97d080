"""Keyword search: packed postings, and BM25 over them (pure functions, no storage); `analysis.py` makes the terms.

A *posting* says that a chunk holds a term `frequency` times and is `length` terms long. The postings of one term in one
segment are packed into one `bytes` (about 5 bytes each), stored as it is and scored with numpy.
"""

from __future__ import annotations

import struct
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from headworks.retrieval.passages.analysis import Word, query_terms, stem, terms, tokens
from headworks.retrieval.passages.languages import STOP_WORDS, USUAL

__all__ = [
    "STOP_WORDS",
    "USUAL",
    "Bm25",
    "CorpusStats",
    "Postings",
    "Segment",
    "Word",
    "are_among",
    "build_segment",
    "count",
    "merge",
    "pack",
    "query_terms",
    "stem",
    "terms",
    "tokens",
    "unpack",
]

K1 = 1.2
B = 0.75
"""Robertson's usual values; as good as any other on five public sets, and never tuned on one."""

# ── Packed postings ───────────────────────────────────────────────────────────────────────────────────────────────────
#
# A block: header (version, bytes per gap, per frequency, per length, count, first chunk id), then three columns: the
# gaps between chunk ids, the frequencies, the lengths, each as unsigned little-endian integers of the narrowest width
# that fits.

_HEADER = struct.Struct("<BBBBIq")
_VERSION_1 = 1
_WIDTHS: dict[int, np.dtype[Any]] = {1: np.dtype("<u1"), 2: np.dtype("<u2"), 4: np.dtype("<u4"), 8: np.dtype("<u8")}
_MAX_FREQUENCY = 0xFFFF
_MAX_LENGTH = 0xFFFF_FFFF


@dataclass(frozen=True, slots=True)
class Postings:
    """Three arrays of the same size: ascending chunk ids (int64), frequencies and lengths (unsigned)."""

    chunks: NDArray[np.int64]
    frequencies: NDArray[Any]
    lengths: NDArray[Any]


def pack(chunks: Iterable[int], frequencies: Iterable[int], lengths: Iterable[int]) -> bytes:
    """One block. Chunk ids are non-negative and unique, in any order; frequencies are cut at 65,535."""
    ids = np.asarray(list(chunks), dtype=np.int64)
    tf = np.minimum(np.asarray(list(frequencies), dtype=np.int64), _MAX_FREQUENCY)
    size = np.minimum(np.asarray(list(lengths), dtype=np.int64), _MAX_LENGTH)
    if not (ids.size == tf.size == size.size):
        raise ValueError("Postings need one frequency and one length for each chunk.")
    order = np.argsort(ids, kind="stable")
    return _pack_sorted(ids[order], tf[order], size[order])


def _pack_sorted(ids: NDArray[np.int64], tf: NDArray[Any], size: NDArray[Any]) -> bytes:
    if not ids.size:
        return _HEADER.pack(_VERSION_1, 1, 1, 1, 0, 0)
    gaps = np.diff(ids)
    if ids[0] < 0 or (gaps.size and int(gaps.min()) < 1):
        raise ValueError("Chunk ids in a block must be unique and not negative.")
    columns = [(gaps, _width(gaps)), (tf, _width(tf)), (size, _width(size))]
    header = _HEADER.pack(_VERSION_1, *(width for _, width in columns), ids.size, int(ids[0]))
    return header + b"".join(column.astype(_WIDTHS[width]).tobytes() for column, width in columns)


def _width(column: NDArray[Any]) -> int:
    largest = int(column.max()) if column.size else 0
    return next(width for width in _WIDTHS if largest < 1 << (8 * width))


def unpack(block: bytes) -> Postings:
    """The postings of a block; ValueError when it is not one."""
    if len(block) < _HEADER.size:
        raise ValueError("A block of postings is cut short.")
    version, gap_width, tf_width, size_width, count, first = _HEADER.unpack_from(block)
    at = _HEADER.size
    columns = ((gap_width, max(count - 1, 0)), (tf_width, count), (size_width, count))
    if version != _VERSION_1 or any(width not in _WIDTHS for width, _ in columns):
        raise ValueError(f"A block of postings has the unknown format {version}.")
    if len(block) != at + sum(width * items for width, items in columns):
        raise ValueError("A block of postings has the wrong size.")
    arrays: list[NDArray[Any]] = []
    for width, items in columns:
        arrays.append(np.frombuffer(block, _WIDTHS[width], items, at))
        at += width * items
    ids = np.empty(count, dtype=np.int64)
    if count:
        ids[0] = first
        np.cumsum(arrays[0], dtype=np.int64, out=ids[1:])
        ids[1:] += first
    return Postings(ids, arrays[1], arrays[2])


def count(block: bytes) -> int:
    """How many postings a block has, without unpacking it."""
    return int(_HEADER.unpack_from(block)[4])


def merge(blocks: Iterable[bytes], alive: NDArray[np.int64] | None = None) -> bytes:
    """One block out of several of the same term, oldest first; of a chunk that several name, the newest posting.

    `alive`: only of these chunks, in ascending order; None: of all.
    """
    parts = [unpack(block) for block in blocks]
    if not parts:
        return _HEADER.pack(_VERSION_1, 1, 1, 1, 0, 0)
    # The last occurrence wins: reversed, so that `unique` finds it first.
    ids = np.concatenate([part.chunks for part in parts])[::-1]
    tf = np.concatenate([part.frequencies for part in parts])[::-1]
    size = np.concatenate([part.lengths for part in parts])[::-1]
    unique, first = np.unique(ids, return_index=True)
    if alive is not None:
        lives = are_among(unique, alive)
        unique, first = unique[lives], first[lives]
    return _pack_sorted(unique, tf[first], size[first])


def are_among(chunks: NDArray[np.int64], alive: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Which of these chunks are among the others, which are in ascending order."""
    if not alive.size:
        return np.zeros(chunks.size, np.bool_)
    same: NDArray[np.bool_] = alive[np.minimum(np.searchsorted(alive, chunks), alive.size - 1)] == chunks
    return same


@dataclass(frozen=True, slots=True)
class Segment:
    """The blocks of a set of chunks by term, with how many chunks have terms and how many terms they have together."""

    blocks: dict[str, bytes]
    chunks: int
    total_length: int


def build_segment(chunks: Iterable[tuple[int, Iterable[str]]]) -> Segment:
    """A segment out of (chunk id, its terms); a chunk without any term is in none of its numbers."""
    columns: dict[str, tuple[list[int], list[int], list[int]]] = defaultdict(lambda: ([], [], []))
    total = number = 0
    for chunk, of_chunk in chunks:
        found = Counter(of_chunk)
        length = found.total()
        number += length > 0
        total += length
        for term, frequency in found.items():
            for column, value in zip(columns[term], (chunk, frequency, length), strict=True):
                column.append(value)
    return Segment({term: pack(*columns[term]) for term in sorted(columns)}, number, total)


# ── BM25 ──────────────────────────────────────────────────────────────────────────────────────────────────────────────

_DENSE_SPAN = 4_000_000
"""Chunk ids that lie closer together than this are summed in an array by id (16 MB at most); others are sorted first.
"""


@dataclass(frozen=True, slots=True)
class CorpusStats:
    """How many chunks there are to search (of one tenant and collection, never wider) and how many terms they have."""

    chunks: int
    total_length: int


class Bm25:
    """One query against the blocks of its terms: every chunk's score, or that of given chunks.

    score = Σ over words  qtf · ln(1 + (N - df + .5) / (df + .5)) · tf · (k1 + 1) / (tf + k1 · (1 - b + b · length /
    avg)), where df is the number of postings in the given blocks (Robertson & Zaragoza 2009; idf as in Lucene).

    The terms that a word has in several languages are counted together (Pirkola 1998): alone, that of a language which
    hardly any chunk is in would be rare, and outweigh all others.
    """

    def __init__(self, query: Mapping[Word, float], blocks: Mapping[str, Sequence[bytes]], stats: CorpusStats) -> None:
        """`query` as `query_terms` gives it; `blocks` by term, one for each segment that has the term, in any order."""
        average = max(stats.total_length, 1) / max(stats.chunks, 1)
        self._parts: list[tuple[NDArray[np.int64], NDArray[np.float32]]] = []
        for word, weight in query.items():
            found = [unpack(block) for term in word for block in blocks.get(term, ())]
            frequency = sum(part.chunks.size for part in found)
            # Dead chunks that still stand in a block may make df larger than N.
            number = max(stats.chunks, frequency)
            idf = np.log1p((number - frequency + 0.5) / (frequency + 0.5)) if frequency else 0.0
            for part in found:
                tf = part.frequencies.astype(np.float32)
                norm = part.lengths.astype(np.float32)
                norm *= np.float32(K1 * B / average)
                norm += np.float32(K1 * (1 - B))
                norm += tf
                tf *= np.float32(weight * idf * (K1 + 1))
                tf /= norm
                self._parts.append((part.chunks, tf))

    @cached_property
    def _sums(self) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        parts = [part for part in self._parts if part[0].size]
        if not parts:
            return np.empty(0, np.int64), np.empty(0, np.float32)
        low = min(int(ids[0]) for ids, _ in parts)
        span = max(int(ids[-1]) for ids, _ in parts) - low + 1
        if span <= _DENSE_SPAN:
            sums = np.zeros(span, np.float32)
            for ids, weights in parts:
                sums[ids - low] += weights  # ids are unique within a part
            hits = np.flatnonzero(sums)
            return hits + low, sums[hits]
        unique, place = np.unique(np.concatenate([ids for ids, _ in parts]), return_inverse=True)
        added = np.bincount(place, np.concatenate([weights for _, weights in parts]))
        return unique, added.astype(np.float32)

    def rank(self, limit: int | None = None) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """The best chunks that hold any term, best first (equal scores: lower id first), with their scores."""
        ids, scores = self._sums
        if limit is not None and limit < ids.size:
            worst = np.partition(scores, ids.size - limit)[ids.size - limit] if limit else np.inf
            good = scores >= worst
            ids, scores = ids[good], scores[good]
        order = np.lexsort((ids, -scores))[:limit]
        return ids[order], scores[order]

    def scores_of(self, chunks: Sequence[int] | NDArray[np.int64]) -> NDArray[np.float32]:
        """The score of each of these chunks, 0 where no term stands in it."""
        wanted = np.asarray(chunks, dtype=np.int64)
        scores = np.zeros(wanted.size, np.float32)
        for ids, weights in self._parts:
            if ids.size:
                place = np.minimum(np.searchsorted(ids, wanted), ids.size - 1)
                scores += np.where(ids[place] == wanted, weights[place], np.float32(0))
        return scores

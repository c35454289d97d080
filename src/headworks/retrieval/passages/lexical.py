"""Keyword search: text to terms, packed postings, and BM25 over them (pure functions, no storage).

A *posting* says that a chunk holds a term `frequency` times and is `length` terms long. The postings of one term in one
segment are packed into one `bytes` (about 5 bytes each), stored as it is and scored with numpy.
"""

from __future__ import annotations

import re
import struct
import threading
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

K1 = 1.2
B = 0.75
"""Robertson's usual values; as good as any other on five public sets, and never tuned on one."""

# ── Text to terms ─────────────────────────────────────────────────────────────────────────────────────────────────────

_ENGLISH = """
a about above after again against all also am an and any are aren't as at be because been before being below between
both but by can can't cannot could couldn't did didn't do does doesn't doing don't down during each few for from
further had hadn't has hasn't have haven't having he he'd he'll he's her here here's hers herself him himself his how
how's i i'd i'll i'm i've if in into is isn't it it's its itself just let's me more most mustn't my myself no nor not
now of off on once only or other ought our ours ourselves out over own same shan't she she'd she'll she's should
shouldn't so some such than that that's the their theirs them themselves then there there's these they they'd they'll
they're they've this those through to too under until up upon very was wasn't we we'd we'll we're we've were weren't
what what's when when's where where's which while who who's whom why why's will with won't would wouldn't you you'd
you'll you're you've your yours yourself yourselves
"""

STOP_WORDS: dict[str, frozenset[str]] = {"en": frozenset(_ENGLISH.split())}
"""Words without a meaning of their own, neither indexed nor counted as support, by ISO 639-1 code."""

_LONGEST_TERM = 64
_STEMMERS = {"en": "english"}
_TOKEN = re.compile(r"[^\W_]*\d(?:[.,:]\d[^\W_]*)+|[^\W_]+(?:'[^\W_]+)?")
_THOUSANDS = re.compile(r"\d{1,3}(?:,\d{3})+(?:\.\d+)?")
_VERSION = re.compile(r"v(\d+(?:\.\d+)+)")
_INVISIBLE = dict.fromkeys(map(ord, "\u00ad\u200b\u200c\u200d\u2060\ufeff")) | {ord("\u2019"): "'", ord("\u02bc"): "'"}
# British and American spellings of the same verb meet: "authorisation", "organised". At least four letters go before,
# so that "arise", "advise" and "raise" stay what they are in every form.
_BRITISH = re.compile(r"(\w{4,})is(e|es|ed|er|ers|ing|ation|ations)")

_local = threading.local()  # a Snowball stemmer may not be used by two threads at once


def tokens(text: str) -> list[str]:
    """The words and numbers of a text, normalised (NFKC, folded case), in order and with repetitions; nothing dropped.

    "12.3" and "1:1" stay whole, "1,500" is "1500", "V2.1.4" is "2.1.4", "co-payment" is two words.
    """
    folded = unicodedata.normalize("NFKC", text).translate(_INVISIBLE).casefold()
    return [_normal(token[:_LONGEST_TERM]) for token in _TOKEN.findall(folded)]


def _normal(token: str) -> str:
    if token.isalpha():
        found = _BRITISH.fullmatch(token) if "is" in token else None
        return f"{found[1]}iz{found[2]}" if found else token
    if _THOUSANDS.fullmatch(token):
        return token.replace(",", "")
    found = _VERSION.fullmatch(token)
    return found[1] if found else token


def terms(text: str, language: str = "en") -> list[str]:
    """What a text is indexed and asked by: its tokens without stop words, stemmed, in order and with repetitions."""
    stop = STOP_WORDS.get(language, frozenset())
    kept = [token for token in tokens(text) if token not in stop]
    stemmer = _stemmer(language)
    return kept if stemmer is None else list(stemmer.stemWords(kept))


def stem(words: Sequence[str], language: str = "en") -> list[str]:
    """The stems of tokens, one for each."""
    stemmer = _stemmer(language)
    return list(words) if stemmer is None else list(stemmer.stemWords(list(words)))


def query_terms(query: str, language: str = "en") -> dict[str, int]:
    """Each term of a query with how often it stands there: the weight that BM25 gives it."""
    return dict(Counter(terms(query, language)))


def _stemmer(language: str) -> Any:  # noqa: ANN401 -- PyStemmer has no types
    if language not in _STEMMERS:
        return None
    loaded: dict[str, Any] = _local.__dict__.setdefault("stemmers", {})
    if language not in loaded:
        import Stemmer

        loaded[language] = Stemmer.Stemmer(_STEMMERS[language])
    return loaded[language]


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


def merge(blocks: Iterable[bytes], dead: Collection[int] = ()) -> bytes:
    """One block out of several of the same term, oldest first, without the dead chunks; the newest posting wins."""
    parts = [unpack(block) for block in blocks]
    if not parts:
        return _HEADER.pack(_VERSION_1, 1, 1, 1, 0, 0)
    # The last occurrence wins: reversed, so that `unique` finds it first.
    ids = np.concatenate([part.chunks for part in parts])[::-1]
    tf = np.concatenate([part.frequencies for part in parts])[::-1]
    size = np.concatenate([part.lengths for part in parts])[::-1]
    unique, first = np.unique(ids, return_index=True)
    if dead:
        alive = ~np.isin(unique, np.fromiter(dead, dtype=np.int64, count=len(dead)))
        unique, first = unique[alive], first[alive]
    return _pack_sorted(unique, tf[first], size[first])


@dataclass(frozen=True, slots=True)
class Segment:
    """The blocks of a set of chunks by term, with how many chunks have terms and how many terms they have together."""

    blocks: dict[str, bytes]
    chunks: int
    total_length: int


def build_segment(chunks: Iterable[tuple[int, str]], language: str = "en") -> Segment:
    """A segment out of (chunk id, text to index); a chunk without any term is in none of its numbers."""
    columns: dict[str, tuple[list[int], list[int], list[int]]] = defaultdict(lambda: ([], [], []))
    total = number = 0
    for chunk, text in chunks:
        found = Counter(terms(text, language))
        length = found.total()
        number += length > 0
        total += length
        for term, frequency in found.items():
            for column, value in zip(columns[term], (chunk, frequency, length), strict=True):
                column.append(value)
    return Segment({term: pack(*columns[term]) for term in sorted(columns)}, number, total)


def merge_segments(segments: Sequence[Mapping[str, bytes]], dead: Collection[int] = ()) -> Segment:
    """One segment out of the blocks of several, oldest first, without the dead chunks; its numbers are counted anew."""
    blocks: dict[str, bytes] = {}
    lengths: dict[int, int] = {}
    for term in sorted({term for segment in segments for term in segment}):
        merged = merge((segment[term] for segment in segments if term in segment), dead)
        if count(merged):
            blocks[term] = merged
            postings = unpack(merged)
            lengths.update(zip(postings.chunks.tolist(), postings.lengths.tolist(), strict=True))
    return Segment(blocks, len(lengths), sum(lengths.values()))


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

    score = Σ over terms  qtf · ln(1 + (N - df + .5) / (df + .5)) · tf · (k1 + 1) / (tf + k1 · (1 - b + b · length /
    avg)), where df is the number of postings in the given blocks (Robertson & Zaragoza 2009; idf as in Lucene).
    """

    def __init__(self, query: Mapping[str, float], blocks: Mapping[str, Sequence[bytes]], stats: CorpusStats) -> None:
        """`query` as `query_terms` gives it; `blocks` by term, one for each segment that has the term, in any order."""
        average = max(stats.total_length, 1) / max(stats.chunks, 1)
        self._parts: list[tuple[NDArray[np.int64], NDArray[np.float32]]] = []
        for term, weight in query.items():
            found = [unpack(block) for block in blocks.get(term, ())]
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

from __future__ import annotations

import math
import threading
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headworks.retrieval.passages.lexical import (
    K1,
    B,
    Bm25,
    CorpusStats,
    build_segment,
    count,
    merge,
    pack,
    query_terms,
    terms,
    tokens,
    unpack,
)

words = st.sampled_from(["plan", "visit", "therapy", "deductible", "claim", "nurse", "dose", "clinic", "appeal"])
texts = st.lists(words, max_size=12).map(" ".join)
corpora = st.dictionaries(st.integers(0, 400), texts, min_size=1, max_size=12)
queries = st.lists(words, min_size=1, max_size=5).map(" ".join)
columns = st.dictionaries(
    st.integers(0, 2**62), st.tuples(st.integers(0, 70_000), st.integers(0, 2**33)), min_size=0, max_size=40
)


def naive(query: str, corpus: Mapping[int, str]) -> dict[int, float]:
    """BM25 as it stands in the books, over dictionaries."""
    counts = {chunk: Counter(terms(text)) for chunk, text in corpus.items()}
    counts = {chunk: found for chunk, found in counts.items() if found}
    if not counts:
        return {}
    average = sum(found.total() for found in counts.values()) / len(counts)
    scores: dict[int, float] = defaultdict(float)
    for term, weight in Counter(terms(query)).items():
        holders = [chunk for chunk, found in counts.items() if term in found]
        idf = math.log(1 + (len(counts) - len(holders) + 0.5) / (len(holders) + 0.5))
        for chunk in holders:
            tf, length = counts[chunk][term], counts[chunk].total()
            scores[chunk] += weight * idf * tf * (K1 + 1) / (tf + K1 * (1 - B + B * length / average))
    return dict(scores)


def analysed(corpus: Mapping[int, str]) -> list[tuple[int, list[str]]]:
    return [(chunk, terms(text)) for chunk, text in corpus.items()]


def searched(query: str, segments: Sequence[Mapping[str, bytes]], stats: CorpusStats) -> Bm25:
    wanted = query_terms(query)
    asked = [term for word in wanted for term in word]
    blocks = {term: [segment[term] for segment in segments if term in segment] for term in asked}
    return Bm25(wanted, blocks, stats)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Section 12.3 applies.", ["section", "12.3", "applies"]),
        ("V2.1.4 and 2.1.4", ["2.1.4", "and", "2.1.4"]),
        ("$1,500.50 or 1,500", ["1500.50", "or", "1500"]),
        ("co-payment don’t max_tokens", ["co", "payment", "don't", "max", "tokens"]),
        ("ＦＵＬＬ width ﬁne STRASSE straße", ["full", "width", "fine", "strasse", "strasse"]),
        ("soft\u00adhyphen zero\u200bwidth", ["softhyphen", "zerowidth"]),
        ("authorisation organised", ["authorization", "organized"]),
        ("arise advise raise arising", ["arise", "advise", "raise", "arising"]),
        ("a\0b \ud800 c", ["a", "b", "c"]),
        ("x" * 200, ["x" * 64]),
        ("… — !", []),
    ],
)
def test_tokens_are_normalised_words_and_numbers(text: str, expected: list[str]) -> None:
    assert tokens(text) == expected


def test_terms_are_stemmed_and_stop_words_are_gone() -> None:
    assert terms("The nurses were visiting the clinics") == ["nurs", "visit", "clinic"]


def test_british_and_american_spellings_meet() -> None:
    assert terms("prior authorisation") == terms("prior authorization")


def test_a_language_without_rules_is_neither_stemmed_nor_stripped() -> None:
    assert terms("the visits", "xx") == ["the", "visits"]


def test_the_querys_own_frequency_is_kept() -> None:
    assert query_terms("plan plan visit") == {("plan",): 2, ("visit",): 1}


def test_stemming_works_in_many_threads_at_once() -> None:
    found: list[list[str]] = []
    threads = [threading.Thread(target=lambda: found.append(terms("visits of nurses " * 200))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [["visit", "nurs"] * 200] * 8


@given(columns)
def test_packing_keeps_every_posting(rows: dict[int, tuple[int, int]]) -> None:
    block = pack(rows, [tf for tf, _ in rows.values()], [length for _, length in rows.values()])
    postings = unpack(block)
    order = sorted(rows)
    assert postings.chunks.tolist() == order
    assert postings.frequencies.tolist() == [min(rows[chunk][0], 0xFFFF) for chunk in order]
    assert postings.lengths.tolist() == [min(rows[chunk][1], 0xFFFF_FFFF) for chunk in order]
    assert count(block) == len(rows)


def test_a_posting_takes_about_four_bytes() -> None:
    block = pack(range(1000, 60_000, 3), [2] * 19_667, [180] * 19_667)
    assert len(block) < 3.1 * 19_667


@pytest.mark.parametrize(
    ("chunks", "message"), [([1, 1], "unique"), ([-1], "not negative"), ([1, 2, 3], "one frequency")]
)
def test_impossible_postings_are_refused(chunks: list[int], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        pack(chunks, [1] * min(2, len(chunks)), [1] * min(2, len(chunks)))


@pytest.mark.parametrize("broken", [b"", b"\1", b"\2" + pack([1], [1], [1])[1:], pack([1, 2], [1, 1], [1, 1])[:-1]])
def test_a_broken_block_is_named_so(broken: bytes) -> None:
    with pytest.raises(ValueError, match="block of postings"):
        unpack(broken)


@given(st.lists(columns, max_size=4), st.sets(st.integers(0, 2**62), max_size=5))
def test_merging_keeps_the_newest_posting_and_drops_the_dead(
    rows: list[dict[int, tuple[int, int]]], extra: set[int]
) -> None:
    blocks = [pack(row, [tf for tf, _ in row.values()], [length for _, length in row.values()]) for row in rows]
    dead = set(list(rows[0])[:2] if rows else [])
    expected = {chunk: value for row in rows for chunk, value in row.items() if chunk not in dead}
    alive = sorted({*extra, *(chunk for row in rows for chunk in row)} - dead)
    merged = unpack(merge(blocks, np.array(alive, dtype=np.int64)))
    assert merged.chunks.tolist() == sorted(expected)
    assert merged.frequencies.tolist() == [min(expected[chunk][0], 0xFFFF) for chunk in sorted(expected)]


@given(corpora, queries, st.integers(1, 3))
def test_scores_are_those_of_a_naive_bm25_whatever_the_segments(corpus: dict[int, str], query: str, parts: int) -> None:
    segments = [build_segment((c, terms(t)) for c, t in corpus.items() if c % parts == part) for part in range(parts)]
    stats = CorpusStats(sum(s.chunks for s in segments), sum(s.total_length for s in segments))
    search = searched(query, [segment.blocks for segment in segments], stats)
    expected = naive(query, corpus)
    ids, scores = search.rank()
    assert dict(zip(ids.tolist(), scores.tolist(), strict=True)) == pytest.approx(expected, rel=1e-4)
    everything = sorted(corpus)
    assert search.scores_of(everything).tolist() == pytest.approx([expected.get(c, 0) for c in everything], rel=1e-4)


@given(corpora, queries, st.integers(0, 6))
def test_a_limited_ranking_is_the_head_of_the_whole_one(corpus: dict[int, str], query: str, limit: int) -> None:
    segment = build_segment(analysed(corpus))
    search = searched(query, [segment.blocks], CorpusStats(segment.chunks, segment.total_length))
    ids, scores = search.rank()
    few, best = search.rank(limit)
    assert few.tolist() == ids.tolist()[:limit]
    assert best.tolist() == scores.tolist()[:limit]
    assert scores.tolist() == sorted(scores.tolist(), reverse=True)


def test_equal_scores_go_by_chunk_id() -> None:
    segment = build_segment([(9, ["plan"]), (3, ["plan"]), (5, ["plan"])])
    ids, _ = searched("plan", [segment.blocks], CorpusStats(3, 3)).rank(2)
    assert ids.tolist() == [3, 5]


@given(corpora, queries)
def test_chunk_ids_far_apart_are_scored_the_same(corpus: dict[int, str], query: str) -> None:
    far = {chunk * 10**14: text for chunk, text in corpus.items()}
    near_segment, far_segment = build_segment(analysed(corpus)), build_segment(analysed(far))
    stats = CorpusStats(near_segment.chunks, near_segment.total_length)
    near_ids, near_scores = searched(query, [near_segment.blocks], stats).rank()
    far_ids, far_scores = searched(query, [far_segment.blocks], stats).rank()
    assert far_ids.tolist() == [chunk * 10**14 for chunk in near_ids.tolist()]
    assert far_scores.tolist() == pytest.approx(near_scores.tolist(), rel=1e-5)


def test_nothing_to_search_is_no_error() -> None:
    search = searched("plan", [], CorpusStats(0, 0))
    assert search.rank(10)[0].size == 0
    assert search.scores_of([1, 2]).tolist() == [0, 0]
    assert merge([]) == pack([], [], [])


@settings(max_examples=5)
@given(st.integers(0, 2**31))
def test_a_hundred_thousand_chunks_are_ranked_as_by_plain_sums(seed: int) -> None:
    random = np.random.default_rng(seed)
    expected = np.zeros(100_000)
    blocks = {}
    for term, frequency in (("a", 50_000), ("b", 9_000), ("c", 700)):
        ids = np.sort(random.choice(100_000, frequency, replace=False))
        tf, length = random.integers(1, 6, frequency), random.integers(50, 200, frequency)
        blocks[term] = [pack(ids, tf, length)]
        idf = math.log(1 + (100_000 - frequency + 0.5) / (frequency + 0.5))
        expected[ids] += idf * tf * (K1 + 1) / (tf + K1 * (1 - B + B * length / 120))
    ids, scores = Bm25({(term,): 1 for term in blocks}, blocks, CorpusStats(100_000, 12_000_000)).rank(100)
    assert scores == pytest.approx(np.sort(expected)[::-1][:100], rel=1e-4)
    assert expected[ids] == pytest.approx(scores, rel=1e-4)


def test_a_few_chunks_that_pass_for_another_language_do_not_outweigh_the_others() -> None:
    common, wanted = "list the files of it", "the directory of a file"
    corpus = [*((at, terms(common)) for at in range(50)), (50, terms(wanted)), (51, terms("files --all", "pt"))]
    segment = build_segment(corpus)
    query = query_terms("files of a directory", ["en", "pt"])
    blocks = {term: [segment.blocks[term]] for word in query for term in word if term in segment.blocks}
    ids, scores = Bm25(query, blocks, CorpusStats(segment.chunks, segment.total_length)).rank()
    assert ids[0] == 50
    assert {"file", "pt:fil"} <= blocks.keys()
    assert scores[list(ids).index(51)] < scores[0] / 2

"""Ranking quality of the product's own search on test collections, over HTTP.

    python bench/retrieval/run.py [--json] [--corpus FOLDER]... [--manual-pages LANGUAGE]...

Starts `headworks up` on an empty data folder, hands in each document as Markdown (title and text) by the upload API,
waits for the jobs process, and asks each query by `POST /api/search`: hybrid, by keywords and by vectors. Beside them
stands what reciprocal ranks (k = 60) would make of the same two legs. A document's score is that of its best chunk.
Measures and intervals are those of `headworks retrieval eval`. No setting is chosen on these collections.

Without options: abstracts of two public test collections, with bars; exit status 1 below them.

`--corpus` measures any folder in BEIR's form instead, in whatever language it is: `corpus.jsonl`, `queries.jsonl`, and
`qrels.tsv` or `qrels/test.tsv`.

`--manual-pages de` measures Debian's German manual pages (see manual_pages.py): which page does a line describe? Beside
them stand the same pages with `language: de` in the collection's file and, as the peer, with `language: en` on a second
server, without the embedding model. `headworks retrieval tune` is asked which weight of keywords serves these queries
best. `--manual-pages en` does the like in English.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import manual_pages
from serving import Chunk, Served, ingest, search, server, tuned

from headworks.cli.terminal import table
from headworks.retrieval.quality.golden import GoldenQuery, Target
from headworks.retrieval.quality.measures import HIT_RATE
from headworks.retrieval.quality.ranking import Ranked
from headworks.retrieval.quality.report import Difference, Mean, Measured, measured, summarise

_DATA = Path(os.environ.get("HEADWORKS_TEST_DATA", "../shared/data")) / "ir"
_LEGS = ("keywords", "vectors")
_RANKINGS = (*_LEGS, "hybrid")
_FUSED_BY_RANKS = "RRF 60"
_RRF_K = 60
_CUT = 10
_BARS = {
    ("cranfield", "keywords"): 0.510,
    ("cacm", "keywords"): 0.490,
    ("cranfield", "hybrid"): 0.550,
    ("cacm", "hybrid"): 0.570,
}
_COLLECTION = 'readers: [everyone]\ndescription: "A test collection."\n'
_CACHE = Path(os.environ.get("XDG_CACHE_HOME", "~/.cache")).expanduser() / "headworks-bench"

Found = dict[str, dict[Chunk, float]]
"""The chunks of each query."""


@dataclass(frozen=True, slots=True)
class Judged:
    """A test collection."""

    name: str
    documents: dict[str, str]
    queries: dict[str, str]
    relevant: dict[str, dict[str, int]]
    folder: Path
    language: str | None = None
    """Known beforehand: what its words are taken for by peers."""


def read(folder: Path, language: str | None = None) -> Judged:
    """Documents as Markdown, queries that are judged, and the judgements. All that is judged is there, or it ends."""
    rows = [json.loads(line) for line in (folder / "corpus.jsonl").open(encoding="utf-8")]
    documents = {row["_id"]: f"# {row.get('title', '').strip()}\n\n{row['text'].strip()}\n" for row in rows}
    by_number = {without_zeros(each): each for each in documents}
    relevant: dict[str, dict[str, int]] = defaultdict(dict)
    judgements = next(each for each in (folder / "qrels.tsv", folder / "qrels" / "test.tsv") if each.exists())
    for line in judgements.read_text(encoding="utf-8").splitlines()[1:]:
        query, document, grade = line.split("\t")
        relevant[query][by_number[without_zeros(document)]] = int(grade)
    rows = [json.loads(line) for line in (folder / "queries.jsonl").open(encoding="utf-8")]
    queries = {row["_id"]: row["text"] for row in rows if row["_id"] in relevant}
    name = re.sub("[^a-z0-9._-]", "-", folder.resolve().name.lower())
    return Judged(name, documents, queries, relevant, folder.resolve(), language)


def without_zeros(name: str) -> str:
    """CACM's judgements write some of the numbers without the zeros that its documents have: CACM-46, CACM-0046."""
    prefix, _, number = name.rpartition("-")
    return f"{prefix}-{number.lstrip('0')}"


def by_ranks(legs: Iterable[Mapping[Chunk, float]]) -> dict[Chunk, float]:
    """Reciprocal rank fusion (Cormack, Clarke and Buettcher 2009) of what each leg gave, best first."""
    fused: dict[Chunk, float] = defaultdict(float)
    for leg in legs:
        for rank, chunk in enumerate(leg, 1):
            fused[chunk] += 1 / (_RRF_K + rank)
    return fused


def documents(chunks: Mapping[Chunk, float]) -> list[str]:
    """Documents by their best chunk; equal scores as trec_eval orders them, by descending id."""
    best: dict[str, float] = {}
    for (name, _), score in chunks.items():
        best[name] = max(best.get(name, 0.0), score)
    return sorted(best, key=lambda each: (best[each], each), reverse=True)


def asked(served: Served, judged: Judged, collection: str, rankings: Iterable[str]) -> tuple[dict[str, Found], Any]:
    """What each way to rank finds, and the milliseconds of a search."""
    found: dict[str, Found] = {}
    times: dict[str, float] = {}
    for ranking in rankings:
        begun = time.perf_counter()
        queries = judged.queries.items()
        found[ranking] = {query: search(served.client, collection, text, ranking) for query, text in queries}
        times[ranking] = round((time.perf_counter() - begun) / len(judged.queries) * 1000, 1)
    return found, times


def compared(judged: Judged, found: Mapping[str, Found]) -> dict[str, Any]:
    """All measures of each way to rank, and hybrid's gain over each of the others."""

    def run(name: str, cut: int) -> list[Measured]:
        return [valued(judged, query, documents(found[name][query]), cut) for query in judged.queries]

    runs = {name: run(name, _CUT) for name in found}
    at_the_top = {name: summarise([run(name, 1)]).means[0][HIT_RATE] for name in found}
    others = [name for name in runs if name != "hybrid"]
    return {
        "queries": len(judged.queries),
        "measures": {
            name: means(summarise([each]).means[0]) | {"hit_rate@1": ends(at_the_top[name])}
            for name, each in runs.items()
        },
        "hybrid over": {name: means(summarise([runs["hybrid"], runs[name]]).differences) for name in others},
    }


def valued(judged: Judged, query: str, ranked: list[str], cut: int) -> Measured:
    """One query's ranking of documents, measured."""
    grades = judged.relevant[query]
    targets = tuple(Target(name, grade) for name, grade in grades.items())
    golden = GoldenQuery(query, judged.queries[query], targets, (), None, 1)
    return measured(golden, Ranked(tuple(ranked), grades, ()), cut)


def means(values: Mapping[str, Mean] | Mapping[str, Difference]) -> dict[str, list[float]]:
    """Mean and the ends of its 95 % interval, by measure."""
    return {f"{name}@{_CUT}": ends(each) for name, each in values.items()}


def ends(value: Mean | Difference) -> list[float]:
    """A mean, and the ends of its interval."""
    return [round(each, 4) for each in (value.mean, value.low, value.high)]


def below_bars(results: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """What is not as good as it has to be."""
    found = []
    for (name, ranking), bar in _BARS.items():
        if name not in results:
            continue
        value = results[name]["measures"][ranking]["ndcg@10"][0]
        if value < bar:
            found.append(f"{name} by {ranking}: {value:.4f} is below {bar:.3f}")
    return found


def shown(found: Mapping[str, Any]) -> str:
    """A table with each way to rank in a row."""
    names = list(found["measures"]["hybrid"])
    rows = []
    for way, values in found["measures"].items():
        gain = found["hybrid over"].get(way)
        cells = [f"{mean:.3f} [{low:.3f}, {high:.3f}]" for mean, low, high in (values[each] for each in names)]
        rows.append([way, *cells, "" if gain is None else "{:+.3f} [{:+.3f}, {:+.3f}]".format(*gain[names[0]])])
    return table(("", *names, f"hybrid over it, {names[0]}"), rows)


@contextmanager
def served_with(collections: Mapping[str, str], *, has_model: bool = True) -> Iterator[Served]:
    """A server in a folder of its own."""
    with tempfile.TemporaryDirectory(prefix="headworks-bench-") as folder:
        Path(folder).chmod(0o711)
        with server(Path(folder), collections, has_model=has_model) as served:
            yield served


def measure(served: Served, judged: Judged) -> tuple[dict[str, Any], dict[str, Found]]:
    """Hand a collection in and ask; what was counted, and what each way to rank found."""
    counted = ingest(served.client, judged.name, judged.documents)
    found, times = asked(served, judged, judged.name, _RANKINGS)
    found[_FUSED_BY_RANKS] = {query: by_ranks(found[leg][query] for leg in _LEGS) for query in judged.queries}
    result = {key: counted[key] for key in ("documents", "chunks", "handed_in_s", "searchable_s")}
    result |= {"failed": len(counted["failed"]), "ms a search": times}
    if judged.language:
        result["tuned"] = tuned(served, judged.name, judged.folder)
    return result, found


def peers(judged: Judged, *, has_model: bool) -> dict[str, str]:
    """The same collection with a language in its file, by name: with vectors the right one, without them English."""
    language = judged.language if has_model else "en"
    if not judged.language or (has_model and language == "en"):
        return {}
    return {f"{judged.name}-as-{language}": f"{_COLLECTION}chunking: {{language: {language}}}\n"}


def by_peers(served: Served, judged: Judged, *, has_model: bool) -> dict[str, Found]:
    """What is found when all words are taken for those of one language."""
    found: dict[str, Found] = {}
    for name in peers(judged, has_model=has_model):
        ingest(served.client, name, judged.documents, has_model=has_model)
        ways = asked(served, judged, name, ("keywords", "hybrid") if has_model else ("keywords",))[0]
        found |= {f"{way}, language: {name[-2:]}": each for way, each in ways.items()}
    return found


def main() -> int:
    """Exit status 1 below the bars."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", action="store_true", help="print one object")
    parser.add_argument("--corpus", type=Path, action="append", default=[], help="a folder in BEIR's form")
    parser.add_argument(
        "--manual-pages", action="append", default=[], metavar="LANGUAGE", help="Debian's manual pages: de, en"
    )
    options = parser.parse_args()
    is_usual = not options.corpus and not options.manual_pages
    if is_usual and not _DATA.exists():
        print(f"skipped: {_DATA} is not there; HEADWORKS_TEST_DATA names the folder of test data.")
        return 0
    collections = [read(folder) for folder in ((_DATA / "cranfield", _DATA / "cacm") if is_usual else options.corpus)]
    collections += [read(manual_pages.build(language, _CACHE), language) for language in options.manual_pages]
    results: dict[str, dict[str, Any]] = {}
    found: dict[str, dict[str, Found]] = {}
    files = {each.name: _COLLECTION for each in collections}
    for judged in collections:
        files |= peers(judged, has_model=True)
    with served_with(files) as served:
        for judged in collections:
            results[judged.name], found[judged.name] = measure(served, judged)
            found[judged.name] |= by_peers(served, judged, has_model=True)
    for judged in collections:
        if judged.language:
            results[judged.name] |= json.loads((judged.folder / "source.json").read_text(encoding="utf-8"))
            with served_with(peers(judged, has_model=False), has_model=False) as served:
                found[judged.name] |= by_peers(served, judged, has_model=False)
        results[judged.name] |= compared(judged, found[judged.name])
    return report(results, as_json=options.json)


def report(results: Mapping[str, Mapping[str, Any]], *, as_json: bool) -> int:
    """Print everything; the exit status."""
    if as_json:
        print(json.dumps(results, indent=2))
    for name, found in () if as_json else results.items():
        print(f"{name}: {found['documents']} documents, {found['chunks']} chunks, {found['queries']} queries")
        print(shown(found), end="\n\n")
        if "tuned" in found:
            print(f"{found['packages']}; tuned: {json.dumps(found['tuned'])}", end="\n\n")
    failures = below_bars(results)
    for each in failures:
        print(each, file=sys.stderr)
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())

"""Ranking quality of the product's own search on two public test collections, over HTTP.

    python bench/retrieval/run.py [--json] [--corpus FOLDER]...

Starts `headworks up` on an empty data folder, hands in each abstract as a Markdown document (title and text) by the
upload API, waits for the jobs process, and asks each query by `POST /api/search`: hybrid, by keywords and by vectors.
Beside them stands what reciprocal ranks (k = 60) would make of the same two legs. A document's score is that of its
best chunk. Measures and intervals are those of `headworks retrieval eval`. No setting is chosen on these collections.
Exit status 1 below the bars.

`--corpus` measures any folder in BEIR's form instead, in whatever language it is: `corpus.jsonl`, `queries.jsonl`, and
`qrels.tsv` or `qrels/test.tsv`. It has no bars.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

from headworks.cli.client import Client, place
from headworks.cli.terminal import table
from headworks.retrieval.quality.golden import GoldenQuery, Target
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
_DEPTH = 100
_VECTORS_S = 60
"""How long vectors may still be missing when all is found by keywords; then the model is not installed."""
_COLLECTION = 'readers: [everyone]\ndescription: "A public test collection."\n'


@dataclass(frozen=True, slots=True)
class Judged:
    """A test collection."""

    name: str
    documents: dict[str, str]
    queries: dict[str, str]
    relevant: dict[str, dict[str, int]]


def read(folder: Path) -> Judged:
    """Documents as Markdown, queries that are judged, and the judgements. All that is judged is there, or it ends."""
    rows = [json.loads(line) for line in (folder / "corpus.jsonl").read_text(encoding="utf-8").splitlines()]
    documents = {row["_id"]: f"# {row.get('title', '').strip()}\n\n{row['text'].strip()}\n" for row in rows}
    by_number = {without_zeros(each): each for each in documents}
    relevant: dict[str, dict[str, int]] = defaultdict(dict)
    judgements = next(each for each in (folder / "qrels.tsv", folder / "qrels" / "test.tsv") if each.exists())
    for line in judgements.read_text(encoding="utf-8").splitlines()[1:]:
        query, document, grade = line.split("\t")
        relevant[query][by_number[without_zeros(document)]] = int(grade)
    rows = [json.loads(line) for line in (folder / "queries.jsonl").read_text(encoding="utf-8").splitlines()]
    queries = {row["_id"]: row["text"] for row in rows if row["_id"] in relevant}
    return Judged(re.sub("[^a-z0-9._-]", "-", folder.resolve().name.lower()), documents, queries, relevant)


def without_zeros(name: str) -> str:
    """CACM's judgements write some of the numbers without the zeros that its documents have: CACM-46, CACM-0046."""
    prefix, _, number = name.rpartition("-")
    return f"{prefix}-{number.lstrip('0')}"


@contextmanager
def server(folder: Path, names: list[str]) -> Iterator[Client]:
    """A running server with an empty collection for each name."""
    collections = folder / "workspace" / "collections"
    collections.mkdir(parents=True)
    for name in names:
        (collections / f"{name}.yaml").write_text(_COLLECTION)
    command = [sys.executable, "-m", "headworks.cli.main", "up", "--json", "--port", "0"]
    command += ["--workspace", str(folder / "workspace"), "--data", str(folder / "data")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            ready = json.loads(process.stdout.readline())
            yield Client(ready["url"], ready["admin_key"])
        finally:
            process.terminate()
            process.wait(60)
            for elsewhere in (folder / "data").rglob("location"):  # as root, the database lies where its user may enter
                shutil.rmtree(elsewhere.read_text().strip(), ignore_errors=True)


def ingest(client: Client, judged: Judged) -> dict[str, Any]:
    """Hand everything in and wait until it can be found; the server's own count, and how long it took."""
    begun = time.monotonic()
    sync = client.post(place("collections", judged.name, "syncs"), {"source": "bench"})

    def hand_in(item: tuple[str, str]) -> None:
        data = item[1].encode()
        query = {"path": f"{item[0]}.md", "sync": sync["id"]}
        client.upload(place("collections", judged.name, "documents"), query, BytesIO(data), len(data))

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(hand_in, judged.documents.items()))
    handed_in_s = time.monotonic() - begun
    deadline: float | None = None
    while True:
        progress: dict[str, Any] = client.get(place("collections", judged.name, "syncs", sync["id"]))
        if progress["done"] == progress["total"]:
            deadline = deadline or time.monotonic() + _VECTORS_S
            if not progress["notice"]:
                break
            if time.monotonic() > deadline:
                raise SystemExit(progress["notice"])
        print(f"\r{judged.name}: {progress['done']} of {progress['total']} documents", end="", file=sys.stderr)
        time.sleep(1)
    print(file=sys.stderr)
    return progress | {"handed_in_s": round(handed_in_s, 1), "searchable_s": round(time.monotonic() - begun, 1)}


Chunk = tuple[str, int]
"""A document's name and the number of a chunk in it."""


def search(client: Client, judged: Judged, query: str, ranking: str) -> dict[Chunk, float]:
    """The best chunks with their scores."""
    body = {"collection": judged.name, "query": query, "k": _DEPTH, "ranking": ranking}
    answer = client.post(place("search"), body)
    if answer["ranking"] != ranking and answer["rows"]:
        raise SystemExit(f"the server ranked by {answer['ranking']}: {answer['notice']}")
    return {(row["path"].removesuffix(".md"), row["chunk"]): row["score"] for row in answer["rows"]}


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


def measure(client: Client, judged: Judged) -> dict[str, Any]:
    """All measures of each way to rank, hybrid's gain over each of the others, and the time of a search."""
    found: dict[str, dict[str, dict[Chunk, float]]] = {}
    times: dict[str, float] = {}
    for ranking in _RANKINGS:
        begun = time.perf_counter()
        found[ranking] = {query: search(client, judged, text, ranking) for query, text in judged.queries.items()}
        times[ranking] = round((time.perf_counter() - begun) / len(judged.queries) * 1000, 1)
    found[_FUSED_BY_RANKS] = {query: by_ranks(found[leg][query] for leg in _LEGS) for query in judged.queries}
    runs = {
        name: [valued(judged, query, documents(each[query])) for query in judged.queries]
        for name, each in found.items()
    }
    others = [name for name in runs if name != "hybrid"]
    return {
        "queries": len(judged.queries),
        "measures": {name: means(summarise([run]).means[0]) for name, run in runs.items()},
        "hybrid over": {name: means(summarise([runs["hybrid"], runs[name]]).differences) for name in others},
        "ms a search": times,
    }


def valued(judged: Judged, query: str, ranked: list[str]) -> Measured:
    """One query's ranking of documents, measured."""
    grades = judged.relevant[query]
    targets = tuple(Target(name, grade) for name, grade in grades.items())
    return measured(
        GoldenQuery(query, judged.queries[query], targets, (), None, 1), Ranked(tuple(ranked), grades, ()), _CUT
    )


def means(values: Mapping[str, Mean] | Mapping[str, Difference]) -> dict[str, list[float]]:
    """Mean and the ends of its 95 % interval, by measure."""
    return {f"{name}@{_CUT}": [round(v, 4) for v in (each.mean, each.low, each.high)] for name, each in values.items()}


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


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", action="store_true", help="print one object")
    parser.add_argument(
        "--corpus", type=Path, action="append", help="a folder in BEIR's form, instead of the usual two"
    )
    options = parser.parse_args()
    if not options.corpus and not _DATA.exists():
        print(f"skipped: {_DATA} is not there; HEADWORKS_TEST_DATA names the folder of test data.")
        return 0
    collections = [read(folder) for folder in options.corpus or (_DATA / "cranfield", _DATA / "cacm")]
    results: dict[str, dict[str, Any]] = {}
    with tempfile.TemporaryDirectory(prefix="headworks-bench-") as folder:
        Path(folder).chmod(0o711)
        with server(Path(folder), [each.name for each in collections]) as client:
            for judged in collections:
                counted = ingest(client, judged)
                results[judged.name] = {"documents": counted["documents"], "chunks": counted["chunks"]}
                results[judged.name] |= {key: counted[key] for key in ("handed_in_s", "searchable_s")}
                results[judged.name]["failed"] = len(counted["failed"])
                results[judged.name] |= measure(client, judged)
    failures = below_bars(results)
    if options.json:
        print(json.dumps(results, indent=2))
    else:
        for name, found in results.items():
            print(f"{name}: {found['documents']} documents, {found['chunks']} chunks, {found['queries']} queries")
            print(shown(found), end="\n\n")
    for each in failures:
        print(each, file=sys.stderr)
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())

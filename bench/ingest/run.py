"""What ingestion costs beside the embedding that it is for, and whether its memory stays flat.

    python bench/ingest/run.py [--documents N] [--json]
    python bench/ingest/run.py --keyword-only 100000

Starts `headworks up` on an empty data folder and hands in Markdown documents by the upload API.

By default chunks per CPU-second of the jobs process (parsing children included) are set against the embedding model's
own in the same run: the same chunks, one after the other, in this process, on one thread. PostgreSQL's share (with the
index) stands apart. The first document, which loads the model, is not counted. Exit status 1 below 85 %.

`--keyword-only` hands in that many short documents without the embedding model and looks at the memory of the jobs
process and its children while they are worked on. Exit status 1 if it grows by more than a quarter after the first
quarter of the documents.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from typing import Any

import psutil

from headworks.cli.client import Client, place
from headworks.providers.minilm import MiniLM
from headworks.retrieval.indexing import index
from headworks.retrieval.parsers import markdown
from headworks.retrieval.passages.chunking import ChunkSettings
from headworks.retrieval.passages.counting import WordCounts

_BAR = 0.85
_MOST_GROWTH = 1.25
_PATIENCE_S = 6 * 3600.0
_WORDS = (Path(__file__).parent / "words.txt").read_text(encoding="utf-8").split()


def document(number: int, sentences: int) -> str:
    """A document of invented sentences out of common words, the same for the same number."""
    dice = random.Random(number)
    parts = [f"# Note {number}"]
    for at in range(sentences):
        if at % 12 == 0 and sentences > 12:
            parts.append(f"## Part {at // 12} of {dice.choice(_WORDS)}")
        words = [dice.choice(_WORDS) for _ in range(dice.randint(8, 22))]
        parts.append(" ".join(words).capitalize() + ".")
    return "\n\n".join(parts) + "\n"


@dataclass
class Watched:
    """The server's processes: CPU seconds of the jobs process with its children, of PostgreSQL, and memory."""

    supervisor: psutil.Process
    seconds: dict[int, float] = field(default_factory=dict)
    """By process of the jobs side; one that ended keeps what it had."""
    of_postgres: dict[int, float] = field(default_factory=dict)
    memory: list[tuple[float, int]] = field(default_factory=list)
    """Share of the work that is done, and bytes that are private to the jobs process and its children."""

    def look(self, share: float) -> None:
        """Note where they are now."""
        private = 0
        for process in self.supervisor.children(recursive=True):
            try:
                command, spent = " ".join(process.cmdline()), process.cpu_times()
                if "headworks.app jobs" in command or _is_below_jobs(process):
                    self.seconds[process.pid] = spent.user + spent.system
                    private += process.memory_full_info().uss
                elif "postgres" in command:
                    self.of_postgres[process.pid] = spent.user + spent.system
            except (psutil.NoSuchProcess, psutil.ZombieProcess, psutil.AccessDenied):
                continue
        if private:
            self.memory.append((share, private))


def _is_below_jobs(process: psutil.Process) -> bool:
    return any("headworks.app jobs" in " ".join(each.cmdline()) for each in process.parents()[:3])


@contextmanager
def server(folder: Path, models: Path | None) -> Iterator[tuple[Client, Watched]]:
    """A running server with an empty collection."""
    collections = folder / "workspace" / "collections"
    collections.mkdir(parents=True)
    (collections / "bench.yaml").write_text("readers: [everyone]\nchunking: {language: en}\n")
    command = [sys.executable, "-m", "headworks.cli.main", "up", "--json", "--port", "0"]
    command += ["--workspace", str(folder / "workspace"), "--data", str(folder / "data")]
    env = os.environ | ({"HEADWORKS_MODELS_DIR": str(models)} if models else {})
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=env) as process:
        try:
            assert process.stdout is not None
            ready = json.loads(process.stdout.readline())
            yield Client(ready["url"], ready["admin_key"]), Watched(psutil.Process(process.pid))
        finally:
            process.terminate()
            process.wait(60)
            for elsewhere in (folder / "data").rglob("location"):  # as root, the database lies where its user may enter
                shutil.rmtree(elsewhere.read_text().strip(), ignore_errors=True)


def ingest(client: Client, watched: Watched, documents: dict[str, str]) -> dict[str, Any]:
    """Hand in and wait until all is worked on; the server's own count."""
    sync = client.post(place("collections", "bench", "syncs"), {"source": "bench"})

    def hand_in(item: tuple[str, str]) -> None:
        data = item[1].encode()
        query = {"path": f"{item[0]}.md", "sync": sync["id"]}
        client.upload(place("collections", "bench", "documents"), query, BytesIO(data), len(data))

    where = place("collections", "bench", "syncs", sync["id"])
    deadline = time.monotonic() + _PATIENCE_S
    with ThreadPoolExecutor(2) as pool:
        handed_in = [pool.submit(hand_in, item) for item in documents.items()]
        while time.monotonic() < deadline:
            progress: dict[str, Any] = client.get(where)
            watched.look(progress["done"] / len(documents))
            if progress["done"] == len(documents) and all(each.done() for each in handed_in):
                break
            print(f"\r{progress['done']} of {len(documents)} documents", end="", file=sys.stderr)
            time.sleep(0.5)
        for each in handed_in:
            each.result()
    print(file=sys.stderr)
    return progress


def wait_for_vectors(client: Client, watched: Watched) -> None:
    """Until no chunk is without a vector."""
    deadline = time.monotonic() + _PATIENCE_S
    while client.get(place("collections", "bench", "progress"))["notice"] and time.monotonic() < deadline:
        watched.look(1.0)
        time.sleep(0.5)


def ceiling(documents: dict[str, str]) -> tuple[int, float]:
    """The chunks of these documents, and the CPU seconds in which the model alone embeds them."""
    model = MiniLM()
    word_pieces = model.word_counter()
    if word_pieces is None:
        raise SystemExit("builtin/minilm is not installed: headworks models install")
    count = WordCounts(word_pieces)
    texts = [
        piece.stored.indexed
        for name, text in documents.items()
        for piece in index.cut(markdown.parse(f"{name}.md", text.encode()), ChunkSettings(), count)
    ]
    model.embed(texts[:1])
    begun = time.process_time()
    model.embed(texts)
    return len(texts), time.process_time() - begun


def against_the_model(number: int) -> dict[str, Any]:
    """Chunks per CPU-second of ingestion, and of the model alone."""
    documents = {str(each): document(each, 60) for each in range(number)}
    with tempfile.TemporaryDirectory(prefix="headworks-bench-") as folder:
        Path(folder).chmod(0o711)
        with server(Path(folder), None) as (client, watched):
            ingest(client, watched, {"first": document(-1, 60)})
            wait_for_vectors(client, watched)
            before, before_postgres = sum(watched.seconds.values()), sum(watched.of_postgres.values())
            chunks_before = client.get(place("collections", "bench", "progress"))["chunks"]
            ingest(client, watched, documents)
            wait_for_vectors(client, watched)
            spent = sum(watched.seconds.values()) - before
            postgres = sum(watched.of_postgres.values()) - before_postgres
            chunks = client.get(place("collections", "bench", "progress"))["chunks"] - chunks_before
    expected, alone = ceiling(documents)
    if expected != chunks:
        raise SystemExit(f"the server has {chunks} chunks, not {expected}")
    return {
        "documents": number,
        "chunks": chunks,
        "chunks per CPU-second, the model alone": round(chunks / alone, 1),
        "chunks per CPU-second, ingestion": round(chunks / spent, 1),
        "of the model's own": round(alone / spent, 3),
        "PostgreSQL, CPU-seconds": round(postgres, 1),
    }


def keyword_only(number: int) -> dict[str, Any]:
    """Memory while many short documents are worked on."""
    documents = {str(each): document(each, 6) for each in range(number)}
    with tempfile.TemporaryDirectory(prefix="headworks-bench-") as folder:
        Path(folder).chmod(0o711)
        (Path(folder) / "no-models").mkdir()
        with server(Path(folder), Path(folder) / "no-models") as (client, watched):
            begun = time.monotonic()
            progress = ingest(client, watched, documents)
            wall = time.monotonic() - begun
    early = max((memory for share, memory in watched.memory if share <= 0.25), default=0)
    late = max(memory for _, memory in watched.memory)
    spent = sum(watched.seconds.values())
    return {
        "documents": progress["documents"],
        "chunks": progress["chunks"],
        "failed": len(progress["failed"]),
        "documents per CPU-second": round(number / spent, 1),
        "seconds": round(wall, 1),
        "PostgreSQL, CPU-seconds": round(sum(watched.of_postgres.values()), 1),
        "peak memory in the first quarter, MiB": round(early / 2**20, 1),
        "peak memory, MiB": round(late / 2**20, 1),
        "growth": round(late / early, 3) if early else None,
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--documents", type=int, default=600, help="how many of about 15 chunks each")
    parser.add_argument("--keyword-only", type=int, metavar="N", help="so many short ones, without the embedding model")
    parser.add_argument("--json", action="store_true", help="print one object")
    options = parser.parse_args()
    found = keyword_only(options.keyword_only) if options.keyword_only else against_the_model(options.documents)
    if options.json:
        print(json.dumps(found, indent=2))
    else:
        for name, value in found.items():
            print(f"{name:45} {value}")
    if options.keyword_only:
        return 1 if found["growth"] is None or found["growth"] > _MOST_GROWTH else 0
    return 1 if found["of the model's own"] < _BAR else 0


if __name__ == "__main__":
    sys.exit(main())

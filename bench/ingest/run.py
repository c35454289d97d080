"""What ingestion costs beside the embedding that it is for, and whether its memory stays flat.

    python bench/ingest/run.py [--documents N] [--json]
    python bench/ingest/run.py --keyword-only 100000

Starts `headworks up` on an empty data folder and hands in Markdown documents, a hundred in a request.

By default chunks per CPU-second of the jobs process (parsing children included) are set against the embedding model's
own in the same run: the same chunks, one after the other, in this process, on one thread. PostgreSQL's share (with the
index) stands apart. What the jobs process takes by the second, with or without work, weighs more the longer a busy
machine makes it wait: it is told, too. The first document, which loads the model, is not counted. Exit status 1 below
85 %.

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
from collections import defaultdict
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import psutil

from headworks.cli.client import Client, place
from headworks.providers.minilm import MiniLM
from headworks.retrieval.indexing import index
from headworks.retrieval.parsers import markdown
from headworks.retrieval.passages.chunking import ChunkSettings
from headworks.retrieval.passages.counting import WordCounts

JOBS, PARSING, GATEWAY, SUPERVISOR, POSTGRES = "jobs", "parsing", "gateway", "supervisor", "PostgreSQL"
_KINDS = (JOBS, PARSING, GATEWAY, SUPERVISOR, POSTGRES)
_BAR = 0.85
_MOST_GROWTH = 1.25
_PATIENCE_S = 6 * 3600.0
_HANDED_IN_AT_ONCE = 100
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
    """The server's processes: CPU seconds and private memory of each kind (where they share, each counts its part).

    Parsing children live for milliseconds; their seconds are counted with the process that they are forked from.
    """

    supervisor: psutil.Process
    seconds: dict[tuple[str, int], float] = field(default_factory=dict)
    """By kind and process; one that ended keeps what it had."""
    memory: list[tuple[float, dict[str, int]]] = field(default_factory=list)
    """Share of the work that is done, and bytes by kind."""

    def look(self, share: float) -> None:
        """Note where they are now."""
        private: dict[str, int] = defaultdict(int)
        for process in [self.supervisor, *self.supervisor.children(recursive=True)]:
            try:
                kind, spent = self._kind(process), process.cpu_times()
                private[kind] += _anonymous(process) if kind in {POSTGRES, PARSING} else process.memory_full_info().uss
                if kind == PARSING and not _is_zygote(process):
                    continue
                forked = spent.children_user + spent.children_system if kind == PARSING else 0
                self.seconds[kind, process.pid] = spent.user + spent.system + forked
            except (psutil.NoSuchProcess, psutil.ZombieProcess, psutil.AccessDenied, OSError):
                continue
        if private.get(JOBS):
            self.memory.append((share, dict(private)))

    def spent(self, *kinds: str) -> float:
        """CPU seconds so far."""
        return sum(spent for (kind, _), spent in self.seconds.items() if kind in kinds)

    def _kind(self, process: psutil.Process) -> str:
        command = " ".join(process.cmdline())
        if "isolation.zygote" in command:
            return PARSING
        for kind in (JOBS, GATEWAY):
            if f"headworks.app {kind}" in command:
                return kind
        return SUPERVISOR if process.pid == self.supervisor.pid else POSTGRES if "postgres" in command else "other"


def _anonymous(process: psutil.Process) -> int:
    """What a process has written, and its part of what it has from its parent: no shared buffers, no files.

    Else a page of PostgreSQL's shared buffers counts as private as long as only one of its processes has looked at it,
    and what a process shares with a child that lives for milliseconds does not count.
    """
    rollup = Path(f"/proc/{process.pid}/smaps_rollup").read_text(encoding="ascii")
    return sum(int(line.split()[1]) << 10 for line in rollup.splitlines() if line.startswith("Pss_Anon:"))


def _is_zygote(process: psutil.Process) -> bool:
    parent = process.parent()
    return parent is not None and "isolation.zygote" not in " ".join(parent.cmdline())


def growth_of(memory: Sequence[tuple[float, dict[str, int]]], kind: str, number: int) -> dict[str, Any]:
    """Of a kind of process: the median of each quarter in MiB, and KiB a thousand documents after the first one."""
    seen = np.array([(share, private[kind] / 2**20) for share, private in memory if kind in private])
    if not seen.size:
        return {}
    quarters = [seen[(seen[:, 0] > at / 4) & (seen[:, 0] <= (at + 1) / 4), 1] for at in range(4)]
    late = seen[seen[:, 0] > 0.25]
    slope = float(np.polyfit(late[:, 0], late[:, 1], 1)[0]) if len(late) and np.ptp(late[:, 0]) else 0.0
    return {
        "MiB": [round(float(np.median(each)), 1) if each.size else None for each in quarters],
        "KiB a thousand documents": round(slope * 2**10 / number * 1000, 1),
    }


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
    every_s = 0.5 if len(documents) < 5_000 else 5.0
    sync = client.post(place("collections", "bench", "syncs"), {"source": "bench"})

    def hand_in(some: tuple[tuple[str, str], ...]) -> None:
        files = [{"path": f"{name}.md", "text": text, "media_type": "text/markdown"} for name, text in some]
        answer = client.post(
            place("collections", "bench", "documents", "batch"), {"files": files, "source": "bench", "sync": sync["id"]}
        )
        if answer["taken"] != len(files):
            raise SystemExit(f"{answer['taken']} of {len(files)} documents were taken")

    where = place("collections", "bench", "syncs", sync["id"])
    deadline = time.monotonic() + _PATIENCE_S
    with ThreadPoolExecutor(2) as pool:
        rest = iter(documents.items())
        some = iter(lambda: tuple(islice(rest, _HANDED_IN_AT_ONCE)), ())
        handed_in = [pool.submit(hand_in, each) for each in some]
        while time.monotonic() < deadline:
            progress: dict[str, Any] = client.get(where)
            watched.look(progress["done"] / len(documents))
            if failed := next((each for each in handed_in if each.done() and each.exception()), None):
                failed.result()
            if progress["done"] == len(documents) and all(each.done() for each in handed_in):
                watched.look(1.0)
                break
            print(f"\r{progress['done']} of {len(documents)} documents", end="", file=sys.stderr)
            time.sleep(every_s)
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
    watched.look(1.0)


def standing(watched: Watched) -> float:
    """CPU seconds that the jobs process takes in a second in which there is nothing to do."""
    time.sleep(1.0)
    watched.look(1.0)
    begun, before = time.monotonic(), watched.spent(JOBS)
    time.sleep(5.0)
    watched.look(1.0)
    return (watched.spent(JOBS) - before) / (time.monotonic() - begun)


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
            idle = standing(watched)
            begun = time.monotonic()
            before = {kind: watched.spent(kind) for kind in (JOBS, PARSING, POSTGRES)}
            chunks_before = client.get(place("collections", "bench", "progress"))["chunks"]
            ingest(client, watched, documents)
            wait_for_vectors(client, watched)
            wall = time.monotonic() - begun
            spent = {kind: watched.spent(kind) - seconds for kind, seconds in before.items()}
            chunks = client.get(place("collections", "bench", "progress"))["chunks"] - chunks_before
    expected, alone = ceiling(documents)
    ingestion = spent[JOBS] + spent[PARSING]
    if expected != chunks:
        raise SystemExit(f"the server has {chunks} chunks, not {expected}")
    return {
        "documents": number,
        "chunks": chunks,
        "chunks per CPU-second, the model alone": round(chunks / alone, 1),
        "chunks per CPU-second, ingestion": round(chunks / ingestion, 1),
        "of the model's own": round(alone / ingestion, 3),
        "of it parsing, CPU-seconds": round(spent[PARSING], 1),
        "seconds": round(wall, 1),
        "of the jobs process, idle, CPU-ms a second": round(idle * 1000, 1),
        "of the model's own, without that": round(alone / (ingestion - idle * wall), 3),
        "of it all else, CPU-seconds": round(spent[JOBS] - alone, 1),
        "PostgreSQL, CPU-seconds": round(spent[POSTGRES], 1),
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
    of_jobs = [(share, private[JOBS] + private.get(PARSING, 0)) for share, private in watched.memory]
    early = max((private for share, private in of_jobs if share <= 0.25), default=0)
    late = max(private for _, private in of_jobs)
    return {
        "documents": progress["documents"],
        "chunks": progress["chunks"],
        "failed": len(progress["failed"]),
        "seconds": round(wall, 1),
        "CPU-seconds": {kind: round(watched.spent(kind), 1) for kind in _KINDS},
        "peak memory in the first quarter, MiB": round(early / 2**20, 1),
        "peak memory, MiB": round(late / 2**20, 1),
        "growth": round(late / early, 3) if early else None,
        "memory": {kind: growth_of(watched.memory, kind, number) for kind in _KINDS},
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

"""A server of the product's own, and what is asked of it: documents in, chunks out, a weight tuned."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

from headworks.cli.client import Client, place
from headworks.providers.minilm import MiniLM

DEPTH = 100
_VECTORS_S = 3600
"""How long vectors may still be missing when all is found by keywords."""
_COMMAND = [sys.executable, "-m", "headworks.cli.main"]

Chunk = tuple[str, int]
"""A document's name and the number of a chunk in it."""


@dataclass(frozen=True, slots=True)
class Served:
    """A running server, and a key of its administrator."""

    client: Client
    key: str
    folder: Path

    def command(self, *words: str) -> str:
        """What one of the product's commands prints."""
        env = os.environ | {"HEADWORKS_URL": self.client.url, "HEADWORKS_API_KEY": self.key}
        done = subprocess.run(
            [*_COMMAND, *words], env=env, cwd=self.folder, check=True, stdout=subprocess.PIPE, text=True
        )
        return done.stdout


@contextmanager
def server(folder: Path, collections: Mapping[str, str], *, has_model: bool = True) -> Iterator[Served]:
    """A running server with these empty collections: the text of each one's file by its name."""
    files = folder / "workspace" / "collections"
    files.mkdir(parents=True)
    for name, text in collections.items():
        (files / f"{name}.yaml").write_text(text)
    (folder / "no-models").mkdir()
    command = [*_COMMAND, "up", "--json", "--port", "0"]
    command += ["--workspace", str(folder / "workspace"), "--data", str(folder / "data")]
    env = os.environ | ({} if has_model else {"HEADWORKS_MODELS_DIR": str(folder / "no-models")})
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=env) as process:
        try:
            assert process.stdout is not None
            ready = json.loads(process.stdout.readline())
            yield Served(Client(ready["url"], ready["admin_key"]), ready["admin_key"], folder)
        finally:
            process.terminate()
            process.wait(60)
            for elsewhere in (folder / "data").rglob("location"):  # as root, the database lies where its user may enter
                shutil.rmtree(elsewhere.read_text().strip(), ignore_errors=True)


def ingest(client: Client, name: str, documents: Mapping[str, str], *, has_model: bool = True) -> dict[str, Any]:
    """Hand everything in and wait until it can be found; the server's own count, and how long it took."""
    if has_model and not MiniLM().is_installed:
        raise SystemExit("builtin/minilm is not installed: headworks models install")
    begun = time.monotonic()
    sync = client.post(place("collections", name, "syncs"), {"source": "bench"})

    def hand_in(item: tuple[str, str]) -> None:
        data = item[1].encode()
        query = {"path": f"{item[0]}.md", "sync": sync["id"]}
        client.upload(place("collections", name, "documents"), query, BytesIO(data), len(data))

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(hand_in, documents.items()))
    handed_in_s = time.monotonic() - begun
    deadline: float | None = None
    while True:
        progress: dict[str, Any] = client.get(place("collections", name, "syncs", sync["id"]))
        if progress["done"] == progress["total"]:
            deadline = deadline or time.monotonic() + _VECTORS_S
            if not progress["notice"] or not has_model:
                break
            if time.monotonic() > deadline:
                raise SystemExit(progress["notice"])
        print(f"\r{name}: {progress['done']} of {progress['total']} documents", end="", file=sys.stderr)
        time.sleep(1)
    print(file=sys.stderr)
    return progress | {"handed_in_s": round(handed_in_s, 1), "searchable_s": round(time.monotonic() - begun, 1)}


def search(client: Client, name: str, query: str, ranking: str) -> dict[Chunk, float]:
    """The best chunks with their scores."""
    answer = client.post(place("search"), {"collection": name, "query": query, "k": DEPTH, "ranking": ranking})
    if answer["ranking"] != ranking and answer["rows"]:
        raise SystemExit(f"the server ranked by {answer['ranking']}: {answer['notice']}")
    return {(row["path"].removesuffix(".md"), row["chunk"]): row["score"] for row in answer["rows"]}


def tuned(served: Served, name: str, judged: Path) -> dict[str, Any]:
    """What `headworks retrieval tune` says of a collection in BEIR's form."""
    files = ["--qrels", str(judged / "qrels.tsv"), "--queries", str(judged / "queries.jsonl"), "--path", "{id}.md"]
    served.command("retrieval", "golden", "import", name, *files)
    found: dict[str, Any] = json.loads(served.command("retrieval", "tune", name, "--json"))
    return found

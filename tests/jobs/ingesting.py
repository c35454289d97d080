"""A jobs process that ingests, as app.py makes it, but with an embedding model of its own that takes its time.

The database's URLs, and which folders of this machine may be sources, come as JSON on standard input.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Sequence

from headworks.config import RetrievalServerSettings
from headworks.identity.service import Identity
from headworks.jobs.engine import Jobs
from headworks.retrieval.parsers.isolation.sandbox import ParserPool
from headworks.retrieval.service import Retrieval
from headworks.storage.pool import Database, DatabaseUrls
from headworks.storage.sealing import Keyring
from headworks.types.models import Completion, Embeddings, ModelCall, Prompt, Usage


class SlowVectors:
    """Each text takes 5 ms; its vector depends on its length only."""

    async def embed(self, call: ModelCall, texts: Sequence[str]) -> Embeddings:  # noqa: ARG002 -- the Protocol's
        await asyncio.sleep(0.005 * len(texts))
        return Embeddings(
            [[1.0 if at == len(text) % 384 else 0.0 for at in range(384)] for text in texts], "slow", Usage()
        )

    async def complete(self, call: ModelCall, prompt: Prompt) -> Completion:
        raise NotImplementedError


async def main() -> None:
    given = json.loads(sys.stdin.read())
    async with Database(DatabaseUrls(**given["urls"])) as db:
        keyring, jobs, parsers = Keyring(bytes.fromhex(given["master"])), Jobs(given["urls"]["app"]), ParserPool()
        identity = Identity(db, keyring, b"pepper of a process of the tests")
        settings = RetrievalServerSettings(source_folders=tuple(given["folders"]))
        retrieval = Retrieval(db, keyring, SlowVectors(), jobs, identity, settings)
        retrieval.register_work(parsers)
        await jobs.start()
        print("working", flush=True)
        await jobs.run_until_idle(1.5)
        await jobs.stop()
        await parsers.close()
    print("idle", flush=True)


if __name__ == "__main__":
    asyncio.run(main())

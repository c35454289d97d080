"""A jobs process that works on experiments, with a release of its own making that takes its time.

The database's URLs and the master key come as JSON on standard input.
"""

from __future__ import annotations

import asyncio
import json
import sys

from experiment_stage import Scripted, evaluation_over

from headworks.identity.service import Identity
from headworks.jobs.engine import Jobs
from headworks.storage.pool import Database, DatabaseUrls
from headworks.storage.sealing import Keyring


async def main() -> None:
    given = json.loads(sys.stdin.read())
    async with Database(DatabaseUrls(**given["urls"])) as db:
        keyring, jobs = Keyring(bytes.fromhex(given["master"])), Jobs(given["urls"]["app"])
        identity = Identity(db, keyring, b"pepper" * 6)
        evaluation = evaluation_over(db, keyring, identity, jobs)
        evaluation.register_work(identity, Scripted(pause_s=given["pause_s"]))
        await jobs.start()
        print("working", flush=True)
        await jobs.run_until_idle(1.5)
        await jobs.stop()


if __name__ == "__main__":
    asyncio.run(main())

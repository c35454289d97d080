"""The life of documents after they were handed in: a thin face over failures, versions, health, purging and erasure."""

from __future__ import annotations

from headworks.jobs.engine import Jobs
from headworks.retrieval.contract import Directory
from headworks.retrieval.lifecycle.erasure import Erasure
from headworks.retrieval.lifecycle.failures import Failures
from headworks.retrieval.lifecycle.health import Checkup
from headworks.retrieval.lifecycle.history import History
from headworks.retrieval.lifecycle.holds import Holds
from headworks.retrieval.lifecycle.work import Work
from headworks.retrieval.queueing import Queue
from headworks.retrieval.sources.asking import SourceSyncs
from headworks.storage.pool import Database
from headworks.storage.sealing import Keyring
from headworks.types.ids import TenantId


class LifeCycle:
    """One of each. What callers may do is checked by the routes: each needs a permission."""

    def __init__(
        self,
        db: Database,
        keyring: Keyring,
        directory: Directory,
        queue: Queue,
        syncs: SourceSyncs,
    ) -> None:
        self.failures = Failures(db, directory, queue, syncs)
        self.history = History(db, keyring, directory)
        self.checkup = Checkup(db, keyring, directory)
        self.erasure = Erasure(db, directory)
        self.holds = Holds(db, directory)
        self.work = Work(db, keyring, directory)


async def ask_for_purges(db: Database, directory: Directory, tenant: TenantId) -> int:
    """Ask for the purge of every collection that has something to purge; how many those are. Called now and then."""
    due = await Erasure(db, directory).list_due(tenant)
    async with db.tx(await directory.curator(tenant)) as tx:
        for collection in due:
            await Queue(Jobs()).tidy(tx, tenant, collection)
    return len(due)

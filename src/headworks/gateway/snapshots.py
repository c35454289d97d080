"""The view in force, and its renewal: a version per tenant is polled each second, a notification only wakes earlier."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Mapping
from contextlib import suppress

from headworks.eager import in_task
from headworks.errors import DatabaseUnavailable, HeadworksError
from headworks.gateway.contract import LiveReleases
from headworks.gateway.routing import View
from headworks.identity.service import Identity, IdentityTable
from headworks.providers.prices import PriceTable
from headworks.releases.service import Releases
from headworks.storage.pool import Database
from headworks.storage.queries import load
from headworks.types.ids import TenantId

_log = logging.getLogger(__name__)
_SQL = load(__package__)
_CHANNEL = "headworks_snapshot"
_EVERY_S = 0.8
_LOOK_TIMEOUT_S = 5.0
_SILENCE_S = 2 * _EVERY_S + _LOOK_TIMEOUT_S
"""A look that hangs for longer counts as a database that is away."""
_ASKED_AT_MOST_EVERY_S = 0.1

MakeView = Callable[[IdentityTable, LiveReleases, PriceTable], View]


class Snapshots:
    """Holds the current view. Without PostgreSQL the last one serves for `stale_max_s`, then nothing does."""

    def __init__(
        self,
        db: Database,
        identity: Identity,
        releases: Releases,
        make_view: MakeView,
        prices: Callable[[], PriceTable],
        *,
        stale_max_s: float,
    ) -> None:
        """`prices` gives the table in force; it is asked at each look, in a thread."""
        self._db = db
        self._identity = identity
        self._releases = releases
        self._make_view = make_view
        self._prices = prices
        self._stale_max_s = stale_max_s
        self._view: View | None = None
        self._versions: dict[TenantId, int] = {}
        self._seen_at = 0.0
        self._good_until = 0.0
        self._began = time.time() - time.monotonic()
        """When this process's monotonic clock stood at 0: in seconds since 1970, by PostgreSQL's clock."""
        self._looking = asyncio.Lock()
        self._asking = asyncio.Lock()
        self._task: asyncio.Task[None] | None = None
        self.is_connected = False

    def current(self) -> View:
        """The view for a request that starts now. Raises DatabaseUnavailable when it is too old to trust."""
        return self.moment()[0]

    def now(self) -> float:
        """Seconds since 1970 by PostgreSQL's clock, as the last look told it: keys end by it, as all rows do.

        This machine's may be wrong, or be set while keys are in use.
        """
        return self._began + time.monotonic()

    def moment(self) -> tuple[View, float]:
        """`current` and `now` at once."""
        view, now = self._view, time.monotonic()
        if view is None or now > self._good_until:
            raise DatabaseUnavailable(
                "PostgreSQL can't be reached, and what is known of keys and routes is too old to act on.",
                next_step="Bring the database back; `stale_max_s` says how long plain routes go on without it.",
            )
        return view, self._began + now

    def require_database(self) -> None:
        """Fail at once, for what can't be served from memory. Raises DatabaseUnavailable."""
        if not self.is_connected:
            raise DatabaseUnavailable(
                "PostgreSQL can't be reached, and this feature reads from it.",
                next_step="Plain routes go on for a while; try the feature again once the database is back.",
            )

    async def start(self) -> None:
        """Read everything once, then keep it fresh. Raises DatabaseUnavailable."""
        await self.look()
        self._task = asyncio.create_task(self._follow(), name="snapshots")

    async def stop(self) -> None:
        """End the renewal."""
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task

    async def newer(self, view: View) -> View:
        """The newest view, for a name or a key that `view` does not know: it may have been made a moment ago.

        Looks at most ten times a second, however many ask; gives `view` itself where nothing is newer.
        """
        await in_task()
        asked_at = time.monotonic()
        async with self._asking:
            if self._view is view and self._seen_at < asked_at and self.is_connected:
                await asyncio.sleep(self._seen_at + _ASKED_AT_MOST_EVERY_S - time.monotonic())
                with suppress(HeadworksError, TimeoutError):
                    await self.look()
        return self._view or view

    async def _follow(self) -> None:
        async for _ in self._db.wakeups(_CHANNEL, _EVERY_S):
            try:
                await self.look()
            except (HeadworksError, TimeoutError) as error:
                if self.is_connected:
                    _log.warning("the database is away, the last view stays in force: %s", error)
                self.is_connected = False
                self._good_until = self._seen_at + self._stale_max_s
            except Exception:  # noqa: BLE001 -- one bad row must not end the renewal; the last good view stays
                _log.exception("the view could not be renewed")

    def _moved(self, versions: Mapping[TenantId, int]) -> list[TenantId]:
        return [tenant for tenant, version in versions.items() if self._versions.get(tenant) != version]

    async def _read(self, view: View | None, prices: PriceTable) -> View:
        """The view as of one moment; what has not moved since `view` is taken from there."""
        async with self._db.system("snapshot", repeatable=True) as tx:
            versions = {row.tenant_id: row.version for row in await tx.fetch_all(_SQL.snapshot_versions)}
            known = None if view is None else view.identity
            identity = await self._identity.load(tx, known, self._moved(versions))
            read = self._make_view(identity, await self._releases.load(tx), prices)
        self._versions = versions
        return read

    async def look(self) -> None:
        """Compare versions; what moved is read anew, in one transaction. Prices are those of the files now.

        Raises DatabaseUnavailable, TimeoutError; the first time StartupRefused for tables that can't be read.
        """
        async with self._looking, asyncio.timeout(_LOOK_TIMEOUT_S):
            asked_at = time.monotonic()
            prices = await asyncio.to_thread(self._prices)
            rows = await self._db.glance("snapshot", _SQL.snapshot_versions)
            versions = {tenant: version for tenant, version, _ in rows}
            if rows:
                self._began = rows[0][2] - asked_at
            if self._view is None or self._moved(versions):
                self._view = await self._read(self._view, prices)
            elif self._view.prices is not prices:
                self._view = self._make_view(self._view.identity, self._view.releases, prices)
            self._seen_at = asked_at
            self._good_until = asked_at + max(self._stale_max_s, _SILENCE_S)
            if not self.is_connected:
                _log.info("the view follows the database")
            self.is_connected = True

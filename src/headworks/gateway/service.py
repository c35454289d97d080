"""The gateway as app.py composes it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from headworks.config import ServerSettings
from headworks.errors import DatabaseUnavailable
from headworks.gateway.accounts import Accounts
from headworks.gateway.admission import Admission
from headworks.gateway.answering import Answering
from headworks.gateway.answers.attempts import Attempts
from headworks.gateway.contract import Arrived, InputCheck, LateRecorder, LiveReleases, Renderer, Retriever, RouteOf
from headworks.gateway.counting import Counting
from headworks.gateway.exchange import Handler
from headworks.gateway.failover.retrying import RetryBudget
from headworks.gateway.features.grounding import Grounding
from headworks.gateway.features.guarding import Guards
from headworks.gateway.features.judging import Judging
from headworks.gateway.features.outputs import Outputs
from headworks.gateway.features.prompting import Prompting
from headworks.gateway.handlers import Extras, Handlers
from headworks.gateway.models import GatewayModels
from headworks.gateway.passthrough.service import Passthrough
from headworks.gateway.pipeline import Pipeline
from headworks.gateway.recording import Ledger
from headworks.gateway.routing import View
from headworks.gateway.snapshots import Snapshots
from headworks.gateway.stored.keeping import Keeper
from headworks.gateway.stored.service import StoredResponses
from headworks.gateway.stored.serving import StoredHandlers
from headworks.gateway.trying import Trying
from headworks.guardrails.service import Guardrails
from headworks.identity.service import Identity, IdentityTable
from headworks.providers.builtin import Builtin
from headworks.providers.catalog import Catalog, Found
from headworks.providers.http1 import Deadlines
from headworks.providers.prices import PriceFiles, PriceTable
from headworks.providers.reaching import Clients
from headworks.providers.upstream import Upstream
from headworks.releases.service import Releases
from headworks.storage.pool import Database
from headworks.storage.sealing import Keyring
from headworks.types.evaluation import Answerer
from headworks.types.features import Feature
from headworks.types.identity import Principal, ShownKey
from headworks.types.models import Models


@dataclass(frozen=True, slots=True)
class Stores:
    """What the gateway reads and writes."""

    db: Database
    keyring: Keyring
    identity: Identity
    releases: Releases
    records: LateRecorder


@dataclass(frozen=True, slots=True)
class Rooms:
    """The domains whose steps the pipeline calls."""

    render: Renderer
    check_inputs: InputCheck
    route_of: RouteOf
    guardrails: Guardrails
    numbering: Callable[[], Any]
    """guardrails.pii.Numbering: the placeholders of one request."""


@dataclass(frozen=True, slots=True)
class Reach:
    """Which models can be reached, and with which credentials."""

    builtin: Builtin
    environ: Mapping[str, str]
    found: Sequence[Found] = ()
    deadlines: Deadlines | None = None
    prices: PriceFiles | None = None
    """None: the shipped table, and models without a price are called."""
    catalog: Catalog | None = None
    """None: the shipped one."""


class Gateway:
    """One worker's. Make it inside the running event loop, give it the retriever, start it, mount its routes."""

    def __init__(self, stores: Stores, rooms: Rooms, reach: Reach, settings: ServerSettings, *, base_url: str) -> None:
        self._stores = stores
        self._rooms = rooms
        self._settings = settings
        self._base_url = base_url
        self._clients = Clients(Upstream(), reach.environ)
        self._unpriced = "allow" if reach.prices is None else reach.prices.settings.unpriced
        self._accounts = Accounts(self._clients, reach.builtin, reach.environ, reach.found, reach.catalog)
        self._ledger = Ledger(stores.records, stores.keyring)
        self._deadlines = reach.deadlines
        budget = RetryBudget.part_of(settings.workers)
        self._attempts = Attempts(reach.deadlines, budget)
        self.snapshots = Snapshots(
            stores.db,
            stores.identity,
            stores.releases,
            self._view,
            PriceTable.load if reach.prices is None else reach.prices.current,
            stale_max_s=settings.stale_max_s,
        )
        self._admission = Admission(self.snapshots, stores.releases)
        self._passthrough = Passthrough(
            self.snapshots,
            self._admission,
            self._ledger,
            max_body_bytes=settings.max_body_mb * 1024 * 1024,
            deadlines=reach.deadlines,
            budget=budget,
        )
        self.models: Models = GatewayModels(self.snapshots, self._ledger, self._attempts)
        """For every domain that calls a model."""
        self.judging = Judging(self.models, stores.records)
        self.answerer: Answerer
        """For evaluation, once connected."""
        self._handlers: Handlers | None = None

    def connect(self, retriever: Retriever) -> None:
        """Put the pipeline together. The retriever comes late because it needs `models`."""
        grounding = Grounding(retriever, self.snapshots, self.judging)
        pipeline = Pipeline(
            self.snapshots,
            self._admission,
            self._ledger,
            Guards(self._rooms.guardrails, self._rooms.numbering),
            grounding,
            Prompting(self._rooms.render, self._rooms.check_inputs),
            self._attempts,
            Outputs(self._attempts),
            Answering(grounding, self.snapshots, self._base_url),
        )
        most = self._settings.max_body_mb * 1024 * 1024
        extras = self._extras(most)
        self.answerer = Trying(pipeline, self._stores.records, self._stores.keyring, self._base_url)
        self._handlers = Handlers(pipeline, self._admission, extras, self._stores.records, max_body_bytes=most)

    async def start(self) -> None:
        """Read the first view and keep it fresh. Raises DatabaseUnavailable."""
        await self.snapshots.start()

    async def stop(self) -> None:
        """End the renewal and close the connections to providers."""
        await self.judging.stop()
        await self.snapshots.stop()
        await self._clients.close()

    def missing(self) -> str | None:
        """None while requests may come, else why they should go elsewhere."""
        try:
            self.snapshots.current()
        except DatabaseUnavailable as error:
            return str(error)
        return None

    async def authenticate(self, token: str) -> Principal:
        """Who holds an API key now, from the view in force. Raises Unauthenticated, DatabaseUnavailable."""
        _, principal = await self._admission.enter(ShownKey(token))
        return principal

    def features(self, principal: Principal) -> list[Feature]:
        """The features that somebody may call by name, own and lent. Raises DatabaseUnavailable."""
        return self.snapshots.current().features(principal)

    def hot_routes(self) -> dict[tuple[str, str], Handler]:
        """Raw ASGI handlers by (method, path)."""
        return self._connected().routes() | self._passthrough.routes()

    def at_once(self) -> dict[bytes, Callable[[Arrived], None]]:
        """What serves a POST that has arrived whole, by its path; `hot_routes` has the same for others."""
        return self._connected().at_once()

    def hot_prefixes(self) -> dict[tuple[str, str], Handler]:
        """Raw ASGI handlers by (method, beginning of the path)."""
        return self._connected().prefixes() | self._passthrough.prefixes()

    def _connected(self) -> Handlers:
        if self._handlers is None:
            raise RuntimeError("connect() comes before the routes")
        return self._handlers

    def _extras(self, max_body_bytes: int) -> Extras:
        snapshots, admission, deadlines = self.snapshots, self._admission, self._deadlines
        stored = StoredResponses(self._stores.db, self._stores.keyring)
        return Extras(
            Keeper(stored, lambda: snapshots.is_connected),
            StoredHandlers(stored, admission, snapshots, max_body_bytes=max_body_bytes, deadlines=deadlines),
            Counting(snapshots, admission, self._ledger, deadlines),
        )

    def _view(self, identity: IdentityTable, releases: LiveReleases, prices: PriceTable) -> View:
        return View(identity, releases, prices, self._accounts, self._rooms.route_of, unpriced=self._unpriced)

"""The composition root: the only place that picks implementations, and the processes of a server by their role.

`python -m headworks.app ROLE`, started by the supervisor with its runtime on standard input:

    prepare   migrations, the first tenant, journals left behind, the workspace given to `up`; prints one line of JSON
    gateway   a worker
    jobs      durable work, until there is none
    replay    journals that no living worker owns
    upkeep    partitions ahead of time, what has expired is removed, what is to be purged is asked for
"""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson

from headworks.errors import Conflict, HeadworksError, ModelMissing, StartupRefused
from headworks.server import first_words
from headworks.server.child import allow_many_files, die_with_parent, keep_freed_memory, limit_memory, say_ready
from headworks.server.runtime import Runtime, read_runtime
from headworks.storage.keys import derive
from headworks.storage.pool import Database, owner_connection
from headworks.storage.sealing import Keyring
from headworks.types.retrieval import Passage

if TYPE_CHECKING:
    from fastapi import APIRouter

    from headworks.evaluation.scorers.interpreters import Interpreters
    from headworks.evaluation.service import Evaluation
    from headworks.gateway.service import Gateway
    from headworks.identity.service import Identity
    from headworks.jobs.engine import Jobs
    from headworks.observability.service import Traces
    from headworks.providers.catalog import Found
    from headworks.providers.extractive import Quote
    from headworks.records.drain import Drain
    from headworks.records.journal import Journal
    from headworks.releases.service import Releases
    from headworks.releases.workspace.reading import Surroundings
    from headworks.retrieval.service import Retrieval
    from headworks.types.identity import Principal

_log = logging.getLogger("headworks")

JOBS_IDLE_S = 10.0
"""How long the jobs process waits for more before it ends."""


@dataclass(frozen=True, slots=True)
class Services:
    """All rooms of one process, put together."""

    db: Database
    keyring: Keyring
    identity: Identity
    releases: Releases
    retrieval: Retrieval
    evaluation: Evaluation
    gateway: Gateway
    traces: Traces
    jobs: Jobs
    journal: Journal
    drain: Drain
    interpreters: Interpreters

    async def start(self) -> None:
        """Read the first view, begin to copy records. Raises DatabaseUnavailable."""
        await self.gateway.start()
        self.drain.start()

    async def stop(self) -> None:
        """Everything down, records copied."""
        await self.gateway.stop()
        await self.retrieval.close()
        await self.interpreters.close()
        await self.drain.stop()
        self.journal.close()
        await self.db.close()


def compose(runtime: Runtime, found: Sequence[Found] = ()) -> Services:
    """Pick the implementations. Call it inside the event loop that will run them."""
    from headworks.evaluation.calibration import JudgeCards
    from headworks.evaluation.datasets.golden_lock import GoldenLock
    from headworks.evaluation.scorers.interpreters import Interpreters
    from headworks.evaluation.service import Evaluation
    from headworks.evaluation.suites.suite_files import suite_reader
    from headworks.gateway.service import Gateway, Reach, Rooms, Stores
    from headworks.gateway.stored.service import StoredResponses
    from headworks.guardrails.pii import Numbering
    from headworks.guardrails.service import Guardrails
    from headworks.identity.service import Identity
    from headworks.jobs.engine import Jobs
    from headworks.observability.service import Traces
    from headworks.providers.builtin import Builtin
    from headworks.providers.extractive import Extractive
    from headworks.providers.http1 import Deadlines
    from headworks.providers.minilm import MiniLM
    from headworks.providers.prices import PriceFiles
    from headworks.providers.simulated import Simulated
    from headworks.records.drain import Drain
    from headworks.records.journal import Journal
    from headworks.records.service import Records
    from headworks.releases.bundles import route_of_target
    from headworks.releases.prompts.templates import check_inputs, render
    from headworks.releases.service import Releases
    from headworks.retrieval.service import Retrieval
    from headworks.review.erasing import Chosen
    from headworks.review.service import Judgements

    settings = runtime.settings
    db = Database(runtime.urls, pool_size=settings.database.pool_size)
    keyring = Keyring(runtime.master_key)
    identity = Identity(db, keyring, derive(runtime.master_key, "pepper of tokens"))
    journal = Journal(runtime.journal_folder, sync_ms=settings.records.journal_sync_ms)
    records = Records(journal)
    minilm = MiniLM(settings.models)
    jobs = Jobs(runtime.urls.app)
    declarer = _Late()
    releases = Releases(
        db,
        keyring,
        declarer,
        identity,
        surroundings(settings.providers.credential_env),
        _weights(minilm),
        split_lock=GoldenLock(keyring),
    )
    prices = PriceFiles(settings.prices, settings.data)
    prices.load()  # a table that can't be read stops the start
    gateway = Gateway(
        Stores(db, keyring, identity, releases, records),
        Rooms(render, check_inputs, route_of_target, Guardrails(), Numbering),
        Reach(
            Builtin({"extractive": Extractive(_quotes), "simulated": Simulated()}, {"minilm": minilm}),
            os.environ,
            found,
            Deadlines(**asdict(settings.gateway.deadlines)),
            prices,
        ),
        settings.server,
        base_url=runtime.base_url,
    )
    retrieval = Retrieval(
        db, keyring, gateway.models, jobs, identity, settings.retrieval, vocabulary_of=_vocabularies(minilm)
    )
    declarer.target = retrieval
    retrieval.lifecycle.erasure.join(StoredResponses(db, keyring))
    gateway.connect(retrieval)
    interpreters = Interpreters(settings.evaluation.scorer_python)
    evaluation = Evaluation(
        db,
        keyring,
        jobs,
        releases,
        suite_reader(gateway.models, libraries=interpreters),
        humans=Judgements(db, keyring, identity, releases),
        cards=JudgeCards(db),
    )
    retrieval.lifecycle.erasure.join(Chosen(evaluation), on_request_only=True)
    drain = Drain(db, records, settings.records.batch_ms / 1000)
    return Services(
        db, keyring, identity, releases, retrieval, evaluation, gateway, Traces(db, keyring), jobs, journal, drain,
        interpreters,
    )  # fmt: skip


class _Late:
    """Retrieval declares collections for releases, and is made after them."""

    target: Retrieval

    async def check(self, *arguments: Any) -> None:  # noqa: ANN401 -- as releases.contract says
        await self.target.check(*arguments)

    async def declare(self, *arguments: Any) -> None:  # noqa: ANN401 -- as above
        await self.target.declare(*arguments)


def surroundings(credential_env: Iterable[str]) -> Surroundings:
    """What a workspace may refer to on this server."""
    from headworks.guardrails.contract import KINDS
    from headworks.guardrails.schema import read_output_schema
    from headworks.identity.roles import PERMISSIONS
    from headworks.providers.catalog import Catalog
    from headworks.providers.vendors import VENDORS
    from headworks.releases.workspace.reading import Surroundings
    from headworks.retrieval.quality.golden import read_golden

    keys = {row.id: row.key_env for row in Catalog.load()}
    keys.update((vendor.id, vendor.account_env) for vendor in VENDORS.values())
    return Surroundings(
        providers=frozenset(keys),
        pii_kinds=KINDS,
        permissions=frozenset(PERMISSIONS),
        usual_env=frozenset(name for names in keys.values() for name in names),
        operator_env=frozenset(credential_env),
        read_schema=read_output_schema,
        read_golden=read_golden,
        check_judging=_check_judging,
    )


def _check_judging(folder: str, files: Mapping[str, bytes]) -> None:
    """What judges a feature, with the failure modes that its taxonomy names. Raises WorkspaceInvalid."""
    from headworks.evaluation.suites.checking import check_judging
    from headworks.review.taxonomy import read_taxonomy

    path = "taxonomy.yaml"
    check_judging(folder, files, read_taxonomy(folder + path, files[path]).modes if path in files else None)


def _weights(minilm: Any) -> Callable[[str], str | None]:  # noqa: ANN401 -- MiniLM, imported late
    def digest(model: str) -> str | None:
        if model != "builtin/minilm":
            return None
        try:
            return str(minilm.model_digest)
        except ModelMissing:
            return None

    return digest


def _vocabularies(minilm: Any) -> Callable[[str], Callable[[str], int] | None]:  # noqa: ANN401 -- MiniLM, imported late
    """How the built-in embedding model counts tokens; of others only they know."""
    return lambda model: minilm.word_counter() if model == "builtin/minilm" else None


def _quotes(question: str, passages: Sequence[Passage]) -> list[Quote]:
    """Whole sentences of the passages, word for word, for the extractive model."""
    from headworks.providers.extractive import Quote
    from headworks.retrieval.passages.extraction import extract_sentences

    texts = {each.number: each.text for each in passages}
    return [
        Quote(each.number, texts[each.number][each.start : each.end]) for each in extract_sentences(question, passages)
    ]


# ── Roles ────────────────────────────────────────────────────────────────────────────────────────────────────────────


async def prepare(runtime: Runtime) -> dict[str, Any]:
    """Everything that must be true before the first worker starts."""
    from headworks.records.drain import replay

    await asyncio.to_thread(_prepare_database, runtime)
    async with Database(runtime.urls) as db:
        await replay(db, runtime.journal_folder)
    services = compose(runtime)
    try:
        founded = await services.identity.bootstrap()
        if founded is not None:
            first_words.keep(runtime.settings.data, {"admin_key": founded.key, "claim": founded.claim})
        report: dict[str, Any] = {"notices": [], **first_words.kept(runtime.settings.data)}
        if runtime.workspace:
            operator = await services.identity.operator()
            report["notices"] = await apply_folder(services.releases, operator, Path(runtime.workspace))
        await services.retrieval.catch_up()
    finally:
        await services.stop()
    return report


def _prepare_database(runtime: Runtime) -> None:
    from headworks.storage.prepare import prepare as prepare_database

    is_own = not runtime.settings.database.url
    try:
        prepare_database(runtime.urls, create_database=is_own)
    except StartupRefused as error:
        where = f"{runtime.settings.data}: " if is_own else ""
        raise StartupRefused(f"{where}{error.message}", next_step=error.next_step) from None


async def apply_folder(releases: Releases, operator: Principal, folder: Path) -> list[str]:
    """Make the default project be a folder's workspace, unless that would undo a proposal; what there is to say."""
    from headworks.releases.workspace.files import read_folder

    try:
        report = await releases.apply(operator, "default", read_folder(folder))
    except Conflict as error:
        if error.code != "proposal_overwritten":
            raise
        return [f"{folder} is not applied: {error}"]  # what was accepted stays live, and no start waits for it
    return list(report.notices)


async def serve(runtime: Runtime) -> None:
    """A gateway worker, until SIGTERM; open streams may then finish."""
    import socket

    import uvicorn

    from headworks.server.http_protocol import OneWriteProtocol
    from headworks.server.steady import SteadyServer

    limit_memory(runtime.settings.server.worker_memory_mb)
    allow_many_files()
    keep_freed_memory()
    found = await _found(runtime)
    services = compose(runtime, found)

    @asynccontextmanager
    async def lifespan() -> AsyncIterator[None]:
        await services.start()
        # What is there now stays: the collector need not walk it again, nor look after every few requests.
        gc.collect()
        gc.freeze()
        gc.set_threshold(50_000, 20, 50)
        say_ready(runtime)
        try:
            yield
        finally:
            await services.stop()

    config = uvicorn.Config(
        front(services, lifespan),
        http=OneWriteProtocol,
        lifespan="on",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=runtime.settings.server.allow_remote,
        timeout_graceful_shutdown=runtime.settings.server.drain_s,
        timeout_keep_alive=75,
        h11_max_incomplete_event_size=None,
    )
    server = SteadyServer(config)
    await server.serve(sockets=[socket.socket(fileno=runtime.socket_fd)])
    if not server.started:
        raise StartupRefused("The worker could not start; its last lines above say why.")


def routers(is_ready: Callable[[], str | None]) -> list[APIRouter]:
    """Every route of the control plane; `is_ready` gives None, or what is missing."""
    from headworks.evaluation.datasets.routes import router as dataset_routes
    from headworks.evaluation.routes import router as evaluation_routes
    from headworks.identity.routes import router as identity_routes
    from headworks.observability.routes import router as trace_routes
    from headworks.releases.routes import router as release_routes
    from headworks.retrieval.routes import router as retrieval_routes
    from headworks.review.routes import router as review_routes
    from headworks.server import console, health

    domains = (
        dataset_routes,
        evaluation_routes,
        identity_routes,
        release_routes,
        retrieval_routes,
        review_routes,
        trace_routes,
    )
    return [health.router(is_ready), *domains, console.router]


def front(services: Services, lifespan: Callable[[], Any]) -> Any:  # noqa: ANN401 -- an ASGI application
    """The request path and the control plane as one application."""
    from headworks.evaluation.datasets.promotion import Promotion
    from headworks.evaluation.datasets.versions import Datasets
    from headworks.gateway.openapi.document import description, joined
    from headworks.guardrails.service import Guardrails
    from headworks.identity.door import Door
    from headworks.identity.routes import install
    from headworks.review.service import Review
    from headworks.server.asgi import Server, control_plane
    from headworks.server.asking import asking

    gateway = services.gateway
    hot, prefixes = gateway.hot_routes(), gateway.hot_prefixes()
    control = control_plane(routers(gateway.missing), lambda document: joined(document, description(hot, prefixes)))
    install(control, services.identity, gateway.authenticate)
    control.state.releases = services.releases
    control.state.retrieval = services.retrieval
    control.state.evaluation = services.evaluation
    control.state.traces = services.traces
    control.state.models = gateway.models
    control.state.datasets = Datasets(services.db, services.keyring, services.identity)
    control.state.review = Review(
        services.db,
        services.keyring,
        services.identity,
        services.releases,
        services.traces,
        services.evaluation,
        services.retrieval,
    )
    control.state.promotion = Promotion(services.traces, Guardrails())
    control.state.callable_features = gateway.features
    door = Door(services.identity, gateway.authenticate)
    ask = {("POST", "/api/ask"): asking(door, hot["POST", "/v1/chat/completions"])}
    return Server(hot | ask, prefixes, control, lifespan, gateway.at_once())


async def work(runtime: Runtime) -> None:
    """Durable work until there has been none for a while, or SIGTERM."""
    from headworks.retrieval.parsers.isolation.sandbox import ParseLimits, ParserPool

    limits = runtime.settings.retrieval
    parsers = ParserPool(
        ParseLimits(
            memory_mb=limits.parse_memory_mb,
            cpu_s=limits.parse_cpu_s,
            wall_s=limits.parse_wall_s,
            input_bytes=limits.max_file_mb << 20,
            ocr_memory_mb=limits.ocr_memory_mb,
            ocr_cpu_s=limits.ocr_cpu_s,
        )
    )
    services = compose(runtime, await _found(runtime))
    services.retrieval.register_work(parsers, partial(owner_connection, runtime.urls))
    services.evaluation.register_work(services.identity, services.gateway.answerer)
    await services.start()
    await services.jobs.start()
    say_ready(runtime)
    idle = asyncio.create_task(services.jobs.run_until_idle(JOBS_IDLE_S))
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, idle.cancel)
    try:
        await idle
    except asyncio.CancelledError:
        _log.info("durable work is interrupted and will go on at the next start")
    finally:
        await services.jobs.stop()
        await parsers.close()
        await services.stop()


async def replay_journals(runtime: Runtime) -> None:
    """Copy what a dead worker left behind."""
    from headworks.records.drain import replay

    async with Database(runtime.urls) as db:
        await replay(db, runtime.journal_folder)


async def upkeep(runtime: Runtime) -> None:
    """Partitions ahead of time; responses whose time is up are removed; what is to be purged is asked for."""
    from headworks.gateway.stored.service import StoredResponses
    from headworks.identity.service import Identity
    from headworks.retrieval.lifecycle.service import ask_for_purges
    from headworks.storage.partitions import ensure_partitions

    def make() -> None:
        with owner_connection(runtime.urls) as connection:
            ensure_partitions(connection)

    await asyncio.to_thread(make)
    keyring = Keyring(runtime.master_key)
    async with Database(runtime.urls) as db:
        identity = Identity(db, keyring, derive(runtime.master_key, "pepper of tokens"))
        for curator in await identity.curators():
            await StoredResponses(db, keyring).remove_expired(curator)
            await ask_for_purges(db, identity, curator.tenant)


async def _found(runtime: Runtime) -> Sequence[Found]:
    """Local model servers that answer on their usual ports."""
    from headworks.providers.catalog import discover

    return await discover(os.environ) if runtime.settings.providers.probe_local else ()


ROLES: Mapping[str, Callable[[Runtime], Coroutine[Any, Any, Any]]] = {
    "prepare": prepare,
    "gateway": serve,
    "jobs": work,
    "replay": replay_journals,
    "upkeep": upkeep,
}


def main() -> int:
    """Run one role; exit status 2 with the reason on standard output when it is refused."""
    import uvloop

    die_with_parent()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the supervisor's to answer
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s", stream=sys.stderr)
    role = sys.argv[1] if len(sys.argv) > 1 else ""
    if role not in ROLES:
        sys.stderr.write(f"usage: python -m headworks.app {'|'.join(ROLES)}\n")
        return 2
    runtime = read_runtime()
    try:
        result = uvloop.run(ROLES[role](runtime))
    except HeadworksError as error:
        sys.stdout.write(str(error))
        return 2
    if result is not None:
        sys.stdout.buffer.write(orjson.dumps(result) + b"\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())

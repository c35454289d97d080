"""A real gateway under uvicorn, over a real database, in front of simulated providers on sockets."""

from __future__ import annotations

import asyncio
import json
import re
import socket
import threading
import time
from collections.abc import Callable, Coroutine, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import httpx
import openai
import uvicorn

from headworks.config import ServerSettings
from headworks.gateway.service import Gateway, Reach, Rooms, Stores
from headworks.guardrails.contract import KINDS
from headworks.guardrails.pii import Numbering
from headworks.guardrails.schema import read_output_schema
from headworks.guardrails.service import Guardrails
from headworks.identity.contract import KeyRequest
from headworks.identity.service import Identity
from headworks.providers.builtin import Builtin
from headworks.providers.catalog import Catalog
from headworks.providers.extractive import Extractive, Quote
from headworks.providers.http1 import Deadlines
from headworks.providers.simulated import Simulated
from headworks.providers.vendors import VENDORS
from headworks.releases.bundles import route_of_target
from headworks.releases.prompts.templates import check_inputs, render
from headworks.releases.service import Releases
from headworks.releases.workspace.reading import Surroundings
from headworks.retrieval.contract import SearchResult
from headworks.retrieval.passages.citations import Quotable, WordWeights
from headworks.retrieval.passages.groundedness import Sources, measured
from headworks.server.asgi import Server, control_plane
from headworks.server.http_protocol import OneWriteProtocol
from headworks.storage.pool import Database, DatabaseUrls
from headworks.storage.roles import database_name
from headworks.storage.sealing import Keyring
from headworks.testing.bedrock import BEARER_TOKEN
from headworks.testing.provider import SimulatedProvider
from headworks.types.features import RetrievalSettings
from headworks.types.identity import Principal
from headworks.types.ids import DocumentId, ProjectId
from headworks.types.records import Span, UsageRow
from headworks.types.retrieval import Citation, Groundedness, Passage
from headworks.types.workspace import CollectionSpec

DEADLINES = Deadlines(connect_s=20.0, first_byte_s=20.0, idle_s=20.0, total_s=40.0)
"""No busy machine takes as long."""
IMPATIENT = Deadlines(connect_s=20.0, first_byte_s=2.0, idle_s=2.0, total_s=40.0)
"""For providers that fall silent."""
MAX_BODY_MB = 2
KEY_ENV = "SIMULATED_KEY"
"""What an account of a simulated server names as its credential."""
_RESPONSES_ALONE = """
[respondent]
name = "A provider that speaks Responses alone"
base_url = "http://127.0.0.1:9/v1"
serves = ["responses"]
max_tokens_field = "max_completion_tokens"
stream_usage = false
"""
CATALOG = Catalog((*Catalog.load(), *Catalog.parse(_RESPONSES_ALONE, "here")))
DOCUMENT = DocumentId(UUID(int=7))

PROMPT = """---
inputs:
  question: {kind: string, from: question}
  history: {kind: array, from: history}
  passages: {kind: array, from: passages}
---
system:
Answer from the passages.
user:
{% for p in passages %}[{{ p.number }}] {{ p.text }}
{% endfor %}{{ question }}
"""
BARE_PROMPT = (
    "---\ninputs:\n  question: {kind: string, from: question}\n---\nsystem:\nBe brief.\nuser:\n{{ question }}\n"
)
TYPED_PROMPT = """---
inputs:
  question: {kind: string, from: question}
  plan: {kind: string, required: true}
  year: {kind: integer, default: 2026}
---
user:
{{ plan }} {{ year }} {{ question }}
"""
STRUCTURED = """output:
  schema:
    type: object
    required: [amount, paid]
    additionalProperties: false
    properties: {amount: {type: number}, paid: {type: boolean}}
  name: claim
"""
STRUCTURED_CITED = """output:
  schema:
    type: object
    required: [text, ids]
    properties: {text: {type: string, pattern: "%s"}, ids: {type: array, items: {type: integer}}}
"""
LOOP_PROMPT = """---
inputs:
  question: {kind: string, from: question}
---
user:
{% for a in range(100000) %}{% for b in range(100000) %}x{% endfor %}{% endfor %}{{ question }}
"""


def feature(route: str = "outside", more: str = "") -> str:
    return f"owner: tests\nroute: {route}\nprompt: prompts/answer.prompty\n{more}"


def workspace(first: str, second: str) -> dict[str, bytes]:
    """Accounts, routes and features that the tests call; `first` and `second` are base URLs of providers."""
    accounts = {"outside": ("openai", first), "other": ("openai", second), "inside": ("vllm", first)}
    accounts |= {"silent": ("mistral", first), "down": ("openai", "http://127.0.0.1:9/v1")}
    accounts |= {"claude": ("anthropic", first), "google": ("gemini", first)}
    accounts |= {name: (name, first) for name in ("cohere", "jina", "tei", "sglang", "voyage", "fireworks")}
    routes = {
        "ranked-apart": "[tei/any, sglang/bge, jina/jina-reranker]",
        "ranked": "[cohere/rerank-v3.5, jina/jina-reranker]",
        "outside": "[outside/m1]",
        "inside": "[inside/m1]",
        "silent": "[silent/m1]",
        "down": "[down/m1]",
        "pair": "[outside/m1, other/m2]",
        "saved": "[down/m1, other/m2]",
        "capped": "[{target: outside/m1, parameters: {max_tokens: 50, temperature: 0.5}}]",
        "extractive": "[builtin/extractive]",
        "unpriced": "[outside/gpt-of-nowhere]",
        "claude": "[claude/claude-1]",
        "priced": "[outside/gpt-4o-mini]",
        "going-on": "[outside/gpt-4o-mini, other/gpt-4o], continue_after_output: true",
        "going-far": "[outside/gpt-4o-mini, other/gpt-4o, claude/claude-sonnet-4-5], continue_after_output: true",
        "going-claude": "[claude/claude-sonnet-4-5, other/gpt-4o], continue_after_output: true",
        "going-json": "[{target: outside/m1, parameters: {response_format: {type: json_object}}}, other/m2], "
        "continue_after_output: true",
        "going-nowhere": "[outside/m1, other/m2], continue_after_output: true, fallback: {invalid_answer: off}",
        "patient-chat": "[outside/m1], deadlines: {idle_s: 60}",
        "patient-claude": "[claude/claude-1], deadlines: {idle_s: 60}",
        "moderating": "[outside/omni-moderation-latest]",
        "moderating-twice": "[other/omni-moderation-latest, outside/omni-moderation-2024-09-26]",
        "priced-pair": "[outside/gpt-4o-mini, other/gpt-4o]",
        "same-pair": "[{target: outside/gpt-4o-mini, parameters: {max_tokens: 200}}, "
        "{target: other/gpt-4o-mini, parameters: {max_tokens: 100}}]",
        "claude-pair": "[claude/claude-sonnet-4-5, other/gpt-4o]",
        "trying": "[outside/m1, other/m2], retries: {most: 2, base_s: 0.01, most_s: 2}",
        "widening": "[outside/m1, other/m2], fallback: {context_window: [other/m9], server_error: off}",
        "hurried": "[outside/m1, other/m2], deadlines: {first_token_s: 0.3}",
        "bounded": "[outside/m1, other/m2], deadlines: {total_s: 0.6}",
    }
    cited = "retrieval: {collection: docs}\n"
    features = {
        "claims": (feature(more=cited), PROMPT),
        "local": (feature("inside", cited + "guardrails: {pii: {action: redact}}\n"), PROMPT),
        "redacting": (feature(more=cited + "guardrails: {pii: {action: redact}}\n"), PROMPT),
        "blocking": (feature(more="guardrails: {pii: {action: block}}\n"), BARE_PROMPT),
        "bare": (feature(), BARE_PROMPT),
        "typed": (feature(), TYPED_PROMPT),
        "looping": (feature(), LOOP_PROMPT),
        "accepting": (feature(more="accepts: [system, response_format]\n"), BARE_PROMPT),
        "quoting": (feature("extractive", cited), PROMPT),
        "judged": (feature(more=cited + "grounding: {judge: {model: other/judge, sample: 1}}\n"), PROMPT),
        "judged-redacting": (
            feature("inside", cited + "grounding: {judge: {model: other/judge, sample: 1}}\n")
            + "guardrails: {pii: {action: redact}}\n",
            PROMPT,
        ),
        "judged-seldom": (feature(more=cited + "grounding: {judge: {model: other/judge, sample: 0}}\n"), PROMPT),
        "risky": (feature(more="risk: high\n"), BARE_PROMPT),
        "switching": (feature("pair"), BARE_PROMPT),
        "going-feature": (feature("going-on"), BARE_PROMPT),
        "tight": (feature("capped"), BARE_PROMPT),
        "patient": (feature("trying"), BARE_PROMPT),
        "structured": (feature(more=STRUCTURED), BARE_PROMPT),
        "structured-pair": (feature("pair", STRUCTURED), BARE_PROMPT),
        "structured-priced": (feature("priced", STRUCTURED), BARE_PROMPT),
        "structured-claude": (feature("claude", STRUCTURED), BARE_PROMPT),
        "structured-marked": (feature(more=cited + STRUCTURED_CITED % r"^\\[[0-9]"), PROMPT),
        "structured-cited": (feature(more=cited + STRUCTURED_CITED % "francs"), PROMPT),
    }
    files = {
        "providers.yaml": "providers:\n"
        + "".join(f"  {name}: {{kind: {kind}, base_url: '{url}'}}\n" for name, (kind, url) in accounts.items())
        + f"  amazon: {{kind: bedrock, base_url: '{first}', api_key_env: {KEY_ENV}}}\n",
        "routes.yaml": "routes:\n" + "".join(f"  {name}: {{targets: {each}}}\n" for name, each in routes.items()),
        "collections/docs.yaml": "readers: [everyone]\n",
    }
    for name, (settings, prompt) in features.items():
        files[f"features/{name}/feature.yaml"] = settings
        files[f"features/{name}/prompts/answer.prompty"] = prompt
    return {path: text.encode() for path, text in files.items()}


def passage(number: int, text: str) -> Passage:
    return Passage(number, DOCUMENT, 1, "a.md", f"Title {number}", (), number, 0, len(text), text, 1.0)


class Remembering:
    """A recorder that keeps everything. `fails`: what writing raises from now on."""

    def __init__(self) -> None:
        self.rows: list[UsageRow] = []
        self.spans: list[Span] = []
        self.gathered: list[UsageRow] = []
        self.fails: Exception | None = None
        self.changed = threading.Condition()

    def write(self, row: UsageRow, spans: Sequence[Span] = ()) -> None:
        if self.fails is not None:
            raise self.fails
        with self.changed:
            self.rows.append(row)
            self.spans.extend(spans)
            self.changed.notify_all()

    def add(self, spans: Sequence[Span]) -> None:
        if self.fails is not None:
            raise self.fails
        with self.changed:
            self.spans.extend(spans)
            self.changed.notify_all()

    def gather(self, row: UsageRow) -> None:
        self.gathered.append(row)

    def flush(self) -> None:
        gathered, self.gathered = self.gathered, []
        for row in gathered:
            self.write(row)

    def row(self, number: int = 1, timeout_s: float = 5.0) -> UsageRow:
        """The row of that number, once it is written."""
        with self.changed:
            assert self.changed.wait_for(lambda: len(self.rows) >= number, timeout_s), self.rows
        return self.rows[number - 1]


@dataclass
class Shown:
    text: str


@dataclass
class ByNumber:
    """Cites the whole passage that a marker names; what may become a marker is held back."""

    passages: dict[int, Passage]
    held: str = ""
    shown: int = 0
    unknown: int = 0
    dropped: int = 0
    groundedness: Groundedness = field(default_factory=Groundedness)
    said: list[Shown | Citation] = field(default_factory=list)

    async def feed(self, text: str) -> list[Shown | Citation]:
        self.held += text
        open_at = self.held.rfind("[")
        ready = len(self.held) if open_at < 0 or "]" in self.held[open_at:] else open_at
        text, self.held = self.held[:ready], self.held[ready:]
        return self._resolved(text)

    async def finish(self) -> list[Shown | Citation]:
        text, self.held = self.held, ""
        out = self._resolved(text)
        answer = "".join(each.text for each in self.said if isinstance(each, Shown))
        weights = WordWeights(each.text for each in self.passages.values())
        ready = {number: Quotable(each.text, weights) for number, each in self.passages.items()}
        cited = [each for each in self.said if isinstance(each, Citation)]
        self.groundedness = measured(answer, cited, Sources(ready, weights))
        return out

    def again(self) -> ByNumber:
        return ByNumber(self.passages)

    def _resolved(self, text: str) -> list[Shown | Citation]:
        out: list[Shown | Citation] = []
        for part in re.split(r"(\[\d+\])", text):
            if not part:
                continue
            is_marker = re.fullmatch(r"\[\d+\]", part) is not None
            found = self.passages.get(int(part[1:-1])) if is_marker else None
            if is_marker and found is None:
                self.unknown += 1
                continue
            out.append(Shown(part))
            self.shown += len(part)
            if found is not None:
                place = (0, len(found.text), found.text, "sha", 1.0, self.shown - len(part), self.shown)
                out.append(Citation(found.number, found.document, 1, found.path, found.title, (), *place))
        self.said += out
        return out


@dataclass
class Shelf:
    """Stands where retrieval stands: the passages that a test puts there."""

    passages_of: list[Passage] = field(default_factory=list)
    asked: list[tuple[Principal, str]] = field(default_factory=list)
    asked_with: list[dict[str, object]] = field(default_factory=list)
    notice: str = ""

    async def passages(
        self, principal: Principal, settings: RetrievalSettings, question: str, trace: UUID, **more: object
    ) -> SearchResult:
        del settings, trace
        self.asked_with.append(more)
        self.asked.append((principal, question))
        return SearchResult(self.passages_of, "hybrid", self.notice)

    def citing(self, principal: Principal, passages: Sequence[Passage]) -> ByNumber:
        del principal
        return ByNumber({each.number: each for each in passages})

    async def check(self, principal: Principal, specs: Sequence[CollectionSpec]) -> None:
        del principal, specs

    async def declare(self, principal: Principal, project: ProjectId, specs: Sequence[CollectionSpec]) -> None:
        del principal, project, specs


class TinyEmbedder:
    """Two numbers a text: built-in weights are not needed to test the way to them."""

    digest = "sha256:tiny"

    def embed(self, texts: Sequence[str]) -> list[list[float]]:
        return [[1.0, 0.0] if len(text) % 2 else [0.0, 1.0] for text in texts]


def first_sentence(question: str, passages: Sequence[Passage]) -> list[Quote]:
    return [Quote(each.number, each.text.split(". ")[0]) for each in passages]


@dataclass
class World:
    """The running gateway, with everything a test may want to touch. Coroutines run in the server's loop."""

    url: str
    loop: asyncio.AbstractEventLoop
    gateway: Gateway
    identity: Identity
    releases: Releases
    admin: Principal
    admin_key: str
    records: Remembering
    shelf: Shelf
    providers: tuple[SimulatedProvider, SimulatedProvider]
    database_name: str
    keyring: Keyring
    clients: list[openai.OpenAI] = field(default_factory=list)

    def open_payload(self, span: Span) -> bytes:
        """What was sealed into a span."""
        assert span.payload is not None
        return self.keyring.open(span.tenant_id, "span.payload", span.span_id, span.payload)

    def run(self, work: Coroutine[Any, Any, Any], timeout_s: float = 30) -> Any:
        future: Future[Any] = asyncio.run_coroutine_threadsafe(work, self.loop)
        return future.result(timeout_s)

    def key(self, principal: str = "admin", **limits: Any) -> str:
        """A new API key's token."""
        return str(self.run(self.identity.create_key(self.admin, KeyRequest(principal, **limits))).token)

    def apply(self, files: dict[str, bytes]) -> None:
        """Make the workspace be these files, as `headworks apply` does."""
        self.run(self.releases.apply(self.admin, "default", files))

    def settle(self) -> None:
        """Until the gateway has seen what was changed before."""
        self.run(self.gateway.snapshots.look())

    def client(self, key: str | None = None, **more: Any) -> openai.OpenAI:
        """OpenAI's client; it is closed when the test is over."""
        made = openai.OpenAI(base_url=f"{self.url}/v1", api_key=key or self.admin_key, max_retries=0, **more)
        self.clients.append(made)
        return made

    def close_clients(self) -> None:
        while self.clients:
            self.clients.pop().close()

    @property
    def port(self) -> int:
        return int(self.url.rpartition(":")[2])

    @staticmethod
    def now() -> float:
        return time.monotonic()

    def post(
        self, body: Any, path: str = "/v1/chat/completions", key: str | None = None, **headers: str
    ) -> httpx.Response:
        """A POST of JSON, or of bytes as they are."""
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        sent = {"authorization": f"Bearer {key or self.admin_key}", "content-type": "application/json"}
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return httpx.post(self.url + path, content=content, headers=sent | named, timeout=20)

    def send(self, raw: bytes) -> bytes:
        """These bytes on a socket of their own; everything that comes back."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=10) as connection:
            connection.sendall(raw)
            pieces = []
            while piece := connection.recv(65536):
                pieces.append(piece)
        return b"".join(pieces)


class Running:
    """uvicorn with the gateway in a thread of its own."""

    def __init__(self, urls: DatabaseUrls, first: SimulatedProvider, second: SimulatedProvider) -> None:
        self._urls = urls
        self._providers = (first, second)
        self._world: World | None = None
        self._failure: BaseException | None = None
        self._ready = threading.Event()
        self._server: uvicorn.Server | None = None
        self._thread = threading.Thread(target=self._run, name="gateway")

    def start(self) -> World:
        self._thread.start()
        assert self._ready.wait(60)
        if self._failure is not None:
            raise self._failure
        assert self._world is not None
        return self._world

    def stop(self) -> None:
        assert self._server is not None
        self._server.should_exit = True
        self._thread.join(30)

    def _run(self) -> None:
        try:
            asyncio.run(self._serve())
        except BaseException as error:
            self._failure = error
            self._ready.set()
            raise

    async def _serve(self) -> None:
        listening = socket.create_server(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{listening.getsockname()[1]}"
        async with Database(self._urls, on_system=lambda _: None) as db:
            world = await self._compose(db, url)
            server = Server(
                world.gateway.hot_routes(),
                world.gateway.hot_prefixes(),
                control_plane([]),
                lambda: _nothing,
                world.gateway.at_once(),
            )
            config = uvicorn.Config(
                server,
                http=OneWriteProtocol,
                loop="asyncio",
                lifespan="off",
                log_level="warning",
                access_log=False,
                server_header=False,
            )
            self._server = uvicorn.Server(config)
            self._world = world
            self._ready.set()
            await self._server.serve(sockets=[listening])
            await world.gateway.stop()

    async def _compose(self, db: Database, url: str) -> World:
        keyring = Keyring(bytes(range(32)))
        identity = Identity(db, keyring, b"pepper" * 6)
        founded = await identity.bootstrap()
        assert founded is not None
        shelf, records = Shelf(), Remembering()
        releases = Releases(db, keyring, shelf, identity, surroundings(), lambda _: None)
        gateway = Gateway(
            Stores(db, keyring, identity, releases, records),
            Rooms(render, check_inputs, route_of_target, Guardrails(), Numbering),
            Reach(
                Builtin(
                    {"extractive": Extractive(first_sentence), "simulated": Simulated()}, {"minilm": TinyEmbedder()}
                ),
                environ={KEY_ENV: BEARER_TOKEN},
                deadlines=DEADLINES,
                catalog=CATALOG,
            ),
            ServerSettings(max_body_mb=MAX_BODY_MB, stale_max_s=2),
            base_url=url,
        )
        gateway.connect(shelf)
        await gateway.start()
        admin = await gateway.authenticate(founded.key)
        first, second = self._providers
        await releases.apply(admin, "default", workspace(first.url, second.url))
        await gateway.snapshots.look()
        loop = asyncio.get_running_loop()
        return World(
            url,
            loop,
            gateway,
            identity,
            releases,
            admin,
            founded.key,
            records,
            shelf,
            (first, second),
            database_name(self._urls.app),
            keyring,
        )


async def _nothing() -> None: ...


def surroundings() -> Surroundings:
    return Surroundings(
        providers=frozenset((*(row.id for row in CATALOG), *VENDORS)),
        pii_kinds=KINDS,
        permissions=frozenset(),
        usual_env=frozenset(),
        operator_env=frozenset((KEY_ENV,)),
        read_schema=read_output_schema,
    )


Eventually = Callable[[Callable[[], Any]], Any]

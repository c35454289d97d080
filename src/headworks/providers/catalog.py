"""The catalogue of OpenAI-compatible providers, and which of them can be used here."""

from __future__ import annotations

import asyncio
import difflib
import tomllib
from collections.abc import Awaitable, Callable, Iterator, Mapping
from functools import cache
from importlib.resources import files
from typing import Literal
from urllib.parse import urlsplit

import msgspec

from headworks.errors import StartupRefused
from headworks.providers.reranking import Shape
from headworks.providers.vendors import VENDORS, Vendor

PROBE_TIMEOUT_S = 0.3
_PROBE_MAX_BYTES = 1_000_000

Surface = Literal[
    "audio_transcriptions",
    "audio_translations",
    "batches",
    "chat",
    "completions",
    "embeddings",
    "files",
    "image_edits",
    "image_generations",
    "image_variations",
    "models",
    "moderations",
    "rerank",
    "responses",
    "speech",
]
Probe = Callable[[str, str | None], Awaitable[object | None]]
"""Fetches the JSON at a URL with a key, if there is one; None where nobody answers in PROBE_TIMEOUT_S."""


class Provider(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One row of catalog.toml; the head of that file says what each field means."""

    id: str = ""
    name: str
    base_url: str
    serves: frozenset[Surface]
    max_tokens_field: Literal["max_completion_tokens", "max_tokens"]
    stream_usage: bool
    key_env: tuple[str, ...] = ()
    ports: tuple[int, ...] = ()
    owned_by: str = ""
    price_provider: str = ""
    paths: dict[str, str] = {}
    reranks_as: Shape | None = None

    @property
    def is_local(self) -> bool:
        """It runs on this host: text that is sent to it stays here."""
        return bool(self.ports)

    def url_on(self, port: int) -> str:
        """The base URL of a local server that listens on another of its ports."""
        parts = urlsplit(self.base_url)
        return parts._replace(netloc=f"{parts.hostname}:{port}").geturl()

    def key_variable(self, environ: Mapping[str, str]) -> str | None:
        """The environment variable that holds its key; None: not set."""
        return next((name for name in self.key_env if environ.get(name, "").strip()), None)


class Found(msgspec.Struct, frozen=True):
    """A provider that can be used: `source` is the name of its key's variable or `port N`, never a key."""

    provider: Provider | Vendor
    source: str
    base_url: str
    models: tuple[str, ...] = ()
    """What a local server says it serves; a remote provider is not asked."""


class Catalog:
    """All rows, in the order of the file; immutable."""

    def __init__(self, providers: tuple[Provider, ...]) -> None:
        self._providers = {provider.id: provider for provider in providers}

    @staticmethod
    @cache
    def load() -> Catalog:
        """The shipped catalogue, read once per process."""
        return Catalog.parse(files(__package__).joinpath("catalog.toml").read_text(encoding="utf-8"), "catalog.toml")

    @staticmethod
    def parse(content: str, where: str) -> Catalog:
        """A catalogue from TOML. Raises StartupRefused with row and key of what is unknown, missing or mistyped."""
        try:
            tables = tomllib.loads(content)
        except tomllib.TOMLDecodeError as error:
            raise StartupRefused(f"{where}: {error}.") from None
        return Catalog(tuple(_provider(where, identifier, table) for identifier, table in tables.items()))

    def __iter__(self) -> Iterator[Provider]:
        return iter(self._providers.values())

    def get(self, identifier: str) -> Provider | None:
        """The provider of that id."""
        return self._providers.get(identifier)

    def near(self, identifier: str) -> list[str]:
        """Up to three ids that look like a mistyped one, the nearest first."""
        return difflib.get_close_matches(identifier, self._providers, n=3)


def _provider(where: str, identifier: str, table: object) -> Provider:
    if not isinstance(table, dict):
        raise StartupRefused(f"{where}: `{identifier}` stands outside of every provider's table.")
    try:
        return msgspec.convert({**table, "id": identifier}, Provider)
    except msgspec.ValidationError as error:
        raise StartupRefused(f"{where}: [{identifier}]: {error}.") from None


async def discover(environ: Mapping[str, str], probe: Probe | None = None) -> list[Found]:
    """Providers whose key is in the environment, those with code of their own among them, then local servers.

    Local servers are those that answer on a usual port.

    A server is recognised by what it writes into its model list, so that a stranger on port 8000 is not taken for vLLM.
    """
    catalog = Catalog.load()
    keyed = [
        Found(provider, name, provider.base_url)
        for provider in catalog
        if not provider.is_local and (name := provider.key_variable(environ))
    ]
    own = [Found(each, name, each.base_url) for each in VENDORS.values() if (name := each.key_variable(environ))]
    return keyed + own + await _local_servers(catalog, environ, probe or fetch_json)


async def _local_servers(catalog: Catalog, environ: Mapping[str, str], probe: Probe) -> list[Found]:
    local = [provider for provider in catalog if provider.is_local]
    ports = {port: provider for provider in reversed(local) for port in provider.ports}
    answers = await asyncio.gather(
        *(probe(f"{provider.url_on(port)}/models", _key(local, port, environ)) for port, provider in ports.items())
    )
    found = []
    for (port, _), answer in zip(ports.items(), answers, strict=True):
        models = _models(answer)
        provider = _recognise(local, port, set(models.values()))
        if models and provider is not None:
            found.append(Found(provider, f"port {port}", provider.url_on(port), tuple(models)))
    order = {provider.id: number for number, provider in enumerate(local)}
    return sorted(found, key=lambda entry: (order[entry.provider.id], entry.source))


def _key(local: list[Provider], port: int, environ: Mapping[str, str]) -> str | None:
    names = (provider.key_variable(environ) for provider in local if port in provider.ports)
    return next((environ[name].strip() for name in names if name), None)


def _models(answer: object) -> dict[str, str]:
    """Model ids with their owners from an OpenAI model list; empty for anything else."""
    rows = answer.get("data") if isinstance(answer, dict) else None
    if not isinstance(rows, list):
        return {}
    return {
        row["id"]: str(row.get("owned_by")) for row in rows if isinstance(row, dict) and isinstance(row.get("id"), str)
    }


def _recognise(local: list[Provider], port: int, owners: set[str]) -> Provider | None:
    named = [provider for provider in local if provider.owned_by in owners and provider.owned_by]
    unnamed = [provider for provider in local if port in provider.ports and not provider.owned_by]
    return next(iter(named + unnamed), None)


async def fetch_json(url: str, key: str | None) -> object | None:
    """GET of a small JSON document from this host; None for anything that goes wrong or takes longer."""
    try:
        async with asyncio.timeout(PROBE_TIMEOUT_S):
            status, content = await _get(url, key)
        document: object = msgspec.json.decode(content)
    except (OSError, TimeoutError, ValueError):
        return None
    return document if status == b"200" else None


async def _get(url: str, key: str | None) -> tuple[bytes, bytes]:
    """Status and body by HTTP/1.0, where the server closes and nothing is chunked."""
    parts = urlsplit(url)
    reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
    try:
        head = [f"GET {parts.path} HTTP/1.0", f"host: {parts.netloc}", "accept: application/json", "connection: close"]
        if key:
            head.append(f"authorization: Bearer {key}")
        writer.write("\r\n".join([*head, "", ""]).encode())
        answer = b""
        while len(answer) < _PROBE_MAX_BYTES and (piece := await reader.read(65_536)):
            answer += piece
    finally:
        writer.close()
    first, _, content = answer.partition(b"\r\n\r\n")
    return first.split(b" ", 2)[1] if b" " in first else b"", content


_PAGE = """# Providers

Every OpenAI-compatible provider that Headworks knows. Name a model as `provider/model`, as in `openai/gpt-5-mini`.
A provider is usable as soon as one of its environment variables holds a key; a local server is found by its port.
`headworks doctor` says which of them can be used here. Generated from `src/headworks/providers/catalog.toml`.

| id | provider | base URL | key | chat | responses | completions | embeddings | model list | prices |
|---|---|---|---|---|---|---|---|---|---|
{rows}

What some of them serve beside that. Requests and answers go through byte for byte, but for
[reranking](passthrough.md) by {rerankers}:

| id | rerank | moderations | images | audio | files | batches |
|---|---|---|---|---|---|---|
{more}

*Prices*: whether the table in `src/headworks/providers/prices.json` has prices of its models, found by their exact
name. A call without a price has a cost of `null`, never 0.

Two facts decide what is sent: the field for a cap on output is `max_completion_tokens` for {completion}
and `max_tokens` for the others; usage in streams is asked for with `stream_options`, but not from {silent}.

## Providers with code of their own

Callers of every format reach them; what a format of theirs can't say is refused with the field's name, or named in
`x-headworks-ignored` where it is only a hint.

| id | provider | base URL | key | speaks |
|---|---|---|---|---|
{vendors}

[Gemini](gemini.md), [Bedrock](bedrock.md) and [Messages](messages.md) have pages of their own;
[accounts](accounts.md) say how Azure is reached.

The models of this process itself are `builtin/extractive`, `builtin/simulated` and `builtin/minilm`. They cost 0.
"""


def reference_page(catalog: Catalog) -> str:
    """docs/reference/providers.md."""
    return _PAGE.format(
        rows="\n".join(_table_row(provider) for provider in catalog),
        more="\n".join(_second_row(provider) for provider in catalog if _beside(provider)),
        completion=", ".join(f"`{p.id}`" for p in catalog if p.max_tokens_field == "max_completion_tokens"),
        rerankers=", ".join(f"`{p.id}`" for p in catalog if p.reranks_as),
        silent=", ".join(f"`{p.id}`" for p in catalog if not p.stream_usage),
        vendors="\n".join(map(_vendor_row, VENDORS.values())),
    )


_SHOWN: tuple[Surface, ...] = ("chat", "responses", "completions", "embeddings", "models")
_BESIDE: tuple[dict[Surface, str], ...] = (
    {"rerank": "yes"},
    {"moderations": "yes"},
    {"image_generations": "generations", "image_edits": "edits", "image_variations": "variations"},
    {"speech": "speech", "audio_transcriptions": "transcriptions", "audio_translations": "translations"},
    {"files": "yes"},
    {"batches": "yes"},
)
"""The columns of the second table, and what stands in each for what is served."""


def _beside(provider: Provider) -> bool:
    return any(surface in provider.serves for column in _BESIDE for surface in column)


def _second_row(provider: Provider) -> str:
    cells = [", ".join(word for name, word in column.items() if name in provider.serves) for column in _BESIDE]
    return f"| `{provider.id}` | {' | '.join(cell or 'no' for cell in cells)} |"


def _vendor_row(vendor: Vendor) -> str:
    keys = " or ".join(" with ".join(f"`{name}`" for name in names) for names in vendor.key_env)
    if vendor.beside:
        keys += "; and " + " or ".join(f"`{name}`" for name in vendor.beside)
    where = f"`{vendor.base_url}`" if vendor.base_url else "told by a variable"
    return f"| `{vendor.id}` | {vendor.name} | {where} | {keys} | {vendor.speaks} |"


def _table_row(provider: Provider) -> str:
    keys = " or ".join(f"`{name}`" for name in provider.key_env)
    served = ["yes" if surface in provider.serves else "no" for surface in _SHOWN]
    where = f"`{provider.base_url}`"
    if len(provider.ports) > 1:
        where += " or port " + " or ".join(str(port) for port in provider.ports[1:])
    priced = "yes" if provider.price_provider else "no"
    cells = [f"`{provider.id}`", provider.name, where, keys or "none", *served, priced]
    return f"| {' | '.join(cells)} |"

"""Every OpenAI-compatible provider: a row of the catalogue, an address and the name of a credential."""

from __future__ import annotations

from collections.abc import Coroutine, Mapping
from hashlib import sha256
from typing import Any
from urllib.parse import urljoin

from headworks.errors import InvalidRequest, ModelMissing
from headworks.formats.neutral import FormatName
from headworks.providers import catalog
from headworks.providers.contract import Answer, Ask, Errand, Surface
from headworks.providers.reaching import Client, origin_of
from headworks.providers.request_heads import HeaderBlock, HeaderBlocks, header_block
from headworks.providers.reranking import Reranking, Shape
from headworks.providers.responses import Headers
from headworks.types.workspace import AccountSpec

_PATHS: Mapping[Surface, str] = {
    "audio_transcriptions": "audio/transcriptions",
    "audio_translations": "audio/translations",
    "batches": "batches",
    "chat": "chat/completions",
    "completions": "completions",
    "embeddings": "embeddings",
    "files": "files",
    "image_edits": "images/edits",
    "image_generations": "images/generations",
    "image_variations": "images/variations",
    "moderations": "moderations",
    "rerank": "rerank",
    "responses": "responses",
    "speech": "audio/speech",
}
_FORMATS: tuple[FormatName, ...] = ("chat", "responses", "completions")
_JSON = (b"content-type", b"application/json")
_AGENT = (b"user-agent", b"headworks")
_LOOPBACK = frozenset(("localhost", "127.0.0.1", "::1"))


class Compatible:
    """One account with such a provider. The credential is read from the environment once, and is never shown."""

    def __init__(
        self,
        row: catalog.Provider,
        upstream: Client,
        environ: Mapping[str, str],
        *,
        account: AccountSpec | None = None,
        base_url: str | None = None,
    ) -> None:
        self.name = account.name if account else row.id
        self.speaks: tuple[FormatName, ...] = tuple(each for each in _FORMATS if each in row.serves)
        self.takes_stream_options = row.stream_usage
        self.cap_field: str = row.max_tokens_field
        self._row = row
        self._reranks_as = row.reranks_as
        self._upstream = upstream
        self._wanted = _credential_names(row, account)
        self._is_keyless = not self._wanted or (row.is_local and not (account and account.api_key_env))
        address = (account.base_url if account else None) or base_url or row.base_url
        self._origin, base = origin_of(address, account)
        self.is_local = row.is_local and self._origin.host in _LOOPBACK
        self._paths = {surface: _under(base, row.paths.get(surface, path)) for surface, path in _PATHS.items()}
        key = next((environ[name].strip() for name in self._wanted if environ.get(name, "").strip()), None)
        self._has_key = key is not None
        self._credential = sha256((key or address).encode()).digest()
        self._headers = [_AGENT]
        if key is not None:
            self._headers.append((b"authorization", b"Bearer " + key.encode("latin-1", "replace")))
        self._block: HeaderBlock = header_block([_JSON, *self._headers])
        self._blocks = HeaderBlocks([_JSON, *self._headers])

    def check(self, surface: Surface, model: str) -> None:
        """See contract.py."""
        if surface not in self._row.serves:
            raise InvalidRequest(
                f"`{self.name}` does not serve {surface}, so not `{self.name}/{model}`.", param="model"
            )
        if not self._has_key and not self._is_keyless:
            names = " or ".join(self._wanted)
            raise ModelMissing(
                f"`{self.name}/{model}` has no credential: {names} is not set where the server runs.",
                next_step="Set it and start the server again; `headworks doctor` lists what is missing.",
            )

    def fetch(self, ask: Ask) -> Coroutine[Any, Any, tuple[int, Headers, bytes]]:
        """See contract.py."""
        if self._reranks_as is not None and ask.surface == "rerank":
            return self._rerank(ask, self._reranks_as)
        path = self._paths[ask.surface]
        return self._upstream.fetch(self._origin, b"POST", path, self._block_for(ask), ask.body, ask.deadlines)

    async def _rerank(self, ask: Ask, shape: Shape) -> tuple[int, Headers, bytes]:
        ranking = Reranking(shape, ask.body)
        path, block = self._paths["rerank"], self._block_for(ask)
        status, headers, body = await self._upstream.fetch(
            self._origin, b"POST", path, block, ranking.body, ask.deadlines
        )
        return status, headers, ranking.told(body) if status == 200 else body

    async def stream(self, ask: Ask) -> Answer:
        """See contract.py."""
        path = self._paths[ask.surface]
        return await self._upstream.send(self._origin, b"POST", path, self._block_for(ask), ask.body, ask.deadlines)

    @property
    def credential(self) -> bytes:
        """See contract.Carrier."""
        return self._credential

    def carries(self, surface: Surface) -> bool:
        """See contract.Carrier."""
        return surface in self._row.serves

    async def carry(self, errand: Errand) -> Answer:
        """See contract.Carrier."""
        path = self._paths[errand.surface] + errand.tail.encode("ascii")
        kind = () if errand.content_type is None else ((b"content-type", errand.content_type),)
        block = header_block([*self._headers, *kind, *errand.forwarded])
        return await self._upstream.send(self._origin, errand.method, path, block, errand.body, errand.deadlines)

    def _block_for(self, ask: Ask) -> HeaderBlock:
        if not ask.forwarded:
            return self._block
        return self._blocks.beside(ask.forwarded)


def _under(base: str, path: str) -> bytes:
    """A path below the base's, or, beginning with `../`, beside it."""
    return b"/" + urljoin(f"{base}/", path).lstrip("/").encode("ascii")


def _credential_names(row: catalog.Provider, account: AccountSpec | None) -> tuple[str, ...]:
    """Where the key may stand. A usual key never travels to an address that a workspace chose."""
    if account and account.api_key_env:
        return (account.api_key_env,)
    return () if account and account.base_url else row.key_env

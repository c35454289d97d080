"""Every OpenAI-compatible provider: a row of the catalogue, an address and the name of a credential."""

from __future__ import annotations

from collections.abc import Coroutine, Mapping
from typing import Any

from headworks.errors import InvalidRequest, ModelMissing
from headworks.formats.neutral import FormatName
from headworks.providers import catalog
from headworks.providers.contract import Answer, Ask, Surface
from headworks.providers.reaching import Client, origin_of
from headworks.providers.request_heads import HeaderBlock, header_block
from headworks.providers.responses import Headers
from headworks.types.workspace import AccountSpec

_PATHS: Mapping[Surface, str] = {
    "chat": "/chat/completions",
    "completions": "/completions",
    "embeddings": "/embeddings",
    "responses": "/responses",
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
        self._upstream = upstream
        self._wanted = _credential_names(row, account)
        self._is_keyless = not self._wanted or (row.is_local and not (account and account.api_key_env))
        address = (account.base_url if account else None) or base_url or row.base_url
        self._origin, base = origin_of(address, account)
        self.is_local = row.is_local and self._origin.host in _LOOPBACK
        self._paths = {surface: (base + path).encode("ascii") for surface, path in _PATHS.items()}
        key = next((environ[name].strip() for name in self._wanted if environ.get(name, "").strip()), None)
        self._has_key = key is not None
        self._headers = [_JSON, _AGENT]
        if key is not None:
            self._headers.append((b"authorization", b"Bearer " + key.encode("latin-1", "replace")))
        self._block: HeaderBlock = header_block(self._headers)

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
        path = self._paths[ask.surface]
        return self._upstream.fetch(self._origin, b"POST", path, self._block_for(ask), ask.body, ask.deadlines)

    async def stream(self, ask: Ask) -> Answer:
        """See contract.py."""
        path = self._paths[ask.surface]
        return await self._upstream.send(self._origin, b"POST", path, self._block_for(ask), ask.body, ask.deadlines)

    def _block_for(self, ask: Ask) -> HeaderBlock:
        if not ask.forwarded:
            return self._block
        return header_block([*self._headers, *ask.forwarded])


def _credential_names(row: catalog.Provider, account: AccountSpec | None) -> tuple[str, ...]:
    """Where the key may stand. A usual key never travels to an address that a workspace chose."""
    if account and account.api_key_env:
        return (account.api_key_env,)
    return () if account and account.base_url else row.key_env

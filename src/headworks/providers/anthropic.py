"""Anthropic: Messages whole and streamed, counts of tokens, and the list of its models. Bodies are Anthropic's own."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import quote

import msgspec

from headworks.errors import InvalidRequest, ModelMissing, UpstreamError, UpstreamRejected
from headworks.formats.neutral import FormatName
from headworks.providers.contract import PATIENT, Answer, Ask, Surface
from headworks.providers.http1 import Deadlines
from headworks.providers.reaching import Client, origin_of
from headworks.providers.request_heads import HeaderBlock, HeaderBlocks
from headworks.providers.responses import Headers
from headworks.types.workspace import AccountSpec

BASE_URL = "https://api.anthropic.com"
KEY_ENV = ("ANTHROPIC_API_KEY",)
VERSION = b"2023-06-01"

_PATHS: Mapping[str, str] = {"messages": "/v1/messages", "count_tokens": "/v1/messages/count_tokens"}
_JSON = (b"content-type", b"application/json")
_AGENT = (b"user-agent", b"headworks")
_OURS = frozenset((b"authorization", b"content-type", b"user-agent", b"x-api-key"))
"""Headers that a caller does not choose: its credentials are for us, not for Anthropic."""

_MOST_PAGES = 20


class ListedModel(msgspec.Struct, frozen=True, kw_only=True):
    """A row of Anthropic's list; dates as RFC 3339, limits in tokens. None: Anthropic does not say."""

    id: str
    display_name: str = ""
    created_at: str | None = None
    lifecycle: str | None = None
    deprecated_at: str | None = None
    retires_at: str | None = None
    max_input_tokens: int | None = None
    max_tokens: int | None = None


class _Page(msgspec.Struct):
    data: tuple[ListedModel, ...]
    has_more: bool = False
    last_id: str | None = None


class Anthropic:
    """One account with Anthropic. The key is read from the environment once, travels in a header, and is never shown.

    `anthropic-version` and `anthropic-beta` are the caller's where it sends them on.
    """

    speaks: tuple[FormatName, ...] = ("messages",)
    is_local = False
    takes_stream_options = False
    cap_field = "max_tokens"

    def __init__(
        self,
        upstream: Client,
        environ: Mapping[str, str],
        *,
        account: AccountSpec | None = None,
        base_url: str | None = None,
    ) -> None:
        self.name = account.name if account else "anthropic"
        self._upstream = upstream
        self._wanted = _credential_names(account)
        self._origin, base = origin_of((account.base_url if account else None) or base_url or BASE_URL, account)
        self._base = base.removesuffix("/v1")
        self._paths = {surface: (self._base + path).encode("ascii") for surface, path in _PATHS.items()}
        key = next((environ[name].strip() for name in self._wanted if environ.get(name, "").strip()), None)
        self._is_ready = key is not None or not self._wanted
        own = [_JSON, _AGENT]
        if key is not None:
            own.append((b"x-api-key", key.encode("latin-1", "replace")))
        self._blocks = HeaderBlocks(own, [(b"anthropic-version", VERSION)], _OURS)
        self._block: HeaderBlock = self._blocks.beside(())

    def check(self, surface: Surface, model: str) -> None:
        """See contract.py."""
        if surface not in self._paths:
            raise InvalidRequest(
                f"`{self.name}` does not serve {surface}, so not `{self.name}/{model}`.", param="model"
            )
        if not self._is_ready:
            names = " or ".join(self._wanted)
            raise ModelMissing(
                f"`{self.name}/{model}` has no credential: {names} is not set where the server runs.",
                next_step="Set it and start the server again; `headworks doctor` lists what is missing.",
            )

    async def fetch(self, ask: Ask) -> tuple[int, Headers, bytes]:
        """See contract.py."""
        path = self._paths[ask.surface]
        return await self._upstream.fetch(self._origin, b"POST", path, self._block_for(ask), ask.body, ask.deadlines)

    async def stream(self, ask: Ask) -> Answer:
        """See contract.py. A count of tokens does not come in pieces."""
        if ask.surface == "count_tokens":
            raise InvalidRequest("A count of tokens can't be streamed.", param="stream")
        path = self._paths[ask.surface]
        return await self._upstream.send(self._origin, b"POST", path, self._block_for(ask), ask.body, ask.deadlines)

    async def models(self, deadlines: Deadlines = PATIENT) -> list[ListedModel]:
        """All models of the account. Raises UpstreamError, UpstreamRejected when Anthropic refuses."""
        rows: list[ListedModel] = []
        query = "limit=1000"
        for _ in range(_MOST_PAGES):
            path = f"{self._base}/v1/models?{query}".encode("ascii")
            status, headers, body = await self._upstream.fetch(self._origin, b"GET", path, self._block, b"", deadlines)
            page = _page(status, headers, body)
            rows.extend(page.data)
            if not page.has_more or page.last_id is None:
                break
            query = f"limit=1000&after_id={quote(page.last_id, safe='')}"
        return rows

    def _block_for(self, ask: Ask) -> HeaderBlock:
        return self._blocks.beside(ask.forwarded) if ask.forwarded else self._block


def _credential_names(account: AccountSpec | None) -> tuple[str, ...]:
    """Where the key may stand. A usual key never travels to an address that a workspace chose."""
    if account and account.api_key_env:
        return (account.api_key_env,)
    return () if account and account.base_url else KEY_ENV


def _page(status: int, headers: Headers, body: bytes) -> _Page:
    if status != 200:
        shown = {name.decode("latin-1"): value.decode("latin-1") for name, value in headers}
        raise UpstreamRejected(status, body, shown)
    try:
        return msgspec.json.decode(body, type=_Page)
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise UpstreamError("The provider's list of models can't be read.") from None

"""Azure OpenAI: OpenAI's formats at an address of one's own, in paths that name a deployment, or in the `v1` style.

    AZURE_OPENAI_ENDPOINT     https://<resource>.openai.azure.com; with /openai/v1 behind it for the v1 style
    OPENAI_API_VERSION        like 2024-10-21: paths name the deployment and this version; without one: the v1 style
    AZURE_OPENAI_API_KEY      or AZURE_OPENAI_AD_TOKEN, a token of Entra, which wins where both are set

The model of a call is the name of a deployment. Answers are passed on as they are: frames that hold nothing but the
verdicts of the content filter, `x-ms-region` and `apim-request-id` too.
"""

from __future__ import annotations

from collections.abc import Coroutine, Mapping
from hashlib import sha256
from typing import Any
from urllib.parse import quote

from headworks.errors import InvalidRequest, ModelMissing
from headworks.formats.neutral import FormatName
from headworks.providers.contract import Answer, Ask, Errand, Surface
from headworks.providers.pooling import Origin
from headworks.providers.reaching import Client, origin_of
from headworks.providers.request_heads import HeaderBlock, header_block
from headworks.providers.responses import Headers
from headworks.types.workspace import AccountSpec

ENDPOINT_ENV = "AZURE_OPENAI_ENDPOINT"
VERSION_ENV = "OPENAI_API_VERSION"
TOKEN_ENV = "AZURE_OPENAI_AD_TOKEN"  # noqa: S105 -- a variable's name
KEY_ENV = (TOKEN_ENV, "AZURE_OPENAI_API_KEY")

_PATHS: Mapping[str, str] = {"chat": "/chat/completions", "embeddings": "/embeddings", "responses": "/responses"}
_OF_DEPLOYMENTS = frozenset(("chat", "embeddings"))
_JSON = (b"content-type", b"application/json")
_AGENT = (b"user-agent", b"headworks")
_V1 = "/openai/v1"
_KNOWS_STREAM_USAGE = "2024-09-01"
"""From this version on there are `stream_options` and `max_completion_tokens`."""


class Azure:
    """One account with Azure. The credential is read from the environment once, and is never shown."""

    speaks: tuple[FormatName, ...] = ("chat", "responses")
    is_local = False

    def __init__(
        self,
        upstream: Client,
        environ: Mapping[str, str],
        *,
        account: AccountSpec | None = None,
        base_url: str | None = None,
    ) -> None:
        """`base_url` stands for AZURE_OPENAI_ENDPOINT. The account's own address and version go before both."""
        self.name = account.name if account else "azure"
        self._upstream = upstream
        address = (account.base_url if account else None) or base_url or environ.get(ENDPOINT_ENV, "").strip()
        version = (account.api_version if account else None) or environ.get(VERSION_ENV, "").strip()
        self._origin: Origin | None = None
        path = ""
        if address:
            self._origin, path = origin_of(address, account)
        self._is_v1, self._base, self._query = _style(path, version)
        is_recent = self._is_v1 or version >= _KNOWS_STREAM_USAGE
        self.takes_stream_options = is_recent
        self.cap_field = "max_completion_tokens" if is_recent else "max_tokens"
        self._wanted = _credential_names(account)
        found = next((environ[name].strip() for name in self._wanted if environ.get(name, "").strip()), None)
        self._has_key = found is not None
        self._headers = [_JSON, _AGENT] if found is None else [_JSON, _AGENT, _credential(found)]
        self._block: HeaderBlock = header_block(self._headers)

    def check(self, surface: Surface, model: str) -> None:
        """See contract.py."""
        if surface not in _PATHS:
            raise InvalidRequest(
                f"`{self.name}` does not serve {surface}, so not `{self.name}/{model}`.", param="model"
            )
        if self._origin is None:
            raise self._has_no_address(model)
        if not self._has_key:
            names = " or ".join(self._wanted) or "api_key_env of the account"
            raise ModelMissing(
                f"`{self.name}/{model}` has no credential: {names} is not set where the server runs.",
                next_step="Set it and start the server again; `headworks doctor` lists what is missing.",
            )

    def fetch(self, ask: Ask) -> Coroutine[Any, Any, tuple[int, Headers, bytes]]:
        """See contract.py."""
        origin, path = self._place(ask)
        return self._upstream.fetch(origin, b"POST", path, self._block_for(ask), ask.body, ask.deadlines)

    async def stream(self, ask: Ask) -> Answer:
        """See contract.py."""
        origin, path = self._place(ask)
        return await self._upstream.send(origin, b"POST", path, self._block_for(ask), ask.body, ask.deadlines)

    @property
    def credential(self) -> bytes:
        """See contract.Carrier."""
        return sha256(self._block + str(self._origin).encode()).digest()

    def carries(self, surface: Surface) -> bool:
        """See contract.Carrier: what is asked of a stored response, which names no deployment."""
        return surface == "responses"

    async def carry(self, errand: Errand) -> Answer:
        """See contract.Carrier."""
        if self._origin is None:
            raise self._has_no_address("responses")
        tail, _, query = errand.tail.partition("?")
        queries = "&".join(each for each in (self._query.removeprefix("?"), query) if each)
        path = f"{self._base}{_PATHS[errand.surface]}{tail}" + (f"?{queries}" if queries else "")
        own = [each for each in self._headers if each is not _JSON]
        kind = () if errand.content_type is None else ((b"content-type", errand.content_type),)
        block = header_block([*own, *kind, *errand.forwarded])
        return await self._upstream.send(
            self._origin, errand.method, path.encode("ascii"), block, errand.body, errand.deadlines
        )

    def _place(self, ask: Ask) -> tuple[Origin, bytes]:
        if self._origin is None:
            raise self._has_no_address(ask.model)
        in_path = not self._is_v1 and ask.surface in _OF_DEPLOYMENTS
        deployment = f"/deployments/{quote(ask.model, safe='')}" if in_path else ""
        return self._origin, f"{self._base}{deployment}{_PATHS[ask.surface]}{self._query}".encode("ascii")

    def _has_no_address(self, model: str) -> ModelMissing:
        return ModelMissing(
            f"`{self.name}/{model}` has no address: {ENDPOINT_ENV} is not set where the server runs.",
            next_step="Set it like https://<resource>.openai.azure.com and start the server again.",
        )

    def _block_for(self, ask: Ask) -> HeaderBlock:
        return header_block([*self._headers, *ask.forwarded]) if ask.forwarded else self._block


def _style(path: str, version: str) -> tuple[bool, str, str]:
    """Whether the v1 style is spoken, what paths begin with, and their query."""
    is_dated = version[:1].isdigit()
    is_v1 = path.endswith(_V1) or not is_dated
    base = path.removesuffix(_V1).removesuffix("/openai") + (_V1 if is_v1 else "/openai")
    # The v1 style has no dates, only `preview` and `latest`: a date there is meant for other accounts.
    says = version and is_dated is not is_v1
    return is_v1, base, f"?api-version={quote(version, safe='')}" if says else ""


def _credential(value: str) -> tuple[bytes, bytes]:
    """A key in a header of its own; a token, which is a JWT, as a bearer."""
    raw = value.encode("latin-1", "replace")
    if value.startswith("eyJ") and value.count(".") == 2:
        return b"authorization", b"Bearer " + raw
    return b"api-key", raw


def _credential_names(account: AccountSpec | None) -> tuple[str, ...]:
    """Where the credential may stand. A usual one never travels to an address that a workspace chose."""
    if account and account.api_key_env:
        return (account.api_key_env,)
    return () if account and account.base_url else KEY_ENV

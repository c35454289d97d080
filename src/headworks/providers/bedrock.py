"""Amazon Bedrock: Converse whole and streamed, and counts of tokens. Bodies are Bedrock's own.

Requests are signed with the account's access key, or carry a Bedrock API key as a bearer token. Credentials come from
the environment only: no profiles, no roles of machines.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from hashlib import sha256
from urllib.parse import quote

import msgspec

from headworks.errors import InvalidRequest, ModelMissing, UpstreamError, UpstreamRejected
from headworks.formats.neutral import FormatName
from headworks.providers.aws_signing import Credentials, Signer
from headworks.providers.contract import Answer, Ask, Errand, Surface
from headworks.providers.pooling import Origin
from headworks.providers.reaching import Client, origin_of
from headworks.providers.request_heads import HeaderBlock, header_block
from headworks.providers.responses import Headers
from headworks.types.workspace import AccountSpec

BEARER_ENV = "AWS_BEARER_TOKEN_BEDROCK"
KEY_ENV = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")
SESSION_ENV = "AWS_SESSION_TOKEN"
REGION_ENV = ("AWS_REGION", "AWS_DEFAULT_REGION")
ENDPOINT_ENV = ("AWS_ENDPOINT_URL_BEDROCK_RUNTIME", "AWS_ENDPOINT_URL")

_ANY_CREDENTIALS = f"{BEARER_ENV}, or {KEY_ENV[0]} with {KEY_ENV[1]},"
_SERVICE = "bedrock"
_JSON = (b"content-type", b"application/json")
_AGENT = (b"user-agent", b"headworks")
_OURS = frozenset((b"authorization", b"content-type", b"user-agent"))
_MODEL = re.compile(r"(?!\.{1,2}$)[A-Za-z0-9._:/-]{1,2048}")
_REGION = re.compile(r"[a-z]{2,5}(-[a-z]+)+-\d+")
_REGION_IN_HOST = re.compile(r"(?:^|\.)bedrock-runtime(?:-fips)?\.([a-z0-9-]+)\.")
_COUNTED = ("messages", "system", "toolConfig", "additionalModelRequestFields")
_SUFFIXES = (
    ("cn-", "amazonaws.com.cn"),
    ("eusc-", "amazonaws.eu"),
    ("us-isob-", "sc2s.sgov.gov"),
    ("us-isof-", "csp.hci.ic.gov"),
    ("us-iso-", "c2s.ic.gov"),
    ("eu-isoe-", "cloud.adc-e.uk"),
)
"""Amazon's partitions with domains of their own, by how their regions begin."""

_members = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode


class _Counted(msgspec.Struct, rename="camel"):
    input_tokens: int


class Bedrock:
    """One account with Amazon. Credentials are read from the environment once, and are never shown.

    A bearer token never travels to an address that a workspace chose; a signature may, since it holds for that
    address alone.
    """

    speaks: tuple[FormatName, ...] = ("converse",)
    is_local = False
    takes_stream_options = False
    cap_field = "maxTokens"

    def __init__(
        self,
        upstream: Client,
        environ: Mapping[str, str],
        *,
        account: AccountSpec | None = None,
        base_url: str | None = None,
    ) -> None:
        said = {name: value.strip() for name, value in environ.items() if value.strip()}
        self.name = account.name if account else "bedrock"
        self._upstream = upstream
        chosen, named = (account.base_url, account.api_key_env) if account else (None, None)
        address = chosen or base_url or _first(said, ENDPOINT_ENV)
        region = _region(address, said)
        self._origin, self._base = origin_of(address or _endpoint(region or "us-east-1"), account)
        self._host = self._origin.host_line.partition(b":")[2].strip()
        self._bearer = said.get(named or ("" if chosen else BEARER_ENV))
        keys = None if named or self._bearer else _keys(said)
        self._signer = Signer(keys, region, _SERVICE) if keys and region else None
        has_place = bool(region) or bool(address and not keys)
        self._missing = _what_is_missing(named, has_proof=bool(self._bearer or keys), has_place=has_place)

    def check(self, surface: Surface, model: str) -> None:
        """See contract.py."""
        if surface != "converse":
            raise InvalidRequest(
                f"`{self.name}` does not serve {surface}, so not `{self.name}/{model}`.", param="model"
            )
        if not _MODEL.fullmatch(model):
            raise InvalidRequest(
                f"`{model[:200]}` is not the id or the ARN of a model of Bedrock's.",
                param="model",
                next_step="It has letters, digits, and the marks . _ : / - only.",
            )
        if self._missing:
            raise ModelMissing(
                f"`{self.name}/{model}` can't be called: {self._missing} where the server runs.",
                next_step="Set it and start the server again; `headworks doctor` lists what is missing.",
            )

    async def fetch(self, ask: Ask) -> tuple[int, Headers, bytes]:
        """See contract.py."""
        return await self._post(ask, "converse", ask.body)

    async def stream(self, ask: Ask) -> Answer:
        """See contract.py. Pieces are of Amazon's binary event stream."""
        path = self._path(ask.model, "converse-stream")
        block = self._signed(path, ask.body, ask)
        return await self._upstream.send(self._origin, b"POST", path, block, ask.body, ask.deadlines)

    async def count_tokens(self, ask: Ask) -> int:
        """The tokens of a request with the surface `converse`. Raises UpstreamRejected when Amazon refuses it."""
        said = _members(ask.body)
        counted = {name: said[name] for name in _COUNTED if name in said}
        status, headers, body = await self._post(
            ask, "count-tokens", msgspec.json.encode({"input": {"converse": counted}})
        )
        if status >= 400:
            shown = {name.decode("latin-1"): value.decode("latin-1") for name, value in headers}
            raise UpstreamRejected(status, body, shown)
        try:
            return msgspec.json.decode(body, type=_Counted).input_tokens
        except (msgspec.DecodeError, UnicodeDecodeError):
            raise UpstreamError("The provider's answer holds no count of tokens.") from None

    @property
    def credential(self) -> bytes:
        """See contract.Carrier."""
        return sha256((self._bearer or str(self._origin)).encode()).digest()

    def carries(self, surface: Surface) -> bool:
        """See contract.Carrier: what is in Amazon's own format."""
        return surface == "converse"

    async def carry(self, errand: Errand) -> Answer:
        """See contract.Carrier."""
        path = f"{self._base}{errand.tail}".encode("ascii")
        block = self._signed(path, errand.body, errand)
        return await self._upstream.send(self._origin, errand.method, path, block, errand.body, errand.deadlines)

    async def _post(self, ask: Ask, operation: str, body: bytes) -> tuple[int, Headers, bytes]:
        path = self._path(ask.model, operation)
        block = self._signed(path, body, ask)
        return await self._upstream.fetch(self._origin, b"POST", path, block, body, ask.deadlines)

    def _path(self, model: str, operation: str) -> bytes:
        return f"{self._base}/model/{quote(model, safe='-_.~')}/{operation}".encode("ascii")

    def _signed(self, path: bytes, body: bytes, ask: Ask | Errand) -> HeaderBlock:
        """All headers. Those of the caller's that go on are not signed, and are none that Amazon reads rights from."""
        forwarded = [each for each in ask.forwarded if not _is_ours(each[0].lower())]
        if self._bearer:
            proof: Headers = [(b"authorization", b"Bearer " + self._bearer.encode("latin-1", "replace"))]
        elif self._signer:
            proof = self._signer.sign(b"POST", self._host, path, [_JSON], body)
        else:
            proof = []
        return header_block([_JSON, _AGENT, *forwarded, *proof])


def _is_ours(name: bytes) -> bool:
    return name in _OURS or name.startswith((b"x-amz-", b"amz-"))


def _region(address: str | None, said: Mapping[str, str]) -> str | None:
    """Where the address says that it is, else as the environment says; None for what is no region's name."""
    found = _REGION_IN_HOST.search(Origin.of(address)[0].host) if address else None
    name = found[1] if found else _first(said, REGION_ENV)
    return name if name and _REGION.fullmatch(name) else None


def _first(said: Mapping[str, str], names: Sequence[str]) -> str | None:
    return next((said[name] for name in names if name in said), None)


def _what_is_missing(named: str | None, *, has_proof: bool, has_place: bool) -> str:
    """What keeps an account from being used; empty: nothing."""
    if not has_proof:
        return f"{named or _ANY_CREDENTIALS} is not set"
    return "" if has_place else f"{' or '.join(REGION_ENV)} is not set to a region"


def _endpoint(region: str) -> str:
    suffix = next((suffix for start, suffix in _SUFFIXES if region.startswith(start)), "amazonaws.com")
    return f"https://bedrock-runtime.{region}.{suffix}"


def _keys(said: Mapping[str, str]) -> Credentials | None:
    access_key, secret_key = (said.get(name) for name in KEY_ENV)
    if access_key is None or secret_key is None:
        return None
    return Credentials(access_key, secret_key, said.get(SESSION_ENV))

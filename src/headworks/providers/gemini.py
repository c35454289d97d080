"""Google's Gemini API: generateContent whole and streamed, counts of tokens, and embeddings in OpenAI's format."""

from __future__ import annotations

import math
from collections.abc import Coroutine, Mapping
from hashlib import sha256
from typing import Any
from urllib.parse import quote

import msgspec

from headworks.errors import InvalidRequest, ModelMissing, UpstreamError, UpstreamRejected
from headworks.formats.gemini import embeddings
from headworks.formats.gemini.answers import read_error
from headworks.formats.neutral import FormatName
from headworks.providers.contract import Answer, Ask, Errand, Surface
from headworks.providers.openai_format import JSON_HEADERS, error_body
from headworks.providers.reaching import Client, origin_of
from headworks.providers.request_heads import HeaderBlock, header_block
from headworks.providers.responses import Headers
from headworks.types.workspace import AccountSpec

BASE_URL = "https://generativelanguage.googleapis.com/v1beta"
KEY_ENV = ("GEMINI_API_KEY", "GOOGLE_API_KEY")

_SURFACES = frozenset(("gemini", "embeddings"))
_JSON = (b"content-type", b"application/json")
_AGENT = (b"user-agent", b"headworks")
_KINDS = {401: "authentication_error", 403: "permission_error", 429: "rate_limit_error"}
_OF_THE_BODY = frozenset((b"content-length", b"content-type", b"transfer-encoding"))


class _Tokens(msgspec.Struct, rename="camel"):
    total_tokens: int


class Gemini:
    """One account with Google. The key is read from the environment once, travels in a header, and is never shown.

    Bodies of the surface `gemini` are Google's own; those of `embeddings` are OpenAI's, in both directions.
    """

    speaks: tuple[FormatName, ...] = ("gemini",)
    is_local = False
    takes_stream_options = False
    cap_field = "maxOutputTokens"

    def __init__(
        self,
        upstream: Client,
        environ: Mapping[str, str],
        *,
        account: AccountSpec | None = None,
        base_url: str | None = None,
    ) -> None:
        self.name = account.name if account else "gemini"
        self._upstream = upstream
        self._wanted = _credential_names(account)
        address = (account.base_url if account else None) or base_url or BASE_URL
        self._origin, self._base = origin_of(address, account)
        key = next((environ[name].strip() for name in self._wanted if environ.get(name, "").strip()), None)
        self._is_ready = key is not None or not self._wanted
        self._headers = [_JSON, _AGENT]
        if key is not None:
            self._headers.append((b"x-goog-api-key", key.encode("latin-1", "replace")))
        self._block: HeaderBlock = header_block(self._headers)

    def check(self, surface: Surface, model: str) -> None:
        """See contract.py."""
        if surface not in _SURFACES:
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
        if ask.surface == "embeddings":
            return await self._embed(ask)
        return await self._post(ask, "generateContent", ask.body)

    async def stream(self, ask: Ask) -> Answer:
        """See contract.py. Embeddings do not come in pieces."""
        if ask.surface == "embeddings":
            raise InvalidRequest("Embeddings can't be streamed.", param="stream")
        path = self._path(ask.model, "streamGenerateContent?alt=sse")
        return await self._upstream.send(self._origin, b"POST", path, self._block_for(ask), ask.body, ask.deadlines)

    async def count_tokens(self, ask: Ask) -> int:
        """The tokens of a request with the surface `gemini`. Raises UpstreamRejected when Google refuses it."""
        head = b'{"generateContentRequest":{"model":%b,' % msgspec.json.encode(_resource(ask.model))
        status, headers, body = await self._post(ask, "countTokens", head + ask.body.lstrip()[1:] + b"}")
        if status >= 400:
            shown = {name.decode("latin-1"): value.decode("latin-1") for name, value in headers}
            raise UpstreamRejected(status, body, shown)
        try:
            return msgspec.json.decode(body, type=_Tokens).total_tokens
        except (msgspec.DecodeError, UnicodeDecodeError):
            raise UpstreamError("The provider's answer holds no count of tokens.") from None

    async def _embed(self, ask: Ask) -> tuple[int, Headers, bytes]:
        asked = embeddings.read_request(ask.body)
        answers: list[bytes] = []
        headers: Headers = []
        for method, body in embeddings.write_requests(asked, _resource(ask.model)):
            status, headers, answer = await self._post(ask, method, body)
            if status >= 400:
                return _translated(status, headers, answer)
            answers.append(answer)
        return 200, _rewritten(headers), embeddings.write_answer(asked, ask.model, answers)

    @property
    def credential(self) -> bytes:
        """See contract.Carrier."""
        return sha256(self._block).digest()

    def carries(self, surface: Surface) -> bool:
        """See contract.Carrier: what is in Google's own format."""
        return surface == "gemini"

    async def carry(self, errand: Errand) -> Answer:
        """See contract.Carrier."""
        path = f"{self._base}{errand.tail}".encode("ascii")
        block = self._block_for(errand)
        return await self._upstream.send(self._origin, errand.method, path, block, errand.body, errand.deadlines)

    def _post(self, ask: Ask, method: str, body: bytes) -> Coroutine[Any, Any, tuple[int, Headers, bytes]]:
        path = self._path(ask.model, method)
        return self._upstream.fetch(self._origin, b"POST", path, self._block_for(ask), body, ask.deadlines)

    def _path(self, model: str, method: str) -> bytes:
        collection, _, name = _resource(model).partition("/")
        return f"{self._base}/{collection}/{quote(name, safe='')}:{method}".encode("ascii")

    def _block_for(self, ask: Ask | Errand) -> HeaderBlock:
        return header_block([*self._headers, *ask.forwarded]) if ask.forwarded else self._block


def _credential_names(account: AccountSpec | None) -> tuple[str, ...]:
    """Where the key may stand. A usual key never travels to an address that a workspace chose."""
    if account and account.api_key_env:
        return (account.api_key_env,)
    return () if account and account.base_url else KEY_ENV


def _resource(model: str) -> str:
    """A model's name as Google writes it, with its collection."""
    return model if model.startswith(("models/", "tunedModels/")) else f"models/{model}"


def _translated(status: int, headers: Headers, body: bytes) -> tuple[int, Headers, bytes]:
    """Google's error in OpenAI's format, with the time to wait as a header."""
    failed = read_error(status, body)
    if failed is None:
        return status, headers, body
    kind = _KINDS.get(status, "invalid_request_error" if status < 500 else "server_error")
    written = _rewritten(headers)
    if failed.retry_after_s is not None and not any(name == b"retry-after" for name, _ in headers):
        written.append((b"retry-after", b"%d" % math.ceil(failed.retry_after_s)))
    return status, written, error_body(failed.message, kind, failed.code or failed.kind or None)


def _rewritten(headers: Headers) -> Headers:
    """The provider's headers but for those of a body that is not passed on."""
    return [*JSON_HEADERS, *((name, value) for name, value in headers if name not in _OF_THE_BODY)]

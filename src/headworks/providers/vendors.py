"""Providers that have code of their own, in one table: what each is called, needs, and is made by.

All others are rows of `catalog.toml`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

import msgspec

from headworks.providers import anthropic, azure, bedrock, gemini
from headworks.providers.contract import Provider
from headworks.providers.reaching import Client
from headworks.types.workspace import AccountSpec


class _Make(Protocol):
    def __call__(
        self,
        upstream: Client,
        environ: Mapping[str, str],
        *,
        account: AccountSpec | None = None,
        base_url: str | None = None,
    ) -> Provider: ...


class Vendor(msgspec.Struct, frozen=True, kw_only=True):
    """One of them. Its fields have the names of a catalogue's row where they mean the same.

    `key_env`: of these sets of variables one must be there whole; `beside`: and one of these, if there are any.
    `account_env` are those that an account may name as its `api_key_env`. `base_url` empty: the address is told by a
    variable. `models_url`: where the models are listed, for a key in the header `key_header`.
    """

    id: str
    name: str
    base_url: str = ""
    key_env: tuple[tuple[str, ...], ...]
    account_env: tuple[str, ...]
    beside: tuple[str, ...] = ()
    price_provider: str
    speaks: str
    models_url: str = ""
    key_header: str = ""
    make: _Make
    is_local: bool = False
    ports: tuple[int, ...] = ()

    def key_variable(self, environ: Mapping[str, str]) -> str | None:
        """The variable of the credential that is used; None: something is not set."""
        return None if self.missing(environ) else next(names[-1] for names in self.key_env if _all(names, environ))

    def missing(self, environ: Mapping[str, str]) -> str | None:
        """The variables that would have to be set, in words; None: nothing is missing."""
        if not any(_all(names, environ) for names in self.key_env):
            return " or ".join(" with ".join(names) for names in self.key_env)
        if self.beside and not any(environ.get(name, "").strip() for name in self.beside):
            return " or ".join(self.beside)
        return None


VENDORS: Mapping[str, Vendor] = {
    vendor.id: vendor
    for vendor in (
        Vendor(
            id="anthropic",
            name="Anthropic",
            base_url=anthropic.BASE_URL,
            key_env=tuple((name,) for name in anthropic.KEY_ENV),
            account_env=anthropic.KEY_ENV,
            price_provider="anthropic",
            speaks="Messages",
            models_url=f"{anthropic.BASE_URL}/v1/models",
            key_header="x-api-key",
            make=anthropic.Anthropic,
        ),
        Vendor(
            id="gemini",
            name="Google Gemini",
            base_url=gemini.BASE_URL,
            key_env=tuple((name,) for name in gemini.KEY_ENV),
            account_env=gemini.KEY_ENV,
            price_provider="google",
            speaks="generateContent",
            models_url=f"{gemini.BASE_URL}/models?pageSize=1000",
            key_header="x-goog-api-key",
            make=gemini.Gemini,
        ),
        Vendor(
            id="bedrock",
            name="Amazon Bedrock",
            key_env=((bedrock.BEARER_ENV,), bedrock.KEY_ENV),
            account_env=(bedrock.BEARER_ENV,),
            beside=bedrock.REGION_ENV,
            price_provider="aws",
            speaks="Converse",
            make=bedrock.Bedrock,
        ),
        Vendor(
            id="azure",
            name="Azure OpenAI",
            key_env=tuple((azure.ENDPOINT_ENV, name) for name in azure.KEY_ENV),
            account_env=azure.KEY_ENV,
            price_provider="azure",
            speaks="Chat Completions, Responses",
            make=azure.Azure,
        ),
    )
}
"""By id, which is the first half of `provider/model` and the `kind` of an account."""


def _all(names: tuple[str, ...], environ: Mapping[str, str]) -> bool:
    return all(environ.get(name, "").strip() for name in names)

"""Accounts: each kind of provider is made by its own code, and reached as its account says."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from headworks.errors import NotFound, UpstreamError
from headworks.gateway.accounts import Accounts
from headworks.providers.azure import Azure
from headworks.providers.bedrock import Bedrock
from headworks.providers.builtin import Builtin
from headworks.providers.compatible import Compatible
from headworks.providers.contract import Ask, Provider
from headworks.providers.reaching import Clients
from headworks.providers.upstream import Upstream
from headworks.providers.vendors import VENDORS
from headworks.types.workspace import AccountSpec

KINDS = ["openai", *VENDORS]
ENVIRON = {"KEY": "k", "AWS_REGION": "eu-central-1"}


def accounts(**environ: str) -> Accounts:
    """Make them inside an event loop."""
    environment = ENVIRON | environ
    return Accounts(Clients(Upstream(), environment), Builtin({}, {}), environment)


def account(kind: str, base_url: str = "http://llm.example/v1", **more: Any) -> AccountSpec:
    return AccountSpec("ours", kind, base_url, "KEY", "providers.yaml:2", **more)


def asked(provider: Provider) -> Ask:
    surface: Any = {"messages": "messages", "gemini": "gemini", "converse": "converse"}.get(provider.speaks[0], "chat")
    return Ask(surface, "m", b"{}")


@pytest.mark.parametrize(("kind", "made"), [("openai", Compatible), ("azure", Azure), ("bedrock", Bedrock)])
def test_an_account_is_made_once_by_the_code_of_its_kind_and_priced_as_it(kind: str, made: type) -> None:
    async def find() -> None:
        known = accounts()
        provider, priced_as = known.find("ours", account(kind))
        assert (type(provider), provider.name, priced_as) == (made, "ours", kind)
        assert known.find("ours", account(kind))[0] is provider
        assert known.find("ours", account(kind, "http://other.example/v1"))[0] is not provider
        assert known.find(kind, None)[0].name == kind

    asyncio.run(find())


@pytest.mark.parametrize("kind", KINDS)
def test_a_proxy_of_an_account_stands_before_every_kind_of_provider(kind: str) -> None:
    async def call() -> None:
        provider, _ = accounts().find("ours", account(kind, proxy="http://proxy.example:3128"))
        await provider.fetch(asked(provider))

    with pytest.raises(UpstreamError, match="the account's proxy would see its key"):  # it speaks http, not https
        asyncio.run(call())


@pytest.mark.parametrize("kind", KINDS)
def test_a_proxy_of_the_environment_stands_before_every_kind_of_provider(kind: str) -> None:
    async def call() -> None:
        known = accounts(https_proxy="http://127.0.0.1:9")
        provider, _ = known.find("ours", account(kind, "https://llm.example/v1"))
        try:
            await provider.fetch(asked(provider))
        finally:
            await known._clients.close()

    with pytest.raises(UpstreamError, match="proxy"):
        asyncio.run(call())


def test_an_unknown_provider_is_told_with_near_names_of_vendors_too() -> None:
    async def find() -> None:
        accounts().find("anthropc", None)

    with pytest.raises(NotFound) as raised:
        asyncio.run(find())
    assert "anthropic" in str(raised.value.next_step)

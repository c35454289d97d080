"""Providers with code of their own: what they need, what they cost, and that they can be found and made."""

from __future__ import annotations

import asyncio

import pytest

from headworks.app import surroundings
from headworks.errors import ModelMissing
from headworks.providers.catalog import Catalog, discover
from headworks.providers.prices import PriceTable, price_ids
from headworks.providers.upstream import Upstream
from headworks.providers.vendors import VENDORS

READY = {
    "anthropic": ({"ANTHROPIC_API_KEY": "k"}, "ANTHROPIC_API_KEY", "messages"),
    "gemini": ({"GOOGLE_API_KEY": "k"}, "GOOGLE_API_KEY", "gemini"),
    "bedrock": (
        {"AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "s", "AWS_DEFAULT_REGION": "eu-central-1"},
        "AWS_SECRET_ACCESS_KEY",
        "converse",
    ),
    "azure": (
        {"AZURE_OPENAI_ENDPOINT": "https://a.openai.azure.com", "AZURE_OPENAI_API_KEY": "k"},
        "AZURE_OPENAI_API_KEY",
        "chat",
    ),
}


async def nobody(url: str, key: str | None) -> object | None:
    del url, key
    return None


@pytest.mark.parametrize("name", VENDORS)
def test_a_vendor_is_found_by_its_variables_and_can_then_be_called(name: str) -> None:
    environ, source, surface = READY[name]
    (found,) = asyncio.run(discover(environ, nobody))
    assert (found.provider.id, found.source, found.models) == (name, source, ())
    provider = VENDORS[name].make(Upstream(), environ)
    provider.check(surface, "m")  # type: ignore[arg-type]  # a surface by its name
    assert (provider.name, provider.is_local) == (name, False)


@pytest.mark.parametrize("name", VENDORS)
def test_a_vendor_that_lacks_a_variable_is_not_found_and_says_which(name: str) -> None:
    environ, _, surface = READY[name]
    for left_out in environ:
        rest = {each: value for each, value in environ.items() if each != left_out}
        assert asyncio.run(discover(rest, nobody)) == []
        missing = VENDORS[name].missing(rest)
        assert missing is not None
        assert left_out in missing
        with pytest.raises(ModelMissing):
            VENDORS[name].make(Upstream(), rest).check(surface, "m")  # type: ignore[arg-type]  # as above
    assert VENDORS[name].missing(environ) is None


def test_vendors_and_the_catalogue_s_rows_do_not_share_ids_or_variables() -> None:
    rows = list(Catalog.load())
    assert not VENDORS.keys() & {row.id for row in rows}
    theirs = [name for vendor in VENDORS.values() for name in vendor.account_env]
    assert len(theirs) == len(set(theirs))
    assert not set(theirs) & {name for row in rows for name in row.key_env}


def test_a_workspace_may_have_accounts_of_vendors_with_their_usual_keys() -> None:
    around = surroundings(())
    assert VENDORS.keys() <= around.providers
    assert {
        "ANTHROPIC_API_KEY",
        "GEMINI_API_KEY",
        "AWS_BEARER_TOKEN_BEDROCK",
        "AZURE_OPENAI_API_KEY",
    } <= around.usual_env
    assert "AWS_SECRET_ACCESS_KEY" not in around.usual_env  # it signs, and is never sent


@pytest.mark.parametrize(
    "model",
    [
        "anthropic/claude-haiku-4-5",
        "gemini/gemini-2.5-flash",
        "bedrock/anthropic.claude-sonnet-5",
        "azure/gpt-4.1-mini",
    ],
)
def test_a_vendor_s_models_have_the_prices_of_the_tables(model: str) -> None:
    provider, _, name = model.partition("/")
    assert PriceTable.load().find(provider, name) is not None
    assert price_ids()[provider] == VENDORS[provider].price_provider

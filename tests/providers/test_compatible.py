"""Accounts with OpenAI-compatible providers: addresses, credentials, and what is said where one is missing."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import pytest

from headworks.errors import InvalidRequest, ModelMissing
from headworks.providers.catalog import Catalog, Provider
from headworks.providers.compatible import Compatible
from headworks.providers.contract import Ask
from headworks.providers.upstream import Upstream
from headworks.testing.provider import SimulatedProvider
from headworks.testing.replies import Reply, completion, streamed
from headworks.types.workspace import AccountSpec

ASK = Ask("chat", "m", b'{"model":"m"}')


@pytest.fixture
def provider() -> Iterator[SimulatedProvider]:
    with SimulatedProvider() as running:
        yield running


@pytest.fixture
async def upstream() -> AsyncIterator[Upstream]:
    made = Upstream()
    yield made
    await made.close()


def row(name: str) -> Provider:
    found = Catalog.load().get(name)
    assert found is not None
    return found


def account(base_url: str | None, variable: str | None = None, kind: str = "openai") -> AccountSpec:
    return AccountSpec("mine", kind, base_url, variable, "providers.yaml:1")


@pytest.mark.parametrize("name", [each.id for each in Catalog.load()])
def test_every_row_of_the_catalogue_makes_a_provider(name: str) -> None:
    environ = dict.fromkeys(row(name).key_env, "key")
    made = Compatible(row(name), Upstream(), environ)
    for surface in row(name).serves - {"models"}:
        made.check(surface, "m")  # type: ignore[arg-type]
    assert made.name == name
    assert made.is_local is bool(row(name).ports)
    assert made.cap_field in {"max_tokens", "max_completion_tokens"}


async def test_the_key_of_the_environment_travels_with_each_request(
    provider: SimulatedProvider, upstream: Upstream
) -> None:
    environ = {"MY_KEY": " sk-secret\n", "OPENAI_API_KEY": "sk-usual"}
    made = Compatible(row("openai"), upstream, environ, account=account(provider.url, "MY_KEY"))
    provider.will(Reply.json(completion("ok")), Reply.events(streamed("ok")))
    status, headers, body = await made.fetch(ASK)
    assert (status, dict(headers)[b"content-type"]) == (200, b"application/json")
    assert b"chatcmpl-1" in body
    answer = await made.stream(ASK)
    assert (await answer.read(10_000)).endswith(b"data: [DONE]\n\n")
    for seen in provider.seen:
        assert (seen.method, seen.path, seen.body) == ("POST", "/v1/chat/completions", ASK.body)
        assert seen.headers["authorization"] == "Bearer sk-secret"
        assert seen.headers["content-type"] == "application/json"


async def test_a_usual_key_never_travels_to_an_address_of_a_workspace(
    provider: SimulatedProvider, upstream: Upstream
) -> None:
    made = Compatible(row("openai"), upstream, {"OPENAI_API_KEY": "sk-usual"}, account=account(provider.url))
    made.check("chat", "m")
    provider.will(Reply.json(completion("ok")))
    await made.fetch(ASK)
    assert "authorization" not in provider.last.headers


async def test_headers_of_the_caller_go_on(provider: SimulatedProvider, upstream: Upstream) -> None:
    made = Compatible(row("openai"), upstream, {"K": "sk"}, account=account(provider.url, "K"))
    provider.will(Reply.json(completion("ok")))
    await made.fetch(Ask("chat", "m", b"{}", ((b"idempotency-key", b"once"),)))
    assert provider.last.headers["idempotency-key"] == "once"
    assert provider.last.headers["authorization"] == "Bearer sk"


def test_a_missing_credential_names_its_variable_and_no_value() -> None:
    made = Compatible(row("openai"), Upstream(), {"OPENAI_API_KEY": "  "})
    with pytest.raises(ModelMissing, match="OPENAI_API_KEY is not set"):
        made.check("chat", "gpt")
    named = Compatible(row("openai"), Upstream(), {"OPENAI_API_KEY": "sk"}, account=account(None, "MY_KEY"))
    with pytest.raises(ModelMissing, match="`mine/gpt` has no credential: MY_KEY"):
        named.check("chat", "gpt")
    assert "sk" not in repr(vars(named).keys())


def test_a_surface_that_a_provider_does_not_serve_is_named() -> None:
    chat_only = next(each for each in Catalog.load() if "embeddings" not in each.serves)
    with pytest.raises(InvalidRequest, match="does not serve embeddings"):
        Compatible(chat_only, Upstream(), {}).check("embeddings", "m")


def test_only_a_local_kind_at_a_local_address_stays_on_this_host() -> None:
    def is_local(kind: str, url: str) -> bool:
        return Compatible(row(kind), Upstream(), {}, account=account(url, kind=kind)).is_local

    assert is_local("vllm", "http://127.0.0.1:8000/v1")
    assert is_local("ollama", "http://localhost:11434/v1")
    assert not is_local("vllm", "http://gpu.example.org:8000/v1")
    assert not is_local("openai", "http://127.0.0.1:8000/v1")


async def test_a_local_server_is_reached_on_the_port_where_it_was_found(
    provider: SimulatedProvider, upstream: Upstream
) -> None:
    made = Compatible(row("vllm"), upstream, {}, base_url=provider.url)
    made.check("chat", "m")
    provider.will(Reply.json(completion("ok")))
    assert (await made.fetch(ASK))[0] == 200
    assert made.is_local

"""Azure OpenAI against a simulated provider, with OpenAI's own Azure client as the judge of what goes over the wire."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
from openai import AsyncOpenAI, AzureOpenAI, OpenAI

from headworks.errors import InvalidRequest, ModelMissing
from headworks.providers.azure import Azure
from headworks.providers.contract import Ask, Carrier, Errand, Surface
from headworks.providers.upstream import Upstream
from headworks.testing.provider import Seen, SimulatedProvider
from headworks.testing.replies import Reply, chunk, completion, streamed
from headworks.types.workspace import AccountSpec

VERSION = "2024-10-21"
EMBED = b'{"input":"Hi"}'
TOKEN = "eyJhbGciOiJSUzI1NiJ9.eyJhdWQiOiJ4In0.c2ln"
VECTORS = {"object": "list", "model": "e", "data": [{"object": "embedding", "index": 0, "embedding": [1.0]}]}
FILTERED = {"hate": {"filtered": False, "severity": "safe"}, "jailbreak": {"filtered": False, "detected": False}}
FRAMES = [
    # What Azure sends before the first token, and after the last one where its filter works behind the answer.
    {**chunk(), "id": "", "model": "", "choices": [], "prompt_filter_results": [
        {"prompt_index": 0, "content_filter_results": FILTERED}]},
    *streamed("Hel", "lo")[:-2],
    {**chunk(), "choices": [{"index": 0, "delta": {}, "finish_reason": None, "logprobs": None,
        "content_filter_results": FILTERED, "content_filter_offsets": {"check_offset": 1, "start_offset": 1}}]},
    *streamed()[-2:],
]  # fmt: skip


@pytest.fixture
def provider() -> Iterator[SimulatedProvider]:
    with SimulatedProvider() as running:
        yield running


@pytest.fixture
async def upstream() -> AsyncIterator[Upstream]:
    made = Upstream()
    yield made
    await made.close()


def endpoint(provider: SimulatedProvider) -> str:
    return provider.url.removesuffix("/v1")


def of_environ(upstream: Upstream, provider: SimulatedProvider, **environ: str) -> Azure:
    usual = {"AZURE_OPENAI_ENDPOINT": endpoint(provider), "AZURE_OPENAI_API_KEY": "0123abcd"}
    return Azure(upstream, usual | environ)


def account(base_url: str | None, variable: str | None = "MY_KEY", version: str | None = None) -> AccountSpec:
    return AccountSpec("mine", "azure", base_url, variable, "providers.yaml:1", api_version=version)


def places(model: str) -> list[tuple[Surface, str]]:
    return [("chat", model), ("embeddings", "ada-2"), ("responses", "gpt-5")]


def place(seen: Seen) -> tuple[str, str, str | None, str | None]:
    return seen.method, seen.path, seen.headers.get("api-key"), seen.headers.get("authorization")


def by_openais_client(provider: SimulatedProvider, **credential: Any) -> list[Seen]:
    """A chat completion, embeddings and a response as OpenAI's client asks Azure for them."""
    provider.forget()
    provider.will(Reply.json(completion("ok")), Reply.json(VECTORS), Reply.error(400))
    with AzureOpenAI(azure_endpoint=endpoint(provider), api_version=VERSION, max_retries=0, **credential) as client:
        client.chat.completions.create(model="gpt 4o/eu", messages=[{"role": "user", "content": "Hi"}])
        client.embeddings.create(model="ada-2", input="Hi", encoding_format="float")
        with pytest.raises(Exception, match="simulated"):
            client.responses.create(model="gpt-5", input="Hi")
    return list(provider.seen)


@pytest.mark.parametrize(
    ("credential", "environ"),
    [
        ({"api_key": "0123abcd"}, {}),
        ({"azure_ad_token": TOKEN}, {"AZURE_OPENAI_AD_TOKEN": TOKEN}),
        ({"azure_ad_token": TOKEN}, {"AZURE_OPENAI_AD_TOKEN": f" {TOKEN}\n", "AZURE_OPENAI_API_KEY": ""}),
    ],
    ids=["key", "token beside a key", "token"],
)
async def test_requests_go_where_openais_own_client_sends_them(
    credential: dict[str, str], environ: dict[str, str], provider: SimulatedProvider, upstream: Upstream
) -> None:
    wanted = by_openais_client(provider, **credential)
    provider.forget()
    azure = of_environ(upstream, provider, OPENAI_API_VERSION=VERSION, **environ)
    for surface, model in places("gpt 4o/eu"):
        azure.check(surface, model)
        await azure.fetch(Ask(surface, model, b"{}"))
    assert [place(each) for each in provider.seen] == [place(each) for each in wanted]
    assert provider.seen[0].path == f"/openai/deployments/gpt%204o%2Feu/chat/completions?api-version={VERSION}"
    assert {each.headers["accept-encoding"] for each in provider.seen} == {"identity"}


@pytest.mark.parametrize("behind", ["", "/", "/openai", "/openai/v1", "/openai/v1/"])
async def test_without_a_version_the_v1_style_is_spoken(
    behind: str, provider: SimulatedProvider, upstream: Upstream
) -> None:
    provider.will(Reply.json(completion("ok")), Reply.json(VECTORS))
    with OpenAI(base_url=f"{endpoint(provider)}/openai/v1/", api_key="0123abcd") as client:
        client.chat.completions.create(model="gpt-4o", messages=[{"role": "user", "content": "Hi"}])
        client.embeddings.create(model="ada-2", input="Hi", encoding_format="float")
    wanted = [each.path for each in provider.seen]
    provider.forget()
    azure = of_environ(upstream, provider, AZURE_OPENAI_ENDPOINT=endpoint(provider) + behind)
    for surface, model in places("gpt-4o"):
        await azure.fetch(Ask(surface, model, EMBED if surface == "embeddings" else b"{}"))
    assert [each.path for each in provider.seen] == [*wanted, "/openai/v1/responses"]
    assert [each.headers["api-key"] for each in provider.seen] == ["0123abcd"] * 3


@pytest.mark.parametrize(
    ("address", "version", "path"),
    [
        ("/openai/v1", "2024-10-21", "/openai/v1/chat/completions"),
        ("/openai/v1", "preview", "/openai/v1/chat/completions?api-version=preview"),
        ("", "preview", "/openai/v1/chat/completions?api-version=preview"),
        ("/openai", "2025-04-01-preview", "/openai/deployments/m/chat/completions?api-version=2025-04-01-preview"),
        (
            "/behind/a/proxy",
            "2024-10-21",
            "/behind/a/proxy/openai/deployments/m/chat/completions?api-version=2024-10-21",
        ),
    ],
)
async def test_the_version_of_an_account_chooses_its_style(
    address: str, version: str, path: str, provider: SimulatedProvider, upstream: Upstream
) -> None:
    own = account(endpoint(provider) + address, version=version)
    azure = Azure(upstream, {"MY_KEY": "k", "OPENAI_API_VERSION": "2023-05-15"}, account=own)
    await azure.fetch(Ask("chat", "m", b"{}"))
    assert provider.last.path == path


def test_an_old_version_is_asked_for_nothing_that_it_does_not_know(upstream: Upstream) -> None:
    old = Azure(upstream, {"AZURE_OPENAI_ENDPOINT": "https://x.openai.azure.com", "OPENAI_API_VERSION": "2024-02-01"})
    assert (old.takes_stream_options, old.cap_field) == (False, "max_tokens")
    for version in ("", "2024-10-21", "2025-04-01-preview", "preview"):
        new = Azure(upstream, {"OPENAI_API_VERSION": version})
        assert (new.takes_stream_options, new.cap_field) == (True, "max_completion_tokens")
    assert new.speaks == ("chat", "responses")
    assert new.is_local is False


async def test_frames_of_the_content_filter_and_azures_headers_pass_as_they_are(
    provider: SimulatedProvider, upstream: Upstream
) -> None:
    named: Any = {"x-ms-region": "Sweden Central", "apim-request-id": "1f-2e"}
    provider.will(Reply.events(FRAMES, **named), Reply.events(FRAMES, **named))
    azure = of_environ(upstream, provider, OPENAI_API_VERSION=VERSION)
    answer = await azure.stream(Ask("chat", "gpt-4o", b'{"stream":true}'))
    headers = dict(answer.headers)
    assert (headers[b"x-ms-region"], headers[b"apim-request-id"]) == (b"Sweden Central", b"1f-2e")
    ours = await answer.read(1_000_000)
    assert answer.complete
    async with AsyncOpenAI(base_url=f"{endpoint(provider)}/openai/v1", api_key="k") as client:
        stream = await client.chat.completions.create(
            model="m", messages=[{"role": "user", "content": "Hi"}], stream=True
        )
        chunks = [each async for each in stream]
    assert chunks[0].choices == []
    assert chunks[0].model_extra is not None
    assert "prompt_filter_results" in chunks[0].model_extra
    assert ours == b"".join(Reply.events(FRAMES).pieces)
    assert "".join(choice.delta.content or "" for each in chunks for choice in each.choices) == "Hello"


async def test_what_the_filter_refuses_is_an_answer_with_its_status(
    provider: SimulatedProvider, upstream: Upstream
) -> None:
    body = {"error": {"code": "content_filter", "status": 400, "innererror": {"code": "ResponsibleAIPolicyViolation"}}}
    provider.will(Reply.json(body, status=400, **{"retry-after-ms": "20"}))
    status, headers, raw = await of_environ(upstream, provider).fetch(Ask("chat", "m", b"{}"))
    assert status == 400
    assert (b"retry-after-ms", b"20") in headers
    assert b"ResponsibleAIPolicyViolation" in raw


async def test_headers_that_are_forwarded_go_beside_the_credential(
    provider: SimulatedProvider, upstream: Upstream
) -> None:
    azure = of_environ(upstream, provider)
    await azure.fetch(Ask("chat", "m", b"{}", forwarded=((b"x-ms-client-request-id", b"7"),)))
    assert (provider.last.headers["x-ms-client-request-id"], provider.last.headers["api-key"]) == ("7", "0123abcd")


@pytest.mark.parametrize(
    ("version", "path"),
    [
        ("2025-04-01-preview", "/openai/responses/resp_1?api-version=2025-04-01-preview&limit=1"),
        ("", "/openai/v1/responses/resp_1?limit=1"),
    ],
)
async def test_a_stored_response_is_asked_for_where_it_lies(
    upstream: Upstream, provider: SimulatedProvider, version: str, path: str
) -> None:
    azure = of_environ(upstream, provider, OPENAI_API_VERSION=version)
    assert isinstance(azure, Carrier)
    assert azure.carries("responses")
    assert not azure.carries("files")
    provider.will(Reply.json({"id": "resp_1"}))
    answer = await azure.carry(Errand("responses", b"DELETE", "/resp_1?limit=1"))
    assert await answer.read(1000) == b'{"id": "resp_1"}'
    assert (provider.last.method, provider.last.path) == ("DELETE", path)
    assert provider.last.headers["api-key"] == "0123abcd"
    assert "content-type" not in provider.last.headers
    assert b"0123abcd" not in azure.credential


def test_what_is_missing_is_named_before_anything_is_sent(upstream: Upstream) -> None:
    with pytest.raises(ModelMissing, match="`azure/m` has no address: AZURE_OPENAI_ENDPOINT is not set"):
        Azure(upstream, {"AZURE_OPENAI_API_KEY": "k"}).check("chat", "m")
    reached = Azure(upstream, {"AZURE_OPENAI_ENDPOINT": "https://x.openai.azure.com"})
    with pytest.raises(ModelMissing, match="AZURE_OPENAI_AD_TOKEN or AZURE_OPENAI_API_KEY is not set"):
        reached.check("chat", "m")
    with pytest.raises(InvalidRequest, match="`azure` does not serve rerank"):
        reached.check("rerank", "m")  # type: ignore[arg-type]


async def test_nothing_is_sent_without_an_address(upstream: Upstream) -> None:
    with pytest.raises(ModelMissing, match="has no address"):
        await Azure(upstream, {}).stream(Ask("chat", "m", b"{}"))


async def test_a_usual_key_never_travels_to_an_address_that_a_workspace_chose(
    provider: SimulatedProvider, upstream: Upstream
) -> None:
    usual = {"AZURE_OPENAI_API_KEY": "usual", "AZURE_OPENAI_AD_TOKEN": TOKEN, "MY_KEY": "mine"}
    bare = Azure(upstream, usual, account=account(endpoint(provider), None))
    with pytest.raises(ModelMissing, match="api_key_env of the account is not set"):
        bare.check("chat", "m")
    await bare.fetch(Ask("chat", "m", b"{}"))
    assert not {"api-key", "authorization"} & provider.last.headers.keys()
    await Azure(upstream, usual, account=account(endpoint(provider))).fetch(Ask("chat", "m", b"{}"))
    assert provider.last.headers["api-key"] == "mine"


def test_the_credential_stands_in_no_error_and_no_description(upstream: Upstream) -> None:
    azure = Azure(upstream, {"AZURE_OPENAI_API_KEY": "very-secret"})
    with pytest.raises(ModelMissing) as missing:
        azure.check("chat", "m")
    assert "very-secret" not in f"{missing.value}{azure!r}"

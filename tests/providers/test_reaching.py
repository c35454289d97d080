"""Which client reaches what."""

from __future__ import annotations

from typing import Any

import pytest
from connect_proxy import connect_proxy

from headworks.errors import StartupRefused, UpstreamError
from headworks.providers.aiohttp_upstream import AiohttpUpstream
from headworks.providers.reaching import Clients, Proxies, origin_of
from headworks.providers.upstream import Origin, Upstream
from headworks.types.workspace import AccountSpec

ASK = (b"POST", b"/v1/chat/completions", [(b"authorization", b"Bearer sk")], b"{}")


def account(**reached: str) -> AccountSpec:
    return AccountSpec("mine", "openai", None, None, "providers.yaml:1", **reached)


def proxy_for(url: str, **environ: str) -> str | None:
    return Proxies(environ).proxy_for(Origin.of(url)[0])


def test_without_a_proxy_our_own_client_reaches_everything() -> None:
    ours = Upstream()
    clients = Clients(ours, {"NO_PROXY": "*", "HTTPS_PROXY": " "})
    assert clients.of(None) is ours
    assert clients.of(account(ca_file="/etc/ssl/ours.pem")) is ours


@pytest.mark.parametrize(
    ("url", "environ", "proxy"),
    [
        ("https://api.example.com", {"HTTPS_PROXY": "http://p:3128"}, "http://p:3128"),
        ("https://api.example.com", {"https_proxy": "http://p:1", "HTTPS_PROXY": "http://q:1"}, "http://p:1"),
        ("https://api.example.com", {"HTTPS_PROXY": "p:3128"}, "http://p:3128"),
        ("https://api.example.com", {"HTTP_PROXY": "http://p:3128"}, None),
        ("http://10.0.0.5:8000", {"HTTP_PROXY": "http://p:3128"}, "http://p:3128"),
        ("http://10.0.0.5:8000", {"HTTPS_PROXY": "http://p:3128"}, None),
        ("https://api.example.com", {"ALL_PROXY": "https://me:word@p"}, "https://me:word@p"),
        ("http://127.0.0.1:11434", {"ALL_PROXY": "http://p:3128"}, None),
        ("http://[::1]:11434", {"ALL_PROXY": "http://p:3128"}, None),
        ("http://localhost:11434", {"ALL_PROXY": "http://p:3128"}, None),
    ],
)
def test_the_environment_names_proxies_as_everywhere(url: str, environ: dict[str, str], proxy: str | None) -> None:
    assert proxy_for(url, **environ) == proxy


@pytest.mark.parametrize(
    ("exempt", "is_exempt"),
    [
        ("*", True),
        ("api.example.com", True),
        ("example.com", True),
        (".example.com", True),
        ("*.example.com", True),
        ("EXAMPLE.com , other", True),
        ("ample.com", False),
        ("api.example.com.evil", False),
        ("example.com:443", True),
        ("example.com:8443", False),
        ("10.0.0.0/8", False),
        ("", False),
        (" , ", False),
        (".", False),
    ],
)
def test_what_needs_no_proxy_is_reached_directly(exempt: str, is_exempt: bool) -> None:  # noqa: FBT001 -- a parameter
    proxy = proxy_for("https://api.example.com", HTTPS_PROXY="http://p:3128", NO_PROXY=exempt)
    assert (proxy is None) is is_exempt


@pytest.mark.parametrize(("exempt", "is_exempt"), [("10.0.0.0/8", True), ("10.1.2.3", True), ("10.1.2.4/31", False)])
def test_addresses_and_networks_need_no_proxy(exempt: str, is_exempt: bool) -> None:  # noqa: FBT001 -- a parameter
    proxy = proxy_for("https://10.1.2.3", HTTPS_PROXY="http://p:3128", no_proxy=exempt)
    assert (proxy is None) is is_exempt


@pytest.mark.parametrize(
    ("address", "said"),
    [
        ("socks5://me:secret@p:1080", "The proxy in HTTPS_PROXY is not of http or https"),
        ("http://me:secret@p:port", "The proxy in HTTPS_PROXY can't be read"),
        ("http://me:secret@/", "The proxy in HTTPS_PROXY is not http(s)://host:port"),
    ],
)
def test_a_proxy_that_can_t_be_used_is_refused_and_never_gone_round(address: str, said: str) -> None:
    with pytest.raises(StartupRefused) as refused:
        Clients(Upstream(), {"HTTPS_PROXY": address})
    assert said in str(refused.value)
    assert "secret" not in str(refused.value)


async def test_the_environments_proxy_is_taken_for_what_is_not_exempt(provide: Any) -> None:
    async with connect_proxy() as proxy, provide(provide.answering(provide.OK)) as provider:
        clients = Clients(Upstream(), {"HTTP_PROXY": proxy.url})
        client = clients.of(None)
        assert (await client.fetch(provider.origin, *ASK))[2] == b"ok"
        assert proxy.heads == [], "it is on this host"
        elsewhere = Origin("http", "provider.invalid", provider.origin.port)
        answer = await client.send(elsewhere, *ASK)
        assert (answer.status, await answer.read(10)) == (502, b"")
        await clients.close()
        assert proxy.heads[0].startswith(b"POST http://provider.invalid:")


async def test_an_accounts_proxy_goes_first_and_is_for_https_alone(provide: Any) -> None:
    async with (
        connect_proxy() as theirs,
        connect_proxy(status=403) as mine,
        provide(provide.answering(provide.OK)) as p,
    ):
        clients = Clients(Upstream(), {"HTTPS_PROXY": theirs.url, "NO_PROXY": "*"})
        client = clients.of(account(proxy=mine.url))
        with pytest.raises(UpstreamError, match=rf"through the proxy 127.0.0.1:{mine.port}"):
            await client.fetch(Origin("https", "api.example.com", 443), *ASK)
        with pytest.raises(UpstreamError, match="the account's proxy would see its key"):
            await client.fetch(p.origin, *ASK)
        await clients.close()
        assert (len(mine.heads), theirs.heads, p.requests) == (1, [], [])


async def test_accounts_that_are_reached_alike_share_a_client() -> None:
    clients = Clients(Upstream(), {})
    shown = account(client_certificate="/etc/ssl/gateway.pem")
    assert isinstance(clients.of(shown), AiohttpUpstream)
    assert clients.of(shown) is clients.of(account(client_certificate="/etc/ssl/gateway.pem"))
    assert clients.of(shown) is not clients.of(account(client_certificate="/etc/ssl/other.pem"))
    await clients.close()


def test_an_account_says_whom_it_trusts() -> None:
    origin, path = origin_of("https://llm.ours/v1/", account(ca_file="/etc/ssl/ours.pem"))
    assert (str(origin.ca_file), path) == ("/etc/ssl/ours.pem", "/v1")
    assert origin_of("https://llm.ours/v1", None)[0].ca_file is None

"""What only the second client does: proxies, and certificates of our own. Other tests have what both do."""

from __future__ import annotations

import asyncio
import socket
import ssl
from pathlib import Path
from typing import Any

import pytest
from certificates import authority
from connect_proxy import connect_proxy

from headworks.errors import UpstreamError, UpstreamTimeout, UpstreamTruncated
from headworks.providers.aiohttp_upstream import AiohttpUpstream
from headworks.providers.upstream import Deadlines, Origin

POST, PATH = b"POST", b"/v1/chat/completions?a=%2F+b&c=d"
KEY = [(b"authorization", b"Bearer sk-secret")]
CHUNKED = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"


@pytest.fixture(params=["asyncio", "uvloop"])
def anyio_backend(request: pytest.FixtureRequest) -> tuple[str, dict[str, bool]]:
    return "asyncio", {"use_uvloop": request.param == "uvloop"}


@pytest.fixture
def tls(tmp_path: Path) -> tuple[Path, ssl.SSLContext]:
    return authority("Ours", tmp_path, "127.0.0.1")


def trusting(origin: Origin, ca_file: Path) -> Origin:
    return Origin(origin.scheme, origin.host, origin.port, ca_file)


async def ask(upstream: AiohttpUpstream, origin: Origin, deadlines: Deadlines | None = None) -> bytes:
    return (await upstream.fetch(origin, POST, PATH, KEY, b"{}", deadlines or Deadlines()))[2]


async def test_an_https_provider_is_reached_through_a_tunnel_that_shows_nothing(provide: Any, tls: Any) -> None:
    ca_file, context = tls
    async with connect_proxy() as proxy, provide(provide.answering(provide.OK), tls=context) as provider:
        upstream = AiohttpUpstream(proxy=proxy.url)
        for _ in range(3):
            assert await ask(upstream, trusting(provider.origin, ca_file)) == b"ok"
        await upstream.close()
        assert len(provider.connections) == 1, "the tunnel is kept"
        head, body = provider.requests[0]
        assert head.startswith(b"POST /v1/chat/completions?a=%2F+b&c=d HTTP/1.1\r\n")
        assert b"\r\nauthorization: Bearer sk-secret\r\n" in head
        assert body == b"{}"
        (seen,) = proxy.heads
        assert seen.startswith(b"CONNECT %b HTTP/1.1\r\n" % str(provider.origin).encode())
        assert b"secret" not in seen + bytes(proxy.seen)


async def test_a_stream_arrives_byte_for_byte_through_a_tunnel(provide: Any, tls: Any) -> None:
    pieces = [b": comment\n\n", b"data: \xf0\x9f", b"\x8e\x89 12345678901234567890 \r\n\r\n", b"data: [DONE]\n\n"]

    async def stepwise(peer: Any) -> None:
        await peer.request()
        await peer.say(CHUNKED)
        for number, piece in enumerate(pieces):
            await asked[number].wait()
            await peer.say(b"%x\r\n%b\r\n" % (len(piece), piece))
        await peer.say(b"0\r\n\r\n")
        await peer.gone()

    asked = [asyncio.Event() for _ in pieces]
    ca_file, context = tls
    async with connect_proxy() as proxy, provide(stepwise, tls=context) as provider:
        upstream = AiohttpUpstream(proxy=proxy.url)
        async with await upstream.send(trusting(provider.origin, ca_file), POST, PATH, KEY, b"{}") as answer:
            for number, piece in enumerate(pieces):
                asked[number].set()
                assert await anext(answer) == piece
            assert [piece async for piece in answer] == []
            assert answer.complete
        await upstream.close()


async def test_an_http_provider_is_asked_for_by_its_whole_address(provide: Any) -> None:
    async with connect_proxy() as proxy, provide(provide.answering(provide.OK)) as provider:
        upstream = AiohttpUpstream(proxy=proxy.url)
        assert await ask(upstream, provider.origin) == b"ok"
        await upstream.close()
        wanted = b"POST http://%b/v1/chat/completions?a=%%2F+b&c=d HTTP/1.1\r\n" % str(provider.origin).encode()
        assert proxy.heads[0].startswith(wanted)


@pytest.mark.parametrize("scheme", ["http", "https"])
async def test_a_proxys_name_and_password_are_shown_to_it_alone(scheme: str, provide: Any, tls: Any) -> None:
    ca_file, context = tls
    over = context if scheme == "https" else None
    async with connect_proxy() as proxy, provide(provide.answering(provide.OK), tls=over) as provider:
        upstream = AiohttpUpstream(proxy=proxy.url.replace("//", "//me:p%40ss@"))
        assert await ask(upstream, trusting(provider.origin, ca_file)) == b"ok"
        await upstream.close()
        assert b"proxy-authorization: basic bwu6cebzcw==" in proxy.heads[0].lower()
        if scheme == "https":
            assert b"proxy-auth" not in provider.requests[0][0].lower()


@pytest.mark.parametrize(("status", "step"), [(407, "write them into HTTPS_PROXY"), (403, "Ask its owner"), (502, "")])
async def test_a_proxy_that_refuses_is_named_with_its_status(status: int, step: str, provide: Any, tls: Any) -> None:
    ca_file, context = tls
    async with connect_proxy(status=status) as proxy, provide(provide.answering(provide.OK), tls=context) as provider:
        upstream = AiohttpUpstream(proxy=proxy.url.replace("//", "//me:pass@"))
        with pytest.raises(
            UpstreamError, match=rf"through the proxy 127.0.0.1:{proxy.port}.*status {status}"
        ) as refused:
            await ask(upstream, trusting(provider.origin, ca_file))
        await upstream.close()
        assert step in str(refused.value)
        assert str(provider.origin) in str(refused.value)
        assert "pass" not in str(refused.value).replace("password", "")
        assert provider.requests == []


async def test_a_proxy_that_is_not_there_or_says_nothing_is_named(provide: Any, tls: Any) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        upstream = AiohttpUpstream(proxy=f"http://127.0.0.1:{unused.getsockname()[1]}")
        with pytest.raises(UpstreamError, match=rf"the proxy 127.0.0.1:{unused.getsockname()[1]} refuses connections"):
            await ask(upstream, Origin("https", "llm.example", 443))
        await upstream.close()
    async with connect_proxy(silent=True) as proxy:
        upstream = AiohttpUpstream(proxy=proxy.url)
        with pytest.raises(UpstreamTimeout, match="connect deadline of 0.2 s: it does not answer"):
            await ask(upstream, Origin("https", "llm.example", 443), Deadlines(connect_s=0.2))
        await upstream.close()


async def test_behind_a_proxy_the_certificate_is_the_providers(provide: Any, tls: Any, tmp_path: Path) -> None:
    _, context = tls
    other, _ = authority("Another", tmp_path, "127.0.0.1")
    async with connect_proxy() as proxy, provide(provide.answering(provide.OK), tls=context) as provider:
        upstream = AiohttpUpstream(proxy=proxy.url)
        with pytest.raises(UpstreamError, match=rf"certificate of {provider.origin} is not trusted"):
            await ask(upstream, trusting(provider.origin, other))
        await upstream.close()
        assert b"secret" not in proxy.seen


@pytest.mark.parametrize("behind", [False, True], ids=["directly", "behind a proxy"])
@pytest.mark.parametrize("stage", ["before the head", "in the body", "in the request"])
async def test_cancelling_who_waits_closes_the_connection_to_the_provider(
    stage: str,
    behind: bool,  # noqa: FBT001 -- a parameter of the test
    provide: Any,
    tls: Any,
) -> None:
    told = asyncio.Event()

    async def stall(peer: Any) -> None:
        if stage == "in the request":  # it reads nothing: megabytes stay unsent
            told.set()
            await go_on.wait()
            await peer.gone()
            return
        await peer.request()
        if stage == "in the body":
            await peer.say(CHUNKED, b"2\r\nok\r\n")
        told.set()
        await peer.gone()

    async def stream(upstream: AiohttpUpstream, origin: Origin, body: bytes) -> None:
        async for _ in await upstream.send(origin, POST, PATH, KEY, body):
            pass

    go_on = asyncio.Event()
    ca_file, context = tls
    body = bytes(32 * 1024 * 1024) if stage == "in the request" else b"{}"
    async with connect_proxy() as proxy, provide(stall, tls=context if behind else None) as provider:
        upstream = AiohttpUpstream(proxy=proxy.url if behind else None)
        task = asyncio.ensure_future(stream(upstream, trusting(provider.origin, ca_file), body))
        await told.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        go_on.set()
        await provider.closed(0)
        await upstream.close()


async def test_a_certificate_of_our_own_is_shown_where_it_is_asked_for(provide: Any, tmp_path: Path) -> None:
    ca_file, context = authority("Ours", tmp_path, "127.0.0.1")
    theirs, _ = authority("Theirs", tmp_path, "gateway.example")
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_verify_locations(theirs)
    async with provide(provide.answering(provide.OK), tls=context) as provider:
        origin = trusting(provider.origin, ca_file)
        upstream = AiohttpUpstream(client_certificate=tmp_path / "Theirs-chain.pem")
        assert await ask(upstream, origin) == b"ok"
        await upstream.close()
        named = provider.connections[0].writer.get_extra_info("peercert")["subject"]
        assert named == ((("commonName", "gateway.example"),),)
        bare = AiohttpUpstream()
        with pytest.raises(UpstreamError):
            await ask(bare, origin)
        await bare.close()
        assert len(provider.requests) == 1


async def test_a_certificate_that_can_t_be_read_is_named(tmp_path: Path) -> None:
    wrong = tmp_path / "me.pem"
    for _ in range(2):
        upstream = AiohttpUpstream(client_certificate=wrong)
        with pytest.raises(UpstreamError, match=r"client certificate .*me.pem can't be read"):
            await ask(upstream, Origin("https", "127.0.0.1", 1))
        await upstream.close()
        wrong.write_text("no certificate")


async def test_cookies_are_forgotten_redirects_not_followed_and_the_environment_not_asked(
    provide: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    moved = b"HTTP/1.1 307 There\r\nset-cookie: session=1\r\nlocation: /elsewhere\r\ncontent-length: 0\r\n\r\n"
    async with provide(provide.answering(moved)) as provider:
        upstream = AiohttpUpstream()
        for _ in range(2):
            status, headers, _ = await upstream.fetch(provider.origin, POST, PATH, KEY, b"{}")
            assert status == 307
            assert (b"set-cookie", b"session=1") in headers
        await upstream.close()
        assert len(provider.requests) == 2
        assert not any(b"cookie" in head.lower() for head, _ in provider.requests)


async def test_only_the_headers_that_were_given_are_sent(provide: Any) -> None:
    async with provide(provide.answering(provide.OK)) as provider:
        upstream = AiohttpUpstream()
        await upstream.fetch(provider.origin, POST, PATH, KEY, b"x" * (2 * 1024 * 1024))
        await upstream.close()
        head, body = provider.requests[0]
        names = sorted(line.split(b":")[0].lower() for line in head.split(b"\r\n")[1:-2])
        assert names == [b"accept-encoding", b"authorization", b"content-length", b"host"]
        assert len(body) == 2 * 1024 * 1024


async def test_a_tunnel_that_breaks_in_an_answer_is_a_cut(provide: Any, tls: Any) -> None:
    async def cut(peer: Any) -> None:
        await peer.request()
        await peer.say(CHUNKED, b"5\r\nhello\r\n")
        peer.reset()

    ca_file, context = tls
    async with connect_proxy() as proxy, provide(cut, tls=context) as provider:
        upstream = AiohttpUpstream(proxy=proxy.url)
        with pytest.raises(UpstreamTruncated, match="in the middle of its answer"):
            await ask(upstream, trusting(provider.origin, ca_file))
        await upstream.close()

"""Getting a connection: kept ones, new ones, none; and TLS."""

from __future__ import annotations

import asyncio
import socket
from pathlib import Path
from typing import Any

import pytest
from certificates import authority

from headworks.errors import InvalidRequest, UpstreamError, UpstreamTimeout
from headworks.providers.upstream import Deadlines, Origin, Upstream

POST, PATH = b"POST", b"/v1/chat/completions"


@pytest.fixture(params=["asyncio", "uvloop"])
def anyio_backend(request: pytest.FixtureRequest) -> tuple[str, dict[str, bool]]:
    return "asyncio", {"use_uvloop": request.param == "uvloop"}


async def ask(upstream: Upstream, origin: Origin, deadlines: Deadlines | None = None) -> bytes:
    return (await upstream.fetch(origin, POST, PATH, [], b"{}", deadlines or Deadlines()))[2]


async def dies_at_the_second_request(peer: Any) -> None:
    await peer.request()
    await peer.say(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok")
    await peer.request()


async def dies_at_once(peer: Any) -> None:
    await peer.request()


async def test_a_kept_connection_that_dies_unanswered_is_replaced_once(provide: Any, upstream: Upstream) -> None:
    async with provide(dies_at_the_second_request, provide.answering(provide.OK)) as provider:
        assert [await ask(upstream, provider.origin) for _ in range(3)] == [b"ok"] * 3
        assert len(provider.connections) == 2
        assert len(provider.requests) == 4


async def test_it_is_replaced_no_more_than_once(provide: Any, upstream: Upstream) -> None:
    async with provide(dies_at_the_second_request, dies_at_once, provide.answering(provide.OK)) as provider:
        await ask(upstream, provider.origin)
        with pytest.raises(UpstreamError, match="without an answer"):
            await ask(upstream, provider.origin)
        assert len(provider.requests) == 3
        assert await ask(upstream, provider.origin) == b"ok"


async def test_a_kept_connection_that_dies_in_its_answer_is_not_replaced(provide: Any, upstream: Upstream) -> None:
    async def dies_answering(peer: Any) -> None:
        await dies_at_the_second_request(peer)
        await peer.say(b"HTTP/1.1 2")

    async with provide(dies_answering, provide.answering(provide.OK)) as provider:
        await ask(upstream, provider.origin)
        with pytest.raises(UpstreamError, match="without an answer"):
            await ask(upstream, provider.origin)
        assert len(provider.requests) == 2


async def test_the_replacement_is_a_new_connection_even_when_others_are_idle(provide: Any, upstream: Upstream) -> None:
    gate = asyncio.Event()

    async def stale(peer: Any) -> None:
        await peer.request()
        await gate.wait()
        await peer.say(provide.OK)
        await peer.request()

    async with provide(stale, stale, provide.answering(provide.OK)) as provider:
        both = asyncio.gather(ask(upstream, provider.origin), ask(upstream, provider.origin))
        while len(provider.requests) < 2:
            await asyncio.sleep(0)
        gate.set()
        await both
        assert await ask(upstream, provider.origin) == b"ok"
        assert len(provider.connections) == 3


async def test_when_all_connections_are_busy_one_waits_for_the_next(provide: Any, new_upstream: Any) -> None:
    upstream = new_upstream(max_connections_per_origin=2)
    async with provide(provide.answering(provide.OK)) as provider:
        bodies = await asyncio.gather(*(ask(upstream, provider.origin) for _ in range(20)))
        assert bodies == [b"ok"] * 20
        assert len(provider.connections) == 2
    await upstream.close()


async def test_waiting_for_a_free_connection_ends_with_the_connect_deadline(provide: Any, new_upstream: Any) -> None:
    upstream = new_upstream(max_connections_per_origin=1)

    async def busy(peer: Any) -> None:
        await peer.request()
        await let_go.wait()
        await peer.say(provide.OK)
        await peer.gone()

    let_go = asyncio.Event()
    async with provide(busy) as provider:
        first = asyncio.ensure_future(ask(upstream, provider.origin))
        while not provider.requests:
            await asyncio.sleep(0)
        with pytest.raises(UpstreamTimeout, match=r"connect deadline of 0.05 s: all 1 connections to it are busy"):
            await ask(upstream, provider.origin, Deadlines(connect_s=0.05))
        let_go.set()
        assert await first == b"ok"
    await upstream.close()


async def test_cancelled_waiters_leave_the_line_in_order(provide: Any, new_upstream: Any) -> None:
    upstream = new_upstream(max_connections_per_origin=1)
    async with provide(provide.answering(provide.OK)) as provider:
        for lag in range(12):
            tasks = [asyncio.ensure_future(ask(upstream, provider.origin)) for _ in range(6)]
            for _ in range(lag):
                await asyncio.sleep(0)
            for task in tasks[:5]:
                task.cancel()
            results = await asyncio.gather(*tasks, return_exceptions=True)
            assert results[5] == b"ok"
            assert all(result == b"ok" or isinstance(result, asyncio.CancelledError) for result in results)
        assert await ask(upstream, provider.origin, Deadlines(connect_s=5)) == b"ok"
    await upstream.close()


async def test_a_connection_without_work_is_closed_in_time(provide: Any, new_upstream: Any) -> None:
    upstream = new_upstream(idle_keepalive_s=0.05)

    async def patient(peer: Any) -> None:
        await peer.request()
        await peer.say(provide.OK)
        await peer.gone()

    async with provide(patient) as provider:
        await ask(upstream, provider.origin)
        await provider.closed(0)
    await upstream.close()


async def test_closing_fails_what_is_under_way_and_all_that_follows(provide: Any, new_upstream: Any) -> None:
    upstream = new_upstream()

    async def silent(peer: Any) -> None:
        await peer.request()
        await peer.gone()

    async with provide(silent) as provider:
        task = asyncio.ensure_future(ask(upstream, provider.origin))
        while not provider.requests:
            await asyncio.sleep(0)
        await upstream.close()
        with pytest.raises(UpstreamError, match="without an answer"):
            await task
        await provider.closed(0)
        with pytest.raises(UpstreamError, match="shutting down"):
            await ask(upstream, provider.origin)


async def test_closing_while_connecting_leaves_nothing_open(provide: Any, new_upstream: Any) -> None:
    upstream = new_upstream()
    async with provide(provide.answering(provide.OK)) as provider:
        for steps in range(6):
            upstream = new_upstream()
            task = asyncio.ensure_future(ask(upstream, provider.origin))
            for _ in range(steps):
                await asyncio.sleep(0)
            await upstream.close()
            (result,) = await asyncio.gather(task, return_exceptions=True)
            assert result == b"ok" or isinstance(result, UpstreamError)
        for number in range(len(provider.connections)):
            await provider.closed(number)


async def test_a_port_where_nobody_listens_is_named(upstream: Upstream) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        origin = Origin("http", "127.0.0.1", unused.getsockname()[1])
        with pytest.raises(
            UpstreamError, match=rf"127.0.0.1:{origin.port} refuses connections. Is the provider running"
        ):
            await ask(upstream, origin)


async def test_a_name_that_does_not_exist_is_named(upstream: Upstream) -> None:
    with pytest.raises(UpstreamError, match=r"name of nowhere.invalid:80 can't be resolved"):
        await ask(upstream, Origin("http", "nowhere.invalid", 80))


def trusting(origin: Origin, ca_file: Path | None, host: str | None = None) -> Origin:
    return Origin(origin.scheme, host or origin.host, origin.port, ca_file)


async def test_over_tls_the_authority_is_the_one_named_and_http_1_is_agreed(
    provide: Any, upstream: Upstream, tmp_path: Path
) -> None:
    ca_file, context = authority("Our Authority", tmp_path, "127.0.0.1")
    async with provide(provide.answering(provide.OK), tls=context) as provider:
        origin = trusting(provider.origin, ca_file)
        assert [await ask(upstream, origin) for _ in range(3)] == [b"ok"] * 3
        assert len(provider.connections) == 1
        assert provider.connections[0].writer.get_extra_info("ssl_object").selected_alpn_protocol() == "http/1.1"
        async with await upstream.send(origin, POST, PATH, [], b"{}") as answer:
            assert await answer.read(10) == b"ok"


async def test_over_tls_a_cut_is_seen_as_one(provide: Any, upstream: Upstream, tmp_path: Path) -> None:
    async def cut(peer: Any) -> None:
        await peer.request()
        await peer.say(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n1234")

    ca_file, context = authority("Our Authority", tmp_path, "127.0.0.1")
    async with provide(cut, tls=context) as provider:
        with pytest.raises(UpstreamError, match="in the middle"):
            await ask(upstream, trusting(provider.origin, ca_file))


@pytest.mark.parametrize(("host", "signer"), [("127.0.0.1", "Another"), ("localhost", "Ours"), ("127.0.0.1", "System")])
async def test_a_certificate_of_another_authority_or_name_is_refused(
    host: str, signer: str, provide: Any, upstream: Upstream, tmp_path: Path
) -> None:
    ca_file, context = authority("Ours", tmp_path, "127.0.0.1")
    files = {"Ours": ca_file, "Another": authority("Another", tmp_path, "127.0.0.1")[0], "System": None}
    async with provide(provide.answering(provide.OK), tls=context) as provider:
        with pytest.raises(UpstreamError, match=rf"certificate of {host}:{provider.origin.port} is not trusted"):
            await ask(upstream, trusting(provider.origin, files[signer], host))
        assert provider.requests == []


async def test_speaking_tls_to_a_port_without_it_is_named(provide: Any, upstream: Upstream) -> None:
    async def plain(peer: Any) -> None:
        await peer.reader.readexactly(5)
        await peer.say(b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n")

    async with provide(plain) as provider:
        with pytest.raises(UpstreamError, match=r"No TLS with 127.0.0.1.*Does it speak https"):
            await ask(upstream, Origin("https", "127.0.0.1", provider.origin.port))


async def test_a_server_that_never_shakes_hands_is_given_up_by_the_connect_deadline(
    provide: Any, upstream: Upstream
) -> None:
    async def deaf(peer: Any) -> None:
        await peer.gone()

    async with provide(deaf) as provider:
        with pytest.raises(UpstreamTimeout, match=r"connect deadline of 0.1 s: it does not answer"):
            await ask(upstream, Origin("https", "127.0.0.1", provider.origin.port), Deadlines(connect_s=0.1))
        await provider.closed(0)


async def test_a_file_of_authorities_that_is_none_is_named(upstream: Upstream, tmp_path: Path) -> None:
    wrong = tmp_path / "ca.pem"
    for _ in range(2):
        with pytest.raises(UpstreamError, match=r"ca.pem can't be read"):
            await ask(upstream, Origin("https", "127.0.0.1", 1, wrong))
        wrong.write_text("not a certificate")


def test_an_address_is_split_into_origin_and_path() -> None:
    assert Origin.of("https://api.example.com/v1/") == (Origin("https", "api.example.com", 443), "/v1")
    assert Origin.of("http://LOCALHOST:11434") == (Origin("http", "localhost", 11434), "")
    assert str(Origin.of("http://[::1]:8000/v1")[0]) == "[::1]:8000"
    assert Origin.of("https://bücher.example/v1")[0].host == "xn--bcher-kva.example"
    assert Origin("https", "api.example.com", 443).host_line == b"host: api.example.com\r\n"
    assert Origin("http", "::1", 8000).host_line == b"host: [::1]:8000\r\n"
    assert Origin("http", "::1", 80).host_line == b"host: [::1]\r\n"


@pytest.mark.parametrize(
    "url",
    ["", "api.example.com", "ftp://a/", "https://", "https://user:secret@a/", "http://a:x/", "https://a/?key=secret"],
)
def test_an_address_that_is_none_is_refused_without_being_repeated(url: str) -> None:
    with pytest.raises(InvalidRequest, match="address of a provider") as refused:
        Origin.of(url)
    assert "secret" not in str(refused.value)

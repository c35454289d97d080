"""One connection against providers that misbehave: what is refused, when it gives up, what it leaves behind."""

from __future__ import annotations

import asyncio
import struct
from socket import SO_LINGER, SOL_SOCKET
from typing import Any

import pytest

from headworks.errors import UpstreamError, UpstreamTimeout, UpstreamTruncated
from headworks.providers.upstream import Deadlines, Limits, Upstream

POST, PATH, NO_HEADERS = b"POST", b"/v1/chat/completions?key=secret", [(b"authorization", b"Bearer sk-secret")]
SIZED = b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\n"
CHUNKED = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"
LIMIT_S = 20


@pytest.fixture(params=["asyncio", "uvloop"])
def anyio_backend(request: pytest.FixtureRequest) -> tuple[str, dict[str, bool]]:
    return "asyncio", {"use_uvloop": request.param == "uvloop"}


def once(*pieces: bytes, then: str = "close") -> Any:
    """Answers one request with these bytes, then closes, resets or stays silent."""

    async def script(peer: Any) -> None:
        await peer.request()
        await peer.say(*pieces)
        if then == "silence":
            await peer.gone()
        elif then == "reset":
            peer.writer.get_extra_info("socket").setsockopt(SOL_SOCKET, SO_LINGER, struct.pack("ii", 1, 0))
            peer.writer.transport.abort()

    return script


async def drain(response: Any, into: list[bytes]) -> None:
    async for piece in response:
        into += [piece]  # one by one: an error must not take away what came before


@pytest.mark.parametrize(
    ("answer", "complaint"),
    [
        (b"<!doctype html><title>Sign in</title>", "not an HTTP/1.1 answer"),
        (b"SSH-2.0-OpenSSH_9.2\r\n", "not an HTTP/1.1 answer"),
        (b"HTTP/2 200\r\n\r\n", "not an HTTP/1.1 answer"),
        (SIZED[:-2] + b"transfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n", "not an HTTP/1.1 answer"),
        (CHUNKED[:-2] + b"content-length: 2\r\n\r\n2\r\nok\r\n0\r\n\r\n", "not an HTTP/1.1 answer"),
        (SIZED[:-2] + b"content-length: 11\r\n\r\n", "not an HTTP/1.1 answer"),
        (b"HTTP/1.1 200 OK\r\ncontent-length: -2\r\n\r\nok", "not an HTTP/1.1 answer"),
        (b"HTTP/1.1 200 OK\r\nx: a\x00b\r\ncontent-length: 2\r\n\r\nok", "not an HTTP/1.1 answer"),
        (CHUNKED + b"zz\r\nok\r\n0\r\n\r\n", "not an HTTP/1.1 answer"),
        (SIZED[:-2] + b"content-encoding: gzip\r\n\r\n", "compressed its answer"),
        (b"HTTP/1.1 200 OK\r\ntransfer-encoding: gzip, chunked\r\n\r\n0\r\n\r\n", "transfer coding other than chunked"),
        (b"HTTP/1.1 101 Hello\r\nconnection: upgrade\r\nupgrade: h2c\r\n\r\n", "switched to another protocol"),
        (b"HTTP/1.1 200 OK\r\nx: " + b"y" * 70_000, "more than 65536 bytes of headers"),
        (b"HTTP/1.1 200 OK\r\n" + b"x: y\r\n" * 20_000, "more than 65536 bytes of headers"),
        (b"HTTP/1.1 100 Continue\r\n\r\n" * 5_000, "more than 65536 bytes of headers"),
    ],
)
async def test_what_is_no_proper_answer_is_an_error_that_says_so(
    answer: bytes, complaint: str, provide: Any, upstream: Upstream
) -> None:
    async with provide(once(answer, then="silence")) as provider:
        with pytest.raises(UpstreamError, match=complaint) as refused:
            await upstream.fetch(provider.origin, POST, PATH, NO_HEADERS, b"{}")
        await provider.closed(0)
    assert str(provider.origin) in str(refused.value)
    assert "secret" not in str(refused.value)


@pytest.mark.parametrize("then", ["close", "reset"])
@pytest.mark.parametrize(
    ("head", "body", "came"),
    [
        (SIZED, b"", b""),
        (SIZED, b"123456789", b"123456789"),
        (CHUNKED, b"", b""),
        (CHUNKED, b"5\r\n1234", b"1234"),
        (CHUNKED, b"5\r\n12345\r\n", b"12345"),
        (CHUNKED, b"5\r\n12345\r\n0\r\n", b"12345"),
    ],
)
async def test_an_answer_that_is_cut_is_an_error_and_what_came_before_is_not_lost(
    head: bytes, body: bytes, came: bytes, then: str, provide: Any, upstream: Upstream
) -> None:
    answer = head + body
    async with provide(once(answer, then=then)) as provider:
        with pytest.raises(UpstreamTruncated, match="in the middle of its answer"):
            await upstream.fetch(provider.origin, POST, PATH, NO_HEADERS, b"{}")
        if then == "close":  # a reset may throw away bytes that were on their way
            response = await upstream.send(provider.origin, POST, PATH, NO_HEADERS, b"{}")
            received: list[bytes] = []
            with pytest.raises(UpstreamTruncated):
                await drain(response, received)
            assert b"".join(received) == came


@pytest.mark.parametrize("answer", [b"", b"HTTP/1.1 200 OK\r\ncontent-le"])
async def test_a_fresh_connection_that_dies_without_an_answer_is_not_tried_again(
    answer: bytes, provide: Any, upstream: Upstream
) -> None:
    async with provide(once(answer), provide.answering(provide.OK)) as provider:
        with pytest.raises(UpstreamError, match="closed the connection without an answer"):
            await upstream.fetch(provider.origin, POST, PATH, NO_HEADERS, b"{}")
        assert len(provider.requests) == 1


async def test_an_answer_longer_than_one_is_willing_to_keep_is_refused(provide: Any, new_upstream: Any) -> None:
    upstream = new_upstream(limits=Limits(header_bytes=100, body_bytes=1000))
    body = b"HTTP/1.1 200 OK\r\ncontent-length: 200000\r\n\r\n" + bytes(200_000)
    async with provide(once(body, then="silence")) as provider:
        with pytest.raises(UpstreamError, match="more than 1000 bytes"):
            await upstream.fetch(provider.origin, POST, PATH, NO_HEADERS, b"")
        await provider.closed(0)
        patient = new_upstream()
        response = await patient.send(provider.origin, POST, PATH, NO_HEADERS, b"")
        with pytest.raises(UpstreamError, match="more than 5000 bytes"):
            await response.read(5000)
        await provider.closed(1)
        await patient.close()
    await upstream.close()


@pytest.mark.parametrize(
    ("pieces", "name"),
    [
        ([], "first byte"),
        ([b"HTTP/1.1 200 OK\r\ncontent-"], "first byte"),
        ([b"HTTP/1.1 100 Continue\r\n\r\n"], "first byte"),
        ([SIZED], "idle"),
        ([SIZED, b"12345"], "idle"),
        ([CHUNKED, b"5\r\n12345\r\n"], "idle"),
    ],
)
async def test_a_provider_that_falls_silent_is_given_up_by_the_deadline_of_that_stage(
    pieces: list[bytes], name: str, provide: Any, upstream: Upstream
) -> None:
    deadlines = Deadlines(first_byte_s=0.08 if name == "first byte" else LIMIT_S, idle_s=0.06)
    async with provide(once(*pieces, then="silence")) as provider:
        with pytest.raises(UpstreamTimeout, match=f"the {name} deadline of 0.0[68] s"):
            await upstream.fetch(provider.origin, POST, PATH, NO_HEADERS, b"", deadlines)
        await provider.closed(0)
        with pytest.raises(UpstreamTimeout, match=name):
            await drain(await upstream.send(provider.origin, POST, PATH, NO_HEADERS, b"", deadlines), [])
        await provider.closed(1)


async def test_a_provider_that_trickles_for_ever_is_given_up_by_the_total_deadline(
    provide: Any, upstream: Upstream
) -> None:
    async def trickle(peer: Any) -> None:
        await peer.request()
        await peer.say(CHUNKED)
        while True:
            await peer.say(b"1\r\nx\r\n")
            await asyncio.sleep(0.01)

    async with provide(trickle) as provider:
        deadlines = Deadlines(idle_s=LIMIT_S, total_s=0.15)
        with pytest.raises(UpstreamTimeout, match=r"the total deadline of 0.15 s"):
            await upstream.fetch(provider.origin, POST, PATH, NO_HEADERS, b"", deadlines)
        with pytest.raises(UpstreamTimeout, match=r"the total deadline of 0.15 s"):
            await drain(await upstream.send(provider.origin, POST, PATH, NO_HEADERS, b"", deadlines), [])


async def test_deadlines_belong_to_each_request_on_a_kept_connection(provide: Any, upstream: Upstream) -> None:
    async def second_is_slow(peer: Any) -> None:
        await peer.request()
        await peer.say(provide.OK)
        await peer.request()
        await peer.gone()

    async with provide(second_is_slow) as provider:
        await upstream.fetch(provider.origin, POST, PATH, NO_HEADERS, b"", Deadlines())
        with pytest.raises(UpstreamTimeout, match=r"first byte deadline of 0.05 s"):
            await upstream.fetch(provider.origin, POST, PATH, NO_HEADERS, b"", Deadlines(first_byte_s=0.05))
        assert len(provider.connections) == 1


async def test_a_slow_reader_holds_the_provider_back_and_is_not_taken_for_its_silence(
    provide: Any, upstream: Upstream
) -> None:
    size = 32 * 1024 * 1024
    sent = 0

    async def flood(peer: Any) -> None:
        nonlocal sent
        await peer.request()
        await peer.say(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % size)
        for _ in range(size // 65536):
            await peer.say(bytes(65536))
            sent += 65536
        await peer.gone()

    async with provide(flood) as provider:
        deadlines = Deadlines(first_byte_s=LIMIT_S, idle_s=0.5)
        async with await upstream.send(provider.origin, POST, PATH, NO_HEADERS, b"", deadlines) as answer:
            await asyncio.sleep(1)  # twice the idle deadline
            assert sent < size // 2
            assert answer.buffered < 1024 * 1024
            received = 0
            async for piece in answer:
                received += len(piece)
            assert received == size


async def test_the_total_deadline_holds_for_a_slow_reader_and_what_was_buffered_can_still_be_taken(
    provide: Any, upstream: Upstream
) -> None:
    async def flood(peer: Any) -> None:
        await peer.request()
        await peer.say(b"HTTP/1.1 200 OK\r\ncontent-length: 99999999\r\n\r\n")
        while True:
            await peer.say(bytes(65536))

    async with provide(flood) as provider:
        answer = await upstream.send(provider.origin, POST, PATH, NO_HEADERS, b"", Deadlines(total_s=0.2))
        await provider.closed(0)
        received: list[bytes] = []
        with pytest.raises(UpstreamTimeout, match="total deadline"):
            await drain(answer, received)
        assert sum(map(len, received)) > 256 * 1024


@pytest.mark.parametrize("stage", ["before the head", "in the head", "in the body"])
async def test_cancelling_who_waits_closes_the_connection_at_once(stage: str, provide: Any, upstream: Upstream) -> None:
    pieces = {"before the head": [], "in the head": [SIZED[:20]], "in the body": [SIZED, b"12"]}[stage]
    told = asyncio.Event()

    async def stall(peer: Any) -> None:
        await peer.request()
        await peer.say(*pieces)
        told.set()
        await peer.gone()

    async def stream(origin: Any) -> None:
        async for _ in await upstream.send(origin, POST, PATH, NO_HEADERS, b""):
            pass

    async with provide(stall, stall, provide.answering(provide.OK)) as provider:
        for number, ask in enumerate((lambda o: upstream.fetch(o, POST, PATH, NO_HEADERS, b""), stream)):
            told.clear()
            task = asyncio.ensure_future(ask(provider.origin))
            await told.wait()
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            await provider.closed(number)
        assert (await upstream.fetch(provider.origin, POST, PATH, NO_HEADERS, b""))[0] == 200
        assert len(provider.connections) == 3


async def test_closing_an_answer_in_its_middle_closes_the_connection_and_a_finished_one_keeps_it(
    provide: Any, upstream: Upstream
) -> None:
    async with provide(once(SIZED, b"12", then="silence"), provide.answering(provide.OK)) as provider:
        answer = await upstream.send(provider.origin, POST, PATH, NO_HEADERS, b"")
        await answer.close()
        await provider.closed(0)
        with pytest.raises(UpstreamError, match="closed before its end"):
            await answer.read(100)
        for _ in range(2):
            async with await upstream.send(provider.origin, POST, PATH, NO_HEADERS, b"") as answer:
                assert await answer.read(100) == b"ok"
            await answer.close()
        assert len(provider.connections) == 2


async def test_what_a_provider_says_when_it_hangs_up_unasked_is_not_an_answer(provide: Any, upstream: Upstream) -> None:
    hung_up = asyncio.Event()

    async def tired(peer: Any) -> None:
        await peer.request()
        await peer.say(provide.OK, b"HTTP/1.1 408 Request Timeout\r\ncontent-length: 0\r\n\r\n")
        await peer.gone()
        hung_up.set()

    async with provide(tired, provide.answering(provide.OK)) as provider:
        await upstream.fetch(provider.origin, POST, PATH, NO_HEADERS, b"")
        await asyncio.wait_for(hung_up.wait(), LIMIT_S)
        assert (await upstream.fetch(provider.origin, POST, PATH, NO_HEADERS, b""))[0] == 200

"""Faults before the body: the connection, the head, and error statuses."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kind_table import (
    NO_ANSWER,
    TIMEOUT,
    Play,
    answer,
    answer_error,
    answer_with,
    failed,
    good,
    kind,
    passed,
    refused,
)

if TYPE_CHECKING:
    from faulty_provider import Exchange

_HTML = b"<!doctype html><html><body><h1>It works!</h1></body></html>"
_DATE = ("retry-after", "Sun, 22 Nov 2026 21:00:00 GMT")


# ── The connection ──


async def _never(x: Exchange) -> None:
    raise AssertionError(f"request {x.number} came through a closed door")


kind("refused", "connect", both=failed(), door="refused", is_seen=False)(_never)
kind("reset-on-accept", "connect", both=failed(), door="reset", is_seen=False)(_never)
kind("tls-garbage", "connect", both=failed(), door="tls", is_seen=False)(_never)


@kind("silence", "stall", both=failed(504, TIMEOUT))
async def _silence(x: Exchange) -> None:
    await x.wait_for_ever()


@kind("closed-unanswered", "connect", both=failed(), door="apart")
async def _closed_unanswered(x: Exchange) -> None:
    x.close()


@kind("reset-unanswered", "connect", both=failed(), door="apart")
async def _reset_unanswered(x: Exchange) -> None:
    x.reset()


@kind("reused-then-closed", "twice", door="apart")
async def _reused_then_closed(x: Exchange) -> None:
    """The first request of a connection is answered; the next one is read, and not answered."""
    if x.is_first:
        await good(x)
    else:
        x.close()


# ── Statuses ──


def _status(status: int, *more: tuple[str, str], code: str | None = None) -> Play:
    async def play(x: Exchange) -> None:
        answer_error(x, status, *more, code=code)

    return play


kind("good", "status", both=answer())(good)
for _each in (400, 413, 422):
    kind(f"status-{_each}", "status", both=refused(_each))(_status(_each))
for _each in (403, 404, 409):
    kind(f"status-{_each}", "status", both=passed(_each))(_status(_each))
kind("status-401", "status", both=failed(502, "upstream_unauthorized"))(_status(401))
kind("status-408", "status", both=passed(408))(_status(408))
kind("status-429", "status", both=passed(429))(
    _status(429, ("retry-after", "7"), ("x-ratelimit-reset-requests", "1m30s"))
)
kind("status-500", "status", both=passed(500))(_status(500, ("x-should-retry", "false")))
kind("status-502", "status", both=passed(502))(_status(502))
kind("status-503", "status", both=passed(503))(_status(503, _DATE))
kind("status-504", "status", both=passed(504))(_status(504))
kind("status-529", "status", both=passed(529))(_status(529, ("retry-after-ms", "250")))
kind("context-length-exceeded", "status", both=refused(400))(_status(400, code="context_length_exceeded"))
kind("content-filter-error", "status", both=refused(400))(_status(400, code="content_filter"))
kind("insufficient-quota", "status", both=passed(429))(_status(429, code="insufficient_quota"))


def _body(status: int, body: bytes, content_type: str | None, *more: tuple[str, str]) -> Play:
    async def play(x: Exchange) -> None:
        answer_with(x, status, body, content_type, *more)

    return play


kind("html-200", "status", both=failed(502, NO_ANSWER))(_body(200, _HTML, "text/html"))
kind("html-500", "status", both=failed(500))(_body(500, _HTML, "text/html"))
kind("html-503", "status", both=failed(503))(_body(503, _HTML, "text/html", ("retry-after", "11")))
kind("html-404", "status", both=failed(404))(_body(404, _HTML, "text/html"))
kind("empty-500", "status", both=failed(500))(_body(500, b"", None))
kind("empty-200", "status", both=failed(502, NO_ANSWER))(_body(200, b"", "application/json"))
kind("redirect", "status", both=failed())(_body(307, b"", None, ("location", "http://127.0.0.1:9/elsewhere")))
kind("foreign-400", "status", both=failed(400, switches=False))(
    _body(400, b'{"object": "error", "message": "too long", "code": 400}', "application/json")
)


@kind("no-content", "status", both=failed())
async def _no_content(x: Exchange) -> None:
    x.head(204, None, framing="0")


# ── Heads ──


@kind("plain-text-type", "head", whole=answer(), stream=failed(502, NO_ANSWER))
async def _plain_text(x: Exchange) -> None:
    body = x.whole() if not x.streams else x.words.opening() + b"".join(map(x.words.token, x.tokens))
    answer_with(x, 200, body, "text/plain")
    if not x.streams:
        x.said_whole()


@kind("malformed-status", "head", both=failed())
async def _malformed_status(x: Exchange) -> None:
    x.raw(b"HTTP/1.1 banana split\r\ncontent-length: 2\r\n\r\n{}")
    await x.wait_for_ever()


@kind("malformed-header", "head", both=failed())
async def _malformed_header(x: Exchange) -> None:
    x.raw(b"HTTP/1.1 200 OK\r\nthis is no header\r\ncontent-length: 2\r\n\r\n{}")
    await x.wait_for_ever()


@kind("another-protocol", "head", both=failed())
async def _another_protocol(x: Exchange) -> None:
    x.raw(b"220 mail.example.com ESMTP ready\r\n")
    await x.wait_for_ever()


@kind("huge-head", "head", both=failed())
async def _huge_head(x: Exchange) -> None:
    x.raw(b"HTTP/1.1 200 OK\r\n" + b"".join(b"x-%d: %s\r\n" % (i, b"v" * 500) for i in range(400)) + b"\r\n")
    await x.wait_for_ever()


@kind("cut-in-head", "head", both=failed())
async def _cut_in_head(x: Exchange) -> None:
    x.raw(b"HTTP/1.1 200 OK\r\ncontent-type: applic")
    x.close()


@kind("two-lengths", "head", both=failed())
async def _two_lengths(x: Exchange) -> None:
    x.raw(b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 2\r\ncontent-length: 4\r\n\r\n{}{}")
    await x.wait_for_ever()


@kind("length-and-chunked", "head", both=failed())
async def _length_and_chunked(x: Exchange) -> None:
    x.raw(b"HTTP/1.1 200 OK\r\ncontent-length: 7\r\ntransfer-encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n")
    await x.wait_for_ever()


@kind("length-of-letters", "head", both=failed())
async def _length_of_letters(x: Exchange) -> None:
    x.raw(b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: two\r\n\r\n{}")
    await x.wait_for_ever()


@kind("compressed", "head", both=failed())
async def _compressed(x: Exchange) -> None:
    import gzip

    answer_with(x, 200, gzip.compress(b"{}"), "application/json", ("content-encoding", "gzip"))
    await x.wait_for_ever()


@kind("switching-protocols", "head", both=failed())
async def _switching(x: Exchange) -> None:
    x.raw(b"HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: upgrade\r\n\r\n")
    await x.wait_for_ever()


@kind("early-hints", "head", both=answer())
async def _early_hints(x: Exchange) -> None:
    x.raw(b"HTTP/1.1 100 Continue\r\n\r\n")
    x.raw(b"HTTP/1.1 103 Early Hints\r\nlink: </a>; rel=preload\r\nx-request-id: early\r\n\r\n")
    await x.pause(0.01)
    await good(x)


@kind("split-head", "head", both=answer())
async def _split_head(x: Exchange) -> None:
    x.raw(b"HTTP/1.1 10")
    await x.pause(0.02)
    x.raw(b"0 Continue\r\n\r")
    await x.pause(0.02)
    x.raw(b"\n")
    await good(x)


@kind("no-length", "head", both=answer())
async def _no_length(x: Exchange) -> None:
    await good(x, framing="close")


@kind("http-10", "head", both=answer())
async def _http_1_0(x: Exchange) -> None:
    await good(x, framing="close", version="1.0")

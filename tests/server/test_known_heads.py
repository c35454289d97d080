"""A request whose head is known means what the parser would have made of it."""

from __future__ import annotations

import asyncio
from itertools import pairwise
from typing import Any

import httptools
import pytest
import uvicorn
from hypothesis import example, given, settings
from hypothesis import strategies as st
from uvicorn.server import ServerState

from headworks.server import http_protocol
from headworks.server.http_protocol import OneWriteProtocol
from headworks.server.known_heads import Headers, KnownHead, known_head

PATH = b"/v1/chat/completions"
LINES = (
    b"Host: 127.0.0.1:8484\r\nAuthorization: Bearer hw_key\r\nContent-Length: %d\r\nContent-Type: application/json\r\n",
    b"content-length: %d\r\nhost: x\r\n",
    b"host: x\r\nCONTENT-LENGTH:\t %d\r\n",
    b"host: x\r\nx-content-length: 5\r\ncontent-length:%d\r\n",
    b"host: x\r\nx: content-length: 5\r\ncontent-length: %d\r\nx: \r\n",
)


def post(lines: bytes, body: bytes, path: bytes = PATH) -> bytes:
    return b"POST %b HTTP/1.1\r\n" % path + lines % len(body) + b"\r\n" + body


class Parsed:
    """All that the parser makes of some bytes."""

    def __init__(self, data: bytes) -> None:
        self.target = self.body = b""
        self.headers: Headers = []
        self.begun = self.completed = 0
        self.is_refused = False
        self.parser = httptools.HttpRequestParser(self)
        try:
            self.parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade):
            self.is_refused = True

    @property
    def is_one_request(self) -> bool:
        return self.begun == self.completed == 1 and not self.is_refused and self.parser.should_keep_alive()

    def known(self, data: bytes) -> KnownHead | None:
        return known_head(data, self.target, self.headers, self.body) if self.is_one_request else None

    def on_message_begin(self) -> None:
        self.begun += 1

    def on_url(self, part: bytes) -> None:
        self.target += part

    def on_header(self, name: bytes, value: bytes) -> None:
        self.headers.append((name.lower(), value))

    def on_body(self, part: bytes) -> None:
        self.body += part

    def on_message_complete(self) -> None:
        self.completed += 1


def changed(data: bytes, at: int, gone: int, put: bytes) -> bytes:
    at %= len(data)
    return data[:at] + put + data[at + gone :]


CHANGES = st.tuples(
    st.integers(0, 10_000),
    st.integers(0, 3),
    st.sampled_from(
        [b"", b"1", b"0", b"9", b"\r\n", b"\n", b" ", b"\r\n\r\n", b"x", b":", b"+", b"\0", b"content-length: 2\r\n"]
    ),
)


@given(
    lines=st.sampled_from(
        [
            *LINES,
            b"content-length: %d \r\n",
            LINES[0] + b"transfer-encoding: chunked\r\n",
            LINES[0] + b"Expect: 100-continue\r\n",
        ]
    ),
    first=st.binary(min_size=1, max_size=30),
    second=st.binary(min_size=1, max_size=200),
    changes=st.lists(CHANGES, max_size=3),
)
@example(lines=LINES[0], first=b"x", second=b"y" * 12, changes=[])
@example(lines=LINES[0], first=b"\r\n\r\n", second=b"\r\n\r\n", changes=[])
@example(lines=LINES[1], first=b"content-length: 4\r\n", second=b"1", changes=[])
@example(lines=LINES[1], first=b"x", second=b"1", changes=[(10_000, 0, b"x")])
def test_what_is_taken_for_a_repeated_head_is_what_the_parser_would_have_read(
    lines: bytes, first: bytes, second: bytes, changes: list[tuple[int, int, bytes]]
) -> None:
    known = Parsed(post(lines, first)).known(post(lines, first))
    if known is None:
        assert lines not in LINES or b"\r\n\r\n" in first
        return
    data = post(lines, second)
    for each in changes:
        data = changed(data, *each)
    again = known.request(data)
    assert again is not None or changes
    if again is not None:
        parsed = Parsed(data)
        assert parsed.is_one_request
        assert (parsed.headers, parsed.body) == again
        assert parsed.target == known.target == PATH


class Wire:
    """A transport that keeps what is written."""

    def __init__(self) -> None:
        self.written = b""
        self.is_closed = False

    def write(self, data: bytes) -> None:
        self.written += data

    def close(self) -> None:
        self.is_closed = True

    def is_closing(self) -> bool:
        return self.is_closed

    def get_extra_info(self, name: str) -> None: ...

    def pause_reading(self) -> None: ...

    def resume_reading(self) -> None: ...


class Application:
    """Answers at once, or at the end of the turn, with what it has seen."""

    def __init__(self, *, waits: bool) -> None:
        self.waits = waits
        self.repeated = 0
        self.at_once = dict.fromkeys((PATH, b"/v1/embeddings"), self.serve)

    def serve(self, cycle: Any) -> None:
        self.repeated += cycle.head is not None
        seen = repr((cycle.headers, cycle.body)).encode()
        if self.waits:
            asyncio.get_running_loop().call_soon(cycle.answer, 200, [], seen)
        else:
            cycle.answer(200, [], seen)

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        received = b""
        while (message := await receive()).get("more_body"):
            received += message["body"]
        seen = repr((scope["method"], scope["path"], scope["headers"], received + message.get("body", b""))).encode()
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"%d" % len(seen))]})
        await send({"type": "http.response.body", "body": seen})


async def answered(pieces: list[tuple[bytes, bool]], lessons: int, *, waits: bool) -> tuple[bytes, bool, int]:
    """What a connection that may learn so many heads answers to these pieces; True: a turn passes behind one."""
    application = Application(waits=waits)
    config = uvicorn.Config(
        application, http=OneWriteProtocol, lifespan="off", ws="none", log_config=None, access_log=False
    )
    config.load()
    protocol: Any = OneWriteProtocol(config=config, server_state=ServerState(), app_state={})
    wire: Any = Wire()
    before, http_protocol._LESSONS = http_protocol._LESSONS, lessons
    try:
        protocol.connection_made(wire)
    finally:
        http_protocol._LESSONS = before
    for piece, is_apart in pieces:
        if not wire.is_closed:
            protocol.data_received(piece)
        for _ in range(4 * is_apart):
            await asyncio.sleep(0)
    for _ in range(50):
        await asyncio.sleep(0)
    protocol.connection_lost(None)
    return wire.written, wire.is_closed, application.repeated


def both(pieces: list[tuple[bytes, bool]], *, waits: bool) -> int:
    """Checks that what is learned changes nothing; how many requests were not parsed."""
    plain = asyncio.run(answered(pieces, 0, waits=waits))
    learned = asyncio.run(answered(pieces, 3, waits=waits))
    assert plain[:2] == learned[:2]
    assert plain[2] == 0
    return learned[2]


A, B = post(LINES[0], b"abc"), post(LINES[0], b"d" * 12)
OTHERS = (
    post(LINES[0], b"x", b"/v1/embeddings"),
    post(LINES[0], b"x", b"/other"),
    post(LINES[1], b"yz"),
    b"GET / HTTP/1.1\r\nhost: x\r\n\r\n",
    b"POST " + PATH + b" HTTP/1.1\r\nhost: x\r\n\r\n",
    b"nonsense\r\n\r\n",
    post(LINES[0] + b"connection: close\r\n", b"x"),
    post(LINES[0] + b"expect: 100-continue\r\n", b"x"),
    b"POST " + PATH + b" HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n",
)


@settings(max_examples=300)
@given(
    requests=st.lists(
        st.tuples(st.sampled_from([A, A, B, *OTHERS]), st.sampled_from(["apart", "apart", "soon", "together"]))
    ),
    cuts=st.lists(st.integers(0, 2000), max_size=2),
    waits=st.booleans(),
)
@example(requests=[(A, "apart"), (A, "apart"), (A, "apart"), (A, "together"), (A, "together")], cuts=[], waits=False)
@example(requests=[(A, "apart"), (A, "apart"), (OTHERS[1], "apart"), (B, "apart")], cuts=[], waits=False)
@example(requests=[(OTHERS[4], "together"), (A, "apart")] * 3, cuts=[], waits=False)
@example(requests=[(A, "apart")] * 2 + [(A, "soon")] * 3, cuts=[], waits=True)
def test_a_connection_that_knows_its_heads_answers_as_one_that_does_not(
    requests: list[tuple[bytes, str]],
    cuts: list[int],
    waits: bool,  # noqa: FBT001 -- Hypothesis
) -> None:
    whole, ends = b"", {}
    for data, how in requests:
        whole += data
        if how != "together":
            ends[len(whole)] = how == "apart"
    ends |= {cut % (len(whole) + 1): True for cut in cuts} | {0: True, len(whole): True}
    pieces = [(whole[start:end], ends[end]) for start, end in pairwise(sorted(ends))]
    both(pieces, waits=waits)


HELD = post(b"authorization: Bearer of-somebody-else\r\ncontent-length: %d\r\n", b"x")


@pytest.mark.parametrize(
    ("first", "second", "after"),
    [
        (
            b"POST " + PATH + b" HTTP/1.1\r\nauthorization: Bearer of-somebody-else\r\nx: ",
            post(b"content-length: %d\r\n", b"q", b"/other"),
            post(b"content-length: %d\r\n", b"login", b"/other"),
        ),
        (
            HELD[: HELD.index(b"\r\ncontent-length")],
            b"\r\ncontent-length: 1\r\n\r\nx",
            b"\r\ncontent-length: 5\r\n\r\nlogin",
        ),
    ],
)
def test_the_end_of_a_head_is_never_taken_for_a_whole_one(first: bytes, second: bytes, after: bytes) -> None:
    both([(each, True) for each in (A, first, second, after, after)], waits=False)


@pytest.mark.parametrize("begun", [A[:5], A[:60], A[:-3], post(LINES[0], A)[: -len(A)], b"\r\n", b"\r"])
def test_what_looks_like_a_known_request_in_the_middle_of_another_is_part_of_that(begun: bytes) -> None:
    pieces = [(each, True) for each in (A, A, B, begun, A, A, A)]
    both(pieces, waits=False)


def test_the_third_request_of_a_connection_is_not_parsed_any_more() -> None:
    assert both([(post(LINES[0], b"x" * size), True) for size in (3, 1, 2000, 17)], waits=False) == 2


def test_a_connection_whose_heads_change_each_time_stops_learning() -> None:
    numbers = [0, 1, 2, 3, 4, 4, 4]
    pieces = [(post(LINES[0] + b"idempotency-key: %d\r\n" % number, b"x"), True) for number in numbers]
    assert both(pieces, waits=False) == 0

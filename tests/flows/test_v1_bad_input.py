"""Bad input to `/v1` on bare sockets: what no client of a vendor's would ever send, and what some still do."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Iterator, Mapping
from typing import Any

import httpx
import pytest
from client_stage import Stage

CHAT, MESSAGES, RESPONSES = "/v1/chat/completions", "/v1/messages", "/v1/responses"
PATHS = (CHAT, MESSAGES, RESPONSES, "/v1/completions", "/v1/embeddings", "/v1/rerank", "/v1/moderations")
GAP_S = 0.02


def asked(path: str, model: str = "gpt", text: str = "Hi.", **more: Any) -> dict[str, Any]:
    """A good request in the format of a path."""
    turns = {"messages": [{"role": "user", "content": text}]}
    inner: Mapping[str, Any] = {
        CHAT: turns,
        MESSAGES: {**turns, "max_tokens": 100},
        RESPONSES: {"input": text, "store": False},
        "/v1/completions": {"prompt": text},
        "/v1/rerank": {"query": text, "documents": [text]},
    }.get(path, {"input": text})
    return {"model": model, **inner, **more}


def head_of(stage: Stage, path: str, *lines: str, length: int | None = None) -> bytes:
    """The head of a POST; `length` None: the lines say it."""
    own = [f"POST {path} HTTP/1.1", "host: x", f"authorization: Bearer {stage.key}", *lines]
    if length is not None:
        own.append(f"content-length: {length}")
    return "\r\n".join([*own, "", ""]).encode("latin-1")


def dial(stage: Stage) -> socket.socket:
    return socket.create_connection(("127.0.0.1", int(stage.server.url.rpartition(":")[2])), timeout=20)


def received(connection: socket.socket) -> bytes:
    """All that comes until the server hangs up, or has given one whole answer."""
    said = b""
    while piece := connection.recv(65536):
        said += piece
        head, _, body = said.partition(b"\r\n\r\n")
        lengths = [line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")]
        if lengths and len(body) >= int(lengths[0].partition(b":")[2]):
            break
    return said


def tell(stage: Stage, *pieces: bytes) -> tuple[int, bytes]:
    """Send these pieces, and take one answer: its status (0: none), and the whole of it."""
    with dial(stage) as connection:
        for piece in pieces:
            connection.sendall(piece)
        said = received(connection)
    return (int(said.split(b" ", 2)[1]), said) if said.startswith(b"HTTP/1.1 ") else (0, said)


@pytest.fixture
def post(stage: Stage) -> Iterator[Any]:
    with httpx.Client(
        base_url=stage.server.url, headers={"authorization": f"Bearer {stage.key}"}, timeout=30
    ) as client:

        def ask(path: str, body: bytes | dict[str, Any]) -> httpx.Response:
            raw = body if isinstance(body, bytes) else json.dumps(body).encode()
            return client.post(path, content=raw, headers={"content-type": "application/json"})

        yield ask


def fault(answer: httpx.Response, path: str) -> dict[str, Any]:
    """The error, which has to be in the format's own shape."""
    whole = answer.json()
    assert ("type" in whole) == path.startswith(MESSAGES), whole
    error: dict[str, Any] = whole["error"]
    assert isinstance(error["message"], str)
    assert error["type"]
    return error


# ── Heads ──


@pytest.mark.parametrize(
    "line",
    [
        "x-evil: a\rx-more: b",
        "x-evil: a\x00b",
        "x-evil : a",
        "x evil: a",
        ": a",
        "content-length: 3\r\ncontent-length: 4",
        "content-length: -1",
        "content-length: +3",
        "content-length: 0x3",
        "transfer-encoding: chunked\r\ncontent-length: 3",
        "transfer-encoding: xchunked",
        "host: elsewhere",
    ],
)
def test_heads_that_two_readers_would_read_apart_are_refused(stage: Stage, line: str) -> None:
    status, said = tell(stage, head_of(stage, CHAT, line), b"0\r\n\r\n")
    assert status == 400, said
    assert b"x-more" not in said


@pytest.mark.parametrize("in_pieces", [True, False])
def test_what_stands_behind_a_body_says_nothing_of_who_asks(stage: Stage, in_pieces: bool) -> None:  # noqa: FBT001 - a parameter
    text = f"trailed {in_pieces}"
    head = head_of(stage, CHAT, "transfer-encoding: chunked")
    key = next(line for line in head.split(b"\r\n") if line.lower().startswith(b"authorization:"))
    body = json.dumps(asked(CHAT, text=text)).encode()
    chunks = b"%x\r\n%b\r\n0\r\n" % (len(body), body)
    for trailers, without_key, status in (
        (key + b"\r\n", head.replace(key + b"\r\n", b""), 401),
        (b"authorization: Bearer none\r\nopenai-beta: late\r\ntraceparent: late\r\n", head, 200),
    ):
        pieces = [without_key, chunks + trailers + b"\r\n"]
        answered, said = tell(stage, *(pieces if in_pieces else [b"".join(pieces)]))
        assert answered == status, said
    (one,) = stage.seen("gpt", text)
    assert "late" not in repr(one.headers)


def test_what_is_smuggled_behind_a_body_is_no_request(stage: Stage) -> None:
    """A second request in what the first one calls its body reaches nobody."""
    inner = head_of(stage, CHAT, length=0)
    body = json.dumps(asked(CHAT, text="smuggled")).encode() + inner
    status, said = tell(stage, head_of(stage, CHAT, length=len(body)) + body)
    assert status == 400
    assert said.count(b"HTTP/1.1") == 1
    assert not stage.seen("gpt", "smuggled")


@pytest.mark.parametrize("size", [b"zz", b"-1", b"0x5", b"ffffffffffffffffff", b""])
def test_chunks_of_no_size_are_refused(stage: Stage, size: bytes) -> None:
    status, said = tell(stage, head_of(stage, CHAT, "transfer-encoding: chunked"), size + b"\r\nhello\r\n0\r\n\r\n")
    assert status in {0, 400}, said
    assert b"500" not in said[:20]


def test_headers_of_a_caller_do_not_become_ours(stage: Stage, post: Any) -> None:
    """Values with line ends in the body's members come back nowhere but in JSON."""
    evil = "a\r\nx-evil: 1\r\n\r\nHTTP/1.1 200 OK"
    for body in (
        asked(CHAT, evil),
        asked(CHAT, user=evil),
        asked(CHAT, **{evil: 1}),
        asked(CHAT, "claude", **{evil: 1}),
    ):
        answer = post(CHAT, body)
        assert "x-evil" not in answer.headers
        assert answer.status_code in {200, 400}
    seen = stage.seen("gpt", "x-evil")
    assert seen
    assert all("x-evil" not in each.headers for each in seen)


def test_a_request_id_with_a_line_end_reaches_no_provider(stage: Stage) -> None:
    body = json.dumps(asked(CHAT, text="request id")).encode()
    lines = ("x-request-id: a\tb", "x-client-request-id: \x85\xa0c", "traceparent: not one")
    status, said = tell(stage, head_of(stage, CHAT, *lines, length=len(body)) + body)
    assert status == 200, said


def test_a_head_without_an_end_is_given_up(stage: Stage) -> None:
    status, said = tell(stage, head_of(stage, CHAT)[:-2] + b"x-long: " + b"a" * 300_000 + b"\r\n\r\n")
    assert status in {0, 400, 431}, said[:200]


@pytest.mark.parametrize(
    "path", ["/v1/chat/completions/", "//v1/chat/completions", "/v1/../v1/messages", "/V1/messages"]
)
def test_a_path_that_only_looks_like_ours_is_none(stage: Stage, path: str) -> None:
    body = json.dumps(asked(CHAT)).encode()
    status, said = tell(stage, head_of(stage, path, length=len(body)) + body)
    assert status in {404, 405}, said


# ── Bodies ──


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"", "invalid_json"),
        (b"{", "invalid_json"),
        (b"[]", None),
        (b"null", None),
        (b'"text"', None),
        (b'{"input":"Hi."}', "missing_field"),
        (b'{"model":7}', "invalid_type"),
        (b'{"model":"gpt","model":"claude"}', "duplicate_key"),
        (b'{"model":"gpt","m\\u006fdel":"claude"}', "duplicate_key"),
        (b'{"model":"\\ud800"}', None),
        (b'\xef\xbb\xbf{"model":"gpt"}', "invalid_json"),
        (b'{"model":NaN}', "invalid_json"),
        (b'{"model":"gpt"} {"model":"claude"}', "invalid_json"),
        (b'{"model":"gpt\r\nx: y"}', "invalid_json"),
        (b'{"a":' * 50_000, None),
        (b'{"model":"gpt","a":' + b"[" * 50_000 + b"]" * 50_000 + b"}", None),
    ],
    ids=lambda each: str(each)[:24],
)
def test_a_body_that_is_none_says_why(post: Any, path: str, body: bytes, code: str | None) -> None:
    answer = post(path, body)
    assert answer.status_code == 400, answer.text
    error = fault(answer, path)
    assert code is None or error["code"] == code, error


DEEP = {
    "schema": '"response_format": {"type": "json_schema", "json_schema": {"name": "a", "schema": %s}}',
    "tool": '"tools": [{"type": "function", "function": {"name": "a", "parameters": %s}}]',
    "unknown": '"unknown": %s',
}


@pytest.mark.parametrize("where", DEEP)
@pytest.mark.parametrize("model", ["gpt", "claude", "gemini", "bedrock"])
@pytest.mark.parametrize("depth", [90, 900, 9000])
def test_what_is_nested_deeply_is_carried_or_refused(post: Any, where: str, model: str, depth: int) -> None:
    deep = '{"type":"object","properties":{"a":' * depth + '{"type":"string"}' + "}}" * depth
    body = f"{json.dumps(asked(CHAT, model))[:-1]}, {DEEP[where] % deep}}}"
    answer = post(CHAT, body.encode())
    assert answer.status_code in {200, 400}, answer.text[:500]


@pytest.mark.parametrize("path", [CHAT, MESSAGES, RESPONSES])
@pytest.mark.parametrize("model", ["gpt", "claude", "gemini", "bedrock"])
def test_a_prompt_of_300_kb_goes_everywhere(post: Any, path: str, model: str) -> None:
    text = 'é\\"\n' * 60_000 + f" {path} to {model}"
    answer = post(path, asked(path, model, text))
    assert answer.status_code == 200
    assert f"{path} to {model}" in answer.text


@pytest.mark.parametrize("path", [CHAT, MESSAGES, RESPONSES])
@pytest.mark.parametrize("model", ["gpt", "claude", "gemini", "bedrock"])
@pytest.mark.parametrize("most", [1_000_000, 10**17])
def test_a_million_tokens_may_be_asked_for(stage: Stage, post: Any, path: str, model: str, most: int) -> None:
    """Nobody here knows better than the provider what its model can say."""
    cap = "max_output_tokens" if path == RESPONSES else "max_tokens"
    text = f"{most} at {path} of {model}"
    answer = post(path, asked(path, model, text, **{cap: most}))
    assert answer.status_code == 200, answer.text
    assert str(most).encode() in stage.seen(model, text)[-1].body.replace(text.encode(), b"")


@pytest.mark.parametrize("path", [CHAT, MESSAGES, RESPONSES])
@pytest.mark.parametrize("most", [0, -1, 1.5, "many", [1]])
@pytest.mark.parametrize("model", ["gemini", "bedrock"])
def test_a_cap_that_is_none_is_refused_by_its_name(post: Any, path: str, model: str, most: Any) -> None:
    cap = "max_output_tokens" if path == RESPONSES else "max_tokens"
    answer = post(path, asked(path, model, **{cap: most}))
    assert answer.status_code == 400, answer.text
    assert cap in fault(answer, path)["message"]


# ── Parameters that we don't know ──


def test_an_unknown_parameter_passes_where_the_format_is_the_same(stage: Stage, post: Any) -> None:
    odd = b'"brand_new":{"a":[1.50,12345678901234567890,"\\u00e9"], "b" :null}'
    for path, model in ((CHAT, "gpt"), (RESPONSES, "gpt"), (CHAT, "compatible")):
        text = f"untouched {path} {model}"
        raw = json.dumps(asked(path, model, text)).encode()
        answer = post(path, raw[:-1] + b"," + odd + b"}")
        assert answer.status_code == 200, answer.text
        assert odd in stage.seen(model, text)[-1].body
    answer = post(MESSAGES, asked(MESSAGES, "claude", brand_new=1))
    assert fault(answer, MESSAGES)["message"] == "brand_new: Extra inputs are not permitted"  # as Anthropic itself says


ACROSS = [
    *[(CHAT, model) for model in ("claude", "gemini", "bedrock")],
    *[(MESSAGES, model) for model in ("gpt", "gemini")],
    *[(RESPONSES, model) for model in ("claude", "compatible")],
]


@pytest.mark.parametrize(("path", "model"), [*ACROSS, (CHAT, "gpt"), (RESPONSES, "gpt")])
@pytest.mark.parametrize("key", ["content", "c\\u006fntent"])
def test_a_key_twice_deep_in_a_body_is_refused_by_who_reads_it(
    stage: Stage, post: Any, path: str, model: str, key: str
) -> None:
    """In the same format the provider reads it; across formats one of the two values would be lost."""
    text = f"twice in {len(key)} letters from {path} to {model}"
    turn = f'{{"role": "user", "{key}": "lost", "content": {json.dumps(text)}}}'
    member = "input" if path == RESPONSES else "messages"
    body = json.dumps(asked(path, model) | {member: "here"}).replace('"here"', f"[{turn}]").encode()
    answer = post(path, body)
    if (path, model) not in ACROSS:
        assert turn.encode() in stage.seen(model, text)[-1].body
        return
    assert answer.status_code == 400, answer.text
    assert fault(answer, path)["message"].startswith("An object in the body has `content` twice.")
    assert not stage.seen(model, text)


@pytest.mark.parametrize(("path", "model"), ACROSS)
@pytest.mark.parametrize("name", ["brand_new", "a`b\r\nc: d", "é" * 300, ""])
def test_an_unknown_parameter_is_named_across_formats(
    stage: Stage, post: Any, path: str, model: str, name: str
) -> None:
    text = f"never sent from {path} to {model}"
    answer = post(path, asked(path, model, text, **{name: 1}))
    assert answer.status_code == 400, answer.text
    assert name[:20] in fault(answer, path)["message"]
    assert not stage.seen(model, text)


# ── Slow and rude clients ──


def test_a_body_that_comes_byte_by_byte_is_read(stage: Stage) -> None:
    body = json.dumps(asked(CHAT, text="byte by byte")).encode()
    with dial(stage) as connection:
        connection.sendall(head_of(stage, CHAT, length=len(body)))
        for at in range(len(body)):
            connection.sendall(body[at : at + 1])
            if at % 16 == 0:
                time.sleep(GAP_S / 10)
        assert b"You said: byte by byte" in received(connection)


def test_slow_heads_hold_nobody_else_up(stage: Stage, post: Any) -> None:
    waiting = [dial(stage) for _ in range(50)]
    try:
        for connection in waiting:
            connection.sendall(head_of(stage, CHAT, length=1000)[:40])
        assert post(CHAT, asked(CHAT)).status_code == 200
    finally:
        for connection in waiting:
            connection.close()


def test_a_half_closed_socket_is_still_answered_or_counts_as_left(stage: Stage) -> None:
    body = json.dumps(asked(CHAT, text="half closed")).encode()
    with dial(stage) as connection:
        connection.sendall(head_of(stage, CHAT, length=len(body)) + body)
        connection.shutdown(socket.SHUT_WR)
        said = received(connection)
    assert said == b"" or b"You said: half closed" in said


def test_a_body_that_never_ends_is_nobodys_request(stage: Stage, post: Any) -> None:
    with dial(stage) as connection:
        connection.sendall(head_of(stage, CHAT, length=1000) + b'{"model":"gpt","messages":"cut off')
        connection.shutdown(socket.SHUT_WR)
        said = received(connection)
    assert not said.startswith(b"HTTP/1.1 5")
    assert not stage.seen("gpt", "cut off")
    assert post(CHAT, asked(CHAT)).status_code == 200


def test_a_stream_read_slowly_is_whole(stage: Stage) -> None:
    """The provider is held back by the caller's pace, and nothing is lost."""
    words = " ".join(f"w{number}" for number in range(4_000))
    body = json.dumps(asked(CHAT, "claude", words, stream=True)).encode()
    said = b""
    with dial(stage) as connection:
        connection.sendall(head_of(stage, CHAT, "connection: close", length=len(body)) + body)
        for _ in range(10):
            said += connection.recv(1024)
            time.sleep(GAP_S)
        while piece := connection.recv(1 << 20):
            said += piece
    assert b"w3999" in said
    assert said.count(b"[DONE]") == 1


def test_two_requests_in_one_write_are_answered_in_their_order(stage: Stage) -> None:
    pieces = []
    for path, text in ((CHAT, "first"), (MESSAGES, "second")):
        body = json.dumps(asked(path, text=text)).encode()
        more = ("connection: close",) if text == "second" else ()
        pieces.append(head_of(stage, path, *more, length=len(body)) + body)
    with dial(stage) as connection:
        connection.sendall(b"".join(pieces))
        said = b""
        while piece := connection.recv(65536):
            said += piece
    assert 0 < said.index(b"You said: first") < said.index(b"You said: second")
    assert said.count(b"HTTP/1.1 200") == 2

"""The client against servers that misbehave, on real sockets."""

from __future__ import annotations

import io
import json
import re
import socket
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from running_server import Server

from headworks.cli.client import Client, place
from headworks.errors import (
    BodyTooLarge,
    Conflict,
    Forbidden,
    HeadworksError,
    NotFound,
    Unauthenticated,
    Unavailable,
    UpstreamError,
)

Speak = Callable[[socket.socket, int], None]
Start = Callable[[Speak], str]
Make = Callable[..., Client]


@pytest.fixture
def start() -> Iterator[Start]:
    """Starts a server that speaks as it is told: the connection and its number from 0."""
    listeners: list[socket.socket] = []

    def make(speak: Speak) -> str:
        listener = socket.create_server(("127.0.0.1", 0))
        listeners.append(listener)

        def serve() -> None:
            number = 0
            while True:
                try:
                    connection, _ = listener.accept()
                except OSError:
                    return
                with connection:
                    connection.settimeout(10)
                    speak(connection, number)
                number += 1

        threading.Thread(target=serve, daemon=True).start()
        return f"http://127.0.0.1:{listener.getsockname()[1]}"

    yield make
    for each in listeners:
        each.shutdown(socket.SHUT_RDWR)
        each.close()


@pytest.fixture
def client(request: pytest.FixtureRequest) -> Callable[..., Client]:
    """Makes clients that are closed at the end."""

    def make(url: str, key: str | None = None) -> Client:
        made = Client(url, key)
        request.addfinalizer(made.close)
        return made

    return make


def head_of(connection: socket.socket) -> bytes:
    received = b""
    while b"\r\n\r\n" not in received:
        piece = connection.recv(65536)
        if not piece:
            return received
        received += piece
    return received


def request_of(connection: socket.socket) -> bytes:
    """Head and body: what is closed with something unread is reset."""
    received = head_of(connection)
    length = re.search(rb"content-length: (\d+)", received, re.IGNORECASE)
    size = received.index(b"\r\n\r\n") + 4 + int(length[1]) if length else 0
    while len(received) < size:
        received += connection.recv(65536)
    return received


def answer(connection: socket.socket, status: str, body: bytes, kind: str = "application/json") -> None:
    request_of(connection)
    connection.sendall(
        f"HTTP/1.1 {status}\r\ncontent-type: {kind}\r\ncontent-length: {len(body)}\r\n\r\n".encode() + body
    )


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        ("401 Unauthorized", Unauthenticated), ("403 Forbidden", Forbidden), ("404 Not Found", NotFound),
        ("409 Conflict", Conflict), ("413 Too Large", BodyTooLarge), ("502 Bad Gateway", UpstreamError),
        ("503 Unavailable", Unavailable), ("418 Teapot", HeadworksError),
    ],
)  # fmt: skip
def test_a_refusal_has_the_servers_words_code_and_status(
    start: Start, client: Make, status: str, kind: type[HeadworksError]
) -> None:
    error = {"message": "Not so. Do this.", "type": "x", "param": "name", "code": "no"}
    url = start(lambda connection, _: answer(connection, status, json.dumps({"error": error}).encode()))
    with pytest.raises(kind) as caught:
        client(url, "k").get("/api/x")
    assert str(caught.value) == "Not so. Do this."
    assert (caught.value.code, caught.value.param, caught.value.status) == ("no", "name", int(status[:3]))


@pytest.mark.parametrize("body", [b"<html>Bad gateway</html>", b"", b"[]", b'{"error": "x"}', b'{"detail": 1}'])
def test_an_error_that_is_not_ours_is_not_taken_for_one(start: Start, client: Make, body: bytes) -> None:
    url = start(lambda connection, _: answer(connection, "502 Bad Gateway", body, "text/html"))
    with pytest.raises(HeadworksError, match="answered, but not as Headworks does: status 502 Bad Gateway") as caught:
        client(url).get("/api/x")
    assert "--url" in str(caught.value)


def test_an_answer_that_is_no_json_is_said(start: Start, client: Make) -> None:
    url = start(lambda connection, _: answer(connection, "200 OK", b"<html>", "text/html"))
    with pytest.raises(HeadworksError, match="GET /api/x gave no JSON"):
        client(url).get("/api/x")


def test_an_empty_answer_is_nothing(start: Start, client: Make) -> None:
    url = start(lambda connection, _: answer(connection, "200 OK", b""))
    assert client(url).delete("/api/x") is None


def test_an_answer_that_is_cut_is_an_error(start: Start, client: Make) -> None:
    def speak(connection: socket.socket, _: int) -> None:
        head_of(connection)
        connection.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{")

    with pytest.raises(Unavailable, match="broke"):
        client(start(speak)).get("/api/x")


def test_a_server_that_closes_at_once_is_not_there(start: Start, client: Make) -> None:
    with pytest.raises(Unavailable, match="No server answers"):
        client(start(lambda *_: None)).get("/api/x")


def test_a_kept_connection_that_died_is_made_anew_also_for_a_file(start: Start, client: Make) -> None:
    bodies: list[bytes] = []

    def speak(connection: socket.socket, number: int) -> None:
        if number == 0:
            answer(connection, "200 OK", b"1")
            return
        received = head_of(connection)
        while not received.endswith(b"DATA"):
            received += connection.recv(65536)
        bodies.append(received.partition(b"\r\n\r\n")[2])
        connection.sendall(b"HTTP/1.1 202 Accepted\r\ncontent-length: 1\r\n\r\n2")

    asking = client(start(speak), "k")
    assert asking.get("/api/x") == 1
    assert asking.upload("/api/x", {"path": "a b"}, io.BytesIO(b"DATA"), 4) == 2
    assert bodies == [b"DATA"]


def test_a_body_that_is_refused_before_its_end_gets_the_refusal(start: Start, client: Make) -> None:
    error = json.dumps({"error": {"message": "Too big.", "code": "body_too_large"}}).encode()

    def speak(connection: socket.socket, _: int) -> None:
        head_of(connection)
        connection.sendall(
            b"HTTP/1.1 413 Large\r\nconnection: close\r\ncontent-length: %d\r\n\r\n" % len(error) + error
        )
        connection.shutdown(socket.SHUT_WR)
        while connection.recv(1 << 20):
            pass

    size = 64 << 20
    with pytest.raises(BodyTooLarge, match=r"Too big\."):
        client(start(speak)).upload("/api/x", {}, io.BytesIO(b"\0" * size), size)


def events(connection: socket.socket, content: bytes) -> None:
    request_of(connection)
    connection.sendall(
        b"HTTP/1.1 200 OK\r\nX-Headworks-Trace: t\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n"
        + content
    )


def test_events_come_with_their_headers(start: Start, client: Make) -> None:
    url = start(
        lambda connection, _: events(connection, b': hi\n\ndata: {"a": 1}\n\ndata:{"a": 2}\n\ndata: [DONE]\n\n')
    )
    found = client(url).events("/v1/x", {})
    assert found.headers["x-headworks-trace"] == "t"
    assert list(found.data) == [{"a": 1}, {"a": 2}]


@pytest.mark.parametrize(
    "content", [b'data: {"a": 1}\n\n', b'data: {"a": 1}\n\ndata: {"a"', b'data: {"a": 1}\n\ndata: x\n\n']
)
def test_a_stream_that_ends_before_its_end_is_an_error(start: Start, client: Make, content: bytes) -> None:
    url = start(lambda connection, _: events(connection, content))
    seen = []
    with pytest.raises(UpstreamError, match="broke off"):
        seen.extend(client(url).events("/v1/x", {}).data)


def test_an_error_in_the_stream_has_the_servers_words(start: Start, client: Make) -> None:
    url = start(
        lambda connection, _: events(
            connection, b'data: {"error": {"message": "Cut.", "code": "stream_truncated"}}\n\n'
        )
    )
    with pytest.raises(UpstreamError, match=r"^Cut\.$") as caught:
        list(client(url).events("/v1/x", {}).data)
    assert caught.value.code == "stream_truncated"


@given(st.lists(st.text(st.characters(exclude_characters="/"), min_size=1, max_size=20), min_size=1, max_size=4))
def test_any_name_is_one_part_of_a_path(names: list[str]) -> None:
    names = [name.encode("utf-8", "replace").decode() for name in names]
    path = place(*names)
    assert path.startswith("/api/")
    assert path.count("/") == 1 + len(names)
    assert path.isascii()
    assert not {" ", "?", "#", "\n"} & set(path)


@pytest.mark.parametrize("name", ["x/../../collections", "a/versions"])
def test_a_name_is_never_two_parts_of_a_path(name: str, cli: Any, tmp_path: Path) -> None:
    (tmp_path / "cases.jsonl").write_text('{"id": "a", "question": "q"}\n')
    for words in (("show", name), ("push", name, str(tmp_path / "cases.jsonl")), ("pull", name, str(tmp_path / "out"))):
        done = cli("datasets", *words, check=False)
        assert (done.returncode, done.stdout) == (1, "")
        assert f"`{name}` is no name or id: none of them holds a `/`." in done.stderr


def test_threads_have_connections_of_their_own(server: Server, client: Make) -> None:
    asking = client(server.url, server.admin_key)
    with ThreadPoolExecutor(8) as pool:
        names = list(pool.map(lambda _: asking.get("/api/me")["name"], range(40)))
    assert names == ["admin"] * 40


def test_another_key_is_another_client(server: Server, client: Make) -> None:
    asking = client(server.url, server.admin_key)
    assert asking.get("/api/me")["name"] == "admin"
    with pytest.raises(Unauthenticated):
        asking.with_key("hw_other").get("/api/me")

from __future__ import annotations

import socket
import threading

from running_server import Server

from headworks.cli.doctor.server import look


def test_a_server_that_runs_is_asked_who_the_key_is(server: Server) -> None:
    found = {each.what: each for each in look(server.url, server.admin_key, is_named=True)}
    assert found["server"].detail == f"ready at {server.url}"
    assert found["key"].state == "ok"
    assert "of `admin` in the tenant `default`" in found["key"].detail


def test_a_wrong_key_is_something_to_do_and_none_a_note(server: Server) -> None:
    assert [each.state for each in look(server.url, "hw_wrong", is_named=True)] == ["ok", "to do"]
    assert [each.state for each in look(server.url, None, is_named=True)] == ["ok", "note"]


def test_no_server_is_a_note_unless_one_was_named() -> None:
    (unnamed,) = look("http://127.0.0.1:1", None, is_named=False)
    assert (unnamed.state, unnamed.next_step) == ("note", "`headworks up` starts one.")
    (named,) = look("http://127.0.0.1:1", None, is_named=True)
    assert named.state == "to do"
    assert "No server answers" in named.detail


def test_a_server_that_is_not_ready_says_why() -> None:
    body = b'{"status": "not ready", "reason": "PostgreSQL is away."}'
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def answer() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.recv(65536)
                connection.sendall(b"HTTP/1.1 503 No\r\ncontent-length: %d\r\n\r\n" % len(body) + body)

        threading.Thread(target=answer, daemon=True).start()
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        (found,) = look(url, None, is_named=False)
    assert (found.state, found.detail) == ("to do", f"{url} is not ready: PostgreSQL is away.")

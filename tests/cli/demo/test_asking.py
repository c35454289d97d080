from __future__ import annotations

import pytest
from running_server import Server

from headworks.cli.demo.asking import ask
from headworks.errors import HeadworksError, Unavailable


def test_the_answer_streams_and_names_trace_and_release(server: Server) -> None:
    pieces: list[str] = []
    answer = ask(server.url, server.admin_key, "assistant", "Is there anything?", pieces.append)
    assert "".join(pieces) == answer.text
    assert answer.text.startswith("Closest passages")
    assert answer.release is not None
    assert answer.release.startswith("sha256:")
    assert answer.trace


def test_a_refusal_has_the_servers_words(server: Server) -> None:
    with pytest.raises(HeadworksError, match="There is no model or feature `nothing`") as caught:
        ask(server.url, server.admin_key, "nothing", "?", lambda _: None)
    assert caught.value.status == 404
    with pytest.raises(HeadworksError) as caught:
        ask(server.url, "hw_wrong", "assistant", "?", lambda _: None)
    assert caught.value.status == 401


def test_no_server_is_said() -> None:
    with pytest.raises(Unavailable, match="broke off"):
        ask("http://127.0.0.1:1", "hw_x", "assistant", "?", lambda _: None)

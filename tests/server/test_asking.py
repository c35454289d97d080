"""`POST /api/ask`: the gateway's own handler, for who is signed in."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, cast
from uuid import UUID

import pytest

from headworks.errors import DatabaseUnavailable, Unauthenticated
from headworks.gateway import exchange
from headworks.identity.door import Door
from headworks.identity.service import Identity
from headworks.server import asking
from headworks.server.contract import Receive, Scope, Send
from headworks.server.fences import SECURITY_HEADERS
from headworks.types.identity import Principal
from headworks.types.ids import PrincipalId, TenantId

JANE = Principal(TenantId(UUID(int=1)), PrincipalId(UUID(int=2)), "jane", "user", frozenset({"feature:call"}))
OWN_PAGE = {"cookie": "headworks=hws_good", "sec-fetch-site": "same-origin"}


@dataclass
class Sessions:
    """Stands where identity stands: one session is good."""

    failure: Exception | None = None

    async def session(self, token: str) -> Principal:
        if self.failure is not None:
            raise self.failure
        if token != "hws_good":
            raise Unauthenticated("This session has ended.", next_step="Sign in again.")
        return JANE


async def by_key(token: str) -> Principal:
    if token != "hw_good":
        raise Unauthenticated("This key is unknown.")
    return JANE


@dataclass
class Gateway:
    """Remembers who asked, and answers a stream."""

    asked: list[Principal]
    failure: Exception | None = None

    async def chat(self, scope: Scope, receive: Receive, send: Send) -> None:
        del receive
        self.asked.append(scope[exchange.SIGNED_IN])
        if self.failure is not None:
            raise self.failure
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/event-stream")]})
        await send({"type": "http.response.body", "body": b"data: 1\n\n", "more_body": True})
        await send({"type": "http.response.body", "body": b"data: [DONE]\n\n"})


@dataclass
class Answer:
    status: int
    headers: list[tuple[bytes, bytes]]
    body: bytes

    @property
    def code(self) -> str:
        return str(json.loads(self.body)["error"]["code"])


async def ask(
    headers: dict[str, str], sessions: Sessions | None = None, gateway: Gateway | None = None
) -> tuple[Answer, list[Principal]]:
    gateway = gateway or Gateway([])
    handler = asking.asking(Door(cast("Identity", sessions or Sessions()), by_key), gateway.chat)
    answer = Answer(0, [], b"")

    async def send(message: Any) -> None:
        if message["type"] == "http.response.start":
            answer.status, answer.headers = message["status"], list(message["headers"])
        answer.body += message.get("body", b"")

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b"{}"}

    scope = {
        "type": "http",
        "method": "POST",
        "scheme": "http",
        "path": "/api/ask",
        "query_string": b"",
        "server": ("127.0.0.1", 8484),
        "headers": [
            (b"host", b"127.0.0.1:8484"),
            *((name.encode(), value.encode()) for name, value in headers.items()),
        ],
    }
    await handler(scope, receive, send)
    return answer, gateway.asked


def test_the_gateway_looks_where_the_caller_is_put() -> None:
    assert asking.SIGNED_IN == exchange.SIGNED_IN


async def test_who_is_signed_in_asks_in_their_own_name() -> None:
    answer, asked = await ask(OWN_PAGE)
    assert asked == [JANE]
    assert answer.body == b"data: 1\n\ndata: [DONE]\n\n"
    assert all(pair in answer.headers for pair in SECURITY_HEADERS)


async def test_a_key_asks_as_well() -> None:
    _, asked = await ask({"authorization": "Bearer hw_good"})
    assert asked == [JANE]


@pytest.mark.parametrize(
    ("headers", "status", "code"),
    [
        ({}, 401, "missing_api_key"),
        ({"authorization": "Bearer hw_bad"}, 401, "invalid_api_key"),
        (OWN_PAGE | {"cookie": "headworks=hws_ended"}, 401, "invalid_api_key"),
        (OWN_PAGE | {"sec-fetch-site": "cross-site"}, 403, "cross_site"),
        ({"cookie": "headworks=hws_good"}, 403, "cross_site"),
        (OWN_PAGE | {"sec-fetch-site": "same-site"}, 403, "cross_site"),
    ],
    ids=["nobody", "unknown key", "ended session", "foreign page", "page of unknown origin", "neighbour's page"],
)
async def test_nobody_else_reaches_the_gateway(headers: dict[str, str], status: int, code: str) -> None:
    answer, asked = await ask(headers)
    assert asked == []
    assert (answer.status, answer.code) == (status, code)
    assert all(pair in answer.headers for pair in SECURITY_HEADERS)


async def test_a_database_that_is_away_is_said_so() -> None:
    answer, asked = await ask(OWN_PAGE, Sessions(DatabaseUnavailable("The database is away.")))
    assert asked == []
    assert answer.status == 503


async def test_a_bug_behind_it_shows_nothing_of_itself(caplog: pytest.LogCaptureFixture) -> None:
    answer, _ = await ask(OWN_PAGE, gateway=Gateway([], RuntimeError("a secret")))
    assert (answer.status, answer.code) == (500, "internal_error")
    assert b"a secret" not in answer.body
    assert "a secret" in caplog.text

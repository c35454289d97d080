"""The front of the server: who answers what, in which shape, and what it says of itself when it breaks."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from http.client import HTTPConnection
from typing import Annotated, Any

import pytest
from fastapi import APIRouter, Query
from fastapi.responses import StreamingResponse
from pydantic import BaseModel
from running_server import Server as Running

from headworks.errors import Conflict, SealBroken, StartupRefused, UnstorableText
from headworks.server.asgi import Server, control_plane
from headworks.server.contract import Handler, Receive, Scope, Send
from headworks.server.fences import SECURITY_HEADERS

FOUR = {"message", "type", "param", "code"}
SECRET = "the-text-of-somebody"


class Wanted(BaseModel):
    name: str
    size: int = 1
    more: list[dict[str, str]] = []


def routes() -> APIRouter:
    router = APIRouter()

    @router.get("/api/things")
    async def things(most: Annotated[int, Query(ge=1)] = 10) -> dict[str, int]:
        return {"most": most}

    @router.post("/api/things")
    async def make(body: Wanted) -> dict[str, str]:
        if "\0" in body.name:
            raise UnstorableText.found()
        return {"name": body.name}

    @router.get("/api/things/{name}")
    async def thing(name: str) -> dict[str, str]:
        if name == "taken":
            raise Conflict("Somebody has it.", next_step="Take another.", param="name", headers={"retry-after": "3"})
        if name == "sealed":
            raise SealBroken("The seal of a span is broken.")
        raise RuntimeError(SECRET)

    @router.get("/api/half")
    async def half() -> StreamingResponse:
        async def parts() -> AsyncIterator[bytes]:
            yield b"the first half"
            raise RuntimeError(SECRET)

        return StreamingResponse(parts())

    return router


async def hot_answer(scope: Scope, receive: Receive, send: Send) -> None:
    body = f"hot {scope['method']} {scope['path']}".encode()
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"%d" % len(body))]})
    await send({"type": "http.response.body", "body": body})


async def prefix_answer(scope: Scope, receive: Receive, send: Send) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"prefix"})


@asynccontextmanager
async def nothing() -> AsyncIterator[None]:
    yield


def front(lifespan: Callable[[], Any] = nothing) -> Server:
    hot: Mapping[tuple[str, str], Handler] = {
        ("POST", "/v1/chat"): hot_answer,
        ("GET", "/v1/models"): hot_answer,
        ("POST", "/v1/both"): hot_answer,
        ("GET", "/v1/both"): hot_answer,
    }
    return Server(hot, {("GET", "/v1/models/"): prefix_answer}, control_plane([routes()]), lifespan)


@dataclass
class Answer:
    status: int = 0
    headers: list[tuple[bytes, bytes]] = field(default_factory=list)
    body: bytes = b""
    is_complete: bool = False

    def header(self, name: str) -> str:
        return next((value.decode() for each, value in self.headers if each.lower() == name.encode()), "")

    @property
    def error(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.body)["error"]
        assert set(found) == FOUR
        return found


async def ask(method: str, path: str, body: bytes = b"", app: Server | None = None, **headers: str) -> Answer:
    """One request to the front as an HTTP server makes it."""
    path, _, query = path.partition("?")
    sent = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": method,
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "query_string": query.encode(),
        "root_path": "",
        "headers": [(b"host", b"127.0.0.1"), *sent],
        "server": ("127.0.0.1", 80),
        "client": ("127.0.0.1", 5),
    }
    answer = Answer()
    asked = iter([{"type": "http.request", "body": body, "more_body": False}])

    async def receive() -> dict[str, Any]:
        return next(asked, {"type": "http.disconnect"})

    async def send(message: Any) -> None:
        if message["type"] == "http.response.start":
            answer.status, answer.headers = message["status"], list(message.get("headers", ()))
        else:
            answer.body += message.get("body", b"")
            answer.is_complete = not message.get("more_body", False)

    await (app or front())(scope, receive, send)
    return answer


async def post(path: str, value: Any) -> Answer:
    body = value if isinstance(value, bytes) else json.dumps(value).encode()
    return await ask("POST", path, body, content_type="application/json")


def is_secured(answer: Answer) -> bool:
    return all(pair in answer.headers for pair in SECURITY_HEADERS)


# ── Who answers ──


@pytest.mark.parametrize(
    ("value", "param", "said"),
    [
        ({"name": "a\0"}, "name", "`name`: a text holds a NUL"),
        ({"name": "\0", "more": [{}, {"a": "\0"}]}, None, "`name`, `more.1.a`: a text holds a NUL"),
    ],
)
async def test_a_text_that_can_not_be_stored_is_a_callers_mistake_and_its_fields_are_named(
    value: Any, param: str | None, said: str
) -> None:
    answer = await post("/api/things", value)
    assert (answer.status, answer.error["code"], answer.error["param"]) == (400, "unstorable_text", param)
    assert answer.error["message"].startswith(said)


async def test_the_request_path_is_found_by_method_and_path() -> None:
    assert (await ask("POST", "/v1/chat")).body == b"hot POST /v1/chat"
    assert (await ask("GET", "/v1/models?x=1")).body == b"hot GET /v1/models"


async def test_a_prefix_answers_for_everything_below_it() -> None:
    assert (await ask("GET", "/v1/models/openai/gpt-5-mini")).body == b"prefix"
    assert (await ask("POST", "/v1/models/x")).status == 404


async def test_everything_else_is_the_control_planes() -> None:
    assert json.loads((await ask("GET", "/api/things?most=3")).body) == {"most": 3}
    assert json.loads((await post("/api/things", {"name": "a"})).body) == {"name": "a"}


async def test_answers_of_the_request_path_are_left_as_they_are() -> None:
    assert (await ask("POST", "/v1/chat")).headers == [(b"content-length", b"17")]


# ── Errors ──


async def test_what_is_not_there_is_a_404_that_says_where_to_look() -> None:
    answer = await ask("GET", "/nowhere")
    assert answer.status == 404
    assert answer.error["code"] == "not_found"
    assert answer.error["message"] == (
        "There is nothing at GET /nowhere. The addresses are listed in /api/openapi.json."
    )


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("GET", "/v1/chat", "POST"),
        ("OPTIONS", "/v1/chat", "POST"),
        ("DELETE", "/v1/both", "GET, POST"),
        ("DELETE", "/api/things", "GET, POST"),
        ("OPTIONS", "/api/things", "GET, POST"),
        ("PUT", "/api/things/x", "GET"),
    ],
)
async def test_a_wrong_method_is_a_405_that_names_the_right_ones(method: str, path: str, allowed: str) -> None:
    answer = await ask(method, path)
    assert answer.status == 405
    assert answer.header("allow") == allowed
    assert answer.error["code"] == "method_not_allowed"
    assert answer.error["message"] == f"{path} does not answer {method}. Ask with {allowed.replace(', ', ' or ')}."
    assert is_secured(answer)


@pytest.mark.parametrize(
    ("value", "param"),
    [({}, "name"), ({"name": 7}, "name"), ({"name": "a", "size": SECRET}, "size"), ([1], None), (b"{", None)],
)
async def test_a_wrong_body_names_the_field_and_never_repeats_its_value(value: Any, param: str | None) -> None:
    answer = await post("/api/things", value)
    assert answer.status == 400
    assert answer.error["code"] == ("invalid_request" if value != b"{" else "invalid_json")
    if param:
        assert answer.error["param"] == param
        assert answer.error["message"].startswith(f"`{param}`: ")
    assert SECRET.encode() not in answer.body


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b'{"name": ', "The body is not valid JSON: Expecting value (character 9)."),
        (b'{"name": "\xff"}', "The body is not valid JSON: byte 10 is not UTF-8."),
        (b"[" * 100_000, "The body is not valid JSON: it is nested too deeply."),
    ],
)
async def test_a_body_that_is_no_json_says_why_and_where(body: bytes, said: str) -> None:
    answer = await post("/api/things", body)
    assert (answer.status, answer.error["code"], answer.error["param"]) == (400, "invalid_json", None)
    assert answer.error["message"] == f"{said} Send one JSON object in UTF-8."


async def test_a_body_whose_content_type_is_not_json_says_which_to_send() -> None:
    answer = await ask("POST", "/api/things", b'{"name": "a"}', content_type="application/x-www-form-urlencoded")
    assert (answer.status, answer.error["code"]) == (400, "invalid_json")
    assert answer.error["message"].endswith("Send `content-type: application/json`.")


async def test_a_wrong_query_names_the_parameter() -> None:
    answer = await ask("GET", "/api/things?most=none")
    assert answer.status == 400
    assert answer.error["param"] == "most"


async def test_a_body_that_is_too_large_is_refused_before_it_is_read() -> None:
    answer = await ask("POST", "/api/things", b"{}", content_type="application/json", content_length=str(64 << 20))
    assert answer.status == 413
    assert answer.error["code"] == "body_too_large"
    assert answer.error["message"] == "The body is larger than 32 MiB. Send less at once."
    assert is_secured(answer)


async def test_a_body_that_grows_too_large_is_refused_when_it_does() -> None:
    answer = await ask("POST", "/api/things", b" " * ((32 << 20) + 1), content_type="application/json")
    assert (answer.status, answer.error["code"]) == (413, "body_too_large")


async def test_our_own_errors_keep_status_code_field_and_headers() -> None:
    answer = await ask("GET", "/api/things/taken")
    assert answer.status == 409
    assert answer.error == {
        "message": "Somebody has it. Take another.",
        "type": "invalid_request_error",
        "param": "name",
        "code": "conflict",
    }
    assert answer.header("retry-after") == "3"


async def test_a_bug_is_a_500_without_details_and_a_traceback_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    answer = await ask("GET", "/api/things/hwclaim_secret")
    assert answer.status == 500
    assert answer.error["code"] == "internal_error"
    assert answer.error["message"] == "Something went wrong in the server. Its log says what."
    assert is_secured(answer)
    [record] = [each for each in caplog.records if each.levelno >= logging.ERROR]
    assert record.getMessage() == "GET /api/things/{name} failed unexpectedly"
    assert record.exc_info is not None
    assert str(record.exc_info[1]) == SECRET
    assert "hwclaim_secret" not in record.getMessage()


async def test_a_fault_of_ours_that_has_a_name_is_logged_too(caplog: pytest.LogCaptureFixture) -> None:
    answer = await ask("GET", "/api/things/sealed")
    assert answer.status == 500
    assert [each.getMessage() for each in caplog.records] == ["SealBroken: The seal of a span is broken."]


async def test_an_answer_that_breaks_in_the_middle_is_not_ended_as_if_it_were_whole(
    caplog: pytest.LogCaptureFixture,
) -> None:
    answer = await ask("GET", "/api/half")
    assert answer.status == 200
    assert answer.body == b"the first half"
    assert not answer.is_complete
    assert "failed unexpectedly" in caplog.text


# ── What every answer carries ──


@pytest.mark.parametrize(
    "path", ["/api/things", "/nowhere", "/api/things/taken", "/api/things/bug", "/api/openapi.json"]
)
async def test_every_answer_of_the_control_plane_is_secured_and_stored_by_nobody(path: str) -> None:
    answer = await ask("GET", path)
    assert is_secured(answer)
    assert answer.header("cache-control") == "no-store"


async def test_the_policy_lets_no_foreign_and_no_inline_script_in() -> None:
    policy = dict(SECURITY_HEADERS)[b"content-security-policy"].decode()
    rules = {name: sources for name, *sources in (each.split() for each in policy.split(";"))}
    assert rules["default-src"] == ["'none'"]
    assert rules["script-src"] == rules["style-src"] == rules["connect-src"] == ["'self'"]
    assert rules["frame-ancestors"] == ["'none'"]
    assert rules["require-trusted-types-for"] == ["'script'"]
    assert "unsafe" not in policy


async def test_an_address_with_a_slash_too_many_is_not_redirected() -> None:
    assert (await ask("GET", "/api/things/")).status in {404, 500}, "no redirect to a host that the caller names"


async def test_head_is_answered_as_get_is() -> None:
    assert (await ask("HEAD", "/api/things")).status == 200
    assert (await ask("HEAD", "/v1/models")).status == 200
    assert (await ask("HEAD", "/v1/chat")).status == 405


@pytest.mark.parametrize("path", ["/", "/livez", "/readyz", "/console/app.js", "/nowhere", "/api/me", "/v1/models"])
def test_head_has_the_headers_of_get_and_no_body(server: Running, path: str) -> None:
    host = server.url.removeprefix("http://")
    answers = {}
    for method in ("GET", "HEAD", "GET"):
        connection = HTTPConnection(host, timeout=10)
        connection.request(method, path)
        answer = connection.getresponse()
        answers[method] = answer.status, answer.getheader("content-type"), len(answer.read())
        connection.close()
    assert answers["HEAD"][:2] == answers["GET"][:2]
    assert answers["HEAD"][2] == 0
    assert answers["GET"][2] > 0


# ── The life of the server ──


async def live(app: Server) -> list[dict[str, Any]]:
    """A start and an end, and what the server was told."""
    asked = iter([{"type": "lifespan.startup"}, {"type": "lifespan.shutdown"}])
    told: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        return next(asked)

    async def send(message: Any) -> None:
        told.append(dict(message))

    await app({"type": "lifespan"}, receive, send)
    return told


async def test_what_the_application_needs_is_started_and_stopped() -> None:
    happened = []

    @asynccontextmanager
    async def lifespan() -> AsyncIterator[None]:
        happened.append("start")
        yield
        happened.append("stop")

    told = await live(front(lifespan))
    assert [each["type"] for each in told] == ["lifespan.startup.complete", "lifespan.shutdown.complete"]
    assert happened == ["start", "stop"]


async def test_a_refused_start_is_told_in_its_own_words() -> None:
    @asynccontextmanager
    async def lifespan() -> AsyncIterator[None]:
        raise StartupRefused("The database is away.", next_step="Start it.")
        yield

    assert await live(front(lifespan)) == [
        {"type": "lifespan.startup.failed", "message": "The database is away. Start it."}
    ]


async def test_an_unexpected_failure_at_the_start_is_logged_and_told(caplog: pytest.LogCaptureFixture) -> None:
    @asynccontextmanager
    async def lifespan() -> AsyncIterator[None]:
        raise ZeroDivisionError
        yield

    [told] = await live(front(lifespan))
    assert told["type"] == "lifespan.startup.failed"
    assert "ZeroDivisionError" in told["message"]
    assert any(each.exc_info for each in caplog.records)


async def test_a_failure_at_the_end_is_told(caplog: pytest.LogCaptureFixture) -> None:
    @asynccontextmanager
    async def lifespan() -> AsyncIterator[None]:
        yield
        raise OSError("the journal can't be closed")

    told = await live(front(lifespan))
    assert [each["type"] for each in told] == ["lifespan.startup.complete", "lifespan.shutdown.failed"]
    assert "the journal can't be closed" in caplog.text


async def test_requests_at_once_do_not_see_each_other() -> None:
    app = front()
    answers = await asyncio.gather(*(ask("GET", f"/api/things?most={n}", app=app) for n in range(1, 40)))
    assert [json.loads(each.body)["most"] for each in answers] == list(range(1, 40))

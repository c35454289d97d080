"""Each route of the control plane says what it needs, what it writes to the audit and how often it may be asked; and
the running server keeps to it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from functools import cache
from http.client import HTTPConnection, HTTPResponse
from itertools import count
from pathlib import Path

import pytest
from fastapi.routing import APIRoute, iter_route_contexts
from running_server import Server

from headworks.app import routers
from headworks.gateway.openapi.document import OPERATIONS
from headworks.identity.roles import PERMISSIONS
from headworks.server.fences import SECURITY_HEADERS

SOURCE = Path(__file__).parents[2] / "src" / "headworks"
RATES = {"control", "search", "upload", "sign-in", "health"}
OPEN = {
    ("GET", "/livez"),
    ("GET", "/readyz"),
    ("GET", "/"),
    ("GET", "/documents/{document}"),
    ("GET", "/console/{name}"),
    ("GET", "/claim/{token}"),
    ("GET", "/sign-in.js"),
    ("POST", "/claim/{token}"),
    ("POST", "/api/sign-out"),
}
"""Nothing of what the server holds is behind these."""
READING = {
    ("POST", "/api/search"),
    ("POST", "/api/workspace/diff"),
    ("POST", "/api/collections/{name}/documents/find"),
}
"""They ask with a body and change nothing."""
HAND_IN = {
    ("PUT", "/api/collections/{name}/documents"),
    ("POST", "/api/collections/{name}/syncs"),
    ("POST", "/api/collections/{name}/syncs/{sync}/finish"),
    ("POST", "/api/collections/{name}/sources/sync"),
    ("POST", "/api/collections/{name}/failed/retry"),
    ("POST", "/api/collections/{name}/documents/delete"),
    ("POST", "/api/collections/{name}/documents/batch"),
}
"""Each pass and each file has a row of its own; an audit event for each of thousands would bury the rest."""


def routes() -> Iterator[APIRoute]:
    """Every route, also of routers inside routers."""
    for router in routers(lambda: None):
        for each in iter_route_contexts(router.routes):
            assert isinstance(each.original_route, APIRoute)
            yield each.original_route


def named(route: APIRoute) -> tuple[str, str]:
    assert route.methods is not None
    (method,) = route.methods
    return method, route.path


ALL = {named(route): route for route in routes()}
EACH = pytest.mark.parametrize("name", sorted(ALL), ids=" ".join)


def declared(name: tuple[str, str]) -> dict[str, str | None]:
    found: dict[str, str | None] = (ALL[name].openapi_extra or {}).get("x-headworks", {})
    return found


def sentence(route: APIRoute) -> str:
    return (route.endpoint.__doc__ or "").strip()


def test_the_routes_looked_at_here_are_those_of_the_running_server(server: Server) -> None:
    paths = server.must("GET", "/api/openapi.json")["paths"]
    running = {(method.upper(), path) for path, methods in paths.items() for method in methods}
    hot = {each.route for each in OPERATIONS}  # tests/gateway/openapi/test_document.py holds them to what is mounted
    assert running - hot == {name for name, route in ALL.items() if route.include_in_schema}


@EACH
def test_each_route_declares_permission_audit_and_rate(name: tuple[str, str]) -> None:
    assert set(declared(name)) == {"permission", "audit", "rate"}
    assert declared(name)["rate"] in RATES
    assert sentence(ALL[name]), "it says in a sentence what it is for"


@EACH
def test_each_permission_that_a_route_names_exists(name: tuple[str, str]) -> None:
    permission = declared(name)["permission"]
    assert (permission is None) == (name in OPEN)
    if permission not in {None, "any"}:
        assert set(str(permission).split("|")) <= set(PERMISSIONS)


@EACH
def test_what_a_route_declares_is_what_it_asks_for(name: tuple[str, str]) -> None:
    """`require` closes over the permissions that it checks; the declaration must say the same."""
    asked = [each.call for each in ALL[name].dependant.dependencies if each.call is not None]
    guards = [each for each in asked if each.__qualname__ == "require.<locals>.authenticated"]
    permission = declared(name)["permission"]
    assert len(guards) == (0 if permission is None else 1)
    for guard in guards:
        cells = dict(zip(guard.__code__.co_freevars, (cell.cell_contents for cell in guard.__closure__), strict=True))
        wanted = () if permission == "any" else tuple(str(permission).split("|"))
        assert sorted(cells["permissions"]) == sorted(wanted)


@EACH
def test_each_route_that_writes_names_its_audit_event(name: tuple[str, str]) -> None:
    method, _ = name
    audit = declared(name)["audit"]
    if method == "GET" or name in READING | HAND_IN:
        assert audit is None
    else:
        assert re.fullmatch(r"[a-z]+\.[a-z]+", str(audit))


@cache
def code() -> str:
    """All source files but the routes."""
    files = (path for path in SOURCE.rglob("*.py") if path.name not in {"routes.py", "sign_in.py", "door.py"})
    return "\n".join(path.read_text() for path in files)


@EACH
def test_each_audit_event_that_a_route_names_is_written_somewhere(name: tuple[str, str]) -> None:
    audit = declared(name)["audit"]
    assert audit is None or f'"{audit}"' in code()


# ── The running server ──


def ask(server: Server, method: str, path: str, **headers: str) -> tuple[HTTPResponse, bytes]:
    """A bare request, as somebody without our clients makes it."""
    connection = HTTPConnection(server.url.removeprefix("http://"), timeout=30)
    sent = {name.replace("_", "-"): value for name, value in headers.items()}
    connection.request(method, path, b"{}" if method in {"POST", "PUT"} else None, sent)
    answer = connection.getresponse()
    body = answer.read()
    connection.close()
    return answer, body


def address(path: str) -> str:
    """A path with something in the place of each of its parameters."""
    numbers = count(1)
    filled = re.sub(r"\{\w+\}", lambda _: f"x{next(numbers)}", path)
    return f"{filled}?path=a.md" if filled.endswith("/documents") else filled


def is_secured(answer: HTTPResponse) -> bool:
    return all(answer.getheader(name.decode()) == value.decode() for name, value in SECURITY_HEADERS)


CLOSED = sorted([*(set(ALL) - OPEN), ("POST", "/api/ask")])
STRANGERS = {
    "no key": {},
    "a key that is none": {"authorization": "Bearer hw_nothing"},
    "no bearer": {"authorization": "Basic YWRtaW46YWRtaW4="},
    "a session that is none": {"cookie": "headworks=hwsession_nothing", "sec-fetch-site": "same-origin"},
}


@pytest.mark.parametrize("name", CLOSED, ids=" ".join)
def test_each_route_that_is_not_open_turns_strangers_away(server: Server, name: tuple[str, str]) -> None:
    method, path = name
    kind = "application/octet-stream" if method == "PUT" else "application/json"
    for who, headers in STRANGERS.items():
        answer, body = ask(server, method, address(path), content_type=kind, **headers)
        assert answer.status == 401, who
        assert set(json.loads(body)["error"]) == {"message", "type", "param", "code"}
        assert is_secured(answer)
        assert answer.getheader("cache-control") == "no-store"


@pytest.fixture(scope="module")
def powerless(server: Server) -> str:
    """A key that may do nothing."""
    token: str = server.must("POST", "/api/keys", {"permissions": []})["token"]
    return token


@pytest.mark.parametrize(
    "name", [each for each in ALL if declared(each)["permission"] not in {None, "any"}], ids=" ".join
)
def test_each_route_turns_away_who_lacks_its_permission(server: Server, powerless: str, name: tuple[str, str]) -> None:
    method, path = name
    kind = "application/octet-stream" if method == "PUT" else "application/json"
    answer, body = ask(server, method, address(path), content_type=kind, authorization=f"Bearer {powerless}")
    assert answer.status == 403
    assert json.loads(body)["error"]["code"] == "permission_denied"


@pytest.mark.parametrize("name", sorted(OPEN), ids=" ".join)
def test_each_open_route_is_secured_and_holds_no_data(server: Server, name: tuple[str, str]) -> None:
    answer, body = ask(server, name[0], address(name[1]))
    assert answer.status < 500
    assert is_secured(answer)
    assert server.admin_key.encode() not in body


def test_large_bodies_are_refused_before_they_are_read(server: Server) -> None:
    answer, body = ask(server, "POST", "/api/search", content_type="application/json", content_length=str(64 << 20))
    assert answer.status == 413
    assert json.loads(body)["error"]["code"] == "body_too_large"
    answer, _ = ask(server, "PUT", "/api/collections/x/documents?path=a", content_length=str(48 << 20))
    assert answer.status == 401, "files may be larger, and nobody reads a stranger's"

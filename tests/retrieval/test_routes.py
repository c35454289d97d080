"""Retrieval over HTTP, with keys: what scripts rely on, and what a refusal says."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from retrieval_world import World

from headworks.errors import DatabaseUnavailable
from headworks.identity.contract import KeyRequest
from headworks.identity.routes import install
from headworks.retrieval.routes import router
from headworks.server.asgi import control_plane
from headworks.types.identity import Principal, ShownKey

LEAVE = "# Leave\n\nParental leave is twelve weeks.\n"


class Caller:
    """One key against the routes."""

    def __init__(self, client: httpx.AsyncClient, token: str) -> None:
        self._client = client
        self._headers = {"authorization": f"Bearer {token}"}

    async def __call__(self, method: str, path: str, **more: Any) -> httpx.Response:
        headers = {**self._headers, **more.pop("headers", {})}
        return await self._client.request(method, path, headers=headers, **more)

    async def search(self, collection: str, query: str, **more: Any) -> httpx.Response:
        return await self("POST", "/api/search", json={"collection": collection, "query": query, **more})

    async def put(self, collection: str, path: str, content: bytes | str, **query: Any) -> httpx.Response:
        where = f"/api/collections/{collection}/documents"
        return await self("PUT", where, params={"path": path, **query}, content=content)


class Http:
    """The routes in front of a world."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.app = control_plane([router])

        async def authenticate(token: str) -> Principal:
            async with world.db.system("test") as tx:
                return (await world.identity.load(tx)).authenticate(ShownKey(token), time.time())

        install(self.app, world.identity, authenticate)
        self.app.state.retrieval = world.retrieval
        self.client = httpx.AsyncClient(transport=httpx.ASGITransport(self.app), base_url="http://127.0.0.1:8484")

    async def caller(self, name: str, **request: Any) -> Caller:
        new = await self.world.identity.create_key(self.world.admin, KeyRequest(principal=name, **request))
        return Caller(self.client, new.token)


@pytest.fixture
async def http(world: World) -> AsyncIterator[Http]:
    http = Http(world)
    yield http
    await http.client.aclose()


def _error(response: httpx.Response) -> str:
    body = response.json()["error"]
    assert body.keys() == {"message", "type", "param", "code"}
    return str(body["message"])


async def test_a_folder_goes_in_and_is_found(http: Http) -> None:
    await http.world.collection("handbook", "everyone")
    admin = await http.caller("admin")
    begun = await admin("POST", "/api/collections/handbook/syncs", json={"source": "folder:a"})
    assert begun.status_code == 201
    assert begun.json()["known"] == {}
    sync = begun.json()["id"]
    put = await admin.put("handbook", "people/leave.md", LEAVE, sync=sync)
    assert put.status_code == 202
    assert put.json() | {"id": ""} == {"id": "", "path": "people/leave.md", "state": "queued", "bytes": len(LEAVE)}
    await admin.put("handbook", "bad.exe", b"MZ", sync=sync)
    where = f"/api/collections/handbook/syncs/{sync}"
    finished = await admin("POST", f"{where}/finish", json={"seen": ["people/leave.md", "bad.exe"]})
    assert (finished.json()["total"], finished.json()["done"]) == (2, 0)
    await http.world.drain()
    progress = (await admin("GET", where)).json()
    assert progress == {
        "total": 2, "done": 2, "documents": 1, "chunks": 1, "notice": "", "is_paused": False,
        "failed": [{"path": "bad.exe", "code": "unsupported", "message": "No parser knows this kind of file."}],
    }  # fmt: skip
    assert (await admin("GET", "/api/collections/handbook/progress")).json()["total"] == 2
    found = (await admin.search("handbook", "parental leave", k=3)).json()
    assert (found["ranking"], found["notice"]) == ("hybrid", "")
    (row,) = found["rows"]
    assert row.keys() >= {"document", "title", "path", "chunk", "score", "start", "end", "section", "text"}
    assert (row["title"], row["chunk"], row["section"]) == ("Leave", 0, ["Leave"])
    document = (await admin("GET", f"/api/documents/{row['document']}")).json()
    assert document["text"][row["start"] : row["end"]] == row["text"]
    assert document["headings"] == [{"level": 1, "text": "Leave", "start": 0, "end": 7}]
    listed = (await admin("GET", "/api/collections")).json()["rows"]
    assert [(each["name"], each["documents"]) for each in listed] == [("handbook", 1)]


async def test_readers_come_by_name_and_an_empty_list_is_nobody(http: Http) -> None:
    await http.world.collection("handbook", "everyone")
    await http.world.person("bob", "clinic")
    admin, bob = await http.caller("admin"), await http.caller("bob")
    await admin.put("handbook", "a.md", "# A\n\nheron", readers="clinic, administrators")
    await admin.put("handbook", "b.md", "# B\n\nheron", readers="")
    await admin.put("handbook", "c.md", "# C\n\nheron", readers="administrators")
    await http.world.drain()
    rows = (await bob.search("handbook", "heron")).json()["rows"]
    assert [row["path"] for row in rows] == ["a.md"]
    refused = await admin.put("handbook", "d.md", "x", readers="clinc")
    assert refused.status_code == 400
    assert "Did you mean `clinic`" in _error(refused)


async def test_each_route_needs_its_permission(http: Http) -> None:
    await http.world.collection("handbook", "everyone")
    await http.world.person("bob")
    bob = await http.caller("bob")
    reads_nothing = await http.caller("bob", permissions=("feature:call",))
    writes = [
        await bob.put("handbook", "a.md", "x"),
        await bob("POST", "/api/collections/handbook/syncs", json={"source": "a"}),
        await bob("GET", "/api/collections/handbook/progress"),
        await bob("POST", "/api/readers/explain", json={"document": "a.md", "principal": "bob"}),
        await reads_nothing.search("handbook", "x"),
        await reads_nothing("GET", "/api/collections"),
        await reads_nothing("GET", "/api/documents/x"),
    ]
    assert [each.status_code for each in writes] == [403] * 7
    assert all("lacks the permission" in _error(each) for each in writes)
    nobody = await http.client.post("/api/search", json={"collection": "handbook", "query": "x"})
    assert nobody.status_code == 401


async def test_a_document_that_is_not_for_the_caller_reads_as_one_that_is_not_there(http: Http) -> None:
    await http.world.collection("handbook", "everyone")
    await http.world.person("bob")
    admin, bob = await http.caller("admin"), await http.caller("bob")
    await admin.put("handbook", "a.md", "# Merger\n\nheron", readers="administrators")
    await http.world.drain()
    (row,) = (await admin.search("handbook", "heron")).json()["rows"]
    answers = [
        await bob("GET", f"/api/documents/{name}")
        for name in (row["document"], "018f0000-0000-7000-8000-000000000000", "no-uuid")
    ]
    assert [each.status_code for each in answers] == [404] * 3
    assert len({each.text for each in answers}) == 1


@pytest.mark.parametrize("is_said", [True, False])
async def test_a_large_body_is_refused_before_or_while_it_comes(http: Http, *, is_said: bool) -> None:
    await http.world.collection("handbook", "everyone")
    admin = await http.caller("admin")
    sent = 0

    async def parts() -> AsyncIterator[bytes]:
        nonlocal sent
        for _ in range(50):
            sent += 1
            yield b"x" * (100 << 10)

    headers = {"content-length": str(50 * (100 << 10))} if is_said else {}
    refused = await admin(
        "PUT", "/api/collections/handbook/documents", params={"path": "a.txt"}, content=parts(), headers=headers
    )
    assert refused.status_code == 413
    assert "larger than 1 MB" in _error(refused)
    assert http.world.count("ingest_item") == 0


async def test_a_database_that_is_away_is_503_and_nothing_is_acknowledged(
    http: Http, monkeypatch: pytest.MonkeyPatch
) -> None:
    await http.world.collection("handbook", "everyone")
    admin = await http.caller("admin")

    def away(*_: object, **__: object) -> None:
        raise DatabaseUnavailable("PostgreSQL can't be reached.")

    monkeypatch.setattr(http.world.retrieval.ingestion._db, "tx", away)
    refused = await admin.put("handbook", "a.md", "x")
    assert refused.status_code == 503
    assert refused.json()["error"]["code"] == "database_unavailable"


async def test_wrong_bodies_and_names_say_what_is_wrong(http: Http) -> None:
    await http.world.collection("handbook", "everyone")
    admin = await http.caller("admin")
    answers = {
        "typo": await admin("POST", "/api/search", json={"collection": "handbook", "querry": "x", "query": "x"}),
        "type": await admin("POST", "/api/search", json={"collection": "handbook", "query": 5}),
        "json": await admin("POST", "/api/search", content=b'{"collection": '),
        "collection": await admin.search("handbok", "x"),
        "k": await admin.search("handbook", "x", k=1000),
        "path": await admin.put("handbook", "../up.md", "x"),
        "no path": await admin("PUT", "/api/collections/handbook/documents", content=b"x"),
        "sync": await admin("GET", "/api/collections/handbook/syncs/none"),
    }
    assert {name: each.status_code for name, each in answers.items()} == {
        "typo": 400, "type": 400, "json": 400, "collection": 404, "k": 400, "path": 400, "no path": 400, "sync": 404,
    }  # fmt: skip
    assert "querry" in _error(answers["typo"])
    assert "Did you mean `handbook`" in _error(answers["collection"])


async def test_an_administrator_is_told_why(http: Http) -> None:
    await http.world.collection("handbook", "everyone")
    await http.world.person("bob")
    admin = await http.caller("admin")
    await admin.put("handbook", "a.md", LEAVE, readers="administrators")
    await http.world.drain()
    body = {"document": "a.md", "principal": "bob", "collection": "handbook"}
    found = (await admin("POST", "/api/readers/explain", json=body)).json()
    assert found["may_read"] is False
    assert "only `administrators` may" in found["reason"]
    assert [each["kind"] for each in found["admissions"]] == ["collection", "document"]

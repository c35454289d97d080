"""Seeing as somebody else over HTTP, and deny entries on upload: what is refused, and what the audit says."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from retrieval_world import World

from .test_routes import Http, _error

AS_BOB = {"x-headworks-as": "bob"}


@pytest.fixture
async def http(world: World) -> AsyncIterator[Http]:
    http = Http(world)
    yield http
    await http.client.aclose()


async def test_search_lists_and_documents_are_what_somebody_would_get(http: Http) -> None:
    await http.world.collection("handbook", "everyone")
    await http.world.collection("secrets", "administrators")
    await http.world.person("bob", "board")
    admin, bob = await http.caller("admin"), await http.caller("bob")
    for path, readers in (("open.md", "*"), ("board.md", "board"), ("mine.md", "administrators")):
        await admin.put("handbook", path, "# Heron\n\nheron", readers=readers)
    await http.world.drain()
    asked = {"collection": "handbook", "query": "heron"}
    seen = await admin("POST", "/api/search", json=asked, headers=AS_BOB)
    own = await bob("POST", "/api/search", json=asked)
    assert seen.json()["rows"] == own.json()["rows"]
    assert sorted(row["path"] for row in seen.json()["rows"]) == ["board.md", "open.md"]
    (mine,) = [row for row in (await admin.search("handbook", "heron")).json()["rows"] if row["path"] == "mine.md"]
    refused = await admin("GET", f"/api/documents/{mine['document']}", headers=AS_BOB)
    assert refused.status_code == 404
    names = [each["name"] for each in (await admin("GET", "/api/collections", headers=AS_BOB)).json()["rows"]]
    assert names == ["handbook"]
    where, paths = "/api/collections/handbook/documents/find", {"paths": ["mine.md", "board.md"]}
    assert [each["path"] for each in (await admin("POST", where, json=paths, headers=AS_BOB)).json()["rows"]] == [
        "board.md"
    ]
    rows = http.world.behind.execute(
        "SELECT subject, detail ->> 'request' FROM audit_event WHERE action = 'reader.see_as' ORDER BY at, event_id"
    ).fetchall()
    assert rows == [
        ("principal:bob", "POST /api/search"),
        ("principal:bob", f"GET /api/documents/{mine['document']}"),
        ("principal:bob", "GET /api/collections"),
        ("principal:bob", "POST /api/collections/handbook/documents/find"),
    ]


async def test_nothing_else_can_be_done_as_somebody(http: Http) -> None:
    await http.world.collection("handbook", "everyone")
    await http.world.person("bob")
    admin = await http.caller("admin")
    for method, path in (
        ("PUT", "/api/collections/handbook/documents?path=a.md"),
        ("POST", "/api/readers/explain"),
        ("GET", "/api/collections/handbook/progress"),
    ):
        refused = await admin(method, path, headers=AS_BOB, **({} if method == "GET" else {"json": {}}))
        assert refused.status_code in {400, 422}, path
        if refused.status_code == 400:
            assert "can't be done as somebody else" in _error(refused)
    assert http.world.count("ingest_item") == 0


async def test_who_lacks_the_permission_sees_as_nobody_and_a_stranger_is_unknown(http: Http) -> None:
    await http.world.collection("handbook", "everyone")
    await http.world.person("bob")
    await http.world.person("eve")
    await http.world.identity.bind_role(http.world.admin, "eve", "engineer")
    eve, admin = await http.caller("eve"), await http.caller("admin")
    refused = await eve("GET", "/api/collections", headers=AS_BOB)
    assert (refused.status_code, "reader:see_as" in _error(refused)) == (403, True)
    unknown = await admin("GET", "/api/collections", headers={"x-headworks-as": "b%C3%B6b"})
    assert (unknown.status_code, "no user or service account `böb`" in _error(unknown)) == (404, True)
    narrowed = await http.caller("admin", groups=("everyone",))
    refused = await narrowed("GET", "/api/collections", headers=AS_BOB)
    assert (refused.status_code, "not be limited as this key is" in _error(refused)) == (403, True)


async def test_somebody_who_may_not_search_is_seen_not_to(http: Http) -> None:
    await http.world.collection("handbook", "everyone")
    await http.world.person("bob")
    await http.world.identity.bind_role(http.world.admin, "bob", "auditor")
    admin = await http.caller("admin")
    refused = await admin("GET", "/api/collections", headers=AS_BOB)
    assert refused.status_code == 403
    assert "`bob` lacks the permission `collection:read`" in _error(refused)


async def test_a_document_is_closed_on_upload_and_too_many_names_are_refused(http: Http) -> None:
    await http.world.collection("handbook", "everyone")
    await http.world.person("bob", "temps")
    admin, bob = await http.caller("admin"), await http.caller("bob")
    await admin.put("handbook", "a.md", "# A\n\nheron", deny="temps, administrators")
    await http.world.drain()
    assert (await bob.search("handbook", "heron")).json()["rows"] == []
    assert (await admin.search("handbook", "heron")).json()["rows"] == []
    for param in ("deny", "readers"):
        refused = await admin.put("handbook", "b.md", "x", **{param: ",".join(f"n{number}" for number in range(201))})
        assert (refused.status_code, refused.json()["error"]["param"]) == (400, param)
        refused = await admin.put("handbook", "b.md", "x", **{param: "temp"})
        assert (refused.status_code, "Did you mean `temps`" in _error(refused)) == (400, True)

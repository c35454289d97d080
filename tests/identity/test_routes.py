"""Identity over HTTP, as the command line and programs use it."""

from __future__ import annotations

from typing import Any

import httpx2
import pytest

from headworks.identity.contract import Founded
from headworks.identity.roles import PERMISSIONS
from headworks.identity.tokens import mint
from headworks.types.ids import new_id

Client = httpx2.AsyncClient
Bearer = dict[str, str]


async def error_of(response: httpx2.Response, status: int) -> dict[str, Any]:
    assert response.status_code == status, response.text
    error = response.json()["error"]
    assert set(error) == {"message", "type", "param", "code"}
    return dict(error)


async def test_who_am_i(client: Client, bearer: Bearer) -> None:
    me = (await client.get("/api/me", headers=bearer)).json()
    assert (me["name"], me["kind"], me["tenant"]["name"], me["roles"]) == ("admin", "user", "default", ["owner"])
    assert me["groups"] == ["administrators", "everyone"]
    assert me["permissions"] == sorted(PERMISSIONS)
    assert me["key"]["name"] == "first key"
    assert me["models"] is None


@pytest.mark.parametrize(
    ("header", "code", "message", "next_step"),
    [
        (None, "missing_api_key", "No API key was given.", "Authorization: Bearer hw_"),
        ("Basic YWRtaW46YWRtaW4=", "missing_api_key", "No API key was given.", "headworks key create"),
        ("Bearer ", "missing_api_key", "No API key was given.", "headworks key create"),
        ("Bearer sk-proj-0123", "malformed_api_key", "starts with `hw_` and has 75 characters", "Copy it again"),
        ("Bearer " + mint("hw", new_id()).text(), "invalid_api_key", "is not known here", "made on this server"),
    ],
    ids=["none", "basic", "empty", "foreign", "unknown"],
)
async def test_a_key_that_is_not_accepted_is_told_why_and_what_to_do(
    client: Client, founded: Founded, header: str | None, code: str, message: str, next_step: str
) -> None:
    response = await client.get("/api/me", headers={} if header is None else {"authorization": header})
    error = await error_of(response, 401)
    assert (error["code"], error["type"]) == (code, "authentication_error")
    assert message in error["message"]
    assert next_step in error["message"]
    assert response.headers["www-authenticate"] == 'Bearer realm="headworks"'


async def test_a_key_with_one_wrong_character_is_malformed(client: Client, founded: Founded) -> None:
    wrong = founded.key[:-1] + ("0" if founded.key[-1] != "0" else "1")
    error = await error_of(await client.get("/api/me", headers={"authorization": f"Bearer {wrong}"}), 401)
    assert error["code"] == "malformed_api_key"


async def test_an_expired_and_a_revoked_key_are_told_so(client: Client, bearer: Bearer, as_superuser: Any) -> None:
    made = (await client.post("/api/keys", headers=bearer, json={"expires": "1h"})).json()
    theirs = {"authorization": f"Bearer {made['token']}"}
    assert (await client.get("/api/me", headers=theirs)).status_code == 200
    as_superuser.execute("UPDATE api_key SET expires_at = '2026-01-01Z' WHERE key_id = %s", [made["key"]["id"]])
    error = await error_of(await client.get("/api/me", headers=theirs), 401)
    assert error["code"] == "expired_api_key"
    assert "2026-01-01T00:00:00+00:00" in error["message"]
    assert (await client.delete(f"/api/keys/{made['key']['id']}", headers=bearer)).json()["state"] == "revoked"
    error = await error_of(await client.get("/api/me", headers=theirs), 401)
    assert error["code"] == "revoked_api_key"
    assert "was revoked" in error["message"]


async def test_a_key_without_the_permission_is_refused_by_its_name(client: Client, bearer: Bearer) -> None:
    await client.post("/api/principals", headers=bearer, json={"name": "bot", "kind": "service"})
    made = (await client.post("/api/keys", headers=bearer, json={"principal": "bot"})).json()
    response = await client.post(
        "/api/groups", headers={"authorization": f"Bearer {made['token']}"}, json={"name": "x"}
    )
    error = await error_of(response, 403)
    assert (error["code"], error["type"]) == ("permission_denied", "permission_error")
    assert error["message"].startswith("This key of `bot` lacks the permission `principal:write`.")


async def test_people_groups_and_roles(client: Client, bearer: Bearer) -> None:
    client.headers.update(bearer)
    group = await client.post("/api/groups", json={"name": "clinicians"})
    assert (group.status_code, group.json()["members"]) == (201, [])
    jane = await client.post("/api/principals", json={"name": "jane@example.org", "roles": ["expert"]})
    assert jane.status_code == 201
    assert jane.json()["groups"] == ["everyone"]
    joined = await client.put("/api/groups/clinicians/members/jane@example.org")
    assert (joined.status_code, joined.json()["members"]) == (200, ["jane@example.org"])
    bound = await client.put("/api/principals/jane@example.org/roles/engineer")
    assert bound.json()["roles"] == ["engineer", "expert"]
    unbound = await client.delete("/api/principals/jane@example.org/roles/expert")
    assert unbound.json()["roles"] == ["engineer"]
    roles = {row["name"]: row for row in (await client.get("/api/roles")).json()["rows"]}
    assert (roles["engineer"]["bound_to"], roles["expert"]["bound_to"]) == (["jane@example.org"], [])
    assert roles["engineer"]["is_built_in"]
    assert (await client.get("/api/principals/jane@example.org")).json() == unbound.json()
    left = await client.delete("/api/groups/clinicians/members/jane@example.org")
    assert left.json()["members"] == []
    assert (await client.post("/api/principals/jane@example.org/disable")).json()["disabled_at"] is not None
    assert (await client.post("/api/principals/jane@example.org/enable")).json()["disabled_at"] is None
    principals = (await client.get("/api/principals")).json()["rows"]
    assert [(row["kind"], row["name"]) for row in principals] == [
        ("user", "admin"), ("user", "jane@example.org"),
        ("group", "administrators"), ("group", "clinicians"), ("group", "everyone"),
    ]  # fmt: skip
    groups = (await client.get("/api/groups")).json()["rows"]
    assert [row["name"] for row in groups] == ["administrators", "clinicians", "everyone"]


async def test_a_key_for_another_with_limits(client: Client, bearer: Bearer) -> None:
    client.headers.update(bearer)
    await client.post("/api/groups", json={"name": "clinicians"})
    await client.post("/api/principals", json={"name": "bot", "kind": "service", "groups": ["clinicians"]})
    body = {
        "principal": "bot", "name": "night run", "permissions": ["feature:call"], "groups": ["clinicians"],
        "models": ["claims-assistant"], "expires": "2099-01-31T00:00:00Z",
    }  # fmt: skip
    made = await client.post("/api/keys", json=body)
    assert made.status_code == 201
    key = made.json()["key"]
    assert {name: key[name] for name in ("principal", "name", "permissions", "groups", "models", "state")} == {
        "principal": "bot", "name": "night run", "permissions": ["feature:call"], "groups": ["clinicians"],
        "models": ["claims-assistant"], "state": "active",
    }  # fmt: skip
    assert key["expires_at"] == "2099-01-31T00:00:00Z"
    listed = (await client.get("/api/keys", params={"principal": "bot"})).json()["rows"]
    assert listed == [key]
    assert made.json()["token"] not in str(listed)
    assert (await client.delete(f"/api/keys/{key['prefix']}")).json()["state"] == "revoked"


async def test_tenants_projects_and_grants(client: Client, bearer: Bearer) -> None:
    client.headers.update(bearer)
    acme = (await client.post("/api/tenants", json={"name": "acme", "admin": "ada"})).json()
    assert (acme["name"], acme["admin"]) == ("acme", "ada")
    assert acme["claim_url"].startswith("http://127.0.0.1:8484/claim/hwclaim_")
    ada = {"authorization": f"Bearer {acme['admin_key']}"}
    assert (await client.get("/api/me", headers=ada)).json()["tenant"] == {"id": acme["id"], "name": "acme"}
    assert [row["name"] for row in (await client.get("/api/tenants")).json()["rows"]] == ["default", "acme"]
    assert (await client.post("/api/projects", json={"name": "claims"})).status_code == 201
    assert [row["name"] for row in (await client.get("/api/projects")).json()["rows"]] == ["claims", "default"]
    grant = await client.post("/api/grants", json={"feature": "assistant", "tenant": "acme", "project": "claims"})
    assert grant.status_code == 201
    received = (await client.get("/api/grants", headers=ada)).json()["rows"]
    assert [(row["direction"], row["feature"]) for row in received] == [("received", "assistant")]
    gone = await client.delete(f"/api/grants/claims/assistant/{acme['id']}")
    assert (gone.status_code, gone.content) == (204, b"")
    assert (await client.get("/api/grants")).json()["rows"] == []


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "message"),
    [
        ("POST", "/api/principals", {"name": "admin"}, 409, "The name `admin` is taken."),
        ("POST", "/api/principals", {"name": "A B"}, 400, "'A B' is not a name for a user."),
        ("POST", "/api/principals", {"name": "jane", "kind": "robot"}, 400, "`kind`:"),
        ("POST", "/api/principals", {"name": "jane", "role": "owner"}, 400, "`role`: There is no field of that name."),
        ("POST", "/api/principals", {"name": 7}, 400, "`name`: Input should be a valid string."),
        ("POST", "/api/principals", {}, 400, "`name`: Field required."),
        ("POST", "/api/principals", {"name": "jane", "roles": ["boss"]}, 400, "There is no role `boss`."),
        ("POST", "/api/principals", {"name": "jane", "groups": ["night"]}, 404, "There is no group `night`."),
        ("POST", "/api/principals/admin/disable", None, 409, "the tenant would have no owner left"),
        ("POST", "/api/principals/admn/disable", None, 404, "Did you mean `admin`?"),
        ("GET", "/api/principals/curator", None, 404, "There is no principal `curator`."),
        ("DELETE", "/api/principals/admin/roles/owner", None, 409, "no owner left"),
        ("POST", "/api/keys", {"principal": "nobody"}, 404, "There is no user or service account `nobody`."),
        ("POST", "/api/keys", {"permissions": ["fly"]}, 400, "There is no permission `fly`."),
        ("POST", "/api/keys", {"permissions": "feature:call"}, 400, "`permissions`: Input should be a valid list."),
        ("POST", "/api/keys", {"expires": "soon"}, 400, "'soon' is no expiry."),
        ("POST", "/api/keys", {"groups": ["night"]}, 400, "and `night` is none of them."),
        ("DELETE", "/api/keys/hw_123", None, 404, "There is no such key."),
        ("POST", "/api/tenants", {"name": "default"}, 409, "There is already a tenant `default`."),
        ("POST", "/api/grants", {"feature": "f", "tenant": "default"}, 400, "no grant for its own features"),
    ],
)  # fmt: skip
async def test_bad_input_is_told_what_is_wrong(
    client: Client, bearer: Bearer, method: str, path: str, body: object, status: int, message: str
) -> None:
    response = await client.request(method, path, headers=bearer, json=body)
    assert message in (await error_of(response, status))["message"]


async def test_a_body_that_is_no_json_is_told_so(client: Client, bearer: Bearer) -> None:
    response = await client.post(
        "/api/keys", headers={**bearer, "content-type": "application/json"}, content=b"{nonsense"
    )
    assert "JSON" in (await error_of(response, 400))["message"]

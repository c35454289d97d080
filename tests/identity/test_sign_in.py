"""Signing in with a link, cookies, and writes that come from other sites."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import httpx2
import psycopg
import pytest

from headworks.identity.contract import Founded
from headworks.identity.routes import install, router
from headworks.identity.service import Identity
from headworks.server.asgi import control_plane
from headworks.types.identity import Principal

Client = httpx2.AsyncClient
BROWSER = {"accept": "text/html,application/xhtml+xml,*/*;q=0.8", "sec-fetch-site": "same-origin"}
OURS = {"sec-fetch-site": "same-origin"}


@pytest.fixture
async def signed_in(client: Client, founded: Founded) -> Client:
    """A browser after the link."""
    response = await client.post(f"/claim/{founded.claim}", headers=BROWSER)
    assert response.status_code == 303
    return client


async def test_opening_the_link_shows_a_page_that_sends_itself_and_redeems_nothing(
    client: Client, founded: Founded
) -> None:
    for _ in range(2):
        page = await client.get(f"/claim/{founded.claim}", headers={"sec-fetch-site": "cross-site"})
        assert page.status_code == 200
        assert page.headers["cache-control"] == "no-store"
        assert '<form method="post" data-send>' in page.text
        assert "<button>Sign in</button>" in page.text
        assert founded.claim not in page.text
        assert "set-cookie" not in page.headers
    script = await client.get("/sign-in.js")
    assert script.headers["content-type"].startswith("text/javascript")
    assert "requestSubmit" in script.text
    assert (await client.post(f"/claim/{founded.claim}", headers=BROWSER)).status_code == 303


async def test_the_page_needs_no_inline_script_or_style(client: Client, founded: Founded) -> None:
    page = (await client.get(f"/claim/{founded.claim}")).text
    assert "<script>" not in page
    assert "<style" not in page
    assert " style=" not in page
    assert "onload" not in page


async def test_the_link_signs_in_with_a_cookie_that_scripts_can_not_read(client: Client, founded: Founded) -> None:
    response = await client.post(f"/claim/{founded.claim}", headers=BROWSER)
    assert (response.status_code, response.headers["location"]) == (303, "/")
    cookie = response.headers["set-cookie"]
    assert cookie.startswith("headworks=hwsession_")
    for part in ("HttpOnly", "SameSite=lax", "Path=/", "expires="):
        assert part in cookie
    assert "Secure" not in cookie
    assert "Domain" not in cookie
    me = await client.get("/api/me")
    assert (me.json()["name"], me.json()["key"]) == ("admin", None)


async def test_a_program_may_redeem_the_link_and_is_answered_in_json(client: Client, founded: Founded) -> None:
    response = await client.post(f"/claim/{founded.claim}", headers={"accept": "application/json"})
    assert response.status_code == 200
    assert response.json().keys() == {"principal", "tenant", "expires_at"}
    assert (await client.get("/api/me")).json()["name"] == "admin"
    again = await client.post(f"/claim/{founded.claim}", headers={"accept": "application/json"})
    assert (again.status_code, again.json()["error"]["code"]) == (401, "claim_gone")


@pytest.mark.parametrize("token", ["hwclaim_nonsense", "<script>alert(1)"])
async def test_a_link_that_is_gone_says_so_on_a_page(client: Client, founded: Founded, token: str) -> None:
    response = await client.post(f"/claim/{token}", headers=BROWSER)
    assert response.status_code == 401
    assert "set-cookie" not in response.headers
    assert "This sign-in link was used before" in response.text
    assert "headworks principal claim NAME" in response.text
    assert "alert" not in response.text


async def test_a_browser_that_is_signed_in_is_asked_before_it_becomes_somebody_else(
    signed_in: Client, identity: Identity
) -> None:
    page = await signed_in.get("/claim/whatever")
    assert "data-send" not in page.text
    assert "You are signed in already" in page.text


async def test_a_link_that_another_site_sends_in_ones_name_is_refused(client: Client, founded: Founded) -> None:
    for headers in (
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
        {"origin": "https://evil.example"},
    ):
        response = await client.post(f"/claim/{founded.claim}", headers={**headers, "accept": "application/json"})
        assert response.status_code == 403
        assert response.json()["error"]["code"] == "cross_site"
    assert (await client.post(f"/claim/{founded.claim}", headers=BROWSER)).status_code == 303


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
        {"sec-fetch-site": "none"},
        {"sec-fetch-site": "cross-site", "origin": "http://127.0.0.1:8484"},
        {"origin": "null"},
        {"origin": "http://127.0.0.1:9999"},
        {"origin": "https://127.0.0.1:8484"},
        {"origin": "https://evil.example"},
    ],
)
async def test_a_write_by_cookie_from_another_site_is_refused(signed_in: Client, headers: dict[str, str]) -> None:
    for path in ("/api/keys", "/api/principals", "/api/sign-out"):
        response = await signed_in.post(path, headers=headers, json={"name": "mallory"})
        assert response.status_code == 403
        assert response.json()["error"]["code"] == "cross_site"
    assert (await signed_in.get("/api/me", headers=headers)).status_code == 200, "reading changes nothing"


@pytest.mark.parametrize("headers", [{"sec-fetch-site": "same-origin"}, {"origin": "http://127.0.0.1:8484"}])
async def test_a_write_by_cookie_from_our_own_page_is_done(signed_in: Client, headers: dict[str, str]) -> None:
    made = await signed_in.post("/api/keys", headers=headers, json={"name": "made in the console"})
    assert made.status_code == 201
    used = await signed_in.get("/api/me", headers={"authorization": f"Bearer {made.json()['token']}"})
    assert used.json()["key"]["name"] == "made in the console"


async def test_a_key_needs_no_word_of_where_a_write_comes_from(signed_in: Client, bearer: dict[str, str]) -> None:
    response = await signed_in.post("/api/groups", headers=bearer, json={"name": "night"})
    assert response.status_code == 201


async def test_a_bad_key_is_not_made_good_by_a_cookie(signed_in: Client) -> None:
    response = await signed_in.get("/api/me", headers={"authorization": "Bearer hw_nonsense"})
    assert response.status_code == 401


async def test_signing_out_ends_the_session_and_forgets_the_cookie(signed_in: Client) -> None:
    kept = dict(signed_in.cookies)
    response = await signed_in.post("/api/sign-out", headers=OURS)
    assert response.status_code == 204
    assert dict(signed_in.cookies) == {}
    assert (await signed_in.get("/api/me")).json()["error"]["code"] == "missing_api_key"
    stolen = await signed_in.get("/api/me", headers={"cookie": f"headworks={kept['headworks']}"})
    assert stolen.json()["error"]["code"] == "session_ended"
    assert (await signed_in.post("/api/sign-out")).status_code == 204


async def test_an_old_session_gets_a_new_cookie_from_me(
    signed_in: Client, as_superuser: psycopg.Connection[tuple[object, ...]]
) -> None:
    before = signed_in.cookies["headworks"]
    assert "set-cookie" not in (await signed_in.get("/api/me")).headers
    as_superuser.execute("UPDATE web_session SET created_at = now() - interval '2 hours'")
    assert (await signed_in.get("/api/me")).json()["name"] == "admin"
    assert signed_in.cookies["headworks"] != before
    assert (await signed_in.get("/api/me")).json()["name"] == "admin"


async def test_an_administrator_makes_a_link_for_another(client: Client, bearer: dict[str, str]) -> None:
    await client.post("/api/principals", headers=bearer, json={"name": "jane"})
    made = await client.post("/api/principals/jane/claim", headers=bearer)
    assert made.status_code == 201
    assert made.json().keys() == {"principal", "claim_url", "expires_at"}
    url = made.json()["claim_url"]
    assert url.startswith("http://127.0.0.1:8484/claim/hwclaim_")
    assert (await client.post(url, headers=BROWSER)).status_code == 303
    assert (await client.get("/api/me")).json()["name"] == "jane"


@pytest.fixture
def at(identity: Identity, by_key: Callable[[str], Awaitable[Principal]]) -> Callable[[str], Client]:
    """A browser that reaches the server under another address."""

    def make(address: str) -> Client:
        app = control_plane([router])
        install(app, identity, by_key)
        return Client(transport=httpx2.ASGITransport(app), base_url=address)

    return make


async def test_over_https_the_cookie_is_bound_to_the_host(at: Callable[[str], Client], founded: Founded) -> None:
    async with at("https://headworks.example") as client:
        response = await client.post(f"/claim/{founded.claim}", headers=BROWSER)
        cookie = response.headers["set-cookie"]
        assert cookie.startswith("__Host-headworks=hwsession_")
        assert "Secure" in cookie
        assert (await client.get("/api/me")).json()["name"] == "admin"
        token = client.cookies["__Host-headworks"]
        client.cookies.clear()
        plain = await client.get("/api/me", headers={"cookie": f"headworks={token}"})
        assert plain.status_code == 401, "a cookie that a neighbour's page could set counts for nothing"


async def test_nobody_signs_in_over_plain_http_from_another_machine(
    at: Callable[[str], Client], founded: Founded
) -> None:
    async with at("http://headworks.example") as client:
        response = await client.post(f"/claim/{founded.claim}", headers={"accept": "application/json"})
        assert response.status_code == 400
        assert response.json()["error"]["code"] == "insecure_sign_in"
        assert "https" in response.json()["error"]["message"]
    async with at("http://localhost:8484") as client:
        assert (await client.post(f"/claim/{founded.claim}", headers=BROWSER)).status_code == 303, "it was not used up"


@pytest.mark.parametrize("host", ["localhost", "app.localhost", "127.0.0.1", "127.8.8.8", "[::1]"])
async def test_loopback_has_many_names(at: Callable[[str], Client], founded: Founded, host: str) -> None:
    async with at(f"http://{host}:8484") as client:
        assert (await client.post(f"/claim/{founded.claim}", headers=BROWSER)).status_code == 303

"""The claim link in a real browser, under the headers that the server sends with every page."""

from __future__ import annotations

import asyncio
import shutil
import threading
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

import pytest
import uvicorn

from headworks.identity.routes import install, router
from headworks.identity.service import Identity
from headworks.server import console
from headworks.server.asgi import Server, control_plane
from headworks.storage.pool import Database, DatabaseUrls
from headworks.storage.sealing import Keyring
from headworks.types.identity import Principal, ShownKey

CHROMIUM = shutil.which("chromium")
pytestmark = [pytest.mark.browser, pytest.mark.skipif(CHROMIUM is None, reason="needs Debian's chromium")]


class Running:
    """A server of identity and the page, on a port of its own."""

    def __init__(self, urls: DatabaseUrls) -> None:
        self.address = self.claim = ""
        self._urls = urls
        self._ready = threading.Event()
        self._server: uvicorn.Server | None = None
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()))

    async def _serve(self) -> None:
        async with Database(self._urls) as database:
            identity = Identity(database, Keyring(bytes(32)), b"pepper")
            founded = await identity.bootstrap()
            assert founded is not None
            self.claim = founded.claim

            async def by_key(token: str) -> Principal:
                async with database.system("test", repeatable=True) as tx:
                    return (await identity.load(tx)).authenticate(ShownKey(token), time.time())

            @asynccontextmanager
            async def lifespan() -> AsyncIterator[None]:
                yield

            app = control_plane([router, console.router])
            install(app, identity, by_key)
            config = uvicorn.Config(Server({}, {}, app, lifespan), port=0, log_config=None, timeout_graceful_shutdown=1)
            self._server = uvicorn.Server(config)
            serving = asyncio.create_task(self._server.serve())
            while not self._server.started:
                await asyncio.sleep(0.01)
            port = self._server.servers[0].sockets[0].getsockname()[1]
            self.address = f"http://127.0.0.1:{port}"
            self._ready.set()
            await serving

    def __enter__(self) -> Self:
        self._thread.start()
        assert self._ready.wait(60)
        return self

    def __exit__(self, *_: object) -> None:
        assert self._server is not None
        self._server.should_exit = True
        self._thread.join(30)


@pytest.fixture
def running(database_urls: DatabaseUrls) -> Iterator[Running]:
    with Running(database_urls) as running:
        yield running


@pytest.fixture
def chromium() -> Iterator[Any]:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        try:
            yield browser
        finally:
            browser.close()


def test_one_click_on_the_link_signs_in(running: Running, chromium: Any) -> None:
    page = chromium.new_page()
    refused: list[str] = []
    page.on(
        "console", lambda message: refused.append(message.text) if "Content Security Policy" in message.text else None
    )
    page.goto(f"{running.address}/claim/{running.claim}")
    page.wait_for_url(f"{running.address}/")
    (cookie,) = page.context.cookies()
    assert (cookie["name"], cookie["httpOnly"], cookie["sameSite"]) == ("headworks", True, "Lax")
    assert page.evaluate("fetch('/api/me').then((answer) => answer.json())")["name"] == "admin"
    made = page.evaluate(
        "fetch('/api/keys', {method: 'POST', headers: {'content-type': 'application/json'}, body: '{}'})"
        ".then((answer) => answer.json())"
    )
    assert made["token"].startswith("hw_")
    assert refused == []


def test_without_scripts_the_button_signs_in(running: Running, chromium: Any) -> None:
    page = chromium.new_context(java_script_enabled=False).new_page()
    page.goto(f"{running.address}/claim/{running.claim}")
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_url(f"{running.address}/")
    assert len(page.context.cookies()) == 1


class Page(BaseHTTPRequestHandler):
    """Some other program's page on this machine."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("content-type", "text/html")
        self.end_headers()
        self.wfile.write(b"<title>a neighbour</title>")

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 -- http.server's name
        pass


@pytest.fixture
def neighbour() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Page) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()
        thread.join()


def test_a_neighbour_on_another_port_can_not_write_with_the_cookie(
    running: Running, neighbour: str, chromium: Any
) -> None:
    """To the browser it is the same site, so the cookie goes along: only where the request comes from tells."""
    page = chromium.new_context().new_page()
    page.goto(f"{running.address}/claim/{running.claim}")
    page.wait_for_url(f"{running.address}/")
    page.goto(neighbour)
    with page.expect_response(f"{running.address}/api/sign-out") as caught:
        page.evaluate(
            "(address) => { const form = document.createElement('form'); form.method = 'post'; form.action = address;"
            " document.body.append(form); form.submit(); }",
            f"{running.address}/api/sign-out",
        )
    page.wait_for_url(f"{running.address}/api/sign-out")
    assert "headworks=hwsession_" in caught.value.request.all_headers()["cookie"]
    assert caught.value.status == 403
    page.goto(running.address)
    assert page.evaluate("fetch('/api/me').then((answer) => answer.status)") == 200, "the session was not ended"

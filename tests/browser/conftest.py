from __future__ import annotations

import itertools
import shutil
from collections.abc import Iterator
from typing import Any

import pytest
from driven_page import DOCUMENTS, WORKSPACE, MakeTenant, OpenPage, Tenant, Watched
from playwright.sync_api import Browser, BrowserContext, sync_playwright
from running_server import Server, eventually

CHROMIUM = shutil.which("chromium")
QUIET = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
_counter = itertools.count(1)


@pytest.fixture(scope="session")
def make_tenant(server: Server) -> MakeTenant:
    def make() -> Tenant:
        return Tenant(server, server.must("POST", "/api/tenants", {"name": f"browser-{next(_counter)}"})["admin_key"])

    return make


@pytest.fixture(scope="session")
def tenant(make_tenant: MakeTenant) -> Tenant:
    """With documents that are hard to show, and features that answer, break off and take their time."""
    made = make_tenant()
    made.must("POST", "/api/workspace/apply", {"files": WORKSPACE})
    for path, content in DOCUMENTS.items():
        raw = content if isinstance(content, bytes) else content.encode()
        made.must("PUT", f"/api/collections/docs/documents?path={path}", raw=raw)
    eventually(lambda: made.must("GET", "/api/collections/docs/progress")["documents"] == len(DOCUMENTS), 90)
    for query in (
        "leave weeks",
        "warning label colour",
        "archive shelf boxes",
        "visitors sign the book",
        "device is rented",
    ):
        found = made.must("POST", "/api/search", {"collection": "docs", "query": query, "k": 20})["rows"]
        made.documents |= {row["path"]: row["document"] for row in found}
    assert set(made.documents) == set(DOCUMENTS)
    return made


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=QUIET)
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def signed_in(chromium: Browser, tenant: Tenant) -> Any:
    """The cookies of the administrator."""
    context = chromium.new_context()
    page = context.new_page()
    page.goto(tenant.claim())
    page.wait_for_selector("#desk:visible")
    state = context.storage_state()
    context.close()
    return state


@pytest.fixture
def open_page(chromium: Browser) -> Iterator[OpenPage]:
    """`open_page(state, **context options)`: each in a browser profile of its own, watched to its end."""
    contexts: list[BrowserContext] = []
    watched: list[Watched] = []

    def open_one(state: Any = None, **options: Any) -> Watched:
        context = chromium.new_context(storage_state=state, **{"viewport": {"width": 1400, "height": 900}} | options)
        context.set_default_timeout(15_000)
        contexts.append(context)
        watched.append(Watched(context.new_page()))
        watched[-1].listen()
        return watched[-1]

    yield open_one
    for each in contexts:
        each.close()
    for one in watched:
        one.check()


@pytest.fixture
def desk(open_page: OpenPage, tenant: Tenant, signed_in: Any) -> Watched:
    """The page of who is signed in."""
    opened = open_page(signed_in)
    opened.page.goto(tenant.url)
    opened.page.wait_for_selector("#desk:visible")
    return opened

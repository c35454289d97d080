"""A web site from a collection's file to an answer that is found: settings, fetching, ingestion and search together."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import psycopg
import pytest
from scripted_web import Page, Web, html, serving

from headworks.config import RetrievalServerSettings
from headworks.retrieval.sources.catalog import usual_openers
from headworks.storage.pool import Database
from headworks.storage.sealing import Keyring
from headworks.types.workspace import SourceSpec


@pytest.fixture
async def web() -> AsyncIterator[Web]:
    async with serving() as made:
        yield made


@pytest.fixture
async def world(
    web: Web, database: Database, keyring: Keyring, as_superuser: psycopg.Connection[Any], world_maker: Any
) -> Any:
    settings = RetrievalServerSettings(max_file_mb=1, fetch_private_hosts=(f"127.0.0.1:{web.port}",))
    return await world_maker(database, keyring, as_superuser, openers=usual_openers(settings))


async def sync(world: Any, url: str) -> Any:
    settings = {"url": url, "by_sitemap": False, "pages": 50, "delay_s": 0.0, "depth": 3}
    await world.collection("docs", "everyone", sources=(SourceSpec("site", "web", settings),))
    await world.retrieval.sync_sources(world.admin, "docs")
    await world.drain()
    [view] = await world.retrieval.list_sources(world.admin, "docs")
    return view


async def test_a_site_is_found_kept_fresh_and_forgotten(world: Any, web: Web) -> None:
    web.pages |= {
        "/": html('Home <a href="/heron">h</a> <a href="/stork">s</a> <a href="/big">b</a> <a href="/empty">e</a>'),
        "/heron": html("The heron nests in April."), "/stork": html("The stork nests in May."),
        "/big": Page(b"x" * (2 << 20), headers={"content-type": "text/html"}),
        "/empty": Page(b"<html></html>", headers={"content-type": "text/html"}),
    }  # fmt: skip
    view = await sync(world, f"{web.url}/")
    host = f"127.0.0.1_{web.port}"
    assert (view.source, view.kind, view.state, view.trouble, view.hidden_from) == ("site", "web", "done", "", None)
    assert {each.path: each.code for each in view.progress.failed} == {
        f"{host}/big": "too_large",
        f"{host}/empty.html": "empty",
    }
    assert (await world.found(world.admin, "docs", "heron nests"))[0] == f"{host}/heron.html"
    passages = (await world.search(world.admin, "docs", "heron nests")).passages
    assert "The heron nests in April." in passages[0].text

    web.pages["/"] = html('Home <a href="/heron">h</a>')
    web.pages["/heron"] = html("The heron nests in March.")
    await sync(world, f"{web.url}/")
    paths = await world.found(world.admin, "docs", "nests")
    assert sorted(paths) == [f"{host}/heron.html", f"{host}/index.html"]
    assert "March" in (await world.search(world.admin, "docs", "heron nests")).passages[0].text


@pytest.mark.parametrize("url", ["http://127.0.0.1:9/", "http://169.254.169.254/latest/", "http://[::1]/"])
async def test_an_address_that_the_operator_did_not_name_ends_the_sync_with_a_reason(world: Any, url: str) -> None:
    view = await sync(world, url)
    assert view.state == "failed"
    assert "fetch_private_hosts" in view.trouble
    assert view.progress.total == 0

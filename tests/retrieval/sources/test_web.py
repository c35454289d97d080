"""Web sites by their links and by their sitemaps, good ones and bad ones."""

from __future__ import annotations

import gzip
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

import pytest
from scripted_web import Page, Web, html, redirect, serving

from headworks.retrieval.sources import visits
from headworks.retrieval.sources import web as web_source
from headworks.retrieval.sources.addresses import Reach
from headworks.retrieval.sources.contract import Change, Changes, Fetched, Here, Present, SourceError, Throttled
from headworks.retrieval.sources.fetching import Fetcher, FetchLimits
from headworks.retrieval.sources.visits import KnownPage, Visit, path_of, read_visit
from headworks.retrieval.sources.web import WebSettings, WebSource
from headworks.testing.sources import RULES, everything, read_all


@dataclass
class Site:
    """A server, and what a source by some settings makes of it."""

    web: Web
    settings: dict[str, Any] = field(default_factory=dict)
    cursor: str = ""
    failed: dict[str, str] = field(default_factory=dict)
    pauses: list[float] = field(default_factory=list)

    def source(self, **settings: Any) -> WebSource:
        reach = Reach(frozenset({f"127.0.0.1:{self.web.port}"}))
        wanted = {"url": self.web.url + "/", "delay_s": 0.0, **self.settings, **settings}
        return WebSource(WebSettings(**wanted), Fetcher(FetchLimits(100_000, 5), reach), self.pause)

    async def pause(self, seconds: float) -> None:
        self.pauses.append(seconds)

    async def visit(self, **settings: Any) -> tuple[list[str], list[str]]:
        """Paths that changed, and all that are there, without the host."""
        self.web.asked.clear()
        self.failed.clear()
        source = self.source(**settings)
        try:
            return await self.read(source)
        finally:
            await source.close()

    async def read(self, source: WebSource) -> tuple[list[str], list[str]]:
        changed: list[str] = []
        is_last = False
        while not is_last:
            page = await source.changes(self.cursor)
            for each in page.changes:
                assert (await source.fetch(each)).data
            changed += [self.short(each.path) for each in page.changes]
            self.failed |= {self.short(each.path): each.code for each in page.failed}
            self.cursor, is_last = page.cursor, page.is_last
        here = [self.short(path) for path in await everything(source, self.cursor)]
        return sorted(changed), sorted(here)

    def short(self, path: str) -> str:
        return path.removeprefix(f"127.0.0.1_{self.web.port}/")


def links(*targets: str) -> str:
    return "".join(f'<a href="{each}">x</a>' for each in targets)


@pytest.fixture
async def site() -> AsyncIterator[Site]:
    async with serving() as web:
        yield Site(web)


async def test_links_are_followed_within_the_site(site: Site) -> None:
    site.web.pages |= {
        "/": html("Home" + links("/a", "b/?q=1&p=x#part", "http://elsewhere.example/", "mailto:x@y", "/a#again")),
        "/a": html("A" + links("/", "../c.html")),
        "/b/?q=1&p=x": html("B"),
        "/c.html": html("C" + links("/d.txt", "/picture.png")),
        "/d.txt": Page(b"Plain words.", headers={"content-type": "text/plain"}),
        "/picture.png": Page(b"\x89PNG", headers={"content-type": "image/png"}),
    }
    changed, here = await site.visit()
    assert changed == here == ["a.html", "b/index.html?q=1&p=x.html", "c.html", "d.txt", "index.html"]
    assert site.failed == {}
    assert site.web.asked[0] == "/robots.txt"


async def test_what_did_not_change_is_asked_for_by_its_tag_and_does_not_come(site: Site) -> None:
    site.web.pages |= {
        "/": html("Home" + links("/a", "/b"), ETag='"h"', **{"last-modified": "Mon, 01 Jan 2024 00:00:00 GMT"}),
        "/a": html("A" + links("/c"), ETag='"a"'),
        "/b": html("B"),  # without a tag
        "/c": html("C"),
    }
    await site.visit()
    site.web.pages["/c"] = html("C, but other")
    changed, here = await site.visit()
    assert changed == ["c.html"]
    assert here == ["a.html", "b.html", "c.html", "index.html"]
    assert site.web.headers["/"]["if-none-match"] == '"h"'
    assert site.web.headers["/"]["if-modified-since"] == "Mon, 01 Jan 2024 00:00:00 GMT"


async def test_a_page_with_more_links_than_are_kept_is_read_again_as_a_whole(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(visits, "_MOST_CHARACTERS", 3 * len(f"{site.web.url}/a"))
    names = [f"/{name}" for name in "abcde"]
    site.web.pages = {name: html(name, ETag='"x"') for name in names}
    site.web.pages["/"] = html("Home" + links(*names), ETag='"h"')
    first = await site.visit()
    assert len(first[1]) == 6
    assert await site.visit() == ([], first[1])
    assert "if-none-match" in site.web.headers["/a"]
    assert "if-none-match" not in site.web.headers["/"]


def test_many_pages_that_lead_to_the_same_ones_take_little_room() -> None:
    urls = [f"https://docs.example.com/guide/chapter-{number}/index.html" for number in range(20_000)]
    visit = Visit(is_under_way=True)
    for at, url in enumerate(urls):
        visit.here[url] = KnownPage(f"{at}.html", links=visit.numbered([*urls[:50], url]))
    cursor = visit.written()
    assert len(cursor) < 3_000_000
    found = read_visit(cursor)
    assert found == visit
    assert found.linked_from(found.here[urls[-1]]) == [*urls[:50], urls[-1]]
    found.here = {urls[7]: found.here[urls[7]]}
    found.end()
    assert found.linked_from(found.pages[urls[7]]) == [*urls[:50], urls[7]]
    assert (len(found.numbers), found.linked) == (50, 51)


async def test_what_is_gone_or_forbidden_vanishes_and_what_fails_stays(site: Site) -> None:
    names = ["gone", "missing", "forbidden", "broken", "unlinked"]
    site.web.pages |= {f"/{name}": html(name) for name in names}
    site.web.pages |= {
        "/": html("Home" + links(*names)),
        "/broken": html("Broken" + links("/below")),
        "/below": html("Below"),
    }
    assert len((await site.visit())[1]) == 7
    site.web.pages |= {"/": html("Home" + links(*names[:4])), "/gone": Page(status=410), "/forbidden": Page(status=403)}
    site.web.pages["/broken"] = Page(status=500)
    del site.web.pages["/missing"]
    _, here = await site.visit()
    assert here == ["below.html", "broken.html", "index.html"]
    assert site.failed == {"broken.html": "bad_status", "forbidden.html": "forbidden"}


async def test_depth_and_number_of_pages_are_limited(site: Site) -> None:
    for number in range(40):
        site.web.pages[f"/p/{number}"] = html(f"Page {number}" + links(f"/p/{number + 1}"))
    site.web.pages["/"] = html("Home" + links("/p/0"))
    assert len((await site.visit(depth=3))[1]) == 4
    site.cursor = ""
    _, here = await site.visit(depth=50, pages=10)
    assert len(here) == 10
    assert "page_limit" in site.failed.values()


async def test_a_calendar_without_end_ends(site: Site) -> None:
    class Endless(Web):
        def page(self, path: str) -> Page:
            return (
                html("Day" + links(f"{path}x", f"{path}y", f"/?{path}")) if path != "/robots.txt" else Page(status=404)
            )

    site.web.__class__ = Endless
    _, here = await site.visit(pages=30, depth=20)
    assert len(here) <= 30
    assert len(site.web.asked) <= 31


async def test_robots_are_obeyed_and_their_delay_kept(site: Site) -> None:
    site.web.pages |= {
        "/robots.txt": Page(b"User-agent: *\nDisallow: /private/\nAllow: /private/open\nCrawl-delay: 3"),
        "/": html("Home" + links("/private/a", "/private/open", "/b")),
        "/private/a": html("A"), "/private/open": html("Open"), "/b": html("B"),
    }  # fmt: skip
    _, here = await site.visit()
    assert here == ["b.html", "index.html", "private/open.html"]
    assert "/private/a" not in site.web.asked
    assert len(site.pauses) == 2
    assert all(2 < each <= 3 for each in site.pauses)
    site.web.pages["/robots.txt"] = Page(b"User-agent: headworks-retrieval\nDisallow: /")
    with pytest.raises(SourceError, match="does not allow"):
        await site.visit()


async def test_robots_out_of_reach_and_a_lost_first_page_take_nothing_away(site: Site) -> None:
    site.web.pages["/"] = html("Home")
    await site.visit()
    for pages in ({"/robots.txt": Page(status=503)}, {"/": Page(status=404)}):
        before, site.web.pages = site.web.pages, site.web.pages | pages
        with pytest.raises(SourceError):
            await site.visit()
        site.web.pages = before
    assert (await site.visit())[1] == ["index.html"]


async def test_pages_that_do_not_want_to_be_listed_or_followed(site: Site) -> None:
    site.web.pages |= {
        "/": html("Home" + links("/noindex", "/header", "/nofollow") + '<a rel="nofollow" href="/hidden">x</a>'),
        "/noindex": html("X" + links("/below"), '<meta name="robots" content="noindex">'),
        "/header": html("X", **{"x-robots-tag": "noindex"}),
        "/nofollow": html("X" + links("/hidden"), '<meta name="ROBOTS" content="nofollow">'),
        "/below": html("Below"), "/hidden": html("Hidden"),
    }  # fmt: skip
    assert (await site.visit())[1] == ["below.html", "index.html", "nofollow.html"]


async def test_copies_give_way_to_their_canonical_page(site: Site) -> None:
    site.web.pages |= {
        "/": html("Home" + links("/a?ref=1", "/a?ref=2", "/x", "/y", "/abroad")),
        "/a": html("A", '<link rel="canonical" href="/a">'),
        "/a?ref=1": html("A", '<link rel="canonical" href="/a">'),
        "/a?ref=2": html("A", '<link rel="canonical" href="/a">'),
        "/x": html("X", '<link rel="canonical" href="/y">'), "/y": html("Y", '<link rel="canonical" href="/x">'),
        "/abroad": html("Z", '<link rel="canonical" href="http://elsewhere.example/z">'),
    }  # fmt: skip
    assert (await site.visit())[1] == ["a.html", "index.html", "y.html"]


async def test_redirects_within_the_site_are_links_and_others_lead_nowhere(site: Site) -> None:
    site.web.pages |= {
        "/": redirect("/en/", 301), "/en/": html("Home" + links("/old", "/out", "/meta")),
        "/old": redirect("/new"), "/new": html("New" + links("/loop")), "/loop": redirect("/loop"),
        "/out": redirect("http://169.254.169.254/latest/"), "/meta": redirect("http://127.0.0.1:1/"),
    }  # fmt: skip
    assert (await site.visit())[1] == ["en/index.html", "new.html"]
    site.web.pages["/"] = redirect("http://other.example/")
    site.cursor = ""
    with pytest.raises(SourceError, match="another site"):
        await site.visit()


async def test_a_busy_site_is_left_alone_for_as_long_as_it_asks(site: Site) -> None:
    site.web.pages |= {"/": html("Home" + links("/a", "/b")), "/a": html("A")}
    site.web.pages["/b"] = Page(status=429, headers={"retry-after": "90"})
    source = site.source()
    page = await source.changes("")
    assert [site.short(each.path) for each in page.changes] == ["index.html", "a.html"]
    assert not page.is_last
    with pytest.raises(Throttled) as caught:
        await source.changes(page.cursor)
    assert caught.value.retry_after_s == 90
    site.web.pages["/b"] = html("B")
    last = await source.changes(page.cursor)
    assert [site.short(each.path) for each in last.changes] == ["b.html"]
    assert last.is_last
    await source.close()


def sitemap(site: Site, **changed: str) -> bytes:
    rows = "".join(
        f"<url><loc>{site.web.url}/{name}</loc><lastmod>{lastmod}</lastmod></url>" for name, lastmod in changed.items()
    )
    return f'<?xml version="1.0"?><urlset xmlns="http://www.sitemaps.org/schemas/sitemap/0.9">{rows}</urlset>'.encode()


async def test_sitemaps_in_sitemaps_packed_or_not_and_what_leaves_them(site: Site) -> None:
    maps = "".join(f"<sitemap><loc>{site.web.url}/{name}</loc></sitemap>" for name in ("1.xml.gz", "2.xml"))
    index = f"<sitemapindex>{maps}</sitemapindex>"
    xml = {"content-type": "application/xml"}
    site.web.pages |= {
        "/sitemap.xml": Page(index.encode(), headers=xml),
        "/1.xml.gz": Page(gzip.compress(sitemap(site, a="2024-01-01", b="2024-01-01")), headers=xml),
        "/2.xml": Page(sitemap(site, c="2024-01-01"), headers=xml),
        "/a": html("A" + links("/not-listed")), "/b": html("B"), "/c": html("C"), "/not-listed": html("N"),
    }  # fmt: skip
    settings = {"url": f"{site.web.url}/sitemap.xml", "by_sitemap": True}
    assert (await site.visit(**settings))[1] == ["a.html", "b.html", "c.html"]
    site.web.pages["/2.xml"] = Page(sitemap(site, c="2024-02-02"), headers=xml)
    site.web.pages["/1.xml.gz"] = Page(sitemap(site, a="2024-01-01"), headers=xml)
    site.web.pages["/c"] = html("C is new")
    assert await site.visit(**settings) == (["c.html"], ["a.html", "c.html"])
    assert "/a" not in site.web.asked
    site.web.pages["/2.xml"] = Page(status=503, headers={"retry-after": "40"})
    with pytest.raises(Throttled) as caught:
        await site.visit(**settings)
    assert caught.value.retry_after_s == 40
    for bad in (
        Page(status=500),
        Page(b"<html>no</html>"),
        Page(b'<!DOCTYPE x [<!ENTITY a "b">]><urlset/>'),
        Page(b""),
    ):
        site.web.pages["/2.xml"] = bad
        with pytest.raises(SourceError, match="sitemap"):
            await site.visit(**settings)


@pytest.mark.parametrize(
    ("url", "kind", "path"),
    [
        ("https://x.org/", "text/html", "x.org/index.html"), ("https://x.org/a/", "text/html", "x.org/a/index.html"),
        ("https://x.org/a", "text/html", "x.org/a.html"), ("https://x.org/v1.2", "text/html", "x.org/v1.2.html"),
        ("https://x.org/a.pdf", "application/pdf", "x.org/a.pdf"),
        ("https://x.org/a.pdf", "text/html", "x.org/a.pdf.html"),
        ("https://x.org/%C3%A4/../b%2F..%2Fc//d", "text/html", "x.org/ä/b/c/d.html"),
        ("https://x.org:8443/a?b=c/d", "text/html", "x.org_8443/a?b=c∕d.html"),
    ],
)  # fmt: skip
def test_a_path_says_host_page_and_format(url: str, kind: str, path: str) -> None:
    assert path_of(url, kind) == path
    assert len(path_of(url + "x" * 5000, kind)) < 1000


class WebStage:
    """A site whose first page lists its documents and is none itself."""

    can = frozenset({"vanish", "throttle"})

    def __init__(self, web: Web) -> None:
        self.web = web
        self.names: dict[str, bytes] = {}
        self._list()

    def _list(self) -> None:
        self.web.pages = {
            f"/{quote(name)}": Page(data, headers={"content-type": "text/markdown"})
            for name, data in self.names.items()
        }
        hidden = '<meta name="robots" content="noindex">'
        self.web.pages["/"] = html("Home" + links(*(f"/{quote(name)}" for name in self.names)), hidden)

    async def source(self) -> Any:
        return Shortened(Site(self.web).source(), f"127.0.0.1_{self.web.port}/")

    async def put(self, path: str, data: bytes) -> None:
        self.names[path] = data
        self._list()

    async def delete(self, path: str) -> None:
        del self.names[path]
        self._list()

    async def move(self, path: str, to: str) -> None:
        self.names[to] = self.names.pop(path)
        self._list()

    async def vanish(self) -> None:
        self.web.pages["/robots.txt"] = Page(status=500)

    async def throttle(self, calls: int) -> None:
        """Answered busy so often."""
        pages, left = self.web.pages, [calls]

        class Busy(Web):
            def page(self, path: str) -> Page:
                if path == "/robots.txt" or not left[0]:
                    return super().page(path)
                left[0] -= 1
                return Page(status=503, headers={"retry-after": "1"})

        self.web.__class__ = Busy
        self.web.pages = pages

    async def share(self, path: str, readers: frozenset[str], denied: frozenset[str]) -> None:
        raise NotImplementedError

    async def join(self, group: str, member: str) -> None:
        raise NotImplementedError


@dataclass
class Shortened:
    """A web source whose paths have no host."""

    inner: WebSource
    prefix: str
    carries_permissions = False

    async def groups(self) -> Any:
        return await self.inner.groups()

    async def changes(self, cursor: str) -> Changes:
        page = await self.inner.changes(cursor)
        changes = tuple(Change(each.path.removeprefix(self.prefix)) for each in page.changes)
        return Changes(changes, page.cursor, page.is_last)

    async def fetch(self, change: Change) -> Fetched:
        return await self.inner.fetch(Change(self.prefix + change.path))

    async def present(self, cursor: str, place: str) -> Present:
        page = await self.inner.present(cursor, place)
        return Present(tuple(Here(each.path.removeprefix(self.prefix)) for each in page.documents), page.place)

    async def close(self) -> None:
        await self.inner.close()


@pytest.mark.parametrize("rule", [rule for rule in RULES if rule != "throttling loses nothing"])
async def test_a_web_site_keeps_the_rule(rule: str, site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(web_source, "_PAGES_AT_ONCE", 3)
    await RULES[rule](WebStage(site.web))


async def test_read_all_sees_what_a_visit_sees(site: Site) -> None:
    site.web.pages["/"] = html("Home")
    source = site.source()
    found, _ = await read_all(source)
    await source.close()
    assert [site.short(path) for path in found] == ["index.html"]

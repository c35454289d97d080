"""A web site as a source: by its sitemap, or by following its links, as its robots.txt allows.

A visit reads pages one after the other; what is known of them from the last one makes requests conditional. A page is
gone when the site says so (404, 410, 401, 403, `noindex`, robots.txt), or when no sitemap or link leads to it any more.
What could not be looked at stays.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from time import monotonic
from typing import Any
from urllib.parse import urljoin, urlsplit

from headworks.retrieval.parsers.catalog import is_supported
from headworks.retrieval.parsers.html import declared_encoding
from headworks.retrieval.sources.addresses import Reach
from headworks.retrieval.sources.contract import (
    Change,
    Changes,
    Failed,
    Fetched,
    Gone,
    Groups,
    Here,
    Present,
    SourceError,
    Throttled,
    Unfetchable,
)
from headworks.retrieval.sources.fetching import USER_AGENT, Answer, Ask, Fetcher, FetchLimits
from headworks.retrieval.sources.pages import PageLinks, normal, read_page
from headworks.retrieval.sources.robots import Robots, parse_robots
from headworks.retrieval.sources.sitemaps import NotASitemap, Sitemap, parse_sitemap
from headworks.retrieval.sources.visits import HTML, KnownPage, Visit, path_of, read_visit, with_encoding

_PAGES_AT_ONCE = 20
_AT_ONCE_S = 10.0
_HERE_AT_ONCE = 1000
_MOST_SITEMAPS = 200
_MARKUP_BYTES = 1 << 20
"""As much of a page is read for its links."""
_PAUSE_S = 30.0
"""Where a site asks for fewer requests and does not say for how long."""
_NEVER = frozenset({401, 403, 404, 410})
_BUSY = frozenset({429, 503})
_LASTING = frozenset({"address_refused", "media_type", "too_large", "redirects"})
_REDIRECTS = frozenset({301, 302, 303, 307, 308})


@dataclass(frozen=True, slots=True)
class WebSettings:
    """`url` where a crawl begins, or a sitemap where `by_sitemap`. `depth`: how many links away from it."""

    url: str
    by_sitemap: bool = False
    depth: int = 5
    pages: int = 1_000
    delay_s: float = 0.5


def open_web(settings: Mapping[str, Any], reach: Reach, max_bytes: int) -> WebSource:
    """The source of a collection's file."""
    return WebSource(WebSettings(**settings), Fetcher(FetchLimits(max_bytes), reach))


@dataclass(slots=True)
class _Batch:
    """What one call of `changes` finds."""

    taken: set[str] = field(default_factory=set)
    """Paths that a page of this visit has already."""
    changes: list[Change] = field(default_factory=list)
    failed: list[Failed] = field(default_factory=list)


class WebSource:
    """See Source. It carries no permissions: what it finds is public, or as public as the network that it sees."""

    carries_permissions = False

    def __init__(
        self, settings: WebSettings, fetcher: Fetcher, pause: Callable[[float], Awaitable[None]] = asyncio.sleep
    ) -> None:
        self._settings = settings
        self._fetcher = fetcher
        self._pause = pause
        self._start = normal(settings.url)
        self._site = urlsplit(self._start).netloc
        self._robots: Robots | None = None
        self._asked_at = -1e9
        self._fetched: dict[str, Fetched] = {}
        self._addresses: dict[str, str] = {}

    async def groups(self) -> Groups:
        """See Source: none."""
        return Groups()

    async def changes(self, cursor: str) -> Changes:
        """See Source. Raises SourceError when robots.txt, the sitemap or the first page is out of reach."""
        visit = read_visit(cursor)
        batch = _Batch({each.path for each in visit.here.values()})
        self._fetched.clear()
        if not visit.is_under_way:
            visit.is_under_way = True
            await self._begin(visit, batch)
        until = monotonic() + _AT_ONCE_S
        for number in range(_PAGES_AT_ONCE):
            if not visit.todo or (number and monotonic() > until):
                break
            try:
                await self._look_at(visit, batch)
            except Throttled:
                if not number:
                    raise
                break
        if is_last := not visit.todo:
            visit.end()
        self._learn(visit)
        expected = len(visit.pages if is_last else visit.seen)
        return Changes(tuple(batch.changes), visit.written(), is_last, tuple(batch.failed), expected)

    async def fetch(self, change: Change) -> Fetched:
        """See Source: what `changes` has read, or read anew."""
        if (fetched := self._fetched.pop(change.path, None)) is not None:
            return fetched
        if (url := self._addresses.get(change.path)) is None:
            raise Gone(change.path)
        answer = await self._ask(url, {})
        if answer.status in _NEVER or answer.status in _REDIRECTS:
            raise Gone(change.path)
        if answer.status != 200:
            raise Unfetchable("bad_status", f"The site answers {answer.status}.")
        return _document(answer)

    async def present(self, cursor: str, place: str) -> Present:
        """See Source: the pages of the last visit."""
        visit = read_visit(cursor)
        self._learn(visit)
        paths = sorted(self._addresses)
        first = int(place or 0)
        rest = first + _HERE_AT_ONCE
        here = tuple(Here(path) for path in paths[first:rest])
        return Present(here, str(rest) if rest < len(paths) else "")

    async def close(self) -> None:
        """See Source."""
        await self._fetcher.close()

    def _learn(self, visit: Visit) -> None:
        pages = visit.here if visit.is_under_way else visit.pages
        self._addresses = {each.path: url for url, each in pages.items() if each.path}

    # ── Where a visit begins ──

    async def _begin(self, visit: Visit, batch: _Batch) -> None:
        if not (await self._rules()).allows(_path(self._start)):
            raise SourceError(
                f"The site's robots.txt does not allow to fetch {self._start}.", code="robots", is_lasting=True
            )
        if not self._settings.by_sitemap:
            visit.add(self._start, 0, self._settings.pages)
            return
        waiting, read = [self._start], 0
        while waiting and read < _MOST_SITEMAPS:
            sitemap = await self._sitemap(waiting.pop(0))
            read += 1
            waiting += [url for each in sitemap.nested if self._is_ours(url := normal(each))]
            for address, lastmod in sitemap.pages:
                if self._is_ours(url := normal(address)) and not visit.add(url, 0, self._settings.pages, lastmod):
                    self._note_limit(batch)
                    return

    async def _sitemap(self, url: str) -> Sitemap:
        """What a sitemap lists. One that can't be read ends the visit: the pages that it listed are not gone."""
        try:
            answer = await self._ask(url, {}, follows=True)
            if answer.status in _BUSY and answer.retry_after_s:
                raise Throttled(answer.retry_after_s)
            if answer.status != 200:
                raise SourceError(f"The sitemap {url} is out of reach: {answer.status}.", code="sitemap")
            return await asyncio.to_thread(parse_sitemap, answer.body)
        except Unfetchable as error:
            lasts = error.code in _LASTING
            message = f"The sitemap {url} is out of reach: {error.message}"
            raise SourceError(message, code="sitemap", is_lasting=lasts) from None
        except NotASitemap as error:
            raise SourceError(f"{url} is not a sitemap: {error}.", code="sitemap", is_lasting=True) from None

    async def _rules(self) -> Robots:
        """The site's robots.txt. One that can't be had forbids everything, so nothing is concluded from it."""
        if self._robots is None:
            parts = urlsplit(self._start)
            url = f"{parts.scheme}://{parts.netloc}/robots.txt"
            try:
                answer = await self._fetcher.get(Ask(url, {}, follows=self._is_ours))
            except Unfetchable as error:
                lasts = error.code in _LASTING
                message = f"{url} is out of reach: {error.message}"
                raise SourceError(message, code=error.code, is_lasting=lasts) from None
            if answer.status >= 500 or answer.status == 429:
                raise SourceError(f"{url} is out of reach: {answer.status}.", code="robots")
            data = answer.body if answer.status == 200 else b""
            self._robots = parse_robots(data, USER_AGENT)
        return self._robots

    # ── One page ──

    async def _look_at(self, visit: Visit, batch: _Batch) -> None:
        """The next page of the list. Raises Throttled, with the page still on it."""
        url, depth, lastmod = visit.todo[0]
        known = visit.pages.get(url)
        if not (await self._rules()).allows(_path(url)):
            visit.todo.pop(0)
            return
        if known is not None and lastmod and known.lastmod == lastmod:
            visit.todo.pop(0)
            self._keep(visit, batch, (url, depth), known, visit.linked_from(known))
            return
        try:
            answer = await self._ask(url, _conditions(known))
        except Unfetchable as error:
            visit.todo.pop(0)
            self._fail(visit, batch, depth, Failed(url, error.code, error.message))
            return
        if answer.status in _BUSY:
            raise Throttled(answer.retry_after_s or _PAUSE_S)
        visit.todo.pop(0)
        if answer.status == 304 and known is not None:
            self._keep(visit, batch, (url, depth), known, visit.linked_from(known))
        elif answer.status in _REDIRECTS:
            self._redirect(visit, batch, url, depth, answer)
        elif answer.status == 200:
            await self._read(visit, batch, (url, depth, lastmod), answer)
        else:
            self._refused(visit, batch, url, depth, answer.status)

    def _refused(self, visit: Visit, batch: _Batch, url: str, depth: int, status: int) -> None:
        if status not in _NEVER:
            self._fail(visit, batch, depth, Failed(url, "bad_status", f"The site answers {status}."))
        elif url == self._start and not self._settings.by_sitemap:
            message = f"The first page is not there: {url} answers {status}."
            raise SourceError(message, code="first_page", is_lasting=True)
        elif status in {401, 403}:
            batch.failed.append(Failed(_name(visit, url), "forbidden", f"The site answers {status}."))

    def _redirect(self, visit: Visit, batch: _Batch, url: str, depth: int, answer: Answer) -> None:
        target = normal(urljoin(url, answer.headers.get("location", "")))
        if self._is_ours(target):
            self._add(visit, batch, target, depth)
        elif url == self._start:
            message = f"{url} leads to another site: {urlsplit(target).netloc}. Name that."
            raise SourceError(message, code="redirects", is_lasting=True)

    async def _read(self, visit: Visit, batch: _Batch, todo: tuple[str, int, str], answer: Answer) -> None:
        url, depth, lastmod = todo
        said = PageLinks(is_listed="noindex" not in answer.headers.get("x-robots-tag", "").lower())
        if answer.media_type in HTML:
            markup = with_encoding(answer.body, answer.headers.get("content-type", ""))[:_MARKUP_BYTES]
            text = markup.decode(declared_encoding(markup) or "utf-8", "replace") if _is_plain(markup) else ""
            said = await asyncio.to_thread(read_page, text, url, answer.headers, USER_AGENT)
        links = [] if self._settings.by_sitemap else [each for each in said.links if self._is_ours(each)]
        page = KnownPage(
            path=path_of(url, answer.media_type),
            tag=answer.headers.get("etag", "")[:500],
            modified=answer.headers.get("last-modified", "")[:100],
            lastmod=lastmod,
            digest=hashlib.blake2b(answer.body, digest_size=12).hexdigest(),
            links=visit.numbered(links),
        )
        if len(page.links) < len(links):
            page.tag = page.modified = ""  # the next visit reads it again, since not all of its links are known
        if self._gives_way(visit, batch, url, depth, said.canonical) or not said.is_listed:
            page.path = ""
        if page.path in batch.taken:
            page.path = ""  # another address of the same page
        elif page.path and not _is_same(visit.pages.get(url), page):
            self._fetched[page.path] = _document(answer)
            batch.changes.append(Change(page.path))
        self._keep(visit, batch, (url, depth), page, links)

    def _gives_way(self, visit: Visit, batch: _Batch, url: str, depth: int, canonical: str) -> bool:
        """Whether a page is another one's copy. Of two that name each other the first gives way."""
        if not canonical or canonical == url or visit.stands_for.get(canonical) == url:
            return False
        visit.stands_for[url] = canonical
        if self._is_ours(canonical):
            self._add(visit, batch, canonical, depth)
        return True

    def _keep(self, visit: Visit, batch: _Batch, at: tuple[str, int], page: KnownPage, links: Sequence[str]) -> None:
        """The page is there, at an address and a depth; its links are looked at next."""
        url, depth = at
        visit.here[url] = page
        batch.taken.add(page.path)
        if self._settings.by_sitemap or depth >= self._settings.depth:
            return
        for link in links:
            self._add(visit, batch, link, depth + 1)

    def _fail(self, visit: Visit, batch: _Batch, depth: int, failed: Failed) -> None:
        """A page that could not be looked at: what is known of it, and where it leads, stays."""
        url = failed.path
        if url == self._start and not self._settings.by_sitemap and url not in visit.pages:
            raise SourceError(f"{url}: {failed.message}", code=failed.code, is_lasting=failed.code in _LASTING)
        if failed.code != "media_type":
            batch.failed.append(Failed(_name(visit, url), failed.code, failed.message))
            if (known := visit.pages.get(url)) is not None:
                self._keep(visit, batch, (url, depth), known, visit.linked_from(known))

    def _add(self, visit: Visit, batch: _Batch, url: str, depth: int) -> None:
        if not visit.add(url, depth, self._settings.pages):
            self._note_limit(batch)

    def _note_limit(self, batch: _Batch) -> None:
        message = f"The site has more than {self._settings.pages:,} addresses; `pages` says how many are looked at."
        if not any(each.code == "page_limit" for each in batch.failed):
            batch.failed.append(Failed(path_of(self._start, ""), "page_limit", message))

    async def _ask(self, url: str, headers: Mapping[str, str], *, follows: bool = False) -> Answer:
        """A request, after the pause that the site or the collection's file asks for."""
        delay_s = max(self._settings.delay_s, (await self._rules()).delay_s)
        if (wait_s := self._asked_at + delay_s - monotonic()) > 0:
            await self._pause(wait_s)
        self._asked_at = monotonic()
        wants = (lambda kind: True) if follows else (lambda kind: _is_wanted(url, kind))  # noqa: ARG005 -- any
        return await self._fetcher.get(
            Ask(url, headers, follows=lambda target: follows and self._is_ours(normal(target)), wants=wants)
        )

    def _is_ours(self, url: str) -> bool:
        return bool(url) and urlsplit(url).netloc == self._site


def _is_same(known: KnownPage | None, page: KnownPage) -> bool:
    return known is not None and (known.path, known.digest) == (page.path, page.digest)


def _conditions(known: KnownPage | None) -> dict[str, str]:
    if known is None:
        return {}
    return {
        name: value for name, value in (("if-none-match", known.tag), ("if-modified-since", known.modified)) if value
    }


def _is_wanted(url: str, media_type: str) -> bool:
    """Whether some parser knows the type; what says nothing of itself is taken by the ending of its address."""
    if media_type in HTML:
        return True
    if media_type in {"", "application/octet-stream"}:
        return is_supported(PurePosixPath(urlsplit(url).path).name)
    return is_supported(path_of("http://x/file", media_type))


def _document(answer: Answer) -> Fetched:
    if answer.media_type in HTML:
        return Fetched(with_encoding(answer.body, answer.headers.get("content-type", "")), "text/html")
    return Fetched(answer.body, answer.media_type)


def _is_plain(markup: bytes) -> bool:
    return b"\0" not in markup[:1000]


def _name(visit: Visit, url: str) -> str:
    """A page's path where it is a document, else what it would be."""
    known = visit.pages.get(url)
    return known.path if known is not None and known.path else path_of(url, "")


def _path(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.path or '/'}?{parts.query}" if parts.query else parts.path or "/"

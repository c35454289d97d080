"""Fetching from servers that mean harm."""

from __future__ import annotations

import asyncio
import gzip
from collections.abc import AsyncIterator
from typing import Any

import pytest
from scripted_web import Page, Web, gzipped, html, redirect, serving

from headworks.retrieval.sources.addresses import Reach
from headworks.retrieval.sources.contract import Unfetchable
from headworks.retrieval.sources.fetching import Answer, Ask, Fetcher, FetchLimits

KB = 1024


@pytest.fixture
async def web() -> AsyncIterator[Web]:
    async with serving() as made:
        yield made


async def get(
    web: Web,
    target: str,
    *,
    hosts: dict[str, list[str]] | None = None,
    allowed: bool = True,
    total_s: float = 5,
    **ask: Any,
) -> Answer:
    """A fetch in which names are known from `hosts`, and 127.0.0.1 may be fetched from if `allowed`."""
    names = hosts or {}

    async def look_up(host: str, port: int) -> list[str]:
        del port
        return names.get(host, [host])

    private = {f"127.0.0.1:{web.port}"} | {f"{name}:{web.port}" for name in names if name.startswith("ok.")}
    fetcher = Fetcher(FetchLimits(64 * KB, total_s), Reach(frozenset(private) if allowed else frozenset()), look_up)
    try:
        return await fetcher.get(Ask(target if "://" in target else web.url + target, {}, **ask))
    finally:
        await fetcher.close()


async def refused(web: Web, target: str, **more: Any) -> str:
    with pytest.raises(Unfetchable) as caught:
        await get(web, target, **more)
    return caught.value.code


async def test_a_page_comes_with_its_headers(web: Web) -> None:
    web.pages["/a"] = html("Hello.", **{"ETag": '"1"', "retry-after": "7"})
    answer = await get(web, "/a#part")
    assert (answer.status, answer.media_type, answer.retry_after_s) == (200, "text/html", 7)
    assert b"Hello." in answer.body
    assert answer.headers["etag"] == '"1"'
    assert web.headers["/a"]["user-agent"] == "headworks-retrieval"
    assert {"cookie", "authorization"}.isdisjoint(web.headers["/a"])


async def test_what_is_packed_is_unpacked_and_other_packings_are_refused(web: Web) -> None:
    web.pages["/gz"] = gzipped(b"words " * 100)
    web.pages["/br"] = Page(b"xx", headers={"content-encoding": "br"})
    web.pages["/cut"] = Page(gzip.compress(bytes(range(256)) * 9)[:-9], headers={"content-encoding": "gzip"})
    web.pages["/not"] = Page(b"no gzip at all", headers={"content-encoding": "gzip"})
    assert (await get(web, "/gz")).body == b"words " * 100
    assert [await refused(web, path) for path in ("/br", "/cut", "/not")] == ["bad_answer"] * 3


async def test_a_bomb_ends_at_the_limit(web: Web) -> None:
    web.pages["/bomb"] = gzipped(bytes(50 << 20))
    assert await refused(web, "/bomb") == "too_large"


async def test_a_body_without_end_ends_at_the_limit(web: Web) -> None:
    sent = 0

    async def endless(writer: asyncio.StreamWriter) -> None:
        nonlocal sent
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
        while not writer.is_closing():
            writer.write(b"x" * 10_000)
            sent += 10_000
            await writer.drain()

    web.pages["/endless"] = Page(raw=endless)
    web.pages["/honest"] = Page(b"x" * (65 * KB))
    assert await refused(web, "/endless") == "too_large"
    assert await refused(web, "/honest") == "too_large"
    assert sent < 20 << 20


async def test_a_drip_ends_in_time_wherever_it_drips(web: Web) -> None:
    async def body(writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 60000\r\n\r\n")
        while not writer.is_closing():
            writer.write(b"x")
            await writer.drain()
            await asyncio.sleep(0.01)

    async def head(writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nx: ")
        while not writer.is_closing():
            writer.write(b"x")
            await writer.drain()
            await asyncio.sleep(0.01)

    web.pages |= {"/body": Page(raw=body), "/head": Page(raw=head)}
    assert [await refused(web, path, total_s=0.3) for path in ("/body", "/head")] == ["too_slow"] * 2


async def test_a_head_without_end_is_refused(web: Web) -> None:
    async def endless(writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\n")
        for number in range(100_000):
            if writer.is_closing():
                break
            writer.write(f"x-{number}: {'y' * 1000}\r\n".encode())
            await writer.drain()

    web.pages["/"] = Page(raw=endless)
    assert await refused(web, "/") in {"bad_answer", "unreachable", "too_slow"}


async def test_loopback_is_refused_unless_the_operator_names_it(web: Web) -> None:
    assert await refused(web, "/", allowed=False) == "address_refused"
    assert web.asked == []


@pytest.mark.parametrize(
    "target",
    [
        "http://169.254.169.254/latest/meta-data/", "http://[::1]/", "http://[::ffff:127.0.0.1]/", "http://10.0.0.1/",
        "http://127.0.0.1/", "https://127.0.0.1:22/", "ftp://example.com/a", "file:///etc/passwd", "gopher://x/",
        "http://user:secret@example.com/", "http:///a", "//example.com", "http://", "javascript:alert(1)", "http://[fe80::1]/",
    ],
)  # fmt: skip
async def test_addresses_that_are_never_fetched(web: Web, target: str) -> None:
    async def direct(writer: asyncio.StreamWriter) -> None:
        writer.write(f"HTTP/1.1 302 Go\r\nlocation: {target}\r\ncontent-length: 0\r\n\r\n".encode())

    fetcher = Fetcher(FetchLimits(KB, 5), Reach())
    with pytest.raises(Unfetchable) as caught:
        await fetcher.get(Ask(target, {}))
    assert caught.value.code == "address_refused"
    if "//example" not in target and target not in {"http://", "http:///a"}:
        web.pages["/away"] = Page(raw=direct)
        assert await refused(web, "/away") == "address_refused"


@pytest.mark.parametrize("host", ["2130706433", "0x7f.1", "127.1", "0177.0.0.1", "localhost"])
async def test_loopback_in_disguise_is_seen_through(host: str) -> None:
    fetcher = Fetcher(FetchLimits(KB, 5), Reach())
    with pytest.raises(Unfetchable) as caught:
        await fetcher.get(Ask(f"http://{host}/", {}))
    assert caught.value.code in {"address_refused", "unreachable"}


async def test_every_address_of_a_host_is_checked(web: Web) -> None:
    hosts = {"mixed.example": ["93.184.216.34", "127.0.0.1"], "ok.example": ["127.0.0.1"]}
    web.pages["/"] = html("Hello.")
    assert await refused(web, f"http://mixed.example:{web.port}/", hosts=hosts) == "address_refused"
    assert (await get(web, f"http://ok.example:{web.port}/", hosts=hosts)).status == 200


async def test_a_name_that_changes_its_address_between_check_and_use_gains_nothing(web: Web) -> None:
    """The name is looked up once; what was checked is what is connected to: nobody listens on 127.0.0.2."""
    answers = ["127.0.0.2", "169.254.169.254", "127.0.0.1"]
    lookups: list[str] = []

    async def rebinding(host: str, port: int) -> list[str]:
        del port
        lookups.append(host)
        return [answers[len(lookups) - 1]]

    web.pages["/"] = html("secret")
    target = Ask(f"http://ok.example:{web.port}/", {})
    fetcher = Fetcher(FetchLimits(KB, 5), Reach(frozenset({f"ok.example:{web.port}"})), rebinding)
    with pytest.raises(Unfetchable) as caught:
        await fetcher.get(target)
    assert (caught.value.code, lookups, web.asked) == ("unreachable", ["ok.example"], [])
    with pytest.raises(Unfetchable) as caught:
        await fetcher.get(target)
    assert caught.value.code == "address_refused"
    assert (await fetcher.get(target)).status == 200
    await fetcher.close()


async def test_each_redirect_is_checked_anew(web: Web) -> None:
    hosts = {"ok.example": ["127.0.0.1"], "evil.example": ["127.0.0.1"]}
    web.pages["/1"] = redirect(f"http://ok.example:{web.port}/2", 301)
    web.pages["/2"] = redirect("3", 308)
    web.pages["/3"] = html("Here.")
    web.pages["/bad"] = redirect(f"http://evil.example:{web.port}/3")
    web.pages["/loop"] = redirect("/loop")
    answer = await get(web, "/1", hosts=hosts)
    assert (answer.url, answer.status) == (f"http://ok.example:{web.port}/3", 200)
    assert await refused(web, "/bad", hosts=hosts) == "address_refused"
    assert await refused(web, "/loop") == "redirects"
    assert web.asked.count("/loop") == 6
    away = await get(web, "/1", hosts=hosts, follows=lambda url: "ok.example" not in url)
    assert (away.status, away.headers["location"]) == (301, f"http://ok.example:{web.port}/2")


async def test_a_type_that_is_not_wanted_is_not_read(web: Web) -> None:
    web.pages["/movie"] = Page(b"x" * KB, headers={"content-type": "video/mp4"})
    assert await refused(web, "/movie", wants=lambda kind: kind == "text/html") == "media_type"


async def test_nobody_there_is_said(web: Web) -> None:
    async def nothing(host: str, port: int) -> list[str]:
        raise OSError(f"{host}:{port}")

    fetcher = Fetcher(FetchLimits(KB, 5), Reach(), nothing)
    with pytest.raises(Unfetchable, match="There is no host `gone.example`"):
        await fetcher.get(Ask("http://gone.example/", {}))
    web.pages["/cut"] = Page(b"short", headers={"content-length": "100"}, raw=_cut)
    assert await refused(web, "/cut") in {"bad_answer", "unreachable"}


async def _cut(writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nshort")
    await writer.drain()


@pytest.mark.parametrize(
    ("text", "seconds"), [("120", 120.0), ("Wed, 21 Oct 2015 07:28:00 GMT", 0.0), ("soon", None), ("", None)]
)
def test_how_long_to_wait_is_seconds_or_a_date(text: str, seconds: float | None) -> None:
    assert Answer(429, "", {"retry-after": text}, b"").retry_after_s == seconds

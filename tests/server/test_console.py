"""The page's files as they are served; what the page does is shown in tests/browser."""

from __future__ import annotations

import re
from importlib.resources import files

import httpx
import pytest

from headworks.server import console
from headworks.server.asgi import control_plane

STATIC = {each.name: each.read_text() for each in (files("headworks.console") / "static").iterdir()}
SCRIPTS = [name for name in STATIC if name.endswith(".js")]


async def get(path: str, **headers: str) -> httpx.Response:
    app = control_plane([console.router])
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://server") as client:
        return await client.get(path, headers=headers)


@pytest.mark.parametrize("path", ["/", "/documents/01a2046f-cafa-77af-a587-fc11ed4586a9", "/documents/none"])
async def test_each_address_of_the_page_is_the_same_file_without_data(path: str) -> None:
    answer = await get(path)
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert answer.text == STATIC["index.html"]


@pytest.mark.parametrize("name", sorted(STATIC))
async def test_each_file_is_served_with_its_type_and_asked_for_again(name: str) -> None:
    answer = await get(f"/console/{name}")
    assert answer.status_code == 200
    assert answer.text == STATIC[name]
    kind = {"css": "text/css", "html": "text/html", "js": "text/javascript", "svg": "image/svg"}[
        name.rpartition(".")[2]
    ]
    assert answer.headers["content-type"].startswith(kind)
    assert answer.headers["cache-control"] == "no-cache"


async def test_what_the_browser_has_is_not_sent_again() -> None:
    tag = (await get("/console/app.js")).headers["etag"]
    again = await get("/console/app.js", **{"if-none-match": f'"other", W/{tag}'})
    assert (again.status_code, again.content) == (304, b"")
    assert (await get("/console/app.js", **{"if-none-match": '"other"'})).status_code == 200
    assert (await get("/console/app.css")).headers["etag"] != tag


@pytest.mark.parametrize("name", ["secret.js", "__init__.py", "..%2f__init__.py", "app.js.map", "%2e%2e"])
async def test_no_other_file_is_served(name: str) -> None:
    answer = await get(f"/console/{name}")
    assert answer.status_code == 404
    assert answer.json()["error"]["code"] == "not_found"


def test_all_that_the_page_names_is_there_and_ours() -> None:
    named = re.findall(r'(?:src|href)="/console/([^"]+)"', STATIC["index.html"])
    for script in SCRIPTS:
        named += re.findall(r'from "\./([^"]+)"', STATIC[script])
    assert set(named) <= set(STATIC)
    assert set(STATIC) <= {*named, "index.html"}, "every file is used"


def test_every_script_is_asked_for_at_once() -> None:
    preloaded = re.findall(r'rel="modulepreload" href="/console/([^"]+)"', STATIC["index.html"])
    assert sorted([*preloaded, "app.js"]) == sorted(SCRIPTS)


def test_the_page_holds_no_inline_script_or_style_and_no_foreign_address() -> None:
    page = STATIC["index.html"]
    assert re.findall(r"<script(?![^>]*\bsrc=)|<style|\bstyle=|\bon\w+=", page) == []
    for name, text in STATIC.items():
        assert re.findall(r"(?:https?:)?//[\w-]+\.[\w.]+", text.replace("http://www.w3.org/2000/svg", "")) == [], name


@pytest.mark.parametrize("name", SCRIPTS)
def test_no_script_ever_makes_html_or_code_of_text(name: str) -> None:
    forbidden = r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\b|new Function|DOMParser|srcdoc|setHTML"
    assert re.findall(forbidden, STATIC[name]) == []


@pytest.mark.parametrize("name", SCRIPTS)
def test_every_element_that_a_script_looks_for_is_in_the_page(name: str) -> None:
    ids = set(re.findall(r'\bid="([^"]+)"', STATIC["index.html"]))
    assert set(re.findall(r'\$\("([^"]+)"\)', STATIC[name])) <= ids


def test_what_names_another_element_names_one() -> None:
    page = STATIC["index.html"]
    ids = re.findall(r'\bid="([^"]+)"', page)
    assert len(ids) == len(set(ids))
    for attribute in ("for", "aria-controls", "aria-labelledby", "aria-describedby", "data-copies"):
        assert set(re.findall(rf'\b{attribute}="([^"]+)"', page)) <= set(ids), attribute


def colours(css: str) -> dict[str, str]:
    return dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6});", css))


def contrast(first: str, second: str) -> float:
    """Of two colours, from 1 to 21 (WCAG 2.2, relative luminance)."""

    def luminance(colour: str) -> float:
        parts = (int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5))
        red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
        return 0.2126 * red + 0.7152 * green + 0.0722 * blue

    dark, light = sorted((luminance(first), luminance(second)))
    return (light + 0.05) / (dark + 0.05)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_text_stands_out_from_what_is_behind_it(scheme: str) -> None:
    light, dark = STATIC["app.css"].split("@media (prefers-color-scheme: dark)", 1)
    palette = colours(light) | (colours(dark) if scheme == "dark" else {})
    pairs = [("ink", "paper"), ("ink", "card"), ("ink", "wash"), ("accent-ink", "accent"), ("mark-ink", "mark")]
    pairs += [(text, behind) for text in ("soft", "accent") for behind in ("paper", "card", "wash")]
    pairs += [("bad", "card"), ("bad", "bad-wash")]
    faint = {(text, behind): contrast(palette[text], palette[behind]) for text, behind in pairs}
    assert {pair: ratio for pair, ratio in faint.items() if ratio < 4.5} == {}
    edges = {behind: contrast(palette["edge"], palette[behind]) for behind in ("card", "paper")}
    assert {behind: ratio for behind, ratio in edges.items() if ratio < 3} == {}, "one sees where a field is"


def test_the_page_is_light() -> None:
    assert sum(len(text.encode()) for text in STATIC.values()) < 80 * 1024

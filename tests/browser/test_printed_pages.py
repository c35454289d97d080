"""PDFs at `/`: the page as it is printed, with the quote marked on its words; and what is told of an answer."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from typing import Any

import pypdfium2
import pytest
from driven_page import PRINTED, TRIAL, OpenPage, Tenant, Watched
from playwright.sync_api import Page, Route

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(shutil.which("chromium") is None, reason="There is no chromium here: apt-get install chromium."),
]
POINTS = 3.0
"""That an edge of the mark may stand off the words."""
REFUSED = "Failed to load resource: the server responded with a status of 4"


@pytest.fixture
def printed(open_page: OpenPage, tenant: Tenant, signed_in: Any) -> Callable[..., Watched]:
    """Opens the quote's address; `changed` is what becomes of the document's JSON on its way."""

    def open_quote(width: int = 1400, *, is_drawn: bool = True, **changed: Any) -> Watched:
        watched = open_page(signed_in, viewport={"width": width, "height": 900})
        if changed:

            def change(route: Route) -> None:
                found = route.fetch()
                route.fulfill(response=found, json=found.json() | changed)

            watched.page.route("**/api/documents/*?*", change)
        watched.page.goto(tenant.place("trial.pdf", PRINTED))
        watched.page.wait_for_selector("#page-marks rect" if is_drawn else "#document-text mark")
        return watched

    return open_quote


def words_in(data: bytes, page: int, words: str) -> tuple[float, float, float, float]:
    """Where a PDF has these words, by its own characters: left, top, right, bottom, in points from the top left."""
    sheet = pypdfium2.PdfDocument(data)[page - 1]
    text = sheet.get_textpage()
    start = text.get_text_range().index(words)
    boxes = [text.get_charbox(start + at, loose=True) for at in range(len(words))]
    lefts, bottoms, rights, tops = zip(*boxes, strict=True)
    height = sheet.get_height()
    return min(lefts), height - max(tops), max(rights), height - min(bottoms)


def marked_in(page: Page, width_pt: float) -> tuple[float, float, float, float]:
    """Where the mark is seen over the picture, in points from the picture's top left."""
    script = """() => {
        const sheet = document.querySelector("#page-picture").getBoundingClientRect();
        const all = [...document.querySelectorAll("#page-marks rect")].map((each) => each.getBoundingClientRect());
        const edge = (pick, of) => pick(...all.map(of));
        return [sheet.width,
                edge(Math.min, (each) => each.left - sheet.left), edge(Math.min, (each) => each.top - sheet.top),
                edge(Math.max, (each) => each.right - sheet.left), edge(Math.max, (each) => each.bottom - sheet.top)];
    }"""
    seen, *edges = page.evaluate(script)
    left, top, right, bottom = (edge * width_pt / seen for edge in edges)
    return left, top, right, bottom


@pytest.mark.parametrize("width", [390, 1400])
def test_the_mark_lies_over_the_quoted_words(printed: Callable[..., Watched], width: int) -> None:
    page = printed(width).page
    assert page.inner_text("#page-number") == "Page 2 of 2"
    assert "as it is printed, the quote is marked" in str(page.get_attribute("#page-picture", "aria-label"))
    assert marked_in(page, 595) == pytest.approx(words_in(TRIAL, 2, PRINTED), abs=POINTS)
    left, top, right, bottom = (2 * edge for edge in words_in(TRIAL, 2, PRINTED))
    script = """([x, y, width, height]) => {
        const all = document.querySelector("#page-picture").getContext("2d").getImageData(x, y, width, height).data;
        return all.filter((value, index) => index % 4 === 0 && value < 128).length;
    }"""
    assert page.evaluate(script, list(map(int, (left, top, right - left, bottom - top)))) > 200, (
        "the words are drawn there"
    )
    first = page.locator("#page-marks rect").first.bounding_box()
    assert first is not None
    assert 0 <= first["y"] <= 900
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_pages_are_turned_and_the_text_is_a_click_away(printed: Callable[..., Watched]) -> None:
    page = printed().page
    page.get_by_role("button", name="Larger").click()
    assert page.evaluate("document.querySelector('#page-picture').clientWidth") == 62 * 16
    assert marked_in(page, 595) == pytest.approx(words_in(TRIAL, 2, PRINTED), abs=POINTS)
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    page.get_by_role("button", name="Previous page").click()
    page.get_by_text("Page 1 of 2", exact=True).wait_for()
    assert page.locator("#page-marks rect").count() == 0
    assert page.get_by_role("button", name="Previous page").is_disabled()
    page.get_by_role("button", name="Text", exact=True).click()
    page.wait_for_selector("#document-text mark")
    assert "".join(page.locator("#document-text mark").all_inner_texts()) == PRINTED
    assert page.locator("#document-page").is_hidden()
    page.get_by_role("button", name="Page", exact=True).click()
    page.wait_for_selector("#page-marks rect")
    assert page.get_attribute("#view-page", "aria-pressed") == "true"


def test_a_citation_opens_the_page_and_the_choice_of_text_stays(desk: Watched) -> None:
    page = desk.page
    page.select_option("#feature", "assistant")
    page.fill("#question", "For how many months is the device rented?")
    page.press("#question", "Enter")
    page.wait_for_selector("#exchange:not([aria-busy])")
    quote = page.locator("#citations .quoted", has_text="The device is rented").first
    quote.click()
    page.wait_for_selector("#page-marks rect")
    assert "page 2" in page.inner_text("#document-place")
    page.click("#view-text")
    quote.click()
    page.wait_for_selector("#document-text mark")
    assert page.locator("#document-page").is_hidden()


def test_a_page_that_can_t_be_drawn_leaves_the_text_and_says_why(
    open_page: OpenPage, tenant: Tenant, signed_in: Any
) -> None:
    watched = open_page(signed_in)
    watched.expected = [REFUSED]
    error = {"message": "The page can't be drawn: `torn`.", "type": "t", "param": None, "code": "corrupt"}
    watched.page.route("**/pages/*", lambda route: route.fulfill(status=422, json={"error": error}))
    watched.page.goto(tenant.place("trial.pdf", PRINTED))
    watched.page.wait_for_selector("#document-text mark")
    note = watched.page.inner_text("#document-note")
    assert note == "Its pages can't be shown as they are printed, only as text. The page can't be drawn: torn."
    assert watched.page.locator("#views").is_hidden()


def test_an_original_that_is_not_kept_is_said_so(printed: Callable[..., Watched]) -> None:
    page = printed(is_drawn=False, has_pictures=False).page
    assert page.inner_text("#document-note") == "Its pages can't be shown as they are printed, only as text."
    assert page.locator("#views").is_hidden()


def test_a_document_that_was_replaced_since_is_said_so(desk: Watched) -> None:
    def newer(route: Route) -> None:
        found = route.fetch()
        body = found.json()
        route.fulfill(response=found, json=body | {"version": 2, "text": f"# New\n\n{body['text']}", "headings": []})

    page = desk.page
    page.route("**/api/documents/*?*", newer)
    page.select_option("#feature", "assistant")
    page.fill("#question", "For how many months is the device rented?")
    page.press("#question", "Enter")
    quote = page.locator("#citations .quoted", has_text="The device is rented").first
    quote.click()
    page.wait_for_selector("#document-text mark")
    marked = " ".join(page.locator("#document-text mark").all_inner_texts())
    assert marked.split() == quote.inner_text().strip("“”").split()
    assert "was replaced after this answer. The same words stand here now." in page.inner_text("#document-note")


def test_signing_out_wipes_the_picture(open_page: OpenPage, tenant: Tenant) -> None:
    watched = open_page()
    watched.expected = ["status of 401"]
    page = watched.page
    page.goto(tenant.claim())
    page.wait_for_selector("#desk:visible")
    page.goto(tenant.place("trial.pdf", PRINTED))
    page.wait_for_selector("#page-marks rect")
    page.context.clear_cookies()
    page.click("#page-before")
    page.wait_for_selector("#signed-out:visible")
    assert page.evaluate("document.querySelector('#page-picture').width") == 1
    assert page.locator("#page-marks rect").count() == 0
    assert page.title() == "Signed out – Headworks"


def test_how_an_answer_came_to_be_is_told_above_it(desk: Watched) -> None:
    def told(route: Route) -> None:
        found = route.fetch()
        more = {"x-headworks-notice": "break-glass", "x-headworks-search-notice": "Some are found by keywords only."}
        route.fulfill(response=found, headers=found.headers | more)

    page = desk.page
    page.route("**/api/ask", told)
    page.select_option("#feature", "scripted")
    for _ in range(2):
        page.fill("#question", "markup")
        page.press("#question", "Enter")
        page.wait_for_selector("#exchange:not([aria-busy])")
        assert page.locator("#notices li").all_inner_texts() == [
            "This release is live past the rules (break-glass). headworks release log says who let it, and why.",
            "Some are found by keywords only.",
        ]
    page.unroute("**/api/ask")
    page.fill("#question", "markup")
    page.press("#question", "Enter")
    page.wait_for_selector("#exchange:not([aria-busy])")
    assert page.locator("#notices").is_hidden()


CONTRAST = """() => {
    const linear = (part) => part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
    const channel = (value) => linear(value / 255);
    const colour = (text) => { const [r, g, b, a = 1] = text.match(/[\\d.]+/g).map(Number); return { r, g, b, a }; };
    const light = ({ r, g, b }) => 0.2126 * channel(r) + 0.7152 * channel(g) + 0.0722 * channel(b);
    const behind = (node) => {
        for (let at = node; at; at = at.parentElement) {
            const found = colour(getComputedStyle(at).backgroundColor);
            if (found.a === 1) return found;
        }
        return colour("rgb(255, 255, 255)");
    };
    const faint = [];
    const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
    for (let node = walk.nextNode(); node; node = walk.nextNode()) {
        const holder = node.parentElement;
        if (!node.data.trim() || !holder.checkVisibility()) continue;
        if (holder.closest("button:disabled, .unseen, script, select")) continue;
        const pair = [light(colour(getComputedStyle(holder).color)), light(behind(holder))].sort((a, b) => b - a);
        const ratio = (pair[0] + 0.05) / (pair[1] + 0.05);
        if (ratio < 4.5) faint.push(`${ratio.toFixed(2)} ${node.data.trim().slice(0, 40)}`);
    }
    return faint;
}"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_text_stands_out_from_what_is_behind_it(
    open_page: OpenPage, tenant: Tenant, signed_in: Any, scheme: str
) -> None:
    page = open_page(signed_in, color_scheme=scheme).page
    page.goto(tenant.place("trial.pdf", PRINTED))
    page.wait_for_selector("#page-marks rect")
    assert page.evaluate(CONTRAST) == []
    page.select_option("#feature", "doubted")
    page.fill("#question", "doubtful: holidays and parental leave")
    page.press("#question", "Enter")
    page.wait_for_selector("#exchange:not([aria-busy])")
    page.click("#grounding summary")
    for tab in ("Request", "Code"):
        page.get_by_role("tab", name=tab).click()
        if tab == "Request":
            page.wait_for_selector(".stage")
            page.eval_on_selector_all(".stage", "all => all.forEach((each) => { each.open = true; })")
        else:
            page.get_by_role("button", name="Make a key").click()
            page.wait_for_selector("#key-made:visible")
        assert page.evaluate(CONTRAST) == [], json.dumps(tab)


def test_tables_in_the_text_of_a_pdf_are_tables(open_page: OpenPage, tenant: Tenant, signed_in: Any) -> None:
    def with_table(route: Route) -> None:
        found = route.fetch()
        text = "Before it\n\n| Item | Price |\n| --- | --- |\n| Mask | 9 |\n| - | - |\nAfter it\n"
        route.fulfill(response=found, json=found.json() | {"text": text, "headings": [], "has_pictures": False})

    page = open_page(signed_in).page
    page.route("**/api/documents/*?*", with_table)
    page.goto(f"{tenant.url}/documents/{tenant.documents['trial.pdf']}")
    page.wait_for_selector("#document-text table")
    assert page.locator("#document-text th").all_inner_texts() == ["Item", "Price"]
    assert page.locator("#document-text td").all_inner_texts() == ["Mask", "9", "-", "-"]
    assert page.locator("#document-text p").all_inner_texts() == ["Before it", "After it"]

"""The page at `/`, in Debian's Chromium, against a whole server: what a person does and what a person sees."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from typing import Any

import pytest
from driven_page import MakeTenant, OpenPage, Tenant, Watched
from playwright.sync_api import Page, Route
from running_server import CLEAN

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(shutil.which("chromium") is None, reason="There is no chromium here: apt-get install chromium."),
]

LEAVE = "How long does parental leave last?"
QUOTE = "1.1 Parental leave lasts *16 weeks* and is **paid in full** by the company."
SHOWN = "1.1 Parental leave lasts 16 weeks and is paid in full by the company."
UNAUTHORISED = "the server responded with a status of 401"
REFUSED = "Failed to load resource: the server responded with a status of 4"


def ask(page: Page, question: str, feature: str = "assistant") -> None:
    """As a person does it, up to the end of the answer."""
    page.select_option("#feature", feature)
    page.fill("#question", question)
    page.press("#question", "Enter")
    page.wait_for_selector("#exchange:not([aria-busy])")


def marked(page: Page) -> str:
    """The highlighted text, pieces joined."""
    page.wait_for_selector("#document-text mark")
    return " ".join("".join(page.locator("#document-text mark").all_inner_texts()).split())


def is_in_view(page: Page, selector: str) -> bool:
    """Inside the window, and inside the pane that scrolls."""
    script = """(selector) => {
        const box = document.querySelector(selector).getBoundingClientRect();
        const pane = document.querySelector("#pane-document").getBoundingClientRect();
        return box.top >= Math.max(0, pane.top) && box.bottom <= Math.min(innerHeight, pane.bottom);
    }"""
    return bool(page.evaluate(script, selector))


# ── Who is signed in ──


def test_signed_out_the_page_shows_no_data(open_page: OpenPage, tenant: Tenant) -> None:
    watched = open_page()
    watched.expected = [UNAUTHORISED]
    asked: list[str] = []
    watched.page.on("request", lambda request: asked.append(request.url) if "/api/" in request.url else None)
    for address in ("/", f"/documents/{tenant.documents['leave.md']}#char=0,40"):
        watched.page.goto(tenant.url + address)
        watched.page.wait_for_selector("#signed-out:visible")
        assert watched.page.locator("#desk").is_hidden()
        content = watched.page.content()
        assert not any(word in content for word in ("assistant", "Parental", "leave.md", "house rules", "default<"))
    assert asked == [f"{tenant.url}/api/me"] * 2, "nothing else is even asked for"
    for path in ("/api/me", "/api/features", "/api/collections", f"/api/documents/{tenant.documents['leave.md']}"):
        assert watched.page.request.get(tenant.url + path).status == 401


def test_the_claim_link_signs_in_once(open_page: OpenPage, tenant: Tenant) -> None:
    link = tenant.claim()
    first = open_page().page
    first.goto(link)
    first.wait_for_selector("#desk:visible")
    assert first.url == f"{tenant.url}/"
    assert first.inner_text("#who-name").startswith("admin")

    second = open_page()
    second.expected = [UNAUTHORISED]
    second.page.goto(link)
    second.page.get_by_text("was used before").wait_for()
    assert second.page.inner_text("main code") == "headworks principal claim NAME"
    assert second.page.context.cookies() == []

    first.goto(link)
    first.get_by_role("heading", name="Sign in anew?").wait_for()
    bars = [page.locator("header.bar").bounding_box() for page in (second.page, first)]
    first.click("header .brand")
    first.wait_for_selector("#desk:visible")
    assert bars == [first.locator("header.bar").bounding_box()] * 2, "the bar of every page"


def test_signing_out_leaves_nothing_behind(open_page: OpenPage, tenant: Tenant) -> None:
    watched = open_page()
    watched.expected = [UNAUTHORISED]
    page = watched.page
    page.goto(tenant.claim())
    page.wait_for_selector("#desk:visible")
    ask(page, LEAVE)
    page.click("#answer .cite >> nth=0")
    assert marked(page) == SHOWN
    page.click("#sign-out")
    page.wait_for_selector("#signed-out:visible")
    assert page.request.get(f"{tenant.url}/api/me").status == 401
    page.go_back()
    page.wait_for_load_state()
    assert "16 weeks" not in page.content()


def test_a_session_that_ended_elsewhere_shuts_the_page(open_page: OpenPage, tenant: Tenant) -> None:
    watched = open_page()
    watched.expected = [UNAUTHORISED]
    page = watched.page
    page.goto(tenant.claim())
    page.wait_for_selector("#desk:visible")
    ask(page, LEAVE)
    page.wait_for_selector("#stages:not([hidden])", state="attached")  # till then the page asks for it by itself
    page.context.clear_cookies()
    page.fill("#question", "And holidays?")
    page.press("#question", "Enter")
    page.wait_for_selector("#signed-out:visible")
    assert not any(word in page.content() for word in ("16 weeks", "assistant", "holidays"))


# ── Asking ──


def test_an_answer_streams_in_and_its_citation_opens_the_quote(desk: Watched) -> None:
    page = desk.page
    ask(page, LEAVE)
    assert page.inner_text("#asked") == LEAVE
    assert page.inner_text("#answer h3") == "Closest passages"
    assert "no language model" in page.inner_text("#answer")
    assert SHOWN in page.inner_text("#answer")
    assert page.locator("#citations .title").first.inner_text() == "Leave 🌴 policy"
    assert "checked word for word" in page.inner_text("#summary")

    page.click("#answer .cite >> nth=0")
    assert marked(page) == SHOWN
    assert page.inner_text("#document-title") == "Leave 🌴 policy"
    assert page.inner_text("#document-section") == "1. Parental leave"
    assert "leave.md" in page.inner_text("#document-place")
    assert is_in_view(page, "#document-text mark")
    assert page.locator("#answer .cite[aria-current]").count() == 1


def test_a_source_opens_it_too_and_the_address_can_be_passed_on(desk: Watched, tenant: Tenant) -> None:
    page = desk.page
    ask(page, LEAVE)
    page.click("#citations .quoted >> nth=0")
    assert marked(page) == SHOWN
    page.click("#document-place a")
    page.wait_for_url(f"{tenant.url}/documents/**")
    assert page.url == tenant.place("leave.md", QUOTE)
    assert marked(page) == SHOWN
    assert page.locator("#exchange").is_hidden(), "a page of its own"


def test_what_of_an_answer_its_sources_do_not_say_is_listed(desk: Watched) -> None:
    page = desk.page
    ask(page, "doubtful: holidays and parental leave", "doubted")
    assert "of 3 statements cited" in page.inner_text("#grounding p")
    assert page.locator("#grounding li").first.is_hidden()
    page.click("#grounding summary")
    doubts = page.locator("#grounding li").all_inner_texts()
    assert any("Parental leave lasts 20 weeks 🌴." in each and "not in its source: 20 weeks" in each for each in doubts)
    assert any("Cats are welcome." in each and "not found in what was read" in each for each in doubts)
    ask(page, LEAVE)
    assert page.locator("#grounding li").count() == 0


def test_an_answer_can_be_stopped(desk: Watched) -> None:
    page = desk.page
    page.select_option("#feature", "scripted")
    page.fill("#question", "Count slowly")
    page.press("#question", "Enter")
    page.get_by_text("one two", exact=False).wait_for()
    page.get_by_role("button", name="Stop").click()
    page.wait_for_selector("#exchange:not([aria-busy])")
    assert "Stopped by you" in page.inner_text("#summary")
    assert "ten" not in page.inner_text("#answer")
    assert page.locator("#problem").is_hidden()
    assert page.inner_text("#send") == "Ask"


def test_an_answer_that_breaks_off_is_never_shown_as_whole(desk: Watched) -> None:
    ask(desk.page, "break", "scripted")
    assert desk.page.inner_text("#answer").startswith("The")
    assert desk.page.locator("#problem").is_visible()
    assert desk.page.inner_text("#summary") == ""


def test_a_stream_without_its_end_is_said_so(desk: Watched) -> None:
    chunk = json.dumps({"choices": [{"delta": {"content": "Half of"}}]})
    desk.page.route(
        "**/api/ask", lambda route: route.fulfill(body=f"data: {chunk}\n\n", content_type="text/event-stream")
    )
    ask(desk.page, LEAVE)
    assert desk.page.inner_text("#answer") == "Half of"
    assert "broke off before its end" in desk.page.inner_text("#problem")


def test_markup_of_an_answer_is_shown_and_html_is_text(desk: Watched) -> None:
    ask(desk.page, "markup", "scripted")
    answer = desk.page.locator("#answer")
    assert answer.locator("h4").inner_text() == "Two points"
    assert answer.locator("li").all_inner_texts() == ["1. bold and code", "2. <i>no</i> 🙂"]
    assert (answer.locator("strong").inner_text(), answer.locator("code").inner_text()) == ("bold", "code")
    assert answer.locator("th").all_inner_texts() == ["a", "b"]
    assert answer.locator("td").all_inner_texts() == ["1", "2"]
    assert answer.locator("i").count() == 0
    assert "No citation" in desk.page.inner_text("#summary")


def test_a_blocked_question_says_by_which_rule(desk: Watched) -> None:
    desk.expected = [REFUSED]
    ask(desk.page, "My card is 4111 1111 1111 1111, how long is parental leave?")
    assert "card" in desk.page.inner_text("#problem").lower()
    assert "4111" not in desk.page.inner_text("#problem")


def test_an_unknown_feature_gets_the_servers_own_words(desk: Watched) -> None:
    def misspell(route: Route) -> None:
        body = json.loads(route.request.post_data or "{}") | {"model": "asistant"}
        route.continue_(post_data=json.dumps(body))

    desk.expected = [REFUSED]
    desk.page.route("**/api/ask", misspell)
    ask(desk.page, LEAVE)
    assert "asistant" in desk.page.inner_text("#problem")
    assert "assistant" in desk.page.inner_text("#problem"), "near names are listed"


def test_a_server_that_is_away_is_said_so_and_can_be_asked_again(desk: Watched) -> None:
    desk.expected = ["ERR_INTERNET_DISCONNECTED"]
    desk.page.context.set_offline(True)
    ask(desk.page, LEAVE)
    assert "can't be reached" in desk.page.inner_text("#problem")
    desk.page.context.set_offline(False)
    ask(desk.page, LEAVE)
    assert desk.page.locator("#problem").is_hidden()
    assert SHOWN in desk.page.inner_text("#answer")


def test_a_server_that_cannot_answer_at_the_start_offers_to_try_again(
    open_page: OpenPage, tenant: Tenant, signed_in: Any
) -> None:
    watched = open_page(signed_in)
    watched.expected = ["status of 503"]
    page = watched.page
    error = {"message": "The database is away.", "type": "api_error", "param": None, "code": "unavailable"}
    page.route("**/api/features", lambda route: route.fulfill(status=503, json={"error": error}))
    page.goto(tenant.url)
    page.get_by_text("The database is away.").wait_for()
    assert page.locator("#signed-out").is_hidden()
    page.unroute("**/api/features")
    page.get_by_role("button", name="Try again").click()
    page.wait_for_selector("#desk:visible")


def test_without_a_feature_it_says_what_to_do_first(open_page: OpenPage, make_tenant: MakeTenant) -> None:
    page = open_page().page
    page.goto(make_tenant().claim())
    page.wait_for_selector("#desk:visible")
    assert "headworks apply" in page.inner_text("#welcome")
    assert page.locator("#send").is_disabled()


def test_a_member_without_any_role_can_ask_and_make_a_key(open_page: OpenPage, tenant: Tenant) -> None:
    tenant.must("POST", "/api/principals", {"name": "mira"})
    page = open_page().page
    page.goto(str(tenant.must("POST", "/api/principals/mira/claim")["claim_url"]))
    page.wait_for_selector("#desk:visible")
    ask(page, LEAVE)
    assert SHOWN in page.inner_text("#answer")
    page.get_by_role("tab", name="Request").click()
    page.wait_for_selector(".stage")
    page.get_by_role("tab", name="Code").click()
    page.get_by_role("button", name="Make a key").click()
    page.wait_for_selector("#key-made:visible")


def test_the_first_look_says_what_is_asked_and_what_is_read(desk: Watched) -> None:
    welcome = desk.page.inner_text("#welcome")
    assert "builtin/extractive" in welcome
    assert "docs, 5 documents that you may read: The house rules." in welcome
    assert desk.page.evaluate("document.activeElement.id") == "question"
    assert re.fullmatch("release [0-9a-f]{12}", desk.page.inner_text("#release"))


# ── Documents ──


@pytest.mark.parametrize(
    ("path", "quote", "shown"),
    [
        ("leave.md", QUOTE, SHOWN),
        ("leave.md", "## 2. Holidays", "2. Holidays"),
        ("leave.md", "| more than 5 | 30 |\n| founders | |\n\n- (a) Holidays", "more than 530founders(a) Holidays"),
        ("leave.md", "form 12-B", "form 12-B"),
        ("notes.txt", "book.\n    The", "book. The"),
        ("archive.md", "shelf 4321 holds 30247 boxes. 📦", "shelf 4321 holds 30247 boxes. 📦"),
    ],
    ids=["sentence with markup", "heading", "from table to list", "code", "plain text", "after thousands of emoji"],
)
def test_exactly_the_quote_is_marked(
    open_page: OpenPage, tenant: Tenant, signed_in: Any, path: str, quote: str, shown: str
) -> None:
    page = open_page(signed_in).page
    page.goto(tenant.place(path, quote))
    assert marked(page) == shown
    assert "" not in page.locator("#document-text mark").all_text_contents()
    assert is_in_view(page, "#document-text mark")


def test_a_document_is_shown_as_what_it_is(open_page: OpenPage, tenant: Tenant, signed_in: Any) -> None:
    page = open_page(signed_in).page
    page.goto(tenant.place("leave.md", QUOTE))
    text = page.locator("#document-text")
    assert marked(page) == SHOWN
    assert text.locator("h3, h4").all_inner_texts() == ["Leave 🌴 policy", "1. Parental leave", "2. Holidays"]
    assert text.locator("th").all_inner_texts() == ["Years of service", "Days of holiday"]
    assert text.locator("tr").count() == 4
    assert text.locator("li").count() == 2
    assert text.locator("pre").inner_text() == "form 12-B"
    assert page.title() == "Headworks"


def test_html_in_a_document_is_text(desk: Watched) -> None:
    page = desk.page
    ask(page, "Which colour does the warning label have?")
    page.click("#answer .cite >> nth=0")
    assert '<script>document.title = "broken in"</script>purple<img src=x onerror=' in marked(page)
    assert page.locator("#document-text script, #document-text img, #document-text a, #answer img").count() == 0
    assert "<b>not</b> green. Read this." in page.inner_text("#document-text")
    assert page.title() == "Headworks"


def test_a_long_document_opens_around_its_quote(open_page: OpenPage, tenant: Tenant, signed_in: Any) -> None:
    page = open_page(signed_in).page
    page.goto(tenant.place("archive.md", "shelf 3000 holds 21000 boxes."))
    assert marked(page) == "shelf 3000 holds 21000 boxes."
    count = page.locator("#document-text p").count()
    assert 100 < count < 4000
    page.get_by_role("button", name="Show what comes before").click()
    assert page.locator("#document-text p").count() > count
    assert marked(page) == "shelf 3000 holds 21000 boxes."


def test_another_place_in_the_address_opens_it(open_page: OpenPage, tenant: Tenant, signed_in: Any) -> None:
    page = open_page(signed_in).page
    page.goto(tenant.place("leave.md", QUOTE))
    assert marked(page) == SHOWN
    page.goto(tenant.place("leave.md", "kept until March"))
    page.get_by_text("kept until March", exact=True).wait_for()
    assert marked(page) == "kept until March"


@pytest.mark.parametrize("address", ["/documents/none", "/documents/00000000-0000-7000-8000-000000000000#char=1,2"])
def test_a_document_that_is_not_there_reads_like_one_that_may_not_be_read(
    open_page: OpenPage, tenant: Tenant, signed_in: Any, address: str
) -> None:
    watched = open_page(signed_in)
    watched.expected = [REFUSED]
    watched.page.goto(tenant.url + address)
    watched.page.get_by_role("heading", name="This document can't be shown").wait_for()
    assert "There is no such document, or you may not read it." in watched.page.inner_text("#document-place")


@pytest.mark.parametrize("place", ["9999999,99999999", "40,3", "0,0", "nonsense"])
def test_a_place_that_is_none_still_shows_the_document(
    open_page: OpenPage, tenant: Tenant, signed_in: Any, place: str
) -> None:
    page = open_page(signed_in).page
    page.goto(f"{tenant.url}/documents/{tenant.documents['leave.md']}#char={place}")
    page.get_by_role("heading", name="2. Holidays").wait_for()


# ── The request ──


def test_the_waterfall_shows_every_stage_and_what_it_noted(desk: Watched) -> None:
    page = desk.page
    ask(page, LEAVE)
    page.get_by_role("tab", name="Request").click()
    page.wait_for_selector(".stage")
    names = page.locator(".stage .name").all_inner_texts()
    assert {"request", "retrieve", "render", "attempt", "cite"} <= set(names)
    facts = page.inner_text("#facts")
    assert "builtin/extractive" in facts
    assert "sha256:" in facts
    assert re.search(r"Status\s+200", facts)
    widths = page.eval_on_selector_all(".stage rect", "all => all.map((each) => Number(each.getAttribute('width')))")
    assert max(widths) == 1000
    assert min(widths) > 0

    page.locator(".stage", has=page.get_by_text("retrieve", exact=True)).locator("summary").click()
    page.get_by_role("button", name=re.compile(r"^\[1\] characters")).first.click()
    assert "Parental leave" in marked(page), "a passage can be opened where it stands"


def test_the_record_of_a_refused_question_is_shown_too(desk: Watched) -> None:
    desk.expected = [REFUSED]
    ask(desk.page, "My card is 4111 1111 1111 1111.")
    desk.page.get_by_role("tab", name="Request").click()
    desk.page.get_by_text("422, guardrail_blocked").wait_for()


# ── Code and keys ──


def test_a_key_is_shown_once_and_the_lines_beside_it_run(desk: Watched, tenant: Tenant) -> None:
    page = desk.page
    ask(page, LEAVE)
    page.get_by_role("tab", name="Code").click()
    assert "hw_…" in page.inner_text("#code-python")
    page.get_by_role("button", name="Make a key").click()
    page.wait_for_selector("#key-made:visible")
    key = page.inner_text("#key")
    assert key.startswith("hw_")
    python, curl = page.inner_text("#code-python"), page.inner_text("#code-curl")
    assert key in python
    assert key in curl

    done = subprocess.run([sys.executable, "-c", python], capture_output=True, text=True, env=CLEAN, check=False)
    assert "16 weeks" in done.stdout, done.stderr
    assert f"{tenant.url}/documents/" in done.stdout
    if shutil.which("curl"):
        done = subprocess.run(["sh", "-c", curl], capture_output=True, text=True, env=CLEAN, check=False)
        assert "16 weeks" in json.loads(done.stdout)["choices"][0]["message"]["content"]

    page.reload()
    page.wait_for_selector("#desk:visible")
    assert key not in page.content()
    (made,) = [each for each in tenant.must("GET", "/api/keys")["rows"] if key.startswith(each["prefix"])]
    assert set(made["permissions"]) == {"feature:call", "model:call", "collection:read", "trace:own"}
    assert made["expires_at"] is not None


def test_a_question_with_quotes_makes_lines_that_still_run(desk: Watched) -> None:
    page = desk.page
    question = "It's \"markup\" \\ $HOME `id` 🙂 that's asked"
    ask(page, question, "scripted")
    page.get_by_role("tab", name="Code").click()
    page.get_by_role("button", name="Make a key").click()
    page.wait_for_selector("#key-made:visible")
    python, curl = page.inner_text("#code-python"), page.inner_text("#code-curl")
    done = subprocess.run([sys.executable, "-c", python], capture_output=True, text=True, env=CLEAN, check=False)
    assert "Two points" in done.stdout, done.stderr
    sent = subprocess.run(
        ["sh", "-c", curl.replace("curl http", "printf '%s\\n' http", 1)],
        capture_output=True, text=True, env=CLEAN, check=True,
    ).stdout  # fmt: skip
    assert json.loads(sent.splitlines()[-1])["messages"][0]["content"] == question


def test_a_key_that_may_not_be_made_says_why(desk: Watched) -> None:
    desk.expected = ["status of 403"]
    error = {"message": "This session lacks `key:own`.", "type": "permission_error", "param": None, "code": "no"}
    desk.page.route("**/api/keys", lambda route: route.fulfill(status=403, json={"error": error}))
    desk.page.get_by_role("tab", name="Code").click()
    desk.page.get_by_role("button", name="Make a key").click()
    desk.page.wait_for_selector("#key-problem:visible")
    assert desk.page.inner_text("#key-problem") == "This session lacks key:own."
    assert desk.page.locator("#make-key").is_enabled()


# ── Hands and eyes ──


def test_everything_can_be_reached_by_keyboard(desk: Watched) -> None:
    page = desk.page
    page.keyboard.type("How long does parental")
    page.keyboard.press("Shift+Enter")
    page.keyboard.type("leave last?")
    assert page.input_value("#question") == "How long does parental\nleave last?"
    page.keyboard.press("Enter")
    page.wait_for_selector("#citations li")
    page.wait_for_selector("#exchange:not([aria-busy])")
    for _ in range(3):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.className") == "cite":
            break
    page.keyboard.press("Enter")
    assert marked(page) == SHOWN
    assert "Opened Leave" in page.inner_text("#said")

    page.focus("#tab-document")
    page.keyboard.press("ArrowRight")
    assert page.evaluate("document.activeElement.id") == "tab-request"
    assert page.locator("#pane-request").is_visible()
    page.keyboard.press("End")
    assert page.locator("#pane-code").is_visible()
    page.keyboard.press("ArrowRight")
    assert page.locator("#pane-document").is_visible()


@pytest.mark.parametrize("width", [360, 768, 1400])
def test_nothing_is_wider_than_the_page(open_page: OpenPage, tenant: Tenant, signed_in: Any, width: int) -> None:
    page = open_page(signed_in, viewport={"width": width, "height": 800}).page
    page.goto(tenant.url)
    page.wait_for_selector("#desk:visible")
    ask(page, LEAVE)
    page.click("#answer .cite >> nth=0")
    assert marked(page) == SHOWN
    for tab in ("Document", "Request", "Code"):
        page.get_by_role("tab", name=tab).click()
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), tab


def test_on_a_narrow_page_the_quote_comes_into_view_and_one_finds_back(
    open_page: OpenPage, tenant: Tenant, signed_in: Any
) -> None:
    page = open_page(signed_in, viewport={"width": 420, "height": 800}).page
    page.goto(tenant.url)
    page.wait_for_selector("#desk:visible")
    ask(page, LEAVE)
    page.click("#answer .cite >> nth=0")
    assert marked(page) == SHOWN
    assert is_in_view(page, "#document-text mark")
    page.get_by_role("button", name="Back to the answer").click()
    page.wait_for_function("document.querySelector('#asked').getBoundingClientRect().top >= 0")


def test_every_control_has_a_name(desk: Watched) -> None:
    page = desk.page
    ask(page, LEAVE)
    page.click("#answer .cite >> nth=0")
    assert marked(page) == SHOWN
    assert page.get_by_role("button", name=re.compile(r"^Citation 1: Leave")).count() >= 1
    nameless = page.eval_on_selector_all(
        "button, select, textarea, a",
        "all => all.filter((each) => !(each.ariaLabel || each.textContent.trim() || each.labels?.length)).length",
    )
    assert nameless == 0

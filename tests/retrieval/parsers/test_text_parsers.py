"""Markdown, plain text, HTML and tables: what is kept, what is not, and where the headings are."""

from __future__ import annotations

import codecs

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headworks.errors import DocumentUnreadable
from headworks.retrieval.parsers import html, markdown, plain, tables
from headworks.retrieval.parsers.building import TextBuilder
from headworks.retrieval.parsers.characters import decoded
from headworks.retrieval.parsers.contract import ParsedDocument, Parser


def headings(document: ParsedDocument) -> list[tuple[int, str]]:
    for each in document.headings:
        assert each.text.split()[0].strip("*`#") in document.text[each.start : each.end] or not each.text.isascii()
        assert "\n" not in document.text[each.start : each.end] or document.media_type == "text/markdown"
    assert list(document.headings) == sorted(document.headings, key=lambda each: each.start)
    return [(each.level, each.text) for each in document.headings]


def read(parse: Parser, name: str, data: bytes) -> ParsedDocument | str:
    """The document, or the code of the refusal."""
    try:
        return parse(name, data)
    except DocumentUnreadable as error:
        return error.code


# ── Encodings ──


@pytest.mark.parametrize(
    "data",
    [
        "naïve café – ok".encode(),
        codecs.BOM_UTF8 + "naïve café – ok".encode(),
        codecs.BOM_UTF16_LE + "naïve café – ok".encode("utf-16-le"),
        codecs.BOM_UTF16_BE + "naïve café – ok".encode("utf-16-be"),
        codecs.BOM_UTF32_LE + "naïve café – ok".encode("utf-32-le"),
        "naïve café – ok".encode("cp1252"),
        ("naïve café ok, in Latin text" * 4).encode("utf-16-le"),
        ("naïve café ok, in Latin text" * 4).encode("utf-16-be"),
    ],
    ids=["utf-8", "utf-8 marked", "utf-16 le", "utf-16 be", "utf-32", "windows", "utf-16 le bare", "utf-16 be bare"],
)
def test_the_usual_encodings_are_recognised(data: bytes) -> None:
    assert decoded(data).startswith("naïve café")


JAPANESE = "契約は、いずれかの当事者が三か月前に通知した場合に終了します。支払期限は請求書の日付から三十日以内です。\n"
RUSSIAN = "Договор прекращается, если одна из сторон уведомляет об этом за три месяца. Срок оплаты — тридцать дней.\n"


@pytest.mark.parametrize(
    ("text", "encoding"),
    [
        (JAPANESE, "shift_jis"),
        (JAPANESE, "euc_jp"),
        ("任何一方提前三个月通知时，合同终止。付款期限为发票日期后三十天内。", "gb18030"),
        ("任何一方提前三個月通知時，合約終止。付款期限為發票日期後三十天內。", "big5"),
        ("계약은 어느 한 당사자가 3개월 전에 통지하면 종료됩니다. 지급 기한은 30일 이내입니다.", "euc_kr"),
        (RUSSIAN, "cp1251"),
        (RUSSIAN.replace("—", "-"), "koi8_r"),
        ("Η σύμβαση λήγει όταν ένα από τα μέρη ειδοποιήσει τρεις μήνες νωρίτερα.", "cp1253"),
        ("החוזה מסתיים כאשר אחד הצדדים מודיע שלושה חודשים מראש. מועד התשלום הוא שלושים יום.", "cp1255"),
        ("ينتهي العقد عندما يخطر أحد الطرفين قبل ثلاثة أشهر. موعد الدفع ثلاثون يوما.", "cp1256"),
        (JAPANESE * 3000, "shift_jis"),
        ("Größe: 5 µm, Überdruck 3 §", "cp1252"),
        ("été, où, çà et là: œuvre – «déjà»", "cp1252"),
        ("Prämienübersicht für das Jahr\nBeitrag Januar" + "\xa0" * 20 + "10,50 €\n", "cp1252"),
        ("§" * 12 + " Größe und Änderung der Prämie " + "§" * 12, "cp1252"),
        ("Coût" + "·" * 40 + "1er février\n", "cp1252"),
    ],
)
def test_texts_from_before_unicode_are_read_in_the_encoding_that_their_letters_fit(text: str, encoding: str) -> None:
    assert decoded(text.encode(encoding)) == text


def test_utf_8_with_a_stray_byte_stays_utf_8() -> None:
    assert decoded(RUSSIAN.encode() + b"caf\xe9") == RUSSIAN + "café"


@pytest.mark.parametrize("data", [b"a\0b\0\0c", bytes(range(256)) * 4, b"\x7fELF\x02\x01\x01\0\0\0\0"])
def test_what_is_no_text_is_refused(data: bytes) -> None:
    with pytest.raises(DocumentUnreadable, match="not text") as refused:
        decoded(data)
    assert refused.value.code == "corrupt"


@pytest.mark.parametrize(("data", "message"), [(b"", "no bytes"), (b" \n\t", "no text")])
def test_an_empty_file_says_so(data: bytes, message: str) -> None:
    with pytest.raises(DocumentUnreadable, match=message) as refused:
        plain.parse("a.txt", data)
    assert refused.value.code == "empty"


def test_line_ends_become_line_feeds() -> None:
    assert decoded(b"a\r\nb\rc\n") == "a\nb\nc\n"


@given(st.binary(max_size=300))
def test_any_bytes_are_text_that_can_be_stored_or_refused(data: bytes) -> None:
    for parse in (plain.parse, markdown.parse, html.parse, tables.parse):
        document = read(parse, "x.csv", data)
        if isinstance(document, str):
            assert document in {"corrupt", "empty"}
        else:
            document.text.encode("utf-8")
            assert "\0" not in document.text
            assert "\r" not in document.text


# ── Markdown ──


def test_markdown_is_kept_as_it_stands() -> None:
    text = "# A *b*\n\ntext **bold** [link](http://x)\n"
    assert markdown.parse("a.md", text.encode()).text == text


def test_markdown_headings_are_found_outside_code_and_comments() -> None:
    text = """---
title: "From the front"
# not: a heading
---
# One `code` #

```
# not this
```
~~~~
```
# nor this
~~~~
<!--
# nor this
-->
    # nor this

Two words
=========

## [Three](http://x) &amp; *four* {#id}
para
still para
---
- item
---

### a \\# b
####
#none
"""
    document = markdown.parse("a.md", text.encode())
    assert headings(document) == [(1, "One code"), (1, "Two words"), (2, "Three & four"), (3, "a # b")]
    assert document.title == "From the front"


def test_the_title_of_markdown_is_its_outermost_heading() -> None:
    assert markdown.parse("folder/my_file.md", b"## Two\n\n# One\n").title == "One"
    assert markdown.parse("folder/my_file.md", b"text").title == "my file"


@given(st.text(alphabet="#=-`~ a\n<!>*", max_size=120))
def test_markdown_headings_are_slices_in_order(text: str) -> None:
    at = 0
    for heading in markdown.headings_of(text):
        assert at <= heading.start < heading.end <= len(text)
        assert heading.text
        at = heading.end


# ── Plain text ──


def test_underlined_numbered_and_capital_lines_are_headings_of_plain_text() -> None:
    text = "Guide\n=====\n\nIntro text.\n\nPart\n----\n\n1. Scope\n\nText.\n\n"
    text += "2.1 Limits\n\nText.\n\nEMERGENCY CARE\n\nEnd."
    document = plain.parse("a.txt", text.encode())
    numbered = [(1, "1. Scope"), (2, "2.1 Limits")]
    assert headings(document) == [(1, "Guide"), (2, "Part"), *numbered, (1, "EMERGENCY CARE")]
    assert document.title == "Guide"


def test_a_numbered_list_is_no_row_of_headings() -> None:
    text = "Steps:\n\n1. Open the door\n\n2. Close the door\n\n3. Go home\n\nDone."
    assert headings(plain.parse("a.txt", text.encode())) == []


def test_source_and_data_files_have_no_headings() -> None:
    document = plain.parse_verbatim("a.yaml", b"KEY\n===\n\nVALUE")
    assert headings(document) == []


# ── HTML ──

PAGE = """<!DOCTYPE html><html><head><title>Visits &amp; meals</title><style>p {}</style></head><body>
<nav><ul><li>Menu</li></ul></nav>
<h1>Plan <em>one</em></h1><p>Age &lt; 18 &amp; BMI &gt; 30
is wrapped.<p>Second<br>line
<ul><li>first<li>second<ul><li>inner</ul></ul><ol><li>one<li>two</ol>
<table><caption>Codes</caption><tr><th>Code<th>Visits<tr><td>97110<td>2 | 3</table>
<h2>More</h2><pre>a = 1
  b</pre><div hidden>no</div><p style="display:none">no<p aria-hidden=true>no</p>
<script>document.write("<p>no</p>")</script><noscript>no</noscript><button>no</button>
<img alt="A chart" src=x> tail</body></html>"""


def test_html_shows_what_a_reader_sees() -> None:
    document = html.parse("a.html", PAGE.encode())
    assert document.title == "Visits & meals"
    assert headings(document) == [(1, "Plan one"), (2, "More")]
    assert document.text.split("\n\n") == [
        "Plan one",
        "Age < 18 & BMI > 30 is wrapped.",
        "Second\nline",
        "- first\n- second\n- inner\n1. one\n2. two",
        "Codes",
        "| Code | Visits |\n| --- | --- |\n| 97110 | 2 \\| 3 |",
        "More",
        "a = 1\n  b",
        "A chart tail",
    ]


def test_a_menu_that_is_never_closed_does_not_swallow_the_page() -> None:
    assert "rest" in html.parse("a.html", b"<p>start<nav>menu<p>rest of the page").text


SENTENCE = "A member who is away for more than thirty days asks the plan first. "
MENU = "".join(
    f'<li><a href="/{name}">{name.title()}</a>' for name in ("plans", "claims", "visits", "drugs", "forms", "us")
)


def said_on(page: str) -> str:
    return html.parse("a.html", page.encode()).text


@pytest.mark.parametrize(
    "page",
    [
        f"<header><h1>Away</h1>Call us</header><main><p>{SENTENCE * 2}</main><aside>Related</aside>",
        f"<h1>Away</h1><div role=navigation>Home</div><div role=main>{SENTENCE * 2}</div><div>Call us</div>",
        f"<div class=side><ul>{MENU}</ul></div><h1>Away</h1><p>{SENTENCE * 2}<p>{MENU.replace('<li>', ' ')}",
        f"<h1>Away<a href='#away'>¶</a></h1><table><tr><td>{MENU.replace('<li>', '<td>')}</table><p>{SENTENCE * 2}",
    ],
    ids=["main", "roles", "menus", "table"],
)
def test_what_stands_around_a_page_is_left_out(page: str) -> None:
    assert said_on(page).split("\n\n") == ["Away", (SENTENCE * 2).strip()]
    assert [each.text for each in html.parse("a.html", page.encode()).headings] == ["Away"]


@pytest.mark.parametrize(
    ("page", "kept"),
    [
        (f"<main>x</main><p>{SENTENCE * 2}", "A member"),
        (f"<p>All forms of the plan<ul>{MENU}</ul>", "- Plans\n- Claims"),
        (f"<p>{SENTENCE * 3}<ul>{MENU.replace('</a>', '</a>, for members and their families')}</ul>", "- Plans, for"),
        (f"<p>{SENTENCE} <a href=/a>one</a><a href=/b>two</a>", "onetwo"),
        (f"<div role=banner>Never closed<p>{SENTENCE}", "A member"),
        ("<h2>C#</h2><p>A language.", "C#"),
    ],
    ids=["empty main", "a page of links", "links that are described", "links in a text", "unclosed", "no permalink"],
)
def test_what_may_be_all_that_a_page_says_is_kept(page: str, kept: str) -> None:
    assert kept in said_on(page)


def test_the_declared_encoding_counts() -> None:
    page = '<meta charset="iso-8859-2"><p>łódź</p>'.encode("iso-8859-2")
    assert html.parse("a.html", page).text == "łódź"


def test_a_page_without_text_is_empty() -> None:
    with pytest.raises(DocumentUnreadable) as refused:
        html.parse("a.html", b"<html><script>var a = 1</script></html>")
    assert refused.value.code == "empty"


@pytest.mark.timeout(30)
def test_deeply_nested_html_is_read() -> None:
    assert "deep" in html.parse("a.html", b"<div>" * 50_000 + b"deep").text


@given(st.text(alphabet="<>/pdivtableritdhn aX&;=\"'!-", max_size=150))
def test_any_markup_is_read_or_empty(markup: str) -> None:
    document = read(html.parse, "a.html", b"x" + markup.encode())
    assert document == "empty" or (isinstance(document, ParsedDocument) and headings(document) is not None)


# ── Building ──


def test_pages_begin_where_their_first_block_does() -> None:
    builder = TextBuilder()
    builder.page()
    builder.block("one")
    builder.page()
    builder.page()
    builder.heading(1, "two")
    builder.block("  \n")
    builder.page()
    document = builder.finish("a.pdf", "application/pdf")
    assert document.text == "one\n\ntwo"
    assert document.pages == (0, 5, 5, 7)
    assert document.text[document.headings[0].start : document.headings[0].end] == "two"


@given(st.lists(st.tuples(st.sampled_from(["block", "heading", "page"]), st.text(max_size=12)), max_size=20))
def test_headings_of_a_built_document_are_exact(steps: list[tuple[str, str]]) -> None:
    builder = TextBuilder()
    builder.block("start")
    for kind, text in steps:
        if kind == "block":
            builder.block(text)
        elif kind == "heading":
            builder.heading(2, text)
        else:
            builder.page()
    document = builder.finish("a", "text/plain")
    assert [document.text[each.start : each.end] for each in document.headings] == [
        each.text for each in document.headings
    ]
    assert list(document.pages) == sorted(document.pages)
    document.text.encode("utf-8")

"""DOCX, PDF, slides, books and archives: real files, and ones made to break or to explode."""

from __future__ import annotations

import io
import os
import struct
import zipfile
import zlib
from pathlib import Path
from typing import Any

import pytest
import sample_documents as samples
from hypothesis import given, settings
from hypothesis import strategies as st

from headworks.errors import DocumentUnreadable
from headworks.retrieval.parsers import catalog, epub
from headworks.retrieval.parsers.archives import ArchiveLimits, open_archive
from headworks.retrieval.parsers.contract import FAILURE_CODES, ParsedDocument
from headworks.retrieval.parsers.office import docx, pptx
from headworks.retrieval.parsers.office.numbering import formatted
from headworks.retrieval.parsers.pdf import document as pdf

DATA = Path(os.environ.get("HEADWORKS_TEST_DATA", "../shared/data")) / "documents"


def headings(document: ParsedDocument) -> list[tuple[int, str]]:
    assert [document.text[each.start : each.end] for each in document.headings] == [e.text for e in document.headings]
    return [(each.level, each.text) for each in document.headings]


def code_of(name: str, data: bytes) -> str:
    with pytest.raises(DocumentUnreadable) as refused:
        catalog.parse(name, data)
    assert refused.value.code in FAILURE_CODES
    assert str(refused.value)
    return refused.value.code


# ── DOCX ──


def manual(document: Any) -> None:
    document.core_properties.title = "Plan manual"
    document.add_heading("Manual of the plan", 0)
    document.add_paragraph("Age < 18 & BMI > 30.")
    document.add_heading("Coverage", 1)
    document.add_paragraph("first", style="List Bullet")
    document.add_paragraph("second", style="List Bullet")
    document.add_heading("Codes", 2)
    table = document.add_table(2, 2)
    for cell, text in zip(
        (c for row in table.rows for c in row.cells), ["Code", "Visits", "1 < 2", "a|b"], strict=True
    ):
        cell.text = text
    paragraph = document.add_paragraph("A ")
    paragraph.add_run("bold").bold = True
    paragraph.add_run("\tand\nbroken line.")
    hidden = paragraph.add_run("hidden instruction")
    hidden.font.hidden = True
    document.sections[0].header.paragraphs[0].text = "RUNNING HEADER"


def test_a_word_document_keeps_every_character_and_its_structure() -> None:
    document = docx.parse("a.docx", samples.word_document(manual))
    assert document.title == "Plan manual"
    assert headings(document) == [(1, "Manual of the plan"), (2, "Coverage"), (3, "Codes")]
    assert document.text.split("\n\n") == [
        "Manual of the plan",
        "Age < 18 & BMI > 30.",
        "Coverage",
        "- first\n- second",
        "Codes",
        "| Code | Visits |\n| --- | --- |\n| 1 < 2 | a\\|b |",
        "A bold\tand\nbroken line.",
    ]


def test_numbers_that_word_computes_are_shown() -> None:
    level = '<w:lvl w:ilvl="{0}"><w:start w:val="1"/><w:numFmt w:val="{1}"/><w:lvlText w:val="{2}"/></w:lvl>'
    levels = level.format(0, "decimal", "%1.") + level.format(1, "lowerLetter", "%1.%2)")
    numbering = (
        f'<w:abstractNum w:abstractNumId="0">{levels}</w:abstractNum>'
        '<w:num w:numId="7"><w:abstractNumId w:val="0"/></w:num>'
    )
    item = (
        '<w:p><w:pPr><w:numPr><w:ilvl w:val="{0}"/><w:numId w:val="7"/></w:numPr></w:pPr>'
        "<w:r><w:t>{1}</w:t></w:r></w:p>"
    )
    body = "".join(item.format(*each) for each in [(0, "one"), (1, "sub"), (1, "sub"), (0, "two"), (1, "again")])
    document = docx.parse("a.docx", samples.raw_docx(body, numbering=numbering))
    assert document.text.split("\n") == ["1. one", "1.a) sub", "1.b) sub", "2. two", "2.a) again"]


@pytest.mark.parametrize(
    ("count", "form", "expected"),
    [
        (4, "lowerRoman", "iv"),
        (1990, "upperRoman", "MCMXC"),
        (28, "lowerLetter", "bb"),
        (3, "upperLetter", "C"),
        (7, "decimalZero", "07"),
        (9, "decimal", "9"),
        (2, "chicago", "2"),
    ],
)
def test_counts_have_words_forms(count: int, form: str, expected: str) -> None:
    assert formatted(count, form) == expected


def test_deleted_text_fields_and_doubles_are_left_out_and_notes_come_last() -> None:
    body = (
        "<w:p><w:r><w:t>kept</w:t></w:r><w:ins><w:r><w:t> added</w:t></w:r></w:ins>"
        "<w:del><w:r><w:delText>gone</w:delText></w:r></w:del><w:r><w:instrText>PAGE</w:instrText></w:r>"
        '<w:r><w:footnoteReference w:id="2"/></w:r></w:p>'
    )
    note = (
        '<w:footnote w:id="0" w:type="separator"/>'
        '<w:footnote w:id="2"><w:p><w:r><w:t>Why.</w:t></w:r></w:p></w:footnote>'
    )
    document = docx.parse("a.docx", samples.raw_docx(body, footnotes=note))
    assert document.text == "kept added (note 1)\n\nNote 1: Why."


def test_typed_numbers_are_headings_where_no_style_marks_any() -> None:
    def fill(document: Any) -> None:
        document.add_paragraph("1. Introduction")
        document.add_paragraph("It begins.")
        document.add_paragraph("2. Scope")
        document.add_paragraph("It ends.")

    assert headings(docx.parse("a.docx", samples.word_document(fill))) == [(1, "1. Introduction"), (1, "2. Scope")]


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (samples.raw_docx("<w:p>"), "corrupt"),
        (samples.zipped({"word/document.xml": "<!DOCTYPE x [<!ENTITY a 'b'>]><x>&a;</x>"}), "corrupt"),
        (samples.raw_docx(""), "empty"),
        (samples.word_document(manual)[:2000], "corrupt"),
        (b"PK\x03\x04" + bytes(range(256)) * 8, "corrupt"),
        (b"no archive", "corrupt"),
        (b"", "empty"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"\0" * 600 + "EncryptedPackage".encode("utf-16-le"), "encrypted"),
    ],
    ids=["xml", "doctype", "empty body", "cut", "garbage", "text", "no bytes", "password"],
)
def test_broken_word_documents_say_what_is_wrong(data: bytes, expected: str) -> None:
    assert code_of("a.docx", data) == expected


@settings(max_examples=60)
@given(st.data())
def test_a_word_document_with_flipped_bytes_is_read_or_refused(data: st.DataObject) -> None:
    broken = bytearray(samples.raw_docx("<w:p><w:r><w:t>Twenty visits</w:t></w:r></w:p>"))
    for place in data.draw(st.lists(st.integers(0, len(broken) - 1), max_size=6)):
        broken[place] = data.draw(st.integers(0, 255))
    try:
        catalog.parse("a.docx", bytes(broken))
    except DocumentUnreadable as error:
        kind = error.code
        assert kind in FAILURE_CODES


# ── Archives ──


def test_a_zip_bomb_is_recognised_without_being_unpacked_into_memory() -> None:
    bomb = samples.zip_bomb_docx(300)
    assert len(bomb) < 1_000_000
    assert code_of("a.docx", bomb) == "bomb"


def refused(data: bytes, **limits: int) -> DocumentUnreadable:
    with pytest.raises(DocumentUnreadable) as error:
        open_archive(data, ArchiveLimits(**limits))
    return error.value


def test_limits_of_archives_are_each_named() -> None:
    many = samples.zipped({f"{number}.xml": "x" for number in range(20)})
    assert "20 entries" in str(refused(many, entries=10))
    assert "more than 1 MB" in str(refused(samples.zipped({"a": os.urandom(2 << 20)}), total_bytes=1 << 20))
    assert "200 times" in str(refused(samples.zipped({"a": b" " * (3 << 20)}), ratio_from_bytes=1 << 20))
    matryoshka = samples.zipped({"a.txt": "x"})
    for _ in range(3):
        matryoshka = samples.zipped({"inner.zip": matryoshka}, store=True)
    assert "within each other" in str(refused(matryoshka, nesting=2))
    assert {error.code for error in (refused(many, entries=10), refused(matryoshka))} == {"bomb"}


def test_an_archive_that_lies_about_sizes_is_refused() -> None:
    honest = samples.zipped({"a.txt": b" " * 100_000})
    central = honest.index(b"PK\x01\x02")
    lying = bytearray(honest)
    struct.pack_into("<I", lying, central + 24, 10)  # the unpacked size in the index
    assert refused(bytes(lying)).code == "corrupt"


def test_entries_that_share_their_bytes_are_refused() -> None:
    packed = zlib.compress(b" " * 1000, wbits=-15)
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a", b" " * 1000)
        archive.writestr("b", b" " * 1000)
    data = bytearray(out.getvalue())
    second = data.rindex(b"PK\x01\x02")
    struct.pack_into("<I", data, second + 42, 0)  # where the second entry begins: where the first does
    assert packed
    assert "overlap" in str(refused(bytes(data)))


def test_an_archive_with_a_password_is_encrypted() -> None:
    data = bytearray(samples.zipped({"word/document.xml": "x"}))
    for mark, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        data[data.index(mark) + offset] |= 1
    assert refused(bytes(data)).code == "encrypted"


def test_an_embedded_archive_within_a_document_is_allowed() -> None:
    body = "<w:p><w:r><w:t>text</w:t></w:r></w:p>"
    with zipfile.ZipFile(io.BytesIO(samples.raw_docx(body))) as archive:
        entries: dict[str, bytes | str] = {name: archive.read(name) for name in archive.namelist()}
    entries["word/embeddings/sheet.xlsx"] = samples.zipped({"a.xml": "x"})
    assert docx.parse("a.docx", samples.zipped(entries)).text == "text"


# ── PDF ──


def test_a_pdf_becomes_paragraphs_under_its_headings() -> None:
    text = "The plan pays for up to twenty visits of physical therapy in a calendar year. "
    story = [("Title", "Therapy guideline"), ("Heading1", "Coverage"), ("BodyText", text * 5)]
    story += [
        ("Heading2", "Exceptions"),
        ("BodyText", "Age &lt; 18 &amp; BMI &gt; 30. " * 8),
        ("BodyText", "Last one."),
    ]
    document = pdf.parse("a.pdf", samples.flowing_pdf(story, title="Guideline 7"))
    assert document.title == "Guideline 7"
    assert [text for _, text in headings(document)] == ["Therapy guideline", "Coverage", "Exceptions"]
    assert headings(document)[2][0] > headings(document)[1][0]
    paragraphs = [part.replace("\n", " ") for part in document.text.split("\n\n")]
    assert paragraphs[2] == (text * 5).strip()
    assert paragraphs[4] == ("Age < 18 & BMI > 30. " * 8).strip()
    assert paragraphs[5] == "Last one."


def test_running_headers_and_page_numbers_are_left_out_and_pages_are_known() -> None:
    pages = [
        [
            (8, 20, "ACME plan - confidential"),
            (11, 100, f"Text of page {number} is here."),
            (8, 830, f"Page {number} of 3"),
        ]
        for number in (1, 2, 3)
    ]
    document = pdf.parse("plan_2026.pdf", samples.pdf(pages))
    assert document.text == "Text of page 1 is here.\n\nText of page 2 is here.\n\nText of page 3 is here."
    assert [document.text[page:].split(".")[0] for page in document.pages] == [
        f"Text of page {n} is here" for n in (1, 2, 3)
    ]
    assert document.title == "plan 2026"


def test_a_sentence_goes_on_over_the_page() -> None:
    document = pdf.parse("a.pdf", samples.pdf([[(11, 700, "Visits beyond that need")], [(11, 100, "prior approval.")]]))
    assert document.text == "Visits beyond that need\nprior approval."


def test_a_scan_says_that_it_needs_ocr() -> None:
    with pytest.raises(DocumentUnreadable, match="Turn OCR on") as refused_scan:
        pdf.parse("a.pdf", samples.scanned_pdf(3))
    assert refused_scan.value.code == "needs_ocr"


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (samples.encrypted_pdf(), "encrypted"),
        (samples.pdf([[]]), "empty"),
        (b"%PDF-1.7\ngarbage", "corrupt"),
        (samples.pdf([[(11, 100, "text")]])[:300], "corrupt"),
        (b"\0\1\2" * 100, "corrupt"),
        (b"", "empty"),
    ],
    ids=["password", "blank", "garbage", "cut", "binary", "no bytes"],
)
def test_broken_pdfs_say_what_is_wrong(data: bytes, expected: str) -> None:
    assert code_of("a.pdf", data) == expected


# ── Slides and books ──

P_NS = 'xmlns:p="http://schemas.openxmlformats.org/presentationml/2006/main" '
A_NS = 'xmlns:a="http://schemas.openxmlformats.org/drawingml/2006/main" '
R_NS = 'xmlns:r="http://schemas.openxmlformats.org/officeDocument/2006/relationships"'
RELATIONS = '<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships">{}</Relationships>'


def slide(*shapes: tuple[str, str]) -> str:
    body = "".join(
        f'<p:sp><p:nvSpPr><p:nvPr><p:ph type="{kind}"/></p:nvPr></p:nvSpPr><p:txBody>'
        + "".join(f"<a:p><a:r><a:t>{line}</a:t></a:r></a:p>" for line in text.split("\n"))
        + "</p:txBody></p:sp>"
        for kind, text in shapes
    )
    return f"<p:sld {P_NS}{A_NS}><p:cSld><p:spTree>{body}</p:spTree></p:cSld></p:sld>"


def test_slides_come_in_order_with_titles_as_headings() -> None:
    relations = "".join(f'<Relationship Id="r{n}" Type="slide" Target="slides/slide{n}.xml"/>' for n in (1, 2))
    entries = {
        "ppt/presentation.xml": f'<p:show {P_NS}{R_NS}><p:sldId r:id="r2"/><p:sldId r:id="r1"/></p:show>',
        "ppt/_rels/presentation.xml.rels": RELATIONS.format(relations),
        "ppt/slides/slide1.xml": slide(("title", "Second"), ("body", "a &lt; b"), ("sldNum", "2")),
        "ppt/slides/slide2.xml": slide(("body", "one\ntwo"), ("ctrTitle", "First")),
    }
    document = catalog.parse("talk.pptx", samples.zipped(entries))
    assert document.text == "First\n\n- one\n- two\n\nSecond\n\na < b"
    assert headings(document) == [(1, "First"), (1, "Second")]
    assert [document.text[page:][:5] for page in document.pages] == ["First", "Secon"]


def test_a_book_is_read_by_its_contents() -> None:
    container = (
        '<container xmlns="urn:oasis:names:tc:opendocument:xmlns:container"><rootfiles>'
        '<rootfile full-path="in/b.opf"/></rootfiles></container>'
    )
    package = (
        '<package xmlns="http://www.idpf.org/2007/opf"><metadata xmlns:dc="http://purl.org/dc/elements/1.1/">'
        '<dc:title>The book</dc:title></metadata><manifest><item id="a" href="a%20b.xhtml"/></manifest>'
        '<spine><itemref idref="a"/><itemref idref="gone"/></spine></package>'
    )
    entries = {
        "mimetype": "application/epub+zip", "META-INF/container.xml": container, "in/b.opf": package,
        "in/a b.xhtml": "<html><body><h1>One</h1><p>Text.</p></body></html>",
    }  # fmt: skip
    document = catalog.parse("a.epub", samples.zipped(entries))
    assert (document.title, document.text) == ("The book", "One\n\nText.")
    assert code_of("a.epub", samples.zipped({"mimetype": "application/epub+zip"})) == "corrupt"
    assert document.media_type == epub.MEDIA_TYPE


def test_slides_without_a_presentation_are_corrupt() -> None:
    with pytest.raises(DocumentUnreadable) as error:
        pptx.parse("a.pptx", samples.zipped({"a": "b"}))
    assert error.value.code == "corrupt"


# ── The catalogue ──


@pytest.mark.parametrize(
    ("name", "data", "expected"),
    [
        ("picture.png", b"\x89PNG\r\n", "needs_ocr"),
        ("song.mp3", b"ID3", "unsupported"),
        ("archive.zip", samples.zipped({"a": "b"}), "unsupported"),
        ("noextension", b"\0\1\2", "unsupported"),
        ("a.exe", b"MZ", "unsupported"),
        ("a.md", b"\0\0", "corrupt"),
        ("a.xlsx", b"not a sheet", "corrupt"),
        ("a.doc", b"not a letter", "corrupt"),
        ("a.odt", b"PK\x03\x04 broken", "corrupt"),
    ],
)
def test_files_that_nothing_reads_say_why(name: str, data: bytes, expected: str) -> None:
    assert code_of(name, data) == expected


def test_content_counts_more_than_the_extension() -> None:
    assert catalog.parse("a.txt", samples.pdf([[(11, 100, "Some text in it.")]])).media_type == "application/pdf"
    assert catalog.parse("letter.doc", samples.word_document(manual)).media_type == docx.MEDIA_TYPE
    assert catalog.parse("README", b"Plain words").media_type == "text/plain"
    assert catalog.parse("page", b"<!DOCTYPE html><p>Hi</p>").media_type == "text/html"


def test_supported_names_are_known_without_reading() -> None:
    assert [catalog.is_supported(name) for name in ("a.MD", "b.png", "README", ".hidden", "x.tar.gz")] == [
        True, False, True, True, False,
    ]  # fmt: skip


@pytest.mark.data
@pytest.mark.skipif(not DATA.is_dir(), reason="the public test data is not here")
def test_each_sample_file_is_read_or_is_a_picture() -> None:
    for file in sorted((DATA / "formats").iterdir()):
        if file.suffix in {".png", ".jpg"}:
            assert code_of(file.name, file.read_bytes()) == "needs_ocr"
        else:
            assert catalog.parse(file.name, file.read_bytes()).text.strip(), file.name


@pytest.mark.data
@pytest.mark.skipif(not DATA.is_dir(), reason="the public test data is not here")
def test_the_standard_as_word_document_has_its_sections() -> None:
    document = catalog.parse("asvs-5.0.0.docx", (DATA / "asvs" / "asvs-5.0.0.docx").read_bytes())
    found = [text for _, text in headings(document)]
    assert len(found) > 200
    assert "V6.2 Password Security" in found
    assert "| 6.2.1 | Verify that user set passwords are at least 8 characters in length" in document.text

"""E-mail messages and what is attached to them: sections by name, and a bad attachment never fails the message."""

from __future__ import annotations

import struct
from email.message import EmailMessage

import pytest
from compound_files import END, FREE, Patch, compound, message, nested
from hypothesis import given, settings
from hypothesis import strategies as st
from sample_documents import encrypted_pdf, flowing_pdf, raw_docx, zip_bomb_docx

from headworks.errors import DocumentUnreadable
from headworks.retrieval.parsers import catalog, outlook
from headworks.retrieval.parsers.compound import Storage, read_compound
from headworks.retrieval.parsers.contract import ParsedDocument


def mail(*attached: tuple[str, bytes], subject: str = "Plan", text: str = "See what is attached.\n") -> EmailMessage:
    made = EmailMessage()
    made["Subject"], made["From"], made["To"] = subject, "a@example.org", "b@example.org"
    made.set_content(text)
    for name, content in attached:
        made.add_attachment(content, maintype="application", subtype="octet-stream", filename=name)
    return made


def read(made: EmailMessage) -> ParsedDocument:
    return catalog.parse("a.eml", made.as_bytes())


def sections(document: ParsedDocument) -> list[tuple[int, str]]:
    for each in document.headings:
        assert document.text[each.start : each.end].strip("# ") == each.text
    return [(each.level, each.text) for each in document.headings]


# ── As a file of its own (EML) ──


def test_a_message_has_its_headers_and_its_text_once() -> None:
    message = (
        b"Subject: =?utf-8?q?B=C3=BCro?=\r\nFrom: a@example.org\r\nTo: b@example.org\r\n"
        b"MIME-Version: 1.0\r\n"
        b"Content-Type: multipart/alternative; boundary=x\r\n\r\n"
        b"--x\r\nContent-Type: text/plain\r\n\r\nHello there.\r\n"
        b"--x\r\nContent-Type: text/html\r\n\r\n<p>Hello there.</p>\r\n--x--\r\n"
    )
    document = catalog.parse("a.eml", message)
    assert document.title == "Büro"
    assert document.text == "Subject: Büro\nFrom: a@example.org\nTo: b@example.org\n\nHello there."


def test_a_message_of_html_alone_is_read_as_html() -> None:
    message = b"Subject: x\nContent-Type: text/html; charset=nonsense\n\n<h1>Head</h1><p>Text</p>"
    assert catalog.parse("a.eml", message).text.endswith("Head\n\nText")


def test_what_has_no_headers_is_no_message() -> None:
    with pytest.raises(DocumentUnreadable) as refused:
        catalog.parse("a.eml", b"just text")
    assert refused.value.code == "corrupt"


# ── What is attached ──


def test_each_attachment_is_a_section_with_its_headings_and_tables_below_it() -> None:
    plan = flowing_pdf([("Heading1", "Budget"), ("BodyText", "The heron gets nine fish.")])
    made = mail(("Plan.pdf", plan), ("fees.csv", b"plan,fee\nbasic,10\nfamily,25\n"))
    document = read(made)
    assert "To: b@example.org\nAttachments: Plan.pdf, fees.csv\n\nSee what" in document.text
    assert sections(document) == [(1, "Plan.pdf"), (2, "Budget"), (1, "fees.csv")]
    assert document.text.index("See what") < document.text.index("nine fish") < document.text.index("| family | 25 |")
    [table] = document.tables
    assert document.text[table.start : table.header_end] == "| plan | fee |"
    assert document.text[table.start : table.end].endswith("| family | 25 |")
    assert (document.pages, document.boxes, document.metadata) == ((), (), {})


def test_a_bad_attachment_is_named_and_the_message_and_the_others_are_read() -> None:
    made = mail(
        ("locked.pdf", encrypted_pdf()),
        ("bomb.docx", zip_bomb_docx(40)),
        ("setup.exe", b"MZ"),
        ("cut.docx", raw_docx("<w:p/>")[:99]),
        ("none.txt", b""),
        ("good.md", b"# Good\n\nThe stork sails."),
    )
    document = read(made)
    assert document.metadata == {
        "unread_attachments": [
            "locked.pdf (encrypted)", "bomb.docx (bomb)", "setup.exe (unsupported)", "cut.docx (corrupt)",
            "none.txt (empty)",
        ]
    }  # fmt: skip
    assert sections(document) == [(1, "good.md"), (2, "Good")]
    assert "setup.exe" in document.text


def test_a_message_in_a_message_is_read_and_what_lies_deeper_is_named() -> None:
    deepest = mail(("deep.txt", b"never"), subject="Third")
    second = mail(("note.txt", b"The heron signs."), subject="Second", text="Forwarded.\n")
    second.add_attachment(deepest)
    first = mail(subject="First")
    first.add_attachment(second)
    document = read(first)
    assert sections(document) == [(1, "Second.eml"), (2, "note.txt"), (2, "Third.eml")]
    assert "The heron signs." in document.text
    assert "never" not in document.text
    assert document.metadata == {"unread_attachments": ["deep.txt (too_large)"]}


def test_messages_in_messages_many_deep_are_named() -> None:
    head = "Subject: Deep\nMIME-Version: 1.0\nContent-Type: message/rfc822\n\n"
    document = catalog.parse("a.eml", b"From: a@x.org\n" + (head * 90).encode() + b"Subject: End\n\nnever")
    assert document.text.startswith("Subject: Deep\nFrom: a@x.org")
    assert "never" not in document.text
    assert document.metadata["unread_attachments"]


def test_only_so_many_attachments_are_read(monkeypatch: pytest.MonkeyPatch) -> None:
    document = read(mail(*((f"{at}.txt", f"words of {at}".encode()) for at in range(52))))
    assert "48.txt, 49.txt and 2 more\n\n" in document.text
    assert [name for _, name in sections(document)] == [f"{at}.txt" for at in range(50)]
    assert document.metadata == {"unread_attachments": ["50.txt (too_large)", "51.txt (too_large)"]}
    monkeypatch.setattr("headworks.retrieval.parsers.letters._MOST_CHARACTERS", 20)
    document = read(mail(("long.txt", b"word " * 9), ("short.txt", b"short")))
    assert document.metadata == {"unread_attachments": ["long.txt (too_large)", "short.txt (too_large)"]}
    monkeypatch.setattr("headworks.retrieval.parsers.letters._MOST_CPU_S", 0.0)
    assert read(mail(("short.txt", b"short"))).metadata == {"unread_attachments": ["short.txt (too_large)"]}


def test_a_logo_and_a_signature_are_not_missed() -> None:
    made = mail()
    made.add_attachment(b"x", maintype="image", subtype="png", filename="logo.png", disposition="inline")
    made.add_attachment(b"x", maintype="application", subtype="pkcs7-signature", filename="smime.p7s")
    document = read(made)
    assert "Attachments: logo.png\n" in document.text
    assert document.metadata == {}


# ── Of Outlook (MSG) ──


def test_an_outlook_message_is_read_with_its_attachments_and_the_message_in_it() -> None:
    inner = message("Old plan", "The stork left.", ("old.txt", b"The stork's list."), is_inner=True)
    long = ("word " * 2_000).encode()
    attached = (("Plan.md", b"# Budget\n\nNine fish."), ("", inner), ("x.exe", b"MZ"), ("l.txt", long))
    data = compound(message("Plan", "See below.", *attached))
    document = catalog.parse("a.msg", data)
    assert document.title == "Plan"
    assert "Attachments: Plan.md, Old plan, x.exe, l.txt" in document.text
    assert sections(document) == [(1, "Plan.md"), (2, "Budget"), (1, "Old plan"), (2, "old.txt"), (1, "l.txt")]
    for words in ("See below.", "Nine fish.", "From: Jane Doe", "The stork left.", "The stork's list.", "word word"):
        assert words in document.text
    assert document.metadata == {"unread_attachments": ["x.exe (unsupported)"]}
    assert sections(read(mail(("a.msg", data))))[:3] == [(1, "a.msg"), (2, "Plan.md"), (3, "Budget")]


def test_of_outlook_messages_in_each_other_no_deeper_one_is_opened_than_is_read() -> None:
    document = catalog.parse("a.msg", nested(9))
    assert sections(document) == [(1, "Message 2"), (2, "Message 3")]
    assert document.metadata == {"unread_attachments": ["Message 4 (too_large)"]}
    letter = outlook.read("a.msg", nested(9))
    for _ in range(2):
        (inner,) = letter.attached
        assert inner.letter is not None
        letter = inner.letter
    assert [(each.name, each.letter) for each in letter.attached] == [("Message 4", None)]


GOOD = compound(message("Plan", "Text", ("a.txt", b"x" * 5_000), ("b.txt", b"y")))
_NUMBERS = [*range(24, 512, 4), *range(512 * (Patch(GOOD).header(Patch.FIRST_ENTRY) + 1), len(GOOD), 4)]
"""Where its header, its entries and its tables are, which lie behind what is in the streams."""


def read_or_refused(data: bytes) -> Storage | None:
    """What is in a compound file; None where it is damaged."""
    try:
        return read_compound(data)
    except DocumentUnreadable as error:
        code = error.code
    assert code == "corrupt"
    return None


def bytes_in(storage: Storage) -> int:
    return sum(map(len, storage.streams.values())) + sum(map(bytes_in, storage.storages.values()))


def test_a_compound_file_that_was_cut_is_whole_or_refused() -> None:
    whole = read_compound(GOOD)
    found = [read_or_refused(GOOD[:length]) for length in range(0, len(GOOD), 37)]
    assert found[0] is None
    assert all(each in (None, whole) for each in found), "nobody takes a part of it for all"


@settings(max_examples=200)
@given(
    st.lists(
        st.tuples(
            st.sampled_from(_NUMBERS),
            st.integers(0, len(GOOD) // 512 + 4) | st.sampled_from([FREE, END, 0x7FFF_FFFF]) | st.integers(0, FREE),
        ),
        min_size=1,
        max_size=6,
    )
)
def test_a_compound_file_whose_numbers_are_wrong_is_read_or_refused(wrong: list[tuple[int, int]]) -> None:
    bad = bytearray(GOOD)
    for at, number in wrong:
        struct.pack_into("<I", bad, at, number)
    if (found := read_or_refused(bytes(bad))) is not None:
        assert bytes_in(found) <= 2 * len(bad), "no sector makes more of itself"


def test_streams_may_share_sectors_but_are_not_more_than_twice_the_file() -> None:
    def on_one_chain(streams: int) -> Storage | None:
        patch = Patch(compound({"a": b"x" * 9_000} | {f"b{at}": b"" for at in range(streams)}))
        (whole,) = patch.entries("a")
        for other in (number for at in range(streams) for number in patch.entries(f"b{at}")):
            for at in (Patch.START, Patch.SIZE):
                patch.set_entry(other, at, patch.entry(whole, at))
        return read_or_refused(bytes(patch.data))

    shared = on_one_chain(1)
    assert shared is not None
    assert shared.streams == {"a": b"x" * 9_000, "b0": b"x" * 9_000}
    assert on_one_chain(9) is None
